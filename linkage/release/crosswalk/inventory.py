"""Count one agency's codes, and keep back what a count or a name could give away.

- A count below the threshold is not shown; nor, where the sum of the hidden ones would tell one of
  them, the next smallest counts above it.
- A value is named only if it looks like a code; a rare one only if its agency says that it has
  read the list: who types a person's name into the wrong column does it a few times.
- Every row is accounted for: rows = codes with a number + empty + rest.

    counted = count_codes(batches)
    inventory = make_inventory(counted, agency="WCPD", threshold=11)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from linkage.errors import InputError
from linkage.release.codes import code_fault
from linkage.release.crosswalk.documents import (
    LEAST_THRESHOLD,
    MAX_CODES,
    CodeCount,
    Inventory,
    clean_code,
)

THRESHOLD = 11
MAX_DISTINCT = 200_000
MAX_DESCRIPTIONS = 20
"""Most different descriptions counted of one code; a column of narratives has one a row."""
MANY_ROWS = 50
MOSTLY_DISTINCT = 0.5

_BY_SPREADSHEET = re.compile(r"\d{1,2}-[A-Z][a-z]{2}|[A-Z][a-z]{2}-\d{2}|\d(\.\d+)?E\+\d+")


@dataclass(frozen=True)
class Counted:
    """What stands in an agency's column, for its own eyes.

    Attributes:
        codes: rows by code.
        descriptions: by code, rows by description.
    """

    rows: int
    empty: int
    codes: Mapping[str, int]
    descriptions: Mapping[str, Mapping[str, int]]

    def rare(self, threshold: int) -> list[str]:
        """Codes below a threshold that look like codes: what `name_rare` would name."""
        return sorted(
            code
            for code, rows in self.codes.items()
            if rows < threshold and code_fault(code) is None
        )

    def unlike_codes(self) -> int:
        """How many different values look like text, a number of a person or a date."""
        return sum(code_fault(code) is not None for code in self.codes)

    def by_spreadsheet(self) -> list[str]:
        """Codes that a spreadsheet seems to have made of others: Oct-96 of 10-96."""
        return sorted(code for code in self.codes if _BY_SPREADSHEET.fullmatch(code))


Batches = Iterable[tuple[Sequence[str | None], Sequence[str | None] | None]]


def count_codes(batches: Batches, *, missing: Collection[str] = ()) -> Counted:
    """Count codes and their descriptions.

    Args:
        batches: codes, and descriptions where there is a column of them.
        missing: cells that mean "no code", compared without case.

    Raises:
        InputError: what stands there is no code: it hardly repeats.
    """
    unknown = {text.strip().casefold() for text in missing} | {""}
    codes: Counter[str] = Counter()
    described: dict[str, Counter[str]] = {}
    rows = empty = 0
    for cells, texts in batches:
        pairs: Counter[tuple[str, str]] = Counter()
        for place, cell in enumerate(cells):
            pairs[clean_code(cell or ""), clean_code((texts[place] if texts else "") or "")] += 1
        for (code, text), count in pairs.items():
            rows += count
            if code.casefold() in unknown:
                empty += count
                continue
            codes[code] += count
            of_code = described.setdefault(code, Counter())
            if text and (text in of_code or len(of_code) < MAX_DESCRIPTIONS):
                of_code[text] += count
        _require_codes(len(codes), rows - empty)
    return Counted(rows, empty, codes, described)


def _require_codes(distinct: int, filled: int) -> None:
    repeats = distinct <= MOSTLY_DISTINCT * filled and distinct <= MAX_DISTINCT
    if filled >= MANY_ROWS and not repeats:
        raise InputError(
            "the column holds a value of its own in almost every row, as numbers of records do",
            remedy="Name the column with the call's code or type",
        )


def make_inventory(
    counted: Counted, *, agency: str, threshold: int = THRESHOLD, name_rare: bool = False
) -> Inventory:
    """What of the counts the agency may share.

    Args:
        name_rare: name codes below the threshold, too, without their number.

    Raises:
        InputError: too few rows to share anything, or too many codes.
    """
    if threshold < LEAST_THRESHOLD:
        raise InputError(f"a threshold below {LEAST_THRESHOLD} protects nobody")
    if counted.rows < threshold:
        raise InputError(
            f"the file has fewer than {threshold} rows: nothing of it may be shared",
            remedy="Count a longer time",
        )
    hidden = _hidden(counted, threshold)
    named = [
        code
        for code, rows in counted.codes.items()
        if code_fault(code) is None and (rows >= threshold or name_rare)
    ]
    if len(named) > MAX_CODES:
        raise InputError(
            f"the file has more than {MAX_CODES} different codes",
            remedy="Is it the right column? Codes repeat",
        )
    entries = [
        CodeCount(
            code=code,
            rows=None if code in hidden else counted.codes[code],
            description=_description(counted.descriptions.get(code, {}), threshold),
        )
        for code in named
    ]
    entries.sort(key=lambda entry: (entry.rows is None, -(entry.rows or 0), entry.code))
    shown = sum(entry.rows or 0 for entry in entries)
    empty = None if EMPTY in hidden else counted.empty
    return Inventory(
        linkage="inventory/1",
        agency=agency,
        threshold=threshold,
        rows=counted.rows,
        codes=tuple(entries),
        empty=empty,
        unnamed=len(counted.codes) - len(named),
        rest=counted.rows - shown - (empty or 0),
    )


EMPTY = ""
"""Stands for rows without a code; no code is empty."""


def _hidden(counted: Counted, threshold: int) -> set[str]:
    """What is counted without a number of its own."""
    counts = {**counted.codes, EMPTY: counted.empty}
    hidden = {
        code
        for code, rows in counts.items()
        if 0 < rows < threshold or (code != EMPTY and code_fault(code) is not None)
    }
    waiting = sorted((rows, code) for code, rows in counts.items() if rows and code not in hidden)
    for _, code in waiting:
        if _safe([counts[other] for other in hidden], threshold):
            break
        hidden.add(code)
    return hidden


def _safe(hidden: Sequence[int], threshold: int) -> bool:
    """Whether their sum leaves every small one free to be anything below the threshold."""
    small = sum(rows < threshold for rows in hidden)
    if not small:
        return True
    others, rest = len(hidden) - 1, sum(hidden)
    if not others or rest < threshold - 1 + others:
        return False
    # With small ones alone, a sum near their most would tell each of them, too.
    return small < len(hidden) or rest - 1 <= others * (threshold - 1)


def _description(found: Mapping[str, int], threshold: int) -> str:
    """The commonest description, if it stands often enough and is no free text."""
    fit = [
        (-rows, text)
        for text, rows in found.items()
        if rows >= threshold and code_fault(text) is None
    ]
    return min(fit)[1] if fit else ""
