"""What a signed header may announce: by the manifest, by the epoch and round, by its nonce.

- Nothing is accepted that the signed manifest does not cover.
- A signed header serves one upload: once that was given up or replaced, it is refused, and so is
  another header with its nonce.
"""

from __future__ import annotations

import json

import sqlalchemy as sa

from linkage.agreement import Manifest
from linkage.agreement.audits import Verdict
from linkage.errors import (
    AgreementError,
    AlreadyExistsError,
    InvalidRequestError,
    LimitError,
    NotFoundError,
    NotReadyError,
    ReplayError,
    StateError,
    TooLateError,
)
from linkage.hub.comparisons import Comparisons
from linkage.hub.project import Project, require_epoch
from linkage.hub.projects import Projects
from linkage.hub.states import CANCELLED, FAILED
from linkage.store import tables
from linkage.store.sql import Row, find, find_all, insert, now
from linkage.trust.headers import (
    LIFETIME,
    AnswersHeader,
    EncodingsHeader,
    Header,
    ParcelHeader,
)
from linkage.trust.identity import PartyId
from linkage.trust.statements import ReleaseStatement

MAX_PARCEL_BYTES = 8 << 30


class Announcements:
    """Which headers the hub takes."""

    def __init__(self, projects: Projects, comparisons: Comparisons) -> None:
        self._projects = projects
        self._comparisons = comparisons

    def require_allowed(self, connection: sa.Connection, project: Project, header: Header) -> None:
        """Raises what is wrong with a new header; nothing if it may be taken."""
        left = header.expires.timestamp() - now()
        if not 0 <= left <= 2 * LIFETIME.total_seconds():
            raise InvalidRequestError(
                "the upload's header has expired, or lasts too long",
                remedy="Check this machine's clock, and submit again",
            )
        project.require_active()
        if isinstance(header, ParcelHeader):
            _check_parcel(connection, project, header)
            return
        require_epoch(project, header.fingerprint, header.epoch)
        if isinstance(header, EncodingsHeader):
            _check_encodings(project, header)
            _check_round(connection, header)
        else:
            self._comparisons.require_open(connection, project, header)

    def require_current(self, connection: sa.Connection, caller: PartyId, header: Header) -> None:
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


def spend_nonce(connection: sa.Connection, header: Header) -> None:
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


def require_replaceable(connection: sa.Connection, row: Row) -> None:
    """Raises AlreadyExistsError unless this upload holds encodings that no run has used."""
    if row["kind"] != "encodings" or _used(connection, row):
        raise AlreadyExistsError(
            f"{row['partner']!r} has sent its {row['kind']} already",
            remedy="What a run or a release has used cannot be replaced; changed encodings go into"
            " the next round: linkage agent submit --update",
        )


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
    _check_audit(manifest, header)
    if header.rows > manifest.max_rows:
        raise LimitError(f"the manifest allows {manifest.max_rows} rows")
    if header.size != header.layout.size:
        raise InvalidRequestError("the size announced is not the one its rows need")


def _check_audit(manifest: Manifest, header: EncodingsHeader) -> None:
    """Refuse an audit that contradicts itself, or that the manifest's policy does not cover.

    Whether it was made, and found what it says, cannot be seen here: the partner signs for it.
    """
    said, policy = header.audit, manifest.audit
    if said.verdict is Verdict.UNTRIED:
        follows = manifest.linkage_schema is not None
    else:
        follows = said.verdict is policy.verdict(
            said.found, said.control, said.skipped, said.commonest
        )
    if not follows or said.rows > header.rows:
        raise InvalidRequestError("the audit's verdict does not follow from its figures")
    policy.require(header.partner, said)


def _check_parcel(connection: sa.Connection, project: Project, header: ParcelHeader) -> None:
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
