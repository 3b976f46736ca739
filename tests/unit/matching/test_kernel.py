"""The kernel against the slow and obvious computation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from linkage.matching import kernel
from linkage.matching.kernel import ABSENT, EMPTY, Side, scan
from linkage.matching.popcount import CUT_SCALE


def side(words: npt.NDArray[np.uint64], cut: float, *, start: int = 0, dice: bool = False) -> Side:
    rows, width = words.shape
    size = kernel.ones(words) if dice else np.full(rows, width * 32, np.int64)
    cuts = size * int(cut * (1 << CUT_SCALE))
    return Side(words, cuts, cuts, size, start)


def random_words(rows: int, width: int, seed: int) -> npt.NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 2**64, (rows, width), np.uint64)


def distances(a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return np.bitwise_count(a[:, None, :] ^ b[None, :, :]).sum(axis=2, dtype=np.int64)


@pytest.mark.parametrize(("rows", "columns", "width"), [(1, 1, 8), (64, 7, 16), (130, 65, 32)])
def test_keeps_exactly_the_pairs_within_the_cut(rows: int, columns: int, width: int) -> None:
    left, right = random_words(rows, width, 1), random_words(columns, width, 2)
    right[0] = left[-1]
    found = scan(side(left, 0.48), side(right, 0.48), look_words=width, best=200, triangle=False)
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
        look_words=8,
        best=60,
        triangle=False,
    )
    expected = np.argwhere(2 * both / sizes >= 0.5)
    assert np.column_stack([found.left, found.right]).tolist() == expected.tolist()


def test_absent_rows_never_survive() -> None:
    words = np.zeros((70, 8), np.uint64)
    here = side(words, 0.5)
    absent = np.arange(70) % 2 == 1
    for cuts in (here.cut,):
        cuts[absent] = ABSENT
    found = scan(here, here, look_words=8, best=100, triangle=False)
    assert not np.isin(found.left, np.flatnonzero(absent)).any()
    assert not np.isin(found.right, np.flatnonzero(absent)).any()
    assert found.compared == 35 * 35 == found.survived


def test_a_tile_of_equal_rows_cannot_overflow() -> None:
    words = np.zeros((300, 8), np.uint64)
    found = scan(side(words, 0.1), side(words, 0.1), look_words=8, best=4, triangle=False)
    assert found.survived == 300 * 300
    assert len(found.left) <= 2 * 4 * 300
    assert found.right[found.left == 299].tolist()[:4] == [0, 1, 2, 3]


def test_triangle_gives_each_pair_once_and_no_row_with_itself() -> None:
    words = random_words(100, 8, 4)
    here, there = side(words[:60], 0.6), side(words[40:], 0.6, start=40)
    found = scan(here, there, look_words=8, best=100, triangle=True)
    assert (found.left < found.right).all()
    assert found.compared == sum(max(0, 99 - max(i, 39)) for i in range(60))


def test_first_look_only_drops_pairs_beyond_its_own_cut() -> None:
    left, right = random_words(128, 32, 5), random_words(128, 32, 6)
    right[:20] = left[:20]
    whole = scan(side(left, 0.49), side(right, 0.49), look_words=32, best=99, triangle=False)
    one, other = side(left, 0.49), side(right, 0.49)
    look = np.full(128, int(0.49 * 1024 * (1 << CUT_SCALE)) // 2, np.int64)
    one, other = Side(left, look, one.cut, one.size, 0), Side(right, look, other.cut, other.size, 0)
    looked = scan(one, other, look_words=16, best=99, triangle=False)
    half = np.bitwise_count(left[whole.left, :16] ^ right[whole.right, :16]).sum(axis=1)
    kept = half <= 0.49 * 1024
    assert looked.left.tolist() == whole.left[kept].tolist()
    assert looked.looked >= looked.survived


def test_merging_tiles_in_any_order_gives_the_best_of_the_whole() -> None:
    left, right = random_words(150, 8, 7), random_words(150, 8, 8)
    whole = scan(side(left, 0.6), side(right, 0.6), look_words=8, best=3, triangle=False)
    tiles = [
        scan(
            side(left[a : a + 50], 0.6, start=a),
            side(right[b : b + 70], 0.6, start=b),
            look_words=8,
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
