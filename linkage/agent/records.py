"""From a partner's file to an encoding matrix on disk, in bounded memory.

- Two passes: the first checks every row and counts them, so that nothing is written for a file
  with an error; the second encodes.
- Rows leave in the order of their random handles, which says nothing of the file's order.
- Which handle is which row is written beside the matrix and never leaves the agent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from linkage.agent.source import Batch, SourceFile
from linkage.agreement import IdentifierField, Manifest, Partner
from linkage.encoding import (
    DEFAULT_DATE_FORMATS,
    Encoder,
    NormalisedColumn,
    normalise_column,
)
from linkage.encodings import HANDLE_BYTES, EncodingLayout
from linkage.errors import InputError, Problem, SourceError
from linkage.files import write_atomic
from linkage.release.pseudonyms import draw_ids

MAX_PROBLEMS = 1000
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Checked:
    """A file that may be encoded.

    Attributes:
        rows: how many records.
        missing: per field, how many records lack it.
        covered: per match key, how many records have all of its fields.
        sentinels: per field, how many cells hold a declared value for "not known".
    """

    rows: int
    missing: dict[str, int]
    covered: dict[str, int]
    sentinels: dict[str, int]


@dataclass(frozen=True)
class EncodedFile:
    """An encoding matrix on disk; `digest` is its SHA-256."""

    path: Path
    layout: EncodingLayout
    digest: str


class Records:
    """A partner's file as the manifest describes it."""

    def __init__(self, manifest: Manifest, partner: Partner, source: SourceFile) -> None:
        self._manifest = manifest
        self._partner = partner
        self._source = source
        used = {name for key in manifest.match_keys for name in key.fields}
        self._fields = [field for field in manifest.fields if field.name in used]
        self._columns = [partner.column_of(field.name) for field in self._fields]
        if partner.record_id is not None:
            self._columns.append(partner.record_id)

    def check(self, progress: Progress) -> Checked:
        """Read every row, and report every problem at once.

        Raises:
            SourceError: rows that cannot be understood, a repeated or empty record id, or too
                many rows.
        """
        rows, total = 0, 0
        problems: list[Problem] = []
        missing = dict.fromkeys((field.name for field in self._fields), 0)
        sentinels = dict.fromkeys(missing, 0)
        covered = dict.fromkeys((key.name for key in self._manifest.match_keys), 0)
        seen: dict[str, int] = {}
        for batch in self._source.batches(self._columns):
            size = len(batch[self._columns[0]])
            found = [*self._id_problems(batch, rows, seen)]
            present = {}
            for field in self._fields:
                column = self._normalise(field, batch)
                name = self._partner.column_of(field.name)
                found += [
                    Problem(rows + int(row) + 1, name, column.reason) for row in column.invalid
                ]
                present[field.name] = column.values != None  # noqa: E711 - element by element
                missing[field.name] += size - int(present[field.name].sum())
                sentinels[field.name] += column.sentinels
            for key in self._manifest.match_keys:
                covered[key.name] += int(np.all([present[f] for f in key.fields], axis=0).sum())
            total += len(found)
            problems += sorted(found)[: MAX_PROBLEMS - len(problems)]
            rows += size
            progress("check", rows, 0)
            if rows > self._manifest.max_rows:
                raise SourceError(
                    self._source.name,
                    [Problem(0, "", f"more rows than the manifest's {self._manifest.max_rows}")],
                    remedy="Send fewer rows, or agree on a manifest with a larger max_rows",
                )
        if problems:
            raise SourceError(
                self._source.name,
                problems,
                total=total,
                remedy="Correct these cells, or empty them where the value is not known;"
                " nothing was sent",
            )
        if not any(covered.values()):
            raise SourceError(
                self._source.name,
                [Problem(0, "", "no record has all fields of any match key")],
                remedy="Check the column names and the missing values",
            )
        return Checked(rows, missing, covered, sentinels)

    def encode(
        self, rows: int, encoder: Encoder, path: Path, *, threads: int, progress: Progress
    ) -> EncodedFile:
        """Write the matrix to `path`, and `rows.parquet` (which row is which handle) beside it.

        Raises:
            SourceError: the file changed since it was checked.
        """
        layout = encoder.layout(rows)
        handles = draw_ids(rows)
        # A row's place is the rank of its random handle.
        order = np.lexsort(handles.T[::-1])
        place = np.empty(rows, dtype=np.int64)
        place[order] = np.arange(rows)
        words = self._create(path, layout)
        presence = np.zeros((len(layout.match_keys), rows), dtype=np.bool_)
        ids: list[str | None] = []
        done = 0
        for batch in self._source.batches(self._columns):
            columns = {field.name: self._normalise(field, batch).values for field in self._fields}
            size = len(batch[self._columns[0]])
            encoded = encoder.encode(columns, threads=threads)
            where = place[done : done + size]
            words[:, where] = encoded.words
            presence[:, where] = encoded.presence
            if self._partner.record_id is not None:
                ids += batch[self._partner.record_id]
            done += size
            progress("encode", done, rows)
        words.flush()
        del words
        self._write_rest(path, layout, handles[order], presence)
        self._write_rows(path.with_name("rows.parquet"), handles, ids)
        with path.open("rb") as file:
            return EncodedFile(path, layout, hashlib.file_digest(file, "sha256").hexdigest())

    def _normalise(self, field: IdentifierField, batch: Batch) -> NormalisedColumn:
        return normalise_column(
            field,
            batch[self._partner.column_of(field.name)],
            date_formats=self._partner.date_formats.get(field.name, DEFAULT_DATE_FORMATS),
            missing=self._partner.missing_of(field.name),
        )

    def _id_problems(self, batch: Batch, before: int, seen: dict[str, int]) -> list[Problem]:
        name = self._partner.record_id
        if name is None:
            return []
        found = []
        for row, value in enumerate(batch[name], before + 1):
            if not value:
                found.append(Problem(row, name, "the record id is empty"))
            elif seen.setdefault(value, row) != row:
                found.append(Problem(row, name, f"the record id is that of row {seen[value]}"))
        return found

    @staticmethod
    def _create(path: Path, layout: EncodingLayout) -> np.memmap[Any, np.dtype[np.uint64]]:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        with path.open("r+b") as file:
            file.truncate(layout.size)
        shape = (len(layout.match_keys), layout.rows, layout.words_per_row)
        return np.memmap(path, "<u8", "r+", offset=layout.words_offset, shape=shape)

    @staticmethod
    def _write_rest(
        path: Path,
        layout: EncodingLayout,
        handles: npt.NDArray[np.uint8],
        presence: npt.NDArray[np.bool_],
    ) -> None:
        with path.open("r+b") as file:
            file.write(layout.header)
            file.seek(layout.handles_offset)
            file.write(handles.tobytes())
            file.seek(layout.presence_offset)
            file.write(np.packbits(presence, axis=1, bitorder="little").tobytes())

    @staticmethod
    def _write_rows(path: Path, handles: npt.NDArray[np.uint8], ids: list[str | None]) -> None:
        flat = pa.py_buffer(np.ascontiguousarray(handles))
        kind = pa.binary(HANDLE_BYTES)
        table = pa.table(
            {
                "row": pa.array(np.arange(len(handles))),
                "handle": pa.Array.from_buffers(kind, len(handles), [None, flat]),
                "record_id": pa.array(ids if ids else [None] * len(handles), pa.string()),
            }
        )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        write_atomic(path, sink.getvalue().to_pybytes())


def handles_by_row(path: Path) -> tuple[npt.NDArray[np.uint8], list[str | None]]:
    """Row handles (rows, 16) in the file's own order, and record ids, from `rows.parquet`.

    Raises:
        InputError: nothing was submitted from here.
    """
    if not path.exists():
        raise InputError("nothing was submitted from this home", remedy="Run submit first")
    table = pq.read_table(path)
    raw = b"".join(table["handle"].to_pylist())
    return (
        np.frombuffer(raw, np.uint8).reshape(-1, HANDLE_BYTES),
        table["record_id"].to_pylist(),
    )
