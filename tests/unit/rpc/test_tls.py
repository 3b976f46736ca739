"""TLS 1.3 and nothing else, on both sides; a server certificate that renews itself."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from linkage.errors import LinkageError
from linkage.rpc.channel import ClientIdentity, connect
from linkage.rpc.server import Server
from linkage.rpc.tls import ServerIdentity
from linkage.trust.identity import (
    Authority,
    PartyId,
    Role,
    issue_party,
    issue_server,
    make_authority,
    make_request,
    new_private_key,
    private_key_pem,
)

OLD = [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("prairie")


@pytest.fixture(scope="module")
def client(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ClientIdentity:
    key = new_private_key()
    party = PartyId("prairie", Role.PARTNER, "sheriff")
    leaf = issue_party(authority, make_request(key, "sheriff"), party, lifetime=timedelta(hours=1))
    chain = leaf.public_bytes(serialization.Encoding.PEM)
    return ClientIdentity("", authority.certificate_pem, private_key_pem(key), chain)


def _server(authority: Authority, lifetime: timedelta = timedelta(days=1)) -> Server:
    return Server(
        register=lambda _: None,
        interceptors=[],
        issue=lambda: issue_server(authority, ["127.0.0.1"], lifetime=lifetime),
        authority=authority.certificate_pem,
        address="127.0.0.1:0",
        healthy=lambda: True,
    )


def _context(client: ClientIdentity, place: Path) -> ssl.SSLContext:
    """A client of the standard library that would take any suite."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=client.authority.decode())
    (place / "client.pem").write_bytes(client.key + client.certificate)
    context.load_cert_chain(place / "client.pem")
    context.set_ciphers("ALL:PSK:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    return context


def _handshake(context: ssl.SSLContext, port: int) -> tuple[str | None, bytes]:
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        return wrapped.version(), wrapped.getpeercert(binary_form=True) or b""


@pytest.mark.parametrize("version", OLD, ids=lambda v: v.name)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_a_client_of_older_tls_is_refused(
    authority: Authority, client: ClientIdentity, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    server = _server(authority)
    server.start()
    try:
        context = _context(client, tmp_path)
        assert _handshake(context, server.port)[0] == "TLSv1.3"
        context.minimum_version = context.maximum_version = version
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            _handshake(context, server.port)
    finally:
        server.stop(0)


def test_our_client_offers_a_server_of_older_tls_nothing(
    authority: Authority, client: ClientIdentity, tmp_path: Path
) -> None:
    key, chain = issue_server(authority, ["127.0.0.1"])
    (tmp_path / "server.pem").write_bytes(key + chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    spoken: list[str | None] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as wrapped:
                    spoken.append(wrapped.version())
            except (OSError, ssl.SSLError):
                continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        identity = ClientIdentity(address, client.authority, client.key, client.certificate)
        with pytest.raises(LinkageError):
            connect(identity, patience=1)
    assert spoken == []


def test_a_server_that_would_speak_older_tls_does_not_start() -> None:
    """A process that imported grpc before linkage."""
    code = (
        "import grpc, tempfile\n"
        "from linkage.errors import InternalError\n"
        "from linkage.rpc.tls import ServerIdentity, require_tls_13\n"
        "from linkage.trust.identity import issue_server, make_authority\n"
        "made = make_authority('prairie')\n"
        "issue = lambda: issue_server(made, ['127.0.0.1'])\n"
        "try: require_tls_13(ServerIdentity(issue, made.certificate_pem))\n"
        "except InternalError as error: print(error)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_SSL_CIPHER_SUITES"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert "would not speak TLS 1.3 alone" in done.stdout


def test_the_setting_of_the_environment_gives_way(authority: Authority) -> None:
    code = "import linkage, os; print(os.environ['GRPC_SSL_CIPHER_SUITES'])"
    environment = {**os.environ, "GRPC_SSL_CIPHER_SUITES": "ECDHE-ECDSA-AES256-GCM-SHA384"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "ECDHE-PSK-CHACHA20-POLY1305"


def test_the_server_certificate_is_renewed_while_it_serves(
    authority: Authority, client: ClientIdentity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ServerIdentity] = []
    start = ServerIdentity.__init__

    def init(self: ServerIdentity, *args: object) -> None:
        start(self, *args)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(ServerIdentity, "__init__", init)
    server = _server(authority, timedelta(hours=1))
    server.start()
    try:
        context = _context(client, tmp_path)
        _, first = _handshake(context, server.port)
        assert _handshake(context, server.port)[1] == first
        made[0]._half -= timedelta(hours=1)
        _, fresh = _handshake(context, server.port)
        assert fresh != first
        assert _handshake(context, server.port)[1] == fresh
        assert x509.load_der_x509_certificate(fresh).issuer == authority.certificate.subject
        identity = ClientIdentity(
            f"127.0.0.1:{server.port}", client.authority, client.key, client.certificate
        )
        with connect(identity, patience=5) as connection:
            assert isinstance(connection.channel, grpc.Channel)
    finally:
        server.stop(0)
