"""Places, coarsened: tracts, municipalities, counties and three-digit ZIP areas.

- GEOIDs are those of the Census Bureau: state 2 digits, county 5, tract 11, block group 12,
  block 15; a place 7, of which the first two are its state.
- `target` is how a list of places is read, `*_fault` what may leave. No message shows the cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from linkage.agreement import ContentField, Transform

Fault = str
Transformed = tuple[Any, Fault | None]
Convert = Callable[[str], Transformed]
Check = Callable[[Any], Fault | None]

FEW_PEOPLE = 20_000

# Three-digit ZIP areas of 20,000 people or fewer in the census of 2000 or of 2010
# (45 CFR 164.514(b)(2)(i)(B)). Those of 2020 are not here: a partner brings its own table of them.
# fmt: off
SMALL_ZIP3 = frozenset(
    [
        "036", "059", "063", "102", "203", "205", "369", "556", "692", "753", "772",
        "790", "821", "823", "830", "831", "878", "879", "884", "890", "893",
    ]
)
# fmt: on

_ZIP = re.compile(r"(\d{3})\d{2}(-?\d{4})?", re.ASCII)
_ZIP3 = re.compile(r"\d{3}", re.ASCII)
_GEOID = re.compile(r"\d{11,12}|\d{15}", re.ASCII)
_COUNTY_GEOID = re.compile(r"\d{5}|\d{11,12}|\d{15}", re.ASCII)
_PLACE_GEOID = re.compile(r"\d{7}", re.ASCII)
_NOT_A_PLACE = "is not one of the places that the partners agreed to"
_OUTSIDE = "is of a state or county that the partners did not agree to"


def zip3_of(text: str, *, large: Collection[str] | None = None) -> Transformed:
    """The three-digit area of a ZIP code, "000" where few people live.

    Args:
        large: the areas with more than 20,000 people; by default all but `SMALL_ZIP3`.
    """
    match = _ZIP.fullmatch(text)
    if not match:
        return None, "is not a ZIP code of five or nine digits (was a leading zero lost?)"
    area = match[1]
    small = area in SMALL_ZIP3 if large is None else area not in large
    return "000" if small else area, None


def target(transform: Transform, text: str) -> Transformed:
    """What an entry of a list of places means under a transform."""
    if transform is Transform.TRACT:
        return _tract(text)
    if transform is Transform.COUNTY:
        return _county(text)
    return text, None  # held against the agreed ones when it is to leave


def zip3(field: ContentField) -> Convert:
    """A ZIP code to its area; what was looked up is one."""
    if field.lookup is None:
        return zip3_of
    return _checked(lambda text: (text, None), zip3_fault(field))


def tract(field: ContentField) -> Convert:
    return _checked(_tract, tract_fault(field))


def municipality(field: ContentField) -> Convert:
    return _checked(lambda text: (text, None), municipality_fault(field))


def county(field: ContentField) -> Convert:
    return _checked(_county, county_fault(field))


def zip3_fault(field: ContentField) -> Check:
    closed: Collection[str] = SMALL_ZIP3 if field.lookup is None else ()

    def fault(value: Any) -> Fault | None:
        fits = _ZIP3.fullmatch(value) and value not in closed
        return None if fits else "is not an allowed three-digit area"

    return fault


def tract_fault(field: ContentField) -> Check:
    return _geoid_fault(field, re.compile(r"\d{11}", re.ASCII), "is not a tract of eleven digits")


def county_fault(field: ContentField) -> Check:
    return _geoid_fault(field, re.compile(r"\d{5}", re.ASCII), "is not a county of five digits")


def municipality_fault(field: ContentField) -> Check:
    if field.values is None:
        return _geoid_fault(field, _PLACE_GEOID, "is not the GEOID of a place, seven digits")
    allowed = frozenset(field.values)
    return lambda value: None if value in allowed else _NOT_A_PLACE


def _checked(convert: Convert, fault_of: Check) -> Convert:
    def checked(text: str) -> Transformed:
        value, fault = convert(text)
        fault = fault or fault_of(value)
        return (None, fault) if fault else (value, None)

    return checked


def _geoid_fault(field: ContentField, form: re.Pattern[str], wrong: Fault) -> Check:
    within = field.within or ("",)

    def fault(value: Any) -> Fault | None:
        if not form.fullmatch(value):
            return wrong
        return None if value.startswith(within) else _OUTSIDE

    return fault


def _tract(text: str) -> Transformed:
    if not _GEOID.fullmatch(text):
        return None, "is not the Census GEOID of a tract, block group or block (11, 12, 15 digits)"
    return text[:11], None


def _county(text: str) -> Transformed:
    if not _COUNTY_GEOID.fullmatch(text):
        return None, "is not a Census GEOID of 5, 11, 12 or 15 digits (was a leading zero lost?)"
    return text[:5], None
