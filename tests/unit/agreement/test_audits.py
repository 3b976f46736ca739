"""The manifest's audit policy: verdicts, refusals, exceptions, and what changes weaken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.audits import AuditPolicy, AuditSummary, Bounds, Verdict, read_summaries
from linkage.agreement.canonical import canonical
from linkage.agreement.difference import differences
from linkage.errors import InputError, ManifestError, RiskError

SAMPLE = Path(__file__).parents[3] / "deploy" / "samples" / "manifest.json"
EXCEPTION = {"partner": "sheriff", "reason": "Reviewed by the board."}


def bounds(lower: float, upper: float) -> Bounds:
    return Bounds(lower=lower, upper=upper)


def manifest_of(**audit: Any) -> Manifest:
    document = json.loads(SAMPLE.read_bytes())
    return parse_manifest(json.dumps({**document, "audit": audit}).encode())


@pytest.mark.parametrize(
    ("unknown", "known", "control", "verdict"),
    [
        (None, None, None, "too-few"),
        (bounds(0.0, 0.005), bounds(0.0, 0.03), 0.95, "passed"),
        (bounds(0.0, 0.0051), bounds(0.0, 0.03), 1.0, "not-shown"),
        (bounds(0.0, 0.005), bounds(0.03, 0.05), 1.0, "not-shown"),
        (bounds(0.0051, 0.02), bounds(0.0, 0.03), 1.0, "broken"),
        (None, bounds(0.031, 0.5), None, "broken"),
        (bounds(0.0, 0.004), bounds(0.0, 0.004), 0.94, "too-weak"),
        (bounds(0.0, 0.004), bounds(0.0, 0.004), None, "too-weak"),
        # A breach is proof, whether or not the control fell.
        (bounds(0.01, 0.02), None, 0.1, "broken"),
    ],
)
def test_a_verdict_rests_on_evidence(
    unknown: Bounds | None, known: Bounds | None, control: float | None, verdict: str
) -> None:
    found = {"unknown": unknown, "known": known, "active": None}
    assert AuditPolicy().verdict(found, control, skipped=0, commonest=None) == verdict


def test_keys_that_were_not_attacked_are_not_shown_to_keep_the_policy() -> None:
    found = {"unknown": bounds(0.0, 0.004), "known": bounds(0.0, 0.004), "active": None}
    assert AuditPolicy().verdict(found, 1.0, skipped=1, commonest=None) is Verdict.NOT_SHOWN
    found["known"] = bounds(0.2, 0.3)
    assert AuditPolicy().verdict(found, 1.0, skipped=1, commonest=None) is Verdict.BROKEN


def test_a_hub_that_departs_from_the_protocol_is_told_of_unless_the_policy_says_more() -> None:
    found = {"unknown": None, "known": bounds(0.0, 0.01), "active": bounds(0.9, 1.0)}
    assert AuditPolicy().verdict(found, 1.0, skipped=0, commonest=None) is Verdict.PASSED
    assert AuditPolicy(active=0.5).verdict(found, 1.0, skipped=0, commonest=None) is Verdict.BROKEN


def test_a_match_key_whose_commonest_value_repeats_too_often_breaks_the_policy() -> None:
    found = {"unknown": bounds(0.0, 0.004), "known": None, "active": None}
    nothing = dict.fromkeys(found)
    for figures in (found, nothing):
        assert AuditPolicy().verdict(figures, None, 1, 0.0011) is Verdict.BROKEN
        assert AuditPolicy(commonest=0.01).verdict(figures, None, 1, 0.0011) is not Verdict.BROKEN
    assert AuditPolicy().verdict(found, 1.0, 0, 0.001) is Verdict.PASSED


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("strict", [False, True])
def test_what_is_refused_and_whom_an_exception_covers(verdict: Verdict, strict: bool) -> None:
    said = AuditSummary(tool="1", verdict=verdict, rows=1, whole=True, skipped=0)
    policy = manifest_of(strict=strict, exceptions=[EXCEPTION]).audit
    policy.require("sheriff", said)
    bad = {Verdict.BROKEN, Verdict.UNTRIED}
    if verdict in bad or (strict and verdict is not Verdict.PASSED):
        with pytest.raises(RiskError, match="'health'") as caught:
            policy.require("health", said)
        assert (caught.value.reason, caught.value.exit_code) == ("RISK_ABOVE_POLICY", 9)
        everybody = manifest_of(strict=strict, exceptions=[{"reason": "Made up."}]).audit
        everybody.require("health", said)
    else:
        policy.require("health", said)


def test_a_control_that_withstood_is_refused_and_one_that_was_not_made_is_told() -> None:
    said = AuditSummary(tool="1", verdict=Verdict.TOO_WEAK, rows=600, whole=True, skipped=0)
    policy = manifest_of(exceptions=[EXCEPTION]).audit
    policy.require("health", said)
    withstood = said.model_copy(update={"control": 0.9})
    with pytest.raises(RiskError, match=r"'health': harness too weak: 90\.0% of the control"):
        policy.require("health", withstood)
    policy.require("sheriff", withstood)


@pytest.mark.parametrize(
    ("audit", "text"),
    [
        ({"unknown": 1.5}, "audit.unknown"),
        ({"exceptions": [{"partner": "sheriff"}]}, "reason"),
        ({"exceptions": [{"partner": "nobody", "reason": "R"}]}, "'nobody' is not a declared"),
        ({"exceptions": [EXCEPTION, EXCEPTION]}, "'sheriff' stands more than once"),
        ({"exception": []}, "did you mean 'exceptions'"),
    ],
)
def test_a_wrong_policy_is_refused_by_place(audit: dict[str, Any], text: str) -> None:
    with pytest.raises(ManifestError, match=text):
        manifest_of(**audit)


def test_an_exception_is_a_warning_and_a_known_break_is_foreseen() -> None:
    manifest = manifest_of(exceptions=[EXCEPTION])
    (warning,) = [text for text in manifest.warnings if text.startswith("audit:")]
    assert "sheriff" in warning
    assert EXCEPTION["reason"] in warning
    saul = {"name": "saul-v1"}
    document = json.loads(SAMPLE.read_bytes()) | {"scheme": saul, "audit": {}}
    (text,) = parse_manifest(json.dumps(document).encode()).foreseen
    assert "minhash-v1" in text
    document |= {"audit": {"exceptions": [{"reason": "Made up."}]}}
    assert parse_manifest(json.dumps(document).encode()).foreseen == ()
    document |= {"scheme": {"name": "minhash-v1"}, "audit": {}}
    assert parse_manifest(json.dumps(document).encode()).foreseen == ()


def test_bounds_above_the_default_are_a_warning_and_may_let_a_broken_scheme_pass() -> None:
    assert AuditPolicy(unknown=0.001, known=0.03).warnings == ()
    (text,) = AuditPolicy(unknown=0.02).warnings
    assert "know no pair re-identify up to 0.02 of the people; by default it is 0.005" in text
    (text,) = AuditPolicy(commonest=0.02).warnings
    assert "up to 0.02 of the records share the commonest value of a match key" in text
    (text,) = AuditPolicy(known=1.0).warnings
    assert "know some pairs re-identify up to 1 of the people; by default it is 0.03" in text
    assert AuditPolicy(known=0.4).foreseen(["sheriff"], "saul-v1")
    assert AuditPolicy(known=0.9).foreseen(["sheriff"], "saul-v1") == ()
    assert AuditPolicy(known=0.9).foreseen(["sheriff"], "clk-v1")


SUMMARY = AuditSummary(tool="1", verdict=Verdict.TOO_FEW, rows=0, whole=True, skipped=1)


def test_summaries_that_a_hub_shows_are_read() -> None:
    said = SUMMARY.model_dump(mode="json")
    assert read_summaries([("sheriff", canonical(said))]) == {"sheriff": said}


@pytest.mark.parametrize(
    ("partner", "change"),
    [
        ("sheriff", {"verdict": "splendid"}),
        ("sheriff", {"rows": "<b>many</b>"}),
        ("sheriff", {"skipped": None}),
        ("sheriff", {"praise": "much"}),
        ("sheriff", None),
        ("\x1b[2J", {}),
    ],
)
def test_what_a_hub_makes_up_is_not_taken_for_an_audit(
    partner: str, change: dict[str, Any] | None
) -> None:
    shown = b"[" if change is None else canonical(SUMMARY.model_dump(mode="json") | change)
    with pytest.raises(InputError, match="cannot be read here") as caught:
        read_summaries([(partner, shown)])
    assert str(caught.value).isprintable()
    assert not any(str(value) in str(caught.value) for value in (change or {}).values())


@pytest.mark.parametrize(
    ("before", "after", "weakens"),
    [
        ({}, {"unknown": 0.01}, True),
        ({}, {"known": 0.01}, False),
        ({}, {"commonest": 0.01}, True),
        ({"strict": True}, {}, True),
        ({}, {"exceptions": [EXCEPTION]}, True),
        ({"exceptions": [EXCEPTION]}, {}, False),
        ({"exceptions": [EXCEPTION]}, {"exceptions": [{**EXCEPTION, "reason": "Other."}]}, True),
    ],
)
def test_what_weakens_is_marked(
    before: dict[str, Any], after: dict[str, Any], weakens: bool
) -> None:
    (change,) = differences(manifest_of(**before), manifest_of(**after))
    assert change.place.startswith("audit.")
    assert change.weakens is weakens
