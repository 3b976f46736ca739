"""The log's tree over rows, on SQLite and PostgreSQL alike, against the tree in memory."""

from __future__ import annotations

import hashlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.errors import LogInconsistentError
from linkage.hub import logtree
from linkage.hub.log import record
from linkage.hub.logtree import BATCH, LogTree
from linkage.store import tables
from linkage.store.sql import Database, find_all
from linkage.trust.checkpoint import Checkpoint, LogKey
from linkage.trust.transparency import (
    RootBuilder,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    subtrees_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

KEY = LogKey("prairie/log", Ed25519PrivateKey.generate())


def fill(database: Database, count: int, start: int = 0) -> list[bytes]:
    """Entries in bulk, as `record` writes them."""
    leaves = [
        hashlib.sha256(str(number).encode()).digest() for number in range(start, start + count)
    ]
    rows = [
        {
            "id": f"{number:032x}",
            "sequence": None,
            "leaf": leaf,
            "salt": b"",
            "entry": b"",
            "kind": "run.created",
            "party": "hub",
            "project": "",
            "subject": "",
        }
        for number, leaf in enumerate(leaves, start)
    ]
    with database.transaction() as connection:
        for first in range(0, count, 1000):
            connection.execute(sa.insert(tables.log_entry), rows[first : first + 1000])
    return leaves


def placed(database: Database) -> list[bytes]:
    with database.transaction() as connection:
        rows = find_all(connection, tables.log_entry, order="sequence")
    rows = [row for row in rows if row["sequence"] is not None]
    assert [row["sequence"] for row in rows] == list(range(len(rows)))
    return [row["leaf"] for row in rows]


def require_proofs(tree: LogTree, leaves: list[bytes], checks: int) -> None:
    subtrees = subtrees_of([leaf_hash(leaf) for leaf in leaves])
    draw = random.Random(1)
    for _ in range(checks):
        size = draw.randint(1, len(leaves))
        index, first = draw.randrange(size), draw.randint(1, size)
        assert tree.inclusion(index, size) == inclusion_proof(index, size, subtrees)
        assert tree.consistency(first, size) == consistency_proof(first, size, subtrees)


def test_an_empty_log_has_a_checkpoint(database: Database) -> None:
    found = LogTree(database, KEY).checkpoint()
    assert (found.size, found.root) == (0, hashlib.sha256().digest())


def test_entries_get_their_places_in_the_order_they_came(database: Database) -> None:
    tree = LogTree(database, KEY)
    with database.transaction() as connection:
        ids = [record(connection, "hub.started") for _ in range(5)]
    assert tree.checkpoint().size == 5
    with database.transaction() as connection:
        rows = find_all(connection, tables.log_entry, order="sequence")
    assert [row["id"] for row in rows] == sorted(ids) == ids


@pytest.mark.parametrize("steps", [(1, 254, 1, 1, 255, 256, 1), (BATCH + 300,)])
def test_roots_and_proofs_are_those_of_the_tree_in_memory(
    database: Database, steps: tuple[int, ...]
) -> None:
    tree, leaves = LogTree(database, KEY), []
    for step in steps:
        leaves += fill(database, step, len(leaves))
        found = tree.checkpoint()
        builder = RootBuilder()
        for leaf in leaves:
            builder.add(leaf)
        assert (found.size, found.root) == (len(leaves), builder.root)
        assert KEY.verifier.open(found.note) == found
    require_proofs(tree, leaves, 40)


def test_a_tree_of_many_storeys(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """With small blocks, so that few leaves make a high tree."""
    monkeypatch.setattr(logtree, "_FACTOR", 2)
    monkeypatch.setattr(logtree, "_BLOCK", 4)
    tree = LogTree(database, KEY)
    leaves = fill(database, 300)
    assert tree.checkpoint().size == 300
    leaves += fill(database, 401, 300)
    found = tree.checkpoint()
    subtrees = subtrees_of([leaf_hash(leaf) for leaf in leaves])
    assert found.root == tree_root(len(leaves), subtrees)
    require_proofs(tree, leaves, 20)
    with database.transaction() as connection:
        nodes = find_all(connection, tables.log_node)
    kept = {(node["level"], node["number"]): node["hash"] for node in nodes}
    assert {level for level, _ in kept} == {2, 4, 6, 8}
    assert all(subtrees(*place) == hashed for place, hashed in kept.items())


@pytest.mark.parametrize("what", [(5, 5), (6, 5), (0, 6), (3, 9)])
def test_no_proof_of_what_is_not_there(database: Database, what: tuple[int, int]) -> None:
    tree = LogTree(database, KEY)
    fill(database, 5)
    tree.checkpoint()
    with pytest.raises(LogInconsistentError):
        tree.inclusion(*what)


def test_what_writers_do_at_once_is_all_there_and_every_checkpoint_goes_on_from_the_last(
    database: Database,
) -> None:
    seen: list[Checkpoint] = []
    over = threading.Event()

    def write(_: int) -> list[str]:
        ids = []
        for _ in range(15):
            with database.transaction() as connection:
                ids.append(record(connection, "hub.started"))
        return ids

    def look() -> None:
        # Each with a tree of its own, as several hubs on one database would have.
        tree = LogTree(database, KEY)
        while not over.is_set():
            seen.append(tree.checkpoint())

    with ThreadPoolExecutor(8) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        ids = [one for many in pool.map(write, range(4)) for one in many]
        over.set()
        for one in looking:
            one.result()
    tree = LogTree(database, KEY)
    last = tree.checkpoint()
    assert last.size == len(ids) == 60
    assert len(placed(database)) == 60
    for one in seen:
        proof = tree.consistency(one.size, last.size)
        verify_consistency(one.size, one.root, last.size, last.root, proof)


def test_what_was_rolled_back_has_no_place(database: Database) -> None:
    tree = LogTree(database, KEY)

    def fails() -> None:
        with database.transaction() as connection:
            record(connection, "hub.started")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    with database.transaction() as connection:
        record(connection, "hub.started")
    found = tree.checkpoint()
    (leaf,) = placed(database)
    verify_inclusion(leaf_hash(leaf), 0, 1, tree.inclusion(0, 1), found.root)


def test_lost_entries_are_noticed(database: Database) -> None:
    fill(database, 10)
    LogTree(database, KEY).checkpoint()
    with database.transaction() as connection:
        table = tables.log_entry
        connection.execute(sa.delete(table).where(table.c.sequence == 4))
    with pytest.raises(LogInconsistentError, match="lost entries"):
        LogTree(database, KEY).checkpoint()
