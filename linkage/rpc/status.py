"""The one boundary between the exception tree and gRPC status.

- Out: a `LinkageError` becomes a `google.rpc.Status` with `ErrorInfo(reason, domain "linkage")`;
  anything else becomes INTERNAL and a reference to the hub's log, nothing more.
- In: the reason finds its class again, so that a caller catches what the hub raised.
"""

from __future__ import annotations

import secrets
from typing import cast

import grpc
import structlog
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from linkage import errors
from linkage.errors import LinkageError

DOMAIN = "linkage"
# A status travels in trailers, which clients take up to 8 KiB of, percent-encoded.
MESSAGE_BYTES = 1500
REMEDY_BYTES = 500
log = structlog.get_logger()

_CODES: dict[type[LinkageError], int] = {
    errors.InputError: code_pb2.INVALID_ARGUMENT,
    errors.AgreementError: code_pb2.FAILED_PRECONDITION,
    errors.TrustError: code_pb2.PERMISSION_DENIED,
    errors.UnauthenticatedError: code_pb2.UNAUTHENTICATED,
    errors.KeyCheckMismatchError: code_pb2.FAILED_PRECONDITION,
    errors.StateError: code_pb2.FAILED_PRECONDITION,
    errors.NotFoundError: code_pb2.NOT_FOUND,
    errors.AlreadyExistsError: code_pb2.ALREADY_EXISTS,
    errors.DigestMismatchError: code_pb2.DATA_LOSS,
    errors.CancelledError: code_pb2.CANCELLED,
    errors.LimitError: code_pb2.RESOURCE_EXHAUSTED,
    errors.HubUnavailableError: code_pb2.UNAVAILABLE,
    LinkageError: code_pb2.INTERNAL,
}


def code_of(error: LinkageError) -> int:
    """The `google.rpc.Code` of an error: that of its nearest listed ancestor."""
    return next(_CODES[cls] for cls in type(error).__mro__ if cls in _CODES)


def to_status(error: Exception) -> status_pb2.Status:
    """What a client gets to see of an error."""
    if not isinstance(error, LinkageError):
        reference = secrets.token_hex(6)
        log.error("internal error", reference=reference, error=type(error).__name__, exc_info=error)
        error = errors.InternalError(
            "the hub failed on its side", remedy=f"Tell its steward the reference {reference}"
        )
    detail = any_pb2.Any()
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if error.remedy:
        info.metadata["remedy"] = _cut(error.remedy, REMEDY_BYTES)
    detail.Pack(info)
    message = _cut(error.message, MESSAGE_BYTES)
    return status_pb2.Status(code=code_of(error), message=message, details=[detail])


def abort(context: grpc.ServicerContext, error: Exception) -> None:
    """End a call with an error."""
    context.abort_with_status(rpc_status.to_status(to_status(error)))


def from_call(error: grpc.RpcError) -> LinkageError:
    """What a failed call means on the client's side."""
    try:
        status = rpc_status.from_call(cast(grpc.Call, error))
    except ValueError:
        status = None  # The details contradict the status: believe neither.
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            cls = errors.by_reason().get(info.reason, LinkageError)
            if cls is errors.SourceError:
                cls = errors.InputError
            return cls(status.message, remedy=info.metadata.get("remedy"))
    code, text = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return unavailable(text)
    if code is grpc.StatusCode.CANCELLED:
        return errors.HubUnavailableError("the hub ended the call", remedy="Try again")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.HubUnavailableError("the hub did not answer in time", remedy="Try again")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return errors.LimitError("the hub is busy or the message is too large")
    return LinkageError(f"the call to the hub failed ({code.name})")


def unavailable(text: str) -> LinkageError:
    """Tell a hub that is away from one whose certificate, or ours, is refused."""
    lowered = text.lower()
    if "certificate_verify_failed" in lowered or "hostname verification" in lowered:
        return errors.UnauthenticatedError(
            "the server does not hold a certificate of the hub you enrolled with",
            remedy="Check the address; do not go on if it should be right",
        )
    if "alert" in lowered:
        return certificate_refused()
    return errors.HubUnavailableError(
        "the hub cannot be reached", remedy="Check its address and whether it runs, then try again"
    )


def closed_after_handshake(error: grpc.RpcError) -> bool:
    """Whether the server hung up as soon as it had seen our certificate.

    Under TLS 1.3 the client's handshake is over by then; gRPC keeps the server's alert to itself.
    """
    text = error.details() or ""
    return "failed to connect" in text and text.endswith(": Socket closed")


def certificate_refused() -> errors.UnauthenticatedError:
    return errors.UnauthenticatedError(
        "the hub refuses this party's certificate",
        remedy="It is expired, revoked, or of another hub: ask the steward for an invitation",
    )


def _cut(text: str, limit: int) -> str:
    raw = text.encode()
    return text if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore") + "…"
