"""Hand over what an approved release holds: to each party its own, and to nobody before.

- A partner gets its own rows' index ids and day shifts.
- The assembler gets the sealed parcels, and the study map once: when it says that it has the map
  whole, the map is deleted.
- After the manifest's last day nothing is handed over any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from linkage.errors import InvalidRequestError, NotFoundError, NotReadyError, StateError
from linkage.hub.log import record
from linkage.hub.release_ids import ReleaseIds
from linkage.hub.releases import Release, Releases
from linkage.hub.results import Results, blob_key
from linkage.rpc.policy import Scope
from linkage.rpc.scopes import nothing_there
from linkage.store import tables
from linkage.store.blobs import Blobs
from linkage.store.sql import Database, Row, find, find_all, now, update
from linkage.trust.identity import PartyId


class Handover:
    """The use cases around what a release holds.

    All raise NotFoundError unless the release exists and the caller belongs to its project,
    NotReadyError unless every partner has approved it, NotAuthorisedError where the thing is not
    for the caller, and, but for `acknowledge`, NotAgreedError once the manifest has expired.
    """

    def __init__(
        self, database: Database, blobs: Blobs, releases: Releases, results: Results
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._releases = releases
        self._ids = ReleaseIds(results)

    def index_ids(self, caller: PartyId, release: str) -> Iterator[tuple[bytes, ...]]:
        """Row handles, index ids and day shifts of the calling partner, in batches."""
        self._approved(caller, release).project.require_partner(caller)
        yield from self._ids.of_partner(release, caller.name)

    def parcels(self, caller: PartyId, release: str) -> Sequence[Row]:
        """The parcels that have arrived, as upload rows."""
        found = self._approved(caller, release)
        found.project.require_assembler(caller)
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
        found.project.require_assembler(caller)
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
        found.project.require_assembler(caller)
        if found.row["map_acknowledged_at"] is not None:
            raise StateError(
                "the study map was handed over already and is deleted",
                remedy="Propose a new release if it was lost",
            )
        for partner in found.project.manifest.partner_names:
            for batch in self._ids.study_map(release, partner):
                yield partner, batch

    def acknowledge(self, caller: PartyId, release: str, rows: int) -> None:
        """The assembler has the whole map: delete it here.

        Repeating it finishes a deletion that was interrupted.

        Raises:
            InvalidRequestError: the number of rows is not the map's.
        """
        # Also after the manifest has expired: what is to be deleted is deleted.
        found = self._approved(caller, release, expired=True)
        found.project.require_assembler(caller)
        partners = found.project.manifest.partner_names
        if found.row["map_acknowledged_at"] is None:
            if rows != sum(self._ids.study_rows(release, partner) for partner in partners):
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
        for partner in partners:
            self._ids.forget_study_map(release, partner)

    def _approved(self, caller: PartyId, release: str, *, expired: bool = False) -> Release:
        found = self._releases.get(caller, release)
        if not expired:
            found.project.require_active()
        if not found.approved:
            raise NotReadyError(
                "the release is not approved by every partner yet",
                remedy="Each of them must run: linkage agent approve",
            )
        return found
