"""What is signed is canonical, of one kind, and covers everything it speaks of."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from linkage.agreement.canonical import canonical
from linkage.errors import InvalidRequestError
from linkage.trust.statements import (
    EnvelopeAddress,
    ReleaseStatement,
    enrolment_statement,
    manifest_statement,
)

RELEASE = {
    "kind": "release",
    "release": "1" * 32,
    "project": "prairie",
    "run": "2" * 32,
    "fingerprint": "a" * 64,
    "epoch": 0,
    "threshold": 0.75,
    "report": "b" * 64,
    "summary": "c" * 64,
    "uploads": {"health": "d" * 64, "sheriff": "e" * 64},
}
ADDRESS = {
    "project": "prairie",
    "fingerprint": "a" * 64,
    "epoch": 0,
    "sender": "sheriff",
    "recipient": "health",
}


@pytest.mark.parametrize("threshold", [0.0, 1e-9, 0.1 + 0.2, 0.5, 1 - 1e-12, 1.0])
def test_a_release_survives_the_wire(threshold: float) -> None:
    said = ReleaseStatement.model_validate({**RELEASE, "threshold": threshold})
    assert ReleaseStatement.parse(said.canonical) == said


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"kind": "manifest"},
        {"threshold": 1.01},
        {"threshold": -0.1},
        {"threshold": "0.5"},
        {"release": "1" * 31},
        {"run": "G" * 32},
        {"report": "b"},
        {"summary": "c"},
        {"uploads": {"sheriff": "e"}},
        {"epoch": True},
    ],
    ids=str,
)
def test_a_malformed_release_is_refused(change: dict) -> None:
    with pytest.raises(InvalidRequestError):
        ReleaseStatement.parse(canonical({**RELEASE, **change}))


@pytest.mark.parametrize("missing", sorted(RELEASE))
def test_a_release_says_everything(missing: str) -> None:
    with pytest.raises(InvalidRequestError):
        ReleaseStatement.parse(canonical({k: v for k, v in RELEASE.items() if k != missing}))


def test_a_release_has_one_form() -> None:
    with pytest.raises(InvalidRequestError):
        ReleaseStatement.parse(json.dumps(RELEASE).encode())
    with pytest.raises(InvalidRequestError):
        ReleaseStatement.parse(canonical(RELEASE).replace(b"0.75", b"0.750"))


@pytest.mark.parametrize(
    "change",
    [
        {"project": "prairia"},
        {"fingerprint": "c" * 64},
        {"epoch": 1},
        {"sender": "social"},
        {"recipient": "social"},
    ],
    ids=str,
)
def test_an_envelope_is_signed_for_its_address(change: dict) -> None:
    one, other = EnvelopeAddress(**ADDRESS), EnvelopeAddress(**{**ADDRESS, **change})
    assert one.statement(b"sealed") != other.statement(b"sealed")
    assert one.statement(b"sealed") != one.statement(b"sealeD")


@pytest.mark.parametrize("name", ["Sheriff", "a b", "", "../x", "x" * 64])
def test_an_envelope_goes_between_well_formed_names(name: str) -> None:
    with pytest.raises(ValidationError):
        EnvelopeAddress(**{**ADDRESS, "recipient": name})


def test_an_enrolment_covers_token_request_and_both_keys() -> None:
    parts = [b"token", b"request", b"signing", b"sealing"]
    said = {enrolment_statement(*parts)}
    for place in range(4):
        said.add(enrolment_statement(*parts[:place], b"other", *parts[place + 1 :]))
    assert len(said) == 5
    assert b"token-of-thirty-two" not in enrolment_statement(b"token-of-thirty-two", *parts[1:])


def test_kinds_never_meet() -> None:
    kinds = [
        json.loads(raw)["kind"]
        for raw in (
            enrolment_statement(b"", b"", b"", b""),
            manifest_statement("prairie", "a" * 64, "sheriff"),
            EnvelopeAddress(**ADDRESS).statement(b""),
            canonical(RELEASE),
        )
    ]
    assert len(set(kinds)) == 4
    assert not {"encodings", "parcel"} & set(kinds)
