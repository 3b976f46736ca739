"""The log's tree: gives entries their places, and makes roots and proofs from few rows.

- Writers of entries never wait here. Whoever needs a checkpoint takes, under the lock of one row,
  every entry that is committed and has no place, and gives them places in one transaction.
- Stored are the leaves, and the hash of every complete subtree of 256, 65,536, ... leaves. A proof
  over n leaves reads at most 256 rows for each factor of 256 in n.
- A place, once given, is never given again; what was signed is what every later tree begins with.
"""

from __future__ import annotations

import threading

import sqlalchemy as sa

from linkage.errors import LogInconsistentError
from linkage.store import tables
from linkage.store.sql import Database, insert, update
from linkage.trust.checkpoint import Checkpoint, LogKey
from linkage.trust.transparency import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    tree_root,
)

BATCH = 4096
_FACTOR = 8
_BLOCK = 1 << _FACTOR


class LogTree:
    """The tree of the log in a database.

    Args:
        key: signs checkpoints.
    """

    def __init__(self, database: Database, key: LogKey) -> None:
        self._database = database
        self._key = key
        self._signing = threading.Lock()
        self._signed: Checkpoint | None = None

    def checkpoint(self) -> Checkpoint:
        """Over every entry that was committed before this was called."""
        while self._place():
            pass
        with self._signing, self._database.transaction() as connection:
            size = _size(connection)
            if self._signed is None or self._signed.size != size:
                self._signed = self._key.sign(size, tree_root(size, _Rows(connection).subtree))
            return self._signed

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Proof that leaf `index` is in the tree over the first `size` leaves."""
        with self._database.transaction() as connection:
            _require_there(connection, size, index < size)
            return inclusion_proof(index, size, _Rows(connection).subtree)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Proof that the tree over `second` leaves goes on from that over `first`."""
        with self._database.transaction() as connection:
            _require_there(connection, second, first <= second)
            return consistency_proof(first, second, _Rows(connection).subtree)

    def _place(self) -> bool:
        """Give places to entries that have none; whether there may be more."""
        table = tables.log_entry
        waiting = sa.select(table.c.id).where(table.c.sequence.is_(None)).order_by(table.c.id)
        with self._database.transaction() as connection:
            size = _size(connection, lock=True)
            found = connection.execute(waiting.limit(BATCH)).scalars().all()
            if not found:
                return False
            place = sa.update(table).where(table.c.id == sa.bindparam("which"))
            connection.execute(
                place.values(sequence=sa.bindparam("place")),
                [{"which": entry, "place": at} for at, entry in enumerate(found, size)],
            )
            _keep_subtrees(connection, size, size + len(found))
            update(connection, tables.log_size, {"id": 1}, size=size + len(found))
        return len(found) == BATCH


class _Rows:
    """Hashes of subtrees, from the rows of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._blocks: dict[tuple[int, int], list[bytes]] = {}

    def subtree(self, level: int, number: int) -> bytes:
        base = level - level % _FACTOR
        count = 1 << level - base
        block, start = divmod(number * count, _BLOCK)
        hashes = self._block(base, block)[start : start + count]
        if len(hashes) < count:
            raise LogInconsistentError("the hub's log has lost entries")
        while len(hashes) > 1:
            hashes = [node_hash(*hashes[i : i + 2]) for i in range(0, len(hashes), 2)]
        return hashes[0]

    def _block(self, level: int, number: int) -> list[bytes]:
        if (level, number) not in self._blocks:
            span = (number * _BLOCK, (number + 1) * _BLOCK - 1)
            self._blocks[level, number] = self._read(level, *span)
        return self._blocks[level, number]

    def _read(self, level: int, first: int, last: int) -> list[bytes]:
        if level == 0:
            leaves = tables.log_entry.c
            query = sa.select(leaves.leaf).where(leaves.sequence.between(first, last))
            found = self._connection.execute(query.order_by(leaves.sequence)).scalars()
            return [leaf_hash(leaf) for leaf in found]
        nodes = tables.log_node.c
        among = nodes.number.between(first, last)
        query = sa.select(nodes.hash).where(nodes.level == level, among).order_by(nodes.number)
        return list(self._connection.execute(query).scalars())


def _size(connection: sa.Connection, *, lock: bool = False) -> int:
    query = sa.select(tables.log_size.c.size).where(tables.log_size.c.id == 1)
    return int(connection.execute(query.with_for_update() if lock else query).scalar_one())


def _keep_subtrees(connection: sa.Connection, before: int, after: int) -> None:
    """Store the hashes of the subtrees that are complete now, the smaller ones first."""
    for level in range(_FACTOR, after.bit_length(), _FACTOR):
        rows = _Rows(connection)
        for number in range(before >> level, after >> level):
            below = rows.subtree(level - 1, 2 * number), rows.subtree(level - 1, 2 * number + 1)
            values = {"level": level, "number": number, "hash": node_hash(*below)}
            insert(connection, tables.log_node, **values)


def _require_there(connection: sa.Connection, size: int, ordered: bool) -> None:
    if not ordered or size > _size(connection):
        raise LogInconsistentError("the log has no such entries")
