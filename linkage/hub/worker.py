"""What a run does, step by step, as durable jobs (DBOS): a killed hub goes on with its step.

- A run with a comparison round is two jobs: the first ends when its lists are open, so that a run
  that waits keeps no other from working.
- A step's result is in a blob before the step counts as done, so repeating it is harmless.
- The job's own record holds run ids only: no row, no handle, no encoding.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import structlog
from dbos import DBOS, DBOSConfiguredInstance

from linkage.agreement import Manifest
from linkage.errors import CancelledError, InternalError, LinkageError
from linkage.hub.basis import Basis, basis_of, require_same_secret
from linkage.hub.comparisons import Comparisons, RequestList
from linkage.hub.earlier import EarlierRuns
from linkage.hub.labels import Labels, labels_of
from linkage.hub.progress import Progress, Reporter
from linkage.hub.projects import Projects
from linkage.hub.results import PartnerPair, Results
from linkage.hub.reviews import newest_decisions
from linkage.hub.run_report import RunReports
from linkage.hub.states import ENDED, RUNNING, SUCCEEDED
from linkage.matching import (
    Compared,
    LocalEngine,
    compare_answers,
    find_candidates,
    plan_requests,
    score,
    score_compared,
    update_candidates,
)
from linkage.matching.answered import Answered
from linkage.matching.sources import Rows
from linkage.rpc.status import to_status
from linkage.store import tables
from linkage.store.sql import Database, find, now
from linkage.trust.identity import PartyId, Role

_WORKER = "worker"
_SEARCHED = 0.8
log = structlog.get_logger()


@DBOS.dbos_class()
class Worker(DBOSConfiguredInstance):
    """Does what a run needs, step by step."""

    def __init__(self, database: Database, results: Results, comparisons: Comparisons) -> None:
        super().__init__(_WORKER)
        self._database = database
        self._results = results
        self._comparisons = comparisons
        self._projects = Projects(database)
        self._progress = Progress(database)
        self._earlier = EarlierRuns(database, results)
        self._reports = RunReports(database, results, comparisons, self._earlier)
        self._engine = LocalEngine()

    @DBOS.workflow()
    def link(self, run: str) -> None:
        """Candidates, then lists for the partners, or without a comparison round the rest."""
        try:
            if self._progress.row(run)["state"] in ENDED:
                return
            pairs, asks = self.begin(run)
            for number in range(pairs):
                self.candidates(run, number, pairs)
            if asks:
                for number in range(pairs):
                    self.plan(run, number)
                self.open(run)
            else:
                self._conclude(run, pairs)
        except CancelledError:
            log.info("run cancelled", run=run)
        except Exception as error:
            self._fail(run, error)

    @DBOS.workflow()
    def compare(self, run: str) -> None:
        """Model and report, from what was answered."""
        try:
            self._conclude(run, self.go_on(run))
        except CancelledError:
            log.info("run cancelled", run=run)
        except Exception as error:
            self._fail(run, error)

    def _conclude(self, run: str, pairs: int) -> None:
        for number in range(pairs):
            self.score(run, number, pairs)
        self.report(run)

    @DBOS.step()
    def begin(self, run: str) -> tuple[int, bool]:
        """Check once more what the run stands on.

        Returns:
            How many partner pairs there are, and whether their partners are asked about them.
        """
        basis = self._basis(run)
        basis.project.require_active()
        require_same_secret(basis.uploads)
        self._progress.change(run, state=RUNNING)
        asks = (
            basis.project.manifest.matching.pair_keyed
            and not self._earlier.twin(basis.run)
            and not self._comparisons.spent(basis.project, basis.run["epoch"])
        )
        return len(basis.pairs), asks

    @DBOS.step()
    def candidates(self, run: str, number: int, pairs: int) -> None:
        """Find one partner pair's candidates, or take them over."""
        basis = self._basis(run)
        left, right = basis.pairs[number]
        pair, manifest = (left.partner, right.partner), basis.project.manifest
        start, end = (_SEARCHED * n / pairs for n in (number, number + 1))
        reporter = Reporter(self._progress, run, f"candidates {'-'.join(pair)}", start, end)
        how: Any = {
            "quota": manifest.matching.quota,
            "look_loss": manifest.matching.look_loss,
            "engine": self._engine,
            "progress": reporter.progress,
            "cancelled": reporter.cancelled,
        }
        twin = self._earlier.twin(basis.run)
        if twin and (compared := self._results.compared(twin["id"], pair)):
            # Both, as one numbers the other's rows.
            found = self._results.candidates(twin["id"], pair)
            self._results.save_compared(run, pair, compared)
        elif former := self._earlier.former(basis.run, left, right):
            found = update_candidates(left, right, manifest.scheme, former, **how)
        else:
            found = find_candidates(left, right, manifest.scheme, **how)
        self._results.save_candidates(run, pair, found)

    @DBOS.step()
    def plan(self, run: str, number: int) -> None:
        """Write the lists of one partner pair, of what no earlier run has asked."""
        basis = self._basis(run)
        left, right = basis.pairs[number]
        pair = (left.partner, right.partner)
        self._progress.change(run, step=f"plan {'-'.join(pair)}", progress=_SEARCHED)
        found = self._results.candidates(run, pair)
        known = self._earlier.known(basis.run, left, right, found)
        new = np.setdiff1d(np.arange(len(found.pairs)), known.index)
        asked = replace(found, pairs=found.pairs.take(new))
        plan = plan_requests(left, right, asked, random=np.random.default_rng())
        entries = replace(plan.entries, kept=new[plan.entries.kept])
        self._results.save_known(run, pair, known)
        self._results.save_plan(run, pair, replace(plan, entries=entries))

    @DBOS.step()
    def open(self, run: str) -> None:
        """Let the run wait for answers to its lists, whose bytes are final now."""
        basis = self._basis(run)
        matching = basis.project.manifest.matching
        lists = []
        for left, right in basis.pairs:
            sides = [(left, right), (right, left)]
            for one, other in sides[:1] if left.partner == right.partner else sides:
                names = (one.partner, other.partner)
                digest = hashlib.sha256()
                for chunk in self._results.requests(run, *names):
                    digest.update(chunk)
                entries = one.rows * matching.quota
                upload = basis.uploads[one.partner]["id"]
                lists.append(RequestList(*names, upload, digest.hexdigest(), entries))
        self._comparisons.open(run, lists, now() + 3600 * matching.answer_hours)

    @DBOS.step()
    def go_on(self, run: str) -> int:
        """Wait no longer; returns how many partner pairs there are."""
        basis = self._basis(run)
        self._progress.change(run, state=RUNNING, step="")
        return len(basis.pairs)

    @DBOS.step()
    def score(self, run: str, number: int, pairs: int) -> None:
        """Judge one partner pair's candidates by all that is known of them."""
        basis = self._basis(run)
        left, right = basis.pairs[number]
        pair, manifest = (left.partner, right.partner), basis.project.manifest
        done = _SEARCHED + (1 - _SEARCHED) * number / pairs
        self._progress.change(run, step=f"score {'-'.join(pair)}", progress=done)
        found = self._results.candidates(run, pair)
        compared = self._compared(run, pair, manifest)
        with self._database.transaction() as connection:
            decided = newest_decisions(connection, basis.project.name)

        def judge(rows_left: Rows, rows_right: Rows) -> Labels:
            return labels_of(decided, left, right, rows_left, rows_right)

        if compared is None:
            scored = score(left, right, found, manifest.scheme, judge=judge)
        else:
            self._results.save_compared(run, pair, compared)
            scored = score_compared(left, right, found, compared, manifest, judge=judge)
        self._results.save_scored(run, pair, scored)

    @DBOS.step()
    def report(self, run: str) -> None:
        """Make the report; with it the run has succeeded."""
        basis = self._basis(run)
        self._results.save_report(run, self._reports.make(basis))
        told = {"report": hashlib.sha256(self._results.report(run)).hexdigest()}
        self._progress.change(run, told, state=SUCCEEDED, step="", progress=1.0, ended_at=now())
        for earlier in self._earlier.all(basis.run):
            for left, right in basis.pairs:
                self._results.forget_candidates(earlier["id"], (left.partner, right.partner))

    def _compared(self, run: str, pair: PartnerPair, manifest: Manifest) -> Compared | None:
        """What was answered in this run, or what `candidates` took over of the last one."""
        answers = self._answers(run, pair)
        if answers is not None:
            known = self._results.known(run, pair)
            entries = self._results.entries(run, pair)
            return compare_answers(entries, answers, manifest, known=known)
        return self._results.compared(run, pair)

    def _answers(self, run: str, pair: PartnerPair) -> tuple[Answered, Answered] | None:
        """Both sides' answers, where both are there."""
        lists = self._comparisons.of(run)
        sides = [lists[side]["answers"] for side in (pair, pair[::-1]) if side in lists]
        if len(sides) != 2 or None in sides:
            return None
        with self._database.transaction() as connection:
            uploads = [find(connection, tables.upload, id=side) for side in sides]
        left, right = (self._results.answers(upload) for upload in uploads if upload)
        return left, right

    def _basis(self, run: str) -> Basis:
        """Raises CancelledError where the run was cancelled."""
        row = self._progress.row(run)
        hub = PartyId("hub", Role.STEWARD, "hub")
        with self._database.transaction() as connection:
            return basis_of(connection, self._projects, self._results, hub, row)

    def _fail(self, run: str, error: Exception) -> None:
        if not isinstance(error, LinkageError):
            error = InternalError(to_status(error).message)
        log.error("run failed", run=run, reason=error.reason)
        self._progress.fail(run, error)
