"""Who calls: strangers, lapsed parties, and parties that claim to be another."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from grpc_health.v1 import health_pb2_grpc

from linkage.errors import (
    InvalidRequestError,
    LinkageError,
    NotAuthorisedError,
    NotFoundError,
    SignatureError,
    UnauthenticatedError,
)
from linkage.hub.membership import Membership
from linkage.rpc.channel import ClientIdentity, Connection, connect
from linkage.rpc.member import enrol_member
from linkage.rpc.party import Party
from linkage.trust.identity import (
    PartyId,
    Role,
    issue_server,
    make_authority,
    make_request,
    new_private_key,
    private_key_pem,
)
from linkage.trust.keyring import Keyring
from linkage.trust.statements import EnvelopeAddress, manifest_statement
from linkage.v1 import (
    comparison_pb2,
    enrolment_pb2,
    project_pb2,
    release_pb2,
    run_pb2,
    secret_pb2,
    upload_pb2,
)
from linkage.v1.comparison_pb2_grpc import ComparisonServiceStub
from linkage.v1.enrolment_pb2_grpc import EnrolmentServiceStub
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub
from linkage.v1.secret_pb2_grpc import SecretServiceStub
from linkage.v1.upload_pb2_grpc import UploadServiceStub
from tests.integration.hub.conftest import Hub, Member, make_manifest, raw, small_matrix

SHERIFF = PartyId("prairie", Role.PARTNER, "sheriff")
LIST = project_pb2.ListProjectsRequest()


def _call(identity: ClientIdentity) -> None:
    """One call, tried a few times: a hub that hangs up may just be stopping."""
    with connect(identity, patience=3) as connection:
        connection.call(ProjectServiceStub(connection.channel).ListProjects, LIST)


def _turned_away(identity: ClientIdentity) -> None:
    """The handshake fails: the hub reads no byte of a call."""
    with pytest.raises(UnauthenticatedError, match="refuses this party's certificate"):
        _call(identity)


def test_no_certificate(attack: Any, hub: Hub) -> None:
    credentials = grpc.ssl_channel_credentials(hub.home.authority.certificate_pem)
    with attack.shut_out(), grpc.secure_channel(hub.address, credentials) as channel:
        for method in (
            ProjectServiceStub(channel).ListProjects,
            health_pb2_grpc.HealthStub(channel).Check,
        ):
            request = LIST
            with pytest.raises(grpc.RpcError) as caught:
                method(request, timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_no_tls_at_all(attack: Any, hub: Hub) -> None:
    with attack.shut_out(), grpc.insecure_channel(hub.address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            ProjectServiceStub(channel).ListProjects(LIST, timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_foreign_authority(attack: Any, hub: Hub) -> None:
    """A certificate that names a real party, of an authority that bears the hub's own name."""
    with attack.shut_out():
        _turned_away(hub.identity(SHERIFF, authority=make_authority("prairie")))


def test_expired(attack: Any, hub: Hub) -> None:
    with attack.shut_out():
        _turned_away(hub.identity(SHERIFF, lifetime=timedelta(seconds=-1)))


def test_not_yet_valid(attack: Any, hub: Hub) -> None:
    with attack.shut_out():
        _turned_away(_made(hub, begins=timedelta(hours=1)))


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["https://prairie/partner/sheriff"],
        ["spiffe://elsewhere/partner/sheriff"],
        ["spiffe://prairie/emperor/sheriff"],
        ["spiffe://prairie/partner/sheriff", "spiffe://prairie/steward/steward"],
        ["spiffe://prairie/partner/sheriff/steward"],
        ["spiffe://prairie/partner/sheriff\n"],
        ["spiffe://prairie/partner/Sheriff"],
    ],
    ids=repr,
)
def test_a_certificate_of_the_hubs_own_authority_that_names_no_party(
    attack: Any, hub: Hub, uris: list[str]
) -> None:
    with attack.unmoved(), pytest.raises(UnauthenticatedError, match="names no party"):
        _call(_made(hub, uris=uris))


def test_the_hubs_own_server_certificate(attack: Any, hub: Hub) -> None:
    key, certificate = issue_server(hub.home.authority, ["127.0.0.1"])
    authority = hub.home.authority.certificate_pem
    with attack.unmoved(), pytest.raises(UnauthenticatedError):
        _call(ClientIdentity(hub.address, authority, key, certificate))


@pytest.mark.parametrize(
    "party",
    [
        PartyId("prairie", Role.PARTNER, "nobody"),
        PartyId("prairie", Role.STEWARD, "sheriff"),
        PartyId("prairie", Role.ASSEMBLER, "sheriff"),
        PartyId("prairie", Role.PARTNER, "steward"),
    ],
    ids=lambda party: f"{party.role}-{party.name}",
)
def test_a_party_the_hub_does_not_know_in_that_role(attack: Any, hub: Hub, party: PartyId) -> None:
    """Signed by the hub's authority, and still nobody."""
    by = f"{party.role}/{party.name}"
    refused = pytest.raises(UnauthenticatedError, match="does not know this party")
    with attack.unmoved(), attack.logged("Check", by, "UNAUTHENTICATED"), refused:
        _call(hub.identity(party))


def test_a_certificate_without_its_key(attack: Any, hub: Hub) -> None:
    """A certificate is public: who has another's can do nothing with it."""
    theirs, mine = hub.identity(SHERIFF), hub.identity(SHERIFF)
    with attack.unmoved(), pytest.raises((LinkageError, ssl.SSLError, ValueError)):
        _call(replace(theirs, key=mine.key))


def test_revoked(attack: Any, hub: Hub, tmp_path: Path) -> None:
    """At its next call, whatever certificate and connection it still has."""
    party = _newcomer(hub, tmp_path, "revoked")
    with party.connect(patience=10) as connection:
        stub = ProjectServiceStub(connection.channel)
        connection.call(stub.ListProjects, LIST)
        Membership(hub.database()).revoke("revoked", "laptop stolen")
        with attack.refused(
            UnauthenticatedError, method="ListProjects", by="partner/revoked", match="ended the"
        ):
            connection.call(stub.ListProjects, LIST)
        with attack.refused(UnauthenticatedError, method="Renew", by="partner/revoked"):
            request = enrolment_pb2.RenewRequest(certificate_request=b"x")
            connection.call(EnrolmentServiceStub(connection.channel).Renew, request)
    with attack.unmoved(), pytest.raises(UnauthenticatedError):
        party.connect(patience=2)


def test_revoked_in_the_middle_of_a_stream(
    attack: Any, hub: Hub, steward: Any, sheriff: Any, tmp_path: Path
) -> None:
    """An upload under way stops within seconds, and no byte comes after."""
    party = _newcomer(hub, tmp_path, "leaver")
    manifest = make_manifest(partners=[{"name": "sheriff"}, {"name": "leaver"}])
    steward.propose(manifest)
    data, hold = raw(small_matrix(manifest)), threading.Event()
    with party.connect(patience=10) as connection:
        leaver = Member("leaver", tmp_path, connection)
        for one in (sheriff, leaver):
            one.sign_manifest(manifest)
        upload = leaver.create(leaver.header(manifest, data)).upload

        def chunks() -> Iterator[bytes]:
            yield data[:100]
            Membership(hub.database()).revoke("leaver", "")
            hold.wait(60)
            yield data[100:]

        started = time.monotonic()
        with pytest.raises(LinkageError):
            leaver.write(upload, 0, chunks())
        assert time.monotonic() - started < 10
        hold.set()
        with attack.refused(UnauthenticatedError, method="WriteUpload", by="partner/leaver"):
            leaver.write(upload, 100, [data[100:]])
    staged = hub.home.path / "staging" / f"{upload}.part"
    assert not staged.exists() or staged.stat().st_size <= 100


OUTSIDE: dict[str, Callable[[Connection, str], object]] = {
    "GetProject": lambda c, name: c.call(
        ProjectServiceStub(c.channel).GetProject, project_pb2.GetProjectRequest(project=name)
    ),
    "SignManifest": lambda c, name: c.call(
        ProjectServiceStub(c.channel).SignManifest,
        project_pb2.SignManifestRequest(project=name, fingerprint="0" * 64, signature=bytes(64)),
    ),
    "ListEnvelopes": lambda c, name: c.call(
        SecretServiceStub(c.channel).ListEnvelopes,
        secret_pb2.ListEnvelopesRequest(project=name),
    ),
    "ListRuns": lambda c, name: c.call(
        RunServiceStub(c.channel).ListRuns, run_pb2.ListRunsRequest(project=name)
    ),
    "ListComparisons": lambda c, name: c.call(
        ComparisonServiceStub(c.channel).ListComparisons,
        comparison_pb2.ListComparisonsRequest(project=name),
    ),
    "ListReleases": lambda c, name: c.call(
        ReleaseServiceStub(c.channel).ListReleases, release_pb2.ListReleasesRequest(project=name)
    ),
}


@pytest.mark.parametrize("method", list(OUTSIDE))
def test_anothers_project(attack: Any, agreed: Any, members: Any, method: str) -> None:
    """A partner of other projects is told the same as about a project that does not exist."""
    outsider, call = members["outsider"].connection, OUTSIDE[method]
    said = []
    for name in (agreed.project, "no-such-project"):
        with attack.refused(NotFoundError, method=method, by="partner/outsider"):
            try:
                call(outsider, name)
            except LinkageError as error:
                said.append(str(error).replace(name, "PROJECT"))
                raise
    assert said[0] == said[1]


def test_anothers_upload_run_and_release(
    attack: Any, agreed: Any, linked: Any, members: Any, sheriff: Any
) -> None:
    """Ids that exist, of what belongs to another, are as good as made up."""
    data = raw(small_matrix(agreed))
    upload = sheriff.create(sheriff.header(agreed, data)).upload
    outsider, health = members["outsider"], members["health"]
    for member in (outsider, health):
        by = f"partner/{member.name}"
        with attack.refused(NotFoundError, method="GetUpload", by=by):
            member.status(upload)
        with attack.refused(NotFoundError, method="WriteUpload", by=by):
            member.write(upload, 0, [data])
        with attack.refused(NotFoundError, method="FinishUpload", by=by):
            member.finish(upload)
    connection = outsider.connection
    runs = RunServiceStub(connection.channel)
    with attack.refused(NotFoundError, method="GetRun", by="partner/outsider"):
        connection.call(runs.GetRun, run_pb2.GetRunRequest(run=linked.run))
    with attack.refused(NotFoundError, method="WatchRun", by="partner/outsider"):
        list(connection.receive(runs.WatchRun, run_pb2.WatchRunRequest(run=linked.run)))
    with attack.refused(NotFoundError, method="GetQualityReport", by="partner/outsider"):
        connection.call(runs.GetQualityReport, run_pb2.GetQualityReportRequest(run=linked.run))


def test_another_role(attack: Any, linked: Any, members: Any, sheriff: Any) -> None:
    """Nobody does what is another role's, whatever it names."""
    runs = RunServiceStub(sheriff.connection.channel)
    with attack.refused(NotAuthorisedError, method="CreateRun"):
        request = run_pb2.CreateRunRequest(project=linked.manifest.project, request_id="a" * 32)
        sheriff.connection.call(runs.CreateRun, request)
    with attack.refused(NotAuthorisedError, method="ListLinks"):
        list(sheriff.connection.receive(runs.ListLinks, run_pb2.ListLinksRequest(run=linked.run)))
    with attack.refused(NotAuthorisedError, method="CreateProject"):
        stub = ProjectServiceStub(sheriff.connection.channel)
        document = linked.manifest.canonical
        sheriff.connection.call(
            stub.CreateProject, project_pb2.CreateProjectRequest(manifest=document)
        )
    county = members["county"].connection
    with attack.refused(NotAuthorisedError, method="CreateUpload", by="assembler/county"):
        county.call(
            UploadServiceStub(county.channel).CreateUpload, upload_pb2.CreateUploadRequest()
        )


def test_the_body_names_another_party(attack: Any, agreed: Any, members: Any, sheriff: Any) -> None:
    """Headers, envelopes and signatures of another, sent under one's own certificate."""
    health, data = members["health"], raw(small_matrix(agreed))
    theirs = health.header(agreed, data).canonical
    with attack.refused(InvalidRequestError, method="CreateUpload", match="another partner"):
        sheriff.create(theirs, health.signature(theirs))
    address = EnvelopeAddress(
        project=agreed.project,
        fingerprint=agreed.fingerprint,
        epoch=0,
        sender="health",
        recipient="sheriff",
    )
    sealed = b"x" * 100
    envelope = secret_pb2.Envelope(
        **address.model_dump(), sealed=sealed, signature=health.signature(address.statement(sealed))
    )
    with attack.refused(InvalidRequestError, method="PutEnvelope"):
        stub = SecretServiceStub(sheriff.connection.channel)
        sheriff.connection.call(stub.PutEnvelope, secret_pb2.PutEnvelopeRequest(envelope=envelope))
    said = manifest_statement(agreed.project, agreed.fingerprint, "health")
    with attack.refused(SignatureError, method="SignManifest"):
        request = project_pb2.SignManifestRequest(
            project=agreed.project,
            fingerprint=agreed.fingerprint,
            signature=health.signature(said),
        )
        stub = ProjectServiceStub(sheriff.connection.channel)
        sheriff.connection.call(stub.SignManifest, request)


def _newcomer(hub: Hub, home: Path, name: str) -> Party:
    Keyring.create(home / "keys")
    return enrol_member(home, hub.invite(name), patience=10)


def _made(
    hub: Hub, *, uris: list[str] | None = None, begins: timedelta = timedelta(minutes=-1)
) -> ClientIdentity:
    """A certificate such as the hub never issues, by the hub's own authority."""
    key, authority, now = new_private_key(), hub.home.authority, datetime.now(UTC)
    request = x509.load_der_x509_csr(make_request(key, "sheriff"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(authority.certificate.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + begins + timedelta(hours=2))
    )
    names = [x509.UniformResourceIdentifier(u) for u in ([SHERIFF.uri] if uris is None else uris)]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    leaf = builder.sign(authority.key, hashes.SHA256())
    return ClientIdentity(
        hub.address,
        authority.certificate_pem,
        private_key_pem(key),
        leaf.public_bytes(serialization.Encoding.PEM),
    )
