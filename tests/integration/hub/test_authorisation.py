"""The authorisation table against a real hub: every RPC, every role, inside and outside.

- The methods are those of the protos, the expected answers those of `test_policy.py` in
  `tests/unit/rpc`; a method that lacks one fails.
- To an outsider, what does not exist and what is another's are one and the same: code, reason,
  message, remedy, and roughly the time it takes.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from linkage.rpc.channel import connect
from linkage.rpc.member import enrol_member
from linkage.rpc.policy import POLICY, Scope
from linkage.trust.identity import PartyId, Role
from linkage.trust.keyring import Keyring
from tests.unit.rpc.test_policy import COLUMNS, EXPECTED, described

from .conftest import make_manifest, raw, small_matrix

NOWHERE = {
    Scope.REQUEST: "no-such-project",
    Scope.ENVELOPE: "no-such-project",
    Scope.COMMITMENT: "no-such-project",
    Scope.HEADER: "no-such-project",
    Scope.RUN: "0" * 32,
    Scope.RELEASE: "0" * 32,
    Scope.UPLOAD: "0" * 32,
}
SCOPED = sorted(method for method, rule in POLICY.items() if rule.scope is not Scope.NONE)


@dataclass(frozen=True)
class Answer:
    """What a caller can tell of an answer."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Place:
    """A project with everything in it, by what a scope reads."""

    subjects: dict[Scope, str]
    parcel: str

    def subject(self, method: str) -> str:
        return self.parcel if "Parcel" in method else self.subjects[POLICY[method].scope]


@pytest.fixture(scope="module")
def channels(hub, members, steward_connection, tmp_path_factory) -> Iterator[dict[Any, Any]]:
    """A channel per role and side; `True` is inside of the project."""
    home = tmp_path_factory.mktemp("visitor")
    Keyring.create(home / "keys")
    visitor = enrol_member(home, hub.invite("visitor", Role.EVALUATOR), patience=10)
    invitee = connect(hub.identity(PartyId("prairie", Role.INVITEE, "guest")), patience=10)
    outside = visitor.connect(patience=10)
    yield {
        (Role.PARTNER, True): members["sheriff"].connection.channel,
        (Role.PARTNER, False): members["outsider"].connection.channel,
        (Role.ASSEMBLER, True): members["county"].connection.channel,
        (Role.ASSEMBLER, False): members["stranger"].connection.channel,
        (Role.EVALUATOR, True): members["reader"].connection.channel,
        (Role.EVALUATOR, False): outside.channel,
        (Role.STEWARD, True): steward_connection.channel,
        (Role.INVITEE, False): invitee.channel,
    }
    for one in (invitee, outside):
        one.__exit__()


@pytest.fixture(scope="module")
def place(steward, members) -> Place:
    """A project of sheriff and health, with a run, a proposed release and uploads."""
    manifest = make_manifest(
        recipients=[
            {"name": "county", "role": "assembler"},
            {"name": "reader", "role": "evaluator"},
        ]
    )
    steward.propose(manifest)
    uploads = {}
    for name in manifest.partner_names:
        members[name].sign_manifest(manifest)
    for seed, name in enumerate(manifest.partner_names):
        uploads[name] = members[name].upload(manifest, raw(small_matrix(manifest, seed))).upload
    run = steward.watch(steward.start_run(manifest.project).run, lambda _: None).run
    release = steward.release(run, 0.5).release
    named = (Scope.REQUEST, Scope.ENVELOPE, Scope.COMMITMENT, Scope.HEADER)
    subjects = dict.fromkeys(named, manifest.project)
    subjects |= {Scope.RUN: run, Scope.RELEASE: release, Scope.UPLOAD: uploads["sheriff"]}
    # There is no parcel before the release is approved; an upload of encodings stands for one.
    return Place(subjects, uploads["sheriff"])


def request_for(method: str, subject: str) -> Any:
    """The smallest request that says what it is about."""
    service, name = method.strip("/").split("/")
    kind = Default().FindServiceByName(service).methods_by_name[name].input_type
    message = GetMessageClass(kind)()
    scope = POLICY[method].scope
    if scope is Scope.HEADER:
        message.header = json.dumps({"project": subject}).encode()
    elif scope is Scope.ENVELOPE:
        message.envelope.project = subject
    elif scope is Scope.COMMITMENT:
        message.commitment.project = subject
    elif scope is not Scope.NONE:
        setattr(message, scope.value, subject)
    return message


def call(channel: Any, method: str, request: Any) -> Answer:
    service, name = method.strip("/").split("/")
    found = Default().FindServiceByName(service).methods_by_name[name]
    make = getattr(
        channel,
        f"{'stream' if found.client_streaming else 'unary'}"
        f"_{'stream' if found.server_streaming else 'unary'}",
    )
    stub = make(
        method,
        request_serializer=type(request).SerializeToString,
        response_deserializer=GetMessageClass(found.output_type).FromString,
    )
    try:
        answer = stub(iter([request]) if found.client_streaming else request, timeout=20)
        if found.server_streaming:
            next(iter(answer), None)
            answer.cancel()
        return Answer(grpc.StatusCode.OK)
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        if status is None:
            return Answer(error.code())
        info = error_details_pb2.ErrorInfo()
        status.details[0].Unpack(info)
        return Answer(error.code(), info.reason, status.message, info.metadata.get("remedy", ""))


def test_every_method_of_the_protos_has_an_expected_answer() -> None:
    assert set(EXPECTED) == described()
    assert all(len(row) == len(COLUMNS) for row in EXPECTED.values())


@pytest.mark.parametrize("method", sorted(EXPECTED))
def test_each_role_gets_its_answer(channels, place, method: str) -> None:
    """Who may not call is refused for the role, before anything of the request counts."""
    for (role, inside), channel in channels.items():
        scope = POLICY[method].scope
        subject = "" if scope is Scope.NONE else place.subject(method)
        answer = call(channel, method, request_for(method, subject))
        where = f"{method} by {role}, {'inside' if inside else 'outside'}: {answer}"
        if EXPECTED[method][COLUMNS.index(role)] == ".":
            assert answer.reason == "NOT_AUTHORISED", where
        elif not inside and scope is not Scope.NONE:
            assert answer.code is grpc.StatusCode.NOT_FOUND, where
        else:
            assert answer.reason != "NOT_AUTHORISED", where
            assert answer.code not in {
                grpc.StatusCode.INTERNAL,
                grpc.StatusCode.UNKNOWN,
                grpc.StatusCode.UNIMPLEMENTED,
            }, where


@pytest.mark.parametrize("method", SCOPED)
def test_an_outsider_cannot_tell_anothers_from_nothing(channels, place, method: str) -> None:
    for role in (Role.PARTNER, Role.ASSEMBLER, Role.EVALUATOR):
        if EXPECTED[method][COLUMNS.index(role)] == ".":
            continue
        channel = channels[role, False]
        theirs = call(channel, method, request_for(method, place.subject(method)))
        nothing = call(channel, method, request_for(method, NOWHERE[POLICY[method].scope]))
        assert theirs == nothing
        assert theirs.reason == "NOT_FOUND"
        assert not any(word in str(theirs) for word in place.subjects.values())


def test_a_partner_cannot_tell_anothers_upload_in_its_own_project(members, place, channels) -> None:
    health = members["health"].connection.channel
    for method in (m for m in SCOPED if POLICY[m].scope is Scope.UPLOAD and "Parcel" not in m):
        theirs = call(health, method, request_for(method, place.subjects[Scope.UPLOAD]))
        assert theirs == call(health, method, request_for(method, "0" * 32))
        assert theirs.reason == "NOT_FOUND"


def test_an_outsider_cannot_tell_by_the_time_it_takes(channels, place) -> None:
    """Interleaved, and by medians: one query answers both."""
    channel, took = channels[Role.PARTNER, False], ([], [])
    method = "/linkage.v1.RunService/GetRun"
    for number in range(120):
        subject = (place.subjects[Scope.RUN], "0" * 32)[number % 2]
        start = time.perf_counter()
        call(channel, method, request_for(method, subject))
        took[number % 2].append(time.perf_counter() - start)
    theirs, nothing = (statistics.median(times) for times in took)
    assert max(theirs, nothing) < 2 * min(theirs, nothing)


@pytest.mark.parametrize("subject", ["x" * 129, "a\0b", "a\nb"])
def test_what_is_no_name_is_refused_alike_for_all(channels, subject: str) -> None:
    for role in (Role.PARTNER, Role.STEWARD):
        answer = call(
            channels[role, True],
            "/linkage.v1.RunService/GetRun",
            request_for("/linkage.v1.RunService/GetRun", subject),
        )
        assert answer.reason == "INVALID_REQUEST"


@pytest.mark.parametrize("header", [b"", b"[]", b"{", b'{"project": 1}', b"[" * 70_000])
def test_a_header_that_names_no_project_is_refused(members, header: bytes) -> None:
    method = "/linkage.v1.UploadService/CreateUpload"
    request = request_for(method, "x")
    request.header = header
    assert call(members["sheriff"].connection.channel, method, request).reason == "INVALID_REQUEST"
