"""How alike any two of a register's people are, as answers of the comparison round would show it.

An answer is, per field, how many of its bits differ between two rows. The share that would differ
between two people follows from their tokens (`differing`), so every answer gives a likelihood under
every two people. Shares are told apart in `LEVELS` steps, and likelihoods are held against two
people at random.

- Fields are taken as independent of each other.
- Memory: people x fields x `LEVELS`, and of at most `MOST_WHOLE` people fields x people x people
  bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from numba import njit

from linkage.answers import FIELD_BITS, differing
from linkage.risk.unit import unit_counts
from linkage.risk.view import Floats, Rows

Levels = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]

LEVELS = 128
MOST_WHOLE = 5_000
"""People of whom the likeness of any two is held; of more it is worked out where it is needed."""
BINS = FIELD_BITS // 16 + 1
BIN = (np.arange(FIELD_BITS + 1) + 15) // 16
"""Answers about a person and anybody are told apart in so many steps; equal is one of its own."""
LEAST, _MOST = 1e-12, 1e6
"""Bounds of a likelihood ratio: a register may err, and chance is counted among few."""
_STEPS = 2048
_SAMPLE = 1_000
_BLOCK = 512


def _log_likelihoods() -> Doubles:
    """(bits that differ, levels), but for what does not depend on the level."""
    levels = np.clip(np.arange(LEVELS + 1) / LEVELS, 1e-3, 1 - 1e-3)
    seen = np.arange(FIELD_BITS + 1)[:, np.newaxis]
    found = seen * np.log(levels) + (FIELD_BITS - seen) * np.log1p(-levels)
    return np.asarray(found - found.max(axis=1, keepdims=True), np.float64)


_LIKELIHOOD = np.exp(_log_likelihoods())
LEVEL = np.rint(differing(np.arange(_STEPS + 1) / _STEPS) * LEVELS).astype(np.uint8)
"""By cosine, in equal steps from 0 to 1."""


class People:
    """A register's people.

    Args:
        fields: per field (people, tokens).
    """

    def __init__(self, fields: Sequence[sp.csr_matrix], rng: np.random.Generator) -> None:
        self.fields = [unit_counts(field) for field in fields]
        self._often = self._counted(rng)
        # No likeness is held to be impossible because none of the sample had it.
        self._chance = self._often.mean(axis=0, dtype=np.float64) + 1e-6

    def __len__(self) -> int:
        return int(self.fields[0].shape[0])

    @cached_property
    def ratio(self) -> Floats:
        """(fields, bits that differ, levels): likelihood against that of two people at random."""
        chance = self._chance @ _LIKELIHOOD.T
        found = _LIKELIHOOD[np.newaxis] / np.maximum(chance, 1e-300)[:, :, np.newaxis]
        clipped: Floats = np.clip(found, LEAST, _MOST).astype(np.float32)
        return clipped

    @cached_property
    def anybody(self) -> Floats:
        """(fields x bins, people): log-likelihood ratio of an answer about a person and anybody."""
        parts = []
        for f, ratio in enumerate(self.ratio):
            # What falls into a bin counts as often as it is seen.
            weight = np.zeros((FIELD_BITS + 1, BINS))
            weight[np.arange(FIELD_BITS + 1), BIN] = self._chance[f] @ _LIKELIHOOD.T
            weight /= np.maximum(weight.sum(axis=0), 1e-300)
            mean = (ratio.T @ weight).astype(np.float32)
            parts.append(np.log(np.maximum(self._often[:, f] @ mean, LEAST)).T)
        return np.concatenate(parts)

    @cached_property
    def levels(self) -> Levels:
        """(fields, people, people); empty of more than `MOST_WHOLE`."""
        if len(self) > MOST_WHOLE:
            return np.empty((len(self.fields), 0, 0), np.uint8)
        every = np.arange(len(self))
        return np.stack([self.between(f, every, every) for f in range(len(self.fields))])

    @cached_property
    def tokens(self) -> tuple[Rows, Rows, Floats]:
        """(people, fields + 1) where each field's tokens start; all numbers and weights of them."""
        joined = sp.hstack(self.fields).tocsr()
        joined.sort_indices()
        each = np.stack([np.diff(field.indptr) for field in self.fields], axis=1)
        starts = joined.indptr[:-1, np.newaxis] + np.cumsum(each, axis=1) - each
        starts = np.column_stack([starts, joined.indptr[1:]]).astype(np.int64)
        return starts, joined.indices.astype(np.int64), joined.data

    @cached_property
    def values(self) -> Rows:
        """(people, fields) a number for each value, the same where two are equal."""
        found = []
        for field in self.fields:
            weights = np.random.default_rng(0).random(field.shape[1])
            found.append(np.unique(np.round(field @ weights, 4), return_inverse=True)[1])
        return np.stack(found, axis=1)

    def between(self, field: int, some: Rows, others: Rows) -> Levels:
        """(some, others): the levels of their likeness in a field."""
        tokens, out = self.fields[field], np.empty((len(some), len(others)), np.uint8)
        there = tokens[others].T.tocsr()
        for start in range(0, len(some), _BLOCK):
            cosine = (tokens[some[start : start + _BLOCK]] @ there).toarray()
            np.clip(cosine, 0, 1, out=cosine)
            out[start : start + _BLOCK] = LEVEL[(cosine * _STEPS + 0.5).astype(np.int16)]
        return out

    def against(self, seen: Rows, rows: Rows, persons: Rows, among: Rows, out: Floats) -> None:
        """Add to (rows, among) what answers about rows and known people say of who the rows are.

        Args:
            seen: (answers, fields) how many bits differ.
            rows: (answers,) places in `out`.
            persons: (answers,) of the register, whom each row was compared with.
        """
        order = np.argsort(persons, kind="stable")  # Nobody's likenesses are worked out twice.
        for start in range(0, len(rows), _BLOCK):
            part = order[start : start + _BLOCK]
            who, at = np.unique(persons[part], return_inverse=True)
            for f, ratio in enumerate(self.ratio):
                _look_up(
                    np.log(ratio[seen[part, f]]), self.between(f, who, among), at, rows[part], out
                )

    def _counted(self, rng: np.random.Generator) -> Floats:
        """(people, fields, levels): to what share others are so unlike the person."""
        some = np.sort(rng.permutation(len(self))[:_SAMPLE])
        found = np.zeros((len(self), len(self.fields), LEVELS + 1), np.float32)
        for f in range(len(self.fields)):
            for start in range(0, len(self), _BLOCK):
                own = np.arange(start, min(start + _BLOCK, len(self)))
                _count(self.between(f, own, some), found[own[0] : own[-1] + 1, f])
            empty = np.diff(self.fields[f].indptr)[some] == 0
            found[some, f, np.where(empty, LEVEL[0], 0)] -= 1  # Not of a person and itself.
        found /= np.maximum(found.sum(axis=2, keepdims=True), 1)
        return found


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _count(levels: Any, out: Any) -> None:
    for i in range(levels.shape[0]):
        for j in range(levels.shape[1]):
            out[i, levels[i, j]] += 1


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _look_up(table: Any, levels: Any, at: Any, rows: Any, out: Any) -> None:
    """Add to a row of `out` what its answer's table says of the known person's likeness to all."""
    for a in range(len(rows)):
        row, own = out[rows[a]], levels[at[a]]
        for j in range(len(own)):
            row[j] += table[a, own[j]]
