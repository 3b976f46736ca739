"""Two different stewards before any partner is asked, by signatures that partners check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from linkage.errors import AgreementError, NotAuthorisedError, NotReadyError, SignatureError
from linkage.evaluator.assembler import Assembler
from linkage.hub.keys import register_or_same
from linkage.hub.steward import Steward
from linkage.rpc.channel import connect
from linkage.store import tables
from linkage.store.sql import find_all, insert, now
from linkage.trust.identity import PartyId, Role
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign
from linkage.trust.statements import confirmation_statement
from linkage.v1 import release_pb2
from linkage.v1.release_pb2_grpc import ReleaseServiceStub

from .conftest import make_manifest, share_all, wait_for_end, write_people

STEWARDS = ("steward", "second")


@dataclass
class Named:
    """A steward with a key of its own."""

    name: str
    keyring: Keyring
    client: Steward

    def confirm(self, release: release_pb2.Release, *, name: str | None = None) -> Any:
        said = confirmation_statement(release.statement, name or self.name)
        return self.client.confirm(release.release, sign(self.keyring.signing_key, said))


@pytest.fixture(scope="module")
def stewards(hub, steward, tmp_path_factory):
    keyrings = {n: Keyring.create(tmp_path_factory.mktemp(n) / "keys") for n in (*STEWARDS, "odd")}
    found = {"steward": Named("steward", keyrings["steward"], steward)}
    open_ones = []
    for name in ("second", "odd"):
        party = PartyId("prairie", Role.STEWARD, name)
        with hub.database().transaction() as connection:
            register_or_same(connection, party, signing_key=b"", sealing_key=b"")
        open_ones.append(connect(hub.identity(party), patience=10))
        found[name] = Named(name, keyrings[name], Steward(open_ones[-1]))
    yield found
    for one in open_ones:
        one.__exit__()


@pytest.fixture(scope="module")
def matched(steward, members, stewards, tmp_path_factory):
    """A project that asks for two stewards, with a run that has succeeded."""
    keys = [{"name": name, "key": stewards[name].keyring.signing_public.hex()} for name in STEWARDS]
    manifest = make_manifest(stewards=keys, two_stewards=True)
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    place, files = tmp_path_factory.mktemp("files"), {}
    for seed, name in enumerate(manifest.partner_names):
        files[name] = write_people(place / f"{name}.csv", seed=seed)
        members[name].agent().submit(members[name].connection, manifest.project, files[name])
    run = steward.start_run(manifest.project)
    return manifest, files, wait_for_end(steward, run.run).run


def test_no_partner_approves_before_two_stewards_have_confirmed(
    matched, members, stewards, tmp_path
) -> None:
    manifest, files, run = matched
    one, two = (stewards[name] for name in STEWARDS)
    release = one.client.release(run, None)
    assert release.state == release_pb2.RELEASE_STATE_UNCONFIRMED
    sheriff = members["sheriff"]
    approval = release_pb2.ApproveReleaseRequest(
        release=release.release, signature=sheriff.signature(release.statement)
    )
    for confirmed in ([], ["steward"]):
        if confirmed:
            one.confirm(release)
            one.confirm(release)
        found = one.client.find_release(release.release)
        assert [c.steward for c in found.confirmations] == confirmed
        with pytest.raises(NotReadyError, match="not confirmed by two stewards"):
            sheriff.connection.call(sheriff.stub(ReleaseServiceStub).ApproveRelease, approval)
        with pytest.raises(AgreementError, match="asks for two stewards"):
            sheriff.agent().approve(sheriff.connection, manifest.project, release.release)
    assert two.confirm(release).state == release_pb2.RELEASE_STATE_PROPOSED
    for name in manifest.partner_names:
        member = members[name]
        member.agent().approve(member.connection, manifest.project, release.release)
    for name in manifest.partner_names:
        member = members[name]
        member.agent().contribute(
            member.connection, manifest.project, files[name], {}, release.release
        )
    county = members["county"]
    assembler = Assembler(county.home, county.connection)
    assert assembler.assemble(manifest.project, tmp_path / "out", release=release.release).rows


def test_nobody_confirms_for_another_or_without_being_named(matched, stewards, members) -> None:
    _, _, run = matched
    one, two, odd = (stewards[name] for name in (*STEWARDS, "odd"))
    release, other = one.client.release(run, None), one.client.release(run, None)
    with pytest.raises(AgreementError, match="does not name the steward 'odd'"):
        odd.confirm(release)
    with pytest.raises(SignatureError):
        # The second steward's key, the first one's certificate.
        signature = sign(
            two.keyring.signing_key, confirmation_statement(release.statement, "steward")
        )
        one.client.confirm(release.release, signature)
    with pytest.raises(SignatureError):
        signature = sign(
            one.keyring.signing_key, confirmation_statement(other.statement, "steward")
        )
        one.client.confirm(release.release, signature)
    with pytest.raises(SignatureError):
        one.client.confirm(release.release, sign(one.keyring.signing_key, release.statement))
    with pytest.raises(NotAuthorisedError):
        request = release_pb2.ConfirmReleaseRequest(release=release.release)
        sheriff = members["sheriff"]
        sheriff.connection.call(sheriff.stub(ReleaseServiceStub).ConfirmRelease, request)


def test_agents_believe_signatures_and_not_the_hub(hub, matched, stewards, members) -> None:
    """The hub was broken into: it makes up the second confirmation."""
    manifest, _, run = matched
    one = stewards["steward"]
    release = one.client.release(run, None)
    one.confirm(release)
    said = confirmation_statement(release.statement, "second")
    with hub.database().transaction() as connection:
        insert(
            connection,
            tables.confirmation,
            release=release.release,
            steward="second",
            signature=sign(one.keyring.signing_key, said),
            confirmed_at=now(),
        )
    sheriff = members["sheriff"]
    with pytest.raises(SignatureError, match="'second' on the release"):
        sheriff.agent().approve(sheriff.connection, manifest.project, release.release)


def test_confirmations_are_in_the_log(hub, matched, stewards) -> None:
    _, _, run = matched
    one = stewards["steward"]
    release = one.client.release(run, None)
    one.confirm(release)
    with hub.database().transaction() as connection:
        rows = find_all(
            connection, tables.log_entry, kind="release.confirmed", subject=release.release
        )
    assert [row["party"] for row in rows] == ["steward/steward"]
