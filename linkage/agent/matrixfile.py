"""Write an encoding matrix whose rows arrive in any order, in bounded memory.

- Rows are appended to the spill file of the range of places they belong to (a bucket); when all
  are there, one bucket after the other is sorted in memory and written to its place.
- After every `CHECKPOINT_ROWS` rows, and after every bucket, what has been done is written down.
  A killed process goes on from there: spill files are cut back to the lengths noted. A note that
  is damaged is none.
- Bulk data go through plain writes: dirty pages of a memory map would count as memory.
- Peak space is the matrix and one bucket more, as a bucket is deleted when it is in place.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from pydantic import NonNegativeInt, ValidationError

from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Strict
from linkage.encoding import Encoded
from linkage.encodings import ALIGNMENT, EncodingLayout
from linkage.errors import LimitError
from linkage.files import PRIVATE, write_atomic

BUCKET_BYTES = 96 << 20
CHECKPOINT_ROWS = 1 << 19
SPARE_BYTES = 64 << 20

Bytes = npt.NDArray[np.uint8]
Told = Callable[[int], None]


class _Noted(Strict):
    """How far a matrix is, and which one it is."""

    header: str
    record: int
    bucket: int
    rows: NonNegativeInt
    placed: NonNegativeInt
    lengths: list[NonNegativeInt]


class MatrixFile:
    """A matrix that is being written to `path`, and its spill files in `directory`.

    Attributes:
        rows: how many rows of the source are done.
    """

    def __init__(self, path: Path, directory: Path, layout: EncodingLayout) -> None:
        self.path = path
        self.rows = 0
        self._directory = directory
        self.layout = layout
        keys = len(layout.match_keys)
        self._record = np.dtype(
            [
                ("words", "<u8", (keys, layout.words_per_row)),
                ("place", "<u4"),
                ("presence", "?", (keys,)),
                ("strata", "u1", (len(layout.strata),)),
            ],
            align=True,
        )
        # Whole bytes of presence bits in every bucket.
        self._size = max(BUCKET_BYTES // self._record.itemsize // 64 * 64, 64)
        self._buckets = -(-layout.rows // self._size)
        self._lengths = [0] * self._buckets
        self._placed = 0
        self._since = 0

    @property
    def filled(self) -> bool:
        """All rows have been added."""
        return sum(self._lengths) == self.layout.rows * self._record.itemsize

    def begin(self, handles: Bytes, groups: Bytes) -> None:
        """Start a new file with (rows, 16) handles."""
        layout = self.layout
        with _full_disk_told(), _private(self.path) as file:
            file.truncate(layout.size)
            file.write(layout.header)
            for section, offset in (
                (handles, layout.handles_offset),
                (groups, layout.groups_offset),
            ):
                file.seek(offset)
                file.write(np.ascontiguousarray(section).data)
            _sync(file)
        self._note()

    def resume(self) -> bool:
        """Go on from the last checkpoint of the same matrix, if there is one."""
        try:
            noted = _Noted.model_validate_json(self._state.read_bytes())
        except (FileNotFoundError, ValidationError):
            return False
        known = (self.layout.header.decode(), self._record.itemsize, self._size)
        if (noted.header, noted.record, noted.bucket) != known:
            return False
        if len(noted.lengths) != self._buckets or noted.placed > self._buckets:
            return False
        if not self.path.exists() or self.path.stat().st_size != self.layout.size:
            return False
        self.rows, self._placed, self._lengths = noted.rows, noted.placed, noted.lengths
        for bucket, length in enumerate(self._lengths):
            spill = self._spill(bucket)
            if bucket < self._placed:
                spill.unlink(missing_ok=True)
            elif length and (not spill.exists() or spill.stat().st_size < length):
                return False
            elif spill.exists():
                os.truncate(spill, length)
        return True

    def add(self, places: npt.NDArray[np.integer[Any]], encoded: Encoded, strata: Bytes) -> None:
        """Add rows that belong at `places`, (n,), with their (n, strata) codes."""
        if not len(places):
            return  # every record of the batch was left out
        buckets = places // self._size
        order = np.argsort(buckets, kind="stable")
        records = np.zeros(len(places), self._record)
        for key, (words, presence) in enumerate(zip(encoded.words, encoded.presence, strict=True)):
            records["words"][:, key] = words[order]
            records["presence"][:, key] = presence[order]
        records["place"], records["strata"] = places[order], strata[order]
        numbers, starts = np.unique(buckets[order], return_index=True)
        ends = [*starts[1:].tolist(), len(places)]
        for bucket, start, end in zip(numbers.tolist(), starts.tolist(), ends, strict=True):
            with _full_disk_told(), _private(self._spill(bucket), "ab") as file:
                file.write(records[start:end].tobytes())
            self._lengths[bucket] += (end - start) * self._record.itemsize

    def checkpoint(self, rows: int, *, now: bool = False) -> None:
        """Note that `rows` rows of the source are done, if it is time to."""
        self._since += rows - self.rows
        self.rows = rows
        if self._since >= CHECKPOINT_ROWS or now:
            with _full_disk_told():
                for bucket in range(self._buckets):
                    if (spill := self._spill(bucket)).exists():
                        with spill.open("rb") as file:
                            os.fsync(file.fileno())
                self._note()

    def place(self, progress: Told) -> None:
        """Write every bucket to its place; tells how many rows are there."""
        for bucket in range(self._placed, self._buckets):
            records = np.fromfile(self._spill(bucket), self._record)
            with _full_disk_told(), self.path.open("r+b") as file:
                self._place(file, bucket, records)
                _sync(file)
            self._placed = bucket + 1
            self._note()
            self._spill(bucket).unlink()
            progress(min((bucket + 1) * self._size, self.layout.rows))

    def digest(self, progress: Told) -> str:
        """SHA-256 of the whole file, 64 hex digits; tells how many bytes were read."""
        digest, done = hashlib.sha256(), 0
        with self.path.open("rb") as file:
            while data := file.read(8 << 20):
                digest.update(data)
                done += len(data)
                progress(done)
        return digest.hexdigest()

    def handles(self) -> Bytes:
        """(rows, 16) the row handles that were written."""
        with self.path.open("rb") as file:
            file.seek(self.layout.handles_offset)
            return np.fromfile(file, np.uint8, self.layout.rows * 16).reshape(-1, 16)

    def require_space(self, more: int = 0) -> None:
        """Raises LimitError unless the disk can take what is still to be written.

        Args:
            more: bytes of other files that are to come.
        """
        here = [self.path, *self._directory.glob("bucket-*")]
        taken = sum(p.stat().st_blocks * 512 for p in here if p.exists())
        bucket = min(self._size, self.layout.rows) * self._record.itemsize
        spilled = self.layout.rows * (self._record.itemsize + ALIGNMENT)
        needed = spilled + bucket + more + SPARE_BYTES - taken
        free = shutil.disk_usage(self.path.parent).free
        if free < needed:
            raise LimitError(
                f"encoding needs {needed / 1e9:.1f} GB of disk and {free / 1e9:.1f} GB are free",
                remedy=f"Free some, or move the agent's home to a larger disk; it is on that of"
                f" {self.path.parent}",
            )

    def _place(self, file: BinaryIO, bucket: int, records: npt.NDArray[np.void]) -> None:
        layout, first = self.layout, bucket * self._size
        here = records["place"].astype(np.int64) - first
        rows = len(here)
        strata = np.empty((rows, len(layout.strata)), np.uint8)
        strata[here] = records["strata"]
        file.seek(layout.strata_offset + first * len(layout.strata))
        file.write(strata.tobytes())
        words = np.empty((rows, layout.words_per_row), "<u8")
        presence = np.empty(rows, np.bool_)
        for key in range(len(layout.match_keys)):
            presence[here] = records["presence"][:, key]
            file.seek(layout.presence_offset + key * layout.presence_bytes + first // 8)
            file.write(np.packbits(presence, bitorder="little").tobytes())
            words[here] = records["words"][:, key]
            file.seek(layout.words_offset + (key * layout.rows + first) * layout.bits // 8)
            file.write(words.data)

    @property
    def _state(self) -> Path:
        return self._directory / "state.json"

    def _spill(self, bucket: int) -> Path:
        return self._directory / f"bucket-{bucket}"

    def _note(self) -> None:
        self._since = 0
        noted = _Noted(
            header=self.layout.header.decode(),
            record=self._record.itemsize,
            bucket=self._size,
            rows=self.rows,
            placed=self._placed,
            lengths=self._lengths,
        )
        write_atomic(self._state, canonical(noted.model_dump()))


@contextmanager
def _private(path: Path, mode: str = "wb") -> Iterator[BinaryIO]:
    """Open a file that only its owner may read."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if mode == "ab" else os.O_TRUNC)
    with os.fdopen(os.open(path, flags, PRIVATE), mode) as file:
        yield cast(BinaryIO, file)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise LimitError(
            "the disk is full",
            remedy="Free some space and run the same command again: it goes on where it stopped",
        ) from None
