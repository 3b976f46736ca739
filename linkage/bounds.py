"""What a file of encodings may be like: no probe, no flood, and no small step from the last one.

Agents ask before they send, the hub asks what has arrived: both with the same functions, on the
encodings alone.

- A row is known by a random hash over its encodings (64 bits, drawn anew for each check, so that
  nobody can prepare for it). Row and group handles say who is one person; what is encoded says what
  is new.
- Memory is O(rows), whatever the number and length of the encodings.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from linkage.agreement import Manifest
from linkage.encodings import EncodingMatrix
from linkage.errors import AgreementError

Marks = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]

CHUNK_ROWS = 65_536
_REMEDY = "The bounds stand in the manifest; find repeated records with linkage agent dedupe"


def require_bounds(matrix: EncodingMatrix, manifest: Manifest, partner: str) -> None:
    """Refuse a probe of a few people, and a flood of one person's records.

    Raises:
        AgreementError: names the bound and, where it is about one, the match key; never a row.
    """
    safe = manifest.safeguards
    persons = matrix.persons()
    encoded = matrix.presence.any(axis=0)
    people = len(np.unique(persons[encoded]))
    if people < manifest.min_rows:
        raise AgreementError(
            f"the file of {partner!r} holds fewer than {manifest.min_rows} people who have an"
            " encoding",
            remedy="The manifest's min_rows allows no smaller file; send a larger one",
        )
    _, rows = np.unique(persons, return_counts=True)
    if rows.max(initial=0) > safe.rows_per_person:
        raise _flood(partner, f"more than {safe.rows_per_person} rows of one person")
    draw = _Draw(matrix)
    most = max(safe.rows_per_person, int(safe.commonest_share * matrix.layout.rows))
    whole = np.zeros(matrix.layout.rows, np.uint64)
    for number, (name, marks) in enumerate(draw.of_keys(matrix)):
        present = matrix.presence[number]
        if _people_alike(marks[present], persons[present]).max(initial=0) > most:
            raise _flood(partner, f"more than {most} people encoded alike in match key {name!r}")
        whole = draw.joined(whole, marks)
    alike = _people_alike(whole[encoded], persons[encoded])
    if alike.max(initial=0) > safe.rows_per_person:
        raise _flood(partner, f"more than {safe.rows_per_person} people encoded all alike")
    share = manifest.partner(partner).duplicates
    if (alike - 1).sum() > share * alike.sum():
        raise _flood(partner, f"more than {share:.0%} of the people encoded like another one")


def require_change(
    before: EncodingMatrix, after: EncodingMatrix, manifest: Manifest, partner: str
) -> None:
    """Refuse encodings that differ from the last ones by a few people only: what a run finds in the
    one and not in the other would be about these.

    Raises:
        AgreementError: fewer people are new, and fewer gone, than the manifest asks for.
    """
    least = manifest.safeguards.min_change
    if changed_people(before, after) < least:
        raise AgreementError(
            f"the encodings of {partner!r} differ from the last ones by fewer than {least} people",
            remedy="Wait until more records have changed, and send them together; the bound is the"
            " manifest's safeguards.min_change",
        )


def changed_people(before: EncodingMatrix, after: EncodingMatrix) -> int:
    """People with a row that is not in the other encodings: those new or those gone, whichever are
    more. Handles do not count: who is given another handle has not changed.
    """
    draw = _Draw(before)
    old, new = (draw.of_rows(matrix) for matrix in (before, after))
    counts = [
        len(np.unique(matrix.persons()[~np.isin(marks, others)]))
        for matrix, marks, others in ((before, old, new), (after, new, old))
    ]
    return max(counts)


class _Draw:
    """A hash drawn at random, the same for all matrices of one check."""

    def __init__(self, matrix: EncodingMatrix) -> None:
        keys = len(matrix.layout.match_keys)
        raw = np.frombuffer(secrets.token_bytes(8 * (keys + 1)), np.uint64)
        self._start = raw[:keys]
        self._factor = np.uint64(int(raw[keys]) | 1)

    def of_keys(self, matrix: EncodingMatrix) -> Iterator[tuple[str, Marks]]:
        """(rows,) marks per match key; where a row has no encoding, that of none."""
        for number, name in enumerate(matrix.layout.match_keys):
            marks = np.full(matrix.layout.rows, self._start[number], np.uint64)
            for start in range(0, matrix.layout.rows, CHUNK_ROWS):
                block = matrix.words[number, start : start + CHUNK_ROWS]
                part = marks[start : start + CHUNK_ROWS]
                for word in range(matrix.layout.words_per_row):
                    part[:] = self.joined(part, block[:, word])
            yield name, marks

    def of_rows(self, matrix: EncodingMatrix) -> Marks:
        whole = np.zeros(matrix.layout.rows, np.uint64)
        for _, marks in self.of_keys(matrix):
            whole = self.joined(whole, marks)
        return whole

    def joined(self, marks: Marks, words: Marks) -> Marks:
        """One step: whatever differs in a single word goes on differing."""
        mixed = (marks ^ words) * self._factor
        return mixed ^ (mixed >> np.uint64(29))


def _people_alike(marks: Marks, persons: npt.NDArray[np.int32]) -> Counts:
    """How many different people each mark is of."""
    order = np.lexsort((persons, marks))
    marks, persons = marks[order], persons[order]
    new = np.ones(len(marks), np.bool_)
    new[1:] = (marks[1:] != marks[:-1]) | (persons[1:] != persons[:-1])
    _, counts = np.unique(marks[new], return_counts=True)
    return counts.astype(np.int64)


def _flood(partner: str, what: str) -> AgreementError:
    return AgreementError(f"the file of {partner!r} has {what}", remedy=_REMEDY)
