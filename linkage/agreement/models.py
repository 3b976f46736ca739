"""The minimal models: what the columns of a table can mean, by the table's kind.

- A field that says what it means (`ContentField.means`) is found by kind and term, never by its
  name: reports work on the extract of every project whose manifest says so.
- A term fixes which transforms fit it, and by that the type that its column has in an extract.
- Tables of a kind in `IMPERSONAL` are about no person: their rows bear no id.

    MODELS["event"]["disposition"].transforms
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from linkage.agreement.transforms import Transform

Kind = Literal["person", "event", "service", "site", "measure"]

IMPERSONAL: frozenset[str] = frozenset({"site", "measure"})


@dataclass(frozen=True)
class Term:
    """A meaning that a column of a table can have.

    Attributes:
        meaning: in words, for people.
        transforms: those that give what the term says.
    """

    meaning: str
    transforms: tuple[Transform, ...]


OF_NO_PERSON = frozenset(("organization_id", "service_id", "service_at_location_id", "location_id"))
"""Terms of ids that are not a person's, long as they are."""


def _code(meaning: str, *more: Transform) -> Term:
    return Term(meaning, (Transform.KEEP, Transform.GENERALISE, *more))


def _standard(meaning: str) -> Term:
    return _code(meaning, Transform.CROSSWALK)


def _number(meaning: str) -> Term:
    return Term(meaning, (Transform.NUMBER,))


_MUNICIPALITY = _code("the municipality, by name or code", Transform.MUNICIPALITY)
_COUNTY = _code("the county: five digits of its Census GEOID, or its name", Transform.COUNTY)
_TRACT = _code("the census tract: eleven digits of its GEOID", Transform.TRACT)
_SECTOR = _code("the sector that the row comes from, such as police, health or housing")
_DAY = Term("the day, counted from the person's first event over all tables", (Transform.DAY,))
_MONTH = Term("year and month, 2024-05", (Transform.MONTH,))
_YEAR = Term("the year", (Transform.YEAR,))
_ORGANIZATION = _code("the organization, an identifier of HSDS 3.0")
_SERVICE = _code("the service, an identifier of HSDS 3.0")
_SERVICE_TYPE = _standard("the kind of service")

MODELS: dict[str, dict[str, Term]] = {
    "person": {
        "age_band": _code("age in bands", Transform.AGE_BAND, Transform.BAND, Transform.TOP_CODE),
        "sex": _code("sex"),
        "race_ethnicity": _code("race and ethnicity: codes of one standard, several joined by |"),
        "race_ethnicity_standard": _code("the standard of the codes: 1997 or 2024"),
        "race_ethnicity_collection": _code(
            "who said it: self, observer, proxy, or derived from something else"
        ),
        "municipality": _MUNICIPALITY,
        "county": _COUNTY,
        "tract": _TRACT,
        "zip3": Term("the first three digits of the ZIP code", (Transform.ZIP3,)),
    },
    "event": {
        "sector": _SECTOR,
        "agency": _code("the agency or department that the event is of"),
        "day": _DAY,
        "month": _MONTH,
        "year": _YEAR,
        "standard_code": _standard("what kind of event it is, in a code that the partners share"),
        "local_code": _code("what kind of event it is, in the agency's own code"),
        "disposition": _standard("how it ended"),
        "response_level": _standard("how it was answered: the level of the response"),
        "outcome": _standard("what came of it for the person"),
        "municipality": _MUNICIPALITY,
        "county": _COUNTY,
        "tract": _TRACT,
    },
    "service": {
        "sector": _SECTOR,
        "organization_id": _ORGANIZATION,
        "service_id": _SERVICE,
        "service_at_location_id": _code("the service at a location, an identifier of HSDS 3.0"),
        "day": Term("the day on which it began, counted as of events", (Transform.DAY,)),
        "end_day": Term("the day on which it ended, counted as of events", (Transform.DAY,)),
        "month": Term("year and month in which it began, 2024-05", (Transform.MONTH,)),
        "year": Term("the year in which it began", (Transform.YEAR,)),
        "end_month": Term("year and month in which it ended", (Transform.MONTH,)),
        "referral_status": _standard("what became of the referral"),
        "referral_source": _code("who referred the person"),
        "service_type": _SERVICE_TYPE,
        "municipality": _MUNICIPALITY,
        "county": _COUNTY,
        "tract": _TRACT,
    },
    "site": {
        "location_id": _code("the location, an identifier of HSDS 3.0"),
        "organization_id": _ORGANIZATION,
        "service_id": _SERVICE,
        "service_type": _SERVICE_TYPE,
        "municipality": _MUNICIPALITY,
        "county": _COUNTY,
        "tract": _TRACT,
        "funded_amount": _number("money given to the site for a year"),
        "year": _YEAR,
    },
    "measure": {
        "group": _code("the group of people that the measure is of"),
        "measure": _code("what is measured"),
        "goal": _number("the value aimed at"),
        "year": _YEAR,
        "month": _MONTH,
        "value": _number("the value measured; missing where it is suppressed, never 0"),
    },
}
