"""Mistakes as clerks, scanners and memory make them; each turns one cell into a wrong one.

- A date stays a date: what agencies hold is wrong, yet passes their own check.
- The random source is passed in; the same source gives the same mistakes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta

from linkage.synthetic.names import tables

LATEST = date(2025, 12, 31)
"""No agency accepts a birth in the future."""

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEAR = {
    key: (row[max(0, at - 1) : at] + row[at + 1 : at + 2])
    for row in _KEYS
    for at, key in enumerate(row)
}
_SCANNED = (
    ("rn", "m"), ("m", "rn"), ("cl", "d"), ("l", "i"), ("i", "l"), ("o", "0"), ("s", "5"),
    ("b", "8"), ("vv", "w"), ("e", "c"), ("u", "v"), ("h", "b"), ("g", "q"),
)  # fmt: skip
_HEARD = (
    ("ph", "f"), ("f", "ph"), ("ck", "k"), ("c", "k"), ("k", "c"), ("ie", "y"), ("y", "ie"),
    ("ei", "ie"), ("ee", "ea"), ("z", "s"), ("s", "z"), ("sch", "sh"), ("ks", "x"), ("x", "ks"),
    ("gh", "g"), ("ai", "ay"), ("ey", "y"), ("an", "en"), ("en", "an"), ("sen", "son"),
    ("th", "t"), ("wh", "w"), ("ll", "l"), ("tt", "t"), ("nn", "n"), ("ss", "s"), ("ou", "u"),
    ("j", "h"), ("v", "b"), ("qu", "k"), ("ia", "ya"), ("dge", "ge"), ("au", "aw"),
)  # fmt: skip


def misspell(word: str, source: random.Random) -> str:
    """A word typed, scanned or heard wrongly; a word of one letter stays."""
    if len(word) < 2:
        return word
    way = source.choices((_mistype, _misread, _mishear), (0.5, 0.12, 0.38))[0]
    return way(word, source)


def _mistype(word: str, source: random.Random) -> str:
    at = source.randrange(1, len(word)) if source.random() < 0.85 else 0
    kind = source.randrange(4)
    letter = word[at].lower()
    if kind == 0:
        return word[:at] + source.choice(_NEAR.get(letter, letter)) + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[:at] + letter + word[at:] if at else word + letter
    at = min(at, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _misread(word: str, source: random.Random) -> str:
    return _replace(word, _SCANNED, source)


def _mishear(word: str, source: random.Random) -> str:
    return _replace(word, _HEARD, source)


def _replace(word: str, table: tuple[tuple[str, str], ...], source: random.Random) -> str:
    fitting = [(old, new) for old, new in table if old in word.lower()]
    if not fitting:
        return _mistype(word, source)
    old, new = source.choice(fitting)
    at = word.lower().index(old)
    changed = word[:at] + new + word[at + len(old) :]
    return changed[:1].upper() + changed[1:] if word[:1].isupper() else changed


def nickname(given: str, source: random.Random) -> str:
    """What the person is called; the name itself where there is no usual short form."""
    known = tables().nicknames.get(given)
    return source.choice(known) if known else given


def wrong_digit(text: str, source: random.Random) -> str:
    """One digit replaced, or two neighbours exchanged."""
    places = [at for at, c in enumerate(text) if c.isdigit()]
    if not places:
        return text
    at = source.choice(places)
    if source.random() < 0.35 and at + 1 < len(text) and text[at + 1].isdigit():
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + str((int(text[at]) + source.randrange(1, 10)) % 10) + text[at + 1 :]


def wrong_date(day: date, source: random.Random) -> date:
    """Another date: day and month exchanged, one part mistaken, or only the year known."""
    ways: tuple[Callable[[date, random.Random], date], ...] = (
        swap_day_and_month,
        _wrong_day,
        _wrong_month,
        _wrong_year,
        _guessed,
    )
    return min(source.choices(ways, (0.2, 0.32, 0.16, 0.24, 0.08))[0](day, source), LATEST)


def swap_day_and_month(day: date, source: random.Random) -> date:
    """Day and month exchanged where that is a date; another wrong day where not."""
    if day.day > 12 or day.day == day.month:
        return _wrong_day(day, source)
    return day.replace(month=day.day, day=day.month)


def _wrong_day(day: date, source: random.Random) -> date:
    return day + timedelta(days=source.choice((-10, -2, -1, 1, 2, 10)))


def _wrong_month(day: date, source: random.Random) -> date:
    return day.replace(
        month=(day.month + source.randrange(1, 11) - 1) % 12 + 1, day=min(day.day, 28)
    )


def _wrong_year(day: date, source: random.Random) -> date:
    year = day.year + source.choice((-10, -2, -1, -1, 1, 1, 2, 10))
    return day.replace(year=max(year, 1905), day=min(day.day, 28))


def _guessed(day: date, source: random.Random) -> date:
    return date(day.year, 1, 1)


_ABBREVIATIONS = (
    ("Street", "St"), ("Avenue", "Ave"), ("Road", "Rd"), ("Drive", "Dr"), ("Lane", "Ln"),
    ("Court", "Ct"), ("Boulevard", "Blvd"), ("Place", "Pl"), ("North ", "N "), ("South ", "S "),
    ("East ", "E "), ("West ", "W "), ("Apt ", "#"),
)  # fmt: skip


def abbreviate(address: str) -> str:
    """An address as a hurried clerk writes it."""
    for long, short in _ABBREVIATIONS:
        address = address.replace(long, short)
    return address


def wrong_address(address: str, source: random.Random) -> str:
    """Unit left out, number or street mistaken."""
    if " Apt " in address and source.random() < 0.5:
        return address.partition(" Apt ")[0]
    number, _, street = address.partition(" ")
    if source.random() < 0.4:
        return f"{wrong_digit(number, source)} {street}"
    words = street.split(" ")
    at = source.randrange(len(words))
    words[at] = misspell(words[at], source)
    return " ".join([number, *words])
