"""Tables of counts with their margins.

- A dimension is a tree: codes, any levels above them (month, quarter, year), and the total. A cell
  is one node of every dimension, so every margin of a table is a cell too.
- Tables share cells. Where they say which set of things each cell counts (`sets`), equal sets are
  one cell, whatever the tables call it. Otherwise a cell is named by what is counted and
  by its nodes, totals left out: tables over month and type and over town and type share the types.
- Where one counted person may stand in several codes of a dimension (`overlapping`), a margin is
  not a sum: it lies between the largest of its parts and all of them together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from linkage.errors import InvalidRequestError, LimitError

TOTAL = "total"
MAX_CELLS, MAX_CODES = 100_000, 10_000

Coordinates = tuple[tuple[str, str], ...]
Key = tuple[str, Coordinates]
Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Sets = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Dimension:
    """What a table is broken down by.

    Attributes:
        codes: the finest categories, in the order in which they are shown.
        parents: code -> the one a level up, for as many levels as there are; a code that is not
            there stands directly under the total.
        overlapping: one counted person may be in several codes.
    """

    name: str
    codes: tuple[str, ...]
    parents: Mapping[str, str] = field(default_factory=dict)
    overlapping: bool = False

    def __post_init__(self) -> None:
        if len(set(self.codes)) != len(self.codes) or TOTAL in self.codes or not self.codes:
            raise InvalidRequestError(
                f"dimension {self.name!r}: codes must be distinct, at least one, and not {TOTAL!r}"
            )
        for start in self.codes:
            seen, code = {start}, start
            while code in self.parents:
                code = self.parents[code]
                if code in seen or code in self.codes or code == TOTAL:
                    raise InvalidRequestError(
                        f"dimension {self.name!r}: the levels above {start!r} are no tree"
                    )
                seen.add(code)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Codes, then the levels above them, then the total."""
        above: dict[str, None] = {}
        level: Sequence[str] = self.codes
        while level:
            level = list(dict.fromkeys(self.parents[c] for c in level if c in self.parents))
            for code in level:
                # Behind whatever it is above of, however many levels there are below.
                above.pop(code, None)
                above[code] = None
        return (*self.codes, *above, TOTAL)

    @cached_property
    def children(self) -> dict[int, list[int]]:
        """Place of each node that has parts -> the places of its parts, one level down."""
        place = {node: number for number, node in enumerate(self.nodes)}
        found: dict[int, list[int]] = {}
        for node in self.nodes[:-1]:
            found.setdefault(place[self.parents.get(node, TOTAL)], []).append(place[node])
        return found

    @cached_property
    def below(self) -> Mask:
        """Nodes x codes: whether a code lies under a node."""
        found = np.zeros((len(self.nodes), len(self.codes)), np.bool_)
        found[np.arange(len(self.codes)), np.arange(len(self.codes))] = True
        for node, parts in sorted(self.children.items()):
            found[node] |= found[parts].any(axis=0)
        return found


def require_few_cells(name: str, dimensions: Sequence[Dimension]) -> None:
    """Raises LimitError where a table of these has too many cells; asked before any are made."""
    for one in dimensions:
        if len(one.codes) > MAX_CODES:
            raise LimitError(
                f"table {name!r}: dimension {one.name!r} has more than {MAX_CODES:,} categories",
                remedy="Put categories together, or leave it out",
            )
    if math.prod(len(d.nodes) for d in dimensions) > MAX_CELLS:
        raise LimitError(
            f"table {name!r} has more than {MAX_CELLS:,} cells with its margins",
            remedy="Make it coarser, or publish it in parts that count different things",
        )


@dataclass(frozen=True)
class Table:
    """Counts over dimensions, to be published with margins.

    Attributes:
        name: of the table, for people.
        counted: what is counted; tables with the same `counted` are about the same things, so
            equal nodes mean the same cell.
        values: one axis per dimension, over its codes; over its nodes where it is overlapping.
        people: how many people stand behind each cell, over the nodes of every dimension; None
            where what is counted are people, or where that is not known.
        margins: the sets of dimensions by which it is shown, all of them always among them; the
            others stand at their total, and the levels above a code are shown with it. None shows
            every set.
        finest: show no level between the codes and the total.
        sets: a number for the set of things that each cell counts, over the nodes of every
            dimension: the sum of random numbers of theirs. None where it is not known.
    """

    name: str
    counted: str
    dimensions: tuple[Dimension, ...]
    values: Counts
    people: Counts | None = None
    margins: Collection[frozenset[str]] | None = None
    finest: bool = False
    sets: Sets | None = None

    def __post_init__(self) -> None:
        shape = tuple(len(d.nodes if d.overlapping else d.codes) for d in self.dimensions)
        if self.values.shape != shape:
            raise InvalidRequestError(f"table {self.name!r}: counts do not fit its dimensions")
        if self.people is not None and self.people.shape != self.shape:
            raise InvalidRequestError(f"table {self.name!r}: people do not fit its dimensions")
        if self.sets is not None and self.sets.shape != self.shape:
            raise InvalidRequestError(f"table {self.name!r}: sets do not fit its dimensions")
        if self.values.size and int(self.values.min()) < 0:
            raise InvalidRequestError(f"table {self.name!r}: a count is negative")
        require_few_cells(self.name, self.dimensions)

    @property
    def shape(self) -> tuple[int, ...]:
        """Nodes per dimension."""
        return tuple(len(d.nodes) for d in self.dimensions)

    @cached_property
    def all_values(self) -> Counts:
        """Every cell, margins among them."""
        found = self.values.astype(np.int64)
        for axis, dimension in enumerate(self.dimensions):
            if not dimension.overlapping:
                below = dimension.below.astype(np.int64)
                found = np.moveaxis(np.tensordot(below, found, axes=(1, axis)), 0, axis)
        return found

    @cached_property
    def shown(self) -> Mask:
        """Which cells are to be published."""
        every = frozenset(d.name for d in self.dimensions)
        found = np.zeros(self.shape, np.bool_)
        for names in _subsets(every) if self.margins is None else {every, *self.margins}:
            part = np.ones(self.shape, np.bool_)
            for axis, dimension in enumerate(self.dimensions):
                at = np.arange(len(dimension.nodes)) == len(dimension.nodes) - 1
                if dimension.name in names:
                    at = np.arange(len(at)) < len(dimension.codes) if self.finest else ~at
                part &= at.reshape([-1 if a == axis else 1 for a in range(len(self.shape))])
            found |= part
        return found

    def keys(self) -> list[Key]:
        """The name of every cell, in C order."""
        pairs = [[(d.name, n) if n != TOTAL else None for n in d.nodes] for d in self.dimensions]
        return [
            (self.counted, tuple(sorted(p for p in nodes if p is not None)))
            for nodes in itertools.product(*pairs)
        ]


def _subsets(names: frozenset[str]) -> Iterator[frozenset[str]]:
    for size in range(len(names) + 1):
        yield from map(frozenset, itertools.combinations(sorted(names), size))
