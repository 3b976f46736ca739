"""Entries for calls: the first at once, the rest as a count, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from linkage.hub import audit
from linkage.hub.audit import READS, Audit
from linkage.rpc.connections import Connections
from linkage.rpc.policy import POLICY
from linkage.store import tables
from linkage.store.sql import Database, find_all, insert
from linkage.trust.identity import PartyId, Role

SHERIFF = PartyId("prairie", Role.PARTNER, "sheriff")
HEALTH = PartyId("prairie", Role.PARTNER, "health")
METHOD = "/linkage.v1.RunService/GetQualityReport"


def entries(database: Database) -> list[dict[str, Any]]:
    with database.transaction() as connection:
        rows = find_all(connection, tables.log_entry, order="id")
    return [json.loads(row["entry"]) for row in rows]


def test_a_refusal_is_written_at_once(database: Database) -> None:
    Audit(database, Connections()).refused(METHOD, SHERIFF, "NOT_FOUND")
    (entry,) = entries(database)
    assert (entry["kind"], entry["party"]) == ("call.refused", "partner/sheriff")
    assert entry["details"] == {"method": METHOD[1:], "reason": "NOT_FOUND"}


def test_a_flood_makes_two_entries(database: Database) -> None:
    made = Audit(database, Connections())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: made.refused(METHOD, SHERIFF, "NOT_FOUND"), range(2000)))
    assert len(entries(database)) == 1
    made.flush()
    assert [entry["details"].get("repeated") for entry in entries(database)] == [None, 1999]
    made.flush()
    assert len(entries(database)) == 2
    made.refused(METHOD, SHERIFF, "NOT_FOUND")
    assert len(entries(database)) == 3


def test_party_method_and_reason_are_told_apart(database: Database) -> None:
    made = Audit(database, Connections())
    for caller in (SHERIFF, HEALTH, None):
        for reason in ("NOT_FOUND", "BAD_SIGNATURE"):
            for method in (METHOD, "unknown"):
                made.refused(method, caller, reason)
                made.refused(method, caller, reason)
    assert len(entries(database)) == 12


def test_memory_is_bounded_and_nothing_goes_uncounted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_KEYS", 5)
    made = Audit(database, Connections())
    for number in range(40):
        made.refused(f"/method-{number}", SHERIFF, "NOT_FOUND")
    made.flush()
    found = entries(database)
    assert len(found) == 7
    assert sum(entry["details"].get("repeated", 1) for entry in found) == 40


def test_what_could_not_be_written_is_written_by_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Audit(database, Connections())
    with monkeypatch.context() as broken:
        broken.setattr(Database, "transaction", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made.refused(METHOD, SHERIFF, "NOT_FOUND")
    made.refused(METHOD, SHERIFF, "NOT_FOUND")
    made.refused(METHOD, SHERIFF, "NOT_FOUND")
    with monkeypatch.context() as broken:
        broken.setattr(Database, "transaction", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made.flush()
    made.flush()
    assert [entry["details"].get("repeated") for entry in entries(database)] == [None, 1]


def test_counts_are_written_when_the_minute_is_over_and_at_the_end(database: Database) -> None:
    made = Audit(database, Connections(), seconds=0.05)
    for _ in range(3):
        made.refused(METHOD, SHERIFF, "NOT_FOUND")
    made.start()
    give_up = time.monotonic() + 10
    while len(entries(database)) < 2:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    made.refused(METHOD, SHERIFF, "NOT_FOUND")
    made.refused(METHOD, SHERIFF, "NOT_FOUND")
    made.stop()
    repeated = Counter(entry["details"].get("repeated") for entry in entries(database))
    assert sum(count for count in repeated.elements() if count) + repeated[None] == 5


def test_what_is_read_is_filed_under_its_project(database: Database) -> None:
    with database.transaction() as connection:
        insert(
            connection,
            tables.project,
            name="prairie-care",
            manifest=b"{}",
            fingerprint="0" * 64,
            epoch=0,
            created_at=1,
        )
        insert(
            connection,
            tables.run,
            id="ab" * 16,
            project="prairie-care",
            fingerprint="0" * 64,
            epoch=0,
            state="succeeded",
            step="",
            progress=1.0,
            reason="",
            message="",
            created_at=1,
            ended_at=None,
            request_id="r",
            uploads=b"{}",
            cleared_at=None,
        )
    made = Audit(database, Connections())
    made.served(METHOD, SHERIFF, SimpleNamespace(run="ab" * 16))
    made.served(
        "/linkage.v1.SecretService/ListEnvelopes", SHERIFF, SimpleNamespace(project="prairie-care")
    )
    made.served("/linkage.v1.RunService/WatchRun", SHERIFF, SimpleNamespace(run="ab" * 16))
    found = entries(database)
    assert [entry["kind"] for entry in found] == ["report.read", "envelopes.fetched"]
    assert {entry["project"] for entry in found} == {"prairie-care"}
    assert found[0]["subject"] == "ab" * 16


def test_what_is_read_exists() -> None:
    assert set(READS) <= set(POLICY)
