"""Which row of a partner's file is which row of its upload: `rows.parquet`, which never leaves.

One line per row of the upload, in the file's order, aliases after their record: `row` of the file
from 0, `variant` of the record (0 is the record itself), `handle`, `record_id`, and `place`, the
row of the upload. The table's metadata says by digest which files it is about. Records that were
left out stand in `skipped.parquet`. Whoever reads a file that is damaged is told so (StateError).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from linkage.encodings import HANDLE_BYTES
from linkage.errors import InputError, StateError
from linkage.files import PRIVATE, sync_directory

Rows = npt.NDArray[np.int64]
Handles = npt.NDArray[np.uint8]

ROWS, SKIPPED = "rows.parquet", "skipped.parquet"
_SENT = pa.schema(
    [
        ("row", pa.int64()),
        ("variant", pa.uint8()),
        ("handle", pa.binary(HANDLE_BYTES)),
        ("record_id", pa.string()),
        ("place", pa.int64()),
    ]
)
_LEFT_OUT = pa.schema([("row", pa.int64()), ("record_id", pa.string())])
READ_ROWS = 1 << 16


@dataclass(frozen=True)
class RowMap:
    """Which records of the identifier file were sent, and under which handles.

    Attributes:
        rows: 0-based rows sent, ascending.
        handles: (rows sent, 16) their row handles.
        record_ids: their record ids, None where the partner has none.
        skipped_rows: rows left out.
        skipped_ids: the record ids of those.
    """

    rows: Rows
    handles: Handles
    record_ids: list[str | None]
    skipped_rows: Rows
    skipped_ids: frozenset[str]


def read_row_map(directory: Path) -> RowMap:
    """The row map of what was encoded into a directory.

    Raises:
        InputError: nothing was.
    """
    table = _read(_there(directory), _SENT, filters=[("variant", "=", 0)])
    skipped = _read(directory / SKIPPED, _LEFT_OUT)
    with _damage_told(directory / ROWS):
        return RowMap(
            table["row"].to_numpy(),
            _handles(table["handle"]),
            table["record_id"].to_pylist(),
            skipped["row"].to_numpy(),
            frozenset(filter(None, skipped["record_id"].to_pylist())),
        )


@dataclass(frozen=True)
class Sent:
    """Some rows of an upload: of which row of the file, which variant, and which row they are."""

    rows: Rows
    variants: Rows
    places: Rows


class SentRows:
    """Reads a row map in the file's order, in bounded memory.

    Raises:
        InputError: nothing was encoded into the directory.
    """

    def __init__(self, directory: Path) -> None:
        self._path = _there(directory)
        with _damage_told(self._path):
            file = pq.ParquetFile(self._path)
            _require_schema(file.schema_arrow, _SENT)
            self._batches = file.iter_batches(READ_ROWS, columns=list(_READ))
        self._rest = Sent(*(np.empty(0, np.int64) for _ in range(3)))

    def made_from(self) -> dict[str, str]:
        """The digests of the files, by what they are."""
        return _made_from(self._path)

    def before(self, row: int) -> Sent:
        """What was not read yet of the rows before `row`."""
        parts = [self._rest]
        while not len(parts[-1].rows) or parts[-1].rows[-1] < row:
            with _damage_told(self._path):
                batch = next(self._batches, None)
                if batch is None:
                    break
                parts.append(Sent(*(batch[n].to_numpy().astype(np.int64) for n in _READ)))
        rows, variants, places = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("rows", "variants", "places")
        )
        cut = int(np.searchsorted(rows, row))
        self._rest = Sent(rows[cut:], variants[cut:], places[cut:])
        return Sent(rows[:cut], variants[:cut], places[:cut])


_READ = ("row", "variant", "place")


def places_by_row(directory: Path) -> tuple[Rows, Rows]:
    """For every row of the upload in a directory, its row of the file and its place.

    Raises:
        InputError: nothing was encoded into the directory.
    """
    table = _read(_there(directory), _SENT, columns=["row", "place"])
    return table["row"].to_numpy(), table["place"].to_numpy()


def former_handles(
    directory: Path, ids: Iterator[Sequence[str | None]]
) -> tuple[Handles, npt.NDArray[np.bool_]]:
    """The row handles that records had in an earlier upload, found by record id.

    Holds the earlier upload's record ids in memory.

    Args:
        directory: where the earlier upload was made.
        ids: the record ids of the file, batch by batch.

    Returns:
        (rows of the file, 16) handles, and (rows of the file,) whether a record had one.

    Raises:
        InputError: nothing was encoded into the directory.
    """
    table = _read(
        _there(directory), _SENT, columns=["record_id", "handle"], filters=[("variant", "=", 0)]
    )
    with _damage_told(directory / ROWS):
        table.validate(full=True)
    known = table["record_id"].combine_chunks()
    handles = np.concatenate([_handles(table["handle"]), np.zeros((1, HANDLE_BYTES), np.uint8)])
    places = [
        pc.index_in(pa.array(batch, pa.string()), value_set=known, skip_nulls=True)
        .fill_null(-1)
        .to_numpy(zero_copy_only=False)
        for batch in ids
    ]
    place = np.concatenate([np.empty(0, np.int64), *places])
    return handles[place], place >= 0


def handles_by_row(directory: Path, rows: int) -> tuple[Handles, npt.NDArray[np.bool_]]:
    """The row handles that records of the same file had in an earlier upload, by their row.

    Args:
        rows: of the file.

    Returns:
        (rows, 16) handles, and (rows,) whether a record had one.
    """
    table = _read(
        _there(directory), _SENT, columns=["row", "handle"], filters=[("variant", "=", 0)]
    )
    handles, known = np.zeros((rows, HANDLE_BYTES), np.uint8), np.zeros(rows, np.bool_)
    place = table["row"].to_numpy()
    handles[place], known[place] = _handles(table["handle"]), True
    return handles, known


def write_row_map(
    directory: Path,
    ids: Iterator[Sequence[str | None]],
    variants: npt.NDArray[np.uint8],
    places: npt.NDArray[np.uint32],
    handles: Handles,
    made_from: Mapping[str, str],
) -> None:
    """Write both files, batch by batch.

    Args:
        ids: the record ids of the file, batch by batch.
        variants: (rows of the file,) how many rows of the upload each has.
        places: (records sent,) the first of them.
        handles: (rows of the upload, 16).
        made_from: digests of the files.
    """
    schema = _SENT.with_metadata({f"linkage.{name}": text for name, text in made_from.items()})
    first = done = 0
    with (
        _new_table(directory / SKIPPED, _LEFT_OUT) as skipped,
        _new_table(directory / ROWS, schema) as sent,
    ):
        for batch in ids:
            counts = variants[first : first + len(batch)].astype(np.int64)
            rows = np.arange(first, first + len(batch))
            known = np.array(batch, np.object_)
            out = counts == 0
            if out.any():
                left = {"row": rows[out], "record_id": pa.array(known[out], pa.string())}
                skipped.write_table(pa.table(left, _LEFT_OUT))
            record = np.repeat(np.arange(len(batch)), counts)
            number = np.arange(len(record)) - np.repeat(np.cumsum(counts) - counts, counts)
            start = np.zeros(len(batch), np.int64)
            start[~out] = places[done : done + int((~out).sum())]
            place = start[record] + number
            columns = [
                pa.array(rows[record]),
                pa.array(number.astype(np.uint8)),
                _binary(handles[place]),
                pa.array(known[record], pa.string()),
                pa.array(place),
            ]
            sent.write_table(pa.Table.from_arrays(columns, schema=schema))
            first += len(batch)
            done += int((~out).sum())


@contextmanager
def _new_table(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file that is whole or absent."""
    temporary = path.with_name(f".{path.name}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT, PRIVATE), "wb") as file:
        with pq.ParquetWriter(file, schema) as writer:
            yield writer
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def _read(path: Path, schema: pa.Schema, **what: Any) -> pa.Table:
    with _damage_told(path):
        _require_schema(pq.read_schema(path), schema)
        found = pq.read_table(path, **what)
        if any(found[n].null_count for n in found.column_names if n != "record_id"):
            raise ValueError("something is missing")
        return found


def _require_schema(found: pa.Schema, schema: pa.Schema) -> None:
    if not found.equals(schema, check_metadata=False):
        raise ValueError("another table")


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise StateError(
            f"{path.name} is damaged: which rows were sent is not known",
            remedy="Put the home back from a backup, or submit the file again",
        ) from None


def _made_from(path: Path) -> dict[str, str]:
    prefix = b"linkage."
    with _damage_told(path):
        return {
            name.removeprefix(prefix).decode(): text.decode()
            for name, text in (pq.read_schema(path).metadata or {}).items()
            if name.startswith(prefix)
        }


def _there(directory: Path) -> Path:
    path = directory / ROWS
    if not path.exists():
        raise InputError("nothing was submitted from this home", remedy="Run submit first")
    return path


def _binary(ids: Handles) -> pa.Array:
    flat = pa.py_buffer(np.ascontiguousarray(ids))
    return pa.Array.from_buffers(pa.binary(HANDLE_BYTES), len(ids), [None, flat])


def _handles(column: pa.ChunkedArray) -> Handles:
    raw = b"".join(column.to_pylist())
    return np.frombuffer(raw, np.uint8).reshape(-1, HANDLE_BYTES)
