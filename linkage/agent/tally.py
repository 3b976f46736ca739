"""Count how values repeat, exactly and in bounded memory, without keeping any of them.

- Values are told apart by 64-bit hashes (SipHash) under a key that is drawn for each `Hasher` and
  never written. In ten million distinct values two are mistaken for one with probability 3e-6.
- Hashes and their counts go to anonymous temporary files, which the system removes with the
  process, and are counted part by part: at most 12 bytes of temporary space per entry, and a few
  ten megabytes of memory while counted.

    tally = Tally()
    for values in batches:
        tally.add(hasher(values))
    spread, commonest = tally.count(top=5)
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Hashes = npt.NDArray[np.uint64]
Objects = npt.NDArray[np.object_]

IN_MEMORY_BYTES = 4 << 20
PART_ENTRIES = 1 << 20

_ENTRY = np.dtype([("hash", "<u8"), ("count", "<u4")])


@dataclass(frozen=True)
class Spread:
    """How the values of a field, or of all fields of a match key, repeat.

    Attributes:
        rows: records that have one.
        distinct: different values.
        largest: how often the commonest stands.
        bits: collision entropy (Rényi, of order 2) of the values as they are.
        pairs: pairs of records that agree.
    """

    rows: int
    distinct: int
    largest: int
    bits: float
    pairs: int


class Hasher:
    """Keyed hashes of values, the same within one run only."""

    def __init__(self) -> None:
        self._key = secrets.token_urlsafe(12)

    def __call__(self, values: Objects) -> Hashes:
        """64-bit hashes of texts."""
        found: Hashes = pd.util.hash_array(values, hash_key=self._key, categorize=False)
        return found


class Tally:
    """Counts how often each hash occurs."""

    def __init__(self) -> None:
        # Held open for as long as the tally lives.
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        self._entries = 0

    def add(self, hashes: Hashes, counts: npt.NDArray[np.int64] | None = None) -> None:
        """Count hashes, each once or so many times."""
        entries = np.empty(len(hashes), _ENTRY)
        entries["hash"] = hashes
        entries["count"] = 1 if counts is None else counts
        self._file.write(entries.tobytes())
        self._entries += len(hashes)

    def count(self, top: int = 0) -> tuple[Spread, list[tuple[int, int]]]:
        """How the hashes repeat, and the commonest ones with their counts."""
        rows = distinct = largest = squares = 0
        commonest: list[tuple[int, int]] = []
        for hashes, counts in self._parts():
            rows += int(counts.sum())
            distinct += len(counts)
            largest = max(largest, int(counts.max(initial=0)))
            squares += int(np.dot(counts, counts))
            if top:
                best = np.argsort(-counts, kind="stable")[:top]
                commonest += zip(hashes[best].tolist(), counts[best].tolist(), strict=True)
                commonest = sorted(commonest, key=lambda item: (-item[1], item[0]))[:top]
        bits = float(2 * np.log2(rows) - np.log2(squares)) if rows else 0.0
        return Spread(rows, distinct, largest, max(bits, 0.0), (squares - rows) // 2), commonest

    def close(self) -> None:
        self._file.close()

    def _parts(self) -> Iterator[tuple[Hashes, npt.NDArray[np.int64]]]:
        """Distinct hashes and their counts, one range of hashes after the other."""
        bits = max((self._entries - 1) // PART_ENTRIES, 0).bit_length()
        for part in range(1 << bits):
            chosen = [
                chunk if not bits else chunk[chunk["hash"] >> np.uint64(64 - bits) == part]
                for chunk in self._chunks()
            ]
            if not chosen:
                return
            entries = np.concatenate(chosen)
            order = np.argsort(entries["hash"])
            hashes, counts = entries["hash"][order], entries["count"][order].astype(np.int64)
            starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
            if len(hashes):
                yield hashes[starts], np.add.reduceat(counts, starts)

    def _chunks(self) -> Iterator[npt.NDArray[np.void]]:
        self._file.seek(0)
        while data := self._file.read(PART_ENTRIES * _ENTRY.itemsize):
            yield np.frombuffer(data, _ENTRY)


def mixed(columns: Sequence[Hashes]) -> Hashes:
    """Random 64-bit numbers into one: each times an odd number of its own, then added."""
    total = np.zeros(len(columns[0]), np.uint64)
    factor = 1
    for column in columns:
        factor = factor * 0x9E3779B97F4A7C15 % (1 << 64)
        total += column * np.uint64(factor)
    return total
