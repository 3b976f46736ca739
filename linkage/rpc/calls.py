"""The calls under way: how many each party has, how long each may last, and who ends them.

- Every call holds a thread, so one party has a bounded number of them, and none holds its thread
  for ever: the hub waits so long for a party's next message, and so long for the whole.
- A call is counted before its first message is waited for.
- All calls of a party can be ended at once. Whether its sender would still be admitted is asked
  every second while a call lasts: a revoked party's open streams end within two.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import grpc
import structlog

from linkage.errors import LimitError, LinkageError

MAX_CALLS_PER_PARTY = 16
MESSAGE_SECONDS = 60.0
CALL_SECONDS = 7 * 3600.0
LOOK_SECONDS = 1.0
log = structlog.get_logger()


class Cancellable(Protocol):
    """What of a call's context is needed here."""

    def cancel(self) -> object: ...


class Call:
    """One call under way.

    Attributes:
        over: why the hub ended it, or None.
    """

    def __init__(self, context: Cancellable, now: float, credential: Hashable) -> None:
        self.credential = credential
        self._context = context
        self._error: LinkageError | None = None
        self._ends = now + CALL_SECONDS
        self._waits: float | None = None
        self.over: str | None = None

    def received(self, messages: Iterator[bytes]) -> Iterator[bytes]:
        """The messages as they come, each within its time.

        Raises:
            LimitError: the hub ended the call meanwhile.
            UnauthenticatedError: its sender is no longer admitted.
        """
        while True:
            self._waits = time.monotonic() + MESSAGE_SECONDS
            try:
                message = next(messages, None)
            except grpc.RpcError:
                if self.over:
                    raise (self._error or LimitError(self.over)) from None
                raise
            self._waits = None
            if message is None:
                return
            yield message

    def end(self, why: str) -> None:
        self.over = self.over or why
        self._context.cancel()

    def refuse(self, error: LinkageError) -> None:
        """End the call, as its sender is no longer admitted."""
        self._error = error
        self.end(error.message)

    def look(self, now: float) -> None:
        """End the call if it has lasted, or kept the hub waiting, too long."""
        if self._waits is not None and now > self._waits:
            self.end(f"the hub waited {MESSAGE_SECONDS:.0f} seconds for the next message")
        elif now > self._ends:
            self.end(f"the call lasted longer than {CALL_SECONDS / 3600:.0f} hours")


class Calls:
    """All calls under way, by party.

    Args:
        admit: raises for the credential of a sender that is no longer let in.
    """

    def __init__(self, admit: Callable[[Any], None] = lambda _: None) -> None:
        self._admit = admit
        self._open: defaultdict[str, set[Call]] = defaultdict(set)
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None

    @contextmanager
    def admitted(
        self, party: str, context: Cancellable, credential: Hashable = None
    ) -> Iterator[Call]:
        """Count a call while it lasts.

        Args:
            credential: what its sender was let in by; looked at again every second.

        Raises:
            LimitError: the party has too many calls under way.
        """
        call = Call(context, time.monotonic(), credential)
        with self._lock:
            if len(self._open[party]) >= MAX_CALLS_PER_PARTY:
                raise LimitError(f"this party has {MAX_CALLS_PER_PARTY} calls under way already")
            self._open[party].add(call)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="calls", daemon=True)
                self._watcher.start()
        try:
            yield call
        finally:
            with self._lock:
                self._open[party].discard(call)
                if not self._open[party]:
                    del self._open[party]

    def end(self, party: str, why: str) -> None:
        """End every call that the party has under way."""
        with self._lock:
            calls = list(self._open.get(party, ()))
        for call in calls:
            call.end(why)

    def look(self, now: float) -> None:
        """End the calls whose time is over, and those whose sender is no longer admitted."""
        with self._lock:
            calls = [call for of_party in self._open.values() for call in of_party]
        for call in calls:
            call.look(now)
        for credential in {call.credential for call in calls}:
            error = self._refusal(credential)
            for call in calls:
                if error is not None and call.credential == credential:
                    call.refuse(error)

    def _refusal(self, credential: Hashable) -> LinkageError | None:
        try:
            self._admit(credential)
        except LinkageError as error:
            return error
        except Exception as error:
            # The database may be away for a while; new calls are refused meanwhile.
            log.warning("who is still a party is not known", error=type(error).__name__)
        return None

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            self.look(time.monotonic())
