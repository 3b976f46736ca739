"""What each transform makes of one cell, and what it can have made.

- `converter` is the agent's: a stripped text to the value that leaves, or why it may not.
- `result_fault` is the assembler's: whether a value can have come of the transform.
- Neither shows the cell. What a column as a whole gives away is `deidentify`'s business.
"""

from __future__ import annotations

import bisect
import itertools
import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from linkage.agreement import ContentField, Transform
from linkage.agreement.models import OF_NO_PERSON
from linkage.errors import ManifestError
from linkage.release.codes import code_fault

BAND_YEARS = 10
TOP_AGE = 90
OLDEST = 125
FIRST_YEAR = 1850

# Three-digit ZIP areas of 20,000 people or fewer in the census of 2000 or of 2010
# (45 CFR 164.514(b)(2)(i)(B)).
# fmt: off
SMALL_ZIP3 = frozenset(
    [
        "036", "059", "063", "102", "203", "205", "369", "556", "692", "753", "772",
        "790", "821", "823", "830", "831", "878", "879", "884", "890", "893",
    ]
)
# fmt: on

Fault = str
Transformed = tuple[Any, Fault | None]
Convert = Callable[[str], Transformed]
Check = Callable[[Any], Fault | None]

_TYPES = {
    Transform.YEAR: pa.int16(),
    Transform.NUMBER: pa.float64(),
    Transform.DAY: pa.int32(),
}


def output_type(field: ContentField) -> pa.DataType:
    """The type a content field has after its transform."""
    return _TYPES.get(field.transform, pa.string())


def type_at_home(field: ContentField) -> pa.DataType:
    """The type before days are hidden: another one, so that none can leave unhidden by mistake."""
    return pa.date32() if field.transform is Transform.DAY else output_type(field)


def converter(field: ContentField, *, personal: bool = True) -> Convert:
    """What the field's transform makes of a cell.

    Args:
        personal: whether the table is about persons.

    Raises:
        ManifestError: the transform cannot work as it was agreed.
    """
    if field.transform is Transform.KEEP:
        return _keep(field, personal=personal)
    return _CONVERTERS[field.transform](field)


def result_fault(field: ContentField, *, personal: bool = True) -> Check:
    """Why a value cannot have come of the field's transform."""
    if field.transform is Transform.KEEP:
        convert = _keep(field, personal=personal)
        return lambda value: convert(value)[1]
    return _CHECKS[field.transform](field)


def age_band(born: date, reference: date, *, years: int = BAND_YEARS) -> str:
    """The band of an age in whole years, "30-39", or "90+"."""
    age = reference.year - born.year - ((reference.month, reference.day) < (born.month, born.day))
    if age >= TOP_AGE:
        return f"{TOP_AGE}+"
    low = age - age % years
    return f"{low}-{low + years - 1}"


def _year(field: ContentField) -> Convert:
    parse = _date_parser(field)
    return lambda text: _mapped(parse(text), lambda day: day.year)


def _month(field: ContentField) -> Convert:
    parse = _date_parser(field)
    return lambda text: _mapped(parse(text), lambda day: f"{day.year:04d}-{day.month:02d}")


def _age_band(field: ContentField) -> Convert:
    parse, reference = _date_parser(field), field.reference
    if reference is None:  # the manifest refuses this; the type checker does not know
        raise ManifestError(f"field {field.name!r}: age_band needs a reference date")
    return lambda text: _age(parse(text), reference)


def _mapped(parsed: Transformed, convert: Callable[[date], Any]) -> Transformed:
    day, fault = parsed
    return (None, fault) if fault else (convert(day), None)


def _age(parsed: Transformed, reference: date) -> Transformed:
    born, fault = parsed
    if fault:
        return None, fault
    if born > reference:
        return None, f"is after the reference date {reference.isoformat()}"
    if reference.year - born.year > OLDEST:
        return None, f"is more than {OLDEST} years before the reference date"
    return age_band(born, reference), None


_ZIP = re.compile(r"(\d{3})\d{2}(-?\d{4})?", re.ASCII)


def _zip3(text: str) -> Transformed:
    match = _ZIP.fullmatch(text)
    if not match:
        return None, "is not a ZIP code of five or nine digits (was a leading zero lost?)"
    area = match[1]
    return "000" if area in SMALL_ZIP3 else area, None


def _generalise(field: ContentField) -> Convert:
    coarser = {_spaced(cell): code for cell, code in (field.mapping or {}).items()}

    def convert(text: str) -> Transformed:
        code = coarser.get(_spaced(text))
        if code is None:
            return None, f"is not one of the {len(coarser)} cells that the manifest maps"
        return code, None

    return convert


def _spaced(text: str) -> str:
    return " ".join(text.casefold().split())


_QUANTITY = re.compile(r"[+-]?\d{1,9}(\.\d{1,9})?", re.ASCII)


def _band(field: ContentField) -> Convert:
    edges = field.edges or ()
    labels = _band_labels(edges)

    def convert(text: str) -> Transformed:
        if not _QUANTITY.fullmatch(text):
            return None, "is not a number in digits, such as 12 or 12.5"
        return labels[bisect.bisect_right(edges, float(text))], None

    return convert


def _band_labels(edges: Sequence[int]) -> list[str]:
    between = [
        f"{low}-{high - 1}" if high - low > 1 else str(low)
        for low, high in itertools.pairwise(edges)
    ]
    return [f"<{edges[0]}", *between, f"{edges[-1]}+"]


_WHOLE = re.compile(r"\d{1,9}", re.ASCII)


def _top_code(field: ContentField) -> Convert:
    top = field.top or 0

    def convert(text: str) -> Transformed:
        if not _WHOLE.fullmatch(text):
            return None, "is not a whole number in digits"
        return (f"{top}+" if int(text) >= top else str(int(text))), None

    return convert


_GEOID = re.compile(r"\d{11,12}|\d{15}", re.ASCII)
_COUNTY_GEOID = re.compile(r"\d{5}|\d{11,12}|\d{15}", re.ASCII)


def _tract(text: str) -> Transformed:
    if not _GEOID.fullmatch(text):
        return None, "is not the Census GEOID of a tract, block group or block (11, 12, 15 digits)"
    return text[:11], None


def _county(text: str) -> Transformed:
    if not _COUNTY_GEOID.fullmatch(text):
        return None, "is not a Census GEOID of 5, 11, 12 or 15 digits (was a leading zero lost?)"
    return text[:5], None


_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,10})?", re.ASCII)


def _number(text: str) -> Transformed:
    if not _NUMBER.fullmatch(text):
        return None, "is not a number in digits with a decimal point, such as 1234.5"
    return float(text), None


_DIRECTIVE = re.compile(r"%(.)", re.DOTALL)
_YEAR_DIRECTIVES = frozenset("YyGcx")
_MONTH_DIRECTIVES = frozenset("mbBjcx")


def _date_parser(field: ContentField) -> Convert:
    pattern = field.date_format
    used = set(_DIRECTIVE.findall(pattern))
    if not used & _YEAR_DIRECTIVES:
        raise ManifestError(f"field {field.name!r}: date_format {pattern!r} has no year")
    if field.transform is Transform.MONTH and not used & _MONTH_DIRECTIVES:
        raise ManifestError(f"field {field.name!r}: date_format {pattern!r} has no month")
    try:
        datetime.strptime("", pattern)
    except (ValueError, re.error) as error:
        if "does not match format" not in str(error):
            raise ManifestError(
                f"field {field.name!r}: date_format {pattern!r} is not a strptime format"
            ) from None

    def parse(text: str) -> Transformed:
        try:
            day = datetime.strptime(text, pattern).date()
        except ValueError:
            return None, f"is not a date of the form {pattern}"
        if day.year < FIRST_YEAR:
            return None, f"is a date before {FIRST_YEAR}"
        return day, None

    return parse


def _keep(field: ContentField, *, personal: bool) -> Convert:
    if field.values is not None:
        allowed = frozenset(field.values)
        fault = f"is not one of the {len(allowed)} codes the partners agreed to"
        return lambda text: (text, None) if text in allowed else (None, fault)

    numbers = personal and field.means not in OF_NO_PERSON

    def convert(text: str) -> Transformed:
        fault = code_fault(text, numbers=numbers)
        return (None, fault) if fault else (text, None)

    return convert


_CONVERTERS: dict[Transform, Callable[[ContentField], Convert]] = {
    Transform.YEAR: _year,
    Transform.MONTH: _month,
    Transform.DAY: _date_parser,
    Transform.AGE_BAND: _age_band,
    Transform.ZIP3: lambda field: _zip3,
    Transform.NUMBER: lambda field: _number,
    Transform.GENERALISE: _generalise,
    Transform.BAND: _band,
    Transform.TOP_CODE: _top_code,
    Transform.TRACT: lambda field: _tract,
    Transform.COUNTY: lambda field: _county,
}

_MONTH_RESULT = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_ZIP3_RESULT = re.compile(r"\d{3}", re.ASCII)
_BANDS = frozenset(
    [
        *(f"{low}-{low + width - 1}" for width in (5, 10) for low in range(0, TOP_AGE, width)),
        f"{TOP_AGE}+",
    ]
)


def _listed(field: ContentField) -> Check:
    codes = frozenset(_band_labels(field.edges) if field.edges else (field.mapping or {}).values())
    return lambda value: None if value in codes else "is not one of the codes agreed to"


def _topped(field: ContentField) -> Check:
    top = field.top or 0

    def fault(value: Any) -> Fault | None:
        whole = _WHOLE.fullmatch(value) and int(value) < top
        return None if whole or value == f"{top}+" else f"is no number below {top}, nor {top}+"

    return fault


def _unless(holds: Callable[[Any], bool], fault: Fault) -> Callable[[ContentField], Check]:
    return lambda field: lambda value: None if holds(value) else fault


_CHECKS: dict[Transform, Callable[[ContentField], Check]] = {
    Transform.YEAR: _unless(lambda value: FIRST_YEAR <= value <= 9999, "is not a year"),
    Transform.MONTH: _unless(lambda value: bool(_MONTH_RESULT.fullmatch(value)), "is not a month"),
    # Hidden: any number may be one.
    Transform.DAY: _unless(lambda value: True, ""),
    Transform.AGE_BAND: _unless(lambda value: value in _BANDS, "is not an age band"),
    Transform.ZIP3: _unless(
        lambda value: bool(_ZIP3_RESULT.fullmatch(value)) and value not in SMALL_ZIP3,
        "is not an allowed three-digit area",
    ),
    Transform.NUMBER: _unless(math.isfinite, "is not a number"),
    Transform.GENERALISE: _listed,
    Transform.BAND: _listed,
    Transform.TOP_CODE: _topped,
    Transform.TRACT: _unless(
        lambda value: len(value) == 11 and value.isdecimal(), "is not a tract of eleven digits"
    ),
    Transform.COUNTY: _unless(
        lambda value: len(value) == 5 and value.isdecimal(), "is not a county of five digits"
    ),
}
