"""How many connections never came to a call, as gRPC refuses them before any of our code is asked.

gRPC asks for the server's certificate before every handshake, and tells of a peer with its first
call. What began and did not call within `GRACE_SECONDS` had no TLS, or no certificate that holds,
or only wanted to know whether somebody listens. Who they were is not known. The count is close, not
exact: a connection that idles longer counts as one that never called, and a port taken again soon
passes for the connection that had it before.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque

GRACE_SECONDS = 5.0
MAX_PEERS = 16_384


class Connections:
    """Told of handshakes and calls by the server and the guard; memory is bounded."""

    def __init__(self, *, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._lock = threading.Lock()
        self._waiting: deque[float] = deque()
        self._late = 0
        self._peers: OrderedDict[str, None] = OrderedDict()

    def began(self) -> None:
        """A handshake begins."""
        now = time.monotonic()
        with self._lock:
            self._expire(now)
            self._waiting.append(now)

    def called(self, peer: str) -> None:
        """A call came over the connection of that address and port."""
        with self._lock:
            known = peer in self._peers
            self._peers[peer] = None
            self._peers.move_to_end(peer)
            if known:
                return
            if len(self._peers) > MAX_PEERS:
                self._peers.popitem(last=False)
            if self._waiting:
                self._waiting.popleft()

    def without_call(self) -> int:
        """How many have not called, and were not counted before."""
        with self._lock:
            self._expire(time.monotonic())
            late, self._late = self._late, 0
            return late

    def _expire(self, now: float) -> None:
        while self._waiting and self._waiting[0] < now - self._grace:
            self._waiting.popleft()
            self._late += 1
