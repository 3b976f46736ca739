"""Nobody holds the hub's threads for long, or many of them, whatever is or is not sent."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from linkage.errors import InvalidRequestError, LimitError, NotAuthorisedError
from linkage.rpc import calls
from linkage.rpc.calls import MAX_CALLS_PER_PARTY, Calls
from linkage.rpc.channel import Connection
from linkage.rpc.server import WORKERS
from linkage.rpc.status import from_call
from linkage.trust.identity import Role
from linkage.v1 import project_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub

from .conftest import Rim

GET = "/linkage.v1.ProjectService/GetProject"


class Context:
    """Only counts how often it was cancelled."""

    cancelled = 0

    def cancel(self) -> None:
        self.cancelled += 1


class Silence:
    """A stream of requests on which nothing comes until it is let go."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        self.over.wait(60)
        yield from ()


def _raw(connection: Connection, method: str = GET) -> grpc.StreamUnaryMultiCallable:
    """The method as bytes, with as many or few messages as one likes."""
    return connection.channel.stream_unary(method, lambda data: data, lambda data: data)


def _refused(connection: Connection, messages: list[bytes], method: str = GET) -> Exception:
    with pytest.raises(grpc.RpcError) as caught:
        _raw(connection, method)(iter(messages), timeout=20)
    return from_call(caught.value)


def test_who_sends_nothing_holds_its_own_threads_only(rim: Rim) -> None:
    """A call whose message never comes is counted all the same."""
    quiet = Silence()
    with rim.connect(name="quiet") as attacker, rim.connect(name="modest") as modest:
        method = _raw(attacker)
        held = [method.future(iter(quiet), timeout=60) for _ in range(2 * WORKERS)]
        check = health_pb2_grpc.HealthStub(modest.channel).Check
        for _ in range(20):
            assert modest.call(check, health_pb2.HealthCheckRequest(), seconds=5).status
        give_up = time.monotonic() + 20
        while sum(call.done() for call in held) < len(held) - MAX_CALLS_PER_PARTY:
            assert time.monotonic() < give_up
            time.sleep(0.05)
        assert sum(not call.done() for call in held) == MAX_CALLS_PER_PARTY
        quiet.over.set()
        for call in held:
            call.cancel()


def test_the_hub_does_not_wait_for_ever(rim: Rim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MESSAGE_SECONDS", 0.3)
    quiet = Silence()
    with rim.connect(name="sleeper") as connection:
        start = time.monotonic()
        with pytest.raises(grpc.RpcError):
            _raw(connection)(iter(quiet), timeout=60)
        assert time.monotonic() - start < 10
        quiet.over.set()
        # The thread is free again.
        check = health_pb2_grpc.HealthStub(connection.channel).Check
        assert connection.call(check, health_pb2.HealthCheckRequest()).status


@pytest.mark.parametrize(
    "message", [b"\xff" * 30, b"\x0a\x7f", b"\x0b" * 300], ids=["tag", "cut", "group"]
)
def test_what_cannot_be_parsed_is_the_senders_fault(
    rim: Rim, log: io.StringIO, message: bytes
) -> None:
    with rim.connect() as connection:
        assert type(_refused(connection, [message])) is InvalidRequestError
        assert type(_refused(connection, [])) is InvalidRequestError
    assert log.getvalue().count("INVALID_REQUEST") >= 2


def test_nothing_is_parsed_for_who_may_not_call(rim: Rim, log: io.StringIO) -> None:
    with rim.connect(Role.INVITEE, "new") as connection:
        assert type(_refused(connection, [b"\xff" * 30])) is NotAuthorisedError
    assert "NOT_AUTHORISED" in log.getvalue()


def test_a_method_that_does_not_exist_is_refused_and_logged(rim: Rim, log: io.StringIO) -> None:
    with rim.connect() as connection:
        for method in ("/linkage.v1.ProjectService/Nothing", "/x/" + "y" * 2000):
            assert type(_refused(connection, [b""], method)) is NotAuthorisedError
    lines = [json.loads(line) for line in log.getvalue().splitlines() if '"call"' in line]
    assert [line["method"] for line in lines].count("unknown") == 2
    assert "Nothing" not in log.getvalue()


def test_what_is_packed_is_not_even_unpacked(rim: Rim) -> None:
    """64 MiB of one letter is 64 KiB on the wire."""
    request = project_pb2.GetProjectRequest(project="a" * (64 << 20))
    with rim.connect() as connection:
        method = ProjectServiceStub(connection.channel).GetProject
        with pytest.raises(grpc.RpcError) as caught:
            method(request, timeout=20, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_ending_a_partys_calls_ends_those_and_no_others() -> None:
    open_calls, mine, theirs = Calls(), Context(), Context()
    with open_calls.admitted("me", mine) as call, open_calls.admitted("them", theirs):
        open_calls.end("me", "revoked")
        open_calls.end("nobody", "revoked")
        assert (mine.cancelled, theirs.cancelled, call.over) == (1, 0, "revoked")
    open_calls.end("me", "revoked")
    assert mine.cancelled == 1


def test_calls_that_last_too_long_are_ended() -> None:
    open_calls, context = Calls(), Context()
    with open_calls.admitted("me", context) as call:
        open_calls.look(time.monotonic())
        assert context.cancelled == 0
        open_calls.look(time.monotonic() + calls.CALL_SECONDS + 1)
        assert context.cancelled == 1
        assert call.over is not None


def test_a_call_that_is_over_is_no_longer_counted() -> None:
    open_calls = Calls()
    for _ in range(3 * MAX_CALLS_PER_PARTY):
        with pytest.raises(KeyError), open_calls.admitted("me", Context()):
            raise KeyError
    held = [open_calls.admitted("me", Context()) for _ in range(MAX_CALLS_PER_PARTY)]
    for one in held:
        one.__enter__()
    with pytest.raises(LimitError, match="under way"), open_calls.admitted("me", Context()):
        pass
    with open_calls.admitted("them", Context()):
        pass
    for one in held:
        one.__exit__(None, None, None)
