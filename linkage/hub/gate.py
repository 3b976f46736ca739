"""Who belongs where: the one place that lets a call into a project.

- One query answers for a project, run, release or upload, the same whether it does not exist or is
  another's: nothing in status, text or work done tells the two apart.
- A steward of the hub belongs to every project; a partner only to its own uploads; the assembler
  only to parcels.
- Whom only the proposed version of a manifest names may look at that, and at nothing that was made
  under another. Whom the manifest names no more may look at its own uploads still.
- Every call is counted: inside a project by the manifest's budgets, elsewhere by the hub's.
"""

from __future__ import annotations

from functools import lru_cache

import sqlalchemy as sa

from linkage.agreement import parse_manifest
from linkage.agreement.budgets import Budgets
from linkage.hub.pace import Pace
from linkage.rpc.policy import Scope
from linkage.rpc.scopes import nothing_there
from linkage.store import tables
from linkage.store.sql import Database
from linkage.trust.identity import PartyId, Role

CALLS_PER_MINUTE = 3_000
"""Calls of one party outside of projects, unless the hub's settings say otherwise."""


class ProjectGate:
    """Told by the guard of every call (`linkage.rpc.scopes.Gate`)."""

    def __init__(self, database: Database, *, calls_per_minute: int = CALLS_PER_MINUTE) -> None:
        self._database = database
        self._calls_per_minute = calls_per_minute
        self._pace = Pace()

    def enter(self, caller: PartyId, scope: Scope, subject: str) -> None:
        """See `linkage.rpc.scopes.Gate.enter`."""
        row = None if scope is Scope.NONE else self._find(caller, scope, subject)
        if row is None:
            self._pace.count("", caller.uri, self._calls_per_minute)
            if scope is not Scope.NONE:
                raise nothing_there(scope)
            return
        project, budgets = row[0], budgets_in(row[1])
        self._pace.count(project, caller.uri, budgets.partner.calls_per_minute)
        # A steward must be able to look after a project that its partners keep busy.
        refuses = caller.role is not Role.STEWARD
        self._pace.count(project, "", budgets.project.calls_per_minute, refuses=refuses)

    def _find(self, caller: PartyId, scope: Scope, subject: str) -> tuple[str, bytes] | None:
        """The project and its manifest, if it is there and the caller belongs."""
        project, member = tables.project, tables.member
        query = sa.select(project.c.name, project.c.manifest)
        if scope in _TABLES:
            table = _TABLES[scope]
            query = query.join(table, table.c.project == project.c.name)
            query = query.where(table.c.id == subject)
        else:
            query = query.where(project.c.name == subject)
        if scope is Scope.UPLOAD:
            query = query.where(
                tables.upload.c.partner == caller.name
                if caller.role is Role.PARTNER
                else tables.upload.c.kind == "parcel"
            )
        own = scope is Scope.UPLOAD and caller.role is Role.PARTNER
        if caller.role is not Role.STEWARD and not own:
            query = query.join(member, member.c.project == project.c.name)
            query = query.where(member.c.party == caller.name)
            if scope in _TABLES:
                query = query.where(member.c.in_force)
        with self._database.transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.name, bytes(row.manifest))


_TABLES = {Scope.RUN: tables.run, Scope.RELEASE: tables.release, Scope.UPLOAD: tables.upload}


@lru_cache(maxsize=256)
def budgets_in(manifest: bytes) -> Budgets:
    """The budgets of a manifest; a manifest never changes."""
    return parse_manifest(manifest).budgets
