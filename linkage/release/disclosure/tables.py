"""Tables of counts with their margins, and what a reader knows of how their cells hang together.

- A dimension is a tree: codes, any levels above them (month, quarter, year), and the total. A cell
  is one node of every dimension, so every margin of a table is a cell too.
- Tables that count the same thing share cells: a cell is named by what is counted and by its
  nodes, totals left out. Two tables over month and type, and over town and type, share the types.
- Where one counted person may stand in several codes of a dimension (`overlapping`), a margin is
  not a sum: it lies between the largest of its parts and all of them together.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from linkage.errors import InvalidRequestError, LimitError

TOTAL = "total"
MAX_CELLS = 100_000

Coordinates = tuple[tuple[str, str], ...]
Key = tuple[str, Coordinates]
Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]


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
    """

    name: str
    counted: str
    dimensions: tuple[Dimension, ...]
    values: Counts
    people: Counts | None = None
    margins: Collection[frozenset[str]] | None = None

    def __post_init__(self) -> None:
        shape = tuple(len(d.nodes if d.overlapping else d.codes) for d in self.dimensions)
        if self.values.shape != shape:
            raise InvalidRequestError(f"table {self.name!r}: counts do not fit its dimensions")
        if self.people is not None and self.people.shape != self.shape:
            raise InvalidRequestError(f"table {self.name!r}: people do not fit its dimensions")
        if self.values.size and int(self.values.min()) < 0:
            raise InvalidRequestError(f"table {self.name!r}: a count is negative")
        if int(np.prod([float(n) for n in self.shape])) > MAX_CELLS:
            raise LimitError(
                f"table {self.name!r} has more than {MAX_CELLS:,} cells with its margins",
                remedy="Make it coarser, or publish it in parts that count different things",
            )

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
        found = np.ones(self.shape, np.bool_)
        if self.margins is None:
            return found
        allowed = {frozenset(d.name for d in self.dimensions), *self.margins}
        total = [np.arange(len(d.nodes)) == len(d.nodes) - 1 for d in self.dimensions]
        found[:] = False
        for names in allowed:
            part = np.ones(self.shape, np.bool_)
            for axis, dimension in enumerate(self.dimensions):
                at = total[axis] if dimension.name not in names else ~total[axis]
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


@dataclass(frozen=True)
class System:
    """The cells of all tables of a release, and every relation that a reader knows of.

    Attributes:
        value: of each cell.
        need: by how much a reader's upper bound must lie above the value; 0 where a cell needs no
            protection.
        shown: to be published, unless it is suppressed.
        fixed: known to the reader already, as an earlier release published it.
        equal, at_most: rows r with r . value = 0, and with r . value <= 0.
        places: per table, the place of each of its cells.
    """

    keys: tuple[Key, ...]
    value: Counts
    need: Counts
    shown: Mask
    fixed: Mask
    totals: Counts
    equal: sp.csr_array
    at_most: sp.csr_array
    places: tuple[Places, ...]

    @property
    def primary(self) -> Mask:
        """Cells that must not be proved to be small."""
        return self.need > 0

    @property
    def least(self) -> Counts:
        """What a reader knows every hidden cell to be at least: zeros are published."""
        return np.where(self.shown, np.minimum(1, self.value), 0)

    @classmethod
    def of(
        cls, tables: Sequence[Table], *, k: int, published: Mapping[Key, int] | None = None
    ) -> System:
        """Args:
            published: cells that readers know from earlier releases.

        Raises:
            InvalidRequestError: two tables count one cell differently.
            LimitError: too many cells.
        """
        place: dict[Key, int] = {}
        places, values, shown, few, totals = [], [], [], [], []
        for table in tables:
            names = table.keys()
            at = np.array([place.setdefault(key, len(place)) for key in names], np.int64)
            places.append(at.reshape(table.shape))
            values.append(table.all_values.ravel())
            shown.append(table.shown.ravel())
            people = table.people
            few.append(
                np.zeros(len(at), np.bool_)
                if people is None
                else ((people > 0) & (people < k)).ravel()
            )
            totals.append(_totals(table))
        count = len(place)
        if count > MAX_CELLS:
            raise LimitError(f"the tables have more than {MAX_CELLS:,} cells together")
        value, every = np.zeros(count, np.int64), np.concatenate([p.ravel() for p in places])
        value[every] = np.concatenate(values)
        if (value[every] != np.concatenate(values)).any():
            wrong = tables[
                next(
                    number
                    for number, at in enumerate(places)
                    if (value[at.ravel()] != values[number]).any()
                )
            ]
            raise InvalidRequestError(
                f"table {wrong.name!r} counts a cell otherwise than another table of the same"
                f" {wrong.counted!r}",
                remedy="Tables that count different things must say so by another `counted`",
            )
        visible, behind = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        np.logical_or.at(visible, every, np.concatenate(shown))
        np.logical_or.at(behind, every, np.concatenate(few))
        outer = np.zeros(count, np.int64)
        outer[every] = np.concatenate(totals)
        need = np.where((value > 0) & (value < k), k - value, np.where(behind & (value > 0), k, 0))
        fixed = np.zeros(count, np.bool_)
        for key, known in (published or {}).items():
            if key in place:
                if value[place[key]] != known:
                    raise InvalidRequestError(
                        "an earlier release published a cell with another count",
                        remedy="See whether the releases may be compared before they are joined",
                    )
                fixed[place[key]] = True
        equal, at_most = _relations(tables, places, count)
        return cls(
            tuple(place), value, need, visible | fixed, fixed, outer, equal, at_most, tuple(places)
        )


def _totals(table: Table) -> Counts:
    """In how many dimensions each cell stands above the codes."""
    found = np.zeros(table.shape, np.int64)
    for axis, dimension in enumerate(table.dimensions):
        above = (np.arange(len(dimension.nodes)) >= len(dimension.codes)).astype(np.int64)
        found += above.reshape([-1 if a == axis else 1 for a in range(len(table.shape))])
    return found.ravel()


def _relations(
    tables: Sequence[Table], places: Sequence[Places], count: int
) -> tuple[sp.csr_array, sp.csr_array]:
    sums: list[tuple[Places, list[Places]]] = []
    bounds: list[tuple[Places, list[Places]]] = []
    for table, at in zip(tables, places, strict=True):
        for axis, dimension in enumerate(table.dimensions):
            for node, parts in dimension.children.items():
                whole = at.take(node, axis=axis).ravel()
                split = [at.take(part, axis=axis).ravel() for part in parts]
                if not dimension.overlapping:
                    sums.append((whole, split))
                    continue
                bounds.append((whole, split))
                # No part is larger than the whole.
                bounds.extend((part, [whole]) for part in split)
    return _matrix(sums, count), _matrix(bounds, count)


def _matrix(relations: Sequence[tuple[Places, list[Places]]], count: int) -> sp.csr_array:
    """Rows `whole - parts`; each distinct one once."""
    rows, columns, signs, start = [], [], [], 0
    for whole, parts in relations:
        number = np.arange(start, start + len(whole))
        start += len(whole)
        for at, sign in ((whole, 1), *((part, -1) for part in parts)):
            rows.append(number)
            columns.append(at)
            signs.append(np.full(len(at), sign, np.float64))
    if not rows:
        return sp.csr_array((0, count))
    return sp.coo_array(
        (np.concatenate(signs), (np.concatenate(rows), np.concatenate(columns))),
        shape=(start, count),
    ).tocsr()
