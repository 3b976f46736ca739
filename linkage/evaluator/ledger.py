"""The release ledger: what left the assembler, so that no later release is told apart from it.

One file per project, a line of canonical JSON per extract, each with the SHA-256 of the line before
it. A line is on the disk before its extract is to be seen, so whatever happens in between, nothing
has left that the ledger does not know. A line that a crash cut short is dropped by the next one.

- A table of counts is protected against everything that the ledger says was published.
- An extract is refused whose persons differ from an earlier one's of the same recipient by fewer
  than `k`: who compares the two would have those few.
- Beside the ledger lie salted hashes of each person's rows; they tell only whether rows are alike.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.agreement.canonical import canonical
from linkage.errors import DigestMismatchError, DisclosureError
from linkage.files import private_directory, sync_directory, write_atomic
from linkage.release.assemble import Assembled
from linkage.release.deidentify import STUDY_ID
from linkage.release.disclosure.gate import ProtectedTable
from linkage.release.disclosure.tables import Key

FIRST = "0" * 64
Digests = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Entry:
    """One extract that left.

    Attributes:
        extract: SHA-256 of its list of checksums.
        counts: what its tables of counts published, by cell.
    """

    release: str
    recipient: str
    manifest: str
    extract: str
    people: int
    counts: Mapping[Key, int]
    suppressed: int


class Ledger:
    """The ledger of one project.

    Raises:
        DigestMismatchError: a line is not the one that was written.
    """

    def __init__(self, home: Path, project: str) -> None:
        self._directory = private_directory(home / "ledger")
        self._path = self._directory / f"{project}.jsonl"
        self._project = project

    def entries(self) -> list[Entry]:
        return [_entry(line) for line in self._lines()]

    def published(self, release: str = "", recipient: str = "") -> dict[Key, int]:
        """What all tables of counts published, but for an extract that is made again."""
        found: dict[Key, int] = {}
        for entry in self.entries():
            if (entry.release, entry.recipient) != (release, recipient):
                found.update(entry.counts)
        return found

    def persons(self, assembled: Assembled) -> Digests:
        """A number for each person's rows, whoever it is; in order."""
        return _persons(assembled, self._salt())

    def require_apart(self, release: str, recipient: str, persons: Digests, k: int) -> None:
        """Raises DisclosureError where too few persons differ from an earlier extract's."""
        for entry in self.entries():
            if entry.recipient != recipient or entry.release == release:
                continue
            path = self._persons_path(entry.release, recipient)
            if not path.exists():
                continue
            changed = _apart(np.load(path, allow_pickle=False), persons)
            if 0 < changed < k:
                raise DisclosureError(
                    f"the extract differs by fewer than {k} persons from that of release"
                    f" {entry.release}, which {recipient!r} has: who compares the two would see"
                    " those few alone",
                    remedy="Wait for a round in which more has changed",
                )

    def add(self, entry: Entry, persons: Digests) -> None:
        """Write an extract down; one that stands there as it is is not written again."""
        with self._alone():
            lines = self._lines()
            if any(_entry(line) == entry for line in lines):
                return
            path = self._persons_path(entry.release, entry.recipient)
            with path.with_suffix(".new").open("wb") as file:
                np.save(file, persons, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            path.with_suffix(".new").replace(path)
            previous = hashlib.sha256(lines[-1]).hexdigest() if lines else FIRST
            line = canonical({"previous": previous, "number": len(lines), **_plain(entry)})
            with self._path.open("ab") as file:
                # What a crash cut short ends here.
                file.truncate(sum(len(one) + 1 for one in lines))
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
            sync_directory(self._directory)

    def _lines(self) -> list[bytes]:
        if not self._path.exists():
            return []
        *lines, _ = self._path.read_bytes().split(b"\n")
        previous = FIRST
        for number, line in enumerate(lines):
            try:
                said = json.loads(line)
                fits = said["previous"] == previous and said["number"] == number
            except (ValueError, KeyError, TypeError):
                fits = False
            if not fits:
                raise DigestMismatchError(
                    f"line {number + 1} of the ledger of project {self._project!r} is not what was"
                    " written",
                    remedy="Restore the assembler's home from a backup; nothing can be released"
                    " without its ledger",
                )
            previous = hashlib.sha256(line).hexdigest()
        return lines

    def _salt(self) -> str:
        path = self._directory / "salt"
        if not path.exists():
            write_atomic(path, secrets.token_hex(8).encode())
        return path.read_text("ascii")

    def _persons_path(self, release: str, recipient: str) -> Path:
        return self._directory / f"{self._project}.{release}.{recipient}.npy"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._directory / "lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def entry_of(
    assembled: Assembled,
    counts: Mapping[str, ProtectedTable],
    *,
    release: str,
    recipient: str,
    manifest: str,
    extract: str,
) -> Entry:
    cells: dict[Key, int] = {}
    for one in counts.values():
        cells.update(one.published)
    suppressed = sum(int(one.suppressed.sum()) for one in counts.values())
    return Entry(
        release, recipient, manifest, extract, assembled.people.num_rows, cells, suppressed
    )


def _plain(entry: Entry) -> dict[str, Any]:
    cells = [
        [counted, [list(node) for node in nodes], count]
        for (counted, nodes), count in sorted(entry.counts.items())
    ]
    return {**vars(entry), "counts": cells}


def _entry(line: bytes) -> Entry:
    said = json.loads(line)
    cells = {
        (counted, tuple((name, node) for name, node in nodes)): int(count)
        for counted, nodes, count in said.pop("counts")
    }
    del said["previous"], said["number"]
    return Entry(**said, counts=cells)


def _persons(assembled: Assembled, salt: str) -> Digests:
    people = assembled.people[STUDY_ID].to_pandas()
    found = np.zeros(len(people), np.uint64)
    for name, table in assembled.named.items():
        if STUDY_ID not in table.column_names:
            continue
        frame = table.drop_columns([STUDY_ID]).to_pandas().assign(of=name)
        rows = pd.util.hash_pandas_object(frame, index=False, hash_key=salt).to_numpy(np.uint64)
        place = pd.Index(people).get_indexer(table[STUDY_ID].to_pandas())
        # Sums wrap around; the order of a person's rows does not matter.
        np.add.at(found, place, rows)
    return np.sort(found)


def _apart(one: Digests, other: Digests) -> int:
    """How many persons are in one of two extracts only."""
    values, counts = np.unique(one, return_counts=True)
    others, other_counts = np.unique(other, return_counts=True)
    every = np.union1d(values, others)
    left, right = np.zeros(len(every), np.int64), np.zeros(len(every), np.int64)
    left[np.searchsorted(every, values)] = counts
    right[np.searchsorted(every, others)] = other_counts
    # One whose rows changed is in both, as another: that is one person, not two.
    return max(int(np.maximum(left - right, 0).sum()), int(np.maximum(right - left, 0).sum()))
