"""Audits of encodings: what an agent refuses to send, and what the hub refuses to take."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from linkage.agreement.audits import AuditSummary, Bounds, Verdict
from linkage.agreement.canonical import canonical
from linkage.errors import FingerprintMismatchError, InputError, InvalidRequestError, RiskError
from linkage.rpc.channel import Connection
from tests.integration.hub.conftest import make_manifest, raw, share_all, small_matrix, write_people

EXCEPTION = {"partner": "sheriff", "reason": "Reviewed by the board."}
NARROW, WIDE = Bounds(lower=0.0, upper=0.004), Bounds(lower=0.2, upper=0.3)


def said(verdict: Verdict, **more: Any) -> AuditSummary:
    figures = {"control": 1.0, "attacks": ("law",), "known": NARROW}
    fields = {"rows": 40, "whole": True, "skipped": 0, **figures}
    return AuditSummary(tool="test", verdict=verdict, **{**fields, **more})


BROKEN = said(Verdict.BROKEN, known=WIDE, control=None)


@pytest.fixture
def sheriff(members):
    return members["sheriff"]


def signed(steward, members, **audit: Any):
    manifest = make_manifest(audit=audit)
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].sign_manifest(manifest)
    return manifest


def namesakes(path: Path) -> Path:
    """700 people, of whom many share a name or a day, as real people do."""
    draw = random.Random(1)
    given, surnames = (
        ["".join(draw.choices("abdeilmnorst", k=6)) for _ in range(count)] for count in (20, 40)
    )
    names = [f"{draw.choice(given)},{draw.choice(surnames)}" for _ in range(700)]
    days = [f"19{draw.randint(40, 99)}-0{draw.randint(1, 9)}-11" for _ in names]
    lines = [f"{name},{day},f,2024-01-01" for name, day in zip(names, days, strict=True)]
    path.write_text("\n".join(["given_name,surname,dob,sex,seen", *lines]) + "\n")
    return path


def test_a_header_without_an_audit_is_refused(active, sheriff) -> None:
    header = sheriff.header(active, raw(small_matrix(active)))
    document = json.loads(header.canonical)
    del document["audit"]
    with pytest.raises(InvalidRequestError, match="audit"):
        sheriff.create(canonical(document))


@pytest.mark.parametrize(
    "audit",
    [
        said(Verdict.PASSED, known=WIDE),
        said(Verdict.PASSED, known=None),
        said(Verdict.PASSED, control=0.5),
        said(Verdict.BROKEN),
        said(Verdict.NOT_SHOWN),
        said(Verdict.TOO_FEW),
        said(Verdict.UNTRIED),
        said(Verdict.PASSED, rows=41),
        said(Verdict.PASSED, skipped=1),
        said(Verdict.PASSED, commonest=0.002),
    ],
    ids=lambda audit: f"{audit.verdict}, {audit.rows}, {audit.skipped}, {audit.commonest}",
)
def test_a_verdict_that_does_not_follow_is_refused(active, sheriff, audit: AuditSummary) -> None:
    with pytest.raises(InvalidRequestError, match="does not follow"):
        sheriff.create(sheriff.header(active, raw(small_matrix(active)), audit=audit))


def test_the_hub_holds_a_partner_to_the_manifest(steward, members) -> None:
    manifest = signed(steward, members, strict=True, exceptions=[EXCEPTION])
    sheriff, health = (members[name] for name in manifest.partner_names)
    data = raw(small_matrix(manifest))
    for audit in (BROKEN, said(Verdict.TOO_FEW, known=None)):
        with pytest.raises(RiskError, match="'health'"):
            health.create(health.header(manifest, data, audit=audit))
    sheriff.upload(manifest, data, audit=BROKEN)
    health.upload(manifest, data, audit=said(Verdict.PASSED))
    shown = {a.partner: a.summary for a in steward.project(manifest.project).audits}
    assert shown == {
        "health": canonical(said(Verdict.PASSED).model_dump(mode="json")),
        "sheriff": canonical(BROKEN.model_dump(mode="json")),
    }


def test_the_hub_takes_no_audit_whose_control_withstood(active, sheriff) -> None:
    data = raw(small_matrix(active))
    with pytest.raises(RiskError, match="harness too weak"):
        sheriff.create(sheriff.header(active, data, audit=said(Verdict.TOO_WEAK, control=0.5)))
    sheriff.upload(active, data, audit=said(Verdict.TOO_WEAK, control=None))


def test_a_member_takes_no_audit_that_is_none(steward, members, monkeypatch) -> None:
    manifest = signed(steward, members)
    sheriff = members["sheriff"]
    sheriff.upload(manifest, raw(small_matrix(manifest)))
    call = Connection.call

    def shown(self: Connection, *request: Any, **more: Any) -> Any:
        response = call(self, *request, **more)
        for audit in response.project.audits if hasattr(response, "project") else ():
            audit.summary = canonical(json.loads(audit.summary) | {"verdict": "splendid"})
        return response

    monkeypatch.setattr(Connection, "call", shown)
    with pytest.raises(InputError, match=r"an audit of .* that cannot be read here"):
        sheriff.agent().status(sheriff.connection)


def test_submit_refuses_what_breaks_until_all_have_signed_an_exception(
    steward, members, tmp_path
) -> None:
    manifest = make_manifest()
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    sheriff = members["sheriff"]
    file = namesakes(tmp_path / "sheriff.csv")
    before = sheriff.connection.wire.sent
    with pytest.raises(RiskError, match="law on") as caught:
        sheriff.agent().submit(sheriff.connection, manifest.project, file)
    assert (caught.value.exit_code, bool(caught.value.remedy)) == (9, True)
    assert sheriff.connection.wire.sent - before < 20_000
    assert list(steward.project(manifest.project).uploaded) == []
    with pytest.raises(RiskError):
        sheriff.agent().try_submit(manifest.project, file)

    amended = make_manifest(project=manifest.project, version=2, audit={"exceptions": [EXCEPTION]})
    steward.propose(amended)
    data = raw(small_matrix(amended))
    for name in amended.partner_names:
        # As long as somebody has not signed it, neither agent nor hub goes by the exception.
        with pytest.raises(RiskError, match="law on"):
            sheriff.agent().submit(sheriff.connection, amended.project, file)
        with pytest.raises(FingerprintMismatchError):
            sheriff.create(sheriff.header(amended, data, audit=BROKEN))
        assert list(steward.project(amended.project).uploaded) == []
        members[name].agent().sign(members[name].connection, amended)
    share_all(members, amended)
    done = sheriff.agent().submit(sheriff.connection, amended.project, file)
    assert done.audit.verdict is Verdict.BROKEN
    (shown,) = steward.project(amended.project).audits
    assert json.loads(shown.summary) == done.audit.model_dump(mode="json")
    again = sheriff.agent().submit(sheriff.connection, amended.project, file)
    assert (again.repeated, again.audit) == (True, done.audit)


def test_records_left_out_are_not_in_the_audit_that_the_hub_takes(
    steward, members, tmp_path
) -> None:
    """More distinct names stand in the file than records are sent of it."""
    keys = [
        {"name": "all", "fields": ["given_name", "surname", "dob"]},
        {"name": "names", "fields": ["given_name", "surname"]},
    ]
    manifest = make_manifest(audit={"exceptions": [EXCEPTION]}, match_keys=keys)
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    sheriff, path = members["sheriff"], write_people(tmp_path / "sheriff.csv", seed=1, rows=900)
    lines = path.read_text().splitlines()
    lines[1:301] = [
        re.sub(r"\d{4}-\d\d-\d\d", "unreadable", line, count=1) for line in lines[1:301]
    ]
    path.write_text("\n".join(lines) + "\n")
    done = sheriff.agent().submit(sheriff.connection, manifest.project, path, skip_invalid=True)
    assert len(done.checked.skipped) == 300
    assert done.checked.sent == done.audit.rows == 600
