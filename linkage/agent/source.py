"""Read a partner's CSV or Parquet file as text columns, batch by batch.

- Memory is bounded by the batch; the file is never held whole.
- Every cell comes out as text or None; what cannot be text is named by row and field, all such
  cells of a file at once.
- A file that changes while it is read is refused: half of one version and half of another must
  never be linked.

    source = SourceFile(Path("jail.csv"))
    for batch in source.batches(["surname", "dob"]):
        batch["surname"]    # list of str or None

`batches` refuses a file with any such cell; `read` hands them over as faults.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from linkage.agent.cells import Fault, as_text, is_readable
from linkage.agent.header import QUOTE_REMEDY, is_text, require_columns, require_header
from linkage.errors import Problem, SourceError

BATCH_ROWS = 65_536
BLOCK_BYTES = 8 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_SHOWN = 1000

Batch = dict[str, list[str | None]]
_ROW = re.compile(r"Row #(\d+)")
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a file, at most `BATCH_ROWS`.

    Attributes:
        first: 0-based row of the file that comes first.
        count: how many rows.
        cells: by column; None also where a fault is.
        faults: the cells that cannot be taken.
    """

    first: int
    count: int
    cells: Batch
    faults: tuple[Fault, ...]


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
        self._digest: str | None = None
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
        require_header(self.name, self.columns)

    def digest(self) -> str:
        """SHA-256 of the file's bytes, 64 hex digits.

        Raises:
            SourceError: the file is not the one that was opened.
        """
        if self._digest is None:
            with self.path.open("rb") as file:
                self._digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.require_unchanged()
        return self._digest

    def require(self, columns: Sequence[str]) -> None:
        """Raises SourceError naming every column that is not there; see `require_columns`."""
        require_columns(self.name, self.columns, columns)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The given columns, batch by batch, up to the first one with a faulty cell.

        Raises:
            SourceError: a column is missing, rows or cells cannot be read, there are no rows, or
                the file changed meanwhile. All faulty cells of the file are counted.
        """
        problems: list[Problem] = []
        total = 0
        for rows in self.read(columns):
            for fault in rows.faults:
                total += len(fault.rows)
                problems += [
                    Problem(rows.first + int(row) + 1, fault.column, fault.message)
                    for row in fault.rows[: MAX_SHOWN - len(problems)]
                ]
            if not total:
                yield rows.cells
        if total:
            raise SourceError(
                self.name,
                sorted(problems),
                total=total,
                remedy="Correct the cells, or write the columns as text again; nothing was sent",
            )

    def read(self, columns: Sequence[str]) -> Iterator[Rows]:
        """The given columns with their faulty cells, batch by batch.

        Raises:
            SourceError: a column is missing or can never be text, rows cannot be read, there are no
                rows, or the file changed meanwhile.
        """
        wanted = list(dict.fromkeys(columns))
        self.require(wanted)
        first = 0
        read = self._parquet_batches if self._is_parquet else self._csv_batches
        for batch in read(wanted):
            # Before a caller fits rows of another version into places counted for this one.
            self.require_unchanged()
            for start in range(0, batch.num_rows, BATCH_ROWS):
                part = batch.slice(start, BATCH_ROWS)
                cells, faults = {}, []
                for name in wanted:
                    text, wrong = as_text(name, part.column(name))
                    cells[name] = text.to_pylist()
                    faults += wrong
                yield Rows(first, part.num_rows, cells, tuple(faults))
                first += part.num_rows
        if first == 0:
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
            # Rows after the header are not judged here.
            text = head.decode("utf-8-sig", errors="surrogateescape")
            columns = next(csv.reader(io.StringIO(text, newline="")), [])
        except csv.Error:
            raise self._error("the header cannot be read", QUOTE_REMEDY) from None
        if not all(map(is_text, columns)):
            raise self._error("the file is not UTF-8 text", _ENCODING_REMEDY)
        return columns

    def _parquet_columns(self) -> list[str]:
        try:
            return list(pq.read_schema(self.path).names)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            raise self._error("the Parquet file is damaged", _DAMAGED_REMEDY) from None

    def _csv_batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        broken: list[int] = []
        total = 0

        def note(row: pa_csv.InvalidRow) -> str:
            # Arrow counts the header as row 1; the row's content must not be shown.
            nonlocal total
            total += 1
            if total <= MAX_SHOWN:
                broken.append(row.number - 1)
            return "skip"

        try:
            reader = pa_csv.open_csv(
                self.path,
                read_options=pa_csv.ReadOptions(
                    use_threads=False,
                    block_size=BLOCK_BYTES,
                    column_names=self.columns,
                    skip_rows=1,
                ),
                parse_options=pa_csv.ParseOptions(
                    newlines_in_values=True,
                    # Arrow makes text of a row before it asks, and cannot of what is not UTF-8.
                    invalid_row_handler=note if self._is_utf8 else None,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(self.columns, pa.string()),
                    include_columns=columns,
                    strings_can_be_null=False,
                    # Cell by cell later, so that all are found.
                    check_utf8=False,
                ),
            )
            for batch in reader:
                if not total:
                    yield batch
        except pa.ArrowInvalid as error:
            raise self._csv_error(str(error)) from None
        if total:
            self.require_unchanged()
            message = f"the row does not have {len(self.columns)} cells as the header has"
            raise SourceError(
                self.name,
                [Problem(row, "", message) for row in broken],
                total=total,
                remedy=QUOTE_REMEDY,
            )

    @cached_property
    def _is_utf8(self) -> bool:
        """Whether the whole file is UTF-8."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            with self.path.open("rb") as file:
                while piece := file.read(BLOCK_BYTES):
                    decoder.decode(piece)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
        return True

    def _csv_error(self, text: str) -> SourceError:
        self.require_unchanged()
        if "Empty CSV" in text or "not skip" in text:
            return self._error("the file has a header but no rows", _ROWS_REMEDY)
        if "straddling" in text:
            return self._error(f"a row is longer than {BLOCK_BYTES} bytes", QUOTE_REMEDY)
        found = _ROW.search(text)
        row = int(found[1]) - 1 if found else 0
        return self._error("the file cannot be read as CSV", QUOTE_REMEDY, row=row)

    def _parquet_batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(self.path) as file:
                self._require_readable(file.schema_arrow, columns)
                yield from file.iter_batches(batch_size=BATCH_ROWS, columns=columns)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            self.require_unchanged()
            raise self._error("the Parquet file is damaged", _DAMAGED_REMEDY) from None

    def _require_readable(self, schema: pa.Schema, columns: list[str]) -> None:
        problems = [
            Problem(0, name, f"a column of type {schema.field(name).type} cannot be read as text")
            for name in columns
            if not is_readable(schema.field(name).type)
        ]
        if problems:
            raise SourceError(self.name, problems, remedy="Write the columns as text")

    def _cannot_read(self, error: OSError) -> SourceError:
        return self._error(
            f"the file cannot be read ({error.strerror or 'input error'})",
            "Check its path, and that this user may read it",
        )

    def _error(self, message: str, remedy: str | None = None, *, row: int = 0) -> SourceError:
        return SourceError(self.path.name, [Problem(row, "", message)], remedy=remedy)


_ENCODING_REMEDY = "Save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
_ROWS_REMEDY = "Was the export interrupted, or its filter too narrow?"
_DAMAGED_REMEDY = "Copy or export it again"
