"""A copy of a partner's file with one more column; everything else stays byte for byte.

- CSV: the new cell is put behind the last one of each line, before whatever ends the line. Quotes,
  line ends, blank lines and a byte order mark stay as they are; a line is what Arrow's reader takes
  for one, by which `SourceFile` reads.
- Parquet: values, types and metadata of all columns stay; rows are grouped anew.
- Memory is bounded: pieces are made one by one, for `linkage.files.write_pieces`.
"""

from __future__ import annotations

import csv
import io
import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from linkage.agent.source import BATCH_ROWS, SourceFile
from linkage.errors import InputError, Problem, SourceError

Progress = Callable[[str, int, int], None]

PIECE_BYTES = 1 << 20
MAX_NAME = 200

_QUOTED = rb'"[^"]*+(?:""[^"]*+)*+'
_BEHIND = rb'"[^,\r\n]*+'
_PLAIN = rb'(?!")[^,\r\n]*+'
_CELL = b"(?>" + _QUOTED + b"(?:" + _BEHIND + b")?+|" + _PLAIN + b")"
_CLOSED = b"(?>" + _QUOTED + _BEHIND + b"|" + _PLAIN + b")"
_LINE = re.compile(_CELL + b"(?:," + _CELL + b")*+")
_LAST = re.compile(_CLOSED + b"(?:," + _CLOSED + b")*+")
_END = re.compile(rb"\r\n|\n|\r|\Z")
_BOM = b"\xef\xbb\xbf"


def require_column(source: SourceFile, column: str, *, replace: bool) -> None:
    """Refuse a column that cannot be added.

    Raises:
        InputError: the name is none, or the file has a column of that name and it is not to be
            replaced, or has two.
    """
    if not column.strip() or len(column) > MAX_NAME or re.search(r"[\r\n\x00]", column):
        raise InputError(f"a column needs a name of 1 to {MAX_NAME} characters in one line")
    if source.columns.count(column) > int(replace):
        remedy = "Name another with --column, or replace it with --replace-column"
        raise InputError(f"{source.name} has a column {column!r} already", remedy=remedy)


def count_rows(source: SourceFile) -> int:
    """How many rows a file has.

    Raises:
        SourceError: it cannot be read.
    """
    if not _is_parquet(source):
        return sum(rows.count for rows in source.read(source.columns[:1]))
    with pq.ParquetFile(source.path) as file:
        return int(file.metadata.num_rows)


def with_column(
    source: SourceFile, column: str, cells: Sequence[str], progress: Progress
) -> Iterator[bytes]:
    """The bytes of the copy, piece by piece.

    Args:
        column: replaced where the file has it, else added as the last one.
        cells: one per row of the file, without quotes, commas and line breaks; "" for none.

    Raises:
        SourceError: the file changed since it was read.
    """
    source.require_unchanged()
    copy = _parquet if _is_parquet(source) else _csv
    yield from copy(source, column, cells, progress)
    source.require_unchanged()


def _is_parquet(source: SourceFile) -> bool:
    with source.path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _csv(
    source: SourceFile, column: str, cells: Sequence[str], progress: Progress
) -> Iterator[bytes]:
    put = _placing(source.columns.index(column) if column in source.columns else None)
    with (
        source.path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        place = len(_BOM) if data[: len(_BOM)] == _BOM else 0
        parts = [data[:place]]
        waiting = 0
        row = -1
        while place < len(data):
            line, end = _line(data, place)
            place += len(line) + len(end)
            if line:
                if row >= len(cells):
                    raise _other_rows(source)
                if not end and not _LAST.fullmatch(line):
                    raise _unclosed(source, row + 1)
                cell = _quoted(column) if row < 0 else cells[row].encode()
                parts += (put(line, cell), end)
                row += 1
            else:
                parts.append(end)
            waiting += len(line)
            if waiting >= PIECE_BYTES:
                yield b"".join(parts)
                parts, waiting = [], 0
                progress("write", row, len(cells))
        if row != len(cells):
            raise _other_rows(source)
        yield b"".join(parts)
        progress("write", row, len(cells))


def _line(data: mmap.mmap, place: int) -> tuple[bytes, bytes]:
    """A line, which may hold quoted line breaks, and what ends it."""
    found = _LINE.match(data, place)
    end = _END.match(data, found.end()) if found else None
    if found is None or end is None:
        raise AssertionError("a line is anything up to what ends it")
    return found[0], end[0]


def _placing(index: int | None) -> Callable[[bytes, bytes], bytes]:
    """Puts a cell behind a line, or in the place of the one at `index`."""
    if index is None:
        return lambda line, cell: line + b"," + cell
    before = re.compile(b"(?:" + _CELL + b",){%d}" % index)
    one = re.compile(_CELL)

    def put(line: bytes, cell: bytes) -> bytes:
        head = before.match(line)
        start = head.end() if head else 0
        old = one.match(line, start)
        return line[:start] + cell + line[old.end() if old else start :]

    return put


def _quoted(name: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="").writerow([name])
    return text.getvalue().encode()


def _unclosed(source: SourceFile, row: int) -> SourceError:
    return SourceError(
        source.name,
        [Problem(row, "", "a quote is not closed")],
        remedy="Is the file whole? Close the quote, or export the file again",
    )


def _other_rows(source: SourceFile) -> SourceError:
    return SourceError(
        source.name,
        [Problem(0, "", "the copy would have another number of rows than were read")],
        remedy="Save the file as Parquet, or with every cell in quotes, and try again",
    )


def _parquet(
    source: SourceFile, column: str, cells: Sequence[str], progress: Progress
) -> Iterator[bytes]:
    with pq.ParquetFile(source.path) as file:
        if file.metadata.num_rows != len(cells):
            raise _other_rows(source)
        schema = file.schema_arrow
        place = schema.get_field_index(column)
        field = pa.field(column, pa.string())
        schema = schema.append(field) if place < 0 else schema.set(place, field)
        sink = _Sink()
        codec = file.metadata.row_group(0).column(0).compression
        with pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            schema,
            compression="none" if codec == "UNCOMPRESSED" else codec.lower(),
        ) as writer:
            row = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                these = [cell or None for cell in cells[row : row + batch.num_rows]]
                columns: list[Any] = batch.columns
                made = pa.array(these, pa.string())
                if place < 0:
                    columns.append(made)
                else:
                    columns[place] = made
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
                row += batch.num_rows
                yield sink.drain()
                progress("write", row, len(cells))
        yield sink.drain()


class _Sink(io.RawIOBase):
    """Keeps what is written until it is drained."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._size += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._size

    def drain(self) -> bytes:
        found = b"".join(self._parts)
        self._parts.clear()
        return found
