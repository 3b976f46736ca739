"""Parties and invitations.

- A token works once, expires, and is stored as its hash; the party that used it may repeat a
  broken enrolment with the same keys.
- The hub certifies a public key; it never sees a private one.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from linkage.errors import (
    AlreadyExistsError,
    EnrolmentError,
)
from linkage.hub.log import record
from linkage.hub.membership import note_for
from linkage.rpc.party import Invitation
from linkage.store import tables
from linkage.store.sql import Database, Row, find, insert, now, update
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
from linkage.trust.statements import enrolment_statement

INVITATION_LIFETIME = timedelta(days=7)
CERTIFICATE_LIFETIME = timedelta(days=7)


@dataclass(frozen=True)
class Certified:
    """A party and its fresh certificate (PEM, leaf first)."""

    party: PartyId
    signing_key: bytes
    sealing_key: bytes
    chain: bytes
    expires: datetime


class Enrolment:
    """Turns invitations into certified parties.

    Args:
        log: the transparency log's public key, which invitations carry.
    """

    def __init__(
        self,
        hub: str,
        authority: Authority,
        log: str,
        database: Database,
        *,
        invitation_lifetime: timedelta = INVITATION_LIFETIME,
        certificate_lifetime: timedelta = CERTIFICATE_LIFETIME,
    ) -> None:
        self._hub = hub
        self._authority = authority
        self._log = log
        self._database = database
        self._invitation_lifetime = invitation_lifetime
        self._certificate_lifetime = certificate_lifetime

    def invite(
        self,
        name: str,
        role: Role,
        address: str,
        *,
        lifetime: timedelta | None = None,
        new_keys: bool = False,
    ) -> Invitation:
        """A one-time invitation, to be handed over out of band.

        A party that has enrolled is invited again to replace an expired certificate, or after its
        access was ended; it must still hold the keys it enrolled with.

        Args:
            lifetime: how long it is good; None takes the hub's setting.
            new_keys: the party's keys are lost or stolen, and it may come with others.

        Raises:
            AlreadyExistsError: a party of that name has enrolled in another role.
        """
        lifetime = lifetime or self._invitation_lifetime
        token = secrets.token_bytes(32)
        key = new_private_key()
        leaf = issue_party(
            self._authority,
            make_request(key, name),
            PartyId(self._hub, Role.INVITEE, name),
            lifetime=lifetime,
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
                expires_at=now() + int(lifetime.total_seconds()),
                created_at=now(),
                new_keys=int(new_keys),
            )
            record(connection, "party.invited", name=name, role=role.value, new_keys=new_keys)
        return Invitation(
            linkage="invitation/1",
            address=address,
            name=name,
            role=role.value,
            authority=self._authority.certificate_pem.decode(),
            log=self._log,
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
        certified, leaf = self.issue(party, request, signing_key, sealing_key)
        used_by = hashlib.sha256(b"".join((signing_key, sealing_key))).hexdigest()
        if role is Role.STEWARD:
            # It has no other keys that would tell it from whoever finds the used file.
            used_by = hashlib.sha256(_public_der(leaf)).hexdigest()
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
                    connection,
                    party,
                    signing_key=signing_key,
                    sealing_key=sealing_key,
                    new_keys=bool(invitation["new_keys"]),
                )
                begin_generation(connection, party.name)
                record(connection, "party.enrolled", party=party, keys=used_by)
            elif invitation["used_by"] != used_by:
                raise _refused()
            note_for(connection, party, leaf)
        return certified

    def renew(self, caller: PartyId, request: bytes) -> Certified:
        """A fresh certificate for a party that still has a valid one."""
        with self._database.transaction() as connection:
            row = find(connection, tables.party, name=caller.name)
            if row is None:
                raise _refused()
            found, leaf = self.issue(caller, request, row["signing_key"], row["sealing_key"])
            note_for(connection, caller, leaf)
            record(connection, "party.renewed", party=caller)
        return found

    def certify(self, party: PartyId, request: bytes) -> bytes:
        """A certificate chain without anybody's asking: who holds the authority's key may.

        Raises:
            UnauthenticatedError: there is no such party, or its access has been ended.
        """
        with self._database.transaction() as connection:
            found, leaf = self.issue(party, request, b"", b"")
            note_for(connection, party, leaf)
        return found.chain

    def _invitation(self, caller: PartyId, token: bytes) -> Row:
        with self._database.transaction() as connection:
            row = find(connection, tables.invitation, token_hash=_token_hash(token))
        if row is None or row["name"] != caller.name or row["expires_at"] < now():
            raise _refused()
        if row["withdrawn_at"] is not None:
            raise _refused()
        return row

    def issue(
        self, party: PartyId, request: bytes, signing_key: bytes, sealing_key: bytes
    ) -> tuple[Certified, x509.Certificate]:
        """A certificate for a party; whoever calls this writes it down, or it is not admitted."""
        leaf = issue_party(self._authority, request, party, lifetime=self._certificate_lifetime)
        certified = Certified(
            party,
            signing_key,
            sealing_key,
            certificate_chain(leaf),
            leaf.not_valid_after_utc.astimezone(UTC),
        )
        return certified, leaf


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
    connection: sa.Connection,
    party: PartyId,
    *,
    signing_key: bytes,
    sealing_key: bytes,
    new_keys: bool = False,
) -> None:
    """Record a new party; one that enrols again must come with the keys that others trust.

    Args:
        new_keys: other keys are expected; others must compare and trust them anew.
    """
    known = find(connection, tables.party, name=party.name)
    if known is None:
        register(connection, party, signing_key=signing_key, sealing_key=sealing_key)
    elif (known["signing_key"], known["sealing_key"]) != (signing_key, sealing_key):
        if not new_keys:
            raise EnrolmentError(
                f"{party.name!r} enrolled with other keys",
                remedy="Restore its home from the backup; if its keys are lost or stolen, ask the"
                " steward for an invitation with --new-keys",
            )
        replace_keys(connection, party.name, signing_key, sealing_key)


def replace_keys(
    connection: sa.Connection, name: str, signing_key: bytes, sealing_key: bytes
) -> None:
    """Give a party other keys; it signs again what is to be checked with them."""
    update(
        connection,
        tables.party,
        {"name": name},
        signing_key=signing_key,
        sealing_key=sealing_key,
    )


def begin_generation(connection: sa.Connection, name: str) -> None:
    """Admit the party, from now on by none of its earlier certificates."""
    row = find(connection, tables.party, name=name)
    if row is not None:
        update(
            connection,
            tables.party,
            {"name": name},
            generation=row["generation"] + 1,
            revoked_at=None,
            revoked_for="",
        )


def _public_der(leaf: x509.Certificate) -> bytes:
    return leaf.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def certificate_chain(leaf: x509.Certificate) -> bytes:
    return leaf.public_bytes(serialization.Encoding.PEM)


def _token_hash(token: bytes) -> str:
    return hashlib.sha256(b"linkage/v1 enrolment token\0" + token).hexdigest()


def _refused() -> EnrolmentError:
    return EnrolmentError(
        "the invitation is unknown, used or expired", remedy="Ask the steward for a new one"
    )
