"""The policy table is total: every RPC has a row, every row an RPC, every role an answer.

The expected answers are written out here a second time, role by role, so that opening a method to
one more role takes two deliberate changes.
"""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from google.protobuf.descriptor_pool import Default
from grpc_health.v1 import health_pb2

import linkage.v1
from linkage.errors import NotAuthorisedError
from linkage.rpc.channel import _RETRIED
from linkage.rpc.interceptors import authorise
from linkage.rpc.policy import POLICY, Scope
from linkage.trust.identity import PartyId, Role

# Columns: partner, assembler, evaluator, steward, invitee.
COLUMNS = (Role.PARTNER, Role.ASSEMBLER, Role.EVALUATOR, Role.STEWARD, Role.INVITEE)
EXPECTED = {
    "/linkage.v1.EnrolmentService/Enrol": "....x",
    "/linkage.v1.EnrolmentService/Renew": "xxxx.",
    "/linkage.v1.EnrolmentService/Rotate": "xxx..",
    "/linkage.v1.EnrolmentService/ReportKey": "xxx..",
    "/linkage.v1.ProjectService/CreateProject": "...x.",
    "/linkage.v1.ProjectService/GetProject": "xxxx.",
    "/linkage.v1.ProjectService/ListProjects": "xxxx.",
    "/linkage.v1.ProjectService/SignManifest": "x....",
    "/linkage.v1.ProjectService/WithdrawProposal": "...x.",
    "/linkage.v1.ProjectService/RotateEpoch": "...x.",
    "/linkage.v1.SecretService/PutCommitment": "x....",
    "/linkage.v1.SecretService/ListCommitments": "x....",
    "/linkage.v1.SecretService/PutEnvelope": "x....",
    "/linkage.v1.SecretService/ListEnvelopes": "x....",
    "/linkage.v1.UploadService/CreateUpload": "x....",
    "/linkage.v1.UploadService/WriteUpload": "x....",
    "/linkage.v1.UploadService/GetUpload": "x....",
    "/linkage.v1.UploadService/FinishUpload": "x....",
    "/linkage.v1.RunService/CreateRun": "...x.",
    "/linkage.v1.RunService/GetRun": "x..x.",
    "/linkage.v1.RunService/ListRuns": "x..x.",
    "/linkage.v1.RunService/WatchRun": "x..x.",
    "/linkage.v1.RunService/CancelRun": "...x.",
    "/linkage.v1.RunService/GetQualityReport": "xxxx.",
    "/linkage.v1.RunService/ListLinks": "...x.",
    "/linkage.v1.ComparisonService/ListComparisons": "x....",
    "/linkage.v1.ComparisonService/DownloadRequests": "x....",
    "/linkage.v1.ReviewService/ListPairs": "...x.",
    "/linkage.v1.ReviewService/ExplainPair": "...x.",
    "/linkage.v1.ReviewService/DecidePair": "...x.",
    "/linkage.v1.ReviewService/ListDecisions": "...x.",
    "/linkage.v1.ReleaseService/CreateRelease": "...x.",
    "/linkage.v1.ReleaseService/GetRelease": "xxxx.",
    "/linkage.v1.ReleaseService/ListReleases": "xxxx.",
    "/linkage.v1.ReleaseService/ConfirmRelease": "...x.",
    "/linkage.v1.ReleaseService/ApproveRelease": "x....",
    "/linkage.v1.ReleaseService/DownloadIndexIds": "x....",
    "/linkage.v1.ReleaseService/ListParcels": ".x...",
    "/linkage.v1.ReleaseService/DownloadParcel": ".x...",
    "/linkage.v1.ReleaseService/DownloadStudyMap": ".x...",
    "/linkage.v1.ReleaseService/AcknowledgeStudyMap": ".x...",
    "/linkage.v1.LogService/GetCheckpoint": "xxxx.",
    "/linkage.v1.LogService/GetConsistencyProof": "xxxx.",
    "/linkage.v1.LogService/GetInclusionProof": "xxxx.",
    "/linkage.v1.LogService/ListEntries": "xxxx.",
    "/linkage.v1.LogService/PutHead": "xxx..",
    "/linkage.v1.LogService/ListHeads": "xxxx.",
    "/grpc.health.v1.Health/Check": "xxxxx",
    "/grpc.health.v1.Health/Watch": "xxxxx",
    "/grpc.health.v1.Health/List": ".....",
}


def described() -> set[str]:
    """Every method of every service that the generated code describes."""
    files = [health_pb2.DESCRIPTOR]
    for module in pkgutil.iter_modules(linkage.v1.__path__):
        if module.name.endswith("_pb2"):
            files.append(importlib.import_module(f"linkage.v1.{module.name}").DESCRIPTOR)
    return {
        f"/{service.full_name}/{method.name}"
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_every_method_has_a_row_and_every_row_a_method() -> None:
    found = described()
    assert len(found) > 25
    assert set(POLICY) == found


def test_every_method_has_an_expected_answer() -> None:
    assert set(EXPECTED) == described()


@pytest.mark.parametrize("method", sorted(EXPECTED))
@pytest.mark.parametrize("role", list(Role))
def test_each_role_gets_the_expected_answer(method: str, role: Role) -> None:
    caller = PartyId("prairie", role, "somebody")
    if EXPECTED[method][COLUMNS.index(role)] == "x":
        authorise(method, caller)
    else:
        with pytest.raises(NotAuthorisedError):
            authorise(method, caller)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "method",
    ["", "/", "/linkage.v1.RunService/Nothing", "/linkage.v1.runservice/GetRun", "GetRun"],
)
def test_no_row_no_call(method: str, role: Role) -> None:
    with pytest.raises(NotAuthorisedError):
        authorise(method, PartyId("prairie", role, "somebody"))


FIELD = {
    Scope.REQUEST: "project",
    Scope.ENVELOPE: "envelope",
    Scope.COMMITMENT: "commitment",
    Scope.HEADER: "header",
    Scope.RUN: "run",
    Scope.RELEASE: "release",
    Scope.UPLOAD: "upload",
}


@pytest.mark.parametrize("method", sorted(POLICY))
def test_every_request_has_the_field_that_its_scope_reads(method: str) -> None:
    """And none that names a project, or what belongs to one, is outside of every project."""
    service, name = method.strip("/").split("/")
    fields = Default().FindServiceByName(service).methods_by_name[name].input_type.fields_by_name
    scope = POLICY[method].scope
    if scope is Scope.NONE:
        assert not set(FIELD.values()) & set(fields), method
    else:
        assert FIELD[scope] in fields, method
    if "project" in fields:
        assert scope is Scope.REQUEST, method


def test_only_existing_unary_calls_are_retried() -> None:
    """A service configuration with a misspelt method would be silently ignored by gRPC."""
    for service, names in _RETRIED:
        methods = Default().FindServiceByName(service).methods_by_name
        for name in names:
            assert not methods[name].client_streaming, name
            assert not methods[name].server_streaming, name
