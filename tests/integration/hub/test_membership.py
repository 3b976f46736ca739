"""Ending a party's access, at once and also mid-stream; which certificates count."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from linkage.errors import (
    AlreadyExistsError,
    EnrolmentError,
    HubUnavailableError,
    LinkageError,
    NotFoundError,
    StateError,
    UnauthenticatedError,
)
from linkage.hub.membership import Membership
from linkage.hub.steward import Steward
from linkage.rpc.channel import ClientIdentity, connect
from linkage.rpc.member import enrol_member
from linkage.rpc.party import Party
from linkage.store import tables
from linkage.store.sql import find, find_all
from linkage.trust import identity as identities
from linkage.trust.identity import PartyId, Role
from linkage.trust.keyring import Keyring
from linkage.v1 import enrolment_pb2, project_pb2, run_pb2
from linkage.v1.enrolment_pb2_grpc import EnrolmentServiceStub
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub

from .conftest import Hub, Member, make_manifest, raw, small_matrix


def _enrolled(hub: Hub, home: Path, name: str, role: Role = Role.PARTNER) -> Party:
    Keyring.create(home / "keys")
    return enrol_member(home, hub.invite(name, role), patience=10)


def _run(hub: Hub, *words: str, home: Path | None = None) -> dict[str, Any]:
    command = [sys.executable, "-m", "linkage", *words, "--json"]
    command += ["--home", str(home or hub.home.path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return {"code": done.returncode, **json.loads(done.stdout.splitlines()[-1])}


def _list(party: Party) -> list[str]:
    with party.connect(patience=10) as connection:
        stub = ProjectServiceStub(connection.channel)
        return list(connection.call(stub.ListProjects, project_pb2.ListProjectsRequest()).projects)


def test_a_revoked_party_is_refused_at_its_next_call(hub: Hub, tmp_path: Path) -> None:
    party = _enrolled(hub, tmp_path / "gone", "gone")
    with party.connect(patience=10) as connection:
        stub = ProjectServiceStub(connection.channel)
        connection.call(stub.ListProjects, project_pb2.ListProjectsRequest())
        assert _run(hub, "hub", "revoke", "gone", "--reason", "laptop stolen")["code"] == 0
        with pytest.raises(UnauthenticatedError, match="ended the access of 'gone'"):
            connection.call(stub.ListProjects, project_pb2.ListProjectsRequest())
        with pytest.raises(UnauthenticatedError):
            connection.call(
                EnrolmentServiceStub(connection.channel).Renew, enrolment_pb2.RenewRequest()
            )
    with pytest.raises(UnauthenticatedError, match="ended the access"):
        party.connect(patience=2)
    shown = next(p for p in _run(hub, "hub", "parties")["parties"] if p["name"] == "gone")
    assert shown["revoked"]
    assert shown["reason"] == "laptop stolen"
    with hub.database().transaction() as connection:
        assert find_all(connection, tables.log_entry, kind="party.revoked")
    again = _run(hub, "hub", "revoke", "gone")
    assert (again["code"], again["error"]["reason"]) == (5, "WRONG_STATE")
    assert _run(hub, "hub", "revoke", "nobody")["error"]["reason"] == "NOT_FOUND"


def test_a_new_invitation_restores_it_and_an_old_one_does_not(hub: Hub, tmp_path: Path) -> None:
    home = tmp_path / "back"
    Keyring.create(home / "keys")
    used, unused = hub.invite("back"), hub.invite("back")
    enrol_member(home, used, patience=10)
    before = (home / "tls.pem").read_bytes()
    Membership(hub.database()).revoke("back", "")
    for invitation in (used, unused):
        (home / "party.json").unlink(missing_ok=True)
        with pytest.raises(EnrolmentError):
            enrol_member(home, invitation, patience=10)
    party = enrol_member(home, hub.invite("back"), patience=10)
    assert _list(party) == []
    (home / "tls.pem").write_bytes(before)
    with pytest.raises(UnauthenticatedError, match="was replaced"):
        party.connect(patience=2)


def test_an_enrolled_home_enrols_again_by_another_invitation_only(hub: Hub, tmp_path: Path) -> None:
    home = tmp_path / "twice"
    Keyring.create(home / "keys")
    first = hub.invite("twice")
    enrol_member(home, first, patience=10)
    with pytest.raises(AlreadyExistsError):
        enrol_member(home, first, patience=10)
    with pytest.raises(AlreadyExistsError, match="as 'twice'"):
        enrol_member(home, hub.invite("somebody"), patience=10)
    assert enrol_member(home, hub.invite("twice"), patience=10).name == "twice"


def test_stolen_keys_are_replaced_by_an_invitation_that_says_so(hub: Hub, tmp_path: Path) -> None:
    _enrolled(hub, tmp_path / "old", "robbed")
    Membership(hub.database()).revoke("robbed", "keys stolen")
    home = tmp_path / "new"
    keyring = Keyring.create(home / "keys")
    with pytest.raises(EnrolmentError, match="other keys"):
        enrol_member(home, hub.invite("robbed"), patience=10)
    invitation = hub.enrolment().invite("robbed", Role.PARTNER, hub.address, new_keys=True)
    enrol_member(home, invitation.model_dump_json().encode(), patience=10)
    with hub.database().transaction() as connection:
        row = find(connection, tables.party, name="robbed")
    assert row is not None
    assert row["signing_key"] == keyring.signing_public
    with pytest.raises(UnauthenticatedError):
        Party.load(tmp_path / "old").connect(patience=2)


def test_an_open_stream_of_answers_ends(
    hub: Hub, steward: Steward, members: dict[str, Member], tmp_path: Path
) -> None:
    """A watcher is told nothing for minutes; its stream must not live that long."""
    party = _enrolled(hub, tmp_path / "watcher", "watcher")
    manifest = make_manifest(
        partners=[{"name": "sheriff"}, {"name": "watcher"}],
        matching={"pair_keyed": True, "answer_hours": 1},
    )
    steward.propose(manifest)
    with party.connect(patience=10) as connection:
        watcher = Member("watcher", tmp_path / "watcher", connection)
        for one in (members["sheriff"], watcher):
            one.sign_manifest(manifest)
        for seed, one in enumerate((members["sheriff"], watcher)):
            one.upload(manifest, raw(small_matrix(manifest, seed)))
        run = steward.start_run(manifest.project)
        states = connection.receive(
            RunServiceStub(connection.channel).WatchRun, run_pb2.WatchRunRequest(run=run.run)
        )
        assert next(states).run.run == run.run
        revoked = time.monotonic()
        Membership(hub.database()).revoke("watcher", "")
        with pytest.raises(LinkageError) as caught:
            for _ in states:
                pass
        assert time.monotonic() - revoked < 4
    assert isinstance(caught.value, HubUnavailableError | UnauthenticatedError)
    steward.cancel(run.run)


def test_an_open_stream_of_requests_ends(
    hub: Hub, steward: Steward, members: dict[str, Member], tmp_path: Path
) -> None:
    party = _enrolled(hub, tmp_path / "sender", "sender")
    manifest = make_manifest(partners=[{"name": "sheriff"}, {"name": "sender"}])
    steward.propose(manifest)
    data = raw(small_matrix(manifest))
    hold = threading.Event()
    with party.connect(patience=10) as connection:
        sender = Member("sender", tmp_path / "sender", connection)
        for one in (members["sheriff"], sender):
            one.sign_manifest(manifest)
        upload = sender.create(sender.header(manifest, data)).upload

        def chunks() -> Iterator[bytes]:
            yield data[:100]
            hold.wait(60)
            yield data[100:]

        threading.Timer(0.5, Membership(hub.database()).revoke, ("sender", "")).start()
        started = time.monotonic()
        with pytest.raises(LinkageError):
            sender.write(upload, 0, chunks())
        assert time.monotonic() - started < 5
        hold.set()
        with pytest.raises(UnauthenticatedError, match="ended the access"):
            sender.write(upload, 100, [data[100:]])


def test_a_certificate_the_hub_did_not_write_down_is_refused(hub: Hub, members: Any) -> None:
    """What a thief of the authority's key can make."""
    forged = hub.identity(PartyId("prairie", Role.PARTNER, "sheriff"), noted=False)
    with pytest.raises(UnauthenticatedError, match="did not issue"):
        connect(forged, patience=2)


def test_a_certificate_that_is_not_valid_yet_is_refused(
    hub: Hub, members: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "BACKDATE", timedelta(hours=-1))
    early = hub.identity(PartyId("prairie", Role.PARTNER, "sheriff"), lifetime=timedelta(hours=2))
    with pytest.raises(UnauthenticatedError, match="refuses this party's certificate"):
        connect(early, patience=2)


def test_a_renewed_certificate_leaves_the_last_one_good(hub: Hub, tmp_path: Path) -> None:
    """Another program of the same party may still hold it."""
    party = _enrolled(hub, tmp_path / "renewing", "renewing")
    before = party.identity
    with party.connect(patience=10) as connection:
        party._renew(connection)
    assert _list(party) == []
    with connect(
        ClientIdentity(hub.address, before.authority, before.key, before.certificate), patience=5
    ):
        pass


def test_an_open_invitation_is_listed_and_withdrawn(hub: Hub, tmp_path: Path) -> None:
    out = ("--out", str(tmp_path))
    assert _run(hub, "hub", "invite", "early", "later", *out, "--days", "2")["code"] == 0
    found = {i["name"]: i for i in _run(hub, "hub", "invitations")["invitations"]}
    assert found["early"]["open"]
    token = json.loads((tmp_path / "early.invite").read_bytes())["token"]
    assert token not in str(found)
    assert _run(hub, "hub", "withdraw", found["early"]["id"])["names"] == ["early"]
    found = {i["name"]: i for i in _run(hub, "hub", "invitations")["invitations"]}
    assert (found["early"]["open"], found["later"]["open"]) == (False, True)
    Keyring.create(tmp_path / "early" / "keys")
    data = json.loads((tmp_path / "early.invite").read_bytes()) | {"address": hub.address}
    with pytest.raises(EnrolmentError):
        enrol_member(tmp_path / "early", json.dumps(data).encode(), patience=10)
    membership = Membership(hub.database())
    assert membership.withdraw("later") == ["later"]
    with pytest.raises(NotFoundError):
        membership.withdraw("later")
    with pytest.raises(StateError):
        membership.revoke("early", "")


def test_a_second_steward_enrols_elsewhere_and_works(hub: Hub, tmp_path: Path) -> None:
    made = _run(hub, "hub", "invite", "deputy", "--role", "steward", "--out", str(tmp_path))
    assert made["code"] == 0
    path = tmp_path / "deputy.invite"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"address": hub.address}))
    home = tmp_path / "deputy"
    enrolled = _run(hub, "hub", "enrol", str(path), home=home)
    assert (enrolled["name"], enrolled["role"]) == ("deputy", "steward")
    manifest = make_manifest()
    (tmp_path / "manifest.json").write_bytes(manifest.canonical)
    proposed = _run(hub, "hub", "propose", str(tmp_path / "manifest.json"), home=home)
    assert proposed["fingerprint"] == manifest.fingerprint
    assert _run(hub, "hub", "status", home=home)["code"] == 0
    # Who finds the used file cannot become the deputy with it.
    thief = _run(hub, "hub", "enrol", str(path), home=tmp_path / "thief")
    assert (thief["code"], thief["error"]["reason"]) == (4, "ENROLMENT_REFUSED")
    assert _run(hub, "hub", "revoke", "deputy")["code"] == 0
    refused = _run(hub, "hub", "status", home=home)
    assert (refused["code"], refused["error"]["reason"]) == (4, "UNAUTHENTICATED")


def test_an_invitation_for_another_role_says_where_it_belongs(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "x.invite"
    path.write_bytes(hub.invite("misplaced"))
    refused = _run(hub, "hub", "enrol", str(path), home=tmp_path / "home")
    assert refused["code"] == 2
    assert "linkage agent enrol" in refused["error"]["remedy"]


def test_the_first_steward_is_certified_anew_by_who_holds_the_authoritys_key(hub: Hub) -> None:
    before = (hub.home.path / "steward" / "tls.pem").read_bytes()
    party = hub.home.certify_steward()
    assert (hub.home.path / "steward" / "tls.pem").read_bytes() != before
    here = ClientIdentity(
        hub.address, party.identity.authority, party.identity.key, party.identity.certificate
    )
    with connect(here, patience=5):
        pass


def test_a_chain_has_one_party_and_one_serial(hub: Hub) -> None:
    made = hub.identity(PartyId("prairie", Role.PARTNER, "sheriff"))
    credential = identities.credential_of(made.certificate, "prairie")
    assert credential.party.name == "sheriff"
    assert len(credential.serial) == 40
    with hub.database().transaction() as connection:
        assert find(connection, tables.certificate, serial=credential.serial) is not None
