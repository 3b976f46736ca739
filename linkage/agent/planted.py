"""Find identifiers in content that only the partner can know for such: its own records'.

- A cell is refused that is, or contains, an identifier of the record it is about, in whatever
  dress `linkage.release.planted` sees through. A code that most of its records do not share is
  one; what most of its other records have too ("CASH", where one person is called Cash) is not.
- A column is refused most of whose values are names by the packaged list; so is a single cell of
  a given name and a surname. Fields that mean a place or an agency are not held against that
  list: towns are called after people.
- Nothing leaves this process, and a message names no identifier.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.agent.source import SourceFile
from linkage.agreement import ContentField, FieldType, IdentifierField, Partner
from linkage.encoding.frequency import RARE, frequency_class
from linkage.release.planted import decoded, squash, views

OWN = "holds an identifier of the record that it is about"
NAME = "looks like a person's name; list the allowed codes in the manifest to send it"
NAMES = (
    "most of the values are names of persons; list the allowed codes in the manifest to send others"
)

SHORTEST_NAME, SHORTEST_PART = 3, 4
SHORTEST_NUMBER, SHORTEST_DIGITS = 4, 5
MANY_VALUES, MOSTLY = 10, 0.5
A_CODE_AGAIN = 3

_PLACES = frozenset(("municipality", "county", "tract", "zip3", "agency", "sector"))
_NO_IDENTIFIER = frozenset((FieldType.SEX, FieldType.EXACT, FieldType.NUMBER))
_OF_PLACES = frozenset((FieldType.CITY, FieldType.POSTCODE))
_LETTERS = re.compile(r"[a-z]+", re.ASCII)
_WORD = re.compile(r"[a-z]{2,}(?:['-][a-z]+)*", re.ASCII)


class OwnIdentifiers:
    """What the records of an identifier file are identified by, letters and digits alone.

    Args:
        rows: 0-based rows of the file that were sent, ascending.
        record_ids: their record ids.
    """

    def __init__(
        self,
        file: SourceFile,
        partner: Partner,
        fields: Sequence[IdentifierField],
        rows: npt.NDArray[np.int64],
        record_ids: Sequence[str | None],
    ) -> None:
        self._of: list[tuple[tuple[str, bool], ...]] = []
        named = {
            column: field.type
            for field in fields
            if field.type not in _NO_IDENTIFIER
            for column in (partner.column_of(field.name), *partner.aliases.get(field.name, ()))
            # The file that stands for filters made elsewhere may hold record ids alone.
            if column in file.columns
        }
        missing = {word.strip().casefold() for word in partner.missing}
        for cells, record in zip(_rows(file, list(named), rows), record_ids, strict=True):
            own = {squash(record or ""): False}
            for cell, kind in zip(cells, named.values(), strict=True):
                if cell is None or cell.strip().casefold() in missing:
                    continue
                # One part of a name is enough to tell.
                parts = [cell, *_parts(cell)] if kind.is_name else [cell]
                own |= {squash(part): kind in _OF_PLACES for part in parts}
            self._of.append(tuple((text, place) for text, place in own.items() if _long(text)))

    def look_at(
        self, places: npt.NDArray[np.intp]
    ) -> Callable[[ContentField, pd.Series[Any]], dict[int, str]]:
        """Finds what is planted in columns whose rows are about these records."""
        return lambda field, cells: self._look(field, cells, places)

    def _look(
        self, field: ContentField, cells: pd.Series[Any], places: npt.NDArray[np.intp]
    ) -> dict[int, str]:
        codes, distinct = pd.factorize(cells, use_na_sentinel=True)
        texts = [str(cell).strip() for cell in distinct]
        place = field.means in _PLACES
        if not place and _mostly_names(texts):
            return {-1: NAMES}
        seen = [_readings(text) for text in texts]
        hits: dict[tuple[int, int], bool] = {}
        held, rows = Counter[int](), Counter[int]()
        records: dict[int, set[int]] = {}
        pairs = list(zip(codes.tolist(), places.tolist(), strict=True))
        for pair in pairs:
            code, record = pair
            if code < 0:
                continue
            if pair not in hits:
                hits[pair] = _holds(seen[code], self._of[record], place=place)
            rows[code] += 1
            held[code] += hits[pair]
            records.setdefault(code, set()).add(record)
        own = {code for code, count in held.items() if 2 * count >= rows[code]}
        named = {
            code
            for code, text in enumerate(texts)
            if not place and len(records.get(code, ())) < A_CODE_AGAIN and _is_name(text)
        }
        return {
            row: OWN if pair[0] in own and hits[pair] else NAME
            for row, pair in enumerate(pairs)
            if (pair[0] in own and hits[pair]) or pair[0] in named
        }


def _rows(
    file: SourceFile, columns: list[str], rows: npt.NDArray[np.int64]
) -> Iterator[tuple[str | None, ...]]:
    """The cells of the rows that were sent, in order; those that cannot be read are of others."""
    if not columns:
        yield from (() for _ in rows)
        return
    for part in file.read(columns):
        cells = [part.cells[column] for column in columns]
        for row in rows[(rows >= part.first) & (rows < part.first + part.count)] - part.first:
            yield tuple(column[row] for column in cells)


def _readings(text: str) -> tuple[str, ...]:
    """What a cell may say, whole and in pieces, letters and digits alone."""
    pieces = [
        piece
        for view in views(text)
        for piece in (view, *_PIECES.findall(view), *_RUNS.findall(view))
    ]
    return tuple(dict.fromkeys(map(squash, pieces)))


_PIECES = re.compile(r"[^\W_]+")
_RUNS = re.compile(r"[^\W\d_]+|\d+")


def _parts(cell: str) -> list[str]:
    return [part for part in re.split(r"[\s,;]+", cell) if not part.isdigit()]


def _long(text: str) -> bool:
    return len(text) >= (SHORTEST_NUMBER if text.isdigit() else SHORTEST_NAME)


def _holds(seen: Sequence[str], own: Sequence[tuple[str, bool]], *, place: bool) -> bool:
    """Whether a reading of a cell is, or contains, an identifier."""
    for text, of_place in own:
        if place and of_place:
            continue
        shortest = SHORTEST_DIGITS if text.isdigit() else SHORTEST_PART
        inside = len(text) >= shortest
        if any(text == view or (inside and text in view) for view in seen):
            return True
    return False


def _mostly_names(texts: Sequence[str]) -> bool:
    worded = {tuple(words) for text in texts if (words := _words(text))}
    if len(worded) < MANY_VALUES:
        return False
    named = sum(all(_in_list(word) for word in words) for words in worded)
    return named > MOSTLY * len(texts)


def _is_name(text: str) -> bool:
    """A given name and a surname, as it stands, backwards or decoded; or a decoded name."""
    if any((words := _words(view)) and all(map(_in_list, words)) for view in decoded(text)):
        return True
    for view in views(text):
        words = _LETTERS.findall(view.casefold())
        for one, other in itertools.pairwise(words):
            if (_is_given(one) and _is_surname(other)) or (_is_given(other) and _is_surname(one)):
                return True
    return False


def _words(text: str) -> list[str]:
    words = re.split(r"[\s,._/|+-]+", text.casefold().strip())
    return words if len(words) <= 3 and all(_WORD.fullmatch(word) for word in words) else []


def _in_list(word: str) -> bool:
    return _is_given(word) or _is_surname(word)


def _is_given(word: str) -> bool:
    return frequency_class(FieldType.GIVEN_NAME, word) < RARE


def _is_surname(word: str) -> bool:
    return frequency_class(FieldType.SURNAME, word) < RARE
