"""Who is a party now: certificates in force, revocation, and invitations that are still open.

- Only certificates that the hub itself wrote down are admitted: one that somebody made with a copy
  of the authority's key is not.
- Every certificate belongs to a generation of its party. Renewal stays within one, so that a
  program that still holds the last certificate goes on. Enrolling anew begins the next: all
  earlier certificates are refused from then on. New keys (`rotate`) begin one too, with the first
  call that uses it, so that an answer lost on the way locks nobody out.
- A revoked party is refused at its next call, its open calls are ended within two seconds (see
  `rpc.calls`), and its invitations are void. A new invitation restores it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from cryptography import x509

from linkage.errors import NotFoundError, StateError, UnauthenticatedError
from linkage.hub.log import record
from linkage.store import tables
from linkage.store.sql import Database, Row, find, find_all, insert, now, update
from linkage.trust.identity import Credential, PartyId, Role, serial_of

ID_LENGTH = 12


class Membership:
    """Admits parties, and ends that."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def admit(self, credential: Credential) -> None:
        """Let a caller in, or not.

        Raises:
            UnauthenticatedError: not known in the role it claims, revoked, or with a certificate
                that is expired, superseded, or not of the hub's making.
        """
        party = credential.party
        if credential.expires < datetime.now(UTC):
            raise UnauthenticatedError("this certificate has expired")
        if party.role is Role.INVITEE:
            return
        with self._database.transaction() as connection:
            row = find(connection, tables.party, name=party.name)
            if row is None or row["role"] != party.role:
                raise UnauthenticatedError("the hub does not know this party")
            if row["revoked_at"] is not None:
                raise UnauthenticatedError(
                    f"the steward ended the access of {party.name!r}",
                    remedy="Ask the steward why; a new invitation restores it",
                )
            if row["generation"]:
                self._require_in_force(connection, row, credential)
            elif find(connection, tables.certificate, serial=credential.serial) is not None:
                # Of a hub that did not write certificates down yet: from now on it does.
                update(connection, tables.party, {"name": party.name}, generation=1)

    @staticmethod
    def _require_in_force(connection: sa.Connection, party: Row, credential: Credential) -> None:
        found = find(connection, tables.certificate, serial=credential.serial)
        if found is None or found["party"] != party["name"]:
            raise UnauthenticatedError("the hub did not issue this certificate")
        if found["generation"] < party["generation"]:
            raise UnauthenticatedError(
                "this certificate was replaced when the party enrolled anew or changed its keys",
                remedy="If that was not you, tell the steward at once",
            )
        if found["generation"] > party["generation"]:
            where = {"name": party["name"]}
            update(connection, tables.party, where, generation=found["generation"])

    def revoke(self, name: str, reason: str) -> None:
        """End a party's access now; its name and its keys stay known.

        Raises:
            NotFoundError: there is no such party.
            StateError: its access has been ended already.
        """
        with self._database.transaction() as connection:
            row = find(connection, tables.party, name=name)
            if row is None:
                raise NotFoundError(
                    f"there is no party {name!r}",
                    remedy="See: linkage hub parties; an invitation that was not used is"
                    " withdrawn by: linkage hub withdraw",
                )
            if row["revoked_at"] is not None:
                raise StateError(f"the access of {name!r} has been ended already")
            update(connection, tables.party, {"name": name}, revoked_at=now(), revoked_for=reason)
            # Also one that was used: repeating a broken enrolment would be a way back.
            self._void(connection, name=name)
            record(connection, "party.revoked", name=name)

    def parties(self) -> Sequence[Row]:
        """All parties, with the end of their newest certificate."""
        with self._database.transaction() as connection:
            return [
                {**row, "certified_until": _newest(connection, row["name"])}
                for row in find_all(connection, tables.party, order="name")
            ]

    def invitations(self) -> Sequence[Row]:
        """Invitations that nobody has used, newest last; `id` is what `withdraw` takes."""
        with self._database.transaction() as connection:
            rows = find_all(connection, tables.invitation, order="expires_at", used_by=None)
        return [
            {
                "id": row["token_hash"][:ID_LENGTH],
                "name": row["name"],
                "role": row["role"],
                "expires_at": row["expires_at"],
                "open": row["withdrawn_at"] is None and row["expires_at"] >= now(),
            }
            for row in rows
        ]

    def withdraw(self, which: str) -> Sequence[str]:
        """Void an open invitation by its id, or all of a name; gives their names.

        Raises:
            NotFoundError: there is none.
        """
        found = [i for i in self.invitations() if i["open"] and which in (i["id"], i["name"])]
        with self._database.transaction() as connection:
            for one in found:
                rows = find_all(connection, tables.invitation, name=one["name"], used_by=None)
                for row in rows:
                    if row["token_hash"].startswith(one["id"]):
                        self._void(connection, token_hash=row["token_hash"])
                record(connection, "invitation.withdrawn", name=one["name"])
        if not found:
            raise NotFoundError(
                f"there is no open invitation {which!r}", remedy="See: linkage hub invitations"
            )
        return [one["name"] for one in found]

    @staticmethod
    def _void(connection: sa.Connection, **where: Any) -> None:
        update(connection, tables.invitation, {**where, "withdrawn_at": None}, withdrawn_at=now())


def note_certificate(
    connection: sa.Connection, name: str, leaf: x509.Certificate, generation: int
) -> None:
    """Write a certificate down, so that it is admitted; forget those that have run out."""
    table = tables.certificate
    gone = sa.delete(table).where(table.c.party == name, table.c.expires_at < now())
    connection.execute(gone)
    insert(
        connection,
        table,
        serial=serial_of(leaf),
        party=name,
        generation=generation,
        issued_at=now(),
        expires_at=int(leaf.not_valid_after_utc.timestamp()),
    )


def note_for(connection: sa.Connection, party: PartyId, leaf: x509.Certificate) -> None:
    """Write down a certificate of the party's present generation.

    Raises:
        UnauthenticatedError: there is no such party, or its access has been ended.
    """
    row = find(connection, tables.party, name=party.name)
    if row is None or row["revoked_at"] is not None:
        raise UnauthenticatedError(f"{party.name!r} is no party of this hub, or no longer")
    note_certificate(connection, party.name, leaf, max(row["generation"], 1))


def _newest(connection: sa.Connection, name: str) -> int | None:
    table = tables.certificate
    query = sa.select(sa.func.max(table.c.expires_at)).where(table.c.party == name)
    return connection.execute(query).scalar()
