"""Rows of text with named columns, as people edit them in a spreadsheet.

- A text that a spreadsheet would take for a formula gets an apostrophe before it and loses it on
  the way back, so that every code comes back as it was.
- All wrong rows are named at once, by row and column.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from linkage.agreement.fields import Strict
from linkage.errors import InputError, LimitError, Problem, SourceError

MAX_TEXT = 16 << 20
MAX_TABLE_ROWS = 200_000
MAX_CELL = 5_000

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_MARKED = re.compile(r"'+[=+\-@\t\r]")

Row = Mapping[str, str]
T = TypeVar("T", bound=Strict)


def write_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as CSV in UTF-8; None is an empty cell."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_written(row.get(name)) for name in columns])
    return out.getvalue().encode()


def read_table(
    data: bytes, *, source: str, required: Sequence[str], optional: Sequence[str] = ()
) -> list[Row]:
    """Rows of a CSV with a header, cells without surrounding blanks; other columns are not judged.

    Raises:
        LimitError: too large.
        InputError: it is no CSV in UTF-8 with these columns.
        SourceError: rows of another length than the header.
    """
    text = _text(data, source)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _require_header(header, source, required, optional)
        rows: list[Row] = []
        problems: list[Problem] = []
        for place, cells in enumerate(reader, 1):
            if place > MAX_TABLE_ROWS:
                raise LimitError(f"{source} has more than {MAX_TABLE_ROWS} rows")
            if len(cells) != len(header) and cells:
                problems.append(Problem(place, "", f"does not have {len(header)} cells"))
            elif any(len(cell) > MAX_CELL for cell in cells):
                problems.append(Problem(place, "", f"a cell is longer than {MAX_CELL} characters"))
            rows.append(dict(zip(header, map(_read, cells), strict=False)))
    except csv.Error:
        raise InputError(
            f"{source} cannot be read as CSV near line {reader.line_num}",
            remedy="Look for a missing quote or a separator that is not a comma",
        ) from None
    if problems:
        raise SourceError(source, problems[:1000], total=len(problems))
    return rows


def header_of(data: bytes, source: str) -> list[str]:
    """The columns of a CSV.

    Raises:
        LimitError: too large.
        InputError: it is no CSV in UTF-8.
    """
    try:
        first = next(csv.reader(io.StringIO(_text(data, source), newline=""), strict=True), [])
    except csv.Error:
        raise InputError(f"the header of {source} cannot be read as CSV") from None
    return [name.strip() for name in first]


def build(
    model: type[T], values: Mapping[str, Any], row: int = 0
) -> tuple[T | None, list[Problem]]:
    """A value of a strict model from texts, or what is wrong with them by column."""
    try:
        return model.model_validate(values, strict=False), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    return None, [
        Problem(row, ".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, "))
        for item in found
    ]


def _text(data: bytes, source: str) -> str:
    if len(data) > MAX_TEXT:
        raise LimitError(f"{source} is larger than {MAX_TEXT} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            f"{source} is not UTF-8 text", remedy="Save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
        ) from None


def _require_header(
    header: Sequence[str], source: str, required: Sequence[str], optional: Sequence[str]
) -> None:
    faults = [f"lacks the column {name!r}" for name in required if name not in header]
    twice = sorted({name for name in header if header.count(name) > 1})
    faults += [f"has the column {name!r} twice" for name in twice if name in (*required, *optional)]
    if faults:
        raise InputError(
            f"{source} {' and '.join(faults)}",
            remedy=f"The columns that are read are {', '.join((*required, *optional))}",
        )


def _written(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(text) else text


def _read(cell: str) -> str:
    text = cell.strip()
    return text[1:] if _MARKED.match(text) else text
