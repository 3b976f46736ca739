"""The demonstration's manifest: what the three agencies of Prairie County agree to."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from linkage.synthetic import content, services
from linkage.synthetic.agencies import AGENCIES, FIELDS, HEALTH, SHERIFF, SOCIAL, Agency
from linkage.synthetic.people import RACE_CODES
from linkage.synthetic.places import COUNTY, DEPARTMENTS, MUNICIPALITIES, TRACTS

MATCH_KEYS: tuple[tuple[str, ...], ...] = (
    ("surname", "date_of_birth"),
    ("given_name", "address"),
    ("phone", "ssn4"),
    ("given_name", "surname", "postcode"),
    ("date_of_birth", "address"),
    ("given_name", "date_of_birth", "postcode"),
    ("surname", "ssn4"),
    ("given_name", "phone"),
)
"""The first eight that `draft-manifest` takes from the profiles of a county of 20,000 people."""

REFERENCE = "2026-01-01"

_SHORT = {"given_name": "given", "date_of_birth": "birth"}
_TYPES = {"ssn4": "national_id"}


def demo_manifest() -> dict[str, Any]:
    """The manifest as JSON; it fits every county, whatever its size and seed."""
    return {
        "linkage": "manifest/1",
        "project": "prairie-crisis",
        "title": f"From crisis call to treatment in {COUNTY}",
        "purpose": "To learn, town by town, how many people start treatment after a mental "
        "health crisis call, and who is left out.",
        "legal_basis": "Invented: a data sharing agreement of the county's agencies. All people "
        "in these files are made up.",
        "governance": {
            "legal": "Invented: the health department's counsel found that the treatment episodes"
            " may be used for research under 42 CFR 2.52 and the HIPAA waiver of a privacy board;"
            " the sheriff's that calls are shared under a research agreement.",
            "ethical": "Invented: nobody is contacted or treated differently because of the"
            " result. A panel of people who have been through a crisis saw the questions first.",
            "good_idea": "Invented: the county decides next year where mobile crisis teams are"
            " placed; counts without linkage do not tell who reaches treatment.",
            "decision": "Invented: the board below decides and can stop it. The public report"
            " shows every figure with its uncertainty.",
            "deciders": ["Data sharing board of the county (invented)"],
        },
        "expires": "2031-12-31",
        "partners": [_partner(agency) for agency in AGENCIES],
        "recipients": [
            {
                "name": "county_data_office",
                "title": f"{COUNTY} Data Office",
                "role": "assembler",
            },
            {
                "name": "university_evaluator",
                "title": "Evaluation team of the state university",
                "role": "evaluator",
            },
        ],
        "fields": [{"name": name, "type": _TYPES.get(name, name)} for name in FIELDS],
        "match_keys": [
            {"name": "-".join(_SHORT.get(name, name) for name in fields), "fields": list(fields)}
            for fields in MATCH_KEYS
        ],
        "scheme": {"name": "minhash-v1"},
        # Three partners, of whom one has people twice: more would be warned of.
        "matching": {"quota": 3},
        "max_rows": 1_000_000,
    }


_RESEARCH = {"basis": "research", "citation": "Invented agreement of 2025-06-01"}
_POLICIES: dict[str, list[dict[str, Any]]] = {
    SHERIFF.name: [{"tag": "CJIS", **_RESEARCH}],
    HEALTH.name: [
        {"tag": "HIPAA", "basis": "waiver", "citation": "Invented privacy board, 2025-05-20"},
        {"tag": "42-CFR-PART-2", **_RESEARCH},
    ],
    SOCIAL.name: [],
}


_PROFILES = {HEALTH.name: "limited-dataset"}


def _partner(agency: Agency) -> dict[str, Any]:
    return {
        "name": agency.name,
        "title": agency.title,
        "unique": agency.unique,
        "record_id": agency.column("record_id"),
        "columns": {name: agency.columns[name] for name in FIELDS if name in agency.columns},
        "date_formats": {"date_of_birth": list(agency.dates)},
        "missing": list(agency.unknown_words),
        "policies": _POLICIES[agency.name],
        "profile": _PROFILES.get(agency.name),
        "content": _CONTENT[agency.name],
    }


def _codes(name: str, values: tuple[str, ...], **more: str) -> dict[str, Any]:
    return {"name": name, "values": list(values), **more}


def _races() -> tuple[str, ...]:
    """Every choice of one or two of the seven categories."""
    codes = sorted(RACE_CODES.values())
    return (*codes, *("|".join(pair) for pair in combinations(codes, 2)))


def _person(agency: Agency, *, birth_format: str, own_file: bool) -> dict[str, Any]:
    """The person table; from the identifier file where the agency keeps no other."""

    def column(field: str) -> str:
        return field if own_file else agency.column(field)

    race = "race_ethnicity" if own_file else agency.column("race")
    table: dict[str, Any] = {
        "name": "person",
        "kind": "person",
        "fields": [
            _codes(
                "race_ethnicity",
                _races(),
                column=race,
                means="race_ethnicity",
                description="Categories of OMB Statistical Policy Directive 15 (2024), joined by |",
            ),
            _codes("sex", tuple(agency.sexes.values()), column=column("sex"), means="sex"),
            {
                "name": "age",
                "column": column("date_of_birth"),
                "transform": "age_band",
                "date_format": birth_format,
                "reference": REFERENCE,
                "means": "age_band",
            },
            _codes("tract", TRACTS, column=column("tract"), means="tract"),
        ],
    }
    return table | ({"record_id": agency.column("record_id")} if own_file else {})


def _month(
    name: str, column: str, date_format: str = "%Y-%m-%d", means: str = "month"
) -> dict[str, Any]:
    return {
        "name": name,
        "column": column,
        "transform": "month",
        "date_format": date_format,
        "means": means,
    }


def _day(name: str, column: str, date_format: str = "%Y-%m-%d") -> dict[str, Any]:
    """Beside the month: the days from event to service, without a date."""
    return {
        "name": name,
        "column": column,
        "transform": "day",
        "date_format": date_format,
        "means": "day",
    }


def _number(name: str, **more: str) -> dict[str, Any]:
    return {"name": name, "transform": "number", "means": name, **more}


def _locations() -> tuple[str, ...]:
    return tuple(
        services.location(town, number)
        for town in range(len(MUNICIPALITIES))
        for number in range(services.MOST_SITES)
    )


_CONTENT: dict[str, list[dict[str, Any]]] = {
    "sheriff": [
        _person(SHERIFF, birth_format="%m/%d/%Y", own_file=False),
        {
            "name": "crisis_calls",
            "kind": "event",
            "record_id": SHERIFF.column("record_id"),
            "fields": [
                _day("call_day", "call_date", "%m/%d/%Y"),
                _month("call_month", "call_date", "%m/%d/%Y"),
                _codes("department", tuple(DEPARTMENTS), means="agency"),
                _codes(
                    "call_code",
                    tuple(dict.fromkeys(c for _, codes in DEPARTMENTS.values() for c in codes)),
                    means="local_code",
                    description="The department's own code; a crosswalk gives the kind of call",
                ),
                _codes("disposition", content.DISPOSITIONS, means="disposition"),
                _codes("response_level", content.LEVELS, means="response_level"),
                _codes(
                    "municipality",
                    tuple(town.name for town in MUNICIPALITIES),
                    means="municipality",
                ),
                _codes("tract", TRACTS, means="tract"),
            ],
        },
    ],
    "health": [
        _person(HEALTH, birth_format="%Y-%m-%d", own_file=False),
        {
            "name": "treatment",
            "kind": "service",
            "record_id": HEALTH.column("record_id"),
            "fields": [
                _day("start_day", "episode_start"),
                _month("start_month", "episode_start"),
                _month("end_month", "episode_end", means="end_month"),
                _codes("program", content.PROGRAMS, means="service_type"),
                _codes("referral_status", content.REFERRAL_STATUS, means="referral_source"),
            ],
        },
    ],
    "social": [
        _person(SOCIAL, birth_format="%Y-%m-%d", own_file=True),
        {
            "name": "referrals",
            "kind": "service",
            "record_id": SOCIAL.column("record_id"),
            "fields": [
                _day("referral_day", "referral_date"),
                _month("referral_month", "referral_date"),
                _codes("service", content.SERVICES, means="service_type"),
                _codes("status", content.SERVICE_STATUS, means="referral_status"),
            ],
        },
        {
            "name": "sites",
            "kind": "site",
            "fields": [
                _codes("location_id", _locations(), means="location_id"),
                _codes("organization_id", services.ORGANIZATIONS, means="organization_id"),
                _codes("service_type", content.SERVICES, means="service_type"),
                _codes(
                    "municipality",
                    tuple(town.name for town in MUNICIPALITIES),
                    means="municipality",
                ),
                _codes(
                    "tract",
                    TRACTS,
                    means="tract",
                    description="Where services are given, not where the office is",
                ),
                {"name": "year", "transform": "year", "date_format": "%Y", "means": "year"},
                _number("funded_amount", description="Dollars in the year"),
            ],
        },
        {
            "name": "measures",
            "kind": "measure",
            "fields": [
                _codes("group", services.GROUPS, column="population_group", means="group"),
                _codes("measure", services.MEASURES, means="measure"),
                _number("goal"),
                _month("month", "month"),
                _number("value", description="Empty where it was not reported"),
            ],
        },
    ],
}
