"""TLS 1.3 and nothing older, and a server certificate that renews itself.

gRPC for Python has no setting for the lowest version of TLS. What it has is the list of cipher
suites of TLS 1.2, read from the environment when it is first imported; those of TLS 1.3 are not on
it. `linkage/__init__.py` puts a single suite there that needs a pre-shared key, which nobody here
has: a handshake of TLS 1.2 finds no common suite, on either side.

- A server does not take that for granted: before it serves, it shakes hands with itself
  (`require_tls_13`), and does not start if TLS 1.2 would do.
- The server's certificate is issued anew once half of its life is over; connections go on.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import grpc
from cryptography import x509

from linkage.errors import InternalError

PROBE_SECONDS = 10.0
_HANDSHAKE = 0x16
_checked = threading.Event()

KeyAndChain = tuple[bytes, bytes]


class ServerIdentity:
    """The server's key and certificate, renewed as handshakes come.

    Args:
        issue: makes a fresh pair, PEM.
        authority: PEM; clients must hold a certificate of it.
    """

    def __init__(self, issue: Callable[[], KeyAndChain], authority: bytes) -> None:
        self._issue = issue
        self._authority = authority
        self._lock = threading.Lock()
        self._renew()

    def credentials(self, began: Callable[[], None] = lambda: None) -> grpc.ServerCredentials:
        """Mutual TLS; a client without a certificate gets nowhere.

        Args:
            began: told of every handshake that begins.
        """

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            began()
            return self._fetch()

        return grpc.dynamic_ssl_server_credentials(
            self._configuration(),
            fetch,  # type: ignore[arg-type]  # None is allowed: nothing has changed.
            require_client_authentication=True,
        )

    def _renew(self) -> None:
        self._key, self._chain = self._issue()
        leaf = x509.load_pem_x509_certificate(self._chain)
        self._half = leaf.not_valid_before_utc + (
            (leaf.not_valid_after_utc - leaf.not_valid_before_utc) / 2
        )

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        # One for each use: gRPC takes it over.
        return grpc.ssl_server_certificate_configuration(
            [(self._key, self._chain)], root_certificates=self._authority
        )

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked by gRPC before every handshake; None leaves things as they are."""
        with self._lock:
            if datetime.now(UTC) < self._half:
                return None
            self._renew()
            return self._configuration()


def require_tls_13(identity: ServerIdentity) -> None:
    """Raises InternalError unless a server of that identity speaks TLS 1.3 alone.

    What decides it is the same in the whole process, so it is tried once.
    """
    if _checked.is_set():
        return
    server = grpc.server(ThreadPoolExecutor(1))
    try:
        port = server.add_secure_port("127.0.0.1:0", identity.credentials())
        server.start()
        spoken = [v for v in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3) if _speaks(port, v)]
    finally:
        server.stop(0)
    if spoken != [ssl.TLSVersion.TLSv1_3]:
        raise InternalError(
            "this hub would not speak TLS 1.3 alone, and does not start",
            remedy="Something imported grpc before linkage, or set GRPC_SSL_CIPHER_SUITES",
        )
    _checked.set()


def _speaks(port: int, version: ssl.TLSVersion) -> bool:
    """Whether a greeting in that version of TLS is answered by one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # Only the version matters; nothing is sent.
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    with socket.create_connection(("127.0.0.1", port), PROBE_SECONDS) as connection:
        connection.sendall(outgoing.read())
        try:
            first = connection.recv(1)
        except ConnectionResetError:
            return False
    return first == bytes([_HANDSHAKE])
