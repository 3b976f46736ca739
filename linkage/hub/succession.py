"""How a project goes on: epochs follow each other, and versions of its manifest.

- An epoch begins in one transaction with all that it ends: runs under way are cancelled, and the
  envelopes of earlier epochs, which nobody needs any more, are deleted.
- Uploads, runs and releases name the manifest and the epoch they were made under, and keep them.
- Who asks here has locked the project's row (`lock`), so that no two successions interleave.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa

from linkage.agreement import Manifest, parse_manifest
from linkage.errors import NotFoundError
from linkage.hub.log import HUB, record
from linkage.hub.states import CANCELLED, ENDED
from linkage.store import tables
from linkage.store.sql import Row, find, find_all, insert, now, update
from linkage.trust.identity import PartyId

FIRST_EPOCH = 0
MAX_REASON = 500


def lock(connection: sa.Connection, name: str) -> None:
    """Hold on to a project's row until the transaction ends."""
    update(connection, tables.project, {"name": name}, name=name)


def open_project(connection: sa.Connection, manifest: Manifest) -> None:
    """Record a new project, its first version and its first epoch."""
    insert(
        connection,
        tables.project,
        name=manifest.project,
        manifest=manifest.canonical,
        fingerprint=manifest.fingerprint,
        epoch=FIRST_EPOCH,
        created_at=now(),
    )
    _insert_version(connection, manifest)
    _insert_epoch(connection, manifest.project, FIRST_EPOCH, manifest.fingerprint, "", "0")
    for name in manifest.party_names:
        insert(connection, tables.member, project=manifest.project, party=name)


def propose(connection: sa.Connection, manifest: Manifest) -> None:
    """Record a version that is to follow the one in force; its new parties may look at it."""
    _insert_version(connection, manifest)
    for name in manifest.party_names:
        if find(connection, tables.member, project=manifest.project, party=name) is None:
            insert(connection, tables.member, project=manifest.project, party=name, in_force=False)


def withdraw(connection: sa.Connection, name: str, fingerprint: str) -> None:
    """Forget a version that never was in force, and with a first one the project."""
    about = {"project": name, "fingerprint": fingerprint}
    for table in (tables.signature, tables.commitment, tables.version):
        _delete(connection, table, **about)
    _delete(connection, tables.member, project=name, in_force=False)
    if find(connection, tables.project, name=name, fingerprint=fingerprint) is not None:
        for table in (tables.member, tables.epoch):
            _delete(connection, table, project=name)
        _delete(connection, tables.project, name=name)


def put_in_force(connection: sa.Connection, row: Row, manifest: Manifest) -> None:
    """A version that every partner of it has signed takes the place of the one before.

    Args:
        row: the project's.
    """
    name = row["name"]
    about = {"project": name, "fingerprint": manifest.fingerprint}
    update(connection, tables.version, about, in_force_at=now())
    record(connection, "manifest.in_force", **about, version=manifest.version)
    if row["fingerprint"] == manifest.fingerprint:
        return
    _delete(connection, tables.member, project=name)
    for party in manifest.party_names:
        insert(connection, tables.member, project=name, party=party)
    changed = {"manifest": manifest.canonical, "fingerprint": manifest.fingerprint}
    update(connection, tables.project, {"name": name}, **changed)
    reason = f"version {manifest.version} of the manifest is in force"
    begin_epoch(connection, {**row, **changed}, reason, str(row["epoch"] + 1))


def begin_epoch(
    connection: sa.Connection,
    row: Row,
    reason: str,
    request_id: str,
    *,
    by: PartyId | str = HUB,
) -> None:
    """The next epoch of a project.

    Args:
        row: the project's, as it is now.
        by: who asked for it.
    """
    name, epoch = row["name"], row["epoch"] + 1
    _insert_epoch(connection, name, epoch, row["fingerprint"], reason, request_id)
    update(connection, tables.project, {"name": name}, epoch=epoch)
    record(
        connection,
        "epoch.begun",
        project=name,
        party=by,
        epoch=epoch,
        fingerprint=row["fingerprint"],
        reason=hashlib.sha256(reason.encode()).hexdigest(),
    )
    for run in runs_under_way(connection, name):
        ended = {"state": CANCELLED, "step": "", "ended_at": now()}
        message = f"epoch {epoch} has begun: {reason}"[:2000]
        update(connection, tables.run, {"id": run["id"]}, message=message, **ended)
        record(connection, "run.cancelled", project=name, subject=run["id"], epoch=epoch)
    envelope = tables.envelope
    connection.execute(
        sa.delete(envelope).where(envelope.c.project == name, envelope.c.epoch < epoch)
    )


def runs_under_way(connection: sa.Connection, name: str) -> list[Row]:
    rows = find_all(connection, tables.run, order="created_at", project=name)
    return [row for row in rows if row["state"] not in ENDED]


def epochs(connection: sa.Connection, name: str) -> Sequence[Row]:
    """Every epoch up to the present one, in order."""
    return find_all(connection, tables.epoch, order="epoch", project=name)


def proposed(connection: sa.Connection, row: Row) -> Manifest | None:
    """The version that is to follow the one in force, if any.

    Args:
        row: the project's.
    """
    waiting = find_all(connection, tables.version, project=row["name"], in_force_at=None)
    for version in waiting:
        if version["fingerprint"] != row["fingerprint"]:
            return parse_manifest(version["manifest"])
    return None


def manifest_of(connection: sa.Connection, name: str, fingerprint: str) -> Manifest:
    """The version of a project's manifest with that fingerprint."""
    row = find(connection, tables.version, project=name, fingerprint=fingerprint)
    if row is None:
        raise NotFoundError(f"project {name!r} has no such manifest")
    return parse_manifest(row["manifest"])


def _insert_version(connection: sa.Connection, manifest: Manifest) -> None:
    insert(
        connection,
        tables.version,
        project=manifest.project,
        fingerprint=manifest.fingerprint,
        manifest=manifest.canonical,
        proposed_at=now(),
        in_force_at=None,
    )


def _insert_epoch(
    connection: sa.Connection,
    name: str,
    epoch: int,
    fingerprint: str,
    reason: str,
    request_id: str,
) -> None:
    insert(
        connection,
        tables.epoch,
        project=name,
        epoch=epoch,
        fingerprint=fingerprint,
        reason=reason,
        started_at=now(),
        request_id=request_id,
    )


def _delete(connection: sa.Connection, table: sa.Table, **where: object) -> None:
    connection.execute(sa.delete(table).where(*(table.c[n] == v for n, v in where.items())))
