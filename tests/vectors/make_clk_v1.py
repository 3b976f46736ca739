"""Write clk_v1.json anew with clkhash itself: .venv-peers/bin/python tests/vectors/make_clk_v1.py

The cases are ours; the filters are what clkhash 0.18.3 makes of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from importlib.metadata import version
from pathlib import Path

from clkhash.clk import generate_clks
from clkhash.schema import from_json_dict
from clkhash.serialization import serialize_bitarray

HERE = Path(__file__).parent

SALT = base64.b64encode(bytes(range(64))).decode()
IGNORED = {"identifier": "id", "ignored": True}
TEXT = {"type": "string", "encoding": "utf-8"}
BIGRAMS = {"type": "ngram", "n": 2}
PLACED = {"type": "ngram", "n": 1, "positional": True}
DOUBLE = {"type": "doubleHash"}
NON_SINGULAR = {"type": "doubleHash", "prevent_singularity": True}


def feature(name, form, comparison, how=None, missing=None, **strategy):
    hashing = {"comparison": comparison, "strategy": strategy}
    hashing |= {"hash": how} if how else {}
    hashing |= {"missingValue": missing} if missing else {}
    return {"identifier": name, "format": form, "hashing": hashing}


def schema(*features, bits=1024, kdf=None, **config):
    kdf = {
        "type": "HKDF",
        "hash": "SHA256",
        "salt": SALT,
        "info": "bGlua2FnZQ==",
        "keySize": 64,
    } | (kdf or {})
    return {
        "version": 3,
        "clkConfig": {"l": bits, "kdf": kdf, **config},
        "features": list(features),
    }


NAMES = [["1", "mary ann"], ["2", "o'brien"], ["3", ""], ["4", "x"], ["5", "γαμμα 𝒢"], ["6", "  "]]
PEOPLE = [
    ["1", "Mary Ann Obrien", "1976/07/04", "F"],
    ["2", "José García", "2001/2/3", "M"],
    ["3", "Li  Wu", "1912/02/29", "F"],
]
CENSUS = [
    ["r1", "sophie", "okafor", "12", "long lane", "unit 7", "eden", "2551", "nsw", "19760704", "x"],
    ["r2", "ng", "de la cruz", "", "", "", "st. paul", "0800", "", "", "y"],
    ["r3", "jo", "smith-jones", "+1_204", "the street", "", "é", " 9999", "vic", "20011231", "z"],
]
NUMBERS = [["1", "21"], ["2", "23"], ["3", "-7"], ["4", "20.25"], ["5", "-0.5"], ["6", "1e3"]]
NUMBERS += [["7", "123456789012345678901234567890"], ["8", ""], ["9", "2.675"]]


def numeric(distance, resolution, **more):
    return {
        "type": "numeric",
        "thresholdDistance": distance,
        "resolution": resolution,
        **more,
    }


def name(comparison=None, how=None, **strategy):
    return feature("name", TEXT, comparison or BIGRAMS, how, **(strategy or {"bitsPerToken": 15}))


CASES = [
    (
        "name, date of birth, sex by double hashing",
        schema(
            IGNORED,
            feature("name", TEXT | {"minLength": 3}, BIGRAMS, DOUBLE, bitsPerToken=15),
            feature(
                "born", {"type": "date", "format": "%Y/%m/%d"}, PLACED, DOUBLE, bitsPerToken=30
            ),
            feature(
                "sex",
                {"type": "enum", "values": ["M", "F"]},
                {"type": "ngram", "n": 1},
                DOUBLE,
                bitsPerToken=60,
            ),
        ),
        PEOPLE,
    ),
    (
        "a census file",
        schema(
            {"identifier": "rec", "ignored": True, "description": "not encoded"},
            feature("given", TEXT | {"maxLength": 64}, BIGRAMS, DOUBLE, bitsPerFeature=200),
            feature("surname", TEXT | {"maxLength": 64}, BIGRAMS, DOUBLE, bitsPerFeature=200),
            feature(
                "house", {"type": "integer"}, PLACED, missing={"sentinel": ""}, bitsPerFeature=100
            ),
            feature("street", TEXT, BIGRAMS, bitsPerFeature=100),
            feature("unit", TEXT, BIGRAMS, bitsPerFeature=100),
            feature("city", TEXT, BIGRAMS, bitsPerFeature=100),
            feature(
                "postcode",
                {"type": "integer", "minimum": 50, "maximum": 9999},
                PLACED,
                bitsPerFeature=100,
            ),
            feature(
                "state",
                TEXT,
                BIGRAMS | {"positional": True},
                missing={"sentinel": ""},
                bitsPerFeature=100,
            ),
            feature(
                "born", {"type": "integer"}, PLACED, missing={"sentinel": ""}, bitsPerFeature=200
            ),
            {"identifier": "ssn", "ignored": True},
        ),
        CENSUS,
    ),
    ("bigrams by BLAKE2b", schema(IGNORED, name()), NAMES),
    (
        "no salt, no info, the default key size",
        schema(IGNORED, name(), kdf={"salt": "", "info": ""}),
        NAMES,
    ),
    (
        "SHA-512 and short keys",
        schema(IGNORED, name(), kdf={"hash": "SHA512", "keySize": 16}),
        NAMES,
    ),
    ("more than one digest a token", schema(IGNORED, name(bitsPerToken=70)), NAMES),
    ("fewer positions than tokens", schema(IGNORED, name(bitsPerFeature=5)), NAMES),
    ("a total that does not divide", schema(IGNORED, name(bitsPerFeature=100)), NAMES),
    ("a total, double hashing", schema(IGNORED, name(how=DOUBLE, bitsPerFeature=100)), NAMES),
    ("singletons", schema(IGNORED, name({"type": "ngram", "n": 1})), NAMES),
    ("trigrams", schema(IGNORED, name({"type": "ngram", "n": 3})), NAMES),
    (
        "placed trigrams",
        schema(IGNORED, name({"type": "ngram", "n": 3, "positional": True})),
        NAMES,
    ),
    ("five-grams", schema(IGNORED, name({"type": "ngram", "n": 5})), NAMES),
    (
        "placed five-grams",
        schema(IGNORED, name({"type": "ngram", "n": 5, "positional": True})),
        NAMES,
    ),
    ("whole values", schema(IGNORED, name({"type": "exact"}, bitsPerToken=100)), NAMES),
    ("singular double hashing", schema(IGNORED, name(how=DOUBLE), bits=8), NAMES),
    ("no singularity", schema(IGNORED, name(how=NON_SINGULAR), bits=8), NAMES),
    ("a length of no whole bytes", schema(IGNORED, name(how=NON_SINGULAR), bits=1001), NAMES),
    ("folded once", schema(IGNORED, name(), xor_folds=1), NAMES),
    ("folded three times", schema(IGNORED, name(how=DOUBLE), bits=100, xor_folds=3), NAMES),
    ("folds under the documented name", schema(IGNORED, name(), xorFolds=1), NAMES),
    (
        "UTF-16",
        schema(IGNORED, feature("n", TEXT | {"encoding": "utf-16"}, BIGRAMS, bitsPerToken=9)),
        NAMES,
    ),
    (
        "UTF-32",
        schema(IGNORED, feature("n", TEXT | {"encoding": "utf-32"}, BIGRAMS, bitsPerToken=9)),
        NAMES,
    ),
    ("numbers", schema(IGNORED, feature("n", TEXT, numeric(8, 2), bitsPerToken=20)), NUMBERS),
    (
        "numbers with fractions",
        schema(
            IGNORED,
            feature("n", TEXT, numeric(0.5, 5, fractional_precision=2), DOUBLE, bitsPerFeature=77),
        ),
        NUMBERS,
    ),
    (
        "missing values replaced",
        schema(
            IGNORED,
            feature(
                "n",
                {"type": "integer"},
                PLACED,
                missing={"sentinel": "NA", "replaceWith": "none"},
                bitsPerToken=20,
            ),
        ),
        [["1", "NA"], ["2", " 007"], ["3", "-7"]],
    ),
    (
        "formats",
        schema(
            feature("n", {"type": "string", "pattern": "[0-9]{3}[A-Z]?"}, BIGRAMS, bitsPerToken=9),
            feature("u", TEXT | {"case": "upper", "maxLength": 9}, BIGRAMS, bitsPerToken=9),
            feature("d", {"type": "date", "format": "%d %b %y"}, BIGRAMS, bitsPerToken=9),
        ),
        [["123", "ABC 1", "04 Jul 76"], ["999Z", "", "31 Dec 01"]],
    ),
]


def derived_secret(project_secret, project, epoch, match_key, described, folds):
    """The secret a project gives to clkhash: HKDF-SHA256 (RFC 5869), 32 bytes, as hexadecimal text.

    Sorted keys without blanks are RFC 8785 for schemas of ASCII text and whole numbers.
    """
    canonical = json.dumps(described, sort_keys=True, separators=(",", ":")).encode()
    parameters = f"schema={hashlib.sha256(canonical).hexdigest()},folds={folds}"
    parts = ["linkage", "clk-v1", parameters, project, str(epoch), match_key, "clkhash"]
    info = b"".join(len(p.encode()).to_bytes(2, "big") + p.encode() for p in parts)
    prk = hmac.digest(bytes(32), project_secret, "sha256")
    return hmac.digest(prk, info + b"\x01", "sha256").hex()


def project_case(title, project, epoch, described, rows, folds="clkhash"):
    secret = bytes(range(epoch, epoch + 32))
    derived = derived_secret(secret, project, epoch, "clk", described, folds)
    read = json.loads(json.dumps(described))
    if folds == "documented":
        read["clkConfig"]["xor_folds"] = read["clkConfig"]["xorFolds"]
    made = generate_clks(rows, from_json_dict(read), derived)
    return {
        "name": title,
        "project": project,
        "epoch": epoch,
        "match_key": "clk",
        "project_secret": secret.hex(),
        "folds": folds,
        "schema": described,
        "clk_secret": derived,
        "rows": rows,
        "clks": [serialize_bitarray(clk) for clk in made],
    }


def main() -> None:
    assert version("clkhash") == "0.18.3"
    cases = []
    for place, (title, described, rows) in enumerate(CASES):
        secret = bytes(range(place, place + 20))
        made = generate_clks(rows, from_json_dict(json.loads(json.dumps(described))), secret)
        clks = [serialize_bitarray(clk) for clk in made]
        cases.append(
            {
                "name": title,
                "schema": described,
                "secret": secret.hex(),
                "rows": rows,
                "clks": clks,
            }
        )
    by_name = {title: (described, rows) for title, described, rows in CASES}
    folded = schema(IGNORED, name(), xorFolds=1)
    projects = [
        project_case("a census file", "county", 1, *by_name["a census file"]),
        project_case("double hashing", "a-b_2", 7, *by_name["a total, double hashing"]),
        project_case("folded as documented", "county", 0, folded, NAMES, "documented"),
    ]
    document = {"scheme": "clk-v1", "clkhash": "0.18.3", "cases": cases, "projects": projects}
    text = json.dumps(document, indent=1)
    (HERE / "clk_v1.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
