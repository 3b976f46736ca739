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
    number     double   a number as it stands, of a site or a measure
    a missing cell is null under all of them
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from linkage.agreement import ContentField, ContentTable, Transform
from linkage.errors import InvalidRequestError, ManifestError, Problem, SourceError
from linkage.release.codes import AMOUNT, code_fault

INDEX_ID = "index_id"
STUDY_ID = "study_id"
ID_TYPE = pa.binary(16)

MAX_PROBLEMS = 1000
BAND_YEARS = 10
TOP_AGE = 90
OLDEST = 125
FIRST_YEAR = 1850

# A column of codes repeats its values; one that hardly does is a record number in disguise.
MANY_ROWS = 50
MOSTLY_DISTINCT = 0.9

# Three-digit ZIP areas of 20,000 people or fewer in the census of 2000 or of 2010
# (45 CFR 164.514(b)(2)(i)(B)).
# fmt: off
SMALL_ZIP3 = frozenset(
    [
        "036", "059", "063", "102", "203", "205", "369", "556", "692", "753", "772",
        "790", "821", "823", "830", "831", "878", "879", "884", "890", "893",
    ]
)
# fmt: on

Fault = str
Transformed = tuple[Any, Fault | None]


def deidentify_table(
    table: ContentTable, frame: pd.DataFrame, *, file: str, missing: Collection[str] = ()
) -> pa.Table:
    """The allow-listed fields of `frame`, each under its transform, in the manifest's order.

    Args:
        table: what the partners agreed this table may hold.
        frame: the partner's rows; every cell is a str or missing.
        file: how messages name the file.
        missing: cells that mean "not known", compared without case.

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
        column, faults = _field(table, field, frame[_column_name(field)], unknown)
        columns.append(column)
        total += len(faults)
        name = _column_name(field)
        problems += [(row, place, Problem(row, name, text)) for row, text in faults.first()]
    if total:
        problems.sort(key=lambda item: item[:2])
        raise SourceError(
            file,
            [problem for _, _, problem in problems[:MAX_PROBLEMS]],
            total=total,
            remedy="Nothing was sent. Correct the file, or agree on other content fields",
        )
    return pa.table(columns, schema=pa.schema([_schema_field(field) for field in table.fields]))


def attach_index_ids(table: pa.Table, ids: npt.NDArray[np.uint8]) -> pa.Table:
    """Put a partner's index ids before its de-identified rows: what a parcel holds.

    Rows are ordered by index id and then by their own cells, so that the order of the
    partner's file does not leave with them.

    Args:
        ids: (rows, 16) bytes, the index id of each row.
    """
    if ids.shape != (table.num_rows, 16):
        raise InvalidRequestError(f"{ids.shape[0]} index ids for {table.num_rows} rows of content")
    flat = pa.py_buffer(np.ascontiguousarray(ids))
    column = pa.Array.from_buffers(ID_TYPE, table.num_rows, [None, flat])
    return sort_rows(table.add_column(0, pa.field(INDEX_ID, ID_TYPE, nullable=False), column))


def sort_rows(table: pa.Table) -> pa.Table:
    """The rows in the order of their cells, first column first."""
    return table.sort_by([(name, "ascending") for name in table.column_names])


def parcel_schema(table: ContentTable) -> pa.Schema:
    """Columns and types of a parcel of this table."""
    fields = [_schema_field(field) for field in table.fields]
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
        fault_of = _result_fault(field)
        for value in pc.unique(parcel[field.name]).to_pylist():
            fault = None if value is None else fault_of(value)
            if fault:
                raise InvalidRequestError(f"{source}: column {field.name!r}: a cell {fault}")


def output_type(field: ContentField) -> pa.DataType:
    """The type a content field has after its transform."""
    return _TYPES.get(field.transform, pa.string())


_TYPES = {Transform.YEAR: pa.int16(), Transform.NUMBER: pa.float64()}


def _schema_field(field: ContentField) -> pa.Field:
    return pa.field(field.name, output_type(field))


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
    convert = _converter(field)
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
        return pa.nulls(len(cells), output_type(field)), _Faults(
            np.array([-1], np.intp), {-1: 0}, [whole]
        )
    faulty = np.array([message is not None for message in messages])
    rows = np.flatnonzero(faulty[codes])
    take = pa.array(np.where(codes < 0, len(results) - 1, codes))
    values = pa.array(
        [None if f else r for r, f in zip(results, messages, strict=True)], output_type(field)
    )
    return values.take(take), _Faults(rows, codes, messages)


def _record_number(
    table: ContentTable, field: ContentField, codes: npt.NDArray[np.intp], results: list[Any]
) -> str | None:
    """Say so if a column of codes has a value of its own in almost every row."""
    if field.transform is not Transform.KEEP or field.values is not None or not table.is_personal:
        return None
    known = np.array([result is not None for result in results])
    filled = int(known[codes].sum())
    distinct = {result for result in results if result is not None}
    if filled < MANY_ROWS or len(distinct) <= MOSTLY_DISTINCT * filled:
        return None
    if all(AMOUNT.fullmatch(value) for value in distinct):
        return None
    return "almost every row has a value of its own, as a record number has; codes repeat"


def _converter(field: ContentField) -> Callable[[str], Transformed]:
    if field.transform is Transform.KEEP:
        return _keep(field)
    if field.transform is Transform.ZIP3:
        return _zip3
    if field.transform is Transform.NUMBER:
        return _number
    parse = _date_parser(field)
    if field.transform is Transform.YEAR:
        return lambda text: _mapped(parse(text), lambda day: day.year)
    if field.transform is Transform.MONTH:
        return lambda text: _mapped(parse(text), lambda day: f"{day.year:04d}-{day.month:02d}")
    reference = field.reference
    if reference is None:  # the manifest refuses this; the type checker does not know
        raise ManifestError(f"field {field.name!r}: age_band needs a reference date")
    return lambda text: _age(parse(text), reference)


def _mapped(parsed: Transformed, convert: Callable[[date], Any]) -> Transformed:
    day, fault = parsed
    return (None, fault) if fault else (convert(day), None)


def _age(parsed: Transformed, reference: date) -> Transformed:
    born, fault = parsed
    if fault:
        return None, fault
    if born > reference:
        return None, f"is after the reference date {reference.isoformat()}"
    if reference.year - born.year > OLDEST:
        return None, f"is more than {OLDEST} years before the reference date"
    return age_band(born, reference), None


def age_band(born: date, reference: date, *, years: int = BAND_YEARS) -> str:
    """The band of an age in whole years, "30-39", or "90+"."""
    age = reference.year - born.year - ((reference.month, reference.day) < (born.month, born.day))
    if age >= TOP_AGE:
        return f"{TOP_AGE}+"
    low = age - age % years
    return f"{low}-{low + years - 1}"


_ZIP = re.compile(r"(\d{3})\d{2}(-?\d{4})?", re.ASCII)


def _zip3(text: str) -> Transformed:
    match = _ZIP.fullmatch(text)
    if not match:
        return None, "is not a ZIP code of five or nine digits (was a leading zero lost?)"
    area = match[1]
    return "000" if area in SMALL_ZIP3 else area, None


_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,10})?", re.ASCII)


def _number(text: str) -> Transformed:
    if not _NUMBER.fullmatch(text):
        return None, "is not a number in digits with a decimal point, such as 1234.5"
    return float(text), None


_DIRECTIVE = re.compile(r"%(.)", re.DOTALL)
_YEAR_DIRECTIVES = frozenset("YyGcx")
_MONTH_DIRECTIVES = frozenset("mbBjcx")


def _date_parser(field: ContentField) -> Callable[[str], Transformed]:
    pattern = field.date_format
    used = set(_DIRECTIVE.findall(pattern))
    if not used & _YEAR_DIRECTIVES:
        raise ManifestError(f"field {field.name!r}: date_format {pattern!r} has no year")
    if field.transform is Transform.MONTH and not used & _MONTH_DIRECTIVES:
        raise ManifestError(f"field {field.name!r}: date_format {pattern!r} has no month")
    try:
        datetime.strptime("", pattern)
    except (ValueError, re.error) as error:
        if "does not match format" not in str(error):
            raise ManifestError(
                f"field {field.name!r}: date_format {pattern!r} is not a strptime format"
            ) from None

    def parse(text: str) -> Transformed:
        try:
            day = datetime.strptime(text, pattern).date()
        except ValueError:
            return None, f"is not a date of the form {pattern}"
        if day.year < FIRST_YEAR:
            return None, f"is a date before {FIRST_YEAR}"
        return day, None

    return parse


def _keep(field: ContentField) -> Callable[[str], Transformed]:
    if field.values is not None:
        allowed = frozenset(field.values)
        fault = f"is not one of the {len(allowed)} codes the partners agreed to"
        return lambda text: (text, None) if text in allowed else (None, fault)

    def convert(text: str) -> Transformed:
        fault = code_fault(text)
        return (None, fault) if fault else (text, None)

    return convert


_MONTH_RESULT = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_ZIP3_RESULT = re.compile(r"\d{3}", re.ASCII)
_BANDS = frozenset(
    [
        *(f"{low}-{low + width - 1}" for width in (5, 10) for low in range(0, TOP_AGE, width)),
        f"{TOP_AGE}+",
    ]
)


def _result_fault(field: ContentField) -> Callable[[Any], Fault | None]:
    if field.transform is Transform.YEAR:
        return lambda value: None if FIRST_YEAR <= value <= 9999 else "is not a year"
    if field.transform is Transform.MONTH:
        return lambda value: None if _MONTH_RESULT.fullmatch(value) else "is not a month"
    if field.transform is Transform.AGE_BAND:
        return lambda value: None if value in _BANDS else "is not an age band"
    if field.transform is Transform.ZIP3:
        return lambda value: (
            None
            if _ZIP3_RESULT.fullmatch(value) and value not in SMALL_ZIP3
            else "is not an allowed three-digit area"
        )
    if field.transform is Transform.NUMBER:
        return lambda value: None if math.isfinite(value) else "is not a number"
    convert = _keep(field)
    return lambda value: convert(value)[1]
