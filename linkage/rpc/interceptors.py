"""What every call to the hub passes through, in order: metrics, log, authenticate, audit,
authorise, count, read the request, find its project, translate errors.

- The line in the log is written for denied calls too, and holds shapes only: method, party,
  outcome, duration, message counts; never a value.
- The audit is told of every refused call, whatever it was refused for, and of what is read before
  any of it leaves; where that cannot be written down, nothing leaves.
- A method without a row in the policy table is refused; so is one that does not exist.
- No byte of a request is waited for, or parsed, before its sender is known, admitted and counted:
  who opens calls and sends nothing holds its own few threads, for a minute, and nobody else's.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf.message import DecodeError
from prometheus_client import Counter, Histogram

from linkage.errors import (
    InvalidRequestError,
    LinkageError,
    NotAuthorisedError,
    UnauthenticatedError,
)
from linkage.rpc.calls import Call, Calls
from linkage.rpc.policy import POLICY
from linkage.rpc.scopes import Gate, Open, within
from linkage.rpc.status import abort
from linkage.trust.identity import Credential, PartyId, credential_of

UNKNOWN = "unknown"
"""Stands for every method that does not exist: its name is the caller's, and not ours to keep."""
log = structlog.get_logger()

CALLS = Counter("linkage_rpc_calls", "Calls by method and outcome", ["method", "outcome"])
SECONDS = Histogram("linkage_rpc_seconds", "Seconds per call", ["method"])

Admit = Callable[[Credential], None]


class Audit(Protocol):
    """Writes down what calls do beside what their use cases write down themselves."""

    def called(self, peer: str) -> None:
        """A call came over the connection of that address and port."""

    def served(self, method: str, caller: PartyId, request: Any) -> None:
        """An answer to this request is about to leave."""

    def refused(self, method: str, caller: PartyId | None, reason: str) -> None:
        """A call was refused; `caller` is None where the certificate names nobody."""


class NoAudit:
    """For tests of other things."""

    def called(self, peer: str) -> None:
        pass

    def served(self, method: str, caller: PartyId, request: Any) -> None:
        pass

    def refused(self, method: str, caller: PartyId | None, reason: str) -> None:
        pass


def certificate_of(context: grpc.ServicerContext) -> bytes:
    """The verified client certificate of a call, PEM."""
    found = context.auth_context().get("x509_pem_cert")
    if not found:
        raise UnauthenticatedError("the call carries no client certificate")
    return bytes(found[0])


class Guard(grpc.ServerInterceptor):  # type: ignore[type-arg]
    """Lets a call through to its handler only when the policy table says so.

    Args:
        hub: the hub's name; certificates must name it.
        admit: raises unless the party is (still) known to the hub; asked at every call, and
            again every second while a call lasts.
        audit: told of what is read and of what is refused.
        gate: raises unless the caller belongs to the project that the request is about.
    """

    def __init__(
        self, hub: str, admit: Admit, audit: Audit | None = None, gate: Gate | None = None
    ) -> None:
        self._hub = hub
        self._admit = admit
        self._audit = audit or NoAudit()
        self._gate = gate or Open()
        self._calls = Calls(admit)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        handler = continuation(details)
        if handler is None:
            return self._refusing()
        method, read = details.method, handler.request_deserializer or _as_sent
        coders = {
            "request_deserializer": _as_sent,
            "response_serializer": handler.response_serializer,
        }
        # To gRPC every request is a stream of bytes: it would wait for a single message, and parse
        # it, before it asks us.
        take = _all if handler.request_streaming else _only
        if handler.response_streaming:
            inner: Any = (
                handler.stream_stream if handler.request_streaming else handler.unary_stream
            )

            def stream(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
                with self._guarded(method, context) as (caller, call):
                    request = take(call.received(messages), read)
                    request = within(self._gate, method, caller, request)
                    answers = iter(inner(request, context))
                    first = list(itertools.islice(answers, 1))
                    self._audit.served(method, caller, request)
                    yield from first
                    yield from answers

            return grpc.stream_stream_rpc_method_handler(stream, **coders)
        answer: Any = handler.stream_unary if handler.request_streaming else handler.unary_unary

        def unary(messages: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            with self._guarded(method, context) as (caller, call):
                request = take(call.received(messages), read)
                request = within(self._gate, method, caller, request)
                found = answer(request, context)
                self._audit.served(method, caller, request)
                return found

        return grpc.stream_unary_rpc_method_handler(unary, **coders)

    def _refusing(self) -> grpc.RpcMethodHandler[Any, Any]:
        def refuse(_: Iterator[bytes], context: grpc.ServicerContext) -> None:
            with self._guarded(UNKNOWN, context):
                pass

        return grpc.stream_unary_rpc_method_handler(refuse, request_deserializer=_as_sent)

    @contextmanager
    def _guarded(
        self, method: str, context: grpc.ServicerContext
    ) -> Iterator[tuple[PartyId, Call]]:
        start, party, outcome = time.perf_counter(), "", "OK"
        caller: PartyId | None = None
        self._audit.called(context.peer())
        try:
            credential = credential_of(certificate_of(context), self._hub)
            caller = credential.party
            party = caller.uri
            authorise(method, caller)
            self._admit(credential)
            with self._calls.admitted(party, context, credential) as call:
                yield caller, call
        except grpc.RpcError:
            outcome = "DISCONNECTED"
            raise
        except Exception as error:
            outcome = error.reason if isinstance(error, LinkageError) else "INTERNAL"
            self._tell_refused(method, caller, outcome)
            abort(context, error)
        except BaseException:
            outcome = "ABORTED"
            raise
        finally:
            seconds = time.perf_counter() - start
            CALLS.labels(method, outcome).inc()
            SECONDS.labels(method).observe(seconds)
            log.info("call", method=method, party=party, outcome=outcome, ms=round(seconds * 1e3))

    def _tell_refused(self, method: str, caller: PartyId | None, reason: str) -> None:
        try:
            self._audit.refused(method, caller, reason)
        except Exception as error:
            # The refusal stands, whatever becomes of its entry.
            log.warning(
                "a refused call is not in the log", method=method, error=type(error).__name__
            )


def authorise(method: str, caller: PartyId) -> None:
    """Raises NotAuthorisedError unless the policy table lets that role call that method."""
    rule = POLICY.get(method)
    if rule is None or caller.role not in rule.roles:
        raise NotAuthorisedError(f"a party with the role {caller.role} may not call this method")


def _as_sent(data: bytes) -> bytes:
    return data


def _all(messages: Iterator[bytes], read: Callable[[bytes], Any]) -> Iterator[Any]:
    """Raises InvalidRequestError (as it goes) at a message that cannot be read."""
    for message in messages:
        try:
            yield read(message)
        except DecodeError:
            raise InvalidRequestError("the message is not of the kind this method takes") from None


def _only(messages: Iterator[bytes], read: Callable[[bytes], Any]) -> Any:
    """Raises InvalidRequestError unless there is a message, and it can be read."""
    for message in _all(messages, read):
        return message
    raise InvalidRequestError("the call carries no message")
