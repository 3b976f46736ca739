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
from linkage.release import places
from linkage.release.codes import code_fault
from linkage.release.places import Check, Convert, Fault, Transformed
from linkage.release.race import SEPARATOR

SEVERAL = "race_ethnicity"
"""The term of which a cell may hold several codes, joined by `SEPARATOR`."""
BAND_YEARS = 10
TOP_AGE = 90
OLDEST = 125
FIRST_YEAR = 1850

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
    if field.transform in _CODES:
        return _code(field, personal=personal)
    return _CONVERTERS[field.transform](field)


def result_fault(field: ContentField, *, personal: bool = True) -> Check:
    """Why a value cannot have come of the field's transform."""
    if field.transform in _CODES:
        convert = _code(field, personal=personal)
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
    labels = band_labels(edges)

    def convert(text: str) -> Transformed:
        if not _QUANTITY.fullmatch(text):
            return None, "is not a number in digits, such as 12 or 12.5"
        return labels[bisect.bisect_right(edges, float(text))], None

    return convert


def band_labels(edges: Sequence[int]) -> list[str]:
    """The bands that begin at `edges`, the open ones first and last."""
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


_CODES = (Transform.KEEP, Transform.CROSSWALK)


def _code(field: ContentField, *, personal: bool) -> Convert:
    """A code as it stands, or as it was looked up in a crosswalk."""
    more = () if field.lookup is None else (field.lookup.unmapped,)
    if field.values is not None:
        allowed = frozenset((*field.values, *more))
        fault = f"is not one of the {len(field.values)} codes the partners agreed to"
        between = SEPARATOR if field.means == SEVERAL else None

        def listed(text: str) -> Transformed:
            if text in allowed:
                return text, None
            parts = {part.strip() for part in text.split(between)} if between else {""}
            return (SEPARATOR.join(sorted(parts)), None) if parts <= allowed else (None, fault)

        return listed

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
    Transform.ZIP3: places.zip3,
    Transform.NUMBER: lambda field: _number,
    Transform.GENERALISE: _generalise,
    Transform.BAND: _band,
    Transform.TOP_CODE: _top_code,
    Transform.TRACT: places.tract,
    Transform.MUNICIPALITY: places.municipality,
    Transform.COUNTY: places.county,
}

_MONTH_RESULT = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_BANDS = frozenset(
    [
        *(f"{low}-{low + width - 1}" for width in (5, 10) for low in range(0, TOP_AGE, width)),
        f"{TOP_AGE}+",
    ]
)


def _listed(field: ContentField) -> Check:
    codes = frozenset(band_labels(field.edges) if field.edges else (field.mapping or {}).values())
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
    Transform.ZIP3: places.zip3_fault,
    Transform.NUMBER: _unless(math.isfinite, "is not a number"),
    Transform.GENERALISE: _listed,
    Transform.BAND: _listed,
    Transform.TOP_CODE: _topped,
    Transform.TRACT: places.tract_fault,
    Transform.MUNICIPALITY: places.municipality_fault,
    Transform.COUNTY: places.county_fault,
}
