"""Releases: links at a threshold, proposed by a steward and approved by every partner.

- The ids of a release are drawn when it is proposed (`release_ids`) and handed out when every
  partner has approved (`handover`).
- Linkage ids go on from the last approved release.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from linkage.agreement import Manifest
from linkage.agreement.canonical import canonical, fingerprint
from linkage.errors import AgreementError, InvalidRequestError, NotFoundError, StateError
from linkage.hub.basis import project_of, uploads_of
from linkage.hub.confirmations import confirm, confirmations_of, is_confirmed, require_confirmed
from linkage.hub.log import record
from linkage.hub.project import Project
from linkage.hub.projects import Projects
from linkage.hub.release_ids import ReleaseIds
from linkage.hub.results import Results
from linkage.hub.runs import Runs, recommended_threshold
from linkage.matching import Clusters, Source, pairs_to_compare, resolve
from linkage.release.overlap import overlaps, require_enough, summary
from linkage.rpc.policy import Scope
from linkage.rpc.scopes import nothing_there
from linkage.store import tables
from linkage.store.blobs import Blobs
from linkage.store.sql import Database, Row, find, find_all, insert, now, page, update
from linkage.trust.identity import PartyId
from linkage.trust.signing import verify
from linkage.trust.statements import ReleaseStatement


@dataclass(frozen=True)
class Release:
    """A release as the hub knows it.

    Attributes:
        project: as it was when the release's run was made.
        confirmed: by as many stewards as the manifest asks for.
        contributed: partners whose parcel has arrived.
        approved: by every partner.
    """

    row: Row
    project: Project
    confirmations: Sequence[Row]
    confirmed: bool
    approvals: Sequence[Row]
    contributed: Sequence[str]
    approved: bool

    @property
    def manifest(self) -> Manifest:
        return self.project.manifest


class Releases:
    """The use cases around releases."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        projects: Projects,
        runs: Runs,
        results: Results,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._projects = projects
        self._runs = runs
        self._results = results
        self._ids = ReleaseIds(results)

    def create(
        self, caller: PartyId, run: str, threshold: float | None, request_id: str
    ) -> Release:
        """Propose a run's links for release.

        Args:
            threshold: match probability to link from; None takes the report's recommendation.

        Raises:
            NotReadyError: the run has not succeeded.
            AgreementError: the threshold is below the manifest's, or two files have so few people
                in common, or apart, that the manifest withholds it.
            TooLateError: another manifest is in force than the run was made under.
        """
        row = self._runs.succeeded(caller, run)
        with self._database.transaction() as connection:
            known = find(connection, tables.release, request_id=request_id)
            project = project_of(self._projects, connection, caller, row)
            if known is not None:
                if known["run"] != run:
                    raise StateError("this request id was used for another run")
                return _view(connection, known, project)
            self._projects.require_in_force(connection, project)
            project.require_active()
            uploads = uploads_of(connection, row)
            headers = {name: one["header_fingerprint"] for name, one in uploads.items()}
            former = self._former(connection, caller, project.name)
        report = self._results.report(run)
        chosen = recommended_threshold(report) if threshold is None else threshold
        _require_threshold(chosen, project.manifest)
        release, sources = secrets.token_hex(16), self._runs.sources(caller, run)
        clusters = self._resolve(run, sources, chosen)
        found = overlaps({source.partner: clusters.of[source.partner] for source in sources})
        require_enough(found, project.manifest)
        shown = summary(found, json.loads(report), project.manifest, chosen)
        self._blobs.put(_summary_key(release), shown)
        continuity = self._ids.draw(release, sources, clusters, former)
        said = ReleaseStatement(
            release=release,
            project=project.name,
            run=run,
            fingerprint=project.fingerprint,
            epoch=project.epoch,
            threshold=chosen,
            report=fingerprint(report),
            summary=fingerprint(shown),
            uploads=headers,
        )
        with self._database.transaction() as connection:
            insert(
                connection,
                tables.release,
                id=release,
                project=project.name,
                run=run,
                threshold=chosen,
                statement=said.canonical,
                continuity=canonical(continuity),
                created_at=now(),
                map_acknowledged_at=None,
                request_id=request_id,
            )
            record(
                connection,
                "release.proposed",
                project=project.name,
                party=caller,
                subject=release,
                run=run,
                statement=fingerprint(said.canonical),
            )
            return self._require(connection, caller, release)

    def get(self, caller: PartyId, release: str) -> Release:
        """Raises NotFoundError unless it exists and the caller belongs to its project."""
        with self._database.transaction() as connection:
            return self._require(connection, caller, release)

    def list(self, caller: PartyId, project: str, *, after: str, size: int) -> Sequence[Release]:
        with self._database.transaction() as connection:
            known = self._projects.versions(connection, project, caller)
            runs = find_all(connection, tables.run, project=project, fingerprint=known)
            about = {"project": project, "run": frozenset(run["id"] for run in runs)}
            rows = page(connection, tables.release, after=after, size=size, **about)
            return [_view(connection, row, self._of(connection, caller, row)) for row in rows]

    def of_run(self, caller: PartyId, run: Row) -> Sequence[Release]:
        """A run's releases, the oldest first."""
        with self._database.transaction() as connection:
            rows = find_all(connection, tables.release, order="created_at", run=run["id"])
            return [_view(connection, row, self._of(connection, caller, row)) for row in rows]

    def summary(self, release: Release) -> bytes:
        """What partners may see of a release, JSON."""
        return self._blobs.get(_summary_key(release.row["id"]))

    def confirm(self, caller: PartyId, release: str, signature: bytes) -> Release:
        """Record a steward's confirmation; see `confirmations.confirm`."""
        with self._database.transaction() as connection:
            found = self._require(connection, caller, release)
            self._projects.require_in_force(connection, found.project)
            found.project.require_active()
            confirm(connection, caller, found.manifest, found.row, signature)
            return self._require(connection, caller, release)

    def approve(self, caller: PartyId, release: str, signature: bytes) -> Release:
        """Record a partner's approval; repeating it changes nothing.

        Raises:
            SignatureError: the signature does not hold.
            NotReadyError: the manifest asks for two stewards, who have not confirmed it.
            NotAgreedError: the manifest has expired.
            TooLateError: another manifest is in force than the release was made under.
        """
        with self._database.transaction() as connection:
            found = self._require(connection, caller, release)
            found.project.require_partner(caller)
            self._projects.require_in_force(connection, found.project)
            found.project.require_active()
            require_confirmed(found.manifest, found.confirmations)
            verify(
                self._projects.signing_key(connection, caller.name),
                signature,
                found.row["statement"],
                what="the release",
                by=caller.name,
            )
            key = {"release": release, "partner": caller.name}
            known = find(connection, tables.approval, **key)
            if known is None:
                insert(connection, tables.approval, **key, signature=signature, approved_at=now())
            elif known["signature"] != signature:
                # With keys that the partner has changed to since.
                update(connection, tables.approval, key, signature=signature, approved_at=now())
            if known is None or known["signature"] != signature:
                record(
                    connection,
                    "release.approved",
                    project=found.row["project"],
                    party=caller,
                    subject=release,
                    statement=fingerprint(found.row["statement"]),
                    signature=fingerprint(signature),
                )
            return self._require(connection, caller, release)

    def _former(
        self, connection: sa.Connection, caller: PartyId, project: str
    ) -> tuple[str, Sequence[str]] | None:
        """The newest release that every partner of its own manifest approved, and those partners:
        its linkage ids go on, also under the next manifest and in the next epoch.
        """
        found = None
        for row in find_all(connection, tables.release, order="created_at", project=project):
            release = _view(connection, row, self._of(connection, caller, row))
            if release.approved:
                found = row["id"], release.manifest.partner_names
        return found

    def _resolve(self, run: str, sources: Sequence[Source], threshold: float) -> Clusters:
        pairs = [(one.partner, two.partner) for one, two in pairs_to_compare(sources)]
        scored = {pair: self._results.scored(run, pair) for pair in pairs}
        return resolve(sources, scored, threshold)

    def _of(self, connection: sa.Connection, caller: PartyId, release: Row) -> Project:
        """The project as it was when the release's run was made."""
        run = find(connection, tables.run, id=release["run"])
        if run is None:
            raise NotFoundError("the release's run is gone")
        return project_of(self._projects, connection, caller, run)

    def _require(self, connection: sa.Connection, caller: PartyId, release: str) -> Release:
        row = find(connection, tables.release, id=release)
        if row is None:
            raise nothing_there(Scope.RELEASE)
        try:
            project = self._of(connection, caller, row)
        except NotFoundError:
            raise nothing_there(Scope.RELEASE) from None
        return _view(connection, row, project)


def _require_threshold(threshold: float, manifest: Manifest) -> None:
    if not 0.0 < threshold <= 1.0:
        raise InvalidRequestError("a threshold is a probability above 0 and at most 1")
    floor = manifest.matching.threshold
    if floor is not None and threshold < floor:
        raise AgreementError(f"the manifest allows no threshold below {floor}")


def _view(connection: sa.Connection, row: Row, project: Project) -> Release:
    approvals = find_all(connection, tables.approval, order="partner", release=row["id"])
    parcels = find_all(connection, tables.upload, order="partner", kind="parcel", release=row["id"])
    confirmations = confirmations_of(connection, row["id"])
    return Release(
        row,
        project,
        confirmations,
        is_confirmed(project.manifest, confirmations),
        approvals,
        [p["partner"] for p in parcels if p["finished_at"] is not None],
        set(project.manifest.partner_names) <= {a["partner"] for a in approvals},
    )


def _summary_key(release: str) -> str:
    return f"releases/{release}/summary.json"
