"""The cells of all tables that readers have, and every relation between them that readers know."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from linkage.errors import InvalidRequestError, LimitError
from linkage.release.disclosure.tables import MAX_CELLS, Counts, Key, Mask, Table

Places = npt.NDArray[np.int64]
Needs = Mapping[tuple[Key, int], int]

MAX_NAMED = 5


@dataclass(frozen=True)
class Told:
    """A table that readers have already: what it shows they know, and no small cell that it hides
    may be proved small. What it hides for the sake of others a table to be published may show.

    Attributes:
        suppressed: which cells it does not show, over the nodes of every dimension.
        k: the smallest count that it shows, beside 0.
    """

    table: Table
    suppressed: Mask
    k: int


@dataclass(frozen=True)
class System:
    """The cells of all tables of a release, and every relation that a reader knows of.

    Attributes:
        keys: a name of each cell; it may have others.
        value: of each cell.
        need: by how much a reader's upper bound must lie above the value; 0 where a cell needs no
            protection.
        shown: to be published, unless it is suppressed.
        fixed: known to the reader already, as it was published before.
        closed: suppressed before, and not to be shown: in no table that is to be published, or to
            stay hidden there.
        equal, at_most: rows r with r . value = 0, and with r . value <= 0.
        places: per table, the place of each of its cells.
    """

    keys: tuple[Key, ...]
    value: Counts
    need: Counts
    shown: Mask
    fixed: Mask
    closed: Mask
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
        cls,
        tables: Sequence[Table],
        *,
        k: int,
        published: Mapping[Key, int] | None = None,
        before: Sequence[Told] = (),
        needs: Needs | None = None,
        hidden: Collection[Key] = (),
    ) -> System:
        """Args:
            published: cells that readers know, whatever table they know them from.
            before: tables that readers have.
            needs: by how much more than `k` asks a reader must be in doubt about a cell of a name
                and count.
            hidden: cells to be suppressed, whether or not others need it.

        Raises:
            InvalidRequestError: two tables count one cell differently.
            LimitError: too many cells.
        """
        cells = _Cells()
        every = [*tables, *(one.table for one in before)]
        places = [cells.places(table) for table in every]
        count = len(cells.keys)
        if count > MAX_CELLS:
            raise _too_many(tables, before)
        value, need, totals = (np.zeros(count, np.int64) for _ in range(3))
        shown, fixed, closed, open_ = (np.zeros(count, np.bool_) for _ in range(4))
        for table, at in zip(every, places, strict=True):
            value[at.ravel()] = table.all_values.ravel()
        _require_alike(every, places, value)
        for number, (table, at) in enumerate(zip(every, places, strict=True)):
            told = before[number - len(tables)] if number >= len(tables) else None
            np.maximum.at(need, at.ravel(), _need(table, k if told is None else told.k))
            totals[at.ravel()] = _totals(table)
            shown[at[table.shown]] = True
            if told is None:
                open_[at[table.shown]] = True
            else:
                fixed[at[table.shown & ~told.suppressed]] = True
                closed[at[told.suppressed]] = True
        for key, known in (published or {}).items():
            fixed[cells.known(key, known, value)] = True
        for (key, known), more in (needs or {}).items():
            here = [place for place in cells.named.get(key, ()) if value[place] == known > 0]
            need[here] = np.maximum(need[here], more)
        closed &= ~open_
        for key in hidden:
            for place in cells.named.get(key, ()):
                closed[place] |= value[place] > 0
        equal, at_most = _relations(every, places, count)
        return cls(
            tuple(cells.keys),
            value,
            need,
            shown | fixed,
            fixed,
            closed & ~fixed,
            totals,
            equal,
            at_most,
            tuple(places[: len(tables)]),
        )


def _too_many(tables: Sequence[Table], before: Sequence[Told]) -> LimitError:
    sizes = [(math.prod(one.shape), repr(one.name)) for one in tables]
    sizes += [(math.prod(one.table.shape), f"{one.table.name!r}, shown before") for one in before]
    named = [f"{name} ({size:,})" for size, name in sorted(sizes, reverse=True)[:MAX_NAMED]]
    more = f" and {len(sizes) - MAX_NAMED} more" if len(sizes) > MAX_NAMED else ""
    largest = max(tables, key=lambda one: math.prod(one.shape))
    broken_down = ", ".join(
        f"{one.name} ({len(one.codes):,} categories)"
        for one in sorted(largest.dimensions, key=lambda one: -len(one.codes))
    )
    return LimitError(
        f"tables that share cells have more than {MAX_CELLS:,} cells together: "
        + ", ".join(named)
        + more,
        remedy=f"Make {largest.name!r} coarser, which is broken down by {broken_down}, or leave it"
        " out",
    )


class _Cells:
    """A place for every cell: the same one for cells of one set, else for cells of one name.

    Attributes:
        named: the places of the sets that go by a name.
    """

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.named: dict[Key, list[int]] = {}
        self._of_set: dict[int, int] = {}
        self._set_at: dict[int, int] = {}
        self._empty_at: dict[Key, int] = {}

    def places(self, table: Table) -> Places:
        if table.sets is None:
            found = [self._at(key, 0) for key in table.keys()]  # noqa: SIM118 - not a mapping
        else:
            sets, there = table.sets.ravel().tolist(), (table.all_values > 0).ravel().tolist()
            found = [
                self._at(key, one) if some else self._empty(key)
                for key, one, some in zip(table.keys(), sets, there, strict=True)
            ]
        return np.array(found, np.int64).reshape(table.shape)

    def known(self, key: Key, count: int, value: Counts) -> list[int]:
        """The places of a name that have a count.

        Raises:
            InvalidRequestError: there are others alone.
        """
        named = self.named.get(key, [])
        alike = [place for place in named if value[place] == count]
        if named and not alike:
            raise InvalidRequestError(
                "an earlier release published a cell with another count",
                remedy="See whether the releases may be compared before they are joined",
            )
        return alike

    def _empty(self, key: Key) -> int:
        """That of an empty set, which is no other's: a reader is told of each zero by itself."""
        if key not in self._empty_at:
            self._empty_at[key] = self._new(key)
            self._set_at[self._empty_at[key]] = 0
        return self._empty_at[key]

    def _new(self, key: Key) -> int:
        self.keys.append(key)
        self.named.setdefault(key, []).append(len(self.keys) - 1)
        return len(self.keys) - 1

    def _at(self, key: Key, one: int) -> int:
        at = self._of_set.get(one) if one else None
        if at is None:
            at = next(iter(self.named.get(key, ())), None)
            # Two sets may go by one name, in tables that say of what set each cell is.
            if at is None or (one and at in self._set_at):
                at = self._new(key)
            if one:
                self._of_set[one], self._set_at[at] = at, one
        if at not in (named := self.named.setdefault(key, [])):
            named.append(at)
        return at


def _require_alike(tables: Sequence[Table], places: Sequence[Places], value: Counts) -> None:
    for table, at in zip(tables, places, strict=True):
        if (value[at] != table.all_values).any():
            raise InvalidRequestError(
                f"table {table.name!r} counts a cell otherwise than another table of the same"
                f" {table.counted!r}",
                remedy="Tables that count different things must say so by another `counted`",
            )


def _need(table: Table, k: int) -> Counts:
    value = table.all_values.ravel()
    few = np.zeros(len(value), np.bool_)
    if table.people is not None:
        few = ((table.people > 0) & (table.people < k)).ravel()
    return np.where((value > 0) & (value < k), k - value, np.where(few & (value > 0), k, 0))


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
    """Rows `whole - parts`."""
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
    found = sp.coo_array(
        (np.concatenate(signs), (np.concatenate(rows), np.concatenate(columns))),
        shape=(start, count),
    ).tocsr()
    # A whole of one part is that part: they are one cell where sets are known.
    found.eliminate_zeros()
    return found[np.diff(found.indptr) > 0]
