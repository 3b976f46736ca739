"""What partners pass through the hub to make a project secret that the hub cannot have.

- First all commit, then each reveals its contribution to each other in a sealed envelope: the hub
  takes no envelope before every commitment is there.
- The first commitment of a partner in an epoch stays, and so does the first envelope from a sender
  to a recipient; repeating either changes nothing. A partner that has changed its keys signs its
  commitment, and its envelopes, anew.
- Both are signed, and name project, manifest and epoch: neither means anything anywhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa

from linkage.errors import (
    AlreadyExistsError,
    InvalidRequestError,
    NotAgreedError,
    NotReadyError,
    SignatureError,
)
from linkage.hub.log import record
from linkage.hub.project import Project, require_epoch
from linkage.hub.projects import Projects
from linkage.store import tables
from linkage.store.sql import Database, Row, find, find_all, insert, update
from linkage.trust.identity import PartyId
from linkage.trust.signing import verify
from linkage.trust.statements import Commitment, EnvelopeAddress, SecretPlace

MAX_ENVELOPE_BYTES = 8192


class Exchange:
    """The use cases around commitments and envelopes."""

    def __init__(self, database: Database, projects: Projects) -> None:
        self._database = database
        self._projects = projects

    def commit(self, caller: PartyId, commitment: Commitment, signature: bytes) -> None:
        """Leave a commitment, under the manifest in force or one that waits for signatures.

        Raises:
            InvalidRequestError: not the caller's own, or of another epoch.
            NotAgreedError: the caller has not signed the manifest.
            SignatureError: not signed by the caller.
            AlreadyExistsError: it has committed to something else.
        """
        with self._database.transaction() as connection:
            project = self._projects.candidate(
                connection, commitment.project, caller, commitment.fingerprint
            )
            project.require_partner(caller)
            require_epoch(project, commitment.fingerprint, commitment.epoch)
            if commitment.partner != caller.name:
                raise InvalidRequestError("a commitment is left by the partner that made it")
            if caller.name in project.unsigned:
                raise NotAgreedError(
                    f"{caller.name!r} has not signed the manifest of {project.name!r}",
                    remedy="Run: linkage agent sign MANIFEST",
                )
            verify(
                self._projects.signing_key(connection, caller.name),
                signature,
                commitment.statement,
                what="the commitment",
                by=caller.name,
            )
            values = commitment.model_dump()
            key = {name: value for name, value in values.items() if name != "commitment"}
            known = find(connection, tables.commitment, **key)
            if known is None:
                insert(connection, tables.commitment, **values, signature=signature)
                record(
                    connection,
                    "commitment.put",
                    project=project.name,
                    party=caller,
                    fingerprint=commitment.fingerprint,
                    epoch=commitment.epoch,
                    commitment=commitment.commitment,
                )
            elif known["commitment"] == commitment.commitment:
                # The same promise, perhaps under a new key.
                update(connection, tables.commitment, key, signature=signature)
            else:
                raise AlreadyExistsError(
                    f"{caller.name!r} has committed to another contribution in this epoch",
                    remedy="Restore the agent's home from its backup, or ask the steward for a new"
                    f" epoch: linkage hub rotate {project.name}",
                )

    def commitments(self, caller: PartyId, place: SecretPlace) -> Sequence[Row]:
        """Everybody's commitments so far.

        Raises:
            InvalidRequestError, FingerprintMismatchError: of another manifest or epoch.
        """
        with self._database.transaction() as connection:
            project = self._projects.candidate(connection, place.project, caller, place.fingerprint)
            project.require_partner(caller)
            require_epoch(project, place.fingerprint, place.epoch)
            about = place.model_dump()
            return find_all(connection, tables.commitment, order="partner", **about)

    def put(
        self, caller: PartyId, address: EnvelopeAddress, sealed: bytes, signature: bytes
    ) -> None:
        """Leave an envelope.

        Raises:
            InvalidRequestError: not from the caller, not between two partners, or too large.
            NotAgreedError: the manifest is not in force.
            NotReadyError: not every partner has committed.
            SignatureError: not signed by the caller.
            AlreadyExistsError: another one is there.
        """
        if not 0 < len(sealed) <= MAX_ENVELOPE_BYTES:
            raise InvalidRequestError(f"an envelope has 1 to {MAX_ENVELOPE_BYTES} bytes")
        with self._database.transaction() as connection:
            project = self._projects.require(connection, address.project, caller)
            project.require_partner(caller)
            require_epoch(project, address.fingerprint, address.epoch)
            names = set(project.manifest.partner_names)
            if address.sender != caller.name or address.recipient not in names - {caller.name}:
                raise InvalidRequestError("an envelope goes from its sender to another partner")
            verify(
                self._projects.signing_key(connection, caller.name),
                signature,
                address.statement(sealed),
                what="the envelope",
                by=caller.name,
            )
            project.require_active()
            about = {name: getattr(address, name) for name in SecretPlace.model_fields}
            committed = {row["partner"] for row in find_all(connection, tables.commitment, **about)}
            _require_all(project, committed)
            key = address.model_dump()
            known = find(connection, tables.envelope, **key)
            if known is None:
                insert(connection, tables.envelope, **key, sealed=sealed, signature=signature)
                _record_envelope(connection, caller, address, sealed)
            elif self._stands(connection, address, known):
                if address.statement(known["sealed"]) != address.statement(sealed):
                    raise AlreadyExistsError("another envelope for this recipient is there already")
            else:
                update(connection, tables.envelope, key, sealed=sealed, signature=signature)
                _record_envelope(connection, caller, address, sealed)

    def _stands(self, connection: sa.Connection, address: EnvelopeAddress, known: Row) -> bool:
        """Whether an envelope is signed under its sender's present key."""
        key, said = self._projects.signing_key(connection, address.sender), known["sealed"]
        try:
            verify(key, known["signature"], address.statement(said), what="it", by=address.sender)
        except SignatureError:
            return False
        return True

    def addressed_to(self, caller: PartyId, project: str, epoch: int) -> Sequence[Row]:
        """The envelopes for the caller under the current manifest."""
        with self._database.transaction() as connection:
            found = self._projects.require(connection, project, caller)
            return find_all(
                connection,
                tables.envelope,
                order="sender",
                project=project,
                fingerprint=found.fingerprint,
                epoch=epoch,
                recipient=caller.name,
            )


def _record_envelope(
    connection: sa.Connection, caller: PartyId, address: EnvelopeAddress, sealed: bytes
) -> None:
    record(
        connection,
        "envelope.put",
        project=address.project,
        party=caller,
        recipient=address.recipient,
        epoch=address.epoch,
        digest=hashlib.sha256(sealed).hexdigest(),
    )


def _require_all(project: Project, committed: set[str]) -> None:
    missing = [name for name in project.manifest.partner_names if name not in committed]
    if missing:
        raise NotReadyError(
            f"{', '.join(missing)} has not committed to a contribution yet",
            remedy="Nothing is revealed before all have committed",
        )
