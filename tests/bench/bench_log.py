"""The transparency log over a million leaves on SQLite: entries a second, and time per proof.

What a proof costs at least is the hashing of the blocks it reads: three of 256 at a million leaves.
`log_proof_ratio` is that, measured in the same run, over what a proof takes.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.hub.log import record
from linkage.hub.logtree import LogTree
from linkage.store import tables
from linkage.store.sql import Database
from linkage.trust.checkpoint import LogKey
from linkage.trust.transparency import (
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

LEAVES = 1_000_000
ENTRIES = 2_000
PROOFS = 200
BATCH = 20_000


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        database = Database(f"sqlite:///{Path(place) / 'hub.db'}")
        database.migrate()
        tree = LogTree(database, LogKey("bench/log", Ed25519PrivateKey.generate()))
        figures = _appends(database)
        tree.checkpoint()
        _fill(database, LEAVES - ENTRIES)
        took = _seconds(tree.checkpoint)
        figures["log_place_rps"] = (LEAVES - ENTRIES) / took
        figures |= _proofs(database, tree)
        database.close()
    return figures


def _appends(database: Database) -> dict[str, float]:
    """Entries a second, in a transaction of many, and in one each (the disk is waited for)."""

    def within() -> None:
        with database.transaction() as connection:
            for _ in range(ENTRIES // 2):
                record(connection, "run.created", project="bench", subject="0" * 32)

    def alone() -> None:
        for _ in range(ENTRIES // 2):
            with database.transaction() as connection:
                record(connection, "run.created", project="bench", subject="0" * 32)

    half = ENTRIES // 2
    return {"log_record_rps": half / _seconds(within), "log_commit_rps": half / _seconds(alone)}


def _fill(database: Database, count: int) -> None:
    fixed = {"sequence": None, "salt": bytes(32), "entry": bytes(200), "kind": "run.created"}
    fixed |= {"party": "hub", "project": "bench", "subject": "0" * 32}
    for start in range(0, count, BATCH):
        rows = [
            {"id": f"f{number:031x}", "leaf": hashlib.sha256(b"%d" % number).digest(), **fixed}
            for number in range(start, min(start + BATCH, count))
        ]
        with database.transaction() as connection:
            connection.execute(sa.insert(tables.log_entry), rows)


def _proofs(database: Database, tree: LogTree) -> dict[str, float]:
    draw = random.Random(1)
    last = tree.checkpoint()
    indexes = [draw.randrange(LEAVES) for _ in range(PROOFS)]
    proofs: list[list[bytes]] = []
    inclusion = _seconds(lambda: proofs.extend(tree.inclusion(i, LEAVES) for i in indexes))
    consistency = _seconds(lambda: [tree.consistency(i + 1, LEAVES) for i in indexes])
    place = tables.log_entry.c.sequence
    for index, proof in zip(indexes[:20], proofs[:20], strict=True):
        with database.transaction() as connection:
            query = sa.select(tables.log_entry.c.leaf).where(place == index)
            leaf = connection.execute(query).scalar_one()
        verify_inclusion(leaf_hash(leaf), index, LEAVES, proof, last.root)
    verify_consistency(LEAVES, last.root, LEAVES, last.root, tree.consistency(LEAVES, LEAVES))
    one, other = bytes(32), bytes(32)

    def limit() -> None:
        for _ in range(PROOFS):
            for _ in range(256):
                leaf_hash(one)
            for _ in range(3 * 255):
                node_hash(one, other)

    return {
        "log_inclusion_ms": 1e3 * inclusion / PROOFS,
        "log_consistency_ms": 1e3 * consistency / PROOFS,
        "log_proof_ratio": _seconds(limit) / inclusion,
    }


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
