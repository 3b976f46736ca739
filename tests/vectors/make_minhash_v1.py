"""Write minhash_v1.json anew with the slow reference: python tests/vectors/make_minhash_v1.py"""

from __future__ import annotations

import json
from pathlib import Path

from minhash_v1_reference import encode

HERE = Path(__file__).parent

NAMES = (("given", "given_name", 1, "mary ann"), ("surname", "surname", 1, "obrien"))
DOB = ("dob", "date_of_birth", 1, "1976-07-04")
CASES = [
    ("default", 2048, 5, (*NAMES, DOB)),
    (
        "swapped names",
        2048,
        3,
        (("given", "given_name", 1, "obrien"), ("surname", "surname", 1, "mary ann"), DOB),
    ),
    ("even number of tokens", 1024, 3, (("surname", "surname", 1, "ng!"),)),
    ("one token", 1024, 2, (("sex", "sex", 1, "f"),)),
    ("one heavier token", 2048, 2, (("sex", "sex", 2, "f"),)),
    ("weights", 2048, 4, (("surname", "surname", 2, "garcia"), ("sex", "sex", 8, "x"))),
    (
        "middle name and address",
        4096,
        3,
        (
            ("middle", "middle_name", 1, "lee"),
            ("address", "address", 1, "12b n 3rd st apt 4"),
            ("city", "city", 1, "st paul"),
        ),
    ),
    (
        "digits",
        2048,
        6,
        (
            ("phone", "phone", 1, "6515550123"),
            ("postcode", "postcode", 1, "55101"),
            ("ssn", "national_id", 1, "078051120"),
        ),
    ),
    (
        "whole values",
        4096,
        1,
        (
            ("email", "email", 1, "a.b@c@example.org"),
            ("code", "exact", 1, "ward 7"),
            ("income", "number", 1, "-1203.50"),
        ),
    ),
    ("not Latin", 2048, 3, (("surname", "surname", 1, "김 de 𝒢 αβγ"), DOB)),
    ("three hundred tokens", 1024, 3, (("address", "address", 1, "7 " + "long lane " * 30 + "x"),)),
    (
        "full name, year of birth and last four digits",
        2048,
        3,
        (
            ("name", "full_name", 1, "bill william j obrien smith"),
            ("dob", "date_of_birth", 1, "1980"),
            ("ssn", "national_id", 1, "1120"),
        ),
    ),
    (
        "month of birth and British postcode",
        1024,
        2,
        (
            ("dob", "date_of_birth", 2, "1980-05"),
            ("postcode", "postcode", 1, "sw1a 1aa"),
        ),
    ),
]


def main() -> None:
    cases = []
    for place, (name, bits, hashes, fields) in enumerate(CASES):
        case = {
            "name": name,
            "secret": bytes(range(place, place + 32)).hex(),
            "project": "county" if place % 2 else "county-health",
            "epoch": place,
            "match_key": "key_one" if place < 5 else "key-2",
            "bits": bits,
            "hashes": hashes,
            "fields": [
                dict(zip(("name", "type", "weight", "value"), f, strict=True)) for f in fields
            ],
        }
        cases.append({**case, "encoding": encode(case).hex()})
    text = json.dumps({"scheme": "minhash-v1", "cases": cases}, indent=1)
    (HERE / "minhash_v1.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
