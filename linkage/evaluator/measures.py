"""Measures over time in one tidy form: group, measure, goal, year, month, value.

- Those that partners report (tables of kind `measure`), and those that the linked tables give:
  people per month in each table of events and services, and how many of them a second partner
  knows too.
- A value that may not be shown is missing, never 0. All whole values pass the disclosure gate but
  those of measures that are said to count no people.
- Of the linked tables, no total stands beside the months, but who is not known to the other
  partner can be subtracted, and so passes the gate too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from linkage.evaluator.measures_tables import reported_tables
from linkage.evaluator.protection import Cells, protect
from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.release.disclosure import ProtectedTable, Table, table_of_rows

COLUMNS = ("group", "measure", "goal", "year", "month", "value")
LINKED = "linked data"
MONTH, KNOWN = "month", "known"


def reported(extract: Extract, *, not_people: Collection[str] = ()) -> pd.DataFrame:
    """What partners report; `COLUMNS`, and `suppressed` where a value was held back here.

    Args:
        not_people: measures that count no people, such as dollars or days.

    Raises:
        DisclosureError: a measure's counts cannot be protected.
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
    whole = found["value"].notna() & (found["value"] >= 0) & (found["value"] % 1 == 0)
    counts = found[whole & ~found["measure"].isin(list(not_people))]
    asked = [t for name, rows in counts.groupby("measure") for t in reported_tables(name, rows)]
    tables = protect(extract, [table for table, _ in asked])
    for (_, places), protected in zip(asked, tables, strict=True):
        for place, nodes in places.items():
            found.loc[place, "suppressed"] = Cells(protected).hidden(**nodes)
    found.loc[found["suppressed"], "value"] = np.nan
    return _ordered(found)


def counted(extract: Extract) -> pd.DataFrame:
    """What the linked tables give; columns as of `reported`.

    Raises:
        DisclosureError: the tables cannot be protected.
    """
    known = {
        name: set(extract.people.loc[extract.people[f"in_{name}"], STUDY_ID])
        for name in extract.partners
    }
    asked = []
    for table in extract.of_kind("event", "service"):
        month = extract.month_column(table)
        if month is None:
            continue
        own = extract.partner(table)
        rows = extract.tables[table][[STUDY_ID, month]].dropna().drop_duplicates()
        if rows.empty:
            continue
        others = [name for name in known if name != own]
        asked += [_people_table(table, rows, month, name, known[name]) for name in others]
        if not others:
            asked.append(_people_table(table, rows, month, None, set()))
    protected = protect(extract, asked)
    records = [record for one in protected for record in _months(one)]
    names = (*COLUMNS, "suppressed")
    return _ordered(_typed([pd.DataFrame(records, columns=list(names)).drop_duplicates()]))


def _people_table(
    table: str, rows: pd.DataFrame, month: str, partner: str | None, known: Collection[str]
) -> Table:
    """People by month, and by whether a second partner knows them."""
    frame = rows.rename(columns={month: MONTH})
    by = [MONTH]
    if partner is not None:
        by = [MONTH, KNOWN]
        frame = frame.assign(**{KNOWN: np.where(frame[STUDY_ID].isin(known), "yes", "no")})
    return table_of_rows(
        frame,
        by,
        name=f"{table}, {partner}" if partner else table,
        counted=f"people in {table}" + (f" by whether {partner} knows them" if partner else ""),
        person=STUDY_ID,
        people=True,
        margins=[{MONTH}],
        finest=True,
        record=STUDY_ID,
    )


def _months(one: ProtectedTable) -> Iterator[dict[str, Any]]:
    """One table's people by month, all and known to the other partner."""
    cells = Cells(one)
    table, _, partner = one.table.name.partition(", ")
    for month in one.table.dimensions[0].codes:
        shown = {f"people in {table}": cells.count(month=month)}
        if partner:
            both = cells.count(month=month, known="yes")
            shown[f"people in {table}, known to {partner} too"] = both
        for measure, count in shown.items():
            yield {
                "group": LINKED,
                "measure": measure,
                "goal": None,
                "year": month[:4],
                "month": month[5:7],
                "value": count,
                "suppressed": count is None,
            }


def with_goals(measures: pd.DataFrame, goals: Mapping[tuple[str, str], float]) -> pd.DataFrame:
    """The same, with goals by (group, measure) where there is none yet."""
    keys = zip(measures["group"], measures["measure"], strict=True)
    given = pd.Series([goals.get(key, np.nan) for key in keys], index=measures.index, dtype=float)
    return measures.assign(goal=measures["goal"].fillna(given))


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
