"""The central log of contacts: what it counts, from an extract's event tables.

- Contacts by period, municipality and type; by response and how they ended; people by number of
  contacts and of agencies; time between one contact and the next.
- Each breakdown is as fine in time as its cells bear: months, quarters or years.
- All tables are protected together, and beside what other reports showed (see `shown`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.errors import InputError, NotFoundError
from linkage.evaluator.contacts import AGENCY, PERIOD, RECORD, TOWN, TYPE, Contacts
from linkage.evaluator.periods import PERIODS, Period, all_periods, coarser, levels
from linkage.evaluator.protection import protect
from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.release.disclosure import ProtectedTable, Table, table_of_rows

ROWS_PER_CELL = 20
"""Contacts per cell, on average, that a finer period must leave."""
MOST_CELLS = 1500
"""Cells of one breakdown; protecting more takes minutes."""

DAY_BANDS = ((0, "same day"), (7, "1 to 7 days"), (30, "8 to 30 days"), (90, "31 to 90 days"),
             (365, "91 to 365 days"))  # fmt: skip
MONTH_BANDS = ((0, "same month"), (1, "next month"), (3, "2 to 3 months"), (6, "4 to 6 months"),
               (12, "7 to 12 months"))  # fmt: skip
LATER = "later"
CONTACTS = ((1, "1"), (2, "2"), (3, "3"), (5, "4 to 5"), (10, "6 to 10"))
MANY = "11 and more"


# -- the tables ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CentralLog:
    """The protected tables, by name; see `central_log`."""

    contacts: Contacts
    tables: dict[str, ProtectedTable]
    periods: dict[str, Period]


def central_log(
    extract: Extract, found: Contacts, *, k: int | None = None, period: Period | None = None
) -> CentralLog:
    """Count and protect.

    Tables: `by_type` and `by_municipality` over periods, `contacts` over periods, municipalities
    and types, `responses` (level by ending), `repeats` (people by contacts and agencies),
    `intervals` (time to a person's next contact); without those whose columns the extract lacks.

    Args:
        found: what to count of the extract.
        k: the smallest count that may be shown, beside 0; None takes the agreement's.
        period: for every breakdown; by default as fine as its cells bear.

    Raises:
        InputError: a period that leaves too many cells to protect.
        DisclosureError: the tables cannot be protected; says what coarser ones would pass.
    """
    rows = found.rows
    if rows.empty:
        raise NotFoundError("the extract's event tables hold no row")
    breakdowns = {
        "by_type": [TYPE],
        "by_municipality": [TOWN],
        "contacts": [TOWN, TYPE],
    }
    periods: dict[str, Period] = {}
    tables: dict[str, Table] = {}
    for name, by in breakdowns.items():
        if all(rows[column].notna().any() for column in by):
            periods[name] = _period(rows, by, period, name)
            tables[name] = _over_time(rows, by, periods[name], name)
    if not tables:
        periods["contacts"] = _period(rows, [], period, "contacts")
        tables["contacts"] = _over_time(rows, [], periods["contacts"], "contacts")
    endings = [column for column in ("level", "ending") if rows[column].notna().any()]
    if endings:
        tables["responses"] = table_of_rows(
            rows, endings, name="responses", counted="contacts", person=STUDY_ID, record=RECORD
        )
    tables["repeats"] = repeats(rows)
    if (gaps := intervals(found)) is not None:
        tables["intervals"] = gaps
    protected = protect(extract, list(tables.values()), k=k, totals=True)
    return CentralLog(found, dict(zip(tables, protected, strict=True)), periods)


def _period(rows: pd.DataFrame, by: Sequence[str], wanted: Period | None, name: str) -> Period:
    """The finest period whose cells hold enough, or the one asked for."""
    others = int(np.prod([rows[column].nunique(dropna=False) for column in by]))
    cells = {one: others * coarser(rows[PERIOD], one).nunique(dropna=False) for one in PERIODS}
    if wanted is not None:
        if cells[wanted] > MOST_CELLS:
            raise InputError(
                f"the table {name!r} by {wanted} has {cells[wanted]:,} cells, more than"
                f" {MOST_CELLS:,}",
                remedy="Choose a longer period, or leave the period to the size of the cells",
            )
        return wanted
    enough = (
        one
        for one in PERIODS
        if cells[one] <= MOST_CELLS and len(rows) >= ROWS_PER_CELL * cells[one]
    )
    return next(enough, "year")


def _over_time(rows: pd.DataFrame, by: Sequence[str], period: Period, name: str) -> Table:
    frame = rows.assign(**{PERIOD: coarser(rows[PERIOD], period)})
    return table_of_rows(
        frame,
        [PERIOD, *by],
        name=name,
        counted="contacts",
        person=STUDY_ID,
        levels={PERIOD: levels(frame[PERIOD])},
        codes={PERIOD: all_periods(frame[PERIOD], period)},
        record=RECORD,
    )


def repeats(rows: pd.DataFrame) -> Table:
    """People by how many contacts they had, and with how many agencies."""
    per_person = rows.groupby(STUDY_ID).agg(
        contacts=(STUDY_ID, "size"), agencies=(AGENCY, "nunique")
    )
    frame = pd.DataFrame(
        {
            STUDY_ID: per_person.index,
            "contacts": _banded(per_person["contacts"].to_numpy(), CONTACTS, MANY),
            "agencies": np.minimum(per_person["agencies"].to_numpy(), 4).astype(str),
        }
    ).replace({"agencies": {"4": "4 and more"}})
    return table_of_rows(
        frame,
        ["contacts", "agencies"],
        name="repeats",
        counted="people with a contact",
        person=STUDY_ID,
        people=True,
        codes={
            "contacts": [*(name for _, name in CONTACTS), MANY],
            "agencies": ["1", "2", "3", "4 and more"],
        },
        record=STUDY_ID,
    )


def intervals(found: Contacts) -> Table | None:
    """Time from each contact of a person to the next one, with the same agency or another.

    In days where every table has relative days, otherwise in calendar months, within which the
    order of contacts is not known: then the agencies of two contacts are compared in order of name.

    Returns:
        None where nobody had two contacts.
    """
    rows = found.rows
    at = "day" if found.days else "number"
    dated = rows.assign(
        number=pd.to_numeric(rows[PERIOD].str.slice(0, 4)) * 12
        + pd.to_numeric(rows[PERIOD].str.slice(5, 7))
    ).dropna(subset=[at])
    dated = dated.sort_values([STUDY_ID, at, AGENCY], kind="stable", ignore_index=True)
    same = dated[STUDY_ID].eq(dated[STUDY_ID].shift())
    if not same.any():
        return None
    gap = (dated[at] - dated[at].shift())[same].to_numpy(np.int64)
    agency = np.where(dated[AGENCY].eq(dated[AGENCY].shift())[same], "the same", "another")
    bands = DAY_BANDS if found.days else MONTH_BANDS
    frame = pd.DataFrame(
        {
            STUDY_ID: dated.loc[same, STUDY_ID].to_numpy(),
            RECORD: dated.loc[same, RECORD].to_numpy(),
            "next_contact": _banded(gap, bands, LATER),
            "next_agency": agency,
        }
    )
    return table_of_rows(
        frame,
        ["next_contact", "next_agency"],
        name="intervals",
        counted="next contacts",
        person=STUDY_ID,
        codes={
            "next_contact": [*(name for _, name in bands), LATER],
            "next_agency": ["the same", "another"],
        },
        record=RECORD,
    )


def _banded(
    values: npt.NDArray[np.int64], bands: Sequence[tuple[int, str]], above: str
) -> list[str]:
    names = [*(name for _, name in bands), above]
    edges = np.array([top for top, _ in bands])
    return [names[place] for place in np.searchsorted(edges, values, side="left")]


def shown(table: ProtectedTable) -> Iterator[dict[str, Any]]:
    """The cells for readers as plain values, `count` None where it is suppressed."""
    for record in table.cells.to_dict("records"):
        count = record["count"]
        named = {str(name): value for name, value in record.items()}
        yield {**named, "count": None if pd.isna(count) else int(count)}
