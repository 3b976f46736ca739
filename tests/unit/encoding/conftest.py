"""A small manifest with every field type."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from linkage.agreement import Manifest, parse_manifest

FIELDS = {
    "given": "given_name",
    "middle": "middle_name",
    "surname": "surname",
    "dob": "date_of_birth",
    "sex": "sex",
    "phone": "phone",
    "address": "address",
    "city": "city",
    "postcode": "postcode",
    "ssn": "national_id",
    "email": "email",
    "ward": "exact",
    "income": "number",
}
KEYS = {
    "name_dob": ["given", "surname", "dob"],
    "place": ["address", "city", "postcode"],
    "contact": ["phone", "email", "middle"],
    "codes": ["ssn", "ward", "income", "sex"],
    "surname_dob": ["surname", "dob"],
}
PEOPLE = [
    (
        "mary ann",
        "lee",
        "obrien",
        "1976-07-04",
        "f",
        "6515550123",
        "12 n high st apt 4",
        "st paul",
        "55101",
        "078051120",
        "ann.lee@example.org",
        "ward vii",
        "1203.5",
    ),
    (
        "jose",
        "m",
        "delacruz",
        "1981-12-30",
        "m",
        "6125550199",
        "7 oak ave",
        "duluth",
        "55802",
        "219099999",
        "jose@example.com",
        "ward ii",
        "-7",
    ),
    (
        "김민준",
        "j",
        "김",
        "2001-02-03",
        "x",
        "2079460958",
        "99b 3rd st",
        "ely",
        "k1a0b1",
        "ab123456c",
        "kim@example.kr",
        "é",
        "0",
    ),
]

MakeManifest = Callable[..., Manifest]


@pytest.fixture
def make_manifest() -> MakeManifest:
    def make(keys: dict[str, list[str]] = KEYS, **settings: Any) -> Manifest:
        weights = settings.pop("weights", {})
        document = {
            "linkage": "manifest/1",
            "project": "county",
            "title": "T",
            "purpose": "P",
            "legal_basis": "L",
            "expires": "2099-01-01",
            "partners": [{"name": "a"}, {"name": "b"}],
            "recipients": [{"name": "r", "role": "assembler"}],
            "fields": [{"name": name, "type": kind} for name, kind in FIELDS.items()],
            "match_keys": [
                {"name": n, "fields": f, "weights": weights.get(n, {})} for n, f in keys.items()
            ],
            "scheme": {"name": "saul-v1", "bits": 1024},
        }
        return parse_manifest(json.dumps(document | settings).encode())

    return make


@pytest.fixture
def columns() -> dict[str, np.ndarray]:
    """Forty records, some with missing fields."""
    rows = [PEOPLE[i % 3] for i in range(40)]
    found = {
        name: np.array([row[place] for row in rows], dtype=object)
        for place, name in enumerate(FIELDS)
    }
    found["dob"][5:8] = None
    found["city"][0] = None
    found["email"][39] = ""
    return found
