"""Projects: a manifest, who has signed it, and who belongs to it.

- Whoever does not belong to a project gets the answer for one that does not exist.
- What a party is in a project is what its manifest says, whatever else it may be to the hub.
- A project is active once every partner has signed exactly its fingerprint, and until it expires.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import sqlalchemy as sa

from linkage.agreement import Manifest, parse_manifest
from linkage.errors import (
    AlreadyExistsError,
    FingerprintMismatchError,
    InvalidRequestError,
    ManifestError,
    NotAgreedError,
    NotAuthorisedError,
    NotFoundError,
)
from linkage.hub.log import record
from linkage.rpc.policy import Scope
from linkage.rpc.scopes import nothing_there
from linkage.store import tables
from linkage.store.sql import Database, Row, find, find_all, insert, now
from linkage.trust.identity import PartyId, Role
from linkage.trust.signing import verify
from linkage.trust.statements import manifest_statement

FIRST_EPOCH = 0


@dataclass(frozen=True)
class Project:
    """A project as the hub knows it.

    Attributes:
        signatures: rows of partner, signature and signed_at (seconds).
        parties: rows of the partners and recipients that have enrolled.
        uploaded: partners whose encodings have arrived in this epoch.
    """

    manifest: Manifest
    epoch: int
    signatures: Sequence[Row]
    parties: Sequence[Row]
    uploaded: Sequence[str]

    @property
    def name(self) -> str:
        return self.manifest.project

    @property
    def fingerprint(self) -> str:
        return self.manifest.fingerprint

    @property
    def unsigned(self) -> tuple[str, ...]:
        signed = {row["partner"] for row in self.signatures}
        return tuple(name for name in self.manifest.partner_names if name not in signed)

    @property
    def active(self) -> bool:
        return not self.unsigned and not self.expired

    @property
    def expired(self) -> bool:
        return _today() > self.manifest.expires

    def require_active(self) -> None:
        """Raises NotAgreedError unless all have signed and the manifest has not expired."""
        if self.expired:
            raise NotAgreedError(
                f"the manifest of {self.name!r} expired on {self.manifest.expires}",
                remedy="The partners must sign a new version",
            )
        if self.unsigned:
            raise NotAgreedError(
                f"the manifest of {self.name!r} is not signed by {', '.join(self.unsigned)}",
                remedy="Each of them must run: linkage agent sign",
            )

    def require_partner(self, caller: PartyId) -> None:
        """Raises NotAuthorisedError unless the manifest makes the caller a partner."""
        if caller.name not in self.manifest.partner_names:
            raise NotAuthorisedError(f"{caller.name!r} is no partner of project {self.name!r}")

    def require_assembler(self, caller: PartyId) -> None:
        """Raises NotAuthorisedError unless the manifest makes the caller the assembler."""
        if caller.name != self.manifest.assembler:
            raise NotAuthorisedError(f"{caller.name!r} is not the assembler of {self.name!r}")


class Projects:
    """The use cases around projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, caller: PartyId, document: bytes) -> Project:
        """Open a project; the same manifest again finds the project already open.

        Raises:
            ManifestError: not a valid canonical manifest, or expired.
            AlreadyExistsError: the project has another manifest.
        """
        manifest = parse_manifest(document)
        if manifest.canonical != document:
            raise ManifestError("the manifest is not in canonical form")
        if _today() > manifest.expires:
            raise ManifestError(f"the manifest expired on {manifest.expires}")
        with self._database.transaction() as connection:
            known = find(connection, tables.project, name=manifest.project)
            if known is None:
                insert(
                    connection,
                    tables.project,
                    name=manifest.project,
                    manifest=document,
                    fingerprint=manifest.fingerprint,
                    epoch=FIRST_EPOCH,
                    created_at=now(),
                )
                for name in (*manifest.partner_names, *(r.name for r in manifest.recipients)):
                    insert(connection, tables.member, project=manifest.project, party=name)
                record(
                    connection,
                    "project.created",
                    project=manifest.project,
                    party=caller,
                    fingerprint=manifest.fingerprint,
                )
            elif known["fingerprint"] != manifest.fingerprint:
                raise AlreadyExistsError(
                    f"project {manifest.project!r} has another manifest already",
                    remedy="Give the project another name",
                )
            return self.require(connection, manifest.project, caller)

    def get(self, caller: PartyId, name: str) -> Project:
        """Raises NotFoundError unless it exists and the caller belongs to it."""
        with self._database.transaction() as connection:
            return self.require(connection, name, caller)

    def list(self, caller: PartyId, *, after: str, size: int) -> Sequence[str]:
        """Names of the caller's projects, in order, starting behind `after`."""
        table = tables.project
        query = sa.select(table.c.name).where(table.c.name > after).order_by(table.c.name)
        if caller.role is not Role.STEWARD:
            query = query.join(tables.member, tables.member.c.project == table.c.name)
            query = query.where(tables.member.c.party == caller.name)
        with self._database.transaction() as connection:
            return list(connection.execute(query.limit(size)).scalars())

    def sign(self, caller: PartyId, name: str, fingerprint: str, signature: bytes) -> Project:
        """Record a partner's signature.

        Raises:
            FingerprintMismatchError: it signed another manifest than the hub has.
            SignatureError: the signature does not hold.
        """
        with self._database.transaction() as connection:
            project = self.require(connection, name, caller)
            project.require_partner(caller)
            if fingerprint != project.fingerprint:
                raise FingerprintMismatchError(
                    f"the manifest you signed is not the one of project {name!r}",
                    remedy="Compare your file with the steward's before you sign",
                )
            verify(
                self.signing_key(connection, caller.name),
                signature,
                manifest_statement(name, fingerprint, caller.name),
                what="the manifest",
                by=caller.name,
            )
            key = {"project": name, "fingerprint": fingerprint, "partner": caller.name}
            if find(connection, tables.signature, **key) is None:
                insert(connection, tables.signature, **key, signature=signature, signed_at=now())
                record(
                    connection,
                    "manifest.signed",
                    project=name,
                    party=caller,
                    fingerprint=fingerprint,
                )
            return self.require(connection, name, caller)

    def require(self, connection: sa.Connection, name: str, caller: PartyId) -> Project:
        """The project, if it exists and the caller belongs to it; else NotFoundError."""
        row = find(connection, tables.project, name=name)
        if row is None or not self._belongs(connection, name, caller):
            raise nothing_there(Scope.REQUEST)
        manifest = parse_manifest(row["manifest"])
        members = [*manifest.partner_names, *(r.name for r in manifest.recipients)]
        uploads = find_all(
            connection, tables.upload, project=name, kind="encodings", epoch=row["epoch"]
        )
        return Project(
            manifest,
            row["epoch"],
            find_all(
                connection,
                tables.signature,
                order="partner",
                project=name,
                fingerprint=row["fingerprint"],
            ),
            [p for p in find_all(connection, tables.party, order="name") if p["name"] in members],
            sorted(u["partner"] for u in uploads if u["finished_at"] is not None),
        )

    def signing_key(self, connection: sa.Connection, name: str) -> bytes:
        row = find(connection, tables.party, name=name)
        if row is None:
            raise NotFoundError(f"there is no party {name!r}")
        return bytes(row["signing_key"])

    @staticmethod
    def _belongs(connection: sa.Connection, name: str, caller: PartyId) -> bool:
        if caller.role is Role.STEWARD:
            return True
        return find(connection, tables.member, project=name, party=caller.name) is not None


def require_epoch(project: Project, fingerprint: str, epoch: object) -> None:
    """Raises unless a message speaks of the manifest and epoch the project is in."""
    if fingerprint != project.fingerprint:
        raise FingerprintMismatchError(
            f"the message was made under another manifest of project {project.name!r}",
            remedy="Fetch the current manifest and sign it",
        )
    if epoch != project.epoch:
        raise InvalidRequestError(f"project {project.name!r} is in epoch {project.epoch}")


def _today() -> date:
    return datetime.now(UTC).date()
