"""What a run does, step by step, as durable jobs (DBOS): a killed hub goes on with its step.

- A run with a comparison round is two jobs: the first ends when its lists are open, so that a run
  that waits keeps no other from working.
- A step's result is in a blob before the step counts as done, so repeating it is harmless.
- The job's own record holds run ids only: no row, no handle, no encoding.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import structlog
from dbos import DBOS, DBOSConfiguredInstance

from linkage.errors import CancelledError, InternalError, LinkageError, NotFoundError
from linkage.hub.comparisons import Comparisons, RequestList, time_text
from linkage.hub.labels import Labels, labels_of, review_figures
from linkage.hub.log import record
from linkage.hub.project import Project
from linkage.hub.projects import Projects
from linkage.hub.results import PartnerPair, Results
from linkage.hub.reviews import newest_decisions
from linkage.hub.runs import audit_of, project_of, require_same_secret, sources_of, uploads_of
from linkage.hub.states import CANCELLED, ENDED, FAILED, PENDING, RUNNING, SUCCEEDED, WAITING
from linkage.matching import (
    Candidates,
    Compared,
    Former,
    Known,
    LocalEngine,
    ScoredPairs,
    Source,
    compare_answers,
    find_candidates,
    former_rows,
    known_levels,
    pairs_to_compare,
    plan_requests,
    quality_report,
    score,
    score_compared,
    update_candidates,
)
from linkage.matching.answered import Answered
from linkage.matching.recall import candidate_recall
from linkage.matching.sources import Rows
from linkage.matching.strata import by_stratum
from linkage.reports.since import compared_with
from linkage.rpc.status import to_status
from linkage.store import tables
from linkage.store.sql import Database, Row, find, find_all, now, update
from linkage.trust.identity import PartyId, Role

REPORT_SECONDS = 0.5
_WORKER = "worker"
_SEARCHED = 0.8
_KINDS = {
    (PENDING, RUNNING): "run.started",
    (WAITING, RUNNING): "run.resumed",
    (RUNNING, SUCCEEDED): "run.succeeded",
}
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
        self._engine = LocalEngine()

    @DBOS.workflow()
    def link(self, run: str) -> None:
        """Candidates, then lists for the partners, or without a comparison round the rest."""
        try:
            if self._run(run)["state"] in ENDED:
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
        project = self._project(self._run(run))
        project.require_active()
        require_same_secret(self._uploads(run))
        self._set(run, state=RUNNING)
        pairs = len(pairs_to_compare(self._sources(run, project)))
        asks = project.manifest.matching.pair_keyed and not self._twin(run)
        return pairs, asks and not self._comparisons.spent(project, self._run(run)["epoch"])

    @DBOS.step()
    def candidates(self, run: str, number: int, pairs: int) -> None:
        project = self._project(self._run(run))
        left, right = pairs_to_compare(self._sources(run, project))[number]
        reporter = _Reporter(self, run, number, pairs, f"{left.partner}-{right.partner}")
        how: Any = {
            "quota": project.manifest.matching.quota,
            "look_loss": project.manifest.matching.look_loss,
            "engine": self._engine,
            "progress": reporter.progress,
            "cancelled": reporter.cancelled,
        }
        former = self._former(run, left, right)
        pair = (left.partner, right.partner)
        if (twin := self._twin(run)) and (compared := self._results.compared(twin, pair)):
            # Both, as one numbers the other's rows.
            found = self._results.candidates(twin, pair)
            self._results.save_compared(run, pair, compared)
        elif former is None:
            found = find_candidates(left, right, project.manifest.scheme, **how)
        else:
            found = update_candidates(left, right, project.manifest.scheme, former, **how)
        self._results.save_candidates(run, pair, found)

    @DBOS.step()
    def plan(self, run: str, number: int) -> None:
        project = self._project(self._run(run))
        left, right = pairs_to_compare(self._sources(run, project))[number]
        pair = (left.partner, right.partner)
        self._set(run, step=f"plan {'-'.join(pair)}", progress=_SEARCHED)
        found = self._results.candidates(run, pair)
        known = self._known(run, left, right, found)
        new = np.setdiff1d(np.arange(len(found.pairs)), known.index)
        asked = replace(found, pairs=found.pairs.take(new))
        plan = plan_requests(left, right, asked, random=np.random.default_rng())
        entries = replace(plan.entries, kept=new[plan.entries.kept])
        self._results.save_known(run, pair, known)
        self._results.save_plan(run, pair, replace(plan, entries=entries))

    @DBOS.step()
    def open(self, run: str) -> None:
        """Let the run wait for answers to its lists, whose bytes are final now."""
        project = self._project(self._run(run))
        uploads = self._uploads(run)
        lists = []
        for left, right in pairs_to_compare(self._sources(run, project)):
            sides = [(left, right), (right, left)]
            for one, other in sides[:1] if left.partner == right.partner else sides:
                names = (one.partner, other.partner)
                digest = hashlib.sha256()
                for chunk in self._results.requests(run, *names):
                    digest.update(chunk)
                entries = one.rows * project.manifest.matching.quota
                upload = uploads[one.partner]["id"]
                lists.append(RequestList(*names, upload, digest.hexdigest(), entries))
        hours = project.manifest.matching.answer_hours
        self._comparisons.open(run, lists, now() + 3600 * hours)

    @DBOS.step()
    def go_on(self, run: str) -> int:
        """Wait no longer; returns how many partner pairs there are."""
        project = self._project(self._run(run))
        self._set(run, state=RUNNING, step="")
        return len(pairs_to_compare(self._sources(run, project)))

    @DBOS.step()
    def score(self, run: str, number: int, pairs: int) -> None:
        project = self._project(self._run(run))
        left, right = pairs_to_compare(self._sources(run, project))[number]
        pair = (left.partner, right.partner)
        done = _SEARCHED + (1 - _SEARCHED) * number / pairs
        self._set(run, step=f"score {'-'.join(pair)}", progress=done)
        found = self._results.candidates(run, pair)
        compared = self._compared(run, pair, project)
        with self._database.transaction() as connection:
            decided = newest_decisions(connection, project.name)

        def judge(rows_left: Rows, rows_right: Rows) -> Labels:
            return labels_of(decided, left, right, rows_left, rows_right)

        if compared is None:
            scored = score(left, right, found, project.manifest.scheme, judge=judge)
        else:
            self._results.save_compared(run, pair, compared)
            scored = score_compared(left, right, found, compared, project.manifest, judge=judge)
        self._results.save_scored(run, pair, scored)

    @DBOS.step()
    def report(self, run: str) -> None:
        project = self._project(self._run(run))
        sources = self._sources(run, project)
        names = [(left.partner, right.partner) for left, right in pairs_to_compare(sources)]
        found: Mapping[PartnerPair, Any] = {p: self._results.candidates(run, p) for p in names}
        scored = {pair: self._results.scored(run, pair) for pair in names}
        floor = project.manifest.matching.threshold
        aim = project.manifest.matching.precision
        made = quality_report(sources, found, scored, floor=floor, precision=aim)
        for pair in names:
            made["pairs"]["|".join(pair)] |= self._how_compared(run, pair, found[pair]) | {
                "candidate_recall": candidate_recall(
                    self._asked(run, pair, found[pair]), scored[pair]
                )
            }
        threshold = made["recommended"]["threshold"]
        if project.manifest.strata:
            made["strata"] = by_stratum(sources, scored, project.manifest.strata, threshold)
        made["audits"] = {
            name: audit_of(row).model_dump(mode="json") for name, row in self._uploads(run).items()
        }
        made["reviews"] = self._reviews(project, sources, scored, threshold)
        for earlier in self._earlier(run)[:1]:
            before = json.loads(self._results.report(earlier["id"]))
            made["since"] = {"run": earlier["id"], **compared_with(before, made)}
        self._results.save_report(run, made)
        told = {"report": hashlib.sha256(self._results.report(run)).hexdigest()}
        self._set(run, told, state=SUCCEEDED, step="", progress=1.0, ended_at=now())
        for earlier in self._earlier(run):
            for pair in names:
                self._results.forget_candidates(earlier["id"], pair)

    def _asked(self, run: str, pair: PartnerPair, found: Candidates) -> Candidates:
        """The candidates that were scored: all, or those that found room in the lists."""
        compared = self._results.compared(run, pair)
        return found if compared is None else replace(found, pairs=found.pairs.take(compared.index))

    def _reviews(
        self,
        project: Project,
        sources: Sequence[Source],
        scored: Mapping[PartnerPair, ScoredPairs],
        threshold: float,
    ) -> dict[str, int]:
        """How many pairs are labelled by reviewers, and how often the model agrees."""
        with self._database.transaction() as connection:
            decided = newest_decisions(connection, project.name)
        total = Counter[str]()
        for left, right in pairs_to_compare(sources):
            one = scored[left.partner, right.partner]
            labels = labels_of(decided, left, right, one.left, one.right)
            total.update(review_figures(labels, one.probability, threshold))
        return dict(total)

    def _earlier(self, run: str) -> list[Row]:
        """Runs of the same project and epoch that have succeeded, the newest first."""
        this = self._run(run)
        with self._database.transaction() as connection:
            rows = find_all(
                connection,
                tables.run,
                order="ended_at",
                project=this["project"],
                fingerprint=this["fingerprint"],
                epoch=this["epoch"],
                state=SUCCEEDED,
            )
        return [row for row in reversed(rows) if row["id"] != run]

    def _former(self, run: str, left: Source, right: Source) -> Former | None:
        """What the last run found between two partners, where it is still known."""
        pair = (left.partner, right.partner)
        for earlier in self._earlier(run)[:1]:
            if not self._results.has_candidates(earlier["id"], pair):
                return None
            with self._database.transaction() as connection:
                uploads = uploads_of(connection, earlier)
            found = self._results.candidates(earlier["id"], pair)
            rows = [
                former_rows(self._results.matrix(uploads[source.partner]), source.matrix)
                for source in (left, right)
            ]
            return Former(found, *rows)
        return None

    def _known(self, run: str, left: Source, right: Source, found: Candidates) -> Known:
        """Which candidates the last run has compared under pair keys, and what it found."""
        nothing = Known(np.empty(0, np.int64), np.empty((0, 0), np.uint8))
        pair = (left.partner, right.partner)
        former = self._former(run, left, right)
        if former is None:
            return nothing
        earlier = self._earlier(run)[0]
        report = json.loads(self._results.report(earlier["id"]))
        if report["pairs"]["|".join(pair)]["comparison"] != "pair_keyed":
            return nothing
        with self._database.transaction() as connection:
            uploads = uploads_of(connection, earlier)
        one, other = (self._results.matrix(uploads[name]) for name in pair)
        scored = self._results.scored(earlier["id"], pair)
        return known_levels(left, right, found.pairs, former, scored, (one, other))

    def _twin(self, run: str) -> str | None:
        """The last run, where it stood on the same uploads and all was compared field by field:
        asking again would tell nothing.
        """
        for earlier in self._earlier(run)[:1]:
            pairs = json.loads(self._results.report(earlier["id"]))["pairs"].values()
            same = json.loads(earlier["uploads"]) == json.loads(self._run(run)["uploads"])
            if same and all(pair["comparison"] == "pair_keyed" for pair in pairs):
                return str(earlier["id"])
        return None

    def _compared(self, run: str, pair: PartnerPair, project: Project) -> Compared | None:
        """What was answered in this run, or what `candidates` took over of the last one."""
        answers = self._answers(run, pair)
        if answers is not None:
            known = self._results.known(run, pair)
            entries = self._results.entries(run, pair)
            return compare_answers(entries, answers, project.manifest, known=known)
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

    def _how_compared(self, run: str, pair: PartnerPair, found: Candidates) -> dict[str, Any]:
        """What the report says about how a partner pair was compared, and why so."""
        lists = self._comparisons.of(run)
        sides = [lists[side] for side in dict.fromkeys((pair, pair[::-1])) if side in lists]
        late = [row["partner"] for row in sides if row["answered_at"] is None]
        if sides and not late:
            entries = self._results.entries(run, pair)
            known = len(self._results.known(run, pair).index)
            asked = {
                "candidates": len(entries.candidates),
                "known": known,
                "displaced": len(found.pairs) - known - len(entries.candidates),
                "decoys": len(entries.decoys),
            }
            return {"comparison": "pair_keyed", "comparison_reason": "", "asked": asked}
        if twin := self._twin(run):
            before = json.loads(self._results.report(twin))["pairs"]["|".join(pair)]
            why = f"the uploads are those of run {twin}, whose answers count"
            return {
                **{key: before[key] for key in ("comparison", "asked")},
                "comparison_reason": why,
            }
        matching = self._project(self._run(run)).manifest.matching
        why = "the manifest has no pair-keyed comparison"
        if matching.pair_keyed:
            why = (
                f"agents have answered {matching.answer_runs} run(s) of this epoch, as many as the"
            )
            why += " manifest allows"
        if late:
            until = time_text(sides[0]["deadline"])
            why = f"{' and '.join(late)} had not answered by {until}"
        return {"comparison": "match_keys", "comparison_reason": why}

    def _sources(self, run: str, project: Project) -> list[Source]:
        return sources_of(self._results, project, self._uploads(run))

    def _uploads(self, run: str) -> dict[str, Row]:
        row = self._run(run)
        with self._database.transaction() as connection:
            return uploads_of(connection, row)

    def _project(self, row: Row) -> Project:
        hub = PartyId("hub", Role.STEWARD, "hub")
        with self._database.transaction() as connection:
            return project_of(self._projects, connection, hub, row)

    def _run(self, run: str) -> Row:
        with self._database.transaction() as connection:
            row = find(connection, tables.run, id=run)
        if row is None:
            raise NotFoundError("the run is gone")
        if row["state"] == CANCELLED:
            raise CancelledError("the run was cancelled")
        return row

    def _set(self, run: str, told: Mapping[str, str] | None = None, **values: Any) -> None:
        """Change a run's row, unless it was cancelled, also just now.

        Args:
            told: what the log's entry says of a change of state.
        """
        row = self._run(run)
        known = {"id": run, "state": row["state"]}
        kind = _KINDS.get((row["state"], values.get("state", "")))
        with self._database.transaction() as connection:
            changed = update(connection, tables.run, known, **values)
            if changed and kind is not None:
                record(connection, kind, project=row["project"], subject=run, **(told or {}))
        if not changed:
            raise CancelledError("the run was cancelled")

    def _fail(self, run: str, error: Exception) -> None:
        if not isinstance(error, LinkageError):
            error = InternalError(to_status(error).message)
        log.error("run failed", run=run, reason=error.reason)
        self.fail(run, error)

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
        done = _SEARCHED * (self._number + share) / self._pairs
        try:
            self._worker._set(self._run, step=self._step, progress=done)
        except CancelledError:
            self._stop = True

    def cancelled(self) -> bool:
        return self._stop
