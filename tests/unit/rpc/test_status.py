"""Errors cross the wire as themselves; what is not ours crosses as nothing but a reference.

Against a real server and a real client over mutual TLS on loopback.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from linkage import errors
from linkage.errors import LinkageError, Problem, SourceError
from linkage.rpc.calls import MAX_CALLS_PER_PARTY
from linkage.rpc.channel import Connection
from linkage.rpc.server import WORKERS
from linkage.rpc.status import code_of, unavailable
from linkage.trust.identity import (
    Role,
)
from linkage.v1 import run_pb2
from linkage.v1.run_pb2_grpc import (
    RunServiceStub,
)

from .conftest import Rim

MARKER = "MARKER-4711-Müller"
TREE = sorted(errors.by_reason().items())


def _make(cls: type[LinkageError], remedy: str | None) -> LinkageError:
    if cls is SourceError:
        return SourceError("people.csv", [Problem(3, "dob", "not a date")], remedy=remedy)
    return cls("something is wrong", remedy=remedy)


def test_every_class_has_a_reason_of_its_own() -> None:
    def count(cls: type[LinkageError]) -> int:
        return 1 + sum(count(sub) for sub in cls.__subclasses__())

    assert len(TREE) == count(LinkageError)


@pytest.mark.parametrize(("reason", "cls"), TREE, ids=[reason for reason, _ in TREE])
@pytest.mark.parametrize("remedy", [None, "Do this"], ids=["", "remedy"])
def test_every_class_comes_back_as_itself(
    rim: Rim, connection: Connection, reason: str, cls: type[LinkageError], remedy: str | None
) -> None:
    sent = _make(cls, remedy)
    for fail in (rim.fail, rim.fail_midstream):
        got = fail(connection, sent)
        # A file's problems stay with whoever holds the file; the wire has the text.
        assert type(got) is (errors.InputError if cls is SourceError else cls)
        assert (got.message, got.remedy) == (sent.message, remedy)


@pytest.mark.parametrize(("reason", "cls"), TREE, ids=[reason for reason, _ in TREE])
def test_every_class_has_a_code_that_is_an_error(reason: str, cls: type[LinkageError]) -> None:
    code = code_of(_make(cls, None))
    assert code not in (0, 2)
    # UNAVAILABLE is what the client's service configuration repeats by itself.
    assert (code == 14) == (cls is errors.HubUnavailableError)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(MARKER),
        KeyError(MARKER),
        ValueError("a", MARKER),
    ],
    ids=["runtime", "key", "two"],
)
def test_what_is_not_ours_leaks_nothing(
    rim: Rim, connection: Connection, log: io.StringIO, error: Exception
) -> None:
    for fail in (rim.fail, rim.fail_midstream):
        got = fail(connection, error)
        assert type(got) is errors.InternalError
        assert "MARKER" not in str(got)
        reference = str(got).split()[-1]
        assert reference in log.getvalue()
    assert "MARKER" not in log.getvalue()


def test_a_cause_does_not_leak_either(rim: Rim, connection: Connection, log: io.StringIO) -> None:
    error = RuntimeError("outer")
    error.__cause__ = ValueError(MARKER)
    error.__context__ = KeyError(MARKER)
    error.add_note(MARKER)
    assert "MARKER" not in str(rim.fail(connection, error))
    assert "MARKER" not in log.getvalue()


def test_the_text_of_our_own_errors_stays_out_of_the_log(
    rim: Rim, connection: Connection, log: io.StringIO
) -> None:
    rim.fail(connection, errors.NotReadyError("waiting for MARKER"))
    assert "MARKER" not in log.getvalue()
    assert "NOT_READY" in log.getvalue()


def test_a_long_text_still_arrives_as_the_error_it_is(rim: Rim, connection: Connection) -> None:
    """Status travels in trailers, which are bounded: a long text must not burst them."""
    sent = errors.ManifestError("ü" * 20_000, remedy="r" * 20_000)
    got = rim.fail(connection, sent)
    assert type(got) is errors.ManifestError
    assert got.message.startswith("üüü")


def test_every_call_leaves_one_line_denied_ones_too(rim: Rim, log: io.StringIO) -> None:
    rim.unknown.add("stranger")
    with rim.connect() as connection, rim.connect(Role.EVALUATOR, "reader") as other:
        rim.fail(connection, errors.NotFoundError("x"))
        stub = RunServiceStub(other.channel)
        with pytest.raises(errors.NotAuthorisedError):
            other.call(stub.GetRun, run_pb2.GetRunRequest(run="x"))
    with pytest.raises(errors.UnauthenticatedError):
        rim.connect(name="stranger")
    lines = [json.loads(line) for line in log.getvalue().splitlines() if '"call"' in line]
    outcomes = {(line["method"].split("/")[-1], line["party"], line["outcome"]) for line in lines}
    assert ("GetProject", "spiffe://prairie/partner/sheriff", "NOT_FOUND") in outcomes
    assert ("GetRun", "spiffe://prairie/evaluator/reader", "NOT_AUTHORISED") in outcomes
    assert ("Check", "spiffe://prairie/partner/stranger", "UNAUTHENTICATED") in outcomes
    assert {frozenset(line) for line in lines} == {
        frozenset({"event", "method", "party", "outcome", "ms", "level", "timestamp"})
    }


def test_one_party_cannot_hold_every_thread(rim: Rim) -> None:
    """Every open stream holds a thread of the server: one party's are bounded."""
    request = health_pb2.HealthCheckRequest()
    with rim.connect(Role.INVITEE, "greedy") as greedy, rim.connect(name="modest") as modest:
        watch = health_pb2_grpc.HealthStub(greedy.channel).Watch
        streams = [watch(request, timeout=60) for _ in range(MAX_CALLS_PER_PARTY)]
        for stream in streams:
            next(stream)
        for _ in range(2 * WORKERS):
            with pytest.raises(errors.LimitError, match="calls under way"):
                next(greedy.receive(watch, request))
        check = health_pb2_grpc.HealthStub(modest.channel).Check
        assert modest.call(check, request, seconds=5).status
        for stream in streams:
            stream.cancel()
        give_up = time.monotonic() + 10
        while True:
            try:
                next(greedy.receive(watch, request))
                break
            except errors.LimitError:
                assert time.monotonic() < give_up


def test_health_says_what_it_is_told(rim: Rim) -> None:
    with rim.connect(Role.INVITEE, "new") as connection:
        stub = health_pb2_grpc.HealthStub(connection.channel)
        watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=20)
        states = health_pb2.HealthCheckResponse
        assert next(watching).status == states.SERVING
        rim.healthy = False
        assert next(watching).status == states.NOT_SERVING
        rim.healthy = True
        assert next(watching).status == states.SERVING
        watching.cancel()


def test_a_health_check_that_fails_means_not_serving_and_is_asked_again(rim: Rim) -> None:
    """The thread that asks must outlive any error of what it asks."""

    def broken() -> bool:
        raise TimeoutError(MARKER)

    with rim.connect() as connection:
        stub = health_pb2_grpc.HealthStub(connection.channel)
        watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=20)
        states = health_pb2.HealthCheckResponse
        assert next(watching).status == states.SERVING
        whole: Callable[[], bool] = rim.server._healthy
        rim.server._healthy = broken
        try:
            assert next(watching).status == states.NOT_SERVING
        finally:
            rim.server._healthy = whole
        assert next(watching).status == states.SERVING
        watching.cancel()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ssl handshake failed: CERTIFICATE_VERIFY_FAILED", errors.UnauthenticatedError),
        ("Hostname Verification Check failed.", errors.UnauthenticatedError),
        ("SSL_ERROR_SSL: TLSV1_ALERT_UNKNOWN_CA", errors.UnauthenticatedError),
        ("failed to connect to all addresses; Connection refused", errors.HubUnavailableError),
        ("Socket closed", errors.HubUnavailableError),
        ("", errors.HubUnavailableError),
    ],
)
def test_being_away_is_told_from_being_refused(text: str, expected: type) -> None:
    assert type(unavailable(text)) is expected
