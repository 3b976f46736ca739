"""Cells of Arrow columns as text, and which of them cannot be.

- A cell that cannot be taken comes out as None and is named by a `Fault`, so that a reader goes on
  and finds all faults of a file.
- No message holds a cell's content.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MAX_CELL = 10_000
MAX_WHOLE_FLOAT = float(1 << 53)

NOT_UTF8 = "the cell is not UTF-8 text"
FRACTION = "the cell is a fraction, not a code or text"
TOO_LONG = f"the cell is longer than {MAX_CELL} characters"
LINE_BREAK = "the cell holds a line break or a NUL; a quote may be missing"


@dataclass(frozen=True)
class Fault:
    """Cells of one column that cannot be taken.

    Attributes:
        rows: int64, ascending 0-based rows of the batch.
        message: what is wrong with them.
    """

    column: str
    rows: npt.NDArray[np.int64]
    message: str


def is_readable(kind: pa.DataType) -> bool:
    """Whether a column of this type can be read as text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_date(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    )


def as_text(name: str, column: pa.Array) -> tuple[pa.Array, list[Fault]]:
    """A column of a readable type as (rows,) strings, faulty cells None; and the faults."""
    faults: list[Fault] = []
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_timestamp(kind):
        column = pc.strftime(column, format="%Y-%m-%d")
    elif pa.types.is_floating(kind):
        column, fault = _whole(column.cast(pa.float64()))
        _note(faults, name, fault, FRACTION)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column, fault = _decodable(column)
        _note(faults, name, fault, NOT_UTF8)
    text = column.cast(pa.string())
    for wrong, message in (
        (pc.greater(pc.utf8_length(text), MAX_CELL), TOO_LONG),
        (pc.match_substring_regex(text, r"[\r\n\x00]"), LINE_BREAK),
    ):
        fault = _true(wrong)
        if len(fault):
            _note(faults, name, fault, message)
            text = pc.if_else(pc.fill_null(wrong, False), None, text)
    return text, faults


def _note(faults: list[Fault], name: str, rows: npt.NDArray[np.int64], message: str) -> None:
    if len(rows):
        faults.append(Fault(name, rows, message))


def _true(mask: pa.Array) -> npt.NDArray[np.int64]:
    rows: npt.NDArray[np.int64] = np.asarray(
        pc.indices_nonzero(pc.fill_null(mask, False)), np.int64
    )
    return rows


def _decodable(column: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        binary = pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
        cells = column.cast(binary).to_pylist()
        wrong = np.array([cell is not None and not _is_utf8(cell) for cell in cells], np.bool_)
        texts = [
            None if bad or c is None else c.decode() for bad, c in zip(wrong, cells, strict=True)
        ]
        return pa.array(texts, pa.string()), np.flatnonzero(wrong)
    return column, np.empty(0, np.int64)


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _whole(column: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Whole numbers stored as floats, as pandas does beside missing ones: 7, not 7.0."""
    column = pc.if_else(pc.is_nan(column), None, column)
    whole = pc.and_(
        pc.equal(pc.floor(column), column), pc.less_equal(pc.abs(column), MAX_WHOLE_FLOAT)
    )
    faults = _true(pc.invert(whole))
    return pc.if_else(whole, column, None).cast(pa.int64()), faults
