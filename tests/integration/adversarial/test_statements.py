"""What is signed: replayed, moved, altered, or lacking."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import pytest

from linkage.errors import (
    AlreadyExistsError,
    DigestMismatchError,
    FingerprintMismatchError,
    InvalidRequestError,
    KeyCheckMismatchError,
    ManifestError,
    NotAgreedError,
    NotReadyError,
    ReplayError,
    SignatureError,
)
from linkage.hub.steward import Steward
from linkage.trust.headers import ParcelHeader, expiry, new_nonce
from linkage.trust.statements import EnvelopeAddress, manifest_statement
from linkage.v1 import project_pb2, release_pb2, run_pb2, secret_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub
from linkage.v1.secret_pb2_grpc import SecretServiceStub
from tests.integration.hub.conftest import make_manifest, raw, small_matrix

STEWARD = "steward/steward"


def test_a_replayed_upload(attack: Any, active: Any, sheriff: Any, members: Any) -> None:
    """The same signed header again finds what is there, and begins nothing; nor does another's."""
    data = raw(small_matrix(active))
    header = sheriff.header(active, data)
    first = sheriff.create(header)
    sheriff.write(first.upload, 0, [data])
    receipt = sheriff.finish(first.upload)
    with attack.unmoved():
        again = sheriff.create(header)
        assert (again.upload, again.committed_size) == (first.upload, len(data))
        assert sheriff.write(again.upload, 0, [bytes(len(data))]) == len(data)
        assert sheriff.finish(again.upload) == receipt
    signature = sheriff.signature(header.canonical)
    health = members["health"]
    with attack.refused(InvalidRequestError, method="CreateUpload", by="partner/health"):
        health.create(header.canonical, signature)


def test_a_replayed_upload_of_which_a_newer_one_has_taken_the_place(
    attack: Any, active: Any, sheriff: Any, members: Any, steward: Steward
) -> None:
    """An old header, whose encodings were replaced and matched, brings nothing back."""
    old = sheriff.header(active, raw(small_matrix(active)))
    for header_seed in (0, 5):
        data = raw(small_matrix(active, seed=header_seed))
        header = old if header_seed == 0 else sheriff.header(active, data)
        upload = sheriff.create(header).upload
        sheriff.write(upload, 0, [data])
        sheriff.finish(upload)
    members["health"].upload(active, raw(small_matrix(active, seed=7)))
    steward.watch(steward.start_run(active.project).run, lambda _: None)
    with attack.refused(ReplayError, method="CreateUpload"):
        sheriff.create(old)


def test_a_valid_signature_over_another_body(attack: Any, active: Any, sheriff: Any) -> None:
    data, other = raw(small_matrix(active)), raw(small_matrix(active, seed=1))
    header = sheriff.header(active, data)
    signature = sheriff.signature(header.canonical)
    swapped = header.model_copy(update={"digest": hashlib.sha256(other).hexdigest()})
    with attack.refused(SignatureError, method="CreateUpload"):
        sheriff.create(swapped, signature)
    upload = sheriff.create(header).upload
    sheriff.write(upload, 0, [other])
    with attack.refused(DigestMismatchError, method="FinishUpload"):
        sheriff.finish(upload)


def test_a_valid_signature_under_another_manifest(attack: Any, active: Any, sheriff: Any) -> None:
    other = make_manifest()
    header = sheriff.header(active, raw(small_matrix(active)))
    moved = header.model_copy(update={"fingerprint": other.fingerprint})
    with attack.refused(SignatureError, method="CreateUpload"):
        sheriff.create(moved, sheriff.signature(header.canonical))
    with attack.refused(FingerprintMismatchError, method="CreateUpload"):
        sheriff.create(moved)


def test_a_valid_signature_in_another_epoch(attack: Any, active: Any, sheriff: Any) -> None:
    header = sheriff.header(active, raw(small_matrix(active)))
    moved = header.model_copy(update={"epoch": 1})
    with attack.refused(SignatureError, method="CreateUpload"):
        sheriff.create(moved, sheriff.signature(header.canonical))
    with attack.refused(InvalidRequestError, method="CreateUpload", match="epoch 0"):
        sheriff.create(moved)


def test_a_manifest_altered_by_one_byte_after_signing(
    attack: Any, steward_connection: Any, active: Any, sheriff: Any
) -> None:
    """Another document is another agreement: nobody's signature is on it."""
    document = active.canonical
    place = document.index(b"Testing")
    altered = document[:place] + b"tesTing" + document[place + 7 :]
    projects = ProjectServiceStub(steward_connection.channel)
    with attack.refused(ManifestError, method="CreateProject", by=STEWARD, match="version"):
        request = project_pb2.CreateProjectRequest(manifest=altered)
        steward_connection.call(projects.CreateProject, request)
    for place in (0, len(document) // 2, len(document) - 1):
        broken = document[:place] + bytes([document[place] ^ 0x80]) + document[place + 1 :]
        with attack.refused(ManifestError, method="CreateProject", by=STEWARD):
            request = project_pb2.CreateProjectRequest(manifest=broken)
            steward_connection.call(projects.CreateProject, request)
    digest = hashlib.sha256(altered).hexdigest()
    said = manifest_statement(active.project, digest, sheriff.name)
    with attack.refused(FingerprintMismatchError, method="SignManifest"):
        request = project_pb2.SignManifestRequest(
            project=active.project, fingerprint=digest, signature=sheriff.signature(said)
        )
        sheriff.connection.call(sheriff.stub(ProjectServiceStub).SignManifest, request)


def test_nothing_runs_before_all_have_signed(
    attack: Any, steward_connection: Any, proposed: Any, sheriff: Any
) -> None:
    sheriff.sign_manifest(proposed)
    with attack.refused(NotAgreedError, method="CreateUpload", match="health"):
        sheriff.create(sheriff.header(proposed, raw(small_matrix(proposed))))
    with attack.refused(NotAgreedError, method="CreateRun", by=STEWARD, match="health"):
        _start(steward_connection, proposed.project)


def test_key_checks_that_differ(
    attack: Any, steward_connection: Any, active: Any, members: Any
) -> None:
    for number, name in enumerate(active.partner_names):
        data = raw(small_matrix(active, seed=number))
        members[name].upload(active, data, key_check=f"{number:032x}")
    with attack.refused(KeyCheckMismatchError, method="CreateRun", by=STEWARD):
        _start(steward_connection, active.project)


def test_a_second_envelope_for_the_same_recipient(
    attack: Any, active: Any, sheriff: Any, members: Any
) -> None:
    """The first one stays: nobody exchanges a secret that is in use."""
    for name in active.partner_names:
        members[name].commit(active)
    address = EnvelopeAddress(
        project=active.project,
        fingerprint=active.fingerprint,
        epoch=0,
        sender="sheriff",
        recipient="health",
    )

    def put(sealed: bytes, **changes: Any) -> None:
        moved = address.model_copy(update=changes)
        envelope = secret_pb2.Envelope(
            **moved.model_dump(),
            sealed=sealed,
            signature=sheriff.signature(address.statement(sealed)),
        )
        request = secret_pb2.PutEnvelopeRequest(envelope=envelope)
        sheriff.connection.call(sheriff.stub(SecretServiceStub).PutEnvelope, request)

    put(b"a" * 1200)
    with attack.unmoved():
        put(b"a" * 1200)
    with attack.refused(AlreadyExistsError, method="PutEnvelope"):
        put(b"b" * 1200)
    with attack.refused(InvalidRequestError, method="PutEnvelope"):
        put(b"c" * 1200, epoch=1)
    with attack.refused(InvalidRequestError, method="PutEnvelope"):
        put(b"c" * 1200, recipient="sheriff")
    with attack.refused(InvalidRequestError, method="PutEnvelope"):
        put(b"c" * 9000)


@pytest.fixture
def released(steward: Steward, linked: Any, sheriff: Any) -> release_pb2.Release:
    """A release that one of two partners has approved."""
    release = steward.release(linked.run, None)
    _approve(sheriff, release)
    return release


def test_a_release_that_lacks_one_signature(
    attack: Any, linked: Any, released: Any, sheriff: Any, members: Any
) -> None:
    health, county = members["health"], members["county"]
    for member, method, request in (
        (sheriff, "DownloadIndexIds", release_pb2.DownloadIndexIdsRequest),
        (county, "DownloadStudyMap", release_pb2.DownloadStudyMapRequest),
    ):
        by = f"{'partner' if member is sheriff else 'assembler'}/{member.name}"
        with attack.refused(NotReadyError, method=method, by=by):
            call = getattr(member.stub(ReleaseServiceStub), method)
            list(member.connection.receive(call, request(release=released.release)))
    with attack.refused(NotReadyError, method="ListParcels", by="assembler/county"):
        county.connection.call(
            county.stub(ReleaseServiceStub).ListParcels,
            release_pb2.ListParcelsRequest(release=released.release),
        )
    with attack.refused(NotReadyError, method="CreateUpload"):
        sheriff.create(_parcel_header(sheriff, linked.manifest, released.release, b"x"))
    for signature in (sheriff.signature(released.statement), bytes(64)):
        with attack.refused(SignatureError, method="ApproveRelease", by="partner/health"):
            _approve(health, released, signature)


def test_a_parcel_that_is_not_sealed(
    attack: Any, hub: Any, linked: Any, released: Any, sheriff: Any, members: Any
) -> None:
    """A broken agent sends content in clear: nothing of it stays at the hub."""
    _approve(members["health"], released)
    secret = b"Zqzqmarker,crisis,2024-01-01\n" * 300
    index = f'{{"linkage":"parcel/1","parts":[{{"size":{len(secret)},"table":"people"}}]}}\n'
    parcel = index.encode() + secret
    upload = sheriff.create(
        _parcel_header(sheriff, linked.manifest, released.release, parcel)
    ).upload
    sheriff.write(upload, 0, [parcel])
    with attack.refused(InvalidRequestError, method="FinishUpload", match="is not sealed"):
        sheriff.finish(upload)
    places = [p for p in hub.home.path.rglob("*") if p.is_file() and "hub.db" not in p.name]
    assert not any(b"Zqzqmarker" in place.read_bytes() for place in places)
    assert sheriff.status(upload).committed_size == 0


def test_a_second_upload_after_results(attack: Any, linked: Any, sheriff: Any) -> None:
    """Who has seen a result sends no other encodings for the same round."""
    data = raw(small_matrix(linked.manifest))
    with attack.refused(AlreadyExistsError, method="CreateUpload", match="already"):
        sheriff.create(sheriff.header(linked.manifest, data))


def _start(connection: Any, project: str) -> None:
    request = run_pb2.CreateRunRequest(project=project, request_id=secrets.token_hex(16))
    connection.call(RunServiceStub(connection.channel).CreateRun, request)


def _approve(member: Any, release: release_pb2.Release, signature: bytes | None = None) -> None:
    request = release_pb2.ApproveReleaseRequest(
        release=release.release,
        signature=member.signature(release.statement) if signature is None else signature,
    )
    member.connection.call(member.stub(ReleaseServiceStub).ApproveRelease, request)


def _parcel_header(member: Any, manifest: Any, release: str, parcel: bytes) -> ParcelHeader:
    return ParcelHeader(
        project=manifest.project,
        fingerprint=manifest.fingerprint,
        epoch=0,
        partner=member.name,
        digest=hashlib.sha256(parcel).hexdigest(),
        size=len(parcel),
        nonce=new_nonce(),
        expires=expiry(),
        release=release,
        recipient=manifest.assembler,
    )
