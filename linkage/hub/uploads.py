"""Uploads: announced by a signed header, streamed from any offset, checked, receipted.

- What may be announced is told by `announcements`, what may be taken over by `arrivals`.
- Bytes go to a staging file as they come; what the disk holds is the committed size, so a broken
  stream, or a killed hub, costs only what was still on its way.
- An upload becomes visible to runs once its digest and content have been checked.
- What an earlier epoch announced cannot be finished in a later one.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from linkage.agreement.canonical import fingerprint
from linkage.errors import (
    DigestMismatchError,
    InvalidRequestError,
    LimitError,
    NotReadyError,
    StateError,
    TooLateError,
)
from linkage.files import private_directory
from linkage.hub import succession
from linkage.hub.announcements import Announcements, require_replaceable, spend_nonce
from linkage.hub.arrivals import require_answers, require_fit, require_sealed
from linkage.hub.comparisons import Comparisons
from linkage.hub.log import record
from linkage.hub.project import Project
from linkage.hub.projects import Projects
from linkage.hub.results import blob_key
from linkage.hub.spending import UPLOADS, Meter, require_room, spend
from linkage.rpc.policy import Scope
from linkage.rpc.scopes import nothing_there
from linkage.store import tables
from linkage.store.blobs import Blobs
from linkage.store.sql import Database, Row, find, find_all, insert, now, update
from linkage.trust.headers import (
    LIFETIME,
    AnswersHeader,
    EncodingsHeader,
    Header,
    ParcelHeader,
    parse_header,
)
from linkage.trust.identity import PartyId
from linkage.trust.signing import verify

SYNC_BYTES = 64 << 20


@dataclass(frozen=True)
class UploadStatus:
    """How far an upload is."""

    id: str
    finished: bool
    committed_size: int
    size: int


@dataclass(frozen=True)
class Receipt:
    """Proof that an upload arrived whole; `received_at` in seconds since the epoch."""

    id: str
    header_fingerprint: str
    digest: str
    size: int
    received_at: int


class Uploads:
    """The use cases around uploads."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        staging: Path,
        projects: Projects,
        comparisons: Comparisons,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._staging = private_directory(staging)
        self._projects = projects
        self._comparisons = comparisons
        self._announcements = Announcements(projects, comparisons)
        self._busy: set[str] = set()
        self._guard = threading.Lock()

    def create(self, caller: PartyId, raw: bytes, signature: bytes) -> UploadStatus:
        """Announce an upload; the same header again finds the one begun.

        An unfinished upload of the same partner and purpose is given up in its favour. Finished
        encodings may be replaced until a run has used them; the old ones stay until the new ones
        are whole.

        Raises:
            InvalidRequestError: the header is malformed, another's, or expired.
            AgreementError: the signed manifest does not cover it.
            ReplayError: the header's nonce was used before.
            AlreadyExistsError: one for the same purpose is finished.
            LimitError: the manifest's budgets allow no further one.
        """
        header = parse_header(raw)
        with self._database.transaction() as connection:
            project = self._projects.require(connection, header.project, caller)
            project.require_partner(caller)
            if header.partner != caller.name:
                raise InvalidRequestError("the upload's header names another partner")
            key = self._projects.signing_key(connection, caller.name)
            verify(key, signature, raw, what="the upload's header", by=caller.name)
            known = find(connection, tables.upload, header_fingerprint=fingerprint(raw))
            if known is None:
                self._announcements.require_allowed(connection, project, header)
                spend_nonce(connection, header)
                known = self._begin(connection, project, header, raw, signature)
                _record(connection, "upload.created", caller, known, header)
        return self._status(known)

    def status(self, caller: PartyId, upload: str) -> UploadStatus:
        return self._status(self._own(caller, upload))

    def write(self, caller: PartyId, upload: str, offset: int, chunks: Iterator[bytes]) -> int:
        """Append bytes from `offset` on; returns the committed size.

        Raises:
            StateError: the offset is not the committed size, or somebody else is writing.
            TooLateError: nobody waits for these answers any more.
            LimitError: more bytes than announced, or than the manifest allows in a day.
        """
        row = self._own(caller, upload)
        if row["finished_at"] is not None:
            return int(row["size"])
        self._require_still_open(caller, row)
        manifest = self._projects.get(caller, row["project"]).manifest
        with (
            self._exclusive(upload),
            self._path(upload).open("ab") as file,
            Meter(self._database, manifest, caller.name, most=row["size"]) as meter,
        ):
            committed = file.tell()
            if offset != committed:
                raise StateError(
                    f"the upload stands at byte {committed}, not {offset}",
                    remedy="Ask for its committed size and go on from there",
                )
            unsynced = 0
            for chunk in chunks:
                if committed + len(chunk) > row["size"]:
                    raise LimitError("the upload is larger than its header says")
                meter.take(len(chunk))
                file.write(chunk)
                committed += len(chunk)
                unsynced += len(chunk)
                if unsynced >= SYNC_BYTES:
                    file.flush()
                    os.fsync(file.fileno())
                    unsynced = 0
            return committed

    def finish(self, caller: PartyId, upload: str) -> Receipt:
        """Check an upload and take it over; repeating it gives the same receipt.

        Raises:
            NotReadyError: bytes are missing.
            DigestMismatchError: they are not the announced ones; the upload starts over.
            InvalidRequestError: the content is not what an encoder writes.
            AgreementError: it is a probe, a flood, or differs too little from the last round's.
            TooLateError: nobody waits for these answers any more.
        """
        row = self._own(caller, upload)
        with self._exclusive(upload):
            if row["finished_at"] is None:
                self._require_still_open(caller, row)
                self._take_over(caller, row)
        with self._database.transaction() as connection:
            row = find(connection, tables.upload, id=upload) or row
        return Receipt(
            upload,
            row["header_fingerprint"],
            parse_header(row["header"]).digest,
            row["size"],
            row["finished_at"],
        )

    def _begin(
        self,
        connection: sa.Connection,
        project: Project,
        header: Header,
        raw: bytes,
        signature: bytes,
    ) -> Row:
        release = header.release if isinstance(header, ParcelHeader) else ""
        same: dict[str, Any] = {
            "kind": header.kind,
            "project": header.project,
            "partner": header.partner,
            "epoch": header.epoch,
            "release": release,
            "run": header.run if isinstance(header, AnswersHeader) else "",
            "other": header.other if isinstance(header, AnswersHeader) else "",
            "round": header.round if isinstance(header, EncodingsHeader) else 0,
        }
        for row in find_all(connection, tables.upload, **same):
            if row["finished_at"] is not None:
                require_replaceable(connection, row)
                continue
            connection.execute(sa.delete(tables.upload).where(tables.upload.c.id == row["id"]))
            self._path(row["id"]).unlink(missing_ok=True)
        spend(connection, project.manifest, header.partner, UPLOADS)
        since = now() - int(LIFETIME.total_seconds())
        require_room(connection, project.manifest, header.partner, since)
        values = {
            "id": secrets.token_hex(16),
            **same,
            "header": raw,
            "header_fingerprint": fingerprint(raw),
            "signature": signature,
            "size": header.size,
            "created_at": now(),
            "finished_at": None,
        }
        insert(connection, tables.upload, **values)
        return values

    def forget_answers(self, run: str) -> None:
        """Delete the bytes of all answers to a run, whole or not."""
        with self._database.transaction() as connection:
            rows = find_all(connection, tables.upload, kind="answers", run=run)
        for row in rows:
            self._path(row["id"]).unlink(missing_ok=True)
            self._blobs.delete(blob_key(row["id"]))

    def forget_outdated(self) -> None:
        """Delete the bytes of uploads that were not whole when their epoch ended."""
        upload, project = tables.upload, tables.project
        query = (
            sa.select(upload.c.id)
            .join(project, project.c.name == upload.c.project)
            .where(
                upload.c.finished_at.is_(None),
                upload.c.kind == "encodings",
                upload.c.epoch < project.c.epoch,
            )
        )
        with self._database.transaction() as connection:
            outdated = list(connection.execute(query).scalars())
        for identifier in outdated:
            self._path(identifier).unlink(missing_ok=True)

    def _require_still_open(self, caller: PartyId, row: Row) -> None:
        header = parse_header(row["header"])
        if now() > header.expires.timestamp() + LIFETIME.total_seconds():
            raise TooLateError(
                "the upload's header has expired while it was sent", remedy="Submit again"
            )
        with self._database.transaction() as connection:
            self._announcements.require_current(connection, caller, header)

    def _take_over(self, caller: PartyId, row: Row) -> None:
        path, blob = self._path(row["id"]), blob_key(row["id"])
        if not path.exists() and self._blobs.exists(blob):
            path = self._blobs.local(blob)
        size = path.stat().st_size if path.exists() else 0
        if size != row["size"]:
            raise NotReadyError(f"{row['size'] - size} bytes of the upload are missing")
        header = parse_header(row["header"])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != header.digest:
            path.unlink()
            raise DigestMismatchError("the bytes received are not the announced ones")
        if isinstance(header, EncodingsHeader):
            manifest = self._projects.get(caller, header.project).manifest
            require_fit(path, header, manifest, self._former(header), self._blobs)
        if isinstance(header, AnswersHeader):
            require_answers(path, header.fields)
        if isinstance(header, ParcelHeader):
            require_sealed(path)
        if path == self._path(row["id"]):
            self._blobs.adopt(blob, path)
        if isinstance(header, AnswersHeader):
            self._take_answers(caller, row, header)
            return
        replaced = []
        with self._database.transaction() as connection:
            # An epoch that begins meanwhile comes before this or after it.
            succession.lock(connection, header.project)
            self._announcements.require_current(connection, caller, header)
            same = {k: row[k] for k in ("kind", "project", "partner", "epoch", "release", "round")}
            for other in find_all(connection, tables.upload, **same):
                if other["finished_at"] is not None and other["id"] != row["id"]:
                    require_replaceable(connection, other)
                    connection.execute(
                        sa.delete(tables.upload).where(tables.upload.c.id == other["id"])
                    )
                    replaced.append(blob_key(other["id"]))
                    former = parse_header(other["header"])
                    _record(connection, "upload.replaced", caller, other, former, by=row["id"])
            update(connection, tables.upload, {"id": row["id"]}, finished_at=now())
            _record(connection, "upload.finished", caller, row, header)
        for key in replaced:
            self._blobs.delete(key)

    def _former(self, header: EncodingsHeader) -> list[Row]:
        """The uploads of the round before."""
        same = {"kind": header.kind, "project": header.project, "partner": header.partner}
        with self._database.transaction() as connection:
            rows = find_all(
                connection, tables.upload, **same, epoch=header.epoch, round=header.round - 1
            )
        return list(rows)

    def _take_answers(self, caller: PartyId, row: Row, header: AnswersHeader) -> None:
        upload = row["id"]
        try:
            with self._database.transaction() as connection:
                project = self._projects.require(connection, header.project, caller)
                self._comparisons.take(connection, project, header, upload)
                update(connection, tables.upload, {"id": upload}, finished_at=now())
                _record(connection, "upload.finished", caller, row, header)
        except TooLateError:
            self._blobs.delete(blob_key(upload))
            raise
        self._comparisons.changed.set()

    def _own(self, caller: PartyId, upload: str) -> Row:
        with self._database.transaction() as connection:
            row = find(connection, tables.upload, id=upload)
        if row is None or row["partner"] != caller.name:
            raise nothing_there(Scope.UPLOAD)
        return row

    def _status(self, row: Row) -> UploadStatus:
        path = self._path(row["id"])
        finished = row["finished_at"] is not None
        if finished or (not path.exists() and self._blobs.exists(blob_key(row["id"]))):
            committed = row["size"]
        else:
            committed = path.stat().st_size if path.exists() else 0
        return UploadStatus(row["id"], finished, committed, row["size"])

    def _path(self, upload: str) -> Path:
        return self._staging / f"{upload}.part"

    @contextmanager
    def _exclusive(self, upload: str) -> Iterator[None]:
        with self._guard:
            if upload in self._busy:
                raise StateError("this upload is being written by another call")
            self._busy.add(upload)
        try:
            yield
        finally:
            with self._guard:
                self._busy.discard(upload)


def _record(
    connection: sa.Connection, kind: str, caller: PartyId, row: Row, header: Header, **more: str
) -> None:
    audit = {"audit": header.audit.verdict.value} if isinstance(header, EncodingsHeader) else {}
    record(
        connection,
        kind,
        project=header.project,
        party=caller,
        subject=row["id"],
        content=header.kind,
        header=row["header_fingerprint"],
        digest=header.digest,
        **audit,
        **more,
    )
