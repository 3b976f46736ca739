"""A hub's database with one project, and the rows of its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linkage.hub.states import SUCCEEDED
from linkage.store import tables
from linkage.store.sql import Database, Row, find, insert

MakeRun = Callable[..., Row]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'hub.db'}")
    tables.metadata.create_all(made.engine)
    row = {"name": "county", "manifest": b"{}", "fingerprint": "a" * 64, "epoch": 0}
    with made.transaction() as connection:
        insert(connection, tables.project, **row, created_at=1)
    yield made
    made.close()


@pytest.fixture
def make_run(database: Database) -> MakeRun:
    """Makes a run's row, a succeeded one unless told otherwise."""

    def make(name: str, **values: Any) -> Row:
        row: dict[str, Any] = {
            "id": name,
            "project": "county",
            "fingerprint": "a" * 64,
            "epoch": 0,
            "state": SUCCEEDED,
            "step": "",
            "progress": 0.0,
            "reason": "",
            "message": "",
            "created_at": 1,
            "ended_at": 1,
            "request_id": name,
            "uploads": b'{"left":"u1","right":"u2"}',
        }
        with database.transaction() as connection:
            insert(connection, tables.run, **(row | values))
            found = find(connection, tables.run, id=name)
        assert found is not None
        return found

    return make
