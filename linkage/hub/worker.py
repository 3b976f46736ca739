"""Runs as durable jobs (DBOS): a hub that is killed goes on with the step it was in.

- One run at a time: matching uses every core by itself.
- A step's result is in a blob before the step counts as done, so repeating it is harmless.
- The job's own record holds run ids only: no row, no handle, no encoding.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog
from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID

from linkage.errors import CancelledError, InternalError, LinkageError, NotFoundError
from linkage.hub.projects import Project, Projects
from linkage.hub.results import PartnerPair, Results
from linkage.hub.runs import (
    CANCELLED,
    ENDED,
    FAILED,
    RUNNING,
    SUCCEEDED,
    encodings_of,
    require_same_secret,
)
from linkage.matching import (
    LocalEngine,
    Source,
    find_candidates,
    pairs_to_compare,
    quality_report,
    score,
)
from linkage.rpc.status import to_status
from linkage.store import tables
from linkage.store.sql import Database, Row, find, now, update
from linkage.trust.identity import PartyId, Role

REPORT_SECONDS = 0.5
POLL_SECONDS = 0.2
JOBS_VERSION = "1"
_QUEUE = "runs"
_WORKER = "worker"
log = structlog.get_logger()


@DBOS.dbos_class()
class Worker(DBOSConfiguredInstance):
    """Does what a run needs, step by step."""

    def __init__(self, database: Database, results: Results) -> None:
        super().__init__(_WORKER)
        self._database = database
        self._results = results
        self._projects = Projects(database)
        self._engine = LocalEngine()

    @DBOS.workflow()
    def link(self, run: str) -> None:
        """Candidates, model, report: the protocol's matching, one durable step after another."""
        try:
            if self._run(run)["state"] in ENDED:
                return
            pairs = self.begin(run)
            for number in range(pairs):
                self.candidates(run, number, pairs)
                self.score(run, number)
            self.report(run)
        except CancelledError:
            log.info("run cancelled", run=run)
        except Exception as error:
            self._fail(run, error)

    @DBOS.step()
    def begin(self, run: str) -> int:
        """Check once more what the run stands on; returns how many partner pairs there are."""
        project = self._project(self._run(run))
        project.require_active()
        with self._database.transaction() as connection:
            require_same_secret(encodings_of(connection, project))
        self._set(run, state=RUNNING)
        return len(pairs_to_compare(self._sources(project)))

    @DBOS.step()
    def candidates(self, run: str, number: int, pairs: int) -> None:
        project = self._project(self._run(run))
        left, right = pairs_to_compare(self._sources(project))[number]
        reporter = _Reporter(self, run, number, pairs, f"{left.partner}-{right.partner}")
        found = find_candidates(
            left,
            right,
            project.manifest.scheme,
            quota=project.manifest.matching.quota,
            engine=self._engine,
            progress=reporter.progress,
            cancelled=reporter.cancelled,
        )
        self._results.save_candidates(run, (left.partner, right.partner), found)

    @DBOS.step()
    def score(self, run: str, number: int) -> None:
        project = self._project(self._run(run))
        left, right = pairs_to_compare(self._sources(project))[number]
        pair = (left.partner, right.partner)
        found = self._results.candidates(run, pair)
        self._results.save_scored(run, pair, score(left, right, found, project.manifest.scheme))

    @DBOS.step()
    def report(self, run: str) -> None:
        project = self._project(self._run(run))
        sources = self._sources(project)
        names = [(left.partner, right.partner) for left, right in pairs_to_compare(sources)]
        found: Mapping[PartnerPair, Any] = {p: self._results.candidates(run, p) for p in names}
        scored = {pair: self._results.scored(run, pair) for pair in names}
        floor = project.manifest.matching.threshold
        self._results.save_report(run, quality_report(sources, found, scored, floor=floor))
        self._set(run, state=SUCCEEDED, step="", progress=1.0, ended_at=now())
        for pair in names:
            self._results.forget_candidates(run, pair)

    def _sources(self, project: Project) -> list[Source]:
        with self._database.transaction() as connection:
            uploads = encodings_of(connection, project)
        return [
            Source(p.name, self._results.matrix(uploads[p.name]), p.unique)
            for p in project.manifest.partners
        ]

    def _project(self, row: Row) -> Project:
        hub = PartyId("hub", Role.STEWARD, "hub")
        return self._projects.get(hub, row["project"])

    def _run(self, run: str) -> Row:
        with self._database.transaction() as connection:
            row = find(connection, tables.run, id=run)
        if row is None:
            raise NotFoundError("the run is gone")
        if row["state"] == CANCELLED:
            raise CancelledError("the run was cancelled")
        return row

    def _set(self, run: str, **values: Any) -> None:
        """Change a run's row, unless it was cancelled, also just now."""
        known = {"id": run, "state": self._run(run)["state"]}
        with self._database.transaction() as connection:
            changed = update(connection, tables.run, known, **values)
        if not changed:
            raise CancelledError("the run was cancelled")

    def _fail(self, run: str, error: Exception) -> None:
        if not isinstance(error, LinkageError):
            error = InternalError(to_status(error).message)
        log.error("run failed", run=run, reason=error.reason)
        with self._database.transaction() as connection:
            row = find(connection, tables.run, id=run)
            if row is None or row["state"] in ENDED:
                return
            update(
                connection,
                tables.run,
                {"id": run, "state": row["state"]},
                state=FAILED,
                reason=error.reason,
                message=str(error)[:2000],
                ended_at=now(),
            )


class _Reporter:
    """Writes a step's progress to the run's row, and reads there whether to stop."""

    def __init__(self, worker: Worker, run: str, number: int, pairs: int, name: str) -> None:
        self._worker = worker
        self._run = run
        self._number, self._pairs = number, pairs
        self._step = f"candidates {name}"
        self._next = 0.0
        self._stop = False

    def progress(self, share: float) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REPORT_SECONDS
        done = (self._number + share) / self._pairs
        try:
            self._worker._set(self._run, step=self._step, progress=done)
        except CancelledError:
            self._stop = True

    def cancelled(self) -> bool:
        return self._stop


class Jobs:
    """The durable queue that runs wait in.

    Args:
        url: database of the queue itself; SQLite or PostgreSQL.
    """

    def __init__(self, url: str, worker: Worker) -> None:
        self._worker = worker
        DBOS(
            config={
                "name": "linkage",
                "system_database_url": url,
                "application_version": JOBS_VERSION,
                "enable_otlp": False,
                "console_log_level": "ERROR",
                "notification_listener_polling_interval_sec": POLL_SECONDS,
            }
        )

    def launch(self) -> None:
        """Take up what was under way when the hub stopped."""
        DBOS.launch()
        self._queue = DBOS.register_queue(
            _QUEUE, global_concurrency=1, polling_interval_sec=POLL_SECONDS
        )

    def start(self, run: str) -> None:
        """Queue a run; one that is queued or done already stays as it is."""
        with SetWorkflowID(run):
            self._queue.enqueue(self._worker.link, run)

    def stop(self) -> None:
        DBOS.destroy(workflow_completion_timeout_sec=0)
