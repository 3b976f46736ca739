"""Unicode folding shared by all normalisers.

- Compatibility forms, case and combining marks are folded; invisible characters are dropped.
- Marks that carry a vowel of their own (combining class 0, as in Devanagari) are kept.
- ASCII text takes a short way that gives the same result.
- Marks are dropped before text is normalised, so that no reordering of long runs of them can
  take more than linear time.
"""

from __future__ import annotations

import re
import unicodedata

from linkage.encoding.wordlists import TRANSLITERATION

_APOSTROPHES = str.maketrans("", "", "'`´‘’‛ʹʻʼʽˈ′＇ʾʿ")
_LATIN = str.maketrans(dict(TRANSLITERATION))
_NOT_ASCII_WORD = re.compile(r"[^a-z0-9]+")
WRITTEN_AS_FLOAT = re.compile(r"^\s*(\d+)\.0\s*$")
"""A whole number as spreadsheets write it."""

_INVISIBLE = frozenset(("Cf", "Cs"))


def plain(text: str) -> str:
    """Text in NFKC with ASCII digits, without marks' reordering and invisible characters.

    Case and marks that compose with their letter stay.
    """
    if text.isascii():
        return text
    seen = "".join(c for c in _limited_marks(text) if unicodedata.category(c) not in _INVISIBLE)
    return "".join(map(_ascii_digit, unicodedata.normalize("NFKC", seen)))


def _limited_marks(text: str, limit: int = 8) -> str:
    """`text` with at most `limit` combining marks in a row; real text has one or two."""
    kept: list[str] = []
    run = 0
    for c in text:
        run = run + 1 if unicodedata.combining(c) else 0
        if run <= limit:
            kept.append(c)
    return "".join(kept)


def _ascii_digit(c: str) -> str:
    return c if c.isascii() else str(unicodedata.decimal(c, c))


def fold(text: str, *, transliterate: bool = True) -> str:
    """Text without case, compatibility forms, marks and invisible characters.

    Args:
        transliterate: also write the Latin letters of `TRANSLITERATION` in ASCII.
    """
    if text.isascii():
        return text.lower()
    folded = _without_marks(plain(_without_marks(text)).casefold())
    decomposed = _without_marks(unicodedata.normalize("NFKD", folded))
    if transliterate:
        decomposed = decomposed.translate(_LATIN)
    return unicodedata.normalize("NFKC", decomposed)


def _without_marks(text: str) -> str:
    return "".join(
        c for c in text if not unicodedata.combining(c) and not "\ufe00" <= c <= "\ufe0f"
    )


def words(text: str, *, transliterate: bool = True) -> list[str]:
    """The folded words of a text: apostrophes close up, every other punctuation parts."""
    folded = fold(text.translate(_APOSTROPHES), transliterate=transliterate)
    if folded.isascii():
        return _NOT_ASCII_WORD.sub(" ", folded).split()
    return "".join(
        c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in folded
    ).split()
