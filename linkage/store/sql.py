"""The hub's database: SQLite by default, PostgreSQL the same.

- Every change happens inside `transaction`, all of it or nothing.
- SQLite runs with a write-ahead log and full synchronisation: what was committed survives a
  power cut. Writers take the lock at once, so that none fails half-way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from linkage.errors import AlreadyExistsError

Row = Mapping[str, Any]


def now() -> int:
    """Seconds since the epoch, UTC."""
    return int(time.time())


class Database:
    """One database.

    Args:
        url: SQLAlchemy URL; `sqlite:///path` or `postgresql+psycopg://...`.
    """

    def __init__(self, url: str) -> None:
        # Values, such as token hashes and sealed secrets, stay out of the driver's error texts.
        self.engine = sa.create_engine(url, pool_pre_ping=True, hide_parameters=True)
        self._file: Path | None = None
        if self.engine.dialect.name == "sqlite":
            if self.engine.url.database:
                self._file = Path(self.engine.url.database)
            sa.event.listen(self.engine, "connect", _configure_sqlite)
            sa.event.listen(self.engine, "begin", _begin_immediate)

    def migrate(self, revision: str = "head") -> None:
        """Bring the schema up to date, or to a revision on the way."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction; commits on success, rolls back on any exception."""
        with self.engine.begin() as connection:
            yield connection

    def healthy(self) -> bool:
        """Whether the database answers, and is still where it was opened."""
        if self._file is not None and not self._file.exists():
            # An open file goes on working after it was moved away, and loses what it is told.
            return False
        try:
            with self.engine.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        self.engine.dispose()


def find(connection: sa.Connection, table: sa.Table, **where: Any) -> Row | None:
    """The one row with those values, or None."""
    query = sa.select(table).where(*_conditions(table, where))
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def find_all(
    connection: sa.Connection, table: sa.Table, *, order: str | None = None, **where: Any
) -> list[Row]:
    """All rows with those values, ordered by a column."""
    query = sa.select(table).where(*_conditions(table, where))
    if order is not None:
        query = query.order_by(table.c[order])
    return [dict(row) for row in connection.execute(query).mappings()]


def insert(connection: sa.Connection, table: sa.Table, **values: Any) -> None:
    """Add a row.

    Raises:
        AlreadyExistsError: one with the same key is there.
    """
    try:
        connection.execute(sa.insert(table).values(**values))
    except IntegrityError:
        raise AlreadyExistsError(f"this {table.name} is there already") from None


def update(connection: sa.Connection, table: sa.Table, where: Row, **values: Any) -> int:
    """Change the rows with those values; returns how many."""
    return connection.execute(
        sa.update(table).where(*_conditions(table, where)).values(**values)
    ).rowcount


def page(
    connection: sa.Connection, table: sa.Table, *, after: str, size: int, **where: Any
) -> list[Row]:
    """At most `size` rows whose primary key is greater than `after`, in its order.

    A frozenset stands for any of its values.
    """
    key = next(iter(table.primary_key.columns))
    query = sa.select(table).where(*_conditions(table, where), key > after)
    rows = connection.execute(query.order_by(key).limit(size)).mappings()
    return [dict(row) for row in rows]


def _conditions(table: sa.Table, where: Row) -> list[sa.ColumnElement[bool]]:
    return [
        table.c[name].in_(value) if isinstance(value, frozenset) else table.c[name] == value
        for name, value in where.items()
    ]


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling would begin too late; `_begin_immediate` does it.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=30000",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
