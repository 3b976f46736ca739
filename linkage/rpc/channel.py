"""Calls to the hub: mutual TLS, deadlines, retries with back-off, and a count of what is sent.

with connect(identity, patience=30) as connection:
    connection.call(ProjectServiceStub(connection.channel).GetProject, request)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from linkage.errors import HubUnavailableError, LinkageError, UntrustedKeyError
from linkage.rpc.status import certificate_refused, closed_after_handshake, from_call
from linkage.v1 import enrolment_pb2
from linkage.v1.enrolment_pb2_grpc import EnrolmentServiceStub

CALL_SECONDS = 60.0
STREAM_SECONDS = 6 * 3600.0
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
# Being hung up on once may be a hub that is just stopping.
REFUSALS = 3

_RETRIED = (
    ("linkage.v1.EnrolmentService", ("Enrol", "Renew", "Rotate", "ReportKey")),
    (
        "linkage.v1.ProjectService",
        ("CreateProject", "GetProject", "ListProjects", "SignManifest", "RotateEpoch"),
    ),
    (
        "linkage.v1.SecretService",
        ("PutCommitment", "ListCommitments", "PutEnvelope", "ListEnvelopes"),
    ),
    ("linkage.v1.UploadService", ("CreateUpload", "GetUpload", "FinishUpload")),
    ("linkage.v1.RunService", ("CreateRun", "GetRun", "ListRuns", "CancelRun", "GetQualityReport")),
    ("linkage.v1.ComparisonService", ("ListComparisons",)),
    (
        "linkage.v1.LogService",
        (
            "GetCheckpoint",
            "GetConsistencyProof",
            "GetInclusionProof",
            "ListEntries",
            "PutHead",
            "ListHeads",
        ),
    ),
    (
        "linkage.v1.ReleaseService",
        (
            "CreateRelease",
            "GetRelease",
            "ListReleases",
            "ConfirmRelease",
            "ApproveRelease",
            "ListParcels",
            "AcknowledgeStudyMap",
        ),
    ),
)
_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": service, "method": method} for method in methods],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.2s",
                    "maxBackoff": "5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
            for service, methods in _RETRIED
        ]
    }
)

T = TypeVar("T")


@dataclass(frozen=True, repr=False)
class ClientIdentity:
    """What a client proves itself with, and whom it expects; all PEM.

    Attributes:
        address: `host:port` of the hub.
    """

    address: str
    authority: bytes
    key: bytes
    certificate: bytes


@dataclass
class Wire:
    """Bytes of messages sent and received, without transport overhead."""

    sent: int = 0
    received: int = 0


class Connection:
    """An open channel to the hub; every failure comes out as a `LinkageError`."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.wire = Wire()
        self._channel = channel

    @property
    def channel(self) -> grpc.Channel:
        return self._channel

    def call(self, method: Callable[..., T], request: Any, *, seconds: float = CALL_SECONDS) -> T:
        """One request, one answer."""
        self.wire.sent += request.ByteSize()
        try:
            answer = method(request, timeout=seconds)
        except grpc.RpcError as error:
            raise from_call(error) from None
        self.wire.received += answer.ByteSize()  # type: ignore[attr-defined]
        return answer

    def send(self, method: Callable[..., T], requests: Iterable[Any]) -> T:
        """A stream of requests, one answer."""

        def counted() -> Iterator[Any]:
            for request in requests:
                self.wire.sent += request.ByteSize()
                yield request

        try:
            return method(counted(), timeout=STREAM_SECONDS)
        except grpc.RpcError as error:
            raise from_call(error) from None

    def receive(self, method: Callable[..., Iterable[T]], request: Any) -> Iterator[T]:
        """One request, a stream of answers."""
        self.wire.sent += request.ByteSize()
        try:
            for answer in method(request, timeout=STREAM_SECONDS):
                self.wire.received += answer.ByteSize()  # type: ignore[attr-defined]
                yield answer
        except grpc.RpcError as error:
            raise from_call(error) from None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, _type: object = None, error: object = None, _trace: object = None) -> None:
        if isinstance(error, UntrustedKeyError) and error.shown:
            # What the hub did stands in its own log then, for everybody to see; or it is known that
            # it would not write it down.
            request = enrolment_pb2.ReportKeyRequest(party=error.party, shown=error.shown)
            with suppress(LinkageError):
                self.call(EnrolmentServiceStub(self._channel).ReportKey, request, seconds=10)
        self._channel.close()


def connect(
    identity: ClientIdentity,
    *,
    patience: float,
    waiting: Callable[[float], None] = lambda seconds: None,
) -> Connection:
    """Open a channel and make sure that the hub answers.

    Args:
        patience: seconds to keep trying while the hub cannot be reached, with growing pauses.
        waiting: told before each pause how long it will be.

    Raises:
        HubUnavailableError: nobody answered within `patience`.
        UnauthenticatedError: the server's certificate, or ours, is refused.
    """
    credentials = grpc.ssl_channel_credentials(
        identity.authority, identity.key, identity.certificate
    )
    channel = grpc.secure_channel(
        identity.address,
        credentials,
        options=[
            ("grpc.service_config", _SERVICE_CONFIG),
            ("grpc.enable_retries", 1),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            ("grpc.use_local_subchannel_pool", 1),
        ],
    )
    give_up = time.monotonic() + patience
    pause, refusals = FIRST_PAUSE, 0
    while True:
        try:
            _check_health(channel)
        except grpc.RpcError as error:
            refusals = refusals + 1 if closed_after_handshake(error) else 0
            failure = from_call(error) if refusals < REFUSALS else certificate_refused()
        except LinkageError as error:
            failure = error
        else:
            return Connection(channel)
        left = give_up - time.monotonic()
        if not isinstance(failure, HubUnavailableError):
            channel.close()
            raise failure from None
        if left <= 0:
            channel.close()
            raise HubUnavailableError(
                f"the hub at {identity.address} cannot be reached"
                f" (tried for {patience:.0f} seconds)",
                remedy=failure.remedy,
            ) from None
        waiting(min(pause, left))
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)


def _check_health(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise HubUnavailableError("the hub is not ready", remedy="Try again in a minute")
