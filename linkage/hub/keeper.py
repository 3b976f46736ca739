"""Looks after runs: sends on those that have waited, ends those that got stuck, tidies up.

- Everything it needs to know is in the database, so that a restart forgets nothing.
- It alone queues a run's second job, so whoever reads that a run has no job left can rely on it.
- An ended run loses its lists, plans, candidates and answers as soon as no job reads them.
"""

from __future__ import annotations

import threading

import structlog

from linkage.errors import InternalError
from linkage.hub.comparisons import Comparisons
from linkage.hub.jobs import Jobs
from linkage.hub.progress import Progress
from linkage.hub.results import Results
from linkage.hub.states import ENDED, PENDING, RUNNING, SUCCEEDED
from linkage.hub.uploads import Uploads
from linkage.store import tables
from linkage.store.sql import Database, find_all, now, update

PAUSE_SECONDS = 1.0
log = structlog.get_logger()


class Keeper:
    """A thread that looks after runs until it is stopped."""

    def __init__(
        self,
        database: Database,
        results: Results,
        comparisons: Comparisons,
        uploads: Uploads,
        jobs: Jobs,
    ) -> None:
        self._database = database
        self._results = results
        self._comparisons = comparisons
        self._uploads = uploads
        self._progress = Progress(database)
        self._jobs = jobs
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._comparisons.changed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            for act in (self._send_on, self._end_stuck, self._clear, self._uploads.forget_outdated):
                try:
                    act()
                except Exception as error:  # The database may be away for a while.
                    log.warning(
                        "looking after runs failed", error=type(error).__name__, exc_info=error
                    )
            self._comparisons.changed.wait(PAUSE_SECONDS)
            self._comparisons.changed.clear()

    def _send_on(self) -> None:
        for run in self._comparisons.due():
            self._jobs.go_on(run)

    def _end_stuck(self) -> None:
        """A job that ended without ending its run could not even write that it failed."""
        with self._database.transaction() as connection:
            runs = [
                row["id"]
                for state in (PENDING, RUNNING)
                for row in find_all(connection, tables.run, state=state)
            ]
        for run in runs:
            if self._jobs.over(run):
                error = InternalError("the hub failed on its side", remedy="Start another run")
                # Its first job may have ended just now, and the run waits.
                self._progress.fail(run, error, waits=False)

    def _clear(self) -> None:
        with self._database.transaction() as connection:
            ended = [
                row
                for state in ENDED
                for row in find_all(connection, tables.run, state=state, cleared_at=None)
            ]
        for row in ended:
            if self._jobs.over(row["id"]) is False:
                continue
            self._results.clear(row["id"], succeeded=row["state"] == SUCCEEDED)
            self._uploads.forget_answers(row["id"])
            with self._database.transaction() as connection:
                update(connection, tables.run, {"id": row["id"]}, cleared_at=now())
