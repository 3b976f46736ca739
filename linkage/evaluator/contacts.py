"""The contacts of the central log: all rows of an extract's event tables, as one frame.

- A type is the standard code where the table has one, or where a crosswalk gives one to its local
  codes; otherwise the local code of its agency. A local code without a standard code is `unmapped`,
  and named in the accounts: no row is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from linkage.errors import NotFoundError
from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.release.crosswalk.applying import Accounts, Mapper
from linkage.release.crosswalk.documents import Crosswalk

UNMAPPED = "unmapped"
PERIOD, TOWN, TYPE, AGENCY = "period", "municipality", "type", "agency"
RECORD = "record"
MOST_TYPES = 30
OTHER = "other types"


@dataclass(frozen=True)
class Contacts:
    """All rows of the event tables.

    Attributes:
        rows: `record` (its name), `study_id`, `agency`, `period` (months), `municipality`, `type`,
            `level`, `ending`, `day`; missing where a table has no such column.
        accounts: what a crosswalk made of local codes; None where none was needed.
        by: how types were told: standard, crosswalk, local or none.
        days: whether every table has relative days.
    """

    rows: pd.DataFrame
    accounts: Accounts | None
    by: str
    days: bool


def contacts(
    extract: Extract, *, crosswalk: Crosswalk | None = None, tables: Sequence[str] = ()
) -> Contacts:
    """The extract's events as one frame.

    Args:
        crosswalk: a sound one, for tables with local codes.
        tables: these event tables only.

    Raises:
        NotFoundError: no event table has months.
    """
    names = [extract.table(name, "event") for name in tables] or list(extract.of_kind("event"))
    names = [name for name in names if extract.month_column(name)]
    if not names:
        raise NotFoundError(
            "the extract has no event table with months",
            remedy="A content field of a table of kind event needs the transform month",
        )
    accounts = Accounts()
    mapper = Mapper(crosswalk) if crosswalk else None
    parts, told = [], set()
    for name in names:
        part, how = _part(extract, name, mapper, accounts)
        parts.append(part)
        told.add(how)
    accounts.require_whole()
    rows = pd.concat(parts, ignore_index=True)
    order = ("crosswalk", "standard", "local", "none")
    return Contacts(
        _few_types(rows),
        accounts if mapper else None,
        next(how for how in order if how in told),
        all(extract.find(name, "day") for name in names),
    )


def _part(
    extract: Extract, name: str, mapper: Mapper | None, accounts: Accounts
) -> tuple[pd.DataFrame, str]:
    table = extract.tables[name]

    def column(means: str) -> pd.Series[Any]:
        found = extract.find(name, means)
        if found is None:
            return pd.Series([None] * len(table), index=table.index, dtype=object)
        return table[found].astype(object)

    agency = column("agency")
    agency = agency.where(agency.notna(), extract.partner(name))
    kind, how = _types(column("standard_code"), column("local_code"), agency, mapper, accounts)
    ending = column("outcome")
    if ending.isna().all():
        ending = column("disposition")
    part = pd.DataFrame(
        {
            RECORD: extract.records(name),
            STUDY_ID: table[STUDY_ID],
            AGENCY: agency,
            PERIOD: table[str(extract.month_column(name))],
            TOWN: column("municipality"),
            TYPE: kind,
            "level": column("response_level"),
            "ending": ending,
            "day": pd.to_numeric(column("day"), errors="coerce"),
        }
    )
    return part, how


def _types(
    standard: pd.Series[Any],
    local: pd.Series[Any],
    agency: pd.Series[Any],
    mapper: Mapper | None,
    accounts: Accounts,
) -> tuple[pd.Series[Any], str]:
    if standard.notna().any():
        unmapped = local.notna() & standard.isna()
        return standard.mask(unmapped, UNMAPPED), "standard"
    if local.isna().all():
        return local, "none"
    codes = [None if pd.isna(code) else str(code) for code in local]
    if mapper is None:
        named = [None if c is None else f"{c} ({a})" for c, a in zip(codes, agency, strict=True)]
        return pd.Series(named, index=local.index, dtype=object), "local"
    found = mapper.standard_codes([str(name) for name in agency], codes, accounts)
    told = [
        code or (UNMAPPED if old is not None else None)
        for code, old in zip(found, codes, strict=True)
    ]
    return pd.Series(told, index=local.index, dtype=object), "crosswalk"


def _few_types(rows: pd.DataFrame) -> pd.DataFrame:
    """The commonest types; the others under one name, as a table of hundreds shows nobody."""
    counts = rows[TYPE].value_counts()
    if len(counts) <= MOST_TYPES:
        return rows
    ranked = sorted(counts.items(), key=lambda item: (-int(item[1]), str(item[0])))
    kept = {name for name, _ in ranked[: MOST_TYPES - 1]} | {UNMAPPED}
    kind = rows[TYPE].where(rows[TYPE].isna() | rows[TYPE].isin(kept), OTHER)
    return rows.assign(**{TYPE: kind})
