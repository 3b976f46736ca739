"""Entries for calls: what was read, and what was refused, be it before it was a call.

- The first of a kind within a minute is written at once, before the answer leaves; what repeats it
  is counted, and the count written when the minute is over. A flood of calls makes two entries a
  minute and waits for nobody; a killed hub loses a count, never the fact.
- What a call changes is written by its use case, in the transaction of the change.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog

from linkage.hub.log import NOBODY, record
from linkage.rpc.connections import Connections
from linkage.store import tables
from linkage.store.sql import Database, find
from linkage.trust.identity import PartyId

MINUTE = 60.0
LOOKS = 30
MAX_KEYS = 4096
log = structlog.get_logger()

READS = {
    "/linkage.v1.SecretService/ListCommitments": ("commitments.fetched", "project"),
    "/linkage.v1.SecretService/ListEnvelopes": ("envelopes.fetched", "project"),
    "/linkage.v1.ComparisonService/DownloadRequests": ("list.fetched", "run"),
    "/linkage.v1.RunService/GetQualityReport": ("report.read", "run"),
    "/linkage.v1.RunService/ListLinks": ("links.read", "run"),
    "/linkage.v1.ReviewService/ListPairs": ("pairs.read", "run"),
    "/linkage.v1.ReviewService/ExplainPair": ("pair.explained", "run"),
    "/linkage.v1.ReviewService/ListDecisions": ("decisions.read", "project"),
    "/linkage.v1.ReleaseService/DownloadIndexIds": ("index_ids.fetched", "release"),
    "/linkage.v1.ReleaseService/ListParcels": ("parcels.listed", "release"),
    "/linkage.v1.ReleaseService/DownloadParcel": ("parcel.fetched", "upload"),
    "/linkage.v1.ReleaseService/DownloadStudyMap": ("study_map.fetched", "release"),
}
"""Methods that hand something out: kind of entry, and the field that names what."""

_TABLES = {"run": tables.run, "release": tables.release, "upload": tables.upload}


@dataclass(frozen=True)
class _Noted:
    """What makes two calls the same."""

    kind: str
    party: PartyId | str
    project: str = ""
    subject: str = ""
    method: str = ""
    reason: str = ""

    def write(self, connection: sa.Connection, **count: int) -> None:
        more = {"method": self.method, "reason": self.reason} if self.method else {}
        record(
            connection,
            self.kind,
            project=self.project,
            party=self.party,
            subject=self.subject,
            **more,
            **count,
        )


class Audit:
    """Told by the guard of every call (`linkage.rpc.interceptors.Audit`)."""

    def __init__(
        self, database: Database, connections: Connections, *, seconds: float = MINUTE
    ) -> None:
        self._database = database
        self._connections = connections
        self._seconds = seconds
        self._repeats: dict[_Noted, int] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def called(self, peer: str) -> None:
        self._connections.called(peer)

    def served(self, method: str, caller: PartyId, request: Any) -> None:
        """Write down that something is handed out; raises where that fails."""
        if method not in READS:
            return
        kind, field = READS[method]
        subject = project = str(getattr(request, field))
        if field in _TABLES:
            with self._database.transaction() as connection:
                row = find(connection, _TABLES[field], id=subject)
            project = "" if row is None else row["project"]
        self._note(_Noted(kind, caller, project, "" if field == "project" else subject))

    def refused(self, method: str, caller: PartyId | None, reason: str) -> None:
        party = NOBODY if caller is None else caller
        self._note(_Noted("call.refused", party, method=method.lstrip("/"), reason=reason))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what was counted."""
        self._stopping.set()
        self._thread.join()
        self.look()
        self.flush()

    def flush(self) -> None:
        """Write how often what was noted was repeated, and begin anew."""
        with self._lock:
            repeats, self._repeats = self._repeats, {}
        try:
            if any(repeats.values()):
                with self._database.transaction() as connection:
                    for noted, count in repeats.items():
                        if count:
                            noted.write(connection, repeated=count)
        except BaseException:
            with self._lock:
                for noted, count in repeats.items():
                    self._repeats[noted] = self._repeats.get(noted, 0) + count
            raise

    def _note(self, noted: _Noted, times: int = 1) -> None:
        with self._lock:
            if noted not in self._repeats and len(self._repeats) >= MAX_KEYS:
                noted = _Noted(noted.kind, NOBODY, method="many", reason="MANY")
            if noted in self._repeats:
                self._repeats[noted] += times
                return
            self._repeats[noted] = times - 1
        try:
            with self._database.transaction() as connection:
                noted.write(connection)
        except BaseException:
            with self._lock:
                self._repeats.pop(noted, None)
            raise

    def look(self) -> None:
        """Write down the connections that never came to a call."""
        if refused := self._connections.without_call():
            self._note(_Noted("connection.refused", NOBODY), refused)

    def _run(self) -> None:
        looks = 0
        while not self._stopping.wait(self._seconds / LOOKS):
            looks += 1
            try:
                self.look()
                if looks % LOOKS == 0:
                    self.flush()
            except Exception as error:  # The database may be away for a while.
                log.warning("counts of calls are not written", error=type(error).__name__)
