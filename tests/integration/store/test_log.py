"""The log's rows, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from typing import Any

import pytest

from linkage.hub.log import KINDS, record
from linkage.store import tables
from linkage.store.sql import Database, find, find_all
from linkage.trust.identity import PartyId, Role
from linkage.trust.transparency import Opening

STEWARD = PartyId("prairie", Role.STEWARD, "steward")


def test_an_entry_is_written_with_its_change_or_not_at_all(database: Database) -> None:
    def fails() -> None:
        with database.transaction() as connection:
            record(connection, "run.created", party=STEWARD)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    with database.transaction() as connection:
        assert find_all(connection, tables.log_entry) == []
        identifier = record(connection, "run.created", project="prairie", party=STEWARD, run="a1")
    with database.transaction() as connection:
        row = find(connection, tables.log_entry, id=identifier)
    assert row is not None
    entry = Opening(row["salt"], row["entry"]).require(row["leaf"])
    assert (entry.kind, entry.party, entry.project) == ("run.created", "steward/steward", "prairie")
    assert entry.details == {"run": "a1"}
    assert row["sequence"] is None


@pytest.mark.parametrize(
    "detail",
    ["Jane Doe", "1980-01-01 ", "O'Brien", "a" * 161, "Käthe", "a\n", "{}", "-x"],
)
def test_what_could_be_a_value_is_refused(database: Database, detail: str) -> None:
    with database.transaction() as connection:
        with pytest.raises(ValueError, match="not a name, an id or a digest"):
            record(connection, "run.created", note=detail)
        assert find_all(connection, tables.log_entry) == []


@pytest.mark.parametrize("details", [{}, {"count": 3}, {"digest": "ab" * 32}, {"reason": ""}])
def test_names_ids_digests_and_counts_are_taken(database: Database, details: Any) -> None:
    with database.transaction() as connection:
        assert record(connection, "call.refused", party="", **details)


def test_an_unknown_kind_is_refused(database: Database) -> None:
    with database.transaction() as connection, pytest.raises(ValueError, match="knows no entry"):
        record(connection, "run.invented")


def test_every_kind_fits_its_column_and_says_what_it_is() -> None:
    assert max(map(len, KINDS)) <= 32
    assert all(KINDS.values())
