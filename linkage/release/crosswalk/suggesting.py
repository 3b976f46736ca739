"""Likely standard codes of codes without one, by how alike their descriptions are.

- A suggestion is a line in a file of its own. It counts for nothing until a person has written
  "yes" before it and put a name to it.
- Compared are the agency's description and code with the standard descriptions and their other
  words, and with descriptions that other agencies' mapped codes have.
- Scores are 0 to 100 and no probabilities: 100 means the same words, in whatever order.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from rapidfuzz import fuzz, process

from linkage.errors import Problem
from linkage.release.crosswalk.documents import (
    CodeMapping,
    Confidence,
    Crosswalk,
    Inventory,
    StandardList,
    faulty,
)
from linkage.release.crosswalk.merging import MergedCode, merge
from linkage.release.crosswalk.tables import Row, build, read_table, write_table

CUTOFF = 60.0
MOST = 3
SUBSET = 0.9
MAX_SUGGESTED = 20_000
COLUMNS = (
    "accept",
    "agency",
    "local",
    "description",
    "rows",
    "standard",
    "standard_description",
    "score",
    "because",
    "confidence",
    "note",
)
REQUIRED = ("accept", "agency", "local", "standard")

# How dispatchers abbreviate; a local word becomes these words before it is compared.
_SHORT: Mapping[str, str] = {
    "att": "attempt",
    "mh": "mental health",
    "psych": "psychiatric mental health",
    "mntl": "mental",
    "edp": "emotionally disturbed person mental health",
    "sui": "suicide",
    "suic": "suicide",
    "od": "overdose",
    "wlfr": "welfare",
    "welf": "welfare",
    "wel": "welfare",
    "wb": "wellbeing",
    "chk": "check",
    "ck": "check",
    "subj": "subject",
    "sub": "subject",
    "dist": "disturbance",
    "dom": "domestic",
    "intox": "intoxicated",
    "asst": "assist",
    "trans": "transport",
    "juv": "juvenile",
    "unk": "unknown",
}
_WORD = re.compile(r"[a-z]+|\d+")


@dataclass(frozen=True)
class Suggestion:
    """One standard code that a local one may mean.

    Attributes:
        rows: how often the code stands; None where that is not shown.
        because: what was alike, in words.
    """

    agency: str
    local: str
    description: str
    rows: int | None
    standard: str
    standard_description: str
    score: float
    because: str


def suggest(
    inventories: Mapping[str, Inventory],
    crosswalk: Crosswalk,
    codes: StandardList,
    *,
    cutoff: float = CUTOFF,
    most: int = MOST,
) -> list[Suggestion]:
    """For every unmapped code of the inventories, at most `most` standard codes, best first.

    Raises:
        LimitError, InputError: see `merging.merge`.
    """
    merged = merge(inventories, crosswalk)
    known = _known_phrases(codes, merged.codes)
    phrases = list(known)
    found: list[Suggestion] = []
    for code in merged.unmapped[:MAX_SUGGESTED]:
        best: dict[str, tuple[float, str]] = {}
        for text in filter(None, (_folded(code.description), _folded(code.local))):
            for phrase, score in _alike(text, phrases, cutoff, 8 * most):
                for standard, because in known[phrase]:
                    if score > best.get(standard, (0.0, ""))[0]:
                        best[standard] = (score, because)
        ranked = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:most]
        found += [
            Suggestion(
                code.agency,
                code.local,
                code.description,
                code.rows,
                standard,
                codes.by_code[standard].description,
                round(score, 1),
                because,
            )
            for standard, (score, because) in ranked
        ]
    return found


def _alike(
    text: str, phrases: Sequence[str], cutoff: float, most: int
) -> Iterator[tuple[str, float]]:
    """Phrases with the same words; and, for a tenth less, those of whose words one has all."""
    for scorer, worth in ((fuzz.token_sort_ratio, 1.0), (fuzz.token_set_ratio, SUBSET)):
        found = process.extract(
            text, phrases, scorer=scorer, score_cutoff=cutoff / worth, limit=most
        )
        for phrase, score, _ in found:
            yield phrase, score * worth


def _known_phrases(
    codes: StandardList, local: Iterable[MergedCode]
) -> dict[str, list[tuple[str, str]]]:
    """Folded phrase → the standard codes it stands for, and where that is from."""
    known: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for entry in codes.codes:
        if entry.merged_into is None:
            for text, because in (
                (entry.description, "its description"),
                (entry.code, "the code itself"),
                *((word, "another word for it") for word in entry.also),
            ):
                known[_folded(text)].append((entry.code, because))
    for code in local:
        if code.standard is not None and code.standard in codes.by_code:
            for text in (code.description, code.local):
                known[_folded(text)].append((code.standard, f"{code.local} of {code.agency}"))
    known.pop("", None)
    return known


def _folded(text: str) -> str:
    words = _WORD.findall(text.casefold())
    return " ".join(_SHORT.get(word, word) for word in words)


def suggestions_csv(suggestions: Iterable[Suggestion]) -> bytes:
    """As a spreadsheet to be filled in: "yes" under accept, and a confidence where it is not
    medium."""
    return write_table(
        COLUMNS,
        ({**asdict(one), "accept": "", "confidence": "", "note": ""} for one in suggestions),
    )


def accepted(
    data: bytes,
    crosswalk: Crosswalk,
    *,
    author: str,
    date: dt.date,
    confidence: Confidence = "medium",
    chosen: Sequence[int] = (),
    source: str = "suggestions",
) -> list[CodeMapping]:
    """The mappings of the crosswalk and those that a person accepted.

    Args:
        confidence: of lines that give none of their own.
        chosen: rows to accept, from 1, instead of those with "yes".

    Raises:
        InputError: it lacks a column, or is no CSV.
        SourceError: names every line that cannot be accepted.
    """
    optional = tuple(name for name in COLUMNS if name not in REQUIRED)
    rows = read_table(data, source=source, required=REQUIRED, optional=optional)
    problems = [
        Problem(place, "accept", "there is no such row")
        for place in chosen
        if not 1 <= place <= len(rows)
    ]
    first: dict[tuple[str, str], int] = {}
    added = []
    for place, row in enumerate(rows, 1):
        wanted, fault = _wanted(row, place, chosen)
        if fault:
            problems.append(fault)
        if not wanted:
            continue
        entry, wrong = build(
            CodeMapping,
            {
                "agency": row["agency"],
                "local": row["local"],
                "standard": row["standard"],
                "confidence": row.get("confidence") or confidence,
                "author": author,
                "date": date,
                "note": row.get("note", ""),
            },
            place,
        )
        problems += wrong
        if entry is None:
            continue
        if (before := first.setdefault(entry.key, place)) != place:
            problems.append(Problem(place, "local", f"is accepted already, in row {before}"))
        elif entry.key in crosswalk.by_key:
            problems.append(Problem(place, "local", "is mapped already in the crosswalk"))
        added.append(entry)
    if problems:
        raise faulty(source, problems)
    return [*crosswalk.mappings, *added]


def _wanted(row: Row, place: int, chosen: Sequence[int]) -> tuple[bool, Problem | None]:
    if chosen:
        return place in chosen, None
    answer = row.get("accept", "").casefold()
    if answer in ("yes", "no", ""):
        return answer == "yes", None
    return False, Problem(place, "accept", "is neither yes nor no")
