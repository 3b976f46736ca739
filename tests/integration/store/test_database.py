"""What the hub relies on, from SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from linkage.errors import AlreadyExistsError
from linkage.store import tables
from linkage.store.sql import Database, find, find_all, insert, page, update


def _project(connection: sa.Connection, name: str = "prairie") -> None:
    insert(
        connection,
        tables.project,
        name=name,
        manifest=b"\x00\xff{}",
        fingerprint="a" * 64,
        epoch=0,
        created_at=1_700_000_000,
    )


def test_migrating_from_empty_gives_exactly_the_tables(database: Database) -> None:
    with database.transaction() as connection:
        options = {"compare_type": True, "render_as_batch": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []
        names = set(sa.inspect(connection).get_table_names())
    assert names == {*tables.metadata.tables, "alembic_version"}


def test_every_constraint_is_really_there(database: Database) -> None:
    """`compare_metadata` does not look at primary keys and nullability on every database."""
    with database.transaction() as connection:
        inspector = sa.inspect(connection)
        for table in tables.metadata.sorted_tables:
            found = inspector.get_pk_constraint(table.name)["constrained_columns"]
            assert found == [column.name for column in table.primary_key.columns], table.name
            for column in inspector.get_columns(table.name):
                assert column["nullable"] == table.c[column["name"]].nullable
            foreign = {
                (tuple(key["constrained_columns"]), key["referred_table"])
                for key in inspector.get_foreign_keys(table.name)
            }
            assert foreign == {
                ((key.parent.name,), key.column.table.name) for key in table.foreign_keys
            }


def test_migrating_again_changes_nothing(database: Database) -> None:
    with database.transaction() as connection:
        _project(connection)
    database.migrate()
    with database.transaction() as connection:
        assert find(connection, tables.project, name="prairie") is not None


def test_rows_of_the_first_schema_outlive_every_migration(empty: Database) -> None:
    """A hub that was set up by an earlier version goes on with what it holds."""
    empty.migrate("0001")
    old = sa.MetaData()
    with empty.transaction() as connection:
        old.reflect(connection)
        _project(connection)
        values = {"project": "prairie", "epoch": 0, "created_at": 1}
        upload = {"id": "u", "kind": "encodings", "partner": "sheriff", "release": "", "size": 1}
        upload |= {"header": b"{}", "header_fingerprint": "f", "signature": b"s"}
        run = {"id": "r", "fingerprint": "a" * 64, "state": "running", "step": "", "progress": 0.5}
        run |= {"reason": "", "message": "", "request_id": "q"}
        connection.execute(old.tables["upload"].insert().values(**values, **upload))
        connection.execute(old.tables["run"].insert().values(**values, **run))
    empty.migrate()
    with empty.transaction() as connection:
        sent = find(connection, tables.upload, id="u", run="", other="")
        begun = find(connection, tables.run, id="r", cleared_at=None)
        assert sent is not None
        assert begun is not None
        assert (sent["partner"], begun["state"]) == ("sheriff", "running")
        values = {"partner": "sheriff", "other": "health", "upload": "u", "digest": "d"}
        insert(connection, tables.comparison, run="r", **values, entries=1 << 40, deadline=1)
        found = find(connection, tables.comparison, run="r", answers=None)
    assert found is not None
    assert found["entries"] == 1 << 40


def test_bytes_and_numbers_come_back_as_they_were(database: Database) -> None:
    with database.transaction() as connection:
        _project(connection)
        row = find(connection, tables.project, name="prairie")
    assert row is not None
    assert (bytes(row["manifest"]), row["created_at"]) == (b"\x00\xff{}", 1_700_000_000)


def test_what_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.transaction() as connection:
        _project(connection)
        raise RuntimeError
    with database.transaction() as connection:
        assert find_all(connection, tables.project) == []


def test_a_row_that_refers_to_nothing_is_refused(database: Database) -> None:
    with pytest.raises(AlreadyExistsError), database.transaction() as connection:
        insert(connection, tables.member, project="nowhere", party="sheriff")


def test_a_key_is_there_once(database: Database) -> None:
    with database.transaction() as connection:
        _project(connection)
    with pytest.raises(AlreadyExistsError, match="project"), database.transaction() as connection:
        _project(connection)


def test_the_error_shows_no_value(database: Database) -> None:
    """A database's own message would quote the row."""
    with database.transaction() as connection:
        _project(connection, "marker-4711")
    with pytest.raises(AlreadyExistsError) as caught, database.transaction() as connection:
        _project(connection, "marker-4711")
    assert "marker" not in str(caught.value)


def test_find_and_update(database: Database) -> None:
    with database.transaction() as connection:
        _project(connection)
        for party in ("c", "a", "b"):
            insert(connection, tables.member, project="prairie", party=party)
        assert find(connection, tables.member, project="prairie", party="d") is None
        assert [r["party"] for r in find_all(connection, tables.member, order="party")] == [
            "a",
            "b",
            "c",
        ]
        assert update(connection, tables.project, {"name": "prairie", "epoch": 1}, epoch=2) == 0
        assert update(connection, tables.project, {"name": "prairie", "epoch": 0}, epoch=2) == 1
        row = find(connection, tables.project, name="prairie")
        assert row is not None
        assert row["epoch"] == 2


def test_a_missing_value_can_be_asked_for(database: Database) -> None:
    """`used_by=None` must find the unused invitation: a token works once because of it."""
    with database.transaction() as connection:
        row = {"name": "a", "role": "partner", "expires_at": 1}
        insert(connection, tables.invitation, token_hash="t", **row, used_by=None)
        where = {"token_hash": "t", "used_by": None}
        assert update(connection, tables.invitation, where, used_by="k") == 1
        assert update(connection, tables.invitation, where, used_by="other") == 0
        found = find(connection, tables.invitation, token_hash="t")
        assert found is not None
        assert found["used_by"] == "k"


def test_pages_cover_everything_once_in_order(database: Database) -> None:
    names = [f"p-{number:03}" for number in range(25)]
    with database.transaction() as connection:
        for name in reversed(names):
            _project(connection, name)
        seen: list[str] = []
        after = ""
        while rows := page(connection, tables.project, after=after, size=7, epoch=0):
            assert len(rows) <= 7
            seen += [row["name"] for row in rows]
            after = seen[-1]
        assert page(connection, tables.project, after="", size=7, epoch=9) == []
    assert seen == names


def test_writers_at_once_lose_nothing(database: Database) -> None:
    together = threading.Barrier(8)

    def write(number: int) -> None:
        together.wait()
        for step in range(10):
            with database.transaction() as connection:
                _project(connection, f"p-{number}-{step}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    with database.transaction() as connection:
        assert len(find_all(connection, tables.project)) == 80


def test_of_writers_of_one_key_one_wins(database: Database) -> None:
    together = threading.Barrier(8)

    def claim(number: int) -> bool:
        together.wait()
        try:
            with database.transaction() as connection:
                _project(connection)
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1


def test_a_one_time_change_happens_once(database: Database) -> None:
    """The way an enrolment token is used up."""
    together = threading.Barrier(8)
    with database.transaction() as connection:
        _project(connection)

    def use(number: int) -> int:
        together.wait()
        with database.transaction() as connection:
            where = {"name": "prairie", "epoch": 0}
            return update(connection, tables.project, where, epoch=number + 1)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(use, range(8))) == 1


def test_what_was_committed_is_there_for_the_next_process(database: Database) -> None:
    with database.transaction() as connection:
        _project(connection)
    again = Database(database.engine.url.render_as_string(hide_password=False))
    with again.transaction() as connection:
        assert find(connection, tables.project, name="prairie") is not None
    again.close()


def test_a_database_that_answers_is_healthy(database: Database) -> None:
    assert database.healthy()


def test_a_database_that_went_away_is_not_healthy(database: Database, tmp_path: Path) -> None:
    url = database.engine.url
    assert database.healthy()
    if url.get_backend_name() == "sqlite":
        moved = Path(str(url.database)).rename(tmp_path / "moved.db")
        assert not database.healthy()
        moved.rename(str(url.database))
    else:
        admin = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            name = url.database
            connection.execute(sa.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            connection.execute(sa.text(end), {"name": name})
            assert not database.healthy()
            connection.execute(sa.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        admin.dispose()
    assert database.healthy()


def test_sqlite_survives_a_power_cut(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'hub.db'}")
    with database.transaction() as connection:
        asked = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()
            for pragma in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    database.close()
    assert asked == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
    }
