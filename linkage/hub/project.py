"""A project as the hub knows it, under one version of its manifest and in one epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from linkage.agreement import Manifest
from linkage.agreement.audits import AuditSummary
from linkage.errors import (
    FingerprintMismatchError,
    InvalidRequestError,
    NotAgreedError,
    NotAuthorisedError,
)
from linkage.store import tables
from linkage.store.sql import Row, find_all
from linkage.trust.headers import EncodingsHeader, parse_header
from linkage.trust.identity import PartyId


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
        return today() > self.manifest.expires

    def require_active(self) -> None:
        """Raises NotAgreedError unless all have signed and the manifest has not expired."""
        self.require_not_expired()
        if self.unsigned:
            raise NotAgreedError(
                f"the manifest of {self.name!r} is not signed by {', '.join(self.unsigned)}",
                remedy="Each of them must run: linkage agent sign",
            )

    def require_not_expired(self) -> None:
        """Raises NotAgreedError once the manifest's last day is over."""
        if self.expired:
            raise NotAgreedError(
                f"the manifest of {self.name!r} expired on {self.manifest.expires}",
                remedy="The partners must sign a new version",
            )

    def require_partner(self, caller: PartyId) -> None:
        """Raises NotAuthorisedError unless the manifest makes the caller a partner."""
        if caller.name not in self.manifest.partner_names:
            raise NotAuthorisedError(f"{caller.name!r} is no partner of project {self.name!r}")

    def require_assembler(self, caller: PartyId) -> None:
        """Raises NotAuthorisedError unless the manifest makes the caller the assembler."""
        if caller.name != self.manifest.assembler:
            raise NotAuthorisedError(f"{caller.name!r} is not the assembler of {self.name!r}")


@dataclass(frozen=True)
class Proposal:
    """The version that waits for signatures, and the epoch that will begin with it."""

    manifest: Manifest
    signatures: Sequence[Row]
    epoch: int


@dataclass(frozen=True)
class Account:
    """A project with all that its members may know about how it goes on.

    Attributes:
        committed, revealed: partners who have done so for this epoch's secret.
        epochs: rows of epoch, fingerprint, started_at (seconds) and reason, in order.
        audits: by partner, what the audit of its present encodings found, as its header says.
    """

    project: Project
    proposal: Proposal | None
    committed: Sequence[str]
    revealed: Sequence[str]
    epochs: Sequence[Row]
    audits: Mapping[str, AuditSummary]


def read_project(connection: sa.Connection, manifest: Manifest, epoch: int) -> Project:
    uploads = find_all(
        connection, tables.upload, project=manifest.project, kind="encodings", epoch=epoch
    )
    parties = find_all(connection, tables.party, order="name")
    return Project(
        manifest,
        epoch,
        signatures_of(connection, manifest),
        [
            {**row, "rotations": _rotations(connection, row["name"])}
            for row in parties
            if row["name"] in manifest.party_names
        ],
        sorted(u["partner"] for u in uploads if u["finished_at"] is not None),
    )


def audits_of(connection: sa.Connection, project: Project) -> dict[str, AuditSummary]:
    """What each partner's header says of the audit of the encodings it sent last in this epoch."""
    rows = find_all(
        connection, tables.upload, project=project.name, kind="encodings", epoch=project.epoch
    )
    finished = [row for row in rows if row["finished_at"] is not None]
    headers = (parse_header(row["header"]) for row in sorted(finished, key=lambda r: r["round"]))
    return {h.partner: h.audit for h in headers if isinstance(h, EncodingsHeader)}


def signatures_of(connection: sa.Connection, manifest: Manifest) -> list[Row]:
    about = {"project": manifest.project, "fingerprint": manifest.fingerprint}
    return find_all(connection, tables.signature, order="partner", **about)


def _rotations(connection: sa.Connection, party: str) -> Sequence[Row]:
    """How a party came to its keys, oldest first."""
    return find_all(connection, tables.rotation, order="number", party=party)


def committed_to(connection: sa.Connection, project: Project) -> list[str]:
    about: dict[str, Any] = {
        "project": project.name,
        "fingerprint": project.fingerprint,
        "epoch": project.epoch,
    }
    return [r["partner"] for r in find_all(connection, tables.commitment, order="partner", **about)]


def revealed_by(connection: sa.Connection, project: Project) -> list[str]:
    about: dict[str, Any] = {
        "project": project.name,
        "fingerprint": project.fingerprint,
        "epoch": project.epoch,
    }
    sent = [row["sender"] for row in find_all(connection, tables.envelope, **about)]
    others = len(project.manifest.partners) - 1
    return sorted(name for name in set(sent) if sent.count(name) == others)


def require_epoch(
    project: Project, fingerprint: str, epoch: int, *, expected: int | None = None
) -> None:
    """Raises unless a message speaks of the manifest and epoch the project is in.

    Args:
        expected: the epoch it must speak of instead.
    """
    if fingerprint != project.fingerprint:
        raise FingerprintMismatchError(
            f"the message was made under another manifest of project {project.name!r}",
            remedy="Fetch the current manifest and sign it",
        )
    wanted = project.epoch if expected is None else expected
    if epoch != wanted:
        raise InvalidRequestError(
            f"project {project.name!r} wants messages of epoch {wanted}, and this is of epoch"
            f" {epoch}",
            remedy="See: linkage agent status",
        )


def today() -> date:
    return datetime.now(UTC).date()
