"""Projects, manifests and envelopes: nothing moves that was not signed, nobody looks in."""

from __future__ import annotations

import pytest

from linkage.errors import (
    AlreadyExistsError,
    FingerprintMismatchError,
    InvalidRequestError,
    LinkageError,
    ManifestError,
    NotAgreedError,
    NotAuthorisedError,
    NotFoundError,
    SignatureError,
)
from linkage.store import tables
from linkage.store.sql import find
from linkage.trust.sealing import binding, seal
from linkage.trust.statements import EnvelopeAddress, manifest_statement
from linkage.v1 import project_pb2, release_pb2, run_pb2, secret_pb2, upload_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub
from linkage.v1.secret_pb2_grpc import SecretServiceStub
from linkage.v1.upload_pb2_grpc import UploadServiceStub

from .conftest import make_manifest, raw, small_matrix


def _sign(member, project: str, fingerprint: str, signature: bytes):
    request = project_pb2.SignManifestRequest(
        project=project, fingerprint=fingerprint, signature=signature
    )
    return member.connection.call(member.stub(ProjectServiceStub).SignManifest, request).project


def _said(member, manifest) -> bytes:
    return member.signature(manifest_statement(manifest.project, manifest.fingerprint, member.name))


def test_a_project_is_active_once_all_have_signed(proposed, members) -> None:
    sheriff, health = members["sheriff"], members["health"]
    shown = _sign(sheriff, proposed.project, proposed.fingerprint, _said(sheriff, proposed))
    assert shown.state == project_pb2.PROJECT_STATE_PROPOSED
    shown = _sign(health, proposed.project, proposed.fingerprint, _said(health, proposed))
    assert shown.state == project_pb2.PROJECT_STATE_ACTIVE
    assert shown.manifest == proposed.canonical
    again = _sign(health, proposed.project, proposed.fingerprint, _said(health, proposed))
    assert list(again.signatures) == list(shown.signatures)


def test_another_manifest_is_not_signed(proposed, members) -> None:
    other = make_manifest(project=proposed.project, purpose="Something else")
    with pytest.raises(FingerprintMismatchError):
        _sign(members["sheriff"], proposed.project, other.fingerprint, b"")


def test_an_agent_refuses_to_sign_what_the_hub_shows_differently(proposed, members) -> None:
    other = make_manifest(project=proposed.project, purpose="What the partner read")
    sheriff = members["sheriff"]
    with pytest.raises(FingerprintMismatchError):
        sheriff.agent().sign(sheriff.connection, other)


def test_nobody_signs_for_another(proposed, members) -> None:
    sheriff, health = members["sheriff"], members["health"]
    for signature in (_said(health, proposed), bytes(64), b""):
        with pytest.raises(SignatureError):
            _sign(sheriff, proposed.project, proposed.fingerprint, signature)


def test_a_signature_for_another_project_is_worth_nothing(steward, proposed, members) -> None:
    other = make_manifest()
    steward.propose(other)
    with pytest.raises(SignatureError):
        _sign(
            members["sheriff"],
            proposed.project,
            proposed.fingerprint,
            _said(members["sheriff"], other),
        )


def test_a_project_keeps_its_manifest(steward, proposed) -> None:
    assert steward.propose(proposed).fingerprint == proposed.fingerprint
    with pytest.raises(AlreadyExistsError):
        steward.propose(make_manifest(project=proposed.project, purpose="Other"))


@pytest.mark.parametrize(
    "document", [b"", b"{}", b"\xff", b"[]", b"null"], ids=["empty", "object", "bytes", "list", "-"]
)
def test_what_is_no_manifest_is_refused(steward_connection, document: bytes) -> None:
    stub = ProjectServiceStub(steward_connection.channel)
    request = project_pb2.CreateProjectRequest(manifest=document, request_id="r" * 16)
    with pytest.raises(ManifestError):
        steward_connection.call(stub.CreateProject, request)


def test_a_manifest_has_one_form_and_a_future(steward_connection, steward) -> None:
    stub = ProjectServiceStub(steward_connection.channel)
    spaced = make_manifest().canonical.replace(b",", b", ", 1)
    request = project_pb2.CreateProjectRequest(manifest=spaced, request_id="r" * 16)
    with pytest.raises(ManifestError, match="canonical"):
        steward_connection.call(stub.CreateProject, request)
    with pytest.raises(ManifestError, match="expired"):
        steward.propose(make_manifest(expires="2001-01-01"))


def _scoped_calls(project: str, fingerprint: str):
    """Every call that names a project or something inside one, with a name that fits."""
    unknown = "0" * 32
    address = {
        "project": project,
        "fingerprint": fingerprint,
        "epoch": 0,
        "sender": "outsider",
        "recipient": "health",
    }
    return [
        (ProjectServiceStub, "GetProject", project_pb2.GetProjectRequest(project=project)),
        (
            ProjectServiceStub,
            "SignManifest",
            project_pb2.SignManifestRequest(project=project, fingerprint=fingerprint),
        ),
        (
            SecretServiceStub,
            "PutEnvelope",
            secret_pb2.PutEnvelopeRequest(envelope=secret_pb2.Envelope(**address, sealed=b"x")),
        ),
        (
            SecretServiceStub,
            "PutCommitment",
            secret_pb2.PutCommitmentRequest(
                commitment=secret_pb2.Commitment(
                    project=project,
                    fingerprint=fingerprint,
                    epoch=0,
                    partner="outsider",
                    commitment="0" * 64,
                )
            ),
        ),
        (
            SecretServiceStub,
            "ListCommitments",
            secret_pb2.ListCommitmentsRequest(project=project, fingerprint=fingerprint),
        ),
        (SecretServiceStub, "ListEnvelopes", secret_pb2.ListEnvelopesRequest(project=project)),
        (RunServiceStub, "ListRuns", run_pb2.ListRunsRequest(project=project)),
        (RunServiceStub, "GetRun", run_pb2.GetRunRequest(run=unknown)),
        (ReleaseServiceStub, "ListReleases", release_pb2.ListReleasesRequest(project=project)),
    ]


def _error(member, stub, method: str, request) -> LinkageError:
    with pytest.raises(LinkageError) as caught:
        member.connection.call(getattr(member.stub(stub), method), request)
    return caught.value


def test_whoever_is_outside_cannot_tell_a_project_from_none(active, members) -> None:
    """Type, text and remedy are those of a project that does not exist."""
    outsider, nowhere = members["outsider"], "p" + active.project[1:] + "x"
    there = _scoped_calls(active.project, active.fingerprint)
    not_there = _scoped_calls(nowhere, active.fingerprint)
    for (stub, method, request), (_, _, other) in zip(there, not_there, strict=True):
        one, two = (_error(outsider, stub, method, r) for r in (request, other))
        assert type(one) is NotFoundError, method
        assert type(two) is NotFoundError, method
        assert str(one).replace(active.project, "?") == str(two).replace(nowhere, "?"), method
    header = outsider.header(active, b"x")
    for project in (active.project, nowhere):
        with pytest.raises(NotFoundError):
            outsider.create(header.model_copy(update={"project": project}))


def test_whoever_is_outside_cannot_tell_a_run_or_release(linked, steward, members) -> None:
    release = steward.release(linked.run, None).release
    unknown = "0" * 32
    calls = [
        ("outsider", RunServiceStub, "GetRun", run_pb2.GetRunRequest, "run", linked.run),
        (
            "outsider",
            RunServiceStub,
            "GetQualityReport",
            run_pb2.GetQualityReportRequest,
            "run",
            linked.run,
        ),
        (
            "outsider",
            ReleaseServiceStub,
            "GetRelease",
            release_pb2.GetReleaseRequest,
            "release",
            release,
        ),
        (
            "outsider",
            ReleaseServiceStub,
            "ApproveRelease",
            release_pb2.ApproveReleaseRequest,
            "release",
            release,
        ),
        (
            "stranger",
            ReleaseServiceStub,
            "ListParcels",
            release_pb2.ListParcelsRequest,
            "release",
            release,
        ),
        (
            "stranger",
            ReleaseServiceStub,
            "AcknowledgeStudyMap",
            release_pb2.AcknowledgeStudyMapRequest,
            "release",
            release,
        ),
    ]
    for name, stub, method, request, field, known in calls:
        one, two = (
            _error(members[name], stub, method, request(**{field: value}))
            for value in (known, unknown)
        )
        assert (type(one), str(one)) == (type(two), str(two)), method
        assert type(one) is NotFoundError


def test_an_upload_is_its_partners_alone(active, members) -> None:
    data = raw(small_matrix(active))
    upload = members["sheriff"].create(members["sheriff"].header(active, data)).upload
    for name in ("health", "outsider"):
        for method, request in (
            ("GetUpload", upload_pb2.GetUploadRequest),
            ("FinishUpload", upload_pb2.FinishUploadRequest),
        ):
            one, two = (
                _error(members[name], UploadServiceStub, method, request(upload=value))
                for value in (upload, "0" * 32)
            )
            assert (type(one), str(one)) == (NotFoundError, str(two))
        with pytest.raises(NotFoundError):
            members[name].write(upload, 0, [b"x"])
    assert members["sheriff"].status(upload).committed_size == 0


def test_only_its_members_see_a_project_listed(active, members) -> None:
    for name, sees in (("sheriff", True), ("county", True), ("outsider", False), ("reader", False)):
        member = members[name]
        request = project_pb2.ListProjectsRequest()
        listed = member.connection.call(member.stub(ProjectServiceStub).ListProjects, request)
        assert (active.project in listed.projects) is sees


def test_a_name_that_no_database_takes_is_refused(members) -> None:
    sheriff = members["sheriff"]
    for stub, method, request in (
        (ProjectServiceStub, "GetProject", project_pb2.GetProjectRequest(project="a\0b")),
        (ProjectServiceStub, "GetProject", project_pb2.GetProjectRequest(project="a" * 1000)),
        (RunServiceStub, "GetRun", run_pb2.GetRunRequest(run="a\0b")),
        (RunServiceStub, "GetRun", run_pb2.GetRunRequest(run="a" * 1000)),
        (ReleaseServiceStub, "GetRelease", release_pb2.GetReleaseRequest(release="a\0b")),
    ):
        assert type(_error(sheriff, stub, method, request)) is InvalidRequestError


def test_a_role_counts_only_as_the_manifest_gives_it(steward, members) -> None:
    """A partner of other projects that only reads here signs nothing and uploads nothing."""
    manifest = make_manifest(
        recipients=[
            {"name": "county", "role": "assembler"},
            {"name": "social", "role": "evaluator"},
        ]
    )
    steward.propose(manifest)
    social = members["social"]
    with pytest.raises(NotAuthorisedError):
        social.sign_manifest(manifest)
    for name in manifest.partner_names:
        members[name].sign_manifest(manifest)
    with pytest.raises(NotAuthorisedError):
        social.upload(manifest, raw(small_matrix(manifest)))
    assert [s.partner for s in steward.project(manifest.project).signatures] == [
        "health",
        "sheriff",
    ]


def _envelope(manifest, member, recipient: str, sealed: bytes, changes=None):
    address = EnvelopeAddress(
        project=manifest.project,
        fingerprint=manifest.fingerprint,
        epoch=0,
        sender=member.name,
        recipient=recipient,
    )
    fields = {
        **address.model_dump(),
        "sealed": sealed,
        "signature": member.signature(address.statement(sealed)),
        **(changes or {}),
    }
    return secret_pb2.PutEnvelopeRequest(envelope=secret_pb2.Envelope(**fields))


def _sealed(members, name: str) -> bytes:
    return seal(members[name].keyring.sealing_key.public, b"s" * 32, binding("project secret"))


def test_an_envelope_cannot_be_replaced(active, members) -> None:
    sheriff, health = members["sheriff"], members["health"]
    sheriff.commit(active)
    health.commit(active)
    put = sheriff.stub(SecretServiceStub).PutEnvelope
    first = _sealed(members, "health")
    sheriff.connection.call(put, _envelope(active, sheriff, "health", first))
    sheriff.connection.call(put, _envelope(active, sheriff, "health", first))
    with pytest.raises(AlreadyExistsError):
        sheriff.connection.call(
            put, _envelope(active, sheriff, "health", _sealed(members, "health"))
        )
    request = secret_pb2.ListEnvelopesRequest(project=active.project)
    listed = health.connection.call(health.stub(SecretServiceStub).ListEnvelopes, request)
    assert [(e.sender, e.recipient, e.sealed) for e in listed.envelopes] == [
        ("sheriff", "health", first)
    ]
    listed = sheriff.connection.call(sheriff.stub(SecretServiceStub).ListEnvelopes, request)
    assert not listed.envelopes


@pytest.mark.parametrize(
    ("recipient", "changes", "expected"),
    [
        ("health", {"sender": "health"}, InvalidRequestError),
        ("sheriff", {}, InvalidRequestError),
        ("county", {}, InvalidRequestError),
        ("nobody", {}, InvalidRequestError),
        ("health", {"sealed": b""}, InvalidRequestError),
        ("health", {"sealed": b"x" * 8193}, InvalidRequestError),
        ("health", {"recipient": "../health"}, InvalidRequestError),
        ("health", {"epoch": 1}, InvalidRequestError),
        ("health", {"fingerprint": "a" * 64}, FingerprintMismatchError),
        ("health", {"sealed": b"other"}, SignatureError),
        ("health", {"signature": bytes(64)}, SignatureError),
        ("health", {"project": "elsewhere"}, NotFoundError),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict | str) else "",
)
def test_an_envelope_is_from_its_sender_to_a_partner(
    hub, active, members, recipient: str, changes: dict, expected: type
) -> None:
    sheriff = members["sheriff"]
    put = sheriff.stub(SecretServiceStub).PutEnvelope
    with pytest.raises(expected):
        sheriff.connection.call(put, _envelope(active, sheriff, recipient, b"sealed", changes))
    with hub.database().transaction() as connection:
        assert find(connection, tables.envelope, project=active.project) is None


def test_nothing_is_uploaded_before_all_have_signed(proposed, members) -> None:
    sheriff = members["sheriff"]
    sheriff.sign_manifest(proposed)
    with pytest.raises(NotAgreedError, match="not signed by health"):
        sheriff.create(sheriff.header(proposed, raw(small_matrix(proposed))))
