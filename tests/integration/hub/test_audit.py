"""Every act at a running hub is in its log, and every refused call."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from linkage.agreement import Manifest
from linkage.errors import LinkageError
from linkage.hub.steward import Steward
from linkage.rpc.channel import connect
from linkage.rpc.party import Party
from linkage.store import tables
from linkage.store.sql import find_all
from linkage.trust.identity import PartyId, Role
from linkage.trust.transparency import Opening
from linkage.v1 import project_pb2, release_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub

from .conftest import Hub, Linked, Member


def entries(hub: Hub, **where: Any) -> list[Any]:
    database = hub.database()
    with database.transaction() as connection:
        rows = find_all(connection, tables.log_entry, order="id", **where)
    database.close()
    return [Opening(row["salt"], row["entry"]).require(row["leaf"]) for row in rows]


def test_a_project_from_proposal_to_release(
    hub: Hub, linked: Linked, members: dict[str, Member], steward: Steward
) -> None:
    name = linked.manifest.project
    steward.report(linked.run)
    before = len(entries(hub, project=name))
    release = steward.release(linked.run, 0.9).release
    for partner in linked.manifest.partner_names:
        members[partner].agent().approve(members[partner].connection, name)
    found = entries(hub, project=name)
    kinds = [(entry.kind, entry.party) for entry in found]
    expected = [
        ("project.created", "steward/steward"),
        ("manifest.signed", "partner/sheriff"),
        ("commitment.put", "partner/sheriff"),
        ("manifest.signed", "partner/health"),
        ("manifest.in_force", "hub"),
        ("commitment.put", "partner/health"),
        ("commitments.fetched", "partner/sheriff"),
        ("envelope.put", "partner/sheriff"),
        ("envelope.put", "partner/health"),
        ("envelopes.fetched", "partner/health"),
        ("upload.created", "partner/sheriff"),
        ("upload.finished", "partner/sheriff"),
        ("upload.finished", "partner/health"),
        ("run.created", "steward/steward"),
        ("run.started", "hub"),
        ("run.succeeded", "hub"),
    ]
    places = [kinds.index(one) for one in expected]
    assert places == sorted(places)
    # The hub is shared: others may have read the report, and released, before.
    assert {("report.read", "steward/steward"), ("report.read", "partner/sheriff")} <= set(kinds)
    acts = [
        ("release.proposed", "steward/steward"),
        ("release.approved", "partner/sheriff"),
        ("release.approved", "partner/health"),
    ]
    places = [kinds.index(one, before) for one in acts]
    assert places == sorted(places)
    proposed = next(entry for entry in found if entry.subject == release)
    assert proposed.details["run"] == linked.run
    uploads = [entry for entry in found if entry.kind == "upload.finished"]
    assert [entry.details["content"] for entry in uploads[:2]] == ["encodings"] * 2
    assert all(len(entry.details["digest"]) == 64 for entry in uploads)


def test_the_hub_and_its_parties_are_there(hub: Hub, members: dict[str, Member]) -> None:
    kinds = {entry.kind for entry in entries(hub, party="hub")}
    assert {"hub.initialised", "hub.started", "party.invited"} <= kinds
    enrolled = entries(hub, kind="party.enrolled", party="partner/outsider")
    assert len(enrolled) == 1
    assert len(enrolled[0].details["keys"]) == 64


@pytest.mark.parametrize(
    ("who", "reason"), [("outsider", "NOT_FOUND"), ("county", "NOT_AUTHORISED")]
)
def test_a_refused_call_is_in_the_log(
    hub: Hub, members: dict[str, Member], proposed: Manifest, who: str, reason: str
) -> None:
    member = members[who]
    calls = {
        "outsider": (
            member.stub(ProjectServiceStub).GetProject,
            project_pb2.GetProjectRequest(project=proposed.project),
        ),
        "county": (
            member.stub(ReleaseServiceStub).ApproveRelease,
            release_pb2.ApproveReleaseRequest(release="0" * 32),
        ),
    }
    with pytest.raises(LinkageError) as caught:
        member.connection.call(*calls[who])
    assert caught.value.reason == reason
    party = f"{Party.load(member.home).role}/{who}"
    found = entries(hub, kind="call.refused", party=party)
    assert reason in {entry.details["reason"] for entry in found}
    # Whatever it asked for, that it exists does not stand there.
    assert {entry.project for entry in found} == {""}


def test_a_method_that_does_not_exist_is_refused_and_in_the_log(
    hub: Hub, members: dict[str, Member]
) -> None:
    method = members["stranger"].connection.channel.unary_unary("/linkage.v1.Nothing/At/All")
    with pytest.raises(grpc.RpcError) as caught:
        method(b"anything", timeout=10)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    found = entries(hub, kind="call.refused", party="assembler/stranger")
    assert ("unknown", "NOT_AUTHORISED") in {
        (entry.details["method"], entry.details["reason"]) for entry in found
    }


def test_a_party_that_the_hub_does_not_know_is_in_the_log(hub: Hub) -> None:
    identity = hub.identity(PartyId("prairie", Role.PARTNER, "nobody"))
    with pytest.raises(LinkageError):
        connect(identity, patience=0)
    found = entries(hub, kind="call.refused", party="partner/nobody")
    assert [entry.details["reason"] for entry in found][:1] == ["UNAUTHENTICATED"]


def test_a_flood_of_refused_calls_adds_one_entry(hub: Hub, members: dict[str, Member]) -> None:
    member = members["stranger"]
    method = member.stub(ProjectServiceStub).GetProject
    for _ in range(200):
        with pytest.raises(LinkageError):
            member.connection.call(method, project_pb2.GetProjectRequest(project="nothing"))
    found = entries(hub, kind="call.refused", party="assembler/stranger")
    mine = [entry for entry in found if entry.details["method"].endswith("GetProject")]
    # Two where the minute turned meanwhile, with the count of the first.
    assert 1 <= len(mine) <= 3


def test_no_entry_holds_more_than_words(hub: Hub, linked: Linked) -> None:
    for entry in entries(hub):
        assert json.loads(entry.canonical)["linkage"] == "log/1"
        assert len(entry.canonical) < 1000
