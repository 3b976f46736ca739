"""The tree and its proofs, against the known answers of Certificate Transparency's own tests."""

from __future__ import annotations

import pytest

from linkage.errors import LogInconsistentError
from linkage.trust.transparency import (
    Entry,
    Opening,
    RootBuilder,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    require_hashes,
    subtrees_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# The leaves and answers that google/certificate-transparency and its successors test with.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
SUBTREES = subtrees_of(HASHES)


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_known_ones(size: int) -> None:
    assert tree_root(size, SUBTREES).hex() == ROOTS[size]
    builder = RootBuilder()
    for leaf in LEAVES[:size]:
        builder.add(leaf)
    assert (builder.size, builder.root.hex()) == (size, ROOTS[size])


@pytest.mark.parametrize(("index", "size", "expected"), INCLUSION)
def test_inclusion_proofs_are_the_known_ones(index: int, size: int, expected: list[str]) -> None:
    proof = inclusion_proof(index, size, SUBTREES)
    assert [one.hex() for one in proof] == expected
    verify_inclusion(HASHES[index], index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second", "expected"), CONSISTENCY)
def test_consistency_proofs_are_the_known_ones(
    first: int, second: int, expected: list[str]
) -> None:
    proof = consistency_proof(first, second, SUBTREES)
    assert [one.hex() for one in proof] == expected
    roots = [bytes.fromhex(ROOTS[size]) for size in (first, second)]
    verify_consistency(first, roots[0], second, roots[1], proof)


def test_a_smaller_log_shrank() -> None:
    with pytest.raises(LogInconsistentError, match="shrank from 8 to 5"):
        verify_consistency(8, bytes.fromhex(ROOTS[8]), 5, bytes.fromhex(ROOTS[5]), [])


def test_two_roots_over_the_same_entries_are_a_fork() -> None:
    with pytest.raises(LogInconsistentError, match="two roots"):
        verify_consistency(5, bytes.fromhex(ROOTS[5]), 5, bytes.fromhex(ROOTS[4]), [])


@pytest.mark.parametrize("wrong", [{"index": 8}, {"index": -1}, {"index": 4}, {"size": 6}])
def test_a_proof_holds_for_its_own_leaf_and_tree_only(wrong: dict[str, int]) -> None:
    place = {"index": 5, "size": 8, **wrong}
    proof = inclusion_proof(5, 8, SUBTREES)
    with pytest.raises(LogInconsistentError):
        verify_inclusion(HASHES[5], place["index"], place["size"], proof, bytes.fromhex(ROOTS[8]))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no such leaf"):
        inclusion_proof(index, size, SUBTREES)


def entry(**changes: object) -> Entry:
    fields = {"kind": "run.created", "time": 1, "party": "steward/steward", "project": "prairie"}
    return Entry.model_validate({**fields, "subject": "0" * 32, "details": {}, **changes})


def test_an_opening_fits_its_own_leaf_only() -> None:
    one = Opening.of(entry())
    assert one.require(one.leaf) == entry()
    for other in (Opening.of(entry()), Opening(one.salt, entry(time=2).canonical)):
        assert other.leaf != one.leaf
        with pytest.raises(LogInconsistentError):
            other.require(one.leaf)


def test_an_opening_that_is_no_entry_is_refused() -> None:
    for malformed in (b"{}", b"", b"[]", b"\xff"):
        one = Opening(bytes(32), malformed)
        with pytest.raises(LogInconsistentError, match="malformed"):
            one.require(one.leaf)
    # A salt of another length could move bytes between salt and entry.
    short = Opening(bytes(31), entry().canonical)
    with pytest.raises(LogInconsistentError):
        short.require(short.leaf)


def test_hashes_have_their_length() -> None:
    assert require_hashes([bytes(32)]) == [bytes(32)]
    for wrong in ([bytes(31)], [bytes(32)] * 129):
        with pytest.raises(LogInconsistentError):
            require_hashes(wrong)
