"""Commitments and contributions pass through a real hub; what it may refuse, it refuses."""

from __future__ import annotations

import pytest

from linkage.agent.projecthome import ProjectHome
from linkage.errors import (
    AlreadyExistsError,
    ContributionError,
    FingerprintMismatchError,
    InvalidRequestError,
    NotAgreedError,
    NotAuthorisedError,
    NotFoundError,
    NotReadyError,
    SignatureError,
    UntrustedKeyError,
)
from linkage.rpc.member import enrol_member, rotate_keys
from linkage.rpc.party import Party
from linkage.store import tables
from linkage.store.sql import find, find_all, update
from linkage.trust.keyring import Keyring, key_check
from linkage.trust.sealing import binding, seal
from linkage.trust.statements import EnvelopeAddress
from linkage.v1 import secret_pb2
from linkage.v1.secret_pb2_grpc import SecretServiceStub

from .conftest import Member, make_manifest, share_all


@pytest.fixture
def agreed(steward, members):
    """A project of three partners whose agents have signed, and so committed."""
    manifest = make_manifest(partners=[{"name": "sheriff"}, {"name": "health"}, {"name": "social"}])
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    return manifest


def envelope(manifest, member: Member, recipient: Member, contribution: bytes):
    address = EnvelopeAddress(
        project=manifest.project,
        fingerprint=manifest.fingerprint,
        epoch=0,
        sender=member.name,
        recipient=recipient.name,
    )
    info = binding("contribution", **address.model_dump())
    sealed = seal(recipient.keyring.sealing_key.public, contribution, info)
    return secret_pb2.PutEnvelopeRequest(
        envelope=secret_pb2.Envelope(
            **address.model_dump(),
            sealed=sealed,
            signature=member.signature(address.statement(sealed)),
        )
    )


def test_a_secret_of_three_partners(hub, steward, agreed, members) -> None:
    assert list(steward.project(agreed.project).committed) == ["health", "sheriff", "social"]
    names = agreed.partner_names
    standings = [members[n].agent().share(members[n].connection, agreed.project) for n in names]
    assert standings[0].to_reveal == ("health", "social")
    assert standings[1].to_reveal == ("social",)
    assert standings[2].complete
    assert list(steward.project(agreed.project).revealed) == ["health", "sheriff", "social"]
    share_all(members, agreed)
    key = (agreed.project, agreed.fingerprint, 0)
    secrets = {members[name].keyring.secret(*key) for name in names}
    assert len(secrets) == 1
    assert len({one.commitments for one in standings}) == 1
    for name in names:
        assert members[name].keyring.contribution(*key) not in secrets
    with hub.database().transaction() as connection:
        stored = find_all(connection, tables.envelope, project=agreed.project)
    assert len(stored) == 6
    for name in names:
        part = members[name].keyring.contribution(*key)
        assert all(part not in row["sealed"] for row in stored)


def test_whoever_waits_is_told_for_whom(steward, members) -> None:
    manifest = make_manifest()
    steward.propose(manifest)
    sheriff, health = members["sheriff"], members["health"]
    sheriff.agent().sign(sheriff.connection, manifest)
    with pytest.raises(NotReadyError, match="not signed by health"):
        sheriff.agent().share(sheriff.connection, manifest.project)
    # Signed by an agent that was killed before it could commit.
    health.sign_manifest(manifest)
    ProjectHome(health.home, manifest.project).agreements.keep(manifest)
    standing = sheriff.agent().share(sheriff.connection, manifest.project)
    assert standing.to_commit == ("health",)
    with pytest.raises(NotReadyError, match="waits for health, who has not committed"):
        standing.require_complete()
    assert health.agent().share(health.connection, manifest.project).to_reveal == ("sheriff",)
    assert sheriff.agent().share(sheriff.connection, manifest.project).complete


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"epoch": 1}, InvalidRequestError),
        ({"fingerprint": "a" * 64}, FingerprintMismatchError),
        ({"partner": "health"}, InvalidRequestError),
        ({"commitment": "f" * 64}, SignatureError),
        ({"commitment": "short"}, InvalidRequestError),
        ({"signature": bytes(64)}, SignatureError),
        ({"project": "elsewhere"}, NotFoundError),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_commitment_is_its_partners_own(hub, active, members, changes, expected) -> None:
    with pytest.raises(expected):
        members["sheriff"].commit(active, **changes)
    with hub.database().transaction() as connection:
        assert find(connection, tables.commitment, project=active.project) is None


def test_only_who_signed_commits(proposed, members) -> None:
    with pytest.raises(NotAgreedError, match="has not signed"):
        members["sheriff"].commit(proposed)
    members["sheriff"].sign_manifest(proposed)
    members["sheriff"].commit(proposed)
    members["sheriff"].commit(proposed)


def test_a_commitment_stays(active, members) -> None:
    sheriff = members["sheriff"]
    sheriff.commit(active)
    key = (active.project, active.fingerprint, 0)
    path = sheriff.home / "keys" / f"contribution-{active.project}-{active.fingerprint}-0.key"
    kept = path.read_bytes()
    path.unlink()
    assert sheriff.keyring.contribution(*key) != kept
    with pytest.raises(AlreadyExistsError, match="another contribution"):
        sheriff.commit(active)
    members["health"].commit(active)
    ProjectHome(sheriff.home, active.project).agreements.keep(active)
    with pytest.raises(AlreadyExistsError, match="another contribution"):
        sheriff.agent().share(sheriff.connection, active.project)


def test_nothing_is_revealed_before_all_have_committed(active, members) -> None:
    sheriff, health = members["sheriff"], members["health"]
    sheriff.commit(active)
    put = sheriff.stub(SecretServiceStub).PutEnvelope
    request = envelope(active, sheriff, health, b"c" * 32)
    with pytest.raises(NotReadyError, match="health has not committed"):
        sheriff.connection.call(put, request)
    health.commit(active)
    sheriff.connection.call(put, request)


def test_a_partner_that_reveals_another_contribution_is_named(agreed, members) -> None:
    social, sheriff = members["social"], members["sheriff"]
    put = social.stub(SecretServiceStub).PutEnvelope
    social.connection.call(put, envelope(agreed, social, sheriff, b"x" * 32))
    with pytest.raises(ContributionError, match="'social' revealed another contribution"):
        sheriff.agent().share(sheriff.connection, agreed.project)
    assert sheriff.keyring.secret(agreed.project, agreed.fingerprint, 0) is None


@pytest.mark.parametrize("field", ["commitment", "signature"])
def test_a_commitment_changed_behind_the_hub_is_refused(hub, agreed, members, field) -> None:
    value = "0" * 64 if field == "commitment" else bytes(64)
    with hub.database().transaction() as connection:
        about = {"project": agreed.project, "partner": "health"}
        assert update(connection, tables.commitment, about, **{field: value}) == 1
    sheriff = members["sheriff"]
    with pytest.raises(SignatureError, match="'health' on the commitment"):
        sheriff.agent().share(sheriff.connection, agreed.project)
    with hub.database().transaction() as connection:
        assert find_all(connection, tables.envelope, project=agreed.project) == []


def test_envelopes_exchanged_behind_the_hub_are_refused(hub, agreed, members) -> None:
    for name in ("health", "social"):
        members[name].agent().share(members[name].connection, agreed.project)
    about = {"project": agreed.project, "recipient": "sheriff"}
    with hub.database().transaction() as connection:
        one, two = find_all(connection, tables.envelope, order="sender", **about)
        for row, other in ((one, two), (two, one)):
            values = {"sealed": other["sealed"], "signature": other["signature"]}
            update(connection, tables.envelope, {**about, "sender": row["sender"]}, **values)
    sheriff = members["sheriff"]
    with pytest.raises(SignatureError, match="'health' on the envelope"):
        sheriff.agent().share(sheriff.connection, agreed.project)


def test_a_partner_that_changes_its_keys_signs_its_part_anew(
    hub, steward, members, tmp_path
) -> None:
    """Commitment and envelope under the old keys count for nothing; nothing else changes."""
    sheriff = members["sheriff"]
    home = tmp_path / "mover"
    Keyring.create(home / "keys")
    party = enrol_member(home, hub.invite("mover"), patience=10)
    mover = Member("mover", home, party.connect(patience=10))
    mover.keyring.trust("sheriff", sheriff.keyring.fingerprint)
    sheriff.keyring.trust("mover", mover.keyring.fingerprint)
    manifest = make_manifest(partners=[{"name": "sheriff"}, {"name": "mover"}])
    steward.propose(manifest)
    for member in (sheriff, mover):
        member.agent().sign(member.connection, manifest)
    assert mover.agent().share(mover.connection, manifest.project).to_reveal == ("sheriff",)
    rotate_keys(home, patience=10)
    mover = Member("mover", home, Party.load(home).connect(patience=10))
    with pytest.raises(UntrustedKeyError, match="changed its keys"):
        sheriff.agent().share(sheriff.connection, manifest.project)
    sheriff.keyring.trust("mover", mover.keyring.fingerprint)
    with pytest.raises(SignatureError, match="'mover' on the commitment"):
        sheriff.agent().share(sheriff.connection, manifest.project)
    mover.agent().sign(mover.connection, manifest)
    with pytest.raises(SignatureError, match="'mover' on the envelope"):
        sheriff.agent().share(sheriff.connection, manifest.project)
    # The sheriff has revealed to the former sealing key or the new one: both open it.
    mover.agent().share(mover.connection, manifest.project, again=True)
    assert sheriff.agent().share(sheriff.connection, manifest.project).complete
    assert mover.agent().share(mover.connection, manifest.project).complete
    key = (manifest.project, manifest.fingerprint, 0)
    assert sheriff.keyring.secret(*key) == mover.keyring.secret(*key)


def test_who_is_no_partner_neither_commits_nor_looks(agreed, members) -> None:
    outsider, county = members["outsider"], members["county"]
    request = secret_pb2.ListCommitmentsRequest(
        project=agreed.project, fingerprint=agreed.fingerprint
    )
    with pytest.raises(NotFoundError):
        outsider.connection.call(outsider.stub(SecretServiceStub).ListCommitments, request)
    with pytest.raises(NotFoundError):
        outsider.commit(agreed)
    with pytest.raises(NotAuthorisedError):
        county.connection.call(county.stub(SecretServiceStub).ListCommitments, request)


def test_the_key_check_says_nothing_of_the_secret(agreed, members) -> None:
    share_all(members, agreed)
    share_all(members, agreed)
    key = (agreed.project, agreed.fingerprint, 0)
    secret = members["sheriff"].keyring.secret(*key)
    assert secret is not None
    check = key_check(secret, *key)
    assert check not in secret.hex()
    assert len(check) == 32
