"""Rows scaled to length 1, so that products of two are cosines; rows of nothing stay 0."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from linkage.risk.view import Floats


def unit(points: Floats) -> Floats:
    """(rows, dimensions) float32."""
    length = np.linalg.norm(points, axis=1, keepdims=True).astype(np.float32)
    found: Floats = points / (length + np.float32(1e-9))
    return found


def unit_counts(counts: sp.csr_matrix) -> sp.csr_matrix:
    """(rows, tokens) float32, of counts of any type."""
    counts = counts.astype(np.float32)
    length = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    return (sp.diags((1 / np.maximum(length, 1e-9)).astype(np.float32)) @ counts).tocsr()
