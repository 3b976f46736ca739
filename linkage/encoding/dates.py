"""Read dates in declared formats.

- Formats are tried in order; the first that fits the whole cell and gives a plausible year decides.
- A two-digit year that would lie in the future belongs to the century before.
- Where a format has no separators, every part must have all its digits: `1980111` is refused
  rather than guessed.
- Dates before 1850 or after the end of next year are not understood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime

from linkage.encoding.folding import plain
from linkage.errors import ManifestError

DEFAULT_DATE_FORMATS: tuple[str, ...] = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d")
"""Formats nobody can mistake; others are declared by the partner."""

EARLIEST_YEAR = 1850
_PROBES = (datetime(1987, 11, 23), datetime(2001, 2, 3))
_UNSEPARATED = re.compile(r"%[YymdjbB]%[YymdjbB]")
_MAX_LENGTH = 64


class DateReader:
    """Turns cells into ISO dates.

    Raises:
        ManifestError: on construction, for a format that does not name year, month and day.
    """

    def __init__(self, formats: Sequence[str]) -> None:
        for declared in formats:
            if not _names_a_day(declared):
                raise ManifestError(
                    f"date format {declared!r} does not name a year, a month and a day",
                    remedy="Use strptime directives, for example %m/%d/%Y",
                )
        self._formats = [
            (declared, _UNSEPARATED.search(declared) is not None, "%y" in declared)
            for declared in formats
        ]
        self.latest_year = date.today().year + 1

    def read(self, cell: str) -> str | None:
        """The date as yyyy-mm-dd, or None where no format fits or the year is implausible."""
        text = plain(cell).strip()
        if len(text) > _MAX_LENGTH:
            return None
        for declared, strict, short in self._formats:
            try:
                found = datetime.strptime(text, declared)
            except ValueError:
                continue
            if strict and found.strftime(declared).casefold() != text.casefold():
                continue
            year = found.year
            if short and year > self.latest_year - 1:
                year -= 100
            if EARLIEST_YEAR <= year <= self.latest_year:
                return f"{year:04}-{found.month:02}-{found.day:02}"
        return None


def _names_a_day(declared: str) -> bool:
    try:
        return all(
            datetime.strptime(probe.strftime(declared), declared) == probe for probe in _PROBES
        )
    except ValueError:
        return False
