"""How much is sent: streams that do not end, messages that do not fit, calls by the thousand."""

from __future__ import annotations

import gzip
import itertools
import time
from typing import Any

import grpc
import pytest

from linkage.errors import InvalidRequestError, LimitError
from linkage.rpc.calls import MAX_CALLS_PER_PARTY
from linkage.rpc.server import MAX_CALLS, MAX_MESSAGE_BYTES
from linkage.trust.identity import PartyId, Role
from linkage.v1 import upload_pb2
from linkage.v1.upload_pb2_grpc import UploadServiceStub
from tests.integration.hub.conftest import Hub, raw, small_matrix

from .attack import Attack, memory_of, until
from .wire import Wire, message_head

WRITE = "/linkage.v1.UploadService/WriteUpload"
GET = "/linkage.v1.ProjectService/GetProject"
STREAMS = 10_000
OUTSIDER = PartyId("prairie", Role.PARTNER, "outsider")


def test_an_endless_stream(attack: Attack, agreed: Any, sheriff: Any) -> None:
    """It ends where the announced size does."""
    data = raw(small_matrix(agreed))
    upload = sheriff.create(sheriff.header(agreed, data)).upload
    with attack.refused(LimitError, method="WriteUpload", match="larger than its header"):
        sheriff.write(upload, 0, itertools.repeat(bytes(1 << 20)))
    assert sheriff.status(upload).committed_size <= len(data)


def test_an_endless_stream_of_nothing(attack: Attack, agreed: Any, sheriff: Any) -> None:
    """Messages without a byte would never reach the announced size."""
    data = raw(small_matrix(agreed))
    upload = sheriff.create(sheriff.header(agreed, data)).upload
    with attack.refused(InvalidRequestError, method="WriteUpload", match="hold no bytes"):
        sheriff.write(upload, 0, itertools.repeat(b""))


def test_a_message_of_two_gib(attack: Attack, hub: Hub, members: Any) -> None:
    """Announced and begun: the hub ends the call at the announcement, and takes nothing in."""
    wire = Wire(hub.identity(OUTSIDER))
    with attack.unmoved(most_mib=32):
        for method in (WRITE, GET):
            stream = wire.open(method)
            wire.data(stream, message_head(2 << 30))
            for _ in range(64):
                wire.data(stream, bytes(1 << 20))
                if wire.gone or stream in wire.ended:
                    break
            assert wire.until_ended(stream)
    wire.close()


def test_a_message_a_little_too_large(attack: Attack, sheriff: Any) -> None:
    with attack.unmoved(most_mib=32), pytest.raises(LimitError):
        request = upload_pb2.CreateUploadRequest(header=bytes(MAX_MESSAGE_BYTES + 1))
        sheriff.connection.call(sheriff.stub(UploadServiceStub).CreateUpload, request)


def test_a_message_that_unpacks_to_much_more(attack: Attack, hub: Hub, members: Any) -> None:
    packed = gzip.compress(bytes(256 << 20), 6)
    assert len(packed) < MAX_MESSAGE_BYTES
    wire = Wire(hub.identity(OUTSIDER))
    with attack.unmoved(most_mib=32):
        stream = wire.open(GET, ("grpc-encoding", "gzip"))
        wire.data(stream, b"\x01" + message_head(len(packed))[1:] + packed)
        assert wire.until_ended(stream)
    wire.close()


def test_what_is_no_http(attack: Attack, hub: Hub, members: Any) -> None:
    for junk in (b"\x00" * 100_000, b"\xff" * 100_000, b"GET / HTTP/1.1\r\n\r\n" * 500):
        wire = Wire(hub.identity(OUTSIDER))
        with attack.unmoved():
            wire.send_raw(junk)
            until(lambda wire=wire: wire.listen(0.1) or wire.gone)
        wire.close()


def test_ten_thousand_open_streams(attack: Attack, hub: Hub, members: Any, sheriff: Any) -> None:
    """One party opens them all and says nothing on any: others are served meanwhile."""
    identity = hub.identity(OUTSIDER)
    wires = [Wire(identity) for _ in range(-(-STREAMS // MAX_CALLS))]
    slowest = 0.0
    try:
        logged = attack.logged("WriteUpload", "partner/outsider", "LIMIT_EXCEEDED")
        with attack.unmoved(most_mib=128), logged:
            opened = 0
            for wire in wires:
                for _ in range(min(MAX_CALLS, STREAMS - opened)):
                    wire.open(GET if opened % 2 else WRITE)
                    opened += 1
                start = time.monotonic()
                attack.alive()
                slowest = max(slowest, time.monotonic() - start)
            assert opened == STREAMS
            # The party's own few are all that stay open.
            until(lambda: _open(wires) <= MAX_CALLS_PER_PARTY, seconds=60)
            attack.alive()
        assert slowest < 10
    finally:
        for wire in wires:
            wire.close()
    until(lambda: _free(members["outsider"]))


def test_calls_by_the_thousand(attack: Attack, hub: Hub, members: Any, sheriff: Any) -> None:
    """A flood of small calls from one party: the hub's memory stays, and others get through."""
    outsider = members["outsider"]
    method = outsider.connection.channel.unary_unary(GET)
    with attack.unmoved():
        calls = [method.future(b"\x0a\x01x", timeout=60) for _ in range(3000)]
        attack.alive()
        codes = {call.code() for call in calls}
    status = grpc.StatusCode
    assert codes <= {status.NOT_FOUND, status.RESOURCE_EXHAUSTED, status.UNAVAILABLE}


def _open(wires: list[Wire]) -> int:
    for wire in wires:
        wire.listen(0.02)
    return STREAMS - sum(len(wire.ended) for wire in wires)


def _free(member: Any) -> bool:
    try:
        member.status("0" * 32)
    except LimitError:
        return False
    except Exception as error:
        return "no such upload" in str(error)
    return True


def test_memory_is_measured(hub: Hub) -> None:
    """The bounds above would hold of anything if nothing were measured."""
    assert hub.process is not None
    assert 40 < memory_of(hub.process.pid, "VmRSS") <= memory_of(hub.process.pid, "VmHWM") < 2000
