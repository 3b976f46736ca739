"""What every call to the hub passes through, in order: metrics, log, authenticate, authorise,
translate errors.

- The line in the log is written for denied calls too, and holds shapes only: method, party,
  outcome, duration, message counts; never a value.
- A method without a row in the policy table is refused.
- One party has a bounded number of calls at once: every open stream holds a thread, and nobody
  may hold them all.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import structlog
from prometheus_client import Counter, Histogram

from linkage.errors import LimitError, LinkageError, NotAuthorisedError, UnauthenticatedError
from linkage.rpc.policy import POLICY
from linkage.rpc.status import abort
from linkage.trust.identity import PartyId, party_of

MAX_CALLS_PER_PARTY = 16
log = structlog.get_logger()

CALLS = Counter("linkage_rpc_calls", "Calls by method and outcome", ["method", "outcome"])
SECONDS = Histogram("linkage_rpc_seconds", "Seconds per call", ["method"])

Admit = Callable[[PartyId], None]


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
        admit: raises unless the party is (still) known to the hub.
    """

    def __init__(self, hub: str, admit: Admit) -> None:
        self._hub = hub
        self._admit = admit
        self._calls: Tally[str] = Tally()
        self._lock = threading.Lock()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = continuation(details)
        if handler is None:
            return None
        method = details.method
        coders = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.response_streaming:
            inner: Any = (
                handler.stream_stream if handler.request_streaming else handler.unary_stream
            )

            def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
                with self._guarded(method, context):
                    yield from inner(request, context)

            if handler.request_streaming:
                return grpc.stream_stream_rpc_method_handler(stream, **coders)
            return grpc.unary_stream_rpc_method_handler(stream, **coders)
        answer: Any = handler.stream_unary if handler.request_streaming else handler.unary_unary

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            with self._guarded(method, context):
                return answer(request, context)

        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(unary, **coders)
        return grpc.unary_unary_rpc_method_handler(unary, **coders)

    @contextmanager
    def _guarded(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        start, party, outcome = time.perf_counter(), "", "OK"
        try:
            caller = party_of(certificate_of(context), self._hub)
            party = caller.uri
            authorise(method, caller)
            self._admit(caller)
            with self._counted(party):
                yield
        except grpc.RpcError:
            outcome = "DISCONNECTED"
            raise
        except Exception as error:
            outcome = error.reason if isinstance(error, LinkageError) else "INTERNAL"
            abort(context, error)
        except BaseException:
            outcome = "ABORTED"
            raise
        finally:
            seconds = time.perf_counter() - start
            CALLS.labels(method, outcome).inc()
            SECONDS.labels(method).observe(seconds)
            log.info("call", method=method, party=party, outcome=outcome, ms=round(seconds * 1e3))

    @contextmanager
    def _counted(self, party: str) -> Iterator[None]:
        """Raises LimitError when the party has too many calls under way."""
        with self._lock:
            if self._calls[party] >= MAX_CALLS_PER_PARTY:
                raise LimitError(f"this party has {MAX_CALLS_PER_PARTY} calls under way already")
            self._calls[party] += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls[party] -= 1
                self._calls += Tally()


def authorise(method: str, caller: PartyId) -> None:
    """Raises NotAuthorisedError unless the policy table lets that role call that method."""
    rule = POLICY.get(method)
    if rule is None or caller.role not in rule.roles:
        raise NotAuthorisedError(f"a party with the role {caller.role} may not call this method")
