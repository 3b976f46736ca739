"""Encodings as points: their principal components.

Likenesses among the rows of a view are those among the same people in a register, up to noise. So
their principal components agree up to an orthogonal map, which `alignment` finds.
"""

from __future__ import annotations

import numpy as np

from linkage.risk.view import Floats, Words, signs

_EXTRA = 24
_ROUNDS = 6


def embed(words: Words, dimensions: int, rng: np.random.Generator) -> Floats:
    """(rows, dimensions) float32: the leading principal components, largest first.

    By subspace iteration (Halko, Martinsson and Tropp, 2011); time and memory are linear in rows.
    """
    centred = signs(words)
    dimensions = min(dimensions, *centred.shape)
    width = min(dimensions + _EXTRA, *centred.shape)
    basis = rng.standard_normal((centred.shape[1], width)).astype(np.float32)
    for _ in range(_ROUNDS):
        basis, _upper = np.linalg.qr(centred.T @ (centred @ basis))
    projected = centred @ basis
    values, vectors = np.linalg.eigh((projected.T @ projected).astype(np.float64))
    order = np.argsort(values)[::-1][:dimensions]
    points: Floats = projected @ vectors[:, order].astype(np.float32)
    return points
