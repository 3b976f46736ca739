"""Bring the cells of one identifier column to the one spelling that is encoded.

- Work is done once per distinct cell, then mapped back: ten million rows of a few hundred
  thousand distinct cells cost little more than reading them.
- An empty or declared-missing cell is None, and so is what remains empty after cleaning.
- Only a date that cannot be understood is `invalid`, because there a wrong declaration of the
  format would silently spoil every row. Garbage in any other type is ordinary dirt: it becomes
  None (sex, phone, e-mail, number, a placeholder such as 999-99-9999) or is encoded as it
  stands (names, addresses, cities, postcodes, exact).
- No message holds a cell's content. Time is linear in the length of a cell.

    column = normalise_column(field, ["07/04/1976", None], date_formats=["%m/%d/%Y"])
    column.values       # array(["1976-07-04", None], dtype=object)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import phonenumbers

from linkage.agreement import FieldType, IdentifierField
from linkage.encoding.dates import DEFAULT_DATE_FORMATS, EARLIEST_YEAR, DateReader
from linkage.encoding.folding import plain, words
from linkage.encoding.wordlists import (
    ADDRESS_WORDS,
    CITY_WORDS,
    HONORIFICS,
    NAME_WORDS,
    PARTICLES,
    SEXES,
    SUFFIXES,
)
from linkage.errors import InputError, ManifestError

Normaliser = Callable[[str], str | None]


@dataclass(frozen=True)
class NormalisedColumn:
    """One column, ready to be encoded.

    Attributes:
        values: (rows,) object; normalised text, or None where missing.
        invalid: int64, ascending 0-based rows whose cell cannot be understood; their value is
            None.
        reason: what was expected, for messages; never a cell's content.
    """

    values: npt.NDArray[np.object_]
    invalid: npt.NDArray[np.int64]
    reason: str


def normalise_column(
    field: IdentifierField,
    values: Sequence[str | None],
    *,
    date_formats: Sequence[str] = DEFAULT_DATE_FORMATS,
    missing: Collection[str] = (),
) -> NormalisedColumn:
    """Normalise every cell of one column.

    Args:
        field: name, type and region of the column.
        values: the cells; None (or a float NaN, as data frames have it) is missing.
        date_formats: strptime formats, tried in order.
        missing: cells that mean "not known", compared stripped and without case.

    Raises:
        ManifestError: a date format does not name year, month and day, or the region is
            unknown.
        InputError: a cell is not text.
    """
    normaliser, reason = _normaliser(field, date_formats)
    unknown = {_stripped(text) for text in missing}
    index: dict[object, int] = {}
    codes = np.fromiter(
        (index.setdefault(value, len(index)) for value in values), np.int64, count=len(values)
    )
    spelling = np.full(len(index), None, dtype=np.object_)
    bad = np.zeros(len(index), dtype=np.bool_)
    for place, cell in enumerate(index):
        if cell is None or (isinstance(cell, float) and cell != cell):  # noqa: PLR0124 (NaN)
            continue
        if not isinstance(cell, str):
            raise InputError(f"field {field.name!r}: a cell is not text")
        stripped = _stripped(cell)
        if stripped and stripped not in unknown:
            spelling[place] = normaliser(cell) or None
            bad[place] = field.type is FieldType.DATE_OF_BIRTH and spelling[place] is None
    return NormalisedColumn(spelling[codes], np.flatnonzero(bad[codes]).astype(np.int64), reason)


def _stripped(text: str) -> str:
    return plain(text).strip().casefold()


def _normaliser(field: IdentifierField, date_formats: Sequence[str]) -> tuple[Normaliser, str]:
    """How a field's cells are normalised, and what is expected of them."""
    match field.type:
        case FieldType.DATE_OF_BIRTH:
            reader = DateReader(date_formats)
            return reader.read, (
                f"not a date in any declared format ({', '.join(date_formats)})"
                f" from {EARLIEST_YEAR} to {reader.latest_year}"
            )
        case FieldType.PHONE:
            if field.region not in phonenumbers.SUPPORTED_REGIONS:
                raise ManifestError(
                    f"field {field.name!r}: region {field.region!r} has no telephone numbers",
                    remedy="Use an ISO 3166 two-letter country code",
                )
            return lambda cell: _phone(cell, field.region), "not a telephone number"
        case FieldType.POSTCODE:
            return lambda cell: _postcode(cell, field.region), "not a postcode"
    return _SIMPLE[field.type]


def _name(cell: str) -> str:
    """Words without title and suffix, particles joined to what follows them."""
    found = [NAME_WORDS.get(word, word) for word in words(cell)]
    first, last = 0, len(found)
    while last - first > 1 and found[first] in HONORIFICS:
        first += 1
    while last - first > 1 and found[last - 1] in SUFFIXES:
        last -= 1
    joined: list[str] = []
    prefix = ""
    for word in found[first:last]:
        if word in PARTICLES:
            prefix += word
        else:
            joined.append(prefix + word)
            prefix = ""
    return " ".join([*joined, prefix] if prefix else joined)


def _address(cell: str) -> str:
    """Words in USPS abbreviations; `#` and `p o box` spelled one way."""
    text = " ".join(ADDRESS_WORDS.get(word, word) for word in words(cell.replace("#", " apt ")))
    return _DOUBLE_APT.sub("apt", text).replace("p o box", "po box")


_DOUBLE_APT = re.compile(r"\b(?:apt )+apt\b")


def _city(cell: str) -> str:
    return " ".join(CITY_WORDS.get(word, word) for word in words(cell))


def _postcode(cell: str, region: str) -> str:
    """Letters and digits; in the US five digits, zeros lost in a spreadsheet put back."""
    text = _letters_and_digits(cell)
    if region == "US" and text.isdecimal():
        if len(text) in (8, 9):
            return text.zfill(9)[:5]
        if len(text) in (3, 4):
            return text.zfill(5)
    return text


def _national_id(cell: str) -> str | None:
    """Letters and digits; None for a placeholder of one repeated character."""
    text = _letters_and_digits(cell)
    return None if len(text) > 1 and len(set(text)) == 1 else text


def _letters_and_digits(cell: str) -> str:
    return "".join(words(_WRITTEN_AS_FLOAT.sub(r"\1", cell)))


_WRITTEN_AS_FLOAT = re.compile(r"^\s*(\d+)\.0\s*$")


def _phone(cell: str, region: str) -> str | None:
    """National significant number, or None where no such number is possible.

    Whether it is assigned is not asked: one wrong digit must not lose the other nine.
    """
    text = _WRITTEN_AS_FLOAT.sub(r"\1", plain(cell).strip())
    if region == "US" and (usual := _NORTH_AMERICAN.fullmatch(text)):
        number = "".join(usual.groups())
    else:
        try:
            parsed = phonenumbers.parse(text, region)
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


def _sex(cell: str) -> str | None:
    return SEXES.get("".join(words(_WRITTEN_AS_FLOAT.sub(r"\1", cell))))


def _email(cell: str) -> str | None:
    """Casefolded, without blanks; None without an @ that parts two texts."""
    text = "".join(plain(cell).casefold().split())
    local, _, domain = text.rpartition("@")
    return text if local and domain else None


def _exact(cell: str) -> str:
    return " ".join(plain(plain(cell).casefold()).split())


def _number(cell: str) -> str | None:
    """Decimal text without leading or trailing zeros; thousands may be parted by commas."""
    parts = _DECIMAL.fullmatch("".join(plain(cell).split()))
    if parts is None:
        return None
    sign, whole, fraction = parts.group(1, 2, 3)
    whole = (whole or "").replace(",", "").lstrip("0") or "0"
    fraction = (fraction or "").rstrip("0")
    if not fraction and whole == "0":
        return "0"
    return ("-" if sign == "-" else "") + whole + (f".{fraction}" if fraction else "")


_DECIMAL = re.compile(r"([+-]?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+|(?=\.[0-9]))(?:\.([0-9]*))?")

_SIMPLE: dict[FieldType, tuple[Normaliser, str]] = {
    FieldType.GIVEN_NAME: (_name, "not a name"),
    FieldType.MIDDLE_NAME: (_name, "not a name"),
    FieldType.SURNAME: (_name, "not a name"),
    FieldType.SEX: (_sex, "not a known code of sex"),
    FieldType.ADDRESS: (_address, "not an address"),
    FieldType.CITY: (_city, "not a city"),
    FieldType.NATIONAL_ID: (_national_id, "not an identifier"),
    FieldType.EMAIL: (_email, "not an e-mail address"),
    FieldType.EXACT: (_exact, "not text"),
    FieldType.NUMBER: (_number, "not a decimal number"),
}
