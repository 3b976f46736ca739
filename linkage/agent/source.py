"""Read a partner's CSV or Parquet file as text columns, batch by batch.

- Memory is bounded by the batch; the file is never held whole.
- Every cell comes out as text or None; what cannot be text is refused with row and field.
- A file that changes while it is read is refused: half of one version and half of another must
  never be linked.

    source = SourceFile(Path("jail.csv"))
    for batch in source.batches(["surname", "dob"]):
        batch["surname"]    # list of str or None
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from linkage.errors import Problem, SourceError

MAX_CELL = 10_000
MAX_COLUMNS = 2_000
BATCH_ROWS = 65_536
BLOCK_BYTES = 8 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_SHOWN = 1000
MAX_WHOLE_FLOAT = float(1 << 53)

Batch = dict[str, list[str | None]]
_ROW = re.compile(r"Row #(\d+)")
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class _Stamp:
    size: int
    modified_ns: int
    inode: int


class SourceFile:
    """One file of a partner.

    Args:
        path: CSV (UTF-8, with a header) or Parquet, told apart by their content.

    Raises:
        SourceError: not there, empty, not UTF-8, or its header is unusable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._stamp = self._look()
        if not path.is_file():
            raise self._error("this is not a file", "Name the CSV or Parquet file itself")
        if self._stamp.size == 0:
            raise self._error("the file is empty", "Was the export interrupted? Make it again")
        try:
            with path.open("rb") as file:
                self._is_parquet = file.read(4) == _PARQUET_MAGIC
        except OSError as error:
            raise self._cannot_read(error) from None
        self.columns = self._parquet_columns() if self._is_parquet else self._csv_columns()
        self._check_header()

    def digest(self) -> str:
        """SHA-256 of the file's bytes, 64 hex digits."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def require(self, columns: Sequence[str]) -> None:
        """Raises SourceError naming every column that is not there, with the closest one.

        Where none of several is there, the first line may be a record instead of a header: then
        nothing of it is repeated but what reads like a column asked for.
        """
        missing = [column for column in columns if column not in self.columns]
        is_header = len(missing) < max(len(columns), 2)
        if missing:
            problems = [
                Problem(0, column, f"the column is missing{self._closest(column, is_header)}")
                for column in missing
            ]
            raise SourceError(self.name, problems, remedy=self._columns_remedy(is_header))
        twice = sorted({c for c in self.columns if self.columns.count(c) > 1})
        if twice:
            raise SourceError(
                self.name,
                [Problem(0, column, "the header names this column twice") for column in twice],
                remedy="Give every column a name of its own",
            )

    def _closest(self, column: str, is_header: bool) -> str:
        by_fold = {_folded(name): name for name in self.columns}
        close = difflib.get_close_matches(
            _folded(column), by_fold, n=1, cutoff=0.6 if is_header else 1.0
        )
        return f"; the closest is {by_fold[close[0]]!r}" if close else ""

    def _columns_remedy(self, is_header: bool) -> str:
        if len(self.columns) == 1 and any(mark in self.columns[0] for mark in ";\t|"):
            return "The header has no comma: save the file with commas between the columns"
        if is_header:
            return "Rename the column, or map it in the manifest under the partner's columns"
        return (
            "The first line must name the columns; rename them, or map them in the manifest under"
            " the partner's columns"
        )

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The given columns, batch by batch.

        Raises:
            SourceError: a column is missing, a row or cell cannot be read, there are no rows, or
                the file changed meanwhile.
        """
        wanted = list(dict.fromkeys(columns))
        self.require(wanted)
        row = 0
        read = self._parquet_batches if self._is_parquet else self._csv_batches
        for batch in read(wanted):
            # Before a caller fits rows of another version into places counted for this one.
            self.require_unchanged()
            self._check_cells(batch, row)
            row += batch.num_rows
            yield {name: batch.column(name).to_pylist() for name in wanted}
        if row == 0:
            raise self._error("the file has a header but no rows", _ROWS_REMEDY)
        self.require_unchanged()

    def require_unchanged(self) -> None:
        """Raises SourceError when the file is not the one that was opened."""
        if self._look() != self._stamp:
            raise self._error(
                "the file changed while it was read", "Wait until it is complete, then try again"
            )

    def _look(self) -> _Stamp:
        try:
            found = self.path.stat()
        except OSError as error:
            raise self._cannot_read(error) from None
        return _Stamp(found.st_size, found.st_mtime_ns, found.st_ino)

    def _csv_columns(self) -> list[str]:
        try:
            with self.path.open("rb") as raw:
                head = raw.read(MAX_HEADER_BYTES)
            # A cut in the middle of a character is no error of the file's.
            text = head.decode(
                "utf-8-sig", errors="strict" if len(head) < MAX_HEADER_BYTES else "ignore"
            )
            columns = next(csv.reader(io.StringIO(text, newline="")), [])
        except UnicodeDecodeError as error:
            row = head[: error.start].count(b"\n")
            raise self._error("the file is not UTF-8 text", _ENCODING_REMEDY, row=row) from None
        except csv.Error:
            raise self._error("the header cannot be read", _QUOTE_REMEDY) from None
        if any("\0" in column for column in columns):
            # UTF-16 without its mark.
            raise self._error("the file is not UTF-8 text", _ENCODING_REMEDY)
        return columns

    def _parquet_columns(self) -> list[str]:
        try:
            return list(pq.read_schema(self.path).names)
        except (pa.ArrowException, OSError):
            raise self._error("the Parquet file is damaged", _DAMAGED_REMEDY) from None

    def _check_header(self) -> None:
        if len(self.columns) > MAX_COLUMNS:
            raise self._error(
                f"the file has more than {MAX_COLUMNS} columns",
                "Export only the columns that the manifest names",
            )
        if not self.columns:
            raise self._error("the first line is empty", "The first line must name the columns")
        for place, column in enumerate(self.columns, 1):
            if not column.strip():
                raise self._error(
                    f"the header has no name for column {place}",
                    "Give every column a name of its own",
                )
            if "\n" in column or "\r" in column:
                raise self._error(
                    f"the header's name of column {place} holds a line break", _QUOTE_REMEDY
                )

    def _csv_batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            reader = pa_csv.open_csv(
                self.path,
                read_options=pa_csv.ReadOptions(
                    use_threads=False,
                    block_size=BLOCK_BYTES,
                    column_names=self.columns,
                    skip_rows=1,
                ),
                parse_options=pa_csv.ParseOptions(newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(self.columns, pa.string()),
                    include_columns=columns,
                    strings_can_be_null=False,
                ),
            )
            yield from reader
        except pa.ArrowInvalid as error:
            raise self._csv_error(str(error)) from None

    def _csv_error(self, text: str) -> SourceError:
        self.require_unchanged()
        # Arrow counts the header as row 1 and quotes the row's content, which must not be shown.
        found = _ROW.search(text)
        row = int(found[1]) - 1 if found else 0
        if "UTF8" in text:
            return self._error("the row is not UTF-8 text", _ENCODING_REMEDY, row=row)
        if "Empty CSV" in text or "not skip" in text:
            return self._error("the file has a header but no rows", _ROWS_REMEDY)
        if "straddling" in text:
            return self._error(f"a row is longer than {BLOCK_BYTES} bytes", _QUOTE_REMEDY)
        if "Expected" in text:
            return self._error(
                f"the row does not have {len(self.columns)} cells as the header has",
                _QUOTE_REMEDY,
                row=row,
            )
        return self._error("the file cannot be read as CSV", _QUOTE_REMEDY, row=row)

    def _parquet_batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        row = 0
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
                    yield pa.RecordBatch.from_arrays(
                        [self._as_text(name, batch.column(name), row) for name in columns],
                        names=columns,
                    )
                    row += batch.num_rows
        except (pa.ArrowException, OSError):
            self.require_unchanged()
            raise self._error("the Parquet file is damaged", _DAMAGED_REMEDY) from None

    def _as_text(self, name: str, column: pa.Array, before: int) -> pa.Array:
        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = column.cast(kind.value_type), kind.value_type
        if pa.types.is_timestamp(kind):
            column = pc.strftime(column, format="%Y-%m-%d")
        elif pa.types.is_floating(kind):
            column = self._whole(name, column.cast(pa.float64()), before)
        elif not (
            pa.types.is_string(kind)
            or pa.types.is_large_string(kind)
            or pa.types.is_integer(kind)
            or pa.types.is_date(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_null(kind)
        ):
            raise SourceError(
                self.name,
                [Problem(0, name, f"a column of type {kind} cannot be read as text")],
                remedy="Write the column as text",
            )
        try:
            text = column.cast(pa.string())
            text.validate(full=True)
        except pa.ArrowInvalid:
            raise SourceError(
                self.name,
                [Problem(0, name, "a cell of the column is not UTF-8 text")],
                remedy="Write the column as text again",
            ) from None
        return text

    def _whole(self, name: str, column: pa.Array, before: int) -> pa.Array:
        """Whole numbers stored as floats, as pandas does beside missing ones: 7, not 7.0."""
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = pc.and_(
            pc.equal(pc.floor(column), column), pc.less_equal(pc.abs(column), MAX_WHOLE_FLOAT)
        )
        rows = pc.indices_nonzero(pc.fill_null(pc.invert(whole), False)).to_pylist()
        if rows:
            raise SourceError(
                self.name,
                [
                    Problem(before + row + 1, name, "the cell is a fraction, not a code or text")
                    for row in rows[:MAX_SHOWN]
                ],
                total=len(rows),
                remedy="Write the column as text",
            )
        return column.cast(pa.int64())

    def _check_cells(self, batch: pa.RecordBatch, before: int) -> None:
        problems = []
        for name in batch.schema.names:
            column = batch.column(name)
            for wrong, message in (
                (
                    pc.greater(pc.utf8_length(column), MAX_CELL),
                    f"the cell is longer than {MAX_CELL} characters",
                ),
                (
                    pc.match_substring_regex(column, r"[\r\n\x00]"),
                    "the cell holds a line break or a NUL; a quote may be missing",
                ),
            ):
                rows = pc.indices_nonzero(pc.fill_null(wrong, False)).to_pylist()
                problems += [Problem(before + row + 1, name, message) for row in rows]
        if problems:
            raise SourceError(
                self.name,
                sorted(problems)[:MAX_SHOWN],
                total=len(problems),
                remedy="Correct the cells; nothing was sent",
            )

    def _cannot_read(self, error: OSError) -> SourceError:
        return self._error(
            f"the file cannot be read ({error.strerror or 'input error'})",
            "Check its path, and that this user may read it",
        )

    def _error(self, message: str, remedy: str | None = None, *, row: int = 0) -> SourceError:
        return SourceError(self.path.name, [Problem(row, "", message)], remedy=remedy)


def _folded(name: str) -> str:
    """A column's name without case, blanks and punctuation."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


_ENCODING_REMEDY = "Save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
_QUOTE_REMEDY = "Look for a missing quote or a separator that is not a comma"
_ROWS_REMEDY = "Was the export interrupted, or its filter too narrow?"
_DAMAGED_REMEDY = "Copy or export it again"
