"""Read dates in declared formats.

- Formats are tried in order; the first that fits the whole cell and gives a plausible year decides.
- A format without a day, or without month and day, declares that dates may be known in part:
  `%Y-%m` or `%Y`. Then `00` for the day, or for the month, means "not known" in every format:
  1980-05-00 is 1980-05, and 1980-00-00 is 1980. Without such a format both are errors.
- Two digits of a year mean the latest year that ends in them and is not after a pivot: the year
  of today, or the one the manifest's field names (`latest_short_year`).
- Where a format has no separators, every part must have all its digits: `1980111` is refused
  rather than guessed.
- Dates before 1850 or after the end of next year are not understood.

    DateReader(["%m/%d/%Y", "%m/%Y"]).read("5/1980")      # "1980-05"
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
_YEAR, _MONTH, _DAY = 1, 2, 3


class DateReader:
    """Turns cells into ISO dates, as far as they are known.

    Raises:
        ManifestError: on construction, for a format that does not name a year, or a day
            without its month.
    """

    def __init__(self, formats: Sequence[str], *, latest_short_year: int | None = None) -> None:
        self._formats = [_Format(declared) for declared in formats]
        self._partial = any(declared.depth < _DAY for declared in self._formats)
        self.latest_year = date.today().year + 1
        self._latest_short_year = latest_short_year or self.latest_year - 1

    def read(self, cell: str) -> str | None:
        """The date as yyyy-mm-dd, yyyy-mm or yyyy; None where no format fits or the year is
        implausible.
        """
        text = plain(cell).strip()
        if len(text) > _MAX_LENGTH:
            return None
        for declared in self._formats:
            found, depth = declared.read(text), declared.depth
            if found is None and self._partial:
                found, depth = declared.read_zeros(text)
            if found is None:
                continue
            year = found.year
            if declared.short:
                year = self._latest_short_year - (self._latest_short_year - year) % 100
            if EARLIEST_YEAR <= year <= self.latest_year:
                parts = (f"{year:04}", f"{found.month:02}", f"{found.day:02}")
                return "-".join(parts[:depth])
        return None


class _Format:
    """One declared format, and how much of a date it tells."""

    def __init__(self, declared: str) -> None:
        self._declared = declared
        self._strict = _UNSEPARATED.search(declared) is not None
        self.short = "%y" in declared
        self.depth = _depth(declared)
        self._shape = _shape(declared)

    def read(self, text: str) -> datetime | None:
        try:
            found = datetime.strptime(text, self._declared)
        except ValueError:
            return None
        if self._strict and found.strftime(self._declared).casefold() != text.casefold():
            return None
        return found

    def read_zeros(self, text: str) -> tuple[datetime | None, int]:
        """The date and what is known of it, where its day or its month is zero."""
        fits = self._shape.fullmatch(text) if self._shape else None
        if fits is None:
            return None, 0
        depth = self.depth
        for part, known in (("d", _MONTH), ("m", _YEAR)):
            if fits.groupdict().get(part, "1").strip("0") == "":
                start, end = fits.span(part)
                text = text[:start] + "1".rjust(end - start, "0") + text[end:]
                depth = min(depth, known)
        return self.read(text), depth


def _depth(declared: str) -> int:
    """How many of year, month and day a format tells."""
    try:
        found = [datetime.strptime(p.strftime(declared), declared) for p in _PROBES]
    except (ValueError, re.error):
        found = []
    if found == list(_PROBES):
        return _DAY
    if found == [probe.replace(day=1) for probe in _PROBES]:
        return _MONTH
    if found == [probe.replace(day=1, month=1) for probe in _PROBES]:
        return _YEAR
    raise ManifestError(
        f"date format {declared!r} does not name a year, a month and a day, a year and a month,"
        " or a year",
        remedy="Use strptime directives, for example %m/%d/%Y",
    )


_DIRECTIVES = {
    "%Y": "[0-9]{4}",
    "%y": "[0-9]{2}",
    "%m": "(?P<m>[0-9]{1,2})",
    "%d": "(?P<d>[0-9]{1,2})",
    "%b": "[^0-9]+",
    "%B": "[^0-9]+",
}


def _shape(declared: str) -> re.Pattern[str] | None:
    """Where month and day stand in a format; None for formats that cannot hold zeros."""
    parts = re.findall(r"%.|[^%]+", declared)
    if any(part.startswith("%") and part not in _DIRECTIVES for part in parts):
        return None
    return re.compile("".join(_DIRECTIVES.get(part) or re.escape(part) for part in parts))
