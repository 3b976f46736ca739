"""Names of persons: one part, or a full name to be split.

- Titles are dropped from the start and suffixes from the end, unless nothing else is left.
- Particles close up with what follows: `van der Berg` and `Vanderberg` become one text.
- Hyphens part words, and the tokens of words do not tell their order, so `Smith-Jones` meets
  `Jones Smith`, and half of it meets `Smith`.

    split_full_name("Dr. O'Brien-Smith, Mary Ann, Jr.")
    # FullName(given=("mary",), middle=("ann",), surname=("obrien", "smith"))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from linkage.agreement import IdentifierField
from linkage.encoding.folding import words
from linkage.encoding.nicknames import with_full_names
from linkage.encoding.wordlists import HONORIFICS, NAME_WORDS, PARTICLES, SUFFIXES


@dataclass(frozen=True)
class FullName:
    """The normalised words of a name, by part."""

    given: tuple[str, ...]
    middle: tuple[str, ...]
    surname: tuple[str, ...]


def name(cell: str, field: IdentifierField) -> str:
    """Words; titles dropped from the start and suffixes from the end unless nothing else is left;
    particles (`de`, `van`, `mc`, `o` …) joined to the next word. With `nicknames` (given and middle
    names), the names that a word stands for follow.
    """
    found = _join_particles(_undressed(_words(cell, transliterate=field.transliterate)))
    return " ".join(with_full_names(found) if field.nicknames else found)


def full_name(cell: str, field: IdentifierField) -> str:
    """The words of given, middle and surname, in this order, each part as in a name field. With a
    comma the surname stands before it (`Last, First Middle`), unless all that follows is a suffix
    or title (`First Last, Jr.`); without one the last blank-separated word is the surname. The
    first word of a name without a comma is never taken for a particle (`Van Morrison`, `Al Gore`).
    With `nicknames`, the names that the given name stands for follow it.
    """
    parts = split_full_name(cell, transliterate=field.transliterate)
    given = with_full_names(parts.given) if field.nicknames else parts.given
    return " ".join([*given, *parts.middle, *parts.surname])


def name_part(cell: str, field: IdentifierField, part: str) -> str:
    """The given names, middle names or surname of a cell that holds a whole name.

    Args:
        part: `given`, `middle` or `surname`.
    """
    words: tuple[str, ...] = getattr(split_full_name(cell, transliterate=field.transliterate), part)
    return " ".join(with_full_names(words) if field.nicknames else words)


def split_full_name(cell: str, *, transliterate: bool = True) -> FullName:
    """A full name in its parts; a single word is a surname."""
    cells = _COMMA.split(cell)
    if len(cells) == 1:
        return _unparted(cell, transliterate=transliterate)
    parts = [_words(part, transliterate=transliterate) for part in cells]
    told = [place for place, part in enumerate(parts) if not _DRESS.issuperset(part)]
    if len(told) < 2:
        whole = cells[told[0]] if told else " ".join(cells)
        return _unparted(whole, transliterate=transliterate)
    rest = [word for place in told[1:] for word in _undressed(parts[place])]
    given = _join_particles(_undressed(rest))
    surname = _join_particles(_undressed(parts[told[0]]))
    return FullName(tuple(given[:1]), tuple(given[1:]), tuple(surname))


_COMMA = re.compile("[,\uff0c\u060c\u3001]")
_DRESS = HONORIFICS | SUFFIXES


def _unparted(text: str, *, transliterate: bool) -> FullName:
    """A name written in its usual order: its last piece, a hyphen included, is the surname."""
    pieces = [_words(piece, transliterate=transliterate) for piece in text.split()]
    groups = [piece for piece in pieces if piece]
    first, last = 0, len(groups)
    while last - first > 1 and HONORIFICS.issuperset(groups[first]):
        first += 1
    while last - first > 1 and SUFFIXES.issuperset(groups[last - 1]):
        last -= 1
    groups = groups[first:last]
    if len(groups) < 2:
        return FullName((), (), tuple(_join_particles(word for group in groups for word in group)))
    start = len(groups) - 1
    while start > 1 and len(groups[start - 1]) == 1 and groups[start - 1][0] in PARTICLES:
        start -= 1
    given = groups[0] if len(groups[0]) == 1 else _join_particles(groups[0])
    middle = _join_particles(word for group in groups[1:start] for word in group)
    surname = _join_particles(word for group in groups[start:] for word in group)
    return FullName(tuple(given), tuple(middle), tuple(surname))


def _words(cell: str, *, transliterate: bool) -> list[str]:
    return [NAME_WORDS.get(word, word) for word in words(cell, transliterate=transliterate)]


def _undressed(found: Sequence[str]) -> Sequence[str]:
    """The words without titles before and suffixes behind, but never none."""
    first, last = 0, len(found)
    while last - first > 1 and found[first] in HONORIFICS:
        first += 1
    while last - first > 1 and found[last - 1] in SUFFIXES:
        last -= 1
    return found[first:last]


def _join_particles(found: Iterable[str]) -> list[str]:
    joined: list[str] = []
    prefix = ""
    for word in found:
        if word in PARTICLES:
            prefix += word
        else:
            joined.append(prefix + word)
            prefix = ""
    return [*joined, prefix] if prefix else joined
