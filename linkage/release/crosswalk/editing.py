"""New versions of a crosswalk: from rows of a spreadsheet, from accepted suggestions; differences.

- A new version has the next number and names the digest of the one it was made from.
- Whatever changes it, the result is checked whole before anybody gets it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from linkage.errors import AlreadyExistsError, InputError, LimitError, Problem
from linkage.release.crosswalk.checking import require_sound
from linkage.release.crosswalk.documents import (
    MAX_AGENCIES,
    MAX_MAPPINGS,
    CodeMapping,
    Crosswalk,
    StandardList,
    faulty,
)
from linkage.release.crosswalk.tables import build, read_table, write_table

COLUMNS = (
    "agency",
    "local",
    "standard",
    "merged_into",
    "confidence",
    "author",
    "date",
    "note",
)  # fmt: skip
REQUIRED = ("agency", "local", "standard", "confidence", "author", "date")


def new_crosswalk(name: str, codes: StandardList, agencies: Iterable[str]) -> Crosswalk:
    """The first version, without a mapping.

    Raises:
        InputError, SourceError: a name is not allowed, or an agency stands twice.
    """
    values = {
        "linkage": "crosswalk/1",
        "name": name,
        "version": 1,
        "codes": codes.reference,
        "agencies": tuple(agencies),
    }
    made, problems = build(Crosswalk, values)
    if made is None:
        raise faulty("crosswalk", problems)
    return require_sound(made, codes=codes)


def next_version(
    before: Crosswalk,
    mappings: Iterable[CodeMapping],
    *,
    codes: StandardList,
    agencies: Iterable[str] = (),
    source: str = "crosswalk",
    today: dt.date | None = None,
) -> Crosswalk:
    """The next version with exactly these mappings.

    Args:
        agencies: new ones beside those that are there.

    Raises:
        SourceError: names every entry that is wrong.
        AlreadyExistsError: nothing would change.
    """
    ordered = sorted(mappings, key=lambda entry: entry.key)
    known = tuple(dict.fromkeys((*before.agencies, *agencies)))
    if len(ordered) > MAX_MAPPINGS or len(known) > MAX_AGENCIES:
        raise LimitError(
            f"a crosswalk has at most {MAX_AGENCIES} agencies and {MAX_MAPPINGS} mappings"
        )
    made, problems = build(
        Crosswalk,
        {
            "linkage": "crosswalk/1",
            "name": before.name,
            "version": before.version + 1,
            "previous": before.digest,
            "codes": codes.reference,
            "agencies": known,
            "mappings": tuple(ordered),
        },
    )
    if made is None:
        raise faulty(source, problems)
    require_sound(made, source=source, codes=codes, today=today)
    if not differences(before, made):
        raise AlreadyExistsError(f"{source} says what version {before.version} says already")
    return made


def to_csv(crosswalk: Crosswalk) -> bytes:
    """Its mappings as a spreadsheet reads them; see `from_csv`."""
    return write_table(
        COLUMNS, (entry.model_dump(mode="json") for entry in crosswalk.mappings)
    )  # fmt: skip


def from_csv(data: bytes, *, source: str = "crosswalk") -> list[CodeMapping]:
    """Mappings from a spreadsheet, each with its row of origin checked.

    Raises:
        InputError: it lacks a column, or is no CSV.
        SourceError: names every wrong row and column.
    """
    rows = read_table(data, source=source, required=REQUIRED, optional=("merged_into", "note"))
    found, problems = [], []
    first: dict[tuple[str, str], int] = {}
    for place, row in enumerate(rows, 1):
        if not any(row.values()):
            continue
        values = {name: row.get(name) or None for name in COLUMNS}
        values["note"] = values["note"] or ""
        entry, wrong = build(CodeMapping, values, place)
        problems += wrong
        if entry is None:
            continue
        if (before := first.setdefault(entry.key, place)) != place:
            problems.append(Problem(place, "local", f"is mapped already, in row {before}"))
        found.append(entry)
    if problems:
        raise faulty(source, problems)
    return found


@dataclass(frozen=True)
class Difference:
    """One thing that differs between two versions.

    Attributes:
        kind: `changed` where the meaning changed, `noted` where only who, when, how surely or the
            note did.
        agency, local: empty for what is about the whole crosswalk.
        before, after: in words.
    """

    kind: Literal["added", "removed", "changed", "noted"]
    agency: str
    local: str
    before: str
    after: str


def differences(before: Crosswalk, after: Crosswalk) -> list[Difference]:
    """What differs, the whole first, then by agency and code; version numbers do not count."""
    found = []
    if before.codes != after.codes:
        words = [
            f"list {c.codes.name} {c.codes.version} ({c.codes.digest[:16]})"
            for c in (before, after)
        ]
        found.append(Difference("changed", "", "", *words))
    if before.name != after.name:
        found.append(Difference("changed", "", "", f"name {before.name}", f"name {after.name}"))
    gone, come = set(before.agencies), set(after.agencies)
    found += [Difference("removed", name, "", "agency", "") for name in sorted(gone - come)]
    found += [Difference("added", name, "", "", "agency") for name in sorted(come - gone)]
    for key in sorted({*before.by_key, *after.by_key}):
        one, other = before.by_key.get(key), after.by_key.get(key)
        if one == other:
            continue
        if one is None or other is None:
            kind: Literal["added", "removed"] = "added" if one is None else "removed"
            found.append(Difference(kind, *key, _meaning(one), _meaning(other)))
        elif _meaning(one) != _meaning(other):
            found.append(Difference("changed", *key, _meaning(one), _meaning(other)))
        else:
            found.append(Difference("noted", *key, _about(one, other), _about(other, one)))
    return found


def _meaning(entry: CodeMapping | None) -> str:
    if entry is None:
        return ""
    return f"merged into {entry.merged_into}" if entry.standard is None else entry.standard


def _about(entry: CodeMapping, other: CodeMapping) -> str:
    """What of an entry is not the same in another one, in words."""
    names: Sequence[str] = ("confidence", "author", "date", "note")
    return ", ".join(
        f"{name} {getattr(entry, name) or 'empty'}"
        for name in names
        if getattr(entry, name) != getattr(other, name)
    )


def require_agencies(crosswalk: Crosswalk, agencies: Iterable[str]) -> None:
    """Raises InputError naming agencies that the crosswalk does not know."""
    if unknown := sorted(set(agencies) - set(crosswalk.agencies)):
        raise InputError(
            f"the crosswalk does not know the agency {', '.join(map(repr, unknown))}",
            remedy=f"Its agencies are {', '.join(crosswalk.agencies) or 'none'}",
        )
