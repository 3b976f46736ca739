"""What is wrong with inventories, lists and crosswalks, all at once.

- Every problem names the entry, counted from 1 in the order of the document, and its field.
- Messages may quote codes: a crosswalk and a list are made to be shared, and hold nothing else.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Callable, Iterator, Mapping

from linkage.errors import InputError, Problem
from linkage.release.crosswalk.documents import (
    MAX_CHAIN,
    CodeMapping,
    Crosswalk,
    Inventory,
    StandardList,
    faulty,
    parse,
)

MAX_HINTS = 20


def parse_inventory(data: bytes, *, source: str = "inventory") -> Inventory:
    """Read an inventory, and see that it accounts for every row.

    Raises:
        LimitError, InputError, SourceError: see `documents.parse`.
    """
    inventory = parse(Inventory, data, source)
    problems = list(_repeated([entry.code for entry in inventory.codes], "code"))
    shown = sum(entry.rows or 0 for entry in inventory.codes) + (inventory.empty or 0)
    if shown + inventory.rest != inventory.rows:
        problems.append(Problem(0, "rows", "is not the sum of codes, empty and rest"))
    problems += [
        Problem(place, "rows", "is below the inventory's own threshold")
        for place, entry in enumerate(inventory.codes, 1)
        if entry.rows is not None and entry.rows < inventory.threshold
    ]
    if problems:
        raise faulty(source, problems)
    return inventory


def parse_list(data: bytes, *, source: str = "list of codes") -> StandardList:
    """Read a list of standard codes from JSON.

    Raises:
        LimitError, InputError, SourceError: see `documents.parse`.
    """
    return require_sound_list(parse(StandardList, data, source), source)


def require_sound_list(codes: StandardList, source: str) -> StandardList:
    """Refuse repeated codes, and replacements that are not there or go round in circles."""
    problems = list(_repeated([entry.code for entry in codes.codes], "code"))
    following = {entry.code: entry.merged_into for entry in codes.codes}
    for place, entry in enumerate(codes.codes, 1):
        if entry.merged_into is not None and entry.merged_into not in following:
            problems.append(Problem(place, "merged_into", "is not a code of this list"))
        elif circle := _circle(entry.code, following.get):
            problems.append(Problem(place, "merged_into", circle))
    if problems:
        raise faulty(source, problems)
    return codes


def parse_crosswalk(
    data: bytes, *, source: str = "crosswalk", codes: StandardList | None = None
) -> Crosswalk:
    """Read a crosswalk and refuse an unsound one.

    Args:
        codes: the list that its standard codes must be of, where that is at hand.

    Raises:
        LimitError, InputError, SourceError: see `documents.parse`.
    """
    return require_sound(parse(Crosswalk, data, source), source=source, codes=codes)


def require_sound(
    crosswalk: Crosswalk,
    *,
    source: str = "crosswalk",
    codes: StandardList | None = None,
    today: dt.date | None = None,
) -> Crosswalk:
    """Give the crosswalk back if nothing is wrong with it.

    Args:
        today: decisions dated later are wrong.

    Raises:
        InputError: it is for another list.
        SourceError: names every wrong entry.
    """
    if codes is not None and crosswalk.codes != codes.reference:
        raise InputError(
            f"{source} is for the list {crosswalk.codes.name!r} {crosswalk.codes.version}"
            f" ({crosswalk.codes.digest[:16]}), not for {codes.name!r} {codes.version}"
            f" ({codes.digest[:16]})",
            remedy="Give the list that the crosswalk names, byte for byte the same codes",
        )
    if problems := list(crosswalk_problems(crosswalk, codes, today)):
        raise faulty(source, problems)
    return crosswalk


def crosswalk_problems(
    crosswalk: Crosswalk, codes: StandardList | None = None, today: dt.date | None = None
) -> Iterator[Problem]:
    """Everything wrong with a crosswalk, in no order."""
    yield from _repeated(list(crosswalk.agencies), "agencies")
    known = frozenset(crosswalk.agencies)
    foreign = 0
    first: dict[tuple[str, str], int] = {}
    for place, entry in enumerate(crosswalk.mappings, 1):
        if entry.agency not in known:
            yield Problem(place, "agency", f"{entry.agency!r} is not an agency of this crosswalk")
        if (before := first.setdefault(entry.key, place)) != place:
            yield Problem(place, "local", f"is mapped already, in entry {before}")
        if (entry.standard is None) == (entry.merged_into is None):
            yield Problem(place, "standard", "give either a standard code or merged_into")
        if today is not None and entry.date > today:
            yield Problem(place, "date", "lies in the future")
        yield from _chain_problems(place, entry, crosswalk)
        if codes is not None and entry.standard is not None:
            for problem in _list_problems(place, entry, crosswalk, codes, hint=foreign < MAX_HINTS):
                foreign += 1
                yield problem


def _chain_problems(place: int, entry: CodeMapping, crosswalk: Crosswalk) -> Iterator[Problem]:
    mapped = crosswalk.by_key

    def following(local: str) -> str | None:
        found = mapped.get((entry.agency, local))
        if found is None:
            return None
        onward = found.merged_into or found.standard
        # A local code that is spelt like the standard code it means leads nowhere else.
        return None if found.merged_into is None and onward == local else onward

    if entry.merged_into is not None and (entry.agency, entry.merged_into) not in mapped:
        yield Problem(place, "merged_into", "is not a mapped code of this agency")
    elif circle := _circle(entry.local, following):
        field = "standard" if entry.merged_into is None else "merged_into"
        yield Problem(place, field, circle)


def _list_problems(
    place: int, entry: CodeMapping, crosswalk: Crosswalk, codes: StandardList, *, hint: bool
) -> Iterator[Problem]:
    found = codes.by_code.get(entry.standard or "")
    if found is None:
        text = f"is not a code of the list {codes.name!r} {codes.version}"
        if (entry.agency, entry.standard) in crosswalk.by_key:
            text += "; it is a code of the agency's own: use merged_into"
        elif hint and (close := difflib.get_close_matches(str(entry.standard), codes.by_code, n=1)):
            text += f"; did you mean {close[0]!r}?"
        yield Problem(place, "standard", text)
    elif found.merged_into is not None:
        text = f"is no longer used; the list merged it into {found.merged_into!r}"
        yield Problem(place, "standard", text)


def _repeated(values: list[str], field: str) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for place, value in enumerate(values, 1):
        if (before := first.setdefault(value, place)) != place:
            yield Problem(place, field, f"stands already in entry {before}")


def _circle(start: str, following: Callable[[str], str | None]) -> str | None:
    """What is wrong with the chain from `start`: the codes back to it, drawn with arrows."""
    path, at = [start], following(start)
    while at is not None and at != start:
        if at in path:
            return None  # it leads into a circle, which is named where it begins
        path.append(at)
        if len(path) > MAX_CHAIN:
            return f"more than {MAX_CHAIN} codes in a row"
        at = following(at)
    return None if at is None else "goes round in a circle: " + " → ".join([*path, start])


def resolved(crosswalk: Crosswalk) -> Mapping[tuple[str, str], str]:
    """Agency and local code → standard code, of a sound crosswalk, merged codes followed."""
    found: dict[tuple[str, str], str] = {}
    for entry in crosswalk.mappings:
        at = entry
        while at.standard is None and at.merged_into is not None:
            at = crosswalk.by_key[entry.agency, at.merged_into]
        if at.standard is not None:
            found[entry.key] = at.standard
    return found
