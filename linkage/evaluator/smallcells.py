"""Counts that may be shown: cells of 1 to 10 people become a range.

- A total of shown cells is computed from what is shown, as a range, so it tells nothing that
  the cells do not: no total minus the rest gives a hidden cell.
- Where an exact total stands beside its parts, enough parts are hidden that the hidden ones
  keep their whole range.

This protects one report. What several releases tell together is the disclosure gate's business.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SMALL = 10
HIDDEN = "not shown"
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Cell:
    """A count, known to lie between `low` and `high`."""

    low: int
    high: int

    @classmethod
    def of(cls, count: int) -> Cell:
        return cls(1, SMALL) if 1 <= count <= SMALL else cls(count, count)

    @property
    def value(self) -> int | None:
        """The count where it is shown exactly."""
        return self.low if self.low == self.high else None

    @property
    def label(self) -> str:
        if self.low == self.high:
            return f"{self.low:,}"
        if (self.low, self.high) == (1, SMALL):
            return f"1-{SMALL}"
        return f"{self.low:,} to {self.high:,}"


def total(cells: Iterable[Cell]) -> Cell:
    """The sum, as far as the shown cells tell."""
    found = list(cells)
    return Cell(sum(cell.low for cell in found), sum(cell.high for cell in found))


def is_small(count: int) -> bool:
    return 1 <= count <= SMALL


def hidden_rows(rows: Sequence[tuple[int, int]]) -> list[bool]:
    """Which of several (people, part of them) rows to hide where exact totals are shown.

    A row is hidden if its people, the part or the remainder are few; then, smallest first, as
    many others as it takes for each hidden small count to be anything from 1 to 10.
    """
    split = [(people, part, people - part) for people, part in rows]
    hidden = [any(is_small(count) for count in counts) for counts in split]
    order = sorted(range(len(rows)), key=lambda place: (rows[place][0], place))
    for place in order:
        if _safe([counts for counts, hide in zip(split, hidden, strict=True) if hide]):
            return hidden
        if rows[place][0]:
            hidden[place] = True
    return hidden


def _safe(hidden: Sequence[tuple[int, int, int]]) -> bool:
    for counts in zip(*hidden, strict=True):
        positive = [count for count in counts if count]
        small = [count for count in positive if is_small(count)]
        if small and sum(positive) < 2 * SMALL + 1 + max(0, len(positive) - 2):
            return False
        if small and len(small) == len(positive):
            return False
    return True


def wilson(part: float, people: float) -> tuple[float, float]:
    """The 95% interval of a share after Wilson; (0, 1) for no people."""
    if people <= 0:
        return 0.0, 1.0
    share = part / people
    scale = 1 + Z95**2 / people
    centre = (share + Z95**2 / (2 * people)) / scale
    spread = Z95 / scale * math.sqrt(share * (1 - share) / people + Z95**2 / (4 * people**2))
    return max(0.0, centre - spread), min(1.0, centre + spread)
