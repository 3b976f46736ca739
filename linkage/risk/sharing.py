"""Groups of people found by what they share, among so many that not all pairs can be looked at.

Where an answer says that two rows have a value in common, their people are among those who share
one. So a group is found along such answers: first the two rows that share most, each two people
who share as much; then the row that shares most with those found, always with the best of many
partial groups kept (beam search). All fields of all answers count for how well people fit.

- Rows that share nothing telling with another stay nobody: of a large register an answer about two
  strangers says far too little to begin with.
- Memory: `MOST_TRIED` partial groups, and three numbers a person for each set of fields that rows
  were seen to share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.risk.passing import level_between
from linkage.risk.people import LEVEL, People
from linkage.risk.view import NOBODY, Floats, Rows

BEAM = 4_000
MOST_TRIED = 1_000_000
_LEAST_BITS = 5.0
"""What rows share is followed where one person in 32 or fewer has it in common with another."""


@dataclass(frozen=True)
class Answers:
    """What a group's answers say.

    Attributes:
        seen: (rows, rows, fields) int64, how many bits differ; the same both ways.
        asked: (rows, rows), which rows were compared.
    """

    seen: Rows
    asked: npt.NDArray[np.bool_]

    def shared(self, one: int, other: int) -> tuple[int, ...]:
        """Fields in which two rows are equal."""
        return tuple(np.flatnonzero((self.seen[one, other] == 0) & self.asked[one, other]).tolist())


class Sharers:
    """A register by who shares values with whom."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.members = cache(self._members)

    def _members(self, fields: tuple[int, ...]) -> tuple[Rows, Rows, Rows, float]:
        """People in groups of equal values of all these fields.

        Returns:
            (people,) each one's group; (groups + 1,) where each begins in the next; (people,) the
            people, group by group; and in bits how rarely two people share a group.
        """
        values = self.people.values[:, list(fields)]
        _, group = np.unique(values, axis=0, return_inverse=True)
        group = group.ravel()
        start = np.append(0, np.cumsum(np.bincount(group)))
        size = np.diff(start).astype(np.float64)
        pairs = (size * (size - 1)).sum()
        bits = np.log2(len(group)) * 2 - np.log2(max(pairs, 1.0))
        return group, start, np.argsort(group, kind="stable"), float(bits)

    def bits(self, fields: tuple[int, ...]) -> float:
        """How much it tells of two people that they share these."""
        return self.members(fields)[3] if fields else 0.0

    def sharing(self, persons: Rows, fields: tuple[int, ...]) -> tuple[Rows, Rows]:
        """Everybody who shares these with each person: places in `persons`, and who.

        Of more than `MOST_TRIED` in all the first are taken.
        """
        group, start, every, _ = self.members(fields)
        begin, size = start[group[persons]], np.diff(start)[group[persons]]
        kept = np.searchsorted(np.cumsum(size), MOST_TRIED, side="right")
        begin, size = begin[:kept], size[:kept]
        place = np.repeat(np.arange(len(begin)), size)
        within = np.arange(len(place)) - np.repeat(np.cumsum(size) - size, size)
        return place, every[begin[place] + within]


def by_shared(answers: Answers, sharers: Sharers) -> Rows:
    """Who each row of a group is, or `NOBODY`."""
    rows = len(answers.seen)
    guess = np.full(rows, NOBODY)
    left = set(range(rows))
    while len(left) > 1:
        pairs = [(i, j) for i in left for j in left if i < j]
        told = {pair: sharers.bits(answers.shared(*pair)) for pair in pairs}
        pair = max(told, key=lambda pair: told[pair])
        if told[pair] < _LEAST_BITS:
            break
        placed, beam, score = _grown(answers, sharers, pair, left)
        if len(beam):
            guess[placed] = beam[score.argmax()]
        left -= set(placed)
    return guess


def _grown(
    answers: Answers, sharers: Sharers, pair: tuple[int, int], left: set[int]
) -> tuple[list[int], Rows, Floats]:
    """Rows that hang together with two of them, and partial groups of people with their scores."""
    placed = [pair[0]]
    # Those who share with few come first: it is they who are told apart.
    group, start, _, _ = sharers.members(answers.shared(*pair))
    size = np.diff(start)[group]
    people = np.argsort(size, kind="stable")
    beam = people[size[people] > 1][:, np.newaxis]
    score = np.zeros(len(beam), np.float32)
    row: int | None = pair[1]
    while row is not None:
        bits = {o: sharers.bits(answers.shared(o, row)) for o in placed}
        through = max(bits, key=lambda o: bits[o])
        fields = answers.shared(through, row)
        state, person = sharers.sharing(beam[:, placed.index(through)], fields)
        new = (beam[state] != person[:, np.newaxis]).all(axis=1)
        state, person = state[new], person[new]
        total = score[state]
        for place, other in enumerate(placed):
            if answers.asked[other, row]:
                total += _fit(sharers.people, answers.seen[other, row], beam[state, place], person)
        best = np.argsort(-total, kind="stable")[:BEAM]
        beam, score = np.column_stack([beam[state[best]], person[best]]), total[best]
        placed.append(row)
        near = {
            r: max(sharers.bits(answers.shared(o, r)) for o in placed) for r in left - set(placed)
        }
        row = max(near, key=lambda r: near[r], default=None)
        if row is not None and near[row] < _LEAST_BITS:
            row = None
    return placed, beam, score


def _fit(people: People, seen: Rows, one: Rows, other: Rows) -> Floats:
    """(pairs,) log-likelihood of an answer under two people each, against people at random."""
    table = np.stack([np.log(ratio[bits]) for ratio, bits in zip(people.ratio, seen, strict=True)])
    out = np.zeros(len(one), np.float32)
    _add_fits(table, *people.tokens, LEVEL, one, other, out)
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_fits(
    table: Any,
    starts: Any,
    tokens: Any,
    weights: Any,
    level_of: Any,
    one: Any,
    other: Any,
    out: Any,
) -> None:
    for k in range(len(one)):
        for f in range(len(table)):
            out[k] += table[
                f, level_between(one[k], other[k], f, starts, tokens, weights, level_of)
            ]
