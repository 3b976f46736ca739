"""What has been used up of a day's budgets; in the database, so that no restart forgets it.

- A day is a day in UTC.
- Nothing is taken that would go over: partner's and project's budgets are charged together or not
  at all, in the caller's transaction.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from linkage.agreement import Manifest
from linkage.errors import LimitError
from linkage.hub.pace import over_budget
from linkage.store import tables
from linkage.store.sql import Database, now

DAY = 86_400
KEPT_DAYS = 7
UPLOADS, BYTES, RUNS = "uploads", "bytes", "runs"
STEP_BYTES = 64 << 20


def spend(
    connection: sa.Connection, manifest: Manifest, partner: str, what: str, amount: int = 1
) -> None:
    """Charge a partner, or nobody in particular where it is empty, and the project.

    Raises:
        LimitError: it would go over a budget of the manifest; says when to try again.
    """
    budgets, setting, project = manifest.budgets, f"{what}_per_day", manifest.project
    if partner:
        limit = getattr(budgets.partner, setting)
        _charge(connection, project, partner, what, amount, limit)
    _charge(connection, project, "", what, amount, getattr(budgets.project, setting))


def give_back(
    connection: sa.Connection, project: str, partner: str, what: str, amount: int
) -> None:
    """What was charged today and not used."""
    table = tables.spending
    for party in (partner, ""):
        connection.execute(
            sa.update(table)
            .where(*_row(project, party, what, _today()), table.c.amount >= amount)
            .values(amount=table.c.amount - amount)
        )


def require_room(connection: sa.Connection, manifest: Manifest, partner: str, since: int) -> None:
    """Raises LimitError where too many uploads are under way.

    Args:
        since: uploads begun before count as given up; seconds since the epoch.
    """
    table = tables.upload
    for party, limit in (
        (partner, manifest.budgets.partner.open_uploads),
        ("", manifest.budgets.project.open_uploads),
    ):
        query = sa.select(sa.func.count()).where(
            table.c.project == manifest.project,
            table.c.finished_at.is_(None),
            table.c.created_at >= since,
        )
        if party:
            query = query.where(table.c.partner == party)
        if connection.execute(query).scalar_one() >= limit:
            raise LimitError(
                f"the manifest of {manifest.project!r} allows {limit:,} uploads under way for"
                f" {_whose(party)}",
                remedy="Finish one of them first",
            )


class Meter:
    """Charges the bytes of one stream as they come, in steps; what is not used is given back.

    with Meter(database, manifest, "sheriff", most=size) as meter:
        meter.take(len(chunk))
    """

    def __init__(self, database: Database, manifest: Manifest, partner: str, *, most: int) -> None:
        self._database = database
        self._manifest = manifest
        self._partner = partner
        self._most = most
        self._charged = 0

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._charged:
            with self._database.transaction() as connection:
                project = self._manifest.project
                give_back(connection, project, self._partner, BYTES, self._charged)

    def take(self, count: int) -> None:
        """Raises LimitError when the day's bytes are used up."""
        if count > self._charged:
            try:
                self._charge(max(count, min(STEP_BYTES, self._most)) - self._charged)
            except LimitError:
                # Not a whole step any more, but perhaps these.
                self._charge(count - self._charged)
        self._charged -= count
        self._most -= count

    def _charge(self, step: int) -> None:
        with self._database.transaction() as connection:
            spend(connection, self._manifest, self._partner, BYTES, step)
        self._charged += step


def _charge(
    connection: sa.Connection, project: str, party: str, what: str, amount: int, limit: int
) -> None:
    table, today = tables.spending, _today()
    fits = (
        sa.update(table)
        .where(*_row(project, party, what, today), table.c.amount + amount <= limit)
        .values(amount=table.c.amount + amount)
    )
    if connection.execute(fits).rowcount:
        return
    if amount <= limit:
        try:
            with connection.begin_nested():
                connection.execute(
                    sa.insert(table).values(
                        project=project, party=party, what=what, day=today, amount=amount
                    )
                )
        except IntegrityError:
            # It is there: full, or made by another call just now.
            if connection.execute(fits).rowcount:
                return
        else:
            connection.execute(sa.delete(table).where(table.c.day < today - KEPT_DAYS))
            return
    raise over_budget(
        f"the manifest of {project!r} allows {limit:,} {what} in a day for {_whose(party)}",
        (today + 1) * DAY,
    )


def _row(project: str, party: str, what: str, day: int) -> list[sa.ColumnElement[bool]]:
    table = tables.spending
    return [
        table.c.project == project,
        table.c.party == party,
        table.c.what == what,
        table.c.day == day,
    ]


def _whose(party: str) -> str:
    return "one partner" if party else "all its partners"


def _today() -> int:
    return now() // DAY
