"""Connections that gRPC refuses before any code of ours is asked, counted at a real server."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import grpc
import pytest
from cryptography.hazmat.primitives import serialization

from linkage.errors import LinkageError
from linkage.rpc.channel import ClientIdentity, connect
from linkage.rpc.connections import MAX_PEERS, Connections
from linkage.rpc.interceptors import Guard, NoAudit
from linkage.rpc.server import Server
from linkage.trust.identity import (
    PartyId,
    Role,
    issue_party,
    issue_server,
    make_authority,
    make_request,
    new_private_key,
    private_key_pem,
)
from linkage.v1 import project_pb2
from linkage.v1.project_pb2_grpc import (
    ProjectServiceServicer,
    ProjectServiceStub,
    add_ProjectServiceServicer_to_server,
)

GRACE = 0.5
AUTHORITY = make_authority("prairie")


class Told(NoAudit):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def called(self, peer: str) -> None:
        self._connections.called(peer)


@pytest.fixture
def served() -> Iterator[tuple[int, Connections]]:
    connections = Connections(grace=GRACE)

    def register(server: grpc.Server) -> None:
        add_ProjectServiceServicer_to_server(ProjectServiceServicer(), server)

    server = Server(
        register=register,
        interceptors=[Guard("prairie", lambda _: None, Told(connections))],
        issue=lambda: issue_server(AUTHORITY, ["127.0.0.1"]),
        authority=AUTHORITY.certificate_pem,
        address="127.0.0.1:0",
        healthy=lambda: True,
        connections=connections,
    )
    server.start()
    yield server.port, connections
    server.stop(0)


def shake_hands(port: int) -> None:
    """Over TLS, without a certificate of one's own."""
    context = ssl.create_default_context(cadata=AUTHORITY.certificate_pem.decode())
    context.set_alpn_protocols(["h2"])
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", port), 10) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped,
    ):
        wrapped.recv(1)


def call(port: int) -> None:
    """As a party does: its health check and a call come over one connection."""
    key, party = new_private_key(), PartyId("prairie", Role.PARTNER, "sheriff")
    leaf = issue_party(AUTHORITY, make_request(key, party.name), party, lifetime=timedelta(hours=1))
    identity = ClientIdentity(
        f"127.0.0.1:{port}",
        AUTHORITY.certificate_pem,
        private_key_pem(key),
        leaf.public_bytes(serialization.Encoding.PEM),
    )
    with connect(identity, patience=10) as connection, suppress(LinkageError):
        stub = ProjectServiceStub(connection.channel)
        connection.call(stub.ListProjects, project_pb2.ListProjectsRequest())


def test_who_is_turned_away_is_counted_and_who_calls_is_not(
    served: tuple[int, Connections],
) -> None:
    port, connections = served
    for _ in range(3):
        call(port)
    for _ in range(2):
        shake_hands(port)
    socket.create_connection(("127.0.0.1", port), 10).close()
    time.sleep(2 * GRACE)
    assert connections.without_call() == 3
    assert connections.without_call() == 0
    call(port)
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
