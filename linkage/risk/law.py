"""The law of a scheme: how alike two people's encodings are, before any secret is drawn.

Scheme and settings are public, so an attacker knows the expected correlation of two people's bits
exactly, from their records alone; `known` predicts with it. Correlation is 1 - 2 x the share of
bits that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from linkage.risk.view import Floats, Rows


class Law(Protocol):
    """The correlation of some people's bits with others'."""

    def __call__(self, people: Rows, others: Rows) -> Floats: ...


@dataclass(frozen=True)
class Majorities:
    """`saul-v1`: the likeness of two majorities, to the power of how many are XORed.

    Attributes:
        counts: (people, tokens), how often each token counts.
    """

    counts: sp.csr_matrix
    hashes: int

    def __call__(self, people: Rows, others: Rows) -> Floats:
        here, there = _unit(self.counts[people]), _unit(self.counts[others])
        likeness = np.asarray((here @ there.T).toarray(), np.float32)
        np.clip(likeness, -1, 1, out=likeness)
        np.arcsin(likeness, out=likeness)
        likeness *= np.float32(2 / np.pi)
        found: Floats = likeness**self.hashes
        return found


@dataclass(frozen=True)
class Choices:
    """`minhash-v1`: the product over the parts of the share of common tokens, to the power of how
    many are chosen.

    Attributes:
        parts: of each part (people, tokens), which tokens a person has.
        choices: how many tokens are chosen of each part.
    """

    parts: Sequence[sp.csr_matrix]
    choices: Sequence[int]

    def __call__(self, people: Rows, others: Rows) -> Floats:
        found = np.ones((len(people), len(others)), np.float32)
        for part, count in zip(self.parts, self.choices, strict=True):
            here, there = (part[rows] > 0 for rows in (people, others))
            here, there = here.astype(np.float32), there.astype(np.float32)
            common = np.asarray((here @ there.T).toarray(), np.float32)
            sizes = np.asarray(here.sum(axis=1)), np.asarray(there.sum(axis=1)).ravel()
            found *= (common / np.maximum(sizes[0] + sizes[1] - common, 1)) ** count
        return found


def _unit(counts: sp.csr_matrix) -> sp.csr_matrix:
    counts = counts.astype(np.float32)
    length = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    return (sp.diags((1 / np.maximum(length, 1e-9)).astype(np.float32)) @ counts).tocsr()
