"""Measures over time in one tidy form: group, measure, goal, year, month, value.

- Those that partners report (tables of kind `measure`), and those that the linked tables give:
  people per month in each table of events and services, and how many of them a second partner
  knows too.
- A value that may not be shown is missing, never 0. A whole value of 1 to 10 may not, unless its
  measure is said to count no people.
- Of the linked tables, no total stands beside the months, and a month's parts are hidden together
  where one would give the other away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.evaluator.smallcells import SMALL, is_small

COLUMNS = ("group", "measure", "goal", "year", "month", "value")
LINKED = "linked data"


def reported(extract: Extract, *, not_people: Collection[str] = ()) -> pd.DataFrame:
    """What partners report; `COLUMNS`, and `suppressed` where a value was held back here.

    Args:
        not_people: measures that count no people, such as dollars or days.
    """
    parts = []
    for table in extract.of_kind("measure"):
        source = extract.tables[table]
        part = pd.DataFrame({"group": extract.partner(table)}, index=source.index)
        for name in COLUMNS:
            column = extract.find(table, name)
            if column is not None:
                part[name] = source[column]
            elif name not in part:
                part[name] = None
        part["group"] = part["group"].fillna(extract.partner(table))
        part["suppressed"] = False
        if part["month"].dtype == object:
            text = part["month"].astype("string")
            part["year"] = pd.to_numeric(part["year"].fillna(text.str.slice(0, 4)))
            part["month"] = pd.to_numeric(text.str.slice(5, 7))
        parts.append(part)
    found = _typed(parts)
    whole = found["value"].between(1, SMALL) & (found["value"] % 1 == 0)
    found["suppressed"] = whole & ~found["measure"].isin(list(not_people))
    found.loc[found["suppressed"], "value"] = np.nan
    return _ordered(found)


def counted(extract: Extract) -> pd.DataFrame:
    """What the linked tables give; columns as of `reported`."""
    parts = []
    known = {
        name: set(extract.people.loc[extract.people[f"in_{name}"], STUDY_ID])
        for name in extract.partners
    }
    for table in extract.of_kind("event", "service"):
        month = extract.month_column(table)
        if month is None:
            continue
        own = extract.partner(table)
        rows = extract.tables[table][[STUDY_ID, month]].dropna().drop_duplicates()
        others = {name: rows[STUDY_ID].isin(known[name]) for name in known if name != own}
        every = {str(at): int(people) for at, people in rows.groupby(month).size().items()}
        both = {
            name: {str(at): int(people) for at, people in inside.groupby(rows[month]).sum().items()}
            for name, inside in others.items()
        }
        parts.append(_months(table, every, both))
    return _ordered(_typed(parts))


def with_goals(measures: pd.DataFrame, goals: Mapping[tuple[str, str], float]) -> pd.DataFrame:
    """The same, with goals by (group, measure) where there is none yet."""
    keys = zip(measures["group"], measures["measure"], strict=True)
    given = pd.Series([goals.get(key, np.nan) for key in keys], index=measures.index, dtype=float)
    return measures.assign(goal=measures["goal"].fillna(given))


def _months(
    table: str, every: Mapping[str, int], both: Mapping[str, Mapping[str, int]]
) -> pd.DataFrame:
    """One table's people by month, all and known to each other partner."""
    records = []
    for month, people in every.items():
        parts = {name: int(column[month]) for name, column in both.items()}
        few = {name: is_small(part) or is_small(int(people) - part) for name, part in parts.items()}
        at = {"group": LINKED, "goal": None, "year": str(month)[:4], "month": str(month)[5:7]}
        hide = is_small(int(people))
        records.append(
            {**at, "measure": f"people in {table}", "value": None if hide else people,
             "suppressed": hide}
        )  # fmt: skip
        records += [
            {**at, "measure": f"people in {table}, known to {name} too",
             "value": None if hide or few[name] else part, "suppressed": hide or few[name]}
            for name, part in parts.items()
        ]  # fmt: skip
    return pd.DataFrame(records)


def _typed(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The parts as one table; a column has its type also where nothing stands in it."""
    names = (*COLUMNS, "suppressed")
    found = pd.DataFrame(
        {
            name: pd.Series(
                [cell for part in parts if name in part for cell in part[name]], dtype=object
            )
            for name in names
        }
    )
    for name in ("goal", "value"):
        found[name] = pd.to_numeric(found[name]).astype(float)
    for name in ("year", "month"):
        found[name] = pd.to_numeric(found[name]).astype("Int64")
    found["suppressed"] = found["suppressed"].astype(bool)
    return found


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    order = ["group", "measure", "year", "month"]
    return table.sort_values(order, kind="stable", ignore_index=True)
