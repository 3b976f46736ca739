"""A log that its readers need not believe: Merkle tree hashing and proofs of RFC 9162, section 2.1.

- Leaves are hashed after a byte 0, inner nodes after a byte 1; the tree over n leaves splits at
  the largest power of two below n.
- Proofs are made from the hashes of complete subtrees alone, which `Subtrees` gives by level and
  number: a store reads a few of them, a test computes them from leaves.
- A leaf of our log is a commitment: SHA-256 over 32 random bytes and the entry. It tells nothing
  to who lacks both, and fits no other entry.
- Verification raises; there is no boolean to forget.

Sources: RFC 9162 sections 2.1.1 to 2.1.5. pymerkle does the same and is GPL: see docs/adr.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Strict
from linkage.errors import LogInconsistentError

HASH_BYTES = 32
SALT_BYTES = 32
MAX_ENTRY_BYTES = 8192
MAX_PROOF = 128
_COMMITMENT = b"linkage/v1 log entry\0"

Subtrees = Callable[[int, int], bytes]
"""Hash of the complete subtree over leaves `number << level` to `(number + 1) << level`."""


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def subtrees_of(hashes: Sequence[bytes]) -> Subtrees:
    """Complete subtrees over leaf hashes that are all in memory."""
    levels = [list(hashes)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(*below[i : i + 2]) for i in range(0, len(below) - 1, 2)])
    return lambda level, number: levels[level][number]


def tree_root(size: int, subtrees: Subtrees) -> bytes:
    """The hash of the tree over the first `size` leaves."""
    return _range_hash(0, size, subtrees) if size else hashlib.sha256().digest()


class RootBuilder:
    """The root over leaves that come one by one, in logarithmic memory."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        hashed, full = leaf_hash(leaf), self.size
        while full & 1:
            hashed = node_hash(self._peaks.pop(), hashed)
            full >>= 1
        self._peaks.append(hashed)
        self.size += 1

    @property
    def root(self) -> bytes:
        if not self._peaks:
            return tree_root(0, subtrees_of([]))
        found = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            found = node_hash(peak, found)
        return found


def inclusion_proof(index: int, size: int, subtrees: Subtrees) -> list[bytes]:
    """PATH(index, D[size]): the hashes that lead from a leaf to the root."""
    if not 0 <= index < size:
        raise ValueError("there is no such leaf in a tree of that size")
    found: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append(_range_hash(middle, end, subtrees))
            end = middle
        else:
            found.append(_range_hash(start, middle, subtrees))
            start = middle
    return found[::-1]


def consistency_proof(first: int, second: int, subtrees: Subtrees) -> list[bytes]:
    """PROOF(first, D[second]): that the first tree is how the second one began."""
    if not 0 <= first <= second:
        raise ValueError("a later tree is not smaller")
    if first in {0, second}:
        return []
    found: list[bytes] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            found.append(_range_hash(middle, end, subtrees))
            end = middle
        else:
            found.append(_range_hash(start, middle, subtrees))
            start, whole = middle, False
    if not whole:
        found.append(_range_hash(start, end, subtrees))
    return found[::-1]


def verify_inclusion(
    hashed: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf hash stands at `index` in the tree (RFC 9162, 2.1.3.2).

    Raises:
        LogInconsistentError: it does not.
    """
    if not 0 <= index < size:
        raise LogInconsistentError("a proof speaks of a leaf outside the log")
    at, last, found = index, size - 1, hashed
    for one in proof:
        if last == 0:
            raise LogInconsistentError("a proof of inclusion is too long")
        if at & 1 or at == last:
            found = node_hash(one, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, one)
        at, last = at >> 1, last >> 1
    if last or found != root:
        raise LogInconsistentError("a proof of inclusion does not lead to the log's root")


def verify_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the first tree is how the second one began (RFC 9162, 2.1.4.2).

    Raises:
        LogInconsistentError: the log shrank, or forked.
    """
    if first > second:
        raise LogInconsistentError(f"the log shrank from {first} to {second} entries")
    if first in {0, second}:
        _verify_same(first, first_root, second_root, proof)
        return
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    forked = LogInconsistentError(
        f"the log of {second} entries does not go on from its first {first}"
    )
    if not path:
        raise forked
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for one in path[1:]:
        if last == 0:
            raise forked
        if at & 1 or at == last:
            old, new = node_hash(one, old), node_hash(one, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, one)
        at, last = at >> 1, last >> 1
    if last or old != first_root or new != second_root:
        raise forked


def _verify_same(size: int, one: bytes, other: bytes, proof: Sequence[bytes]) -> None:
    if proof or (size and one != other):
        raise LogInconsistentError(f"the log shows two roots over the same {size} entries")
    if not size and one != tree_root(0, subtrees_of([])):
        raise LogInconsistentError("the root of an empty log is wrong")


class Entry(Strict):
    """What a leaf commits to.

    Attributes:
        kind: what happened, such as `upload.finished`.
        time: seconds since the epoch, UTC.
        party: who did it, `role/name`; `hub` for the hub itself; empty where nobody is known.
        project, subject: the project, and the id of the upload, run or release; may be empty.
        details: what else there is to say: ids, digests, counts, reasons; no value, no handle.
    """

    linkage: str = "log/1"
    kind: str
    time: int
    party: str
    project: str
    subject: str
    details: dict[str, str | int | bool]

    @property
    def canonical(self) -> bytes:
        return canonical(self.model_dump(mode="json"))


@dataclass(frozen=True)
class Opening:
    """What shows that a leaf is about an entry.

    Attributes:
        salt: 32 random bytes.
        entry: its canonical form.
    """

    salt: bytes
    entry: bytes

    @classmethod
    def of(cls, entry: Entry) -> Opening:
        """Salted anew."""
        return cls(secrets.token_bytes(SALT_BYTES), entry.canonical)

    @property
    def leaf(self) -> bytes:
        """The commitment, 32 bytes."""
        return hashlib.sha256(_COMMITMENT + self.salt + self.entry).digest()

    def require(self, leaf: bytes) -> Entry:
        """The entry, once the leaf is seen to be its.

        Raises:
            LogInconsistentError: the leaf is another's, or the entry is malformed.
        """
        if len(self.salt) != SALT_BYTES or len(self.entry) > MAX_ENTRY_BYTES or self.leaf != leaf:
            raise LogInconsistentError("what the hub shows of an entry is not what its leaf says")
        try:
            return Entry.model_validate_json(self.entry)
        except ValidationError:
            raise LogInconsistentError("an entry of the log is malformed") from None


def require_hashes(proof: Iterable[Any]) -> list[bytes]:
    """Raises LogInconsistentError unless a proof is a short list of hashes."""
    found = list(proof)
    if len(found) > MAX_PROOF or any(len(one) != HASH_BYTES for one in found):
        raise LogInconsistentError("a proof of the log is malformed")
    return found


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def _range_hash(start: int, end: int, subtrees: Subtrees) -> bytes:
    """MTH over leaves `start` to `end` of a range that some tree splits into."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return subtrees(level, start >> level)
    middle = start + _split(size)
    return node_hash(_range_hash(start, middle, subtrees), _range_hash(middle, end, subtrees))
