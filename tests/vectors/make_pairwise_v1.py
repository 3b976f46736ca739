"""Write pairwise_v1.json anew with the slow reference: python tests/vectors/make_pairwise_v1.py"""

from __future__ import annotations

import json
from pathlib import Path

from pairwise_v1_reference import encode, initials, nonce, pair_key

HERE = Path(__file__).parent

NAMES = (("given", "given_name", "mary ann"), ("surname", "surname", "obrien"))
DOB = ("dob", "date_of_birth", "1976-07-04")
CASES = [
    ("names and birth date", (*NAMES, DOB)),
    (
        "swapped names",
        (("given", "given_name", "obrien"), ("surname", "surname", "mary ann"), DOB),
    ),
    ("one token", (("sex", "sex", "f"),)),
    ("two tokens, often a tie", (("middle", "middle_name", "j"), ("given", "given_name", "김"))),
    ("four tokens, one twice", (("city", "city", "ohoh"), ("surname", "surname", "ng!"))),
    ("missing", (("given", "given_name", ""), DOB, ("city", "city", "st paul"))),
    (
        "digits",
        (
            ("phone", "phone", "6515550123"),
            ("postcode", "postcode", "55101"),
            ("ssn", "national_id", "078051120"),
        ),
    ),
    (
        "whole values",
        (
            ("email", "email", "a.b@c@example.org"),
            ("code", "exact", "ward 7"),
            ("income", "number", "-1203.50"),
        ),
    ),
    (
        "addresses",
        (
            ("address", "address", "12b n 3rd st apt 4"),
            ("former", "address", "7 " + "long lane " * 30 + "x"),
        ),
    ),
    (
        "beyond the first plane",
        (("surname", "surname", "김 de 𝒢 αβγ"), ("given", "given_name", "é")),
    ),
]


def main() -> None:
    cases = []
    for place, (name, fields) in enumerate(CASES):
        case = {
            "name": name,
            "secret": bytes(range(place, place + 32)).hex(),
            "project": "county" if place % 2 else "county-health",
            "epoch": place,
            "context": "run 1: a, b" if place < 5 else "Lauf 2 – ü",
            "pair_id": bytes(range(255, 239, -1)).hex() if place else bytes(16).hex(),
            "fields": [dict(zip(("name", "type", "value"), f, strict=True)) for f in fields],
        }
        found = {"pair_key": pair_key(case).hex(), "fields": encode(case)}
        cases.append({**case, "encodings": found["fields"], "initials": initials(case)})
        if place == 0:
            steps = {
                "pair_key": found["pair_key"],
                "nonce of gma in names": nonce(case, "names", "gma").hex(),
            }
    text = json.dumps({"scheme": "pairwise-v1", "first": steps, "cases": cases}, indent=1)
    (HERE / "pairwise_v1.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
