"""Connections that gRPC refuses before any code of ours is asked, counted at a real server."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from linkage.errors import NotFoundError
from linkage.rpc.connections import MAX_PEERS, Connections
from linkage.trust.identity import make_authority

from .conftest import Rim

GRACE = 0.5


@pytest.fixture
def connections() -> Connections:
    return Connections(grace=GRACE)


@pytest.fixture
def counted(connections: Connections) -> Iterator[Rim]:
    made = Rim(make_authority("prairie"), connections)
    yield made
    made.server.stop(0)


def shake_hands(rim: Rim) -> None:
    """Over TLS, without a certificate of one's own."""
    context = ssl.create_default_context(cadata=rim.authority.certificate_pem.decode())
    context.set_alpn_protocols(["h2"])
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", rim.server.port), 10) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped,
    ):
        wrapped.recv(1)


def call(rim: Rim) -> None:
    """As a party does: its health check and a call come over one connection."""
    with rim.connect() as connection:
        rim.fail(connection, NotFoundError("nothing there"))


def test_who_is_turned_away_is_counted_and_who_calls_is_not(
    counted: Rim, connections: Connections
) -> None:
    for _ in range(3):
        call(counted)
    for _ in range(2):
        shake_hands(counted)
    socket.create_connection(("127.0.0.1", counted.server.port), 10).close()
    time.sleep(2 * GRACE)
    assert connections.without_call() == 3
    assert connections.without_call() == 0
    call(counted)
    time.sleep(2 * GRACE)
    assert connections.without_call() == 0


def test_memory_is_bounded() -> None:
    connections = Connections(grace=0)
    for number in range(2 * MAX_PEERS):
        connections.began()
        connections.called(f"ipv4:127.0.0.1:{number}")
    for _ in range(1000):
        connections.began()
    assert len(connections._peers) <= MAX_PEERS
    assert len(connections._waiting) <= 2
