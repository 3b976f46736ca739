"""What is given to a person: national ids, telephone numbers, e-mail addresses, codes of sex.

- A known placeholder is missing rather than a person of its own.
"""

from __future__ import annotations

import re

import phonenumbers

from linkage.agreement import IdentifierField
from linkage.encoding.folding import WRITTEN_AS_FLOAT, plain, words
from linkage.encoding.wordlists import SEXES


def national_id(cell: str, field: IdentifierField) -> str | None:
    """Letters and digits; one character repeated is missing. In the US (region `US`) a social
    security number, or its last four digits: those alone, masked (`***-**-1120`, `XXX-XX-1120`) or
    behind five zeros or nines. Zeros that spreadsheets lose are put back to 3, 7 or 8 digits;
    123-45-6789 and 987-65-4321 are missing. In Britain (`GB`) a national insurance number loses its
    final letter, which many files lack.
    """
    text = "".join(words(WRITTEN_AS_FLOAT.sub(r"\1", cell)))
    if field.region == "US":
        text = _social_security(text)
    elif field.region == "GB" and _NATIONAL_INSURANCE.fullmatch(text):
        text = text[:8]
    return None if len(text) > 1 and len(set(text)) == 1 else text


_NATIONAL_INSURANCE = re.compile(r"[a-z]{2}[0-9]{6}[a-d]")


def _social_security(text: str) -> str:
    if masked := _MASKED.fullmatch(text):
        return masked.group(1)
    if text.isascii() and text.isdecimal():
        if len(text) == 3:
            text = text.zfill(4)
        elif len(text) in (7, 8):
            text = text.zfill(9)
        if text in ("123456789", "987654321"):
            return ""
    return text


_MASKED = re.compile(r"(?:x+|0{5}|9{5})([0-9]{4})")


def phone(cell: str, field: IdentifierField) -> str | None:
    """National significant number (E.164 without the country code), or missing where no such
    number is possible. Whether it is assigned is not asked: one wrong digit must not lose the
    other nine. `region` is the country of numbers without a prefix.
    """
    text = WRITTEN_AS_FLOAT.sub(r"\1", plain(cell).strip())
    if field.region == "US" and (usual := _NORTH_AMERICAN.fullmatch(text)):
        number = "".join(usual.groups())
    else:
        try:
            parsed = phonenumbers.parse(text, field.region)
        except phonenumbers.NumberParseException:
            return None
        possible = phonenumbers.is_possible_number_with_reason(parsed)
        if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
            return None
        number = phonenumbers.national_significant_number(parsed)
    return None if len(set(number)) == 1 else number


_NORTH_AMERICAN = re.compile(
    r"(?:\+?1[ .-]?)?\(?([2-9][0-9]{2})\)?[ .-]?([0-9]{3})[ .-]?([0-9]{4})"
)


def sex(cell: str, field: IdentifierField) -> str | None:
    """`m`, `f` or `x` from common codes and words, among them 1 and 2 of ISO/IEC 5218; anything
    else is missing.
    """
    del field
    return SEXES.get("".join(words(WRITTEN_AS_FLOAT.sub(r"\1", cell))))


def email(cell: str, field: IdentifierField) -> str | None:
    """Case-folded, without blanks; missing without an `@` that parts two texts."""
    del field
    text = "".join(plain(cell).casefold().split())
    local, _, domain = text.rpartition("@")
    return text if local and domain else None
