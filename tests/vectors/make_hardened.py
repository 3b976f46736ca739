"""Write saul_v1.json and minhash_v1.json anew: python tests/vectors/make_hardened.py

Both hardened schemes answer the same cases, each by its own slow reference.
"""

from __future__ import annotations

import json
from pathlib import Path

import minhash_v1_reference
import saul_v1_reference

HERE = Path(__file__).parent

NAMES = (("given", "given_name", 1, "mary ann"), ("surname", "surname", 1, "obrien"))
DOB = ("dob", "date_of_birth", 1, "1976-07-04")
CASES = [
    ("default", 2048, (*NAMES, DOB)),
    (
        "swapped names",
        2048,
        (("given", "given_name", 1, "obrien"), ("surname", "surname", 1, "mary ann"), DOB),
    ),
    ("even number of tokens", 1024, (("surname", "surname", 1, "ng!"),)),
    ("one token", 1024, (("sex", "sex", 1, "f"),)),
    ("weight of two", 2048, (("sex", "sex", 2, "f"),)),
    ("weights", 2048, (("surname", "surname", 2, "garcia"), ("sex", "sex", 8, "x"))),
    (
        "middle name and address",
        4096,
        (
            ("middle", "middle_name", 1, "lee"),
            ("address", "address", 1, "12b n 3rd st apt 4"),
            ("city", "city", 1, "st paul"),
        ),
    ),
    (
        "digits",
        2048,
        (
            ("phone", "phone", 1, "6515550123"),
            ("postcode", "postcode", 1, "55101"),
            ("ssn", "national_id", 1, "078051120"),
        ),
    ),
    (
        "whole values",
        4096,
        (
            ("email", "email", 1, "a.b@c@example.org"),
            ("code", "exact", 1, "ward 7"),
            ("income", "number", 1, "-1203.50"),
        ),
    ),
    ("beyond the first plane", 2048, (("surname", "surname", 1, "김 de 𝒢 αβγ"), DOB)),
    ("three hundred tokens", 1024, (("address", "address", 1, "7 " + "long lane " * 30 + "x"),)),
    (
        "full name, year of birth and last four digits",
        2048,
        (
            ("name", "full_name", 1, "bill william j obrien smith"),
            ("dob", "date_of_birth", 1, "1980"),
            ("ssn", "national_id", 1, "1120"),
        ),
    ),
    (
        "month of birth and British postcode",
        1024,
        (
            ("dob", "date_of_birth", 2, "1980-05"),
            ("postcode", "postcode", 1, "sw1a 1aa"),
        ),
    ),
]
"""Name, bits, and the fields of one record: name, type, weight, value."""

HASHES = {
    "saul-v1": (3, 3, 3, 2, 2, 4, 3, 5, 6, 3, 3, 3, 2),
    "minhash-v1": (5, 3, 3, 2, 2, 4, 3, 6, 1, 3, 3, 3, 2),
}
REFERENCES = {"saul-v1": saul_v1_reference, "minhash-v1": minhash_v1_reference}
TOKENS = [
    ("surname", "ng"),
    ("address", "12b n 3rd st"),
    ("email", "ab@x.org"),
    ("date_of_birth", "1976-07-04"),
    ("number", "-12.5"),
    ("phone", "123"),
    ("postcode", "k1a"),
    ("exact", "a b"),
    ("full_name", "jo ng"),
    ("date_of_birth", "1976-07"),
    ("date_of_birth", "1976"),
    ("postcode", "sw1a 1aa"),
    ("postcode", "sw1a"),
    ("national_id", "078051120"),
    ("national_id", "1120"),
    ("national_id", "7a"),
]


def cases_of(scheme: str) -> list[dict]:
    cases = []
    for place, (name, bits, fields) in enumerate(CASES):
        case = {
            "name": name,
            "secret": bytes(range(place, place + 32)).hex(),
            "project": "county" if place % 2 else "county-health",
            "epoch": place,
            "match_key": "key_one" if place < 5 else "key-2",
            "bits": bits,
            "hashes": HASHES[scheme][place],
            "fields": [
                dict(zip(("name", "type", "weight", "value"), f, strict=True)) for f in fields
            ],
        }
        cases.append({**case, "encoding": REFERENCES[scheme].encode(case).hex()})
    return cases


def main() -> None:
    tokens = [
        {"type": t, "value": v, "tokens": sorted(saul_v1_reference.tokens(t, v))} for t, v in TOKENS
    ]
    # Both schemes cut tokens alike: they stand with the first.
    for scheme, more in (("saul-v1", {"tokens": tokens}), ("minhash-v1", {})):
        text = json.dumps({"scheme": scheme, "cases": cases_of(scheme), **more}, indent=1)
        (HERE / f"{scheme.replace('-', '_')}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
