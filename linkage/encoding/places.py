"""Where people live: postal addresses, cities and postcodes.

- US words and postal codes are brought to the abbreviations of USPS Publication 28.
- Nothing is refused: what is not understood is encoded as its plain words.
"""

from __future__ import annotations

import re

from linkage.agreement import IdentifierField
from linkage.encoding.folding import WRITTEN_AS_FLOAT, words
from linkage.encoding.wordlists import ADDRESS_WORDS, CITY_WORDS, UNIT_WORDS

BRITISH = frozenset({"GB", "GG", "IM", "JE"})


def address(cell: str, field: IdentifierField) -> str:
    """Street number, street and unit, as words in USPS abbreviations. `#` and `unit` are `apt`,
    `p o box` and the like `po box`, numbers lose leading zeros, and a unit written before the
    street number goes behind the street.
    """
    found = words(cell.replace("#", " apt "), transliterate=field.transliterate)
    spelled = [ADDRESS_WORDS.get(_number(word), _number(word)) for word in found]
    text = _DOUBLE_APT.sub("apt", " ".join(spelled))
    text = _PO_BOX.sub("po box", text).replace("rural rte", "rr")
    parts = text.split(" ")
    if len(parts) > 3 and parts[0] in UNIT_WORDS and parts[2][0] in "0123456789":
        parts = [*parts[2:], *parts[:2]]
    return " ".join(parts)


_DOUBLE_APT = re.compile(r"\b(?:apt )+apt\b")
_PO_BOX = re.compile(r"\b(?:p o box|post office box|pob|pobox)\b")


def _number(word: str) -> str:
    return word.lstrip("0") or "0" if word.isascii() and word.isdecimal() else word


def city(cell: str, field: IdentifierField) -> str:
    """Words; `saint`, `fort`, `mount`, directions and the like abbreviated."""
    found = words(cell, transliterate=field.transliterate)
    return " ".join(CITY_WORDS.get(word, word) for word in found)


def postcode(cell: str, field: IdentifierField) -> str | None:
    """Letters and digits. In the US (region `US`) the first five digits of a ZIP or ZIP+4, with
    the zeros that spreadsheets lose put back to 3, 4 or 8 digits; 00000 and 99999 are missing. In
    Britain (`GB`, `GG`, `IM`, `JE`) outward and inward code, parted by one blank; an outward code
    alone is kept.
    """
    text = "".join(words(WRITTEN_AS_FLOAT.sub(r"\1", cell)))
    if field.region in BRITISH and _UNITED_KINGDOM.fullmatch(text):
        return f"{text[:-3]} {text[-3:]}"
    if field.region == "US" and text.isascii() and text.isdecimal():
        if len(text) in (8, 9):
            text = text.zfill(9)[:5]
        elif len(text) in (3, 4):
            text = text.zfill(5)
        return None if text in ("00000", "99999") else text
    return text


_UNITED_KINGDOM = re.compile(r"(?:[a-z]{1,2}[0-9][a-z0-9]?|gir)[0-9][a-z]{2}")
