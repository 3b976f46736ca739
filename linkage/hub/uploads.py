"""Uploads: announced by a signed header, streamed from any offset, checked, receipted.

- Nothing is accepted that the signed manifest does not cover.
- Bytes go to a staging file as they come; what the disk holds is the committed size, so a broken
  stream, or a killed hub, costs only what was still on its way.
- An upload becomes visible to runs once its digest and content have been checked.
- A signed header serves one upload: once that was given up or replaced, it is refused, and so is
  another header with its nonce. What an earlier epoch announced cannot be finished in a later one.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from linkage.agreement.canonical import fingerprint
from linkage.answers import Answers, answer_bytes
from linkage.bounds import require_bounds, require_change
from linkage.encodings import EncodingMatrix
from linkage.errors import (
    AgreementError,
    AlreadyExistsError,
    DigestMismatchError,
    InvalidRequestError,
    LimitError,
    NotFoundError,
    NotReadyError,
    ReplayError,
    StateError,
    TooLateError,
)
from linkage.files import private_directory
from linkage.hub import succession
from linkage.hub.comparisons import Comparisons
from linkage.hub.log import record
from linkage.hub.project import Project, require_epoch
from linkage.hub.projects import Projects
from linkage.hub.results import blob_key
from linkage.hub.spending import UPLOADS, Meter, require_room, spend
from linkage.hub.states import CANCELLED, FAILED
from linkage.release.parcels import check_sealed
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
from linkage.trust.statements import ReleaseStatement

MAX_PARCEL_BYTES = 8 << 30
SYNC_BYTES = 64 << 20
CHECKED_ANSWERS = 1 << 14


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
                self._check(connection, project, header)
                _spend(connection, header)
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

    def _check(self, connection: sa.Connection, project: Project, header: Header) -> None:
        left = header.expires.timestamp() - now()
        if not 0 <= left <= 2 * LIFETIME.total_seconds():
            raise InvalidRequestError(
                "the upload's header has expired, or lasts too long",
                remedy="Check this machine's clock, and submit again",
            )
        project.require_active()
        if isinstance(header, ParcelHeader):
            self._check_parcel(connection, project, header)
            return
        require_epoch(project, header.fingerprint, header.epoch)
        if isinstance(header, EncodingsHeader):
            _check_encodings(project, header)
            _check_round(connection, header)
        else:
            self._comparisons.require_open(connection, project, header)

    def _check_parcel(
        self, connection: sa.Connection, project: Project, header: ParcelHeader
    ) -> None:
        release = find(connection, tables.release, id=header.release, project=project.name)
        if release is None:
            raise NotFoundError(f"there is no release {header.release!r} in this project")
        # A parcel belongs to its release's epoch, which may be past under the same manifest.
        said = ReleaseStatement.parse(release["statement"])
        if said.fingerprint != project.fingerprint:
            raise AgreementError("the release was made under another manifest")
        require_epoch(project, header.fingerprint, header.epoch, expected=said.epoch)
        approvals = find_all(connection, tables.approval, release=header.release)
        if not set(project.manifest.partner_names) <= {row["partner"] for row in approvals}:
            raise NotReadyError("the release is not approved by every partner yet")
        if header.recipient != project.manifest.assembler:
            raise InvalidRequestError("a parcel goes to the project's assembler")
        if not 0 < header.size <= MAX_PARCEL_BYTES:
            raise LimitError(f"a parcel has 1 to {MAX_PARCEL_BYTES} bytes")

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
                _require_replaceable(connection, row)
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
            self._require_current(connection, caller, header)

    def _require_current(self, connection: sa.Connection, caller: PartyId, header: Header) -> None:
        """Raises TooLateError unless what was announced is still wanted."""
        project = self._projects.require(connection, header.project, caller)
        announced = (header.fingerprint, header.epoch)
        if isinstance(header, AnswersHeader):
            self._comparisons.require_open(connection, project, header)
        elif isinstance(header, EncodingsHeader):
            if announced != (project.fingerprint, project.epoch):
                raise TooLateError(
                    f"project {project.name!r} is in epoch {project.epoch} now; the upload was"
                    f" announced in epoch {header.epoch}",
                    remedy="Submit again",
                )
        elif header.fingerprint != project.fingerprint:
            raise TooLateError("the manifest that the parcel belongs to is in force no more")

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
            self._require_fit(caller, path, header)
        if isinstance(header, AnswersHeader):
            _check_answers(path, header.fields)
        if isinstance(header, ParcelHeader):
            _require_sealed(path)
        if path == self._path(row["id"]):
            self._blobs.adopt(blob, path)
        if isinstance(header, AnswersHeader):
            self._take_answers(caller, row, header)
            return
        replaced = []
        with self._database.transaction() as connection:
            # An epoch that begins meanwhile comes before this or after it.
            succession.lock(connection, header.project)
            self._require_current(connection, caller, header)
            same = {k: row[k] for k in ("kind", "project", "partner", "epoch", "release", "round")}
            for other in find_all(connection, tables.upload, **same):
                if other["finished_at"] is not None and other["id"] != row["id"]:
                    _require_replaceable(connection, other)
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

    def _require_fit(self, caller: PartyId, path: Path, header: EncodingsHeader) -> None:
        """Refuse what no encoder writes, a probe, a flood, and a small step from the last round.

        Raises:
            InvalidRequestError: malformed.
            AgreementError: the manifest's bounds do not cover it.
        """
        matrix = _matrix(path, header)
        matrix.validate()
        manifest = self._projects.get(caller, header.project).manifest
        require_bounds(matrix, manifest, caller.name)
        same = {"kind": header.kind, "project": header.project, "partner": header.partner}
        with self._database.transaction() as connection:
            rows = find_all(
                connection, tables.upload, **same, epoch=header.epoch, round=header.round - 1
            )
        for row in rows:
            before = parse_header(row["header"])
            if row["finished_at"] is not None and isinstance(before, EncodingsHeader):
                last = _matrix(self._blobs.local(blob_key(row["id"])), before)
                require_change(last, matrix, manifest, caller.name)

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
    record(
        connection,
        kind,
        project=header.project,
        party=caller,
        subject=row["id"],
        content=header.kind,
        header=row["header_fingerprint"],
        digest=header.digest,
        **more,
    )


def _spend(connection: sa.Connection, header: Header) -> None:
    """Use up a header's nonce, for as long as its expiry would not refuse it anyway.

    Raises:
        ReplayError: it was used before.
    """
    nonce = tables.nonce
    connection.execute(
        sa.delete(nonce).where(nonce.c.partner == header.partner, nonce.c.expires_at < now())
    )
    if find(connection, nonce, partner=header.partner, nonce=header.nonce) is not None:
        raise ReplayError(
            "this signed header, or another with its nonce, was used for an upload that was given"
            " up or replaced since",
            remedy="Submit again with --replace; if you have not sent it twice, ask the steward who"
            " did",
        )
    insert(
        connection,
        nonce,
        partner=header.partner,
        nonce=header.nonce,
        expires_at=int(header.expires.timestamp()) + 1,
    )


def _matrix(path: Path, header: EncodingsHeader) -> EncodingMatrix:
    return EncodingMatrix.from_buffer(np.memmap(path, np.uint8, "r"), header.layout)


def _require_replaceable(connection: sa.Connection, row: Row) -> None:
    """Raises AlreadyExistsError unless this upload holds encodings that no run has used."""
    if row["kind"] != "encodings" or _used(connection, row):
        raise AlreadyExistsError(
            f"{row['partner']!r} has sent its {row['kind']} already",
            remedy="What a run or a release has used cannot be replaced; changed encodings go into"
            " the next round: linkage agent submit --update",
        )


def _check_answers(path: Path, fields: int) -> None:
    with path.open("rb") as file:
        while data := file.read(CHECKED_ANSWERS * answer_bytes(fields)):
            Answers.from_bytes(data, fields=fields)


def _require_sealed(path: Path) -> None:
    """Raises InvalidRequestError, and keeps nothing, where content came in clear."""
    try:
        with path.open("rb") as file:
            check_sealed(file)
    except InvalidRequestError:
        path.unlink()
        raise


def _used(connection: sa.Connection, upload: Row) -> bool:
    """Whether a run stands on these encodings, or did."""
    runs = find_all(connection, tables.run, project=upload["project"], epoch=upload["epoch"])
    return any(
        run["state"] not in {FAILED, CANCELLED}
        and json.loads(run["uploads"]).get(upload["partner"]) == upload["id"]
        for run in runs
    )


def _check_round(connection: sa.Connection, header: EncodingsHeader) -> None:
    """Raises StateError unless the encodings are those of the partner's present or next round."""
    rows = find_all(
        connection,
        tables.upload,
        kind=header.kind,
        project=header.project,
        partner=header.partner,
        epoch=header.epoch,
    )
    finished = [row for row in rows if row["finished_at"] is not None]
    present = max(finished, key=lambda row: int(row["round"]), default=None)
    if present is None:
        expected = [0]
    elif _used(connection, present):
        expected = [present["round"], present["round"] + 1]
    else:
        expected = [present["round"]]
    if header.round not in expected:
        raise StateError(
            f"the next encodings of {header.partner!r} are those of round {expected[-1]},"
            f" not {header.round}",
            remedy="A round's encodings can be replaced until a run has used them; then the next"
            " round begins",
        )


def _check_encodings(project: Project, header: EncodingsHeader) -> None:
    manifest = project.manifest
    expected = (
        manifest.scheme.name,
        manifest.scheme.bits,
        tuple(key.name for key in manifest.match_keys),
        tuple(stratum.name for stratum in manifest.strata),
    )
    if (header.scheme, header.bits, header.match_keys, header.strata) != expected:
        raise InvalidRequestError("scheme, bits, match keys or strata are not the manifest's")
    if header.rows > manifest.max_rows:
        raise LimitError(f"the manifest allows {manifest.max_rows} rows")
    if header.size != header.layout.size:
        raise InvalidRequestError("the size announced is not the one its rows need")
