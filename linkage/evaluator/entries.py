"""The lines of the release ledger: extracts that left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from linkage.agreement.fields import Name, Strict
from linkage.evaluator.chain import Said
from linkage.release.disclosure.tables import Key
from linkage.trust.headers import Digest


@dataclass(frozen=True)
class Entry:
    """One extract that left.

    Attributes:
        extract: SHA-256 of its list of checksums.
        counts: what its tables of counts published, by cell.
        hidden: cells of theirs that were suppressed.
    """

    release: str
    recipient: str
    manifest: str
    extract: str
    people: int
    counts: Mapping[Key, int]
    hidden: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Line:
    """An extract, and the digests of its persons' hashes and of the salt."""

    entry: Entry
    persons: str
    salt: str


_Cell = tuple[str, tuple[tuple[str, str], ...]]
_Count = Annotated[int, Field(ge=0, lt=1 << 53)]


class _Written(Strict):
    """A line as it is written."""

    release: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    recipient: Name
    manifest: Digest
    extract: Digest
    people: _Count
    counts: tuple[tuple[str, tuple[tuple[str, str], ...], _Count], ...]
    hidden: tuple[_Cell, ...]
    persons: Digest
    salt: Digest


def line_of(said: Said) -> Line:
    """Raises ValidationError unless it is a line of this version."""
    found = _Written.model_validate_json(json.dumps(said))
    entry = Entry(
        found.release,
        found.recipient,
        found.manifest,
        found.extract,
        found.people,
        {(counted, nodes): count for counted, nodes, count in found.counts},
        found.hidden,
    )
    return Line(entry, found.persons, found.salt)


def plain(entry: Entry) -> dict[str, Any]:
    """An entry as it is written."""
    cells = [[*_plain_key(key), count] for key, count in sorted(entry.counts.items())]
    return {**vars(entry), "counts": cells, "hidden": [_plain_key(key) for key in entry.hidden]}


def _plain_key(key: Key) -> list[Any]:
    counted, nodes = key
    return [counted, [list(node) for node in nodes]]
