"""From linked pairs to groups, so that a chain of links cannot join what contradicts itself.

The rule: links are taken strongest first. A link joins two groups unless a record of one and a
record of the other are clearly two persons; then the groups stay apart, and both are flagged.

- Equal links are taken in the order of the records, which are sorted by content: the same records
  in any order of the file give the same groups.
- A group has at most `MOST_RECORDS` distinct records, which bounds time and memory; a link that
  would make a larger one is left out, and flagged too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.agent.dedupe.recordset import Rows

Floats = npt.NDArray[np.float64]
Apart = Callable[[Rows, Rows], npt.NDArray[np.bool_]]
"""Which of these pairs of records are clearly two persons."""

MOST_RECORDS = 500
_PAIRS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Groups:
    """Which records are one person.

    Attributes:
        group: (records,) a record of its group, the same for all of them; itself where alone.
        weakest: per group of two or more records, the weakest link that holds it together.
        apart: per group that was kept apart from others, those others.
    """

    group: Rows
    weakest: dict[int, float]
    apart: dict[int, frozenset[int]]


def make_groups(records: int, left: Rows, right: Rows, probability: Floats, apart: Apart) -> Groups:
    """Join linked records.

    Args:
        left, right: (links,) records.
        probability: (links,)
        apart: asked about pairs of records that hang together by links.
    """
    order = np.lexsort([right, left, -probability])
    links = list(
        zip(
            left[order].tolist(),
            right[order].tolist(),
            probability[order].tolist(),
            strict=True,
        )
    )
    pieces = _Forest(records)
    for one, other, _ in links:
        pieces.join(one, other)
    enemies = _enemies(pieces, apart)
    forest = _Forest(records)
    weakest: dict[int, float] = {}
    refused: list[tuple[int, int]] = []
    for one, other, chance in links:
        a, b = forest.root(one), forest.root(other)
        if a == b:
            continue
        strange = pieces.root(one) != pieces.root(other)
        if strange or _hostile(forest, enemies, a, b) or not forest.join(a, b):
            refused.append((one, other))
            continue
        weakest.pop(a, None)
        weakest.pop(b, None)
        weakest[forest.root(a)] = chance
    group = np.array([forest.root(record) for record in range(records)], np.int64)
    kept_apart: dict[int, set[int]] = {}
    for one, other in refused:
        a, b = int(group[one]), int(group[other])
        if a != b:
            kept_apart.setdefault(a, set()).add(b)
            kept_apart.setdefault(b, set()).add(a)
    return Groups(group, weakest, {a: frozenset(bs) for a, bs in kept_apart.items()})


class _Forest:
    """Disjoint sets of records, none larger than `MOST_RECORDS`."""

    def __init__(self, records: int) -> None:
        self._parent = list(range(records))
        self._members: dict[int, list[int]] = {}

    def root(self, record: int) -> int:
        parent = self._parent
        while parent[record] != record:
            parent[record] = parent[parent[record]]
            record = parent[record]
        return record

    def members(self, root: int) -> list[int]:
        return self._members.get(root, [root])

    def larger(self) -> Iterator[list[int]]:
        """The sets of three and more."""
        yield from (members for members in self._members.values() if len(members) > 2)

    def join(self, one: int, other: int) -> bool:
        """Whether the two are in one set now."""
        a, b = self.root(one), self.root(other)
        if a == b:
            return True
        whole = self.members(a) + self.members(b)
        if len(whole) > MOST_RECORDS:
            return False
        first, second = min(a, b), max(a, b)
        self._parent[second] = first
        self._members.pop(second, None)
        self._members[first] = whole
        return True


def _enemies(pieces: _Forest, apart: Apart) -> dict[int, set[int]]:
    """Per record, those of its piece that are clearly another person."""
    found: dict[int, set[int]] = {}
    for one, other in _pairs_within(pieces):
        clear = apart(one, other)
        for a, b in zip(one[clear].tolist(), other[clear].tolist(), strict=True):
            found.setdefault(a, set()).add(b)
            found.setdefault(b, set()).add(a)
    return found


def _pairs_within(pieces: _Forest) -> Iterator[tuple[Rows, Rows]]:
    """All pairs of records of one piece, so many at a time."""
    ones: list[Rows] = []
    others: list[Rows] = []
    waiting = 0
    for members in pieces.larger():
        records = np.sort(np.array(members, np.int64))
        low, high = np.triu_indices(len(records), 1)
        ones.append(records[low])
        others.append(records[high])
        waiting += len(low)
        if waiting >= _PAIRS_AT_ONCE:
            yield np.concatenate(ones), np.concatenate(others)
            ones, others, waiting = [], [], 0
    if waiting:
        yield np.concatenate(ones), np.concatenate(others)


def _hostile(forest: _Forest, enemies: dict[int, set[int]], a: int, b: int) -> bool:
    if not enemies:
        return False
    small, large = sorted((a, b), key=lambda root: len(forest.members(root)))
    return any(
        forest.root(enemy) == large
        for member in forest.members(small)
        for enemy in enemies.get(member, ())
    )
