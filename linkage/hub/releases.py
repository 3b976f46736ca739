"""Releases: links at a threshold, approved by every partner, under ids that join nowhere else.

- Every cluster gets a random linkage id; every row of every partner, linked or not, a random
  index id, and every cluster a random study id. None is derived from anything.
- A partner learns the index ids of its own rows only. The assembler learns index id -> study id
  only, once. Linkage ids stay at the hub.
- Every row also gets a day shift, and every cluster one: a partner learns its rows' shifts, the
  assembler the differences, so that dates stay hidden and intervals do not; see `release.days`.
- A cluster keeps the linkage id it had in the last approved release, as far as it is the same
  cluster; merges and splits are kept beside the release.
- Ids are drawn when the release is proposed and handed out when every partner has approved.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from linkage.agreement import Manifest
from linkage.agreement.canonical import canonical, fingerprint
from linkage.errors import (
    AgreementError,
    InvalidRequestError,
    NotFoundError,
    NotReadyError,
    StateError,
)
from linkage.hub.confirmations import confirm, confirmations_of, is_confirmed, require_confirmed
from linkage.hub.log import record
from linkage.hub.project import Project
from linkage.hub.projects import Projects
from linkage.hub.results import Results, blob_key
from linkage.hub.runs import Runs, project_of, recommended_threshold, uploads_of
from linkage.matching import Clusters, Source, pairs_to_compare, resolve
from linkage.release.continuity import inherit
from linkage.release.days import SHIFT, corrections, draw_shifts
from linkage.release.overlap import overlaps, require_enough, summary
from linkage.release.pseudonyms import Ids, draw_ids
from linkage.rpc.policy import Scope
from linkage.rpc.scopes import nothing_there
from linkage.store import tables
from linkage.store.blobs import Blobs
from linkage.store.sql import Database, Row, find, find_all, insert, now, page, update
from linkage.trust.identity import PartyId
from linkage.trust.signing import verify
from linkage.trust.statements import ReleaseStatement

BATCH_ROWS = 50_000


@dataclass(frozen=True)
class Release:
    """A release as the hub knows it."""

    row: Row
    manifest: Manifest
    confirmations: Sequence[Row]
    confirmed: bool
    approvals: Sequence[Row]
    contributed: Sequence[str]
    approved: bool


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
        if not 0.0 < chosen <= 1.0:
            raise InvalidRequestError("a threshold is a probability above 0 and at most 1")
        floor = project.manifest.matching.threshold
        if floor is not None and chosen < floor:
            raise AgreementError(f"the manifest allows no threshold below {floor}")
        release, sources = secrets.token_hex(16), self._runs.sources(caller, run)
        clusters = self._resolve(run, sources, chosen)
        found = overlaps({source.partner: clusters.of[source.partner] for source in sources})
        require_enough(found, project.manifest)
        shown = summary(found, json.loads(report), project.manifest, chosen)
        self._blobs.put(_summary_key(release), shown)
        continuity = self._draw(release, sources, clusters, former)
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
            project = self._of(connection, caller, found.row)
            self._projects.require_in_force(connection, project)
            project.require_active()
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
            project = self._of(connection, caller, found.row)
            project.require_partner(caller)
            self._projects.require_in_force(connection, project)
            project.require_active()
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

    def index_ids(self, caller: PartyId, release: str) -> Iterator[tuple[bytes, ...]]:
        """Row handles, index ids and day shifts of the calling partner, in batches."""
        project = self._project(caller, self._approved(caller, release))
        project.require_partner(caller)
        arrays = self._results.load(f"releases/{release}/index/{caller.name}.npz")
        yield from _batches(arrays["handles"], arrays["index_ids"], _shifts(arrays))

    def parcels(self, caller: PartyId, release: str) -> Sequence[Row]:
        """The parcels that have arrived, as upload rows."""
        found = self._approved(caller, release)
        self._project(caller, found).require_assembler(caller)
        with self._database.transaction() as connection:
            rows = find_all(
                connection,
                tables.upload,
                order="partner",
                kind="parcel",
                project=found.row["project"],
                release=release,
            )
        return [row for row in rows if row["finished_at"] is not None]

    def parcel(self, caller: PartyId, upload: str, offset: int) -> Iterator[bytes]:
        """A parcel's sealed bytes from an offset on.

        Raises:
            InvalidRequestError: the offset is behind its end.
        """
        with self._database.transaction() as connection:
            row = find(connection, tables.upload, id=upload, kind="parcel")
        try:
            if row is None or row["finished_at"] is None:
                raise NotFoundError("the parcel has not arrived")
            found = self._approved(caller, row["release"])
        except NotFoundError:
            raise nothing_there(Scope.UPLOAD) from None
        self._project(caller, found).require_assembler(caller)
        if offset > row["size"]:
            raise InvalidRequestError(f"the parcel has {row['size']} bytes")
        return self._blobs.stream(blob_key(upload), offset)

    def study_map(self, caller: PartyId, release: str) -> Iterator[tuple[str, tuple[bytes, ...]]]:
        """Index ids, study ids and corrections of day shifts of every partner, in batches, until
        acknowledged.

        Raises:
            StateError: the map was handed over and deleted.
        """
        found = self._approved(caller, release)
        self._project(caller, found).require_assembler(caller)
        if found.row["map_acknowledged_at"] is not None:
            raise StateError(
                "the study map was handed over already and is deleted",
                remedy="Propose a new release if it was lost",
            )
        for partner in self._partners(caller, found):
            arrays = self._results.load(f"releases/{release}/study/{partner}.npz")
            for batch in _batches(arrays["index_ids"], arrays["study_ids"], _shifts(arrays)):
                yield partner, batch

    def acknowledge(self, caller: PartyId, release: str, rows: int) -> None:
        """The assembler has the whole map: delete it here.

        Repeating it finishes a deletion that was interrupted.

        Raises:
            InvalidRequestError: the number of rows is not the map's.
        """
        # Also after the manifest has expired: what is to be deleted is deleted.
        found = self._approved(caller, release, expired=True)
        self._project(caller, found).require_assembler(caller)
        keys = [
            f"releases/{release}/study/{partner}.npz" for partner in self._partners(caller, found)
        ]
        if found.row["map_acknowledged_at"] is None:
            if rows != sum(len(self._results.load(key)["index_ids"]) for key in keys):
                raise InvalidRequestError(
                    "the map did not arrive whole", remedy="Download it again"
                )
            with self._database.transaction() as connection:
                update(connection, tables.release, {"id": release}, map_acknowledged_at=now())
                record(
                    connection,
                    "study_map.acknowledged",
                    project=found.row["project"],
                    party=caller,
                    subject=release,
                )
        for key in keys:
            self._results.delete(key)

    def _former(
        self, connection: sa.Connection, caller: PartyId, project: str
    ) -> tuple[str, Sequence[str]] | None:
        """The newest release that every partner of its own manifest approved, and those partners:
        its linkage ids go on, also under the next manifest and in the next epoch.
        """
        found = None
        for row in find_all(connection, tables.release, order="created_at", project=project):
            made = self._of(connection, caller, row)
            if _view(connection, row, made).approved:
                found = row["id"], made.manifest.partner_names
        return found

    def _resolve(self, run: str, sources: Sequence[Source], threshold: float) -> Clusters:
        pairs = [(one.partner, two.partner) for one, two in pairs_to_compare(sources)]
        scored = {pair: self._results.scored(run, pair) for pair in pairs}
        return resolve(sources, scored, threshold)

    def _draw(
        self,
        release: str,
        sources: Sequence[Source],
        clusters: Clusters,
        former: tuple[str, Sequence[str]] | None,
    ) -> dict[str, Any]:
        """Draw every id of a release; returns what became of the former linkage ids."""
        linkage_ids, continuity = self._linkage_ids(release, former, sources, clusters)
        study_ids = draw_ids(clusters.count)
        person_shifts = draw_shifts(clusters.count)
        for source in sources:
            # A record with aliases has several rows, one handle, and so one index id.
            records = source.matrix.first_rows()
            cluster = clusters.of[source.partner][records]
            handles, index_ids = source.matrix.handles[records], draw_ids(len(records))
            shifts = draw_shifts(len(records))
            corrected = corrections(person_shifts[cluster], shifts)
            # Ordered by index id: the order of the upload joins nothing to nothing.
            order = np.lexsort(index_ids.T[::-1])
            place = f"releases/{release}"
            self._results.save(
                f"{place}/index/{source.partner}.npz",
                {
                    "handles": handles[order],
                    "index_ids": index_ids[order],
                    "day_shifts": shifts[order],
                },
            )
            self._results.save(
                f"{place}/study/{source.partner}.npz",
                {
                    "index_ids": index_ids[order],
                    "study_ids": study_ids[cluster][order],
                    "day_shifts": corrected[order],
                },
            )
            self._results.save(
                f"{place}/linkage/{source.partner}.npz",
                {"handles": handles, "linkage_ids": linkage_ids[cluster]},
            )
        return continuity

    def _linkage_ids(
        self,
        release: str,
        former: tuple[str, Sequence[str]] | None,
        sources: Sequence[Source],
        clusters: Clusters,
    ) -> tuple[Ids, dict[str, Any]]:
        """Each cluster's linkage id, a former one where it can be; what merged or split is kept
        beside the release.
        """
        before, partners = former or ("", ())
        # Whoever has left has no record here any more, and whoever has come had none.
        staying = [source.partner for source in sources if source.partner in partners]
        if not staying:
            return draw_ids(clusters.count), {}
        known = [self._results.load(f"releases/{before}/linkage/{name}.npz") for name in staying]
        records = [(source, source.matrix.first_rows()) for source in sources]
        found = inherit(
            np.concatenate([arrays["handles"] for arrays in known]),
            np.concatenate([arrays["linkage_ids"] for arrays in known]),
            np.concatenate([source.matrix.handles[rows] for source, rows in records]),
            np.concatenate([clusters.of[source.partner][rows] for source, rows in records]),
            clusters.count,
        )
        moved = {"merges": found.merges, "splits": found.splits}
        self._results.save(f"releases/{release}/history.npz", moved)
        return found.ids, {
            "former": before,
            "kept": int(found.kept.sum()),
            "started": int((~found.kept).sum()),
            "merged": len(np.unique(found.merges[:, 1], axis=0)),
            "split": len(np.unique(found.splits[:, 0], axis=0)),
            "ended": found.ended,
        }

    def _partners(self, caller: PartyId, release: Release) -> Sequence[str]:
        return self._project(caller, release).manifest.partner_names

    def _project(self, caller: PartyId, release: Release) -> Project:
        with self._database.transaction() as connection:
            return self._of(connection, caller, release.row)

    def _of(self, connection: sa.Connection, caller: PartyId, release: Row) -> Project:
        """The project as it was when the release's run was made."""
        run = find(connection, tables.run, id=release["run"])
        if run is None:
            raise NotFoundError("the release's run is gone")
        return project_of(self._projects, connection, caller, run)

    def _approved(self, caller: PartyId, release: str, *, expired: bool = False) -> Release:
        found = self.get(caller, release)
        if not expired:
            self._project(caller, found).require_active()
        if not found.approved:
            raise NotReadyError(
                "the release is not approved by every partner yet",
                remedy="Each of them must run: linkage agent approve",
            )
        return found

    def _require(self, connection: sa.Connection, caller: PartyId, release: str) -> Release:
        row = find(connection, tables.release, id=release)
        if row is None:
            raise nothing_there(Scope.RELEASE)
        try:
            project = self._of(connection, caller, row)
        except NotFoundError:
            raise nothing_there(Scope.RELEASE) from None
        return _view(connection, row, project)


def _view(connection: sa.Connection, row: Row, project: Project) -> Release:
    approvals = find_all(connection, tables.approval, order="partner", release=row["id"])
    parcels = find_all(connection, tables.upload, order="partner", kind="parcel", release=row["id"])
    confirmations = confirmations_of(connection, row["id"])
    return Release(
        row,
        project.manifest,
        confirmations,
        is_confirmed(project.manifest, confirmations),
        approvals,
        [p["partner"] for p in parcels if p["finished_at"] is not None],
        set(project.manifest.partner_names) <= {a["partner"] for a in approvals},
    )


def _summary_key(release: str) -> str:
    return f"releases/{release}/summary.json"


def _shifts(arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Day shifts as they go over the wire; none for a release from before there were any."""
    return arrays.get("day_shifts", np.empty(0, SHIFT)).astype(SHIFT)


def _batches(*arrays: npt.NDArray[np.generic]) -> Iterator[tuple[bytes, ...]]:
    for start in range(0, len(arrays[0]), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        yield tuple(array[part].tobytes() for array in arrays)
