"""A list of places on this machine: the tract, municipality or county of each key.

- The list is read batch by batch, and only entries that are asked for are kept: memory is bounded
  by what is asked, however long the list is.
- Every row of it must have a key and, where it says one, a place of the right form; of two entries
  for a key that is asked for, neither is preferred.
- Keys are normalised as identifiers are, on both sides, so that "12 North High Street" is found
  under "0012 N High St".

    wanted = normalised_keys((KeyKind.ADDRESS,), [cells])
    read_places(SourceFile(path), known, [field], frozenset(wanted))["tract"]["12 n high st"]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.agent.source import MAX_SHOWN, SourceFile
from linkage.agreement import ContentField, FieldType, IdentifierField
from linkage.agreement.lookups import KeyKind, PlaceList
from linkage.encoding import normalise_column
from linkage.errors import LimitError, Problem, SourceError
from linkage.release.places import target

MAX_PLACES = 20_000_000

Texts = npt.NDArray[np.object_]

_TYPES = {
    KeyKind.ADDRESS: FieldType.ADDRESS,
    KeyKind.CITY: FieldType.CITY,
    KeyKind.POSTCODE: FieldType.POSTCODE,
    KeyKind.CODE: FieldType.EXACT,
}
_ZIP4 = re.compile(r"(\d{4,5})-?(\d{4})", re.ASCII)
_BETWEEN = "\x1f"
"""Parts the columns of a key; no normalised text has it."""


def normalised_keys(
    kinds: Sequence[KeyKind], columns: Sequence[Iterable[Any]], missing: Collection[str] = ()
) -> Texts:
    """The key of each row; None where a part of it is missing or holds nothing of its kind.

    Args:
        missing: cells that mean "not known", compared without case.
    """
    parts = [
        _normalised(kind, column, missing) for kind, column in zip(kinds, columns, strict=True)
    ]
    keys = np.full(len(parts[0]), None, np.object_)
    for row, key in enumerate(zip(*parts, strict=True)):
        if None not in key:
            keys[row] = _BETWEEN.join(key)
    return keys


def read_places(
    source: SourceFile, known: PlaceList, fields: Sequence[ContentField], wanted: Collection[str]
) -> Mapping[str, Mapping[str, str]]:
    """By field, the place of each key that is asked for and is in the list.

    Raises:
        SourceError: the list cannot be read, or rows have no key, a place of a wrong form, or
            another one than an earlier row for a key that is asked for.
        LimitError: it is too long.
    """
    columns = {field.name: _column(source, field) for field in fields}
    entries = _Entries(source.name, fields, wanted)
    for first, batch in rows_of(source, [*known.by, *columns.values()], MAX_PLACES):
        keys = normalised_keys(known.by, [batch[kind] for kind in known.by])
        for row in _where(keys, lambda key: key is None):
            entries.fault(first + row, known.by[0].value, "the key is empty or not of its kind")
        for field in fields:
            column = columns[field.name]
            entries.add(field, column, first, keys, np.array(batch[column], np.object_))
    entries.require_sound()
    return entries.values


def rows_of(
    source: SourceFile, columns: Sequence[str], most: int
) -> Iterator[tuple[int, dict[str, list[str | None]]]]:
    """First row and cells of each batch of a file.

    Raises:
        SourceError: it cannot be read.
        LimitError: more rows than `most`.
    """
    first = 0
    for batch in source.batches(columns):
        rows = len(batch[columns[0]])
        if first + rows > most:
            raise LimitError(
                f"{source.name} has more than {most} rows",
                remedy="Keep only the entries that this agency may need",
            )
        yield first, batch
        first += rows


class _Entries:
    """What is asked for of a list, gathered batch by batch."""

    def __init__(self, file: str, fields: Sequence[ContentField], wanted: Collection[str]) -> None:
        self.values: dict[str, dict[str, str]] = {field.name: {} for field in fields}
        self._file = file
        self._wanted = wanted
        self._first: dict[tuple[str, str], int] = {}
        self._problems: list[Problem] = []
        self._total = 0

    def add(self, field: ContentField, column: str, first: int, keys: Texts, cells: Texts) -> None:
        """Take the places of a batch that begins at row `first`."""
        faults: dict[str, str] = {}

        def place_of(text: str) -> str | None:
            if not text.strip():
                return None
            value, fault = target(field.transform, text.strip())
            if fault:
                faults[text] = fault
            return None if fault else str(value)

        values = _each(cells, place_of)
        for row in _where(cells, faults.__contains__) if faults else ():
            self.fault(first + row, column, faults[cells[row]])
        known = self.values[field.name]
        for row, (key, value) in enumerate(zip(keys, values, strict=True)):
            if value is None or key not in self._wanted:
                continue
            before = self._first.setdefault((field.name, key), first + row)
            if known.setdefault(key, value) != value:
                text = f"says another {field.transform} than row {before + 1} for the same key"
                self.fault(first + row, column, text)

    def fault(self, row: int, column: str, text: str) -> None:
        self._total += 1
        if len(self._problems) < MAX_SHOWN:
            self._problems.append(Problem(row + 1, column, text))

    def require_sound(self) -> None:
        if self._total:
            raise SourceError(
                self._file,
                sorted(self._problems),
                total=self._total,
                remedy="Correct the lookup file, or agree on a key that tells such places apart;"
                " nothing was sent",
            )


def _column(source: SourceFile, field: ContentField) -> str:
    """The list's column for a field: a county may be read from the tract's GEOID."""
    name = field.transform.value
    return "tract" if name == "county" and name not in source.columns else name


def _normalised(kind: KeyKind, column: Iterable[Any], missing: Collection[str]) -> Texts:
    cells = [cell if isinstance(cell, str) else None for cell in column]
    if kind is KeyKind.ZIP4:
        return _each(_normalised(KeyKind.CODE, cells, missing), _zip4)
    field = IdentifierField(name="key", type=_TYPES[kind])
    values: Texts = normalise_column(field, cells, missing=missing).values
    return values


def _zip4(text: str) -> str | None:
    """Nine digits; the zero that a spreadsheet lost is put back, as `postcode` does."""
    match = _ZIP4.fullmatch(text)
    return None if match is None else match[1].zfill(5) + match[2]


def _each(values: Texts, convert: Callable[[str], str | None]) -> Texts:
    """Each distinct text converted once; None stays."""
    codes, distinct = pd.factorize(values, use_na_sentinel=True)
    made = np.full(len(distinct) + 1, None, np.object_)
    for place, text in enumerate(distinct):
        made[place] = convert(text)
    spread: Texts = made[codes]
    return spread


def _where(values: Texts, holds: Callable[[Any], bool]) -> list[int]:
    return [row for row, value in enumerate(values) if holds(value)]
