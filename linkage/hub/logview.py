"""What parties are shown of the log: proofs for everybody, openings for those entitled.

- A steward sees every entry opened; others those of their projects, and their own acts.
- Leaves and proofs are for all: they are commitments, and whoever has all of them can make the
  tree for itself.
- Heads are relayed between those who share a project: what a party has verified, signed by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from linkage.errors import (
    InternalError,
    InvalidRequestError,
    LogInconsistentError,
    SignatureError,
)
from linkage.hub.log import HUB
from linkage.hub.logtree import LogTree
from linkage.store import tables
from linkage.store.sql import Database, Row, find, find_all, insert, update
from linkage.trust.checkpoint import Checkpoint, LogKey
from linkage.trust.identity import PartyId, Role
from linkage.trust.signing import verify
from linkage.trust.statements import HeadStatement
from linkage.trust.transparency import Opening

MAX_ENTRIES = 1000


@dataclass(frozen=True)
class ShownEntry:
    """A leaf as a party is shown it; `opening` is None where it is not entitled."""

    index: int
    leaf: bytes
    opening: Opening | None


@dataclass(frozen=True)
class LogProof:
    """That an act is in the log."""

    entry: ShownEntry
    inclusion: Sequence[bytes]
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Head:
    """A party's signed head, with the keys it enrolled with."""

    party: Row
    statement: bytes
    signature: bytes


class LogView:
    """The use cases around the log."""

    def __init__(self, database: Database, key: LogKey) -> None:
        self._database = database
        self._verifier = key.verifier
        self.tree = LogTree(database, key)

    def checkpoint(self, since: int) -> tuple[Checkpoint, list[bytes]]:
        """The newest checkpoint, and the proof that it goes on from `since`."""
        found = self.tree.checkpoint()
        within = 0 < since < found.size
        return found, self.tree.consistency(since, found.size) if within else []

    def receipt(self, kind: str, subject: str, party: PartyId) -> LogProof:
        """Proof that an act is in the log, for who did it."""
        return self._receipt(kind=kind, subject=subject, party=_name(party))

    def receipt_of_list(self, run: str, digest: str) -> LogProof:
        """Proof that the hub's asking is in the log, for whom it asks."""
        said = f'"digest":"{digest}"'.encode()
        return self._receipt(said, kind="list.issued", subject=run, party=HUB)

    def _receipt(self, saying: bytes = b"", **where: str) -> LogProof:
        """Of the newest entry of that kind."""
        found = self.tree.checkpoint()
        with self._database.transaction() as connection:
            rows = find_all(connection, tables.log_entry, order="id", **where)
        rows = [row for row in rows if saying in row["entry"] and row["sequence"] is not None]
        if not rows:
            raise InternalError("an act is not in the hub's log", remedy="Tell its steward")
        entry = _shown(rows[-1], opened=True)
        return LogProof(entry, self.tree.inclusion(entry.index, found.size), found)

    def entries(self, caller: PartyId, start: int, size: int) -> list[ShownEntry]:
        """Entries from `start` on that have their places."""
        table = tables.log_entry
        query = sa.select(table).where(table.c.sequence >= start).order_by(table.c.sequence)
        with self._database.transaction() as connection:
            rows = connection.execute(query.limit(min(size or MAX_ENTRIES, MAX_ENTRIES)))
            found = [dict(row) for row in rows.mappings()]
            memberships = find_all(connection, tables.member, party=caller.name)
        mine = {row["project"] for row in memberships}
        return [
            _shown(
                row,
                opened=caller.role is Role.STEWARD
                or row["project"] in mine
                or row["party"] == _name(caller),
            )
            for row in found
        ]

    def put_head(self, caller: PartyId, raw: bytes, signature: bytes) -> None:
        """Keep a party's newest head.

        Raises:
            InvalidRequestError: it is another's, or not of this log.
            SignatureError: it is not signed by the caller.
        """
        said = HeadStatement.parse(raw)
        if said.party != caller.name:
            raise InvalidRequestError("the head names another party")
        try:
            seen = self._verifier.open(said.checkpoint.encode())
        except LogInconsistentError:
            raise InvalidRequestError("the head is not a checkpoint of this log") from None
        with self._database.transaction() as connection:
            party = find(connection, tables.party, name=caller.name)
            key = b"" if party is None else party["signing_key"]
            verify(key, signature, raw, what="the head", by=caller.name)
            known = find(connection, tables.log_head, party=caller.name)
            values = {"size": seen.size, "head": raw, "signature": signature}
            if known is None:
                insert(connection, tables.log_head, party=caller.name, **values)
            elif known["size"] <= seen.size:
                update(connection, tables.log_head, {"party": caller.name}, **values)

    def heads(self, caller: PartyId) -> list[Head]:
        """The heads of those with whom the caller shares a project; all, for a steward."""
        with self._database.transaction() as connection:
            rows = find_all(connection, tables.log_head, order="party")
            if caller.role is not Role.STEWARD:
                known = _companions(connection, caller.name)
                rows = [row for row in rows if row["party"] in known]
            parties = {row["name"]: row for row in find_all(connection, tables.party)}
        heads = [Head(parties[row["party"]], row["head"], row["signature"]) for row in rows]
        return [head for head in heads if _holds(head)]


def _holds(head: Head) -> bool:
    """Whether it is signed by the keys that the party has now, and not by those it had."""
    party = head.party
    try:
        verify(
            party["signing_key"], head.signature, head.statement, what="the head", by=party["name"]
        )
    except SignatureError:
        return False
    return True


def _companions(connection: sa.Connection, name: str) -> set[str]:
    members = tables.member.c
    mine = sa.select(members.project).where(members.party == name)
    query = sa.select(members.party).where(members.project.in_(mine))
    return {name, *connection.execute(query).scalars()}


def _shown(row: Row, *, opened: bool) -> ShownEntry:
    opening = Opening(row["salt"], row["entry"]) if opened else None
    return ShownEntry(row["sequence"], row["leaf"], opening)


def _name(party: PartyId) -> str:
    return f"{party.role}/{party.name}"
