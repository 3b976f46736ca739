"""The kernel against the slow and obvious computation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from linkage.matching import kernel
from linkage.matching.kernel import ABSENT, EMPTY, Side, scan
from linkage.matching.looks import LARGEST_LIMIT, Look
from linkage.matching.popcount import CUT_SCALE


def side(words: npt.NDArray[np.uint64], cut: float, *, start: int = 0, dice: bool = False) -> Side:
    rows, width = words.shape
    size = kernel.ones(words) if dice else np.full(rows, width * 32, np.int64)
    cuts = size * int(cut * (1 << CUT_SCALE))
    return Side(words, cuts, size, start)


def random_words(rows: int, width: int, seed: int) -> npt.NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 2**64, (rows, width), np.uint64)


def distances(a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return np.bitwise_count(a[:, None, :] ^ b[None, :, :]).sum(axis=2, dtype=np.int64)


@pytest.mark.parametrize(("rows", "columns", "width"), [(1, 1, 8), (64, 7, 16), (130, 65, 32)])
def test_keeps_exactly_the_pairs_within_the_cut(rows: int, columns: int, width: int) -> None:
    left, right = random_words(rows, width, 1), random_words(columns, width, 2)
    right[0] = left[-1]
    found = scan(side(left, 0.48), side(right, 0.48), look=None, best=200, triangle=False)
    expected = np.argwhere(distances(left, right) <= 0.48 * width * 64)
    assert np.column_stack([found.left, found.right]).tolist() == expected.tolist()
    assert (found.compared, found.survived) == (rows * columns, len(expected))


def test_dice_cut_is_the_dice_coefficient() -> None:
    rng = np.random.default_rng(3)
    bits = (rng.random((90, 512)) < rng.uniform(0.2, 0.6, (90, 1))).astype(np.uint8)
    words = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
    left, right = words[:50], words[50:]
    both = np.bitwise_count(left[:, None] & right[None]).sum(axis=2, dtype=np.int64)
    sizes = kernel.ones(left)[:, None] + kernel.ones(right)[None]
    found = scan(
        side(left, 0.5, dice=True),
        side(right, 0.5, dice=True),
        look=None,
        best=60,
        triangle=False,
    )
    expected = np.argwhere(2 * both / sizes >= 0.5)
    assert np.column_stack([found.left, found.right]).tolist() == expected.tolist()


def test_absent_rows_never_survive() -> None:
    words = np.zeros((70, 8), np.uint64)
    here = side(words, 0.5)
    absent = np.arange(70) % 2 == 1
    here.cut[absent] = ABSENT
    found = scan(here, here, look=None, best=100, triangle=False)
    assert not np.isin(found.left, np.flatnonzero(absent)).any()
    assert not np.isin(found.right, np.flatnonzero(absent)).any()
    assert found.compared == 35 * 35 == found.survived


def test_a_tile_of_equal_rows_cannot_overflow() -> None:
    words = np.zeros((300, 8), np.uint64)
    found = scan(side(words, 0.1), side(words, 0.1), look=None, best=4, triangle=False)
    assert found.survived == 300 * 300
    assert len(found.left) <= 2 * 4 * 300
    assert found.right[found.left == 299].tolist()[:4] == [0, 1, 2, 3]


def test_triangle_gives_each_pair_once_and_no_row_with_itself() -> None:
    words = random_words(100, 8, 4)
    here, there = side(words[:60], 0.6), side(words[40:], 0.6, start=40)
    found = scan(here, there, look=None, best=100, triangle=True)
    assert (found.left < found.right).all()
    assert found.compared == sum(max(0, 99 - max(i, 39)) for i in range(60))


@pytest.mark.parametrize(("rows", "columns", "words"), [(1, 1, 3), (513, 70, 9), (900, 600, 12)])
def test_first_look_only_drops_pairs_beyond_its_limit(rows: int, columns: int, words: int) -> None:
    left, right = random_words(rows, 32, 5), random_words(columns, 32, 6)
    same = min(rows, columns) // 3
    right[:same] = left[:same] ^ (random_words(same, 32, 7) & random_words(same, 32, 8))
    look = Look(words, int(0.45 * 12 * words))
    one, other = side(left, 0.49, start=7), side(right, 0.49, start=11)
    one.cut[::9] = other.cut[::7] = ABSENT
    whole = scan(one, other, look=None, best=999, triangle=False)
    looked = scan(one, other, look=look, best=999, triangle=False)
    part = differing_quintets(left[:, :words], right[:, :words])
    kept = part[whole.left - 7, whole.right - 11] <= look.limit
    assert looked.left.tolist() == whole.left[kept].tolist()
    assert looked.right.tolist() == whole.right[kept].tolist()
    assert looked.rank.tolist() == whole.rank[kept].tolist()
    present = (one.cut != ABSENT)[:, None] & (other.cut != ABSENT)[None]
    assert looked.looked == (part[present] <= look.limit).sum()
    assert looked.survived == kept.sum()
    assert looked.compared == whole.compared == present.sum()


@pytest.mark.parametrize("alike", [False, True])
def test_what_may_lose_nothing_finds_the_same_pairs(alike: bool) -> None:
    """Filters of which unrelated ones are unlike, so that a first look pays, and alike."""
    left, right = random_words(1200, 16, 1), random_words(700, 16, 2)
    if alike:
        common = random_words(1, 16, 3)
        left, right = left & common & random_words(1200, 16, 4), right & common
    noise = np.bitwise_and.reduce([random_words(300, 16, seed) for seed in range(5, 10)])
    right[:300] = left[:300] ^ noise
    one, other = side(left, 0.2, dice=True), side(right, 0.2, dice=True)
    assert (kernel._lossless(one, other) is None) == alike
    found = scan(one, other, look=None, best=900, triangle=False)
    assert found.looked == found.compared == 1200 * 700
    apart = distances(left, right)
    limits = one.cut[:, None] + other.cut[None, :]
    rows = np.nonzero(apart << CUT_SCALE <= limits)
    assert len(rows[0]) > 100
    assert found.left.tolist() == rows[0].tolist()
    assert found.right.tolist() == rows[1].tolist()


def differing_quintets(
    left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """In how many fives of bits, twelve in a word, at least three bits differ."""
    out = np.empty((len(left), len(right)), np.int64)
    for j, row in enumerate(right):
        bits = np.unpackbits((left ^ row).view(np.uint8), axis=1, bitorder="little")
        fives = bits.reshape(len(left), -1, 64)[:, :, :60].reshape(len(left), -1, 5)
        out[:, j] = (fives.sum(axis=2) >= 3).sum(axis=1)
    return out


@pytest.mark.parametrize("limit", [0, 1, 63, 64, 127, 128, LARGEST_LIMIT])
def test_a_first_look_counts_exactly(limit: int) -> None:
    """Left rows with 0 to 1,535 leading bits set, against a right row with none."""
    bits = np.arange(1536)[:, None] > np.arange(1536)[None]
    left = np.zeros((1536, 24), np.uint64)
    left[:] = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
    right = np.zeros((1, 24), np.uint64)
    found = scan(side(left, 1), side(right, 1), look=Look(24, limit), best=2000, triangle=False)
    expected = np.flatnonzero(differing_quintets(left, right)[:, 0] <= limit)
    assert len(expected) > 5 * limit
    assert found.left.tolist() == expected.tolist()


def test_first_looks_in_one_file_give_each_pair_once() -> None:
    words = random_words(1500, 16, 4)
    here, there = side(words[:1000], 0.5), side(words[400:], 0.5, start=400)
    look = Look(9, LARGEST_LIMIT)
    found, whole = (scan(here, there, look=x, best=2, triangle=True) for x in (look, None))
    assert found.left.tolist() == whole.left.tolist()
    assert found.right.tolist() == whole.right.tolist()
    assert (found.left < found.right).all()
    assert (found.looked, found.survived) == (found.compared, whole.survived)


def test_merging_tiles_in_any_order_gives_the_best_of_the_whole() -> None:
    left, right = random_words(150, 8, 7), random_words(150, 8, 8)
    whole = scan(side(left, 0.6), side(right, 0.6), look=None, best=3, triangle=False)
    tiles = [
        scan(
            side(left[a : a + 50], 0.6, start=a),
            side(right[b : b + 70], 0.6, start=b),
            look=None,
            best=3,
            triangle=False,
        )
        for a in range(0, 150, 50)
        for b in range(0, 150, 70)
    ]
    for order in (tiles, tiles[::-1]):
        rows, columns = np.full((150, 3), EMPTY), np.full((150, 3), EMPTY)
        for tile in order:
            kernel.merge(tile, rows, columns)
        pairs = kernel.pairs_of(rows, columns)
        assert pairs.tolist() == ((whole.left.astype(np.int64) << 32) | whole.right).tolist()


def test_hamming_of_listed_pairs() -> None:
    left, right = random_words(9, 16, 9), random_words(9, 16, 10)
    a, b = np.array([0, 8, 3], np.int32), np.array([8, 8, 0], np.int32)
    assert kernel.hamming(left, right, a, b).tolist() == distances(left, right)[a, b].tolist()
