"""The law of a scheme: how alike two people's encodings are, before any secret is drawn.

Scheme and settings are public, so an attacker knows the expected correlation of two people's bits
exactly, from their records alone; `known` predicts with it. Correlation is 1 - 2 x the share of
bits that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numba import njit

from linkage.risk.threads import in_parts
from linkage.risk.unit import unit_counts
from linkage.risk.view import Floats, Rows

_PART = 128


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
        here, there = unit_counts(self.counts[people]), unit_counts(self.counts[others])
        likeness = np.asarray((here @ there.T).toarray(), np.float32)
        np.clip(likeness, -1, 1, out=likeness)
        np.arcsin(likeness, out=likeness)
        likeness *= np.float32(2 / np.pi)
        found: Floats = likeness**self.hashes
        return found


@dataclass(frozen=True)
class Choices:
    """`minhash-v1`: the product over the parts of the share of common tokens, to the power of how
    many are chosen; of a part that must be equal, 1 or 0.

    Attributes:
        parts: of each part (people, tokens), which tokens a person has.
        choices: how many tokens are chosen of each part; 0: it must be equal.
    """

    parts: Sequence[sp.csr_matrix]
    choices: Sequence[int]

    def __call__(self, people: Rows, others: Rows) -> Floats:
        found = np.ones((len(people), len(others)), np.float32)
        for part, count in zip(self.parts, self.choices, strict=True):
            here, there = part[people], part[others]
            for side in (here, there):
                side.sum_duplicates()
                side.eliminate_zeros()
            bearers = there.tocsc()
            sizes = np.diff(there.indptr).astype(np.float32)
            ends = (here.indptr, here.indices, bearers.indptr, bearers.indices)
            in_parts(
                len(people), _PART, partial(_times_jaccard, *ends, sizes, np.int64(count), found)
            )
        return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _times_jaccard(
    starts: Any,
    tokens: Any,
    bearers_starts: Any,
    bearers: Any,
    sizes: Any,
    power: Any,
    out: Any,
    start: Any,
    stop: Any,
) -> None:
    """Multiply by the share of common tokens, to a power; to the power 0: 1 where all are, else 0.

    Args:
        starts, tokens: which tokens each person has.
        bearers_starts, bearers: which of the others have each token.
        sizes: (others,) float32, how many tokens.
    """
    common = np.empty(len(sizes), np.float32)
    for person in range(start, stop):
        common[:] = 0
        own = np.float32(starts[person + 1] - starts[person])
        for t in range(starts[person], starts[person + 1]):
            for b in range(bearers_starts[tokens[t]], bearers_starts[tokens[t] + 1]):
                common[bearers[b]] += np.float32(1)
        for k in range(len(sizes)):
            either = max(own + sizes[k] - common[k], np.float32(1))
            share = common[k] / either
            product = np.float32(power > 0 or share == 1)
            for _ in range(power):
                product *= share
            out[person, k] *= product
