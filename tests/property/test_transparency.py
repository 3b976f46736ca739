"""Trees of any size: every proof holds, and nothing else does; against RFC 9162's own recursion."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.errors import LogInconsistentError
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

SIZES = st.integers(1, 200)


def leaves(size: int) -> list[bytes]:
    return [number.to_bytes(2, "big") for number in range(size)]


def mth(data: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word for word."""
    if not data:
        return hashlib.sha256().digest()
    if len(data) == 1:
        return hashlib.sha256(b"\0" + data[0]).digest()
    k = split(len(data))
    return hashlib.sha256(b"\1" + mth(data[:k]) + mth(data[k:])).digest()


def path(m: int, data: list[bytes]) -> list[bytes]:
    """RFC 9162, 2.1.3.1."""
    if len(data) == 1:
        return []
    k = split(len(data))
    if m < k:
        return [*path(m, data[:k]), mth(data[k:])]
    return [*path(m - k, data[k:]), mth(data[:k])]


def subproof(m: int, data: list[bytes], whole: bool) -> list[bytes]:
    """RFC 9162, 2.1.4.1."""
    if m == len(data):
        return [] if whole else [mth(data)]
    k = split(len(data))
    if m <= k:
        return [*subproof(m, data[:k], whole), mth(data[k:])]
    return [*subproof(m - k, data[k:], False), mth(data[:k])]


def split(size: int) -> int:
    k = 1
    while 2 * k < size:
        k *= 2
    return k


@given(SIZES, st.data())
def test_roots_and_proofs_are_those_of_the_recursion(size: int, data: st.DataObject) -> None:
    all_leaves = leaves(size)
    subtrees = subtrees_of([leaf_hash(leaf) for leaf in all_leaves])
    builder = RootBuilder()
    for leaf in all_leaves:
        builder.add(leaf)
    assert tree_root(size, subtrees) == builder.root == mth(all_leaves)
    index = data.draw(st.integers(0, size - 1))
    assert inclusion_proof(index, size, subtrees) == path(index, all_leaves)
    first = data.draw(st.integers(1, size))
    assert consistency_proof(first, size, subtrees) == subproof(first, all_leaves, True)


@given(SIZES, st.data())
def test_proofs_hold_for_what_they_prove_and_for_nothing_else(
    size: int, data: st.DataObject
) -> None:
    hashes = [leaf_hash(leaf) for leaf in leaves(size)]
    subtrees = subtrees_of(hashes)
    root = tree_root(size, subtrees)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, subtrees)
    verify_inclusion(hashes[index], index, size, proof, root)
    with pytest.raises(LogInconsistentError):
        verify_inclusion(leaf_hash(b"another"), index, size, proof, root)
    first = data.draw(st.integers(1, size))
    shown = consistency_proof(first, size, subtrees)
    old = tree_root(first, subtrees)
    verify_consistency(first, old, size, root, shown)
    another = hashlib.sha256(b"another").digest()
    for roots in ((another, root), (old, another)):
        with pytest.raises(LogInconsistentError):
            verify_consistency(first, roots[0], size, roots[1], shown)
    for what, check in (
        (proof, lambda p: verify_inclusion(hashes[index], index, size, p, root)),
        (shown, lambda p: verify_consistency(first, old, size, root, p)),
    ):
        wrong = [*what, another]
        if what and data.draw(st.booleans()):
            place = data.draw(st.integers(0, len(what) - 1))
            wrong = [*what[:place], another, *what[place + 1 :]]
        with pytest.raises(LogInconsistentError):
            check(wrong)
        if what:
            with pytest.raises(LogInconsistentError):
                check(what[:-1])


@given(st.integers(2, 120), st.data())
def test_no_proof_bridges_a_fork(size: int, data: st.DataObject) -> None:
    """A log that changed one old entry has no honest proof from what it said before."""
    place = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(place + 1, size))
    before = subtrees_of([leaf_hash(leaf) for leaf in leaves(size)])
    changed = [*leaves(size)]
    changed[place] = b"changed"
    after = subtrees_of([leaf_hash(leaf) for leaf in changed])
    with pytest.raises(LogInconsistentError):
        verify_consistency(
            first,
            tree_root(first, before),
            size,
            tree_root(size, after),
            consistency_proof(first, size, after),
        )
