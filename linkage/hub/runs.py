"""Runs: persistent resources that survive a restart of the hub.

- A run starts only when every partner has signed, every upload is there, and all partners hold
  the same project secret.
- What a run computes lies in blobs under its id; the row says how far it is.
- While a run waits, its view also says for whom (`waiting_for`) and until when (`deadline`).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from linkage.agreement.canonical import canonical, fingerprint
from linkage.errors import NotFoundError, NotReadyError, StateError
from linkage.hub import succession
from linkage.hub.basis import basis_of, encodings_of, project_of, require_same_secret
from linkage.hub.comparisons import waiting_for
from linkage.hub.log import record
from linkage.hub.project import Project
from linkage.hub.projects import Projects
from linkage.hub.results import Results
from linkage.hub.spending import RUNS, spend
from linkage.hub.states import CANCELLED, ENDED, PENDING, RUNNING, SUCCEEDED, WAITING
from linkage.matching import ScoredPairs, Source, pairs_to_compare
from linkage.rpc.policy import Scope
from linkage.rpc.scopes import nothing_there
from linkage.store import tables
from linkage.store.sql import Database, Row, find, find_all, insert, now, page, update
from linkage.trust.identity import PartyId

POLL_SECONDS = 0.25
BATCH_PAIRS = 20_000


@dataclass(frozen=True)
class LinkBatch:
    """Scored pairs between two partners, as parallel arrays; handles are (n, 16) uint8."""

    left_partner: str
    right_partner: str
    left_handles: npt.NDArray[np.uint8]
    right_handles: npt.NDArray[np.uint8]
    probability: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]


class Runs:
    """The use cases around runs.

    Args:
        start: hands a run to the worker; called again for the same run it does nothing.
    """

    def __init__(
        self,
        database: Database,
        projects: Projects,
        results: Results,
        start: Callable[[str], None],
    ) -> None:
        self._database = database
        self._projects = projects
        self._results = results
        self._start = start

    def create(self, caller: PartyId, name: str, request_id: str) -> Row:
        """Start a run over everybody's uploads.

        Raises:
            NotAgreedError: not signed by all, or expired.
            NotReadyError: uploads are missing.
            KeyCheckMismatchError: the partners do not all hold the same project secret.
            LimitError: the manifest allows no further run today.
        """
        with self._database.transaction() as connection:
            # An epoch that begins meanwhile finds this run, and ends it.
            succession.lock(connection, name)
            project = self._projects.require(connection, name, caller)
            known = find(connection, tables.run, request_id=request_id)
            if known is None:
                project.require_active()
                uploads = encodings_of(connection, project)
                require_same_secret(uploads)
                spend(connection, project.manifest, "", RUNS)
                known = self._insert(connection, project, uploads, request_id)
                record(
                    connection,
                    "run.created",
                    project=name,
                    party=caller,
                    subject=known["id"],
                    fingerprint=known["fingerprint"],
                    uploads=fingerprint(known["uploads"]),
                )
            elif known["project"] != name:
                raise StateError("this request id was used for another project")
        self._start(known["id"])
        return self.get(caller, known["id"])

    def resume(self) -> None:
        """Hand over again what has not ended: a crash may have come between row and queue."""
        with self._database.transaction() as connection:
            waiting = [
                row["id"]
                for state in (PENDING, RUNNING)
                for row in find_all(connection, tables.run, order="created_at", state=state)
            ]
        for run in waiting:
            self._start(run)

    def get(self, caller: PartyId, run: str) -> Row:
        """Raises NotFoundError unless it exists and the caller belongs to its project."""
        with self._database.transaction() as connection:
            return self._require(connection, caller, run)

    def list(self, caller: PartyId, project: str, *, after: str, size: int) -> Sequence[Row]:
        with self._database.transaction() as connection:
            known = self._projects.versions(connection, project, caller)
            about = {"project": project, "fingerprint": known}
            rows = page(connection, tables.run, after=after, size=size, **about)
            return [_view(connection, row) for row in rows]

    def watch(self, caller: PartyId, run: str, *, active: Callable[[], bool]) -> Iterator[Row]:
        """The run whenever it changes, until it ends or `active` says stop."""
        last: Row | None = None
        while active():
            row = self.get(caller, run)
            if row != last:
                yield row
                last = row
            if row["state"] in ENDED:
                return
            time.sleep(POLL_SECONDS)

    def cancel(self, caller: PartyId, run: str) -> Row:
        """End a run; one that has ended stays as it is."""
        with self._database.transaction() as connection:
            row = self._require(connection, caller, run)
            if row["state"] not in ENDED:
                update(connection, tables.run, {"id": run}, state=CANCELLED, ended_at=now())
                record(
                    connection, "run.cancelled", project=row["project"], party=caller, subject=run
                )
            return self._require(connection, caller, run)

    def report(self, caller: PartyId, run: str) -> bytes:
        """The quality report, JSON.

        Raises:
            NotReadyError: the run has not succeeded.
        """
        self.succeeded(caller, run)
        return self._results.report(run)

    def links(self, caller: PartyId, run: str, min_probability: float) -> Iterator[LinkBatch]:
        """Scored pairs by row handle, partner pair by partner pair, in batches."""
        for left, right in pairs_to_compare(self.sources(caller, run)):
            scored = self._results.scored(run, (left.partner, right.partner))
            yield from _batches(left, right, scored, min_probability)

    def sources(self, caller: PartyId, run: str) -> Sequence[Source]:
        """What a run that has succeeded stood on, in the manifest's order."""
        row = self.succeeded(caller, run)
        with self._database.transaction() as connection:
            basis = basis_of(connection, self._projects, self._results, caller, row)
        return basis.sources

    def succeeded(self, caller: PartyId, run: str) -> Row:
        """The run, if it has succeeded; else NotReadyError."""
        row = self.get(caller, run)
        if row["state"] != SUCCEEDED:
            raise NotReadyError(f"the run has not succeeded; it is {row['state']}")
        return row

    def _require(self, connection: sa.Connection, caller: PartyId, run: str) -> Row:
        row = find(connection, tables.run, id=run)
        if row is None:
            raise nothing_there(Scope.RUN)
        try:
            project_of(self._projects, connection, caller, row)
        except NotFoundError:
            raise nothing_there(Scope.RUN) from None
        return _view(connection, row)

    @staticmethod
    def _insert(
        connection: sa.Connection, project: Project, uploads: Mapping[str, Row], request_id: str
    ) -> Row:
        values: dict[str, Any] = {
            "id": secrets.token_hex(16),
            "project": project.name,
            "fingerprint": project.fingerprint,
            "epoch": project.epoch,
            "state": PENDING,
            "step": "",
            "progress": 0.0,
            "reason": "",
            "message": "",
            "created_at": now(),
            "ended_at": None,
            "request_id": request_id,
            "uploads": canonical({name: row["id"] for name, row in uploads.items()}),
            "cleared_at": None,
        }
        insert(connection, tables.run, **values)
        return values


def _view(connection: sa.Connection, row: Row) -> Row:
    names, deadline = waiting_for(connection, row["id"]) if row["state"] == WAITING else ([], None)
    return {**row, "waiting_for": names, "deadline": deadline}


def recommended_threshold(report: bytes) -> float:
    """The match probability that a quality report recommends to link from."""
    return float(json.loads(report)["recommended"]["threshold"])


def _batches(
    left: Source, right: Source, scored: ScoredPairs, min_probability: float
) -> Iterator[LinkBatch]:
    keep = np.flatnonzero(scored.probability >= min_probability)
    for start in range(0, len(keep), BATCH_PAIRS):
        part = keep[start : start + BATCH_PAIRS]
        yield LinkBatch(
            left.partner,
            right.partner,
            left.matrix.handles[scored.left[part]],
            right.matrix.handles[scored.right[part]],
            scored.probability[part],
            scored.weight[part].astype(np.float64),
        )
