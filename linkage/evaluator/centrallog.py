"""The central log of contacts: what it counts, from an extract's event tables.

- Contacts by period, municipality and type; by response and how they ended; people by number of
  contacts and of agencies; time between one contact and the next.
- Each breakdown is as fine in time as its cells bear: months, quarters or years.
- All tables are protected together, so that none gives a suppressed cell of another away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.errors import DisclosureError, InputError, NotFoundError
from linkage.evaluator.contacts import AGENCY, PERIOD, TOWN, TYPE, Contacts
from linkage.evaluator.reading import STUDY_ID
from linkage.release.disclosure import (
    K,
    ProtectedTable,
    Table,
    protect_tables,
    table_of_counts,
    table_of_rows,
)
from linkage.release.disclosure.tables import Key

Period = Literal["month", "quarter", "year"]
PERIODS: tuple[Period, ...] = ("month", "quarter", "year")

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
    found: Contacts, *, k: int = K, rounding: int = 1, period: Period | None = None
) -> CentralLog:
    """Count and protect.

    Tables: `by_type` and `by_municipality` over periods, `contacts` over periods, municipalities
    and types, `responses` (level by ending), `repeats` (people by contacts and agencies),
    `intervals` (time to a person's next contact); without those whose columns the extract lacks.

    Args:
        k: the smallest count that may be shown, beside 0.
        rounding: round shown counts to multiples of this.
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
            rows, endings, name="responses", counted="contacts", person=STUDY_ID
        )
    tables["repeats"] = repeats(rows)
    if (gaps := intervals(found)) is not None:
        tables["intervals"] = gaps
    protected = _protected(list(tables.values()), k, rounding)
    return CentralLog(found, dict(zip(tables, protected, strict=True)), periods)


def _protected(tables: list[Table], k: int, rounding: int) -> list[ProtectedTable]:
    """With the totals of everything shown, if that can be; they are what everybody asks first."""
    totals: dict[Key, int] = {
        (table.counted, ()): int(table.all_values.flat[-1]) for table in tables
    }
    told = {key: count for key, count in totals.items() if count >= k}
    try:
        return protect_tables(tables, k=k, rounding=rounding, published=told)
    except DisclosureError:
        return protect_tables(tables, k=k, rounding=rounding)


def _period(rows: pd.DataFrame, by: Sequence[str], wanted: Period | None, name: str) -> Period:
    """The finest period whose cells hold enough, or the one asked for."""
    others = int(np.prod([rows[column].nunique(dropna=False) for column in by]))
    cells = {one: others * _coarser(rows[PERIOD], one).nunique(dropna=False) for one in PERIODS}
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
    frame = rows.assign(**{PERIOD: _coarser(rows[PERIOD], period)})
    return table_of_rows(
        frame,
        [PERIOD, *by],
        name=name,
        counted="contacts",
        person=STUDY_ID,
        levels={PERIOD: _levels(frame[PERIOD])},
        codes={PERIOD: _all_periods(frame[PERIOD], period)},
    )


def _coarser(months: pd.Series[Any], period: Period) -> pd.Series[Any]:
    if period == "month":
        return months
    year = months.str.slice(0, 4)
    if period == "year":
        return year
    quarter = (pd.to_numeric(months.str.slice(5, 7)) + 2) // 3
    return year + "-Q" + quarter.astype("Int64").astype("string").astype(object)


def _levels(nodes: pd.Series[Any]) -> dict[str, str]:
    """Month → quarter → year, for what there is."""
    found: dict[str, str] = {}
    for node in nodes.dropna().unique():
        text = str(node)
        if len(text) == 7 and text[5] != "Q":
            quarter = f"{text[:4]}-Q{(int(text[5:7]) + 2) // 3}"
            found[text] = quarter
            found[quarter] = text[:4]
        elif len(text) == 7:
            found[text] = text[:4]
    return found


def _all_periods(nodes: pd.Series[Any], period: Period) -> list[str]:
    """Every period from the first to the last, so that one without contacts is there as 0."""
    known = sorted(nodes.dropna().unique())
    if not known or period == "year":
        return [str(node) for node in known]
    per = {"month": 12, "quarter": 4}[period]

    def number(text: str) -> int:
        return int(text[:4]) * per + int(text[5:].lstrip("Q")) - 1

    form = "{}-{:02d}" if period == "month" else "{}-Q{}"
    span = range(number(str(known[0])), number(str(known[-1])) + 1)
    return [form.format(n // per, n % per + 1) for n in span]


def repeats(rows: pd.DataFrame) -> Table:
    """People by how many contacts they had, and with how many agencies."""
    per_person = rows.groupby(STUDY_ID).agg(
        contacts=(STUDY_ID, "size"), agencies=(AGENCY, "nunique")
    )
    frame = pd.DataFrame(
        {
            "contacts": _banded(per_person["contacts"].to_numpy(), CONTACTS, MANY),
            "agencies": np.minimum(per_person["agencies"].to_numpy(), 4).astype(str),
        }
    ).replace({"agencies": {"4": "4 and more"}})
    counts = frame.value_counts().rename("people").reset_index()
    return table_of_counts(
        counts,
        ["contacts", "agencies"],
        count="people",
        name="repeats",
        counted="people",
        codes={
            "contacts": [*(name for _, name in CONTACTS), MANY],
            "agencies": ["1", "2", "3", "4 and more"],
        },
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
