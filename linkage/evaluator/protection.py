"""Which cells of a report may not be shown: the disclosure gate, asked the way reports ask.

- The smallest count that may be shown is the manifest's; 11 where it says nothing.
- Tables about the same people are protected together: what one shows gives nothing of another
  away.
- A group is hidden whole if any of its counts may not be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from linkage.release.disclosure import (
    TOTAL,
    K,
    ProtectedTable,
    protect,
    protect_tables,
    table_of_counts,
)

GROUP, COLUMN = "group", "column"


def smallest(manifest: Mapping[str, Any]) -> int:
    """The smallest count, beside 0, that the manifest lets be shown."""
    rules = manifest.get("disclosure") or {}
    return int(rules.get("min_cell") or rules.get("k") or K)


def hidden_groups(
    tables: Mapping[str, pd.DataFrame],
    *,
    k: int,
    people: Mapping[str, pd.DataFrame] | None = None,
) -> dict[str, dict[str, bool]]:
    """By table and group, whether the group is hidden; `TOTAL` for everybody.

    Args:
        tables: counts of the same people, each by groups (rows) that partition them and by the
            same columns.
        people: how many people stand behind each count, where it is not people that are counted.

    Raises:
        DisclosureError: the tables cannot be protected.
    """
    made = [
        table_of_counts(
            _long(name, counts, None if people is None else people[name]),
            [name, COLUMN],
            people=None if people is None else "people",
            name=name,
        )
        for name, counts in tables.items()
    ]
    protected = protect_tables(made, k=k)
    return {
        name: {str(group): bool(part) for group, part in _by_group(table, name).items()}
        for name, table in zip(tables, protected, strict=True)
    }


def hidden_cells(counts: pd.DataFrame, *, k: int) -> pd.DataFrame:
    """Whether each cell of a table of counts is hidden, with its totals (`TOTAL`) beside it."""
    table = table_of_counts(_long(GROUP, counts, None), [GROUP, COLUMN])
    return _grid(protect_tables([table], k=k)[0], GROUP)


def hidden_overlapping(rows: pd.DataFrame, *, k: int) -> pd.DataFrame:
    """The same of people who may be in several groups.

    Args:
        rows: `person`, `group` and `column`; one row for each group that a person is in.
    """
    found = protect(rows, [GROUP, COLUMN], person="person", people=True, k=k)
    return _grid(found, GROUP)


def _long(name: str, counts: pd.DataFrame, people: pd.DataFrame | None) -> pd.DataFrame:
    long = pd.DataFrame(
        {
            name: np.repeat(counts.index.astype(str), counts.shape[1]),
            COLUMN: np.tile(counts.columns.astype(str), counts.shape[0]),
            "count": counts.to_numpy(np.int64).ravel(),
        }
    )
    return long if people is None else long.assign(people=people.to_numpy(np.int64).ravel())


def _by_group(table: ProtectedTable, name: str) -> pd.Series[bool]:
    return table.cells.groupby(name)["suppressed"].any()


def _grid(table: ProtectedTable, name: str) -> pd.DataFrame:
    return table.cells.pivot_table(
        index=name, columns=COLUMN, values="suppressed", aggfunc="any", observed=False
    )


__all__ = ["TOTAL", "hidden_cells", "hidden_groups", "hidden_overlapping", "smallest"]
