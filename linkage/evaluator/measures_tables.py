"""Reported measures as tables of counts: what adds up to what is seen from the values.

Partners report values, not how they hang together. A group whose values are, in every month, the
sums of the other groups' is taken for their total; a year's value that is the sum of its months,
for the year's total. Whoever reads the values sees that too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from linkage.release.disclosure import TOTAL, Dimension, Table

GROUP, PERIOD = "group", "period"
LEAST = 2
"""Sums that must hold for a total to be one, where there are so many."""

Nodes = dict[str, str]
Places = dict[Any, Nodes]


def reported_tables(measure: object, rows: pd.DataFrame) -> Iterator[tuple[Table, Places]]:
    """Tables that hold every value of a measure, and at which nodes each row stands.

    Args:
        rows: `group`, `year`, `month` (missing for a year's value), `value`: whole, not negative.
    """
    period = [
        "undated" if pd.isna(year) else f"{year}" if pd.isna(month) else f"{year}-{month:02d}"
        for year, month in zip(rows["year"], rows["month"], strict=True)
    ]
    cells = rows.assign(group=rows[GROUP].astype(str), period=period)
    again = cells.duplicated([GROUP, PERIOD])
    grid = cells[~again].pivot_table(index=GROUP, columns=PERIOD, values="value", aggfunc="first")
    yield _table(str(measure), grid, cells[~again])
    # A second value for the same group and time is a count of its own.
    for place, row in cells[again].iterrows():
        alone = pd.DataFrame({row[PERIOD]: [row["value"]]}, index=[row[GROUP]])
        yield _table(f"{measure}, row {place}", alone, cells.loc[[place]])


def _table(name: str, grid: pd.DataFrame, cells: pd.DataFrame) -> tuple[Table, Places]:
    whole = _total(grid)
    parts = grid.drop(index=[] if whole is None else [whole])
    months = [str(one) for one in grid.columns if "-" in str(one)]
    years = {
        str(year): [month for month in months if month[:4] == year]
        for year in grid.columns
        if "-" not in str(year) and _adds_up(grid, str(year), months)
    }
    levels = {month: year for year, of_year in years.items() for month in of_year}
    codes = [str(one) for one in grid.columns if str(one) not in years]
    groups = Dimension(GROUP, tuple(f"group {one}" for one in parts.index))
    periods = Dimension(PERIOD, tuple(codes), levels)
    values = parts[codes].fillna(0).to_numpy(np.int64)
    margins = [] if whole is None else [frozenset({PERIOD})]
    table = Table(name, name, (groups, periods), values, margins=frozenset(margins))
    places = {
        place: {
            GROUP: TOTAL if group == whole else f"group {group}",
            PERIOD: period,
        }
        for place, group, period in zip(cells.index, cells[GROUP], cells[PERIOD], strict=True)
    }
    return table, places


def _total(grid: pd.DataFrame) -> str | None:
    """The group that is the sum of all others."""
    known = grid.dropna(axis=1)
    if len(grid) <= 2 or known.shape[1] < min(LEAST, grid.shape[1]):
        return None
    every = known.sum()
    sums = (group for group in known.index if (every == 2 * known.T[group]).all())
    return next(map(str, sums), None) if every.any() else None


def _adds_up(grid: pd.DataFrame, year: str, months: list[str]) -> bool:
    """Whether a year's values are the sums of its months', in every group that has them."""
    own = [month for month in months if month[:4] == year]
    known = grid[[year, *own]].dropna()
    whole = len(own) > 1 and len(known) == len(grid)
    return whole and bool((known[own].sum(axis=1) == known[year]).all())
