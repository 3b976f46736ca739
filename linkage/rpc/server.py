"""A gRPC server that speaks mutual TLS 1.3 only.

- Messages are at most 4 MiB; calls at once and connections' idle time are bounded.
- Health follows what `healthy` says, asked every two seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from linkage.errors import InputError
from linkage.rpc.connections import Connections
from linkage.rpc.tls import ServerIdentity, require_tls_13

MAX_MESSAGE_BYTES = 4 << 20
# Every open stream holds a thread; one party may hold `calls.MAX_CALLS_PER_PARTY`.
WORKERS = 128
MAX_CALLS = 256
# Of all parties together, most of them about to be refused: who floods must not keep others out.
MAX_WAITING = 2048
HEALTH_SECONDS = 2.0
log = structlog.get_logger()

_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # None but the identity: a small message could unpack to gigabytes, and encodings do not shrink.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    ("grpc.max_concurrent_streams", MAX_CALLS),
    ("grpc.max_metadata_size", 16_384),
    ("grpc.max_connection_idle_ms", 600_000),
    # A connection must not outlive the certificate it was opened with by long; calls under way
    # are let finish.
    ("grpc.max_connection_age_ms", 3_600_000),
    # A peer that vanished without a word must not keep its upload busy for hours.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
]


class Server:
    """A server with its health service.

    Args:
        register: adds the services' handlers.
        interceptors: outermost first.
        issue: makes a key and certificate for the server, PEM; asked again as they age.
        authority: PEM; clients must hold a certificate of it.
        address: `host:port`; port 0 takes a free one.
        healthy: whether the hub can do its work now.
        connections: told of every handshake that begins.

    Raises:
        InputError: the address cannot be listened on.
        InternalError: older versions of TLS would be spoken too.
    """

    def __init__(
        self,
        *,
        register: Callable[[grpc.Server], None],
        interceptors: Sequence[grpc.ServerInterceptor[Any, Any]],
        issue: Callable[[], tuple[bytes, bytes]],
        authority: bytes,
        address: str,
        healthy: Callable[[], bool],
        connections: Connections | None = None,
    ) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(WORKERS, thread_name_prefix="rpc"),
            interceptors=list(interceptors),
            options=_OPTIONS,
            maximum_concurrent_rpcs=MAX_WAITING,
        )
        self._health = health.HealthServicer(
            experimental_non_blocking=True,
            experimental_thread_pool=ThreadPoolExecutor(1, thread_name_prefix="health"),
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        register(self._server)
        identity = ServerIdentity(issue, authority)
        require_tls_13(identity)
        try:
            began = (connections or Connections()).began
            self.port = self._server.add_secure_port(address, identity.credentials(began))
        except RuntimeError:
            raise InputError(
                f"cannot listen on {address}", remedy="Is another server running there?"
            ) from None
        self._healthy = healthy
        self._stopping = threading.Event()

    def start(self) -> None:
        self._report()
        self._server.start()
        threading.Thread(target=self._watch, name="health", daemon=True).start()

    def stop(self, grace_seconds: float) -> None:
        """Refuse new calls, let those under way finish within the grace, then end them."""
        self._stopping.set()
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds).wait()

    def _watch(self) -> None:
        while not self._stopping.wait(HEALTH_SECONDS):
            self._report()

    def _report(self) -> None:
        states = health_pb2.HealthCheckResponse.ServingStatus
        try:
            healthy = self._healthy()
        except Exception as error:
            # Whatever is wrong, the hub must go on being asked.
            log.warning("health unknown", error=type(error).__name__)
            healthy = False
        self._health.set("", states.SERVING if healthy else states.NOT_SERVING)
