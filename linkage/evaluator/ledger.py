"""The release ledger: what left the assembler, so that no later release is told apart from it.

One file per project (see `chain`), a line per extract. A line is on the disk before its extract is
to be seen, so whatever happens in between, nothing has left that the ledger does not know.

- A table of counts is protected against everything that the ledger says was published, and against
  what earlier tables hid, as long as they would count the same again. It is refused where a cell
  differs by few from any count that the cell ever had.
- An extract is refused whose persons differ from an earlier one's of the same recipient by fewer
  than `k`: who compares the two would have those few.
- An extract that is made again holds the rows and counts that it held, or is refused: its persons
  have the same ids, so what one version hides the other would tell.
- Beside the ledger lie salted hashes of each person's rows; they tell only whether rows are alike.
  Its lines hold the digests of the salt and of the hashes: without them, as they were, nothing is
  compared and nothing leaves.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.errors import DigestMismatchError, DisclosureError, StateError
from linkage.evaluator.chain import Chain, Said
from linkage.evaluator.entries import Entry, Line, line_of, plain
from linkage.files import private_directory, sync_directory, write_atomic
from linkage.release.assemble import Assembled
from linkage.release.deidentify import STUDY_ID
from linkage.release.disclosure.gate import ProtectedTable
from linkage.release.disclosure.tables import Key

Digests = npt.NDArray[np.uint64]

_SALT = 16
_REMEDY = "Restore the assembler's home from a backup; nothing can be released without its ledger"


class Ledger:
    """The ledger of one project, as it stands when this is made.

    Raises:
        DigestMismatchError: a line, the salt or hashes are missing, or not what was written; or a
            line is of another version.
    """

    def __init__(self, home: Path, project: str) -> None:
        self._directory = private_directory(home / "ledger")
        self._project = project
        self._chain = Chain(
            self._directory / f"{project}.jsonl",
            f"the ledger of project {project!r}",
            _REMEDY,
        )
        self._lines = self._chain.read(line_of)
        if self._lines:
            self._salt()
        for line in self._lines:
            self._read(self._persons_name(line.persons), line.persons)

    def entries(self) -> list[Entry]:
        return [line.entry for line in self._lines]

    def published(self, release: str = "", recipient: str = "") -> dict[Key, set[int]]:
        """Every count that a table published of each cell; for an extract that is made again,
        before it was.
        """
        found: dict[Key, set[int]] = {}
        for entry in self._before(release, recipient):
            for key, count in entry.counts.items():
                found.setdefault(key, set()).add(count)
        return found

    def newest(self, release: str = "", recipient: str = "") -> dict[Key, int]:
        """The last count of each cell, likewise."""
        found: dict[Key, int] = {}
        for entry in self._before(release, recipient):
            found.update(entry.counts)
        return found

    def hidden(self, release: str = "", recipient: str = "") -> set[Key]:
        """The cells that they suppressed, likewise."""
        return {key for entry in self._before(release, recipient) for key in entry.hidden}

    def _before(self, release: str, recipient: str) -> Iterator[Entry]:
        own = (release, recipient)
        return itertools.takewhile(lambda entry: _of(entry) != own, self.entries())

    def persons(self, assembled: Assembled) -> Digests:
        """A number for each person's rows, whoever it is; in order."""
        return _persons(assembled, self._salt())

    def require_as_before(
        self, release: str, recipient: str, persons: Digests, counts: Mapping[str, ProtectedTable]
    ) -> None:
        """Raises DisclosureError where the extract was made before, with other rows or counts."""
        now = (_sha256(_saved(persons)), *_cells(counts))
        own = [line for line in self._lines if _of(line.entry) == (release, recipient)]
        if own and all((o.persons, o.entry.counts, o.entry.hidden) != now for o in own):
            raise DisclosureError(
                f"the extract of release {release} for {recipient!r} was made before with other"
                " rows or counts; the same persons have the same ids in both, so the two together"
                " would tell more than each",
                remedy="Use the extract that was made, or assemble with the software that its"
                " provenance names; what has changed may leave with a new release",
            )

    def require_apart(self, release: str, recipient: str, persons: Digests, k: int) -> None:
        """Raises DisclosureError where too few persons differ from an earlier extract's."""
        for line in self._lines:
            entry = line.entry
            if entry.recipient != recipient or entry.release == release:
                continue
            data = self._read(self._persons_name(line.persons), line.persons)
            changed = _apart(np.load(io.BytesIO(data), allow_pickle=False), persons)
            if 0 < changed < k:
                raise DisclosureError(
                    f"the extract differs by fewer than {k} persons from that of release"
                    f" {entry.release}, which {recipient!r} has: who compares the two would see"
                    " those few alone",
                    remedy="Wait for a round in which more has changed",
                )

    def require_counts_apart(
        self, release: str, recipient: str, counts: Mapping[str, ProtectedTable], k: int
    ) -> None:
        """Raises DisclosureError where a cell differs by fewer than `k` from any earlier count."""
        published = self.published(release, recipient)
        for table in counts.values():
            few = [
                key
                for key, count in table.published.items()
                if any(0 < abs(count - was) < k for was in published.get(key, ()))
            ]
            if few:
                raise DisclosureError(
                    f"table {table.table.name!r}: {len(few)} cells, such as {_where(few[0])},"
                    f" differ by fewer than {k} from what an earlier release published; the"
                    " difference would tell of those few",
                    remedy="Wait until more has changed, leave the table out, or break it down by"
                    " less",
                )

    def add(self, entry: Entry, persons: Digests) -> None:
        """Write an extract down; one that stands there as it is is not written again.

        Raises:
            StateError: another extract left meanwhile, which this one was not held against.
        """
        saved = _saved(persons)
        line = Line(entry, _sha256(saved), _sha256(self._salt().encode()))
        written = plain(entry)

        def say(said: list[Said]) -> Said | None:
            if any(written == {name: one.get(name) for name in written} for one in said):
                return None
            if len(said) != len(self._lines):
                raise StateError(
                    "another extract of the project was made in the meantime, which this one was"
                    " not held against",
                    remedy="Assemble this one again",
                )
            # By its digest: what an earlier line speaks of stays as it is.
            write_atomic(self._directory / self._persons_name(line.persons), saved)
            return {**written, "persons": line.persons, "salt": line.salt}

        if self._chain.append(say):
            self._lines.append(line)

    def _salt(self) -> str:
        path = self._directory / "salt"
        # Whoever wrote a line had the salt before.
        begun = any(one.stat().st_size for one in self._directory.glob("*.jsonl"))
        if not path.exists():
            if begun:
                raise _damaged("salt", "is missing")
            self._draw_salt(path)
        found = path.read_bytes()
        known = {line.salt for line in self._lines} <= {_sha256(found)}
        if not known or len(found) != _SALT or not found.isalnum():
            raise _damaged("salt", "is not what was written")
        return found.decode("ascii")

    def _draw_salt(self, path: Path) -> None:
        drawn = secrets.token_hex(_SALT // 2)
        own = path.with_name(f".salt.{drawn[:8]}")
        write_atomic(own, drawn.encode())
        try:
            # Whole at once, and never over that of an assembly which began at the same time.
            os.link(own, path)
        except FileExistsError:
            pass
        finally:
            own.unlink()
        sync_directory(self._directory)

    def _read(self, name: str, digest: str) -> bytes:
        path = self._directory / name
        if not path.exists():
            raise _damaged(name, "is missing")
        data = path.read_bytes()
        if _sha256(data) != digest:
            raise _damaged(name, "is not what was written")
        return data

    def _persons_name(self, digest: str) -> str:
        return f"{self._project}.{digest}.npy"


def entry_of(
    assembled: Assembled,
    counts: Mapping[str, ProtectedTable],
    *,
    release: str,
    recipient: str,
    manifest: str,
    extract: str,
) -> Entry:
    people = assembled.people.num_rows
    return Entry(release, recipient, manifest, extract, people, *_cells(counts))


def _of(entry: Entry) -> tuple[str, str]:
    return entry.release, entry.recipient


def _cells(counts: Mapping[str, ProtectedTable]) -> tuple[dict[Key, int], tuple[Key, ...]]:
    """What tables of counts publish, and which cells they suppress."""
    cells = {key: count for one in counts.values() for key, count in one.published.items()}
    hidden = {key for one in counts.values() for key in one.hidden} - cells.keys()
    return cells, tuple(sorted(hidden))


def _where(key: Key) -> str:
    return " and ".join(f"{name} {node!r}" for name, node in key[1]) or "its total"


def _damaged(name: str, how: str) -> DigestMismatchError:
    return DigestMismatchError(f"{name}, beside the release ledger, {how}", remedy=_REMEDY)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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


def _saved(persons: Digests) -> bytes:
    written = io.BytesIO()
    np.save(written, persons, allow_pickle=False)
    return written.getvalue()


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
