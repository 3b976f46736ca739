"""A server that fails as told, and clients of any party, over mutual TLS on loopback."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from datetime import timedelta

import grpc
import pytest
import structlog
from cryptography.hazmat.primitives import serialization

from linkage import errors
from linkage.cli.common import configure_logging
from linkage.errors import LinkageError
from linkage.rpc.channel import ClientIdentity, Connection, connect
from linkage.rpc.connections import Connections
from linkage.rpc.interceptors import Guard, NoAudit
from linkage.rpc.server import Server
from linkage.trust.identity import (
    Authority,
    Credential,
    PartyId,
    Role,
    issue_party,
    issue_server,
    make_authority,
    make_request,
    new_private_key,
    private_key_pem,
)
from linkage.v1 import project_pb2, run_pb2
from linkage.v1.project_pb2_grpc import (
    ProjectServiceServicer,
    ProjectServiceStub,
    add_ProjectServiceServicer_to_server,
)
from linkage.v1.run_pb2_grpc import (
    RunServiceServicer,
    RunServiceStub,
    add_RunServiceServicer_to_server,
)

_HOUR = timedelta(hours=1)


class Failing(ProjectServiceServicer, RunServiceServicer):
    """Raises what it is told, early or in the middle of a stream."""

    error: Exception = RuntimeError()

    def GetProject(self, request, context):  # noqa: N802
        raise self.error

    def WatchRun(self, request, context):  # noqa: N802
        yield run_pb2.WatchRunResponse()
        raise self.error


class Counting(NoAudit):
    """Tells of calls only, as the hub's audit does beside all else."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def called(self, peer: str) -> None:
        self._connections.called(peer)


class Rim:
    """A server that fails as told, and a client connected to it."""

    def __init__(self, authority: Authority, connections: Connections | None = None) -> None:
        self.authority = authority
        connections = connections or Connections()
        self.failing = Failing()
        self.unknown: set[str] = set()
        self.healthy = True

        def register(server: grpc.Server) -> None:
            add_ProjectServiceServicer_to_server(self.failing, server)
            add_RunServiceServicer_to_server(self.failing, server)

        key, certificate = issue_server(authority, ["127.0.0.1"])
        self.server = Server(
            register=register,
            interceptors=[Guard("prairie", self._admit, Counting(connections))],
            issue=lambda: (key, certificate),
            authority=authority.certificate_pem,
            address="127.0.0.1:0",
            healthy=lambda: self.healthy,
            connections=connections,
        )
        self.server.start()

    def _admit(self, credential: Credential) -> None:
        if credential.party.name in self.unknown:
            raise errors.UnauthenticatedError("the hub does not know this party")

    def connect(self, role: Role = Role.PARTNER, name: str = "sheriff") -> Connection:
        key = new_private_key()
        leaf = issue_party(
            self.authority,
            make_request(key, name),
            PartyId("prairie", role, name),
            lifetime=_HOUR,
        )
        identity = ClientIdentity(
            f"127.0.0.1:{self.server.port}",
            self.authority.certificate_pem,
            private_key_pem(key),
            leaf.public_bytes(serialization.Encoding.PEM),
        )
        return connect(identity, patience=10)

    def fail(self, connection: Connection, error: Exception) -> LinkageError:
        self.failing.error = error
        stub = ProjectServiceStub(connection.channel)
        with pytest.raises(LinkageError) as caught:
            connection.call(stub.GetProject, project_pb2.GetProjectRequest(project="x"))
        return caught.value

    def fail_midstream(self, connection: Connection, error: Exception) -> LinkageError:
        self.failing.error = error
        stub = RunServiceStub(connection.channel)
        answers = connection.receive(stub.WatchRun, run_pb2.WatchRunRequest(run="x"))
        next(answers)
        with pytest.raises(LinkageError) as caught:
            next(answers)
        return caught.value


@pytest.fixture(scope="module")
def rim() -> Iterator[Rim]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linkage.rpc.server.HEALTH_SECONDS", 0.1)
        made = Rim(make_authority("prairie"))
        yield made
    made.server.stop(0)


@pytest.fixture(scope="module")
def connection(rim: Rim) -> Iterator[Connection]:
    with rim.connect() as made:
        yield made


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything any logger writes, set up as the commands set it up."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("LINKAGE_LOG", "debug")
    before = structlog.get_config()
    configure_logging()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)
    structlog.configure(**before)
