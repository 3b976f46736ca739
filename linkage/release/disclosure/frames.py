"""Tables from rows of data, or from counts that somebody made, and protected tables as frames."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from linkage.errors import InvalidRequestError
from linkage.release.disclosure.tables import (
    TOTAL,
    Counts,
    Dimension,
    Sets,
    Table,
    require_few_cells,
)

UNKNOWN = "not known"


def table_of_rows(
    frame: pd.DataFrame,
    by: Sequence[str],
    *,
    name: str = "table",
    counted: str = "rows",
    person: str | None = None,
    people: bool = False,
    levels: Mapping[str, Mapping[str, str]] | None = None,
    codes: Mapping[str, Sequence[str]] | None = None,
    margins: Collection[Collection[str]] | None = None,
    finest: bool = False,
    record: str | None = None,
) -> Table:
    """Count rows, or the people behind them.

    Args:
        person: column that says whose row it is; cells with few people are small cells even where
            they have many rows.
        people: count people instead of rows. One who has rows in several categories of a dimension
            counts in each, and once in its total.
        levels: per dimension, code -> the one a level up (month -> quarter, quarter -> year).
        codes: per dimension the categories there can be, beside those that there are.
        margins, finest: see `Table`.
        record: column of names of what is counted; tables of which it is given share the cells that
            count the same (`Table.sets`). Two rows of one name count twice, a person once.
    """
    _require_columns(frame, [*by, *(name for name in (person, record) if name)])
    if people and person is None:
        raise InvalidRequestError("to count people, say which column tells them apart")
    columns = {name: _texts(frame[name]) for name in by}
    dimensions = [
        _dimension(name, column, levels, codes, people and _overlaps(column, frame[str(person)]))
        for name, column in columns.items()
    ]
    require_few_cells(name, dimensions)
    place = [
        pd.Categorical(columns[d.name], categories=list(d.codes)).codes.astype(np.int64)
        for d in dimensions
    ]
    behind = None
    if person is not None:
        numbers = pd.factorize(frame[person])[0].astype(np.int64)
        behind = _distinct(dimensions, place, numbers)
    sets = None
    if record is not None:
        names = pd.util.hash_pandas_object(frame[record].astype(str), index=False)
        once = numbers if people else np.arange(len(frame))
        sets = _sums(dimensions, place, once, names.to_numpy())
    if people and behind is not None:
        values = behind
        for axis, dimension in enumerate(dimensions):
            if not dimension.overlapping:
                values = values.take(range(len(dimension.codes)), axis=axis)
    else:
        shape = tuple(len(d.codes) for d in dimensions)
        flat = np.ravel_multi_index(place, shape) if len(frame) else np.empty(0, np.int64)
        values = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
    return Table(
        name,
        counted,
        tuple(dimensions),
        values.astype(np.int64),
        None if people else behind,
        _sets(margins),
        finest,
        sets,
    )


def table_of_counts(
    frame: pd.DataFrame,
    by: Sequence[str],
    *,
    count: str = "count",
    people: str | None = None,
    name: str = "table",
    counted: str | None = None,
    levels: Mapping[str, Mapping[str, str]] | None = None,
    codes: Mapping[str, Sequence[str]] | None = None,
    margins: Collection[Collection[str]] | None = None,
) -> Table:
    """A table of counts that were made already, one row per cell; what is not there is 0.

    Args:
        count: column of whole numbers that add up over every dimension.
        people: column that says how many people stand behind a cell.
    """
    _require_columns(frame, [*by, count, *([people] if people else [])])
    columns = {name: _texts(frame[name]) for name in by}
    dimensions = [_dimension(n, column, levels, codes, False) for n, column in columns.items()]
    counts = frame[count].to_numpy()
    if not np.issubdtype(counts.dtype, np.integer):
        raise InvalidRequestError(f"column {count!r} does not hold whole numbers")
    require_few_cells(name, dimensions)
    place = tuple(
        pd.Categorical(columns[d.name], categories=list(d.codes)).codes.astype(np.int64)
        for d in dimensions
    )
    values = np.zeros(tuple(len(d.codes) for d in dimensions), np.int64)
    np.add.at(values, place, counts)
    behind = None
    if people is not None:
        behind = np.zeros(values.shape, np.int64)
        np.add.at(behind, place, frame[people].to_numpy(np.int64))
        # Of a margin it is known only that it holds as many people as its largest part.
        for axis, dimension in enumerate(dimensions):
            parts = [behind.take(np.flatnonzero(under), axis=axis) for under in dimension.below]
            behind = np.stack([part.max(axis=axis) for part in parts], axis=axis)
    return Table(name, counted or count, tuple(dimensions), values, behind, _sets(margins))


def record_names(rows: pd.DataFrame, table: str, person: str | None = None) -> pd.Series[str]:
    """A name for each row of a table, for `table_of_rows`.

    Args:
        person: column that says whose row it is, in a table about persons: a person's first row has
            the person's name, so that a count of persons' rows is known to be one of persons.
    """
    named: pd.Series[str] = table + "/" + pd.Series(range(len(rows)), index=rows.index).astype(str)
    return named if person is None else rows[person].mask(rows[person].duplicated(), named)


def frame_of(table: Table, suppressed: Any, values: Counts) -> pd.DataFrame:
    """The shown cells: a column per dimension (`total` in margins), `count`, `suppressed`."""
    shown = table.shown.ravel()
    grid = np.meshgrid(*(np.arange(n) for n in table.shape), indexing="ij")
    columns: dict[str, Any] = {
        d.name: np.array(d.nodes, object)[at.ravel()[shown]]
        for d, at in zip(table.dimensions, grid, strict=True)
    }
    hidden = suppressed.ravel()[shown]
    counts = pd.array(values.ravel()[shown], dtype="Int64")
    counts[hidden] = pd.NA
    columns["count"] = counts
    columns["suppressed"] = hidden
    return pd.DataFrame(columns)


def _require_columns(frame: pd.DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InvalidRequestError(f"there is no column {', '.join(map(repr, missing))}")


def _texts(column: pd.Series[Any]) -> pd.Series[str]:
    return column.astype(object).where(column.notna(), UNKNOWN).astype(str)


def _dimension(
    name: str,
    column: pd.Series[str],
    levels: Mapping[str, Mapping[str, str]] | None,
    codes: Mapping[str, Sequence[str]] | None,
    overlapping: bool,
) -> Dimension:
    declared = list(dict.fromkeys((codes or {}).get(name, ())))
    there = sorted(set(column.unique()) - set(declared) - {UNKNOWN})
    last = [UNKNOWN] if UNKNOWN in set(column.unique()) and UNKNOWN not in declared else []
    found = (*declared, *there, *last) or (UNKNOWN,)
    return Dimension(name, found, dict((levels or {}).get(name, {})), overlapping)


def _overlaps(column: pd.Series[str], person: pd.Series[Any]) -> bool:
    pairs = pd.DataFrame({"code": column.to_numpy(), "person": person.to_numpy()})
    return bool(pairs.drop_duplicates()["person"].duplicated().any())


def _cells(dimensions: Sequence[Dimension], place: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Every cell that a row is in, margins among them: (rows, their cells), each pair once."""
    shape = tuple(len(d.nodes) for d in dimensions)
    ladders = [
        [rung[at] for rung in _rungs(dimension)]
        for dimension, at in zip(dimensions, place, strict=True)
    ]
    for rung_of in itertools.product(*ladders):
        rows = np.flatnonzero(np.logical_and.reduce([rung >= 0 for rung in rung_of]))
        yield rows, np.ravel_multi_index([rung[rows] for rung in rung_of], shape)


def _rungs(dimension: Dimension) -> list[Any]:
    """By height, the node of that height that each code lies under; -1 where there is none."""
    height = np.zeros(len(dimension.nodes), np.int64)
    for node, parts in sorted(dimension.children.items()):
        height[node] = height[parts].max() + 1
    found = []
    for level in range(int(height.max()) + 1):
        nodes = np.flatnonzero(height == level)
        under = dimension.below[nodes]
        found.append(np.where(under.any(axis=0), nodes[under.argmax(axis=0)], -1))
    return found


def _distinct(dimensions: Sequence[Dimension], place: Sequence[Any], person: Any) -> Counts:
    """How many people stand behind every cell, margins among them."""
    shape = tuple(len(d.nodes) for d in dimensions)
    found = np.zeros(int(np.prod(shape)), np.int64)
    for rows, cells in _cells(dimensions, place):
        pairs = pd.DataFrame({"cell": cells, "person": person[rows]}).drop_duplicates()
        found += np.bincount(pairs["cell"].to_numpy(np.int64), minlength=len(found))
    return found.reshape(shape)


def _sums(dimensions: Sequence[Dimension], place: Sequence[Any], once: Any, names: Any) -> Sets:
    """The sum of the names of what is counted in every cell, round 2^64; what is equal in `once`
    counts once.
    """
    shape = tuple(len(d.nodes) for d in dimensions)
    found = np.zeros(int(np.prod(shape)), np.uint64)
    for rows, cells in _cells(dimensions, place):
        first = ~pd.DataFrame({"cell": cells, "once": once[rows]}).duplicated().to_numpy()
        np.add.at(found, cells[first], names[rows[first]])
    return found.reshape(shape)


def _sets(margins: Collection[Collection[str]] | None) -> frozenset[frozenset[str]] | None:
    return None if margins is None else frozenset(frozenset(names) for names in margins)


__all__ = ["TOTAL", "UNKNOWN", "frame_of", "record_names", "table_of_counts", "table_of_rows"]
