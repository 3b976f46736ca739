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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import phonenumbers

from linkage.agreement import FieldType, IdentifierField
from linkage.encoding.dates import DEFAULT_DATE_FORMATS, EARLIEST_YEAR, DateReader
from linkage.encoding.folding import plain
from linkage.encoding.identifiers import email, national_id, phone, sex
from linkage.encoding.names import full_name, name, name_part
from linkage.encoding.places import address, city, postcode
from linkage.errors import InputError, ManifestError

Normaliser = Callable[[str, IdentifierField], str | None]


@dataclass(frozen=True)
class NormalisedColumn:
    """One column, ready to be encoded.

    Attributes:
        values: (rows,) object; normalised text, or None where missing.
        invalid: int64, ascending 0-based rows whose cell cannot be understood; their value is
            None.
        reason: what was expected, for messages; never a cell's content.
        sentinels: how many rows hold a declared value for "not known"; empty cells do not count.
    """

    values: npt.NDArray[np.object_]
    invalid: npt.NDArray[np.int64]
    reason: str
    sentinels: int = 0


def normalise_column(
    field: IdentifierField,
    values: Sequence[str | None],
    *,
    date_formats: Sequence[str] = DEFAULT_DATE_FORMATS,
    missing: Collection[str] = (),
    part: str | None = None,
) -> NormalisedColumn:
    """Normalise every cell of one column.

    Args:
        field: name, type and settings of the column.
        values: the cells; None (or a float NaN, as data frames have it) is missing.
        date_formats: strptime formats, tried in order; one without a day, or without month and
            day, allows dates that are known in part.
        missing: cells that mean "not known", compared stripped and without case.
        part: where the cells are whole names, the part of them that the field is.

    Raises:
        ManifestError: a date format does not name a year, or the region is unknown.
        InputError: a cell is not text.
    """
    normaliser, reason = _normaliser(field, date_formats)
    if part is not None:
        normaliser = partial(name_part, part=part)
    unknown = {_stripped(text) for text in missing}
    index: dict[object, int] = {}
    codes = np.fromiter(
        (index.setdefault(value, len(index)) for value in values), np.int64, count=len(values)
    )
    spelling = np.full(len(index), None, dtype=np.object_)
    bad = np.zeros(len(index), dtype=np.bool_)
    declared = np.zeros(len(index), dtype=np.bool_)
    for place, cell in enumerate(index):
        if cell is None or (isinstance(cell, float) and cell != cell):  # noqa: PLR0124 (NaN)
            continue
        if not isinstance(cell, str):
            raise InputError(f"field {field.name!r}: a cell is not text")
        stripped = _stripped(cell)
        if stripped in unknown:
            declared[place] = bool(stripped)
        elif stripped:
            spelling[place] = normaliser(cell, field) or None
            bad[place] = field.type is FieldType.DATE_OF_BIRTH and spelling[place] is None
    invalid = np.flatnonzero(bad[codes]).astype(np.int64)
    return NormalisedColumn(spelling[codes], invalid, reason, int(declared[codes].sum()))


def _stripped(text: str) -> str:
    return plain(text).strip().casefold()


def _normaliser(field: IdentifierField, date_formats: Sequence[str]) -> tuple[Normaliser, str]:
    """How a field's cells are normalised, and what is expected of them."""
    if field.type is FieldType.DATE_OF_BIRTH:
        reader = DateReader(date_formats, latest_short_year=field.latest_short_year)
        return lambda cell, _: reader.read(cell), (
            f"not a date in any declared format ({', '.join(date_formats)})"
            f" from {EARLIEST_YEAR} to {reader.latest_year}"
        )
    if field.type is FieldType.PHONE and field.region not in phonenumbers.SUPPORTED_REGIONS:
        raise ManifestError(
            f"field {field.name!r}: region {field.region!r} has no telephone numbers",
            remedy="Use an ISO 3166 two-letter country code",
        )
    return NORMALISERS[field.type]


def exact(cell: str, field: IdentifierField) -> str:
    """NFKC, case-folded, blanks squeezed; marks and punctuation stay."""
    del field
    return " ".join(plain(plain(cell).casefold()).split())


def number(cell: str, field: IdentifierField) -> str | None:
    """Decimal text without superfluous zeros; thousands may be parted by commas. Anything else is
    missing.
    """
    del field
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

NORMALISERS: Mapping[FieldType, tuple[Normaliser, str]] = MappingProxyType(
    {
        FieldType.GIVEN_NAME: (name, "not a name"),
        FieldType.MIDDLE_NAME: (name, "not a name"),
        FieldType.SURNAME: (name, "not a name"),
        FieldType.FULL_NAME: (full_name, "not a name"),
        FieldType.SEX: (sex, "not a known code of sex"),
        FieldType.PHONE: (phone, "not a telephone number"),
        FieldType.ADDRESS: (address, "not an address"),
        FieldType.CITY: (city, "not a city"),
        FieldType.POSTCODE: (postcode, "not a postcode"),
        FieldType.NATIONAL_ID: (national_id, "not an identifier"),
        FieldType.EMAIL: (email, "not an e-mail address"),
        FieldType.EXACT: (exact, "not text"),
        FieldType.NUMBER: (number, "not a decimal number"),
    }
)
"""By type, except dates (`DateReader`); the docstrings are the reference's text."""
