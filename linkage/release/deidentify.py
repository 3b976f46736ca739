"""Coarsen a partner's content to what the manifest allows, or refuse the whole table.

- Only the fields the manifest names come out; whatever else the file holds is not looked at.
- All or nothing: one bad cell and no row leaves. Every problem is reported at once, by row and
  column, never with the cell itself.
- `keep` lets codes through, not text: either one of the codes the partners signed, or a short
  code that does not look like a name, an address, a number of a person or a full date.
- The same file gives the same table. Nothing here is a guarantee of anonymity; the manifest
  decides what may be combined, and the disclosure gate what may be published.

What each transform gives:

    keep       string   the code, without surrounding blanks
    year       int16    1987
    month      string   "2024-05"
    age_band   string   "30-39", from 90 on "90+", at the manifest's reference date
    zip3       string   "021"; "000" where the area has 20,000 people or fewer
    generalise string   the coarser code that the manifest maps the cell to
    band       string   "<18", "18-64", "65+", at the manifest's edges
    top_code   string   "37", and "90+" from the manifest's number on
    tract      string   "17031010202", of a Census GEOID of 11, 12 or 15 digits
    municipality string "1714000" or an agreed name, as it was looked up
    county     string   "17031", of such a GEOID
    crosswalk  string   a standard code, as it was looked up
    day        int32    hidden by the row's day shift (see `days`), before that a date
    number     double   a number as it stands, of a site or a measure
    a missing cell is null under all of them
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from linkage.agreement import ContentField, ContentTable, Transform
from linkage.errors import InvalidRequestError, ManifestError, Problem, SourceError
from linkage.release.coarsen import converter, output_type, result_fault, type_at_home
from linkage.release.codes import AMOUNT
from linkage.release.days import Shifts, hide
from linkage.release.race_block import block_faults

INDEX_ID = "index_id"
STUDY_ID = "study_id"
ID_TYPE = pa.binary(16)

MAX_PROBLEMS = 1000
# A column of codes repeats its values; one that hardly does is a record number in disguise.
MANY_ROWS = 50
MOSTLY_DISTINCT = 0.9


@dataclass(frozen=True)
class LookedUp:
    """What the cells of a field were looked up as, in a file of the partner's own.

    Attributes:
        cells: (rows,) text or missing; the transform takes them in place of the column's own.
        faults: rows from 0, ascending, whose cell may not leave, and why.
    """

    cells: pd.Series[Any]
    faults: Sequence[tuple[npt.NDArray[np.intp], str]] = ()


Look = Callable[[ContentField, "pd.Series[Any]"], dict[int, str]]


def deidentify_table(
    table: ContentTable,
    frame: pd.DataFrame,
    *,
    file: str,
    missing: Collection[str] = (),
    look: Look | None = None,
    looked_up: Mapping[str, LookedUp] = MappingProxyType({}),
) -> pa.Table:
    """The allow-listed fields of `frame`, each under its transform, in the manifest's order.

    Args:
        table: what the partners agreed this table may hold.
        frame: the partner's rows; every cell is a str or missing.
        file: how messages name the file.
        missing: cells that mean "not known", compared without case.
        look: finds what only the partner can know for an identifier, in fields of open codes: the
            faulty rows from 0, and -1 for the column as a whole, each with what is wrong.
        looked_up: by field, for those that the manifest has looked up.

    Raises:
        SourceError: a column is missing, or some cells may not leave; at most 1,000 are listed.
        ManifestError: a transform cannot work as it was agreed.
    """
    _require_columns(table, frame, file)
    unknown = {text.strip().casefold() for text in missing} | {""}
    columns: list[Any] = []
    problems: list[tuple[int, int, Problem]] = []
    total = 0
    for place, field in enumerate(table.fields):
        looked = LookedUp(frame[_column_name(field)])
        if field.lookup is not None:
            looked = looked_up[field.name]
        # A standard code may well be spelt as a word for "not known".
        no_cell = unknown if field.lookup is None else {""}
        column, faults = _field(table, field, looked.cells, no_cell)
        columns.append(column)
        found = faults.first()
        total += len(faults) + sum(len(rows) for rows, _ in looked.faults)
        found += [(int(r) + 1, text) for rows, text in looked.faults for r in rows[:MAX_PROBLEMS]]
        if look is not None and is_open(table, field):
            known = set(faults.rows)
            more = look(field, looked.cells)
            more = {row: text for row, text in more.items() if row not in known}
            total += len(more)
            found += [(row + 1, text) for row, text in sorted(more.items())[:MAX_PROBLEMS]]
        name = _column_name(field)
        problems += [(row, place, Problem(row, name, text)) for row, text in found]
    rows = pa.table(columns, schema=pa.schema([_schema_field(field) for field in table.fields]))
    # A cell that may not leave is missing by now, and would make others of its row look wrong.
    for place, wrong, text in block_faults(table, rows) if not total else ():
        total += len(wrong)
        name = _column_name(table.fields[place])
        problems += [(int(r) + 1, place, Problem(int(r) + 1, name, text)) for r in wrong]
    if total:
        problems.sort(key=lambda item: item[:2])
        raise SourceError(
            file,
            [problem for _, _, problem in problems[:MAX_PROBLEMS]],
            total=total,
            remedy="Nothing was sent. Correct the file, or agree on other content fields",
        )
    return rows


def attach_index_ids(
    table: pa.Table, ids: npt.NDArray[np.uint8], shifts: Shifts | None = None
) -> pa.Table:
    """Put a partner's index ids before its de-identified rows: what a parcel holds.

    Dates, which `day` leaves as they are, are hidden by the rows' shifts.

    Rows are ordered by index id and then by their own cells, so that the order of the
    partner's file does not leave with them.

    Args:
        ids: (rows, 16) bytes, the index id of each row.
        shifts: the day shift of each row; only a table without days needs none.
    """
    if ids.shape != (table.num_rows, 16):
        raise InvalidRequestError(f"{ids.shape[0]} index ids for {table.num_rows} rows of content")
    table = _hide_days(table, shifts)
    flat = pa.py_buffer(np.ascontiguousarray(ids))
    column = pa.Array.from_buffers(ID_TYPE, table.num_rows, [None, flat])
    return sort_rows(table.add_column(0, pa.field(INDEX_ID, ID_TYPE, nullable=False), column))


def _hide_days(table: pa.Table, shifts: Shifts | None) -> pa.Table:
    for place, field in enumerate(table.schema):
        if field.type != pa.date32():
            continue
        if shifts is None or shifts.shape != (table.num_rows,):
            raise InvalidRequestError(f"column {field.name!r}: its days have no shift")
        dates = table[field.name].combine_chunks()
        days = dates.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
        missing = dates.is_null().to_numpy(zero_copy_only=False)
        hidden = pa.array(hide(days, shifts), pa.int32(), mask=missing)
        table = table.set_column(place, pa.field(field.name, pa.int32()), hidden)
    return table


def sort_rows(table: pa.Table) -> pa.Table:
    """The rows in the order of their cells, first column first."""
    return table.sort_by([(name, "ascending") for name in table.column_names])


def parcel_schema(table: ContentTable) -> pa.Schema:
    """Columns and types of a parcel of this table."""
    fields = [pa.field(field.name, output_type(field)) for field in table.fields]
    if not table.is_personal:
        return pa.schema(fields)
    return pa.schema([pa.field(INDEX_ID, ID_TYPE, nullable=False), *fields])


def check_deidentified(table: ContentTable, parcel: pa.Table, *, source: str) -> None:
    """Refuse a parcel that the agreed transforms cannot have made.

    The assembler's own look: an agent that did not coarsen its content does not get it into
    the extract.

    Raises:
        InvalidRequestError: another schema, or a cell of the wrong shape; names the column.
    """
    expected = parcel_schema(table)
    if parcel.schema.names != expected.names or parcel.schema.types != expected.types:
        raise InvalidRequestError(
            f"{source}: its columns are not the ones the partners agreed to"
            f" ({', '.join(expected.names)})"
        )
    if table.is_personal and parcel[INDEX_ID].null_count:
        raise InvalidRequestError(f"{source}: a row has no index id")
    for field in table.fields:
        fault_of = result_fault(field, personal=table.is_personal)
        for value in pc.unique(parcel[field.name]).to_pylist():
            fault = None if value is None else fault_of(value)
            if fault:
                raise InvalidRequestError(f"{source}: column {field.name!r}: a cell {fault}")
    for place, _, text in block_faults(table, parcel):
        name = table.fields[place].name
        raise InvalidRequestError(f"{source}: column {name!r}: a cell {text}")


def _schema_field(field: ContentField) -> pa.Field:
    return pa.field(field.name, type_at_home(field))


def _column_name(field: ContentField) -> str:
    return field.column or field.name


def _require_columns(table: ContentTable, frame: pd.DataFrame, file: str) -> None:
    reserved = sorted({f.name for f in table.fields} & {INDEX_ID, STUDY_ID})
    if reserved:
        raise ManifestError(f"table {table.name!r}: {reserved[0]!r} is not free as a field's name")
    present = [str(name) for name in frame.columns]
    problems, hints = [], []
    by_fold = {name.casefold(): name for name in present}
    for column in dict.fromkeys(_column_name(field) for field in table.fields):
        count = present.count(column)
        if count > 1:
            problems.append(Problem(0, column, "the column stands more than once"))
        elif count == 0:
            problems.append(Problem(0, column, "the column is missing"))
            close = difflib.get_close_matches(column.casefold(), by_fold, n=1)
            if close:
                hints.append(f"Did you mean {by_fold[close[0]]!r} for {column!r}?")
    if problems:
        known = f"The file's columns are {', '.join(map(repr, present))}"
        raise SourceError(file, problems, remedy=" ".join([*hints, known]))


class _Faults:
    """The faulty rows of one column; messages are shared, so a bad million costs little."""

    def __init__(self, rows: npt.NDArray[np.intp], codes: Any, messages: list[str | None]) -> None:
        self._rows, self._codes, self._messages = rows, codes, messages

    @property
    def rows(self) -> list[int]:
        """From 0; -1 is the column as a whole."""
        found: list[int] = self._rows.tolist()
        return found

    def __len__(self) -> int:
        return len(self._rows)

    def first(self) -> list[tuple[int, str]]:
        rows = self._rows[:MAX_PROBLEMS]
        return [(int(row) + 1, str(self._messages[self._codes[row]])) for row in rows]


def _field(
    table: ContentTable, field: ContentField, cells: pd.Series[Any], unknown: set[str]
) -> tuple[Any, _Faults]:
    """Transform each distinct cell once, then spread the results over the rows."""
    codes, distinct = pd.factorize(cells, use_na_sentinel=True)
    convert = converter(field, personal=table.is_personal)
    results: list[Any] = []
    messages: list[str | None] = []
    for cell in distinct:
        text = str(cell).strip()
        result, fault = (None, None) if text.casefold() in unknown else convert(text)
        results.append(result)
        messages.append(fault)
    results.append(None)  # what code -1, a missing cell, points to
    messages.append(None)
    whole = _record_number(table, field, codes, results)
    if whole and not any(messages):
        return pa.nulls(len(cells), type_at_home(field)), _Faults(
            np.array([-1], np.intp), {-1: 0}, [whole]
        )
    faulty = np.array([message is not None for message in messages])
    rows = np.flatnonzero(faulty[codes])
    take = pa.array(np.where(codes < 0, len(results) - 1, codes))
    values = pa.array(
        [None if f else r for r, f in zip(results, messages, strict=True)], type_at_home(field)
    )
    return values.take(take), _Faults(rows, codes, messages)


def is_open(table: ContentTable, field: ContentField) -> bool:
    """Whether any short code may stand in the field of a person's table."""
    coded = field.transform in (Transform.KEEP, Transform.CROSSWALK)
    return table.is_personal and coded and field.values is None


def _record_number(
    table: ContentTable, field: ContentField, codes: npt.NDArray[np.intp], results: list[Any]
) -> str | None:
    """Say so if a column of codes has a value of its own in almost every row."""
    if not is_open(table, field):
        return None
    known = np.array([result is not None for result in results])
    filled = int(known[codes].sum())
    distinct = {result for result in results if result is not None}
    if filled < MANY_ROWS or len(distinct) <= MOSTLY_DISTINCT * filled:
        return None
    if all(AMOUNT.fullmatch(value) for value in distinct):
        return None
    return "almost every row has a value of its own, as a record number has; codes repeat"
