"""The row of a run under way: how far it is, whether to stop, and how it ended.

- Every change of state is an entry in the log.
- A run that was cancelled does not change any more: whoever asks or tells of it gets a
  CancelledError.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from linkage.errors import CancelledError, LinkageError, NotFoundError
from linkage.hub.log import record
from linkage.hub.states import CANCELLED, ENDED, FAILED, PENDING, RUNNING, SUCCEEDED, WAITING
from linkage.store import tables
from linkage.store.sql import Database, Row, find, now, update

REPORT_SECONDS = 0.5
_KINDS = {
    (PENDING, RUNNING): "run.started",
    (WAITING, RUNNING): "run.resumed",
    (RUNNING, SUCCEEDED): "run.succeeded",
}


class Progress:
    """Reads and changes the rows of runs under way."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def row(self, run: str) -> Row:
        """Raises CancelledError where the run was cancelled, NotFoundError where it is gone."""
        with self._database.transaction() as connection:
            row = find(connection, tables.run, id=run)
        if row is None:
            raise NotFoundError("the run is gone")
        if row["state"] == CANCELLED:
            raise CancelledError("the run was cancelled")
        return row

    def change(self, run: str, told: Mapping[str, str] | None = None, **values: Any) -> None:
        """Change a run's row, unless it was cancelled, also just now.

        Args:
            told: what the log's entry says of a change of state.

        Raises:
            CancelledError: it was.
        """
        row = self.row(run)
        known = {"id": run, "state": row["state"]}
        kind = _KINDS.get((row["state"], values.get("state", "")))
        with self._database.transaction() as connection:
            changed = update(connection, tables.run, known, **values)
            if changed and kind is not None:
                record(connection, kind, project=row["project"], subject=run, **(told or {}))
        if not changed:
            raise CancelledError("the run was cancelled")

    def fail(self, run: str, error: LinkageError, *, waits: bool = True) -> None:
        """End a run that has not ended; one that waits for answers only if `waits`."""
        spared = ENDED if waits else {*ENDED, WAITING}
        with self._database.transaction() as connection:
            row = find(connection, tables.run, id=run)
            if row is None or row["state"] in spared:
                return
            changed = update(
                connection,
                tables.run,
                {"id": run, "state": row["state"]},
                state=FAILED,
                reason=error.reason,
                message=str(error)[:2000],
                ended_at=now(),
            )
            if changed:
                about = {"project": row["project"], "subject": run}
                record(connection, "run.failed", **about, reason=error.reason)


class Reporter:
    """Writes a long step's progress to the run's row now and then, and reads there whether to stop.

    Args:
        start, end: the run's progress when the step begins and when it ends, from 0 to 1.
    """

    def __init__(self, progress: Progress, run: str, step: str, start: float, end: float) -> None:
        self._progress = progress
        self._run, self._step = run, step
        self._start, self._end = start, end
        self._next = 0.0
        self._stop = False

    def progress(self, share: float) -> None:
        """So much of the step is done."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REPORT_SECONDS
        done = self._start + (self._end - self._start) * share
        try:
            self._progress.change(self._run, step=self._step, progress=done)
        except CancelledError:
            self._stop = True

    def cancelled(self) -> bool:
        """Whether the run was cancelled, as of the last time that progress was written."""
        return self._stop
