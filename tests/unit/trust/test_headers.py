"""A header says one thing only, and nothing beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from linkage.agreement.canonical import canonical
from linkage.errors import InvalidRequestError
from linkage.trust.headers import (
    LIFETIME,
    MAX_HEADER_BYTES,
    AnswersHeader,
    EncodingsHeader,
    ParcelHeader,
    expiry,
    new_nonce,
    parse_header,
)

COMMON = {
    "project": "prairie",
    "fingerprint": "a" * 64,
    "epoch": 0,
    "partner": "sheriff",
    "digest": "b" * 64,
    "size": 1000,
    "nonce": "c" * 32,
    "expires": "2030-01-02T03:04:05Z",
}
AUDIT = {
    "tool": "0.1.0",
    "verdict": "not-shown",
    "rows": 10,
    "whole": True,
    "skipped": 1,
    "commonest": None,
    "control": 0.96,
    "attacks": ["law", "round, curious hub"],
    "unknown": {"lower": 0.0, "upper": 0.25},
    "known": None,
    "active": {"lower": 0.5, "upper": 1.0},
}
ENCODINGS = {
    **COMMON,
    "kind": "encodings",
    "scheme": "saul-v1",
    "bits": 1024,
    "match_keys": ["name_dob", "phone"],
    "rows": 10,
    "strata": ["sex"],
    "round": 1,
    "skipped": 2,
    "audit": AUDIT,
    "key_check": "d" * 32,
}
ANSWERS = {
    **COMMON,
    "kind": "answers",
    "run": "f" * 32,
    "other": "health",
    "requests": "e" * 64,
    "entries": 40,
    "fields": 8,
    "size": 40 * 8 * 33,
}
PARCEL = {**COMMON, "kind": "parcel", "release": "e" * 32, "recipient": "county"}


@pytest.mark.parametrize("fields", [ENCODINGS, ANSWERS, PARCEL], ids=lambda f: f["kind"])
def test_a_header_survives_the_wire(fields: dict) -> None:
    header = parse_header(canonical(fields))
    assert header.canonical == canonical(fields)
    assert header.expires == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    kinds = {"encodings": EncodingsHeader, "answers": AnswersHeader, "parcel": ParcelHeader}
    assert isinstance(header, kinds[fields["kind"]])


def test_a_header_fixes_the_layout() -> None:
    header = parse_header(canonical(ENCODINGS))
    assert isinstance(header, EncodingsHeader)
    layout = header.layout
    assert (layout.scheme, layout.bits, layout.rows) == ("saul-v1", 1024, 10)
    assert layout.match_keys == ("name_dob", "phone")
    assert layout.fingerprint == "a" * 64
    assert layout.strata == ("sex",)


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(ENCODINGS).encode(),
        json.dumps(ENCODINGS, sort_keys=True).encode(),
        canonical(ENCODINGS) + b"\n",
        b" " + canonical(ENCODINGS),
        canonical(ENCODINGS).replace(b'"bits":1024', b'"bits":1024.0'),
        canonical(ENCODINGS).replace(b"prairie", b"prai\\u0072ie"),
        canonical(ENCODINGS).replace(b'"epoch":0', b'"epoch":0,"epoch":0'),
        canonical({**ENCODINGS, "expires": "2030-01-02T03:04:05+00:00"}),
        canonical({**ENCODINGS, "expires": 1_900_000_000}),
    ],
    ids=["order", "spaces", "newline", "space", "float", "escape", "twice", "offset", "seconds"],
)
def test_a_header_in_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        parse_header(raw)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"surprise": 1}, "surprise"),
        ({"kind": "letter"}, "header"),
        ({"size": -1}, "size"),
        ({"size": (1 << 44) + 1}, "size"),
        ({"size": "1000"}, "size"),
        ({"size": True}, "size"),
        ({"epoch": -1}, "epoch"),
        ({"rows": 0}, "rows"),
        ({"rows": 100_000_001}, "rows"),
        ({"bits": 100}, "bits"),
        ({"bits": 8192}, "bits"),
        ({"match_keys": []}, "match_keys"),
        ({"match_keys": ["a"] * 17}, "match_keys"),
        ({"match_keys": ["../../x"]}, "match_keys"),
        ({"project": "Prairie"}, "project"),
        ({"project": "a/../b"}, "project"),
        ({"partner": ""}, "partner"),
        ({"digest": "B" * 64}, "digest"),
        ({"fingerprint": "a" * 63}, "fingerprint"),
        ({"nonce": "c" * 31}, "nonce"),
        ({"key_check": "d" * 33}, "key_check"),
        ({"expires": "soon"}, "expires"),
        ({"expires": "2030-01-02T03:04:05"}, "expires"),
        ({"release": "e" * 32}, "release"),
        ({"audit": None}, "audit"),
        ({"audit": {**AUDIT, "verdict": "fine"}}, "audit.verdict"),
        ({"audit": {**AUDIT, "rows": -1}}, "audit.rows"),
        ({"audit": {**AUDIT, "known": {"lower": 0.2, "upper": 0.1}}}, "audit.known"),
        ({"audit": {**AUDIT, "known": {"lower": 0.2, "upper": 1.1}}}, "audit.known.upper"),
        ({"audit": {**AUDIT, "attacks": ["a"] * 41}}, "audit.attacks"),
        ({"audit": {**AUDIT, "attacks": ["Mary Smith, 1980"]}}, "audit.attacks"),
        ({"audit": {**AUDIT, "tool": "x" * 41}}, "audit.tool"),
        ({"audit": {**AUDIT, "match_key": "name"}}, "audit.match_key"),
    ],
    ids=lambda value: (
        next(iter(value.items()), None).__repr__()[:30] if isinstance(value, dict) else ""
    ),
)
def test_a_wrong_setting_is_refused_by_name(change: dict, place: str) -> None:
    with pytest.raises(InvalidRequestError, match=place) as caught:
        parse_header(canonical({**ENCODINGS, **change}))
    assert "prairie" not in str(caught.value)


@pytest.mark.parametrize("missing", sorted(ENCODINGS))
def test_nothing_may_be_missing(missing: str) -> None:
    fields = {name: value for name, value in ENCODINGS.items() if name != missing}
    with pytest.raises(InvalidRequestError):
        parse_header(canonical(fields))


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 16_000])
def test_what_is_no_header_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        parse_header(raw)


def test_a_header_is_short() -> None:
    with pytest.raises(InvalidRequestError, match="larger than"):
        parse_header(b" " * (MAX_HEADER_BYTES + 1))


def test_a_header_lives_two_days_and_two_of_the_same_content_differ() -> None:
    left = expiry() - datetime.now(UTC)
    assert timedelta(0) < left <= LIFETIME
    assert new_nonce() != new_nonce()
