"""Signed headers serve once: what was replaced, given up or announced before does not come back."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from linkage.errors import (
    DigestMismatchError,
    FingerprintMismatchError,
    InvalidRequestError,
    NotFoundError,
    ReplayError,
    SignatureError,
    TooLateError,
)
from linkage.store import tables
from linkage.store.sql import find, find_all, update
from linkage.trust.headers import ParcelHeader, expiry, new_nonce, parse_header
from linkage.trust.signing import sign
from linkage.v1 import release_pb2
from linkage.v1.release_pb2_grpc import ReleaseServiceStub

from .conftest import make_manifest, raw, small_matrix


@pytest.fixture
def sheriff(members):
    return members["sheriff"]


def test_a_header_replaced_does_not_come_back_to_life(active, sheriff, hub) -> None:
    old, new = raw(small_matrix(active)), raw(small_matrix(active, seed=1))
    first, second = sheriff.header(active, old), sheriff.header(active, new)
    for header, data in ((first, old), (second, new)):
        status = sheriff.create(header)
        sheriff.write(status.upload, 0, [data])
        sheriff.finish(status.upload)
    with pytest.raises(ReplayError):
        sheriff.create(first)
    with hub.database().transaction() as connection:
        (kept,) = find_all(connection, tables.upload, project=active.project)
    assert parse_header(kept["header"]) == second
    # The present one is still found.
    assert sheriff.create(second).upload == status.upload


def test_a_header_given_up_does_not_come_back_to_life(active, sheriff) -> None:
    data = raw(small_matrix(active))
    given_up, present = sheriff.header(active, data), sheriff.header(active, data)
    sheriff.create(given_up)
    sheriff.create(present)
    with pytest.raises(ReplayError):
        sheriff.create(given_up)


def test_a_nonce_serves_one_header(active, sheriff) -> None:
    data = raw(small_matrix(active))
    nonce = new_nonce()
    sheriff.create(sheriff.header(active, data, nonce=nonce))
    other = raw(small_matrix(active, seed=1))
    with pytest.raises(ReplayError):
        sheriff.create(sheriff.header(active, other, nonce=nonce))


def test_nonces_are_each_partners_own(active, members) -> None:
    nonce = new_nonce()
    for seed, name in enumerate(active.partner_names):
        data = raw(small_matrix(active, seed))
        members[name].create(members[name].header(active, data, nonce=nonce))


def test_a_header_that_was_refused_has_not_used_its_nonce(active, sheriff) -> None:
    data = raw(small_matrix(active))
    nonce = new_nonce()
    with pytest.raises(InvalidRequestError):
        sheriff.create(sheriff.header(active, data, nonce=nonce, epoch=1))
    sheriff.create(sheriff.header(active, data, nonce=nonce))


def test_expired_nonces_are_forgotten_and_their_headers_refused(active, sheriff, hub) -> None:
    data = raw(small_matrix(active))
    header = sheriff.header(active, data)
    sheriff.create(header)
    with hub.database().transaction() as connection:
        about = {"partner": "sheriff", "nonce": header.nonce}
        update(connection, tables.nonce, about, expires_at=1)
    sheriff.create(sheriff.header(active, data))
    with hub.database().transaction() as connection:
        assert find(connection, tables.nonce, **about) is None
    old = header.model_copy(update={"expires": header.expires - timedelta(days=3)})
    with pytest.raises(InvalidRequestError, match="expired"):
        sheriff.create(old)


def test_a_swapped_body_is_refused(active, sheriff) -> None:
    data, other = raw(small_matrix(active)), raw(small_matrix(active, seed=1))
    status = sheriff.create(sheriff.header(active, data))
    sheriff.write(status.upload, 0, [other])
    with pytest.raises(DigestMismatchError):
        sheriff.finish(status.upload)


def test_a_header_for_another_manifest_or_project_is_refused(
    active, steward, members, sheriff
) -> None:
    other = make_manifest()
    steward.propose(other)
    for name in other.partner_names:
        members[name].sign_manifest(other)
    data = raw(small_matrix(active))
    header = sheriff.header(active, data)
    signature = sheriff.signature(header.canonical)
    moved = header.model_copy(update={"project": other.project})
    with pytest.raises(SignatureError):
        sheriff.create(moved, signature)
    with pytest.raises(FingerprintMismatchError):
        sheriff.create(moved)


def test_an_upload_open_too_long_is_not_finished(active, sheriff, hub) -> None:
    data = raw(small_matrix(active))
    status = sheriff.create(sheriff.header(active, data))
    sheriff.write(status.upload, 0, [data])
    with hub.database().transaction() as connection:
        row = find(connection, tables.upload, id=status.upload)
        assert row is not None
        header = parse_header(row["header"])
        old = header.model_copy(update={"expires": header.expires - timedelta(days=5)})
        update(connection, tables.upload, {"id": status.upload}, header=old.canonical)
    with pytest.raises(TooLateError, match="expired"):
        sheriff.finish(status.upload)


def test_an_approval_is_of_one_release_and_stays_one(linked, steward, members) -> None:
    """No nonce: it names a random id, run, threshold and report, and cannot be undone."""
    one, two = (steward.release(linked.run, threshold) for threshold in (0.8, 0.9))
    sheriff, health = members["sheriff"], members["health"]
    key = sheriff.keyring.signing_key

    def approve(member, release: str, signature: bytes):
        request = release_pb2.ApproveReleaseRequest(release=release, signature=signature)
        call = member.stub(ReleaseServiceStub).ApproveRelease
        return member.connection.call(call, request).release

    signature = sign(key, one.statement)
    with pytest.raises(SignatureError):
        approve(sheriff, two.release, signature)
    with pytest.raises(SignatureError):
        approve(health, one.release, signature)
    first = approve(sheriff, one.release, signature)
    again = approve(sheriff, one.release, signature)
    assert list(first.approvals) == list(again.approvals)


def test_a_parcel_header_is_for_one_release(linked, steward, members) -> None:
    one, two = (steward.release(linked.run, threshold) for threshold in (0.8, 0.9))
    sheriff = members["sheriff"]
    for name in linked.manifest.partner_names:
        agent = members[name].agent()
        for release in (one, two):
            agent.approve(members[name].connection, linked.manifest.project, release.release)
    body = b"linkage/parcel/1\n" + b"x" * 100
    header = ParcelHeader(
        project=linked.manifest.project,
        fingerprint=linked.manifest.fingerprint,
        epoch=0,
        partner="sheriff",
        digest=hashlib.sha256(body).hexdigest(),
        size=len(body),
        nonce=new_nonce(),
        expires=expiry(),
        release=one.release,
        recipient="county",
    )
    signature = sheriff.signature(header.canonical)
    with pytest.raises(SignatureError):
        sheriff.create(header.model_copy(update={"release": two.release}).canonical, signature)
    with pytest.raises(InvalidRequestError, match="epoch"):
        sheriff.create(header.model_copy(update={"epoch": 1}).canonical)
    with pytest.raises(NotFoundError):
        sheriff.create(header.model_copy(update={"release": "0" * 32}).canonical)
    status = sheriff.create(header.canonical)
    given_up = header.model_copy(update={"nonce": new_nonce()})
    sheriff.create(given_up.canonical)
    with pytest.raises(ReplayError):
        sheriff.create(header.canonical)
    with pytest.raises(NotFoundError):
        sheriff.status(status.upload)
