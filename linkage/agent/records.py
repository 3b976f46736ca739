"""From a partner's file to an encoding matrix on disk, in bounded memory.

- Two passes: the first checks every row and counts them, so that nothing is written for a file
  with an error; the second encodes.
- Only where it is asked for are records with problems left out and the others encoded; which ones
  were left out is written beside the matrix too.
- Rows leave in the order of their random handles, which says nothing of the file's order.
- Which handle is which row is written beside the matrix and never leaves the agent.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from linkage.agent.profile import FileFigures, Hasher, Profiler
from linkage.agent.source import Batch, SourceFile
from linkage.agreement import IdentifierField, Manifest, Partner
from linkage.agreement.profile import Description
from linkage.encoding import (
    DEFAULT_DATE_FORMATS,
    Encoder,
    NormalisedColumn,
    normalise_column,
)
from linkage.encoding.clk_manifest import encoded_features, read_feature, says_of_type
from linkage.encodings import HANDLE_BYTES, EncodingLayout
from linkage.errors import InputError, Problem, SourceError
from linkage.files import write_atomic
from linkage.release.pseudonyms import draw_ids

MAX_PROBLEMS = 1000
Progress = Callable[[str, int, int], None]
Values = dict[tuple[str, int], str]
"""Cells by field and by their hash in a profile."""


@dataclass(frozen=True)
class Checked:
    """A file that may be encoded, whole or but for its skipped records.

    Attributes:
        rows: how many records.
        missing: per field, how many records lack it.
        covered: per match key, how many records have all of its fields.
        skipped: 0-based rows that are left out, ascending.
        reasons: what is wrong with them, each with its field and how often.
        sentinels: per field, how many cells hold a declared value for "not known".
    """

    rows: int
    missing: dict[str, int]
    covered: dict[str, int]
    skipped: npt.NDArray[np.int64]
    reasons: tuple[Reason, ...]
    sentinels: dict[str, int]

    @property
    def sent(self) -> int:
        """How many records are encoded."""
        return self.rows - len(self.skipped)


@dataclass(frozen=True, order=True)
class Reason:
    """One kind of problem, and how often it stands in a file."""

    field: str
    message: str
    count: int


@dataclass(frozen=True)
class Examined:
    """All that a dry run finds.

    Attributes:
        checked: what could be sent, the records with problems skipped.
        problems: the first problems, in the order of the file.
        total: how many there are in all.
        usable: at least one record without a problem has all fields of a match key.
    """

    checked: Checked
    problems: tuple[Problem, ...]
    total: int
    usable: bool


@dataclass(frozen=True)
class EncodedFile:
    """An encoding matrix on disk; `digest` is its SHA-256."""

    path: Path
    layout: EncodingLayout
    digest: str


class _Table:
    """Columns of a partner's file that hold identifier fields."""

    def __init__(
        self, fields: Sequence[IdentifierField], partner: Partner, source: SourceFile
    ) -> None:
        self._fields = tuple(fields)
        self._partner = partner
        self._source = source
        self._columns = [partner.column_of(field.name) for field in fields]

    @property
    def fields(self) -> tuple[IdentifierField, ...]:
        """The fields that are read."""
        return self._fields

    def reveal(self, figures: FileFigures, hasher: Hasher) -> Values:
        """Read the file again for the suspects' own spelling, which no profile holds.

        Args:
            hasher: the one that the figures were made with.
        """
        wanted = {
            f.field.name: np.array([s.hash for s in f.suspects], np.uint64)
            for f in figures.fields
            if f.suspects
        }
        found: Values = {}
        for batch in self._source.batches(self._columns):
            for field in self._fields:
                if field.name not in wanted:
                    continue
                values = self._read(field, batch).values
                there = np.flatnonzero(values != None)  # noqa: E711 - element by element
                hashes = hasher(values[there])
                for place in np.flatnonzero(np.isin(hashes, wanted[field.name])):
                    cell = batch[self._partner.column_of(field.name)][there[place]]
                    found.setdefault((field.name, int(hashes[place])), cell or "")
        return found

    def _read(self, field: IdentifierField, batch: Batch) -> NormalisedColumn:
        """What is encoded of a field."""
        return self._normalise(field, batch)

    def _normalise(self, field: IdentifierField, batch: Batch) -> NormalisedColumn:
        return normalise_column(
            field,
            batch[self._partner.column_of(field.name)],
            date_formats=self._partner.date_formats.get(field.name, DEFAULT_DATE_FORMATS),
            missing=self._partner.missing_of(field.name),
        )


class DescribedRecords(_Table):
    """A partner's file as the partner itself describes it, before there is a manifest."""

    def __init__(self, description: Description, source: SourceFile) -> None:
        super().__init__(description.identifiers, description.as_partner, source)

    def profile(self, progress: Progress, profiler: Profiler) -> dict[str, int]:
        """Give the profiler every batch; returns per column how many cells are no dates.

        Raises:
            SourceError: the file cannot be read as a table.
        """
        rows = 0
        unread: Counter[str] = Counter()
        for batch in self._source.batches(self._columns):
            columns = {field.name: self._normalise(field, batch) for field in self._fields}
            for name, column in columns.items():
                unread[self._partner.column_of(name)] += len(column.invalid)
            profiler.add({name: column.values for name, column in columns.items()})
            rows += len(batch[self._columns[0]])
            progress("profile", rows, 0)
        return dict(+unread)


class Records(_Table):
    """A partner's file as the manifest describes it."""

    def __init__(self, manifest: Manifest, partner: Partner, source: SourceFile) -> None:
        used = {name for key in manifest.match_keys for name in key.fields}
        super().__init__(
            [field for field in manifest.fields if field.name in used], partner, source
        )
        self._manifest = manifest
        by_schema = manifest.linkage_schema is not None
        self._features = (
            {name: feature for name, (_, feature) in encoded_features(manifest).items()}
            if by_schema
            else {}
        )
        # A filter is made of the features that a record has; another encoding needs all fields.
        self._together = np.any if by_schema else np.all
        if partner.record_id is not None:
            self._columns.append(partner.record_id)

    def _read(self, field: IdentifierField, batch: Batch) -> NormalisedColumn:
        if field.name not in self._features:
            return self._normalise(field, batch)
        return read_feature(self._features[field.name], batch[self._partner.column_of(field.name)])

    def _normalise(self, field: IdentifierField, batch: Batch) -> NormalisedColumn:
        if field.name not in self._features:
            return super()._normalise(field, batch)
        # What the linkage schema says of the column need not be said again for its type.
        formats, sentinels = says_of_type(self._features[field.name])
        return normalise_column(
            field,
            batch[self._partner.column_of(field.name)],
            date_formats=self._partner.date_formats.get(field.name, formats),
            missing=(*self._partner.missing_of(field.name), *sentinels),
        )

    def check(self, progress: Progress, *, skip_invalid: bool = False) -> Checked:
        """Read every row, and refuse the file for all its problems at once.

        Args:
            skip_invalid: leave out the records with problems instead, if any remain.

        Raises:
            SourceError: rows that cannot be understood, a repeated or empty record id, too many
                rows, or no record that can be encoded.
        """
        found = self.examine(progress)
        if found.problems and not (skip_invalid and found.usable):
            raise SourceError(
                self._source.name,
                found.problems,
                total=found.total,
                remedy="Correct these cells, or empty them where the value is not known;"
                " nothing was sent",
            )
        if not found.usable:
            raise SourceError(
                self._source.name,
                [Problem(0, "", "no record has all fields of any match key")],
                remedy="Check the column names and the missing values",
            )
        return found.checked

    def examine(
        self,
        progress: Progress,
        *,
        max_problems: int = MAX_PROBLEMS,
        profiler: Profiler | None = None,
    ) -> Examined:
        """Read every row, and count every problem.

        Memory is bounded by `max_problems` and some tens of bytes per record, however many are
        wrong.

        Args:
            max_problems: so many are kept, the first ones; the others are counted.
            profiler: given every batch.

        Raises:
            SourceError: the file cannot be read as a table, or has too many rows.
        """
        found = _Findings(self._source.name, max_problems)
        missing = dict.fromkeys((field.name for field in self._fields), 0)
        sentinels = dict.fromkeys(missing, 0)
        covered = dict.fromkeys((key.name for key in self._manifest.match_keys), 0)
        ids = None if self._partner.record_id is None else _RecordIds(self._partner.record_id)
        for batch in self._source.batches(self._columns):
            size = len(batch[self._columns[0]])
            values, present = {}, {}
            for field in self._fields:
                column = self._read(field, batch)
                found.invalid(self._partner.column_of(field.name), column)
                if field.name in self._features and self._manifest.matching.pair_keyed:
                    # Pairs are compared by the field's type, in which a date must make sense too.
                    typed = self._normalise(field, batch)
                    more = np.setdiff1d(typed.invalid, column.invalid)
                    found.invalid(self._partner.column_of(field.name), replace(typed, invalid=more))
                values[field.name] = column.values
                present[field.name] = column.values != None  # noqa: E711 - element by element
                missing[field.name] += size - int(present[field.name].sum())
                sentinels[field.name] += column.sentinels
            has_key = np.zeros(size, np.bool_)
            for key in self._manifest.match_keys:
                whole = self._together([present[f] for f in key.fields], axis=0)
                covered[key.name] += int(whole.sum())
                has_key |= whole
            if ids is not None:
                found.empty_ids(ids.name, ids.add(batch[ids.name]))
            found.next_batch(has_key)
            if profiler is not None:
                profiler.add(values)
            progress("check", found.rows, 0)
            if found.rows > self._manifest.max_rows:
                raise SourceError(
                    self._source.name,
                    [Problem(0, "", f"more rows than the manifest's {self._manifest.max_rows}")],
                    remedy="Send fewer rows, or agree on a manifest with a larger max_rows",
                )
        if ids is not None:
            found.repeated_ids(ids.name, *ids.repeated())
        return found.examined(missing, covered, sentinels)

    def encode(
        self, checked: Checked, encoder: Encoder, path: Path, *, threads: int, progress: Progress
    ) -> EncodedFile:
        """Write the matrix to `path`, and beside it `rows.parquet`: which row is which handle.

        Records that are skipped have no handle; `skipped.parquet` names them.

        Raises:
            SourceError: the file changed since it was checked.
        """
        rows = checked.sent
        layout = encoder.layout(rows)
        handles = draw_ids(rows)
        # A row's place is the rank of its random handle.
        order = np.lexsort(handles.T[::-1])
        place = np.empty(rows, dtype=np.int64)
        place[order] = np.arange(rows)
        kept = np.ones(checked.rows, dtype=np.bool_)
        kept[checked.skipped] = False
        words = self._create(path, layout)
        presence = np.zeros((len(layout.match_keys), rows), dtype=np.bool_)
        ids: list[str | None] = []
        read = done = 0
        for batch in self._source.batches(self._columns):
            chosen = kept[read : read + len(batch[self._columns[0]])]
            read += len(chosen)
            columns = {
                field.name: self._read(field, batch).values[chosen] for field in self._fields
            }
            encoded = encoder.encode(columns, threads=threads)
            where = place[done : done + int(chosen.sum())]
            words[:, where] = encoded.words
            presence[:, where] = encoded.presence
            if self._partner.record_id is not None:
                ids += batch[self._partner.record_id]
            done += len(where)
            progress("encode", done, rows)
        words.flush()
        del words
        self._write_rest(path, layout, handles[order], presence)
        sent = np.flatnonzero(kept)
        _write_table(
            path.with_name("rows.parquet"),
            row=pa.array(sent),
            handle=_binary(handles),
            record_id=_ids_at(ids, sent),
        )
        if len(checked.skipped):
            _write_table(
                path.with_name("skipped.parquet"),
                row=pa.array(checked.skipped),
                record_id=_ids_at(ids, checked.skipped),
            )
        with path.open("rb") as file:
            return EncodedFile(path, layout, hashlib.file_digest(file, "sha256").hexdigest())

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
            file.seek(layout.groups_offset)
            file.write(handles.tobytes())
            file.seek(layout.presence_offset)
            file.write(np.packbits(presence, axis=1, bitorder="little").tobytes())


class _Findings:
    """The problems of a file: the first ones kept, all counted, their rows marked."""

    def __init__(self, file: str, most: int) -> None:
        self.rows = 0
        self._file = file
        self._most = most
        self._kept: list[Problem] = []
        self._batch: list[tuple[str, npt.NDArray[np.int64], str]] = []
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._bad: list[npt.NDArray[np.int64]] = []
        self._has_key: list[npt.NDArray[np.bool_]] = []

    def invalid(self, column: str, found: NormalisedColumn) -> None:
        if len(found.invalid):
            self._batch.append((column, found.invalid, found.reason))

    def empty_ids(self, column: str, rows: npt.NDArray[np.int64]) -> None:
        if len(rows):
            self._batch.append((column, rows, "the record id is empty"))

    def next_batch(self, has_key: npt.NDArray[np.bool_]) -> None:
        """The batch is at its end; its rows have all fields of a match key or not."""
        room = self._most - len(self._kept)
        found: list[Problem] = []
        for column, rows, message in self._batch:
            self._reasons[column, message] += len(rows)
            self._bad.append(rows + self.rows)
            found += [Problem(self.rows + int(row) + 1, column, message) for row in rows[:room]]
        self._kept += sorted(found)[:room]
        self._batch.clear()
        self._has_key.append(has_key)
        self.rows += len(has_key)

    def repeated_ids(
        self, column: str, rows: npt.NDArray[np.int64], first: npt.NDArray[np.int64]
    ) -> None:
        """Rows whose record id stands in an earlier row, and that row.

        The earlier one is no problem of its own, but is as unfit to be sent as the later: content
        that joins by the id could belong to either.
        """
        if not len(rows):
            return
        self._reasons[column, "the record id is that of another row"] += len(rows)
        self._bad += [rows, first]
        found = [
            Problem(int(row) + 1, column, f"the record id is that of row {int(other) + 1}")
            for row, other in zip(rows[: self._most], first[: self._most], strict=True)
        ]
        self._kept = sorted(self._kept + found)[: self._most]

    def examined(
        self, missing: dict[str, int], covered: dict[str, int], sentinels: dict[str, int]
    ) -> Examined:
        bad = np.zeros(self.rows, np.bool_)
        for rows in self._bad:
            bad[rows] = True
        checked = Checked(
            self.rows,
            missing,
            covered,
            np.flatnonzero(bad),
            tuple(sorted(Reason(*what, count) for what, count in self._reasons.items())),
            sentinels,
        )
        has_key = np.concatenate(self._has_key)
        return Examined(
            checked, tuple(self._kept), self._reasons.total(), bool((has_key & ~bad).any())
        )


class _RecordIds:
    """Finds repeated record ids by keyed 64-bit hashes, 8 bytes per record."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._hasher = Hasher()
        self._hashes: list[npt.NDArray[np.uint64]] = []
        self._rows: list[npt.NDArray[np.uint32]] = []
        self._count = 0

    def add(self, ids: list[str | None]) -> npt.NDArray[np.int64]:
        """The rows of the batch whose id is empty."""
        array = np.array(ids, dtype=np.object_)
        empty = np.array([not value for value in ids], np.bool_)
        self._hashes.append(self._hasher(array[~empty]))
        self._rows.append(np.flatnonzero(~empty).astype(np.uint32) + np.uint32(self._count))
        self._count += len(ids)
        return np.flatnonzero(empty)

    def repeated(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows whose id stands earlier, ascending, and for each the first row that has it."""
        hashes = np.concatenate(self._hashes)
        ordered = np.sort(hashes)
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        del ordered
        places = np.flatnonzero(np.isin(hashes, twice)) if len(twice) else np.empty(0, np.int64)
        _, first, group = np.unique(hashes[places], return_index=True, return_inverse=True)
        rows = np.concatenate(self._rows)[places].astype(np.int64)
        earliest = rows[first][group] if len(rows) else rows
        later = rows != earliest
        return rows[later], earliest[later]


def _binary(ids: npt.NDArray[np.uint8]) -> pa.Array:
    flat = pa.py_buffer(np.ascontiguousarray(ids))
    return pa.Array.from_buffers(pa.binary(HANDLE_BYTES), len(ids), [None, flat])


def _ids_at(ids: list[str | None], rows: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array([ids[row] for row in rows] if ids else [None] * len(rows), pa.string())


def _write_table(path: Path, **columns: pa.Array) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    write_atomic(path, sink.getvalue().to_pybytes())


@dataclass(frozen=True)
class RowMap:
    """Which rows of the identifier file were sent, and under which handles.

    Attributes:
        rows: 0-based rows sent, ascending.
        handles: (rows sent, 16) their row handles.
        record_ids: their record ids, None where the partner has none.
        skipped_rows: rows left out.
        skipped_ids: the record ids of those.
    """

    rows: npt.NDArray[np.int64]
    handles: npt.NDArray[np.uint8]
    record_ids: list[str | None]
    skipped_rows: npt.NDArray[np.int64]
    skipped_ids: frozenset[str]


def read_row_map(directory: Path) -> RowMap:
    """The row map that `encode` left in a directory.

    Raises:
        InputError: nothing was submitted from here.
    """
    path = directory / "rows.parquet"
    if not path.exists():
        raise InputError("nothing was submitted from this home", remedy="Run submit first")
    table = pq.read_table(path)
    raw = b"".join(table["handle"].to_pylist())
    skipped = directory / "skipped.parquet"
    out = pq.read_table(skipped) if skipped.exists() else None
    return RowMap(
        table["row"].to_numpy(),
        np.frombuffer(raw, np.uint8).reshape(-1, HANDLE_BYTES),
        table["record_id"].to_pylist(),
        np.empty(0, np.int64) if out is None else out["row"].to_numpy(),
        frozenset() if out is None else frozenset(filter(None, out["record_id"].to_pylist())),
    )


def handles_by_row(path: Path) -> tuple[npt.NDArray[np.uint8], list[str | None]]:
    """Handles and record ids of the rows sent, in the file's own order, from `rows.parquet`.

    Raises:
        InputError: nothing was submitted from here.
    """
    found = read_row_map(path.parent)
    return found.handles, found.record_ids
