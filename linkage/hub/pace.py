"""How many calls a party makes in a minute.

Kept in memory: what a restart forgets is a minute's count. What counts by the day is in the
database (`spending`).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime

from linkage.errors import LimitError

MINUTE = 60


class Pace:
    """Counts calls by minute of the clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._calls: Counter[tuple[str, str]] = Counter()

    def count(self, project: str, party: str, limit: int, *, refuses: bool = True) -> None:
        """Count a call.

        Args:
            project: empty for calls outside of projects.
            party: empty for all parties of the project together.
            refuses: if not, only count.

        Raises:
            LimitError: it would be one more than `limit` in this minute; says when to try again.
        """
        now = time.time()
        minute = int(now // MINUTE)
        with self._lock:
            if minute != self._minute:
                self._minute, self._calls = minute, Counter()
            if refuses and self._calls[project, party] >= limit:
                raise over_budget(_what(project, party, limit), (minute + 1) * MINUTE)
            self._calls[project, party] += 1


def over_budget(what: str, again: int) -> LimitError:
    """The refusal that says when to try again; `again` in seconds since the epoch."""
    when = datetime.fromtimestamp(again, UTC)
    return LimitError(what, remedy=f"Try again from {when:%Y-%m-%d %H:%M:%S} UTC on")


def _what(project: str, party: str, limit: int) -> str:
    if not project:
        return f"the hub takes {limit:,} calls outside of projects in a minute from one party"
    whose = "one party" if party else "all its parties"
    return f"the manifest of {project!r} allows {limit:,} calls in a minute for {whose}"
