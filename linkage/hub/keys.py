"""Parties, invitations and sealed envelopes.

- A token works once, expires, and is stored as its hash; the party that used it may repeat a
  broken enrolment with the same keys.
- The hub certifies a public key; it never sees a private one.
- The first envelope from a sender to a recipient in an epoch stays: it cannot be replaced.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from linkage.errors import (
    AlreadyExistsError,
    EnrolmentError,
    InvalidRequestError,
    UnauthenticatedError,
)
from linkage.hub.log import record
from linkage.hub.projects import Projects, require_epoch
from linkage.rpc.party import Invitation
from linkage.store import tables
from linkage.store.sql import Database, Row, find, find_all, insert, now, update
from linkage.trust.identity import (
    Authority,
    PartyId,
    Role,
    issue_party,
    make_request,
    new_private_key,
    private_key_pem,
)
from linkage.trust.sealing import check_public_key
from linkage.trust.signing import verify
from linkage.trust.statements import EnvelopeAddress, enrolment_statement

INVITATION_LIFETIME = timedelta(days=7)
CERTIFICATE_LIFETIME = timedelta(days=7)
MAX_ENVELOPE_BYTES = 8192


@dataclass(frozen=True)
class Certified:
    """A party and its fresh certificate (PEM, leaf first)."""

    party: PartyId
    signing_key: bytes
    sealing_key: bytes
    chain: bytes
    expires: datetime


class Enrolment:
    """Turns invitations into certified parties."""

    def __init__(self, hub: str, authority: Authority, database: Database) -> None:
        self._hub = hub
        self._authority = authority
        self._database = database

    def invite(self, name: str, role: Role, address: str) -> Invitation:
        """A one-time invitation, to be handed over out of band.

        A party that has enrolled is invited again to replace an expired certificate; it must
        still hold the keys it enrolled with.

        Raises:
            AlreadyExistsError: a party of that name has enrolled in another role.
        """
        token = secrets.token_bytes(32)
        key = new_private_key()
        leaf = issue_party(
            self._authority,
            make_request(key, name),
            PartyId(self._hub, Role.INVITEE, name),
            lifetime=INVITATION_LIFETIME,
        )
        with self._database.transaction() as connection:
            known = find(connection, tables.party, name=name)
            if known is not None and known["role"] != role:
                raise AlreadyExistsError(f"{name!r} has enrolled already, as {known['role']}")
            insert(
                connection,
                tables.invitation,
                token_hash=_token_hash(token),
                name=name,
                role=role.value,
                expires_at=now() + int(INVITATION_LIFETIME.total_seconds()),
            )
            record(connection, "party.invited", name=name, role=role.value)
        return Invitation(
            linkage="invitation/1",
            address=address,
            name=name,
            role=role.value,
            authority=self._authority.certificate_pem.decode(),
            key=private_key_pem(key).decode(),
            certificate=certificate_chain(leaf).decode(),
            token=token.hex(),
        )

    def enrol(
        self,
        caller: PartyId,
        *,
        token: bytes,
        request: bytes,
        signing_key: bytes,
        sealing_key: bytes,
        proof: bytes,
    ) -> Certified:
        """Exchange a token for a certificate.

        Raises:
            EnrolmentError: the token is unknown, used, expired, or another's; or the keys are
                not proven.
        """
        invitation = self._invitation(caller, token)
        role = Role(invitation["role"])
        if role is not Role.STEWARD:
            check_public_key(sealing_key)
            verify(
                signing_key,
                proof,
                enrolment_statement(token, request, signing_key, sealing_key),
                what="the enrolment",
                by=caller.name,
            )
        party = PartyId(self._hub, role, caller.name)
        used_by = hashlib.sha256(b"".join((signing_key, sealing_key))).hexdigest()
        certified = self._certify(party, request, signing_key, sealing_key)
        with self._database.transaction() as connection:
            if invitation["used_by"] is None:
                if not update(
                    connection,
                    tables.invitation,
                    {"token_hash": invitation["token_hash"], "used_by": None},
                    used_by=used_by,
                ):
                    raise _refused()
                register_or_same(
                    connection, party, signing_key=signing_key, sealing_key=sealing_key
                )
                record(connection, "party.enrolled", party=party, keys=used_by)
            elif invitation["used_by"] != used_by:
                raise _refused()
        return certified

    def renew(self, caller: PartyId, request: bytes) -> Certified:
        """A fresh certificate for a party that still has a valid one."""
        with self._database.transaction() as connection:
            row = find(connection, tables.party, name=caller.name)
            if row is None:
                raise _refused()
            record(connection, "party.renewed", party=caller)
        return self._certify(caller, request, row["signing_key"], row["sealing_key"])

    def admit(self, caller: PartyId) -> None:
        """Raises UnauthenticatedError unless the party is known in the role it claims."""
        if caller.role is Role.INVITEE:
            return
        with self._database.transaction() as connection:
            row = find(connection, tables.party, name=caller.name)
        if row is None or row["role"] != caller.role:
            raise UnauthenticatedError("the hub does not know this party")

    def _invitation(self, caller: PartyId, token: bytes) -> Row:
        with self._database.transaction() as connection:
            row = find(connection, tables.invitation, token_hash=_token_hash(token))
        if row is None or row["name"] != caller.name or row["expires_at"] < now():
            raise _refused()
        return row

    def _certify(
        self, party: PartyId, request: bytes, signing_key: bytes, sealing_key: bytes
    ) -> Certified:
        leaf = issue_party(self._authority, request, party, lifetime=CERTIFICATE_LIFETIME)
        return Certified(
            party,
            signing_key,
            sealing_key,
            certificate_chain(leaf),
            leaf.not_valid_after_utc.astimezone(UTC),
        )


class Envelopes:
    """Relays what partners seal to each other."""

    def __init__(self, database: Database, projects: Projects) -> None:
        self._database = database
        self._projects = projects

    def put(
        self, caller: PartyId, address: EnvelopeAddress, sealed: bytes, signature: bytes
    ) -> None:
        """Leave an envelope.

        Raises:
            InvalidRequestError: not from the caller, not between two partners, or too large.
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
            key = address.model_dump()
            known = find(connection, tables.envelope, **key)
            if known is None:
                insert(connection, tables.envelope, **key, sealed=sealed, signature=signature)
                record(
                    connection,
                    "envelope.put",
                    project=project.name,
                    party=caller,
                    recipient=address.recipient,
                    epoch=address.epoch,
                    digest=hashlib.sha256(sealed).hexdigest(),
                )
            elif address.statement(known["sealed"]) != address.statement(sealed):
                raise AlreadyExistsError("another envelope for this recipient is there already")

    def addressed_to(self, caller: PartyId, project: str, epoch: int) -> Sequence[Row]:
        """The envelopes for the caller under the current manifest."""
        with self._database.transaction() as connection:
            found = self._projects.require(connection, project, caller)
            return find_all(
                connection,
                tables.envelope,
                project=project,
                fingerprint=found.fingerprint,
                epoch=epoch,
                recipient=caller.name,
            )


def register(
    connection: sa.Connection, party: PartyId, *, signing_key: bytes, sealing_key: bytes
) -> None:
    """Record a party's public half.

    Raises:
        AlreadyExistsError: the name is taken.
    """
    insert(
        connection,
        tables.party,
        name=party.name,
        role=party.role.value,
        signing_key=signing_key,
        sealing_key=sealing_key,
        enrolled_at=now(),
    )


def register_or_same(
    connection: sa.Connection, party: PartyId, *, signing_key: bytes, sealing_key: bytes
) -> None:
    """Record a new party; one that enrols again must come with the keys that others trust."""
    known = find(connection, tables.party, name=party.name)
    if known is None:
        register(connection, party, signing_key=signing_key, sealing_key=sealing_key)
    elif (known["signing_key"], known["sealing_key"]) != (signing_key, sealing_key):
        raise EnrolmentError(
            f"{party.name!r} enrolled with other keys", remedy="Restore its home from the backup"
        )


def certificate_chain(leaf: x509.Certificate) -> bytes:
    return leaf.public_bytes(serialization.Encoding.PEM)


def _token_hash(token: bytes) -> str:
    return hashlib.sha256(b"linkage/v1 enrolment token\0" + token).hexdigest()


def _refused() -> EnrolmentError:
    return EnrolmentError(
        "the invitation is unknown, used or expired", remedy="Ask the steward for a new one"
    )
