"""Compare every row of one tile with every row of another, at the machine's speed.

- A pair survives a match key where `hamming * 65536 <= cut[left] + cut[right]`. A constant cut
  gives `saul-v1`; a cut proportional to the number of bits set gives `clk-v1`, since
  Dice >= t is the same as hamming <= (1 - t)(|a| + |b|). All arithmetic is in integers.
- A row without an encoding has the cut `ABSENT` and never survives.
- A tile cannot overflow: of its survivors it keeps the best `best` of each row and column.
- "Best" is a total order (distance, then row number): see `bests`.
- Without a first look: left rows in blocks of 64, word-major and aligned to a cache line, so that
  one word of a right row meets 64 left rows in eight 512-bit registers (`popcount`).
- With one: see `looking`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.matching.bests import (
    EMPTY,
    Rows,
    Words,
    distinct,
    gather,
    insert,
    merge_into,
    pairs_of,
    rank_of,
)
from linkage.matching.looking import ABSENT, scan_looking, share_passing
from linkage.matching.looks import Look, lossless_look, pays
from linkage.matching.popcount import BLOCK, CUT_SCALE, LANES, lowest, popcount, within
from linkage.matching.sliced import SLICE, aligned

Cuts = npt.NDArray[np.int64]

__all__ = [
    "ABSENT",
    "EMPTY",
    "Cuts",
    "Rows",
    "Side",
    "Survivors",
    "Words",
    "distinct",
    "hamming",
    "merge",
    "ones",
    "pairs_of",
    "scan",
]


@dataclass(frozen=True)
class Side:
    """One side's rows of one match key, within one tile.

    Attributes:
        words: (rows, words) encodings.
        cut: (rows,) cut, `ABSENT` for rows without an encoding.
        size: (rows,) share of the pair's size: distances rank by hamming / (size + size).
        start: number of the first row in its upload.
    """

    words: Words
    cut: Cuts
    size: Cuts
    start: int


@dataclass(frozen=True)
class Survivors:
    """What a tile found: pairs by row number in their uploads, sorted by (left, right).

    Attributes:
        rank: hamming * 65536 / (size + size), the order in which pairs are preferred.
        compared: pairs with an encoding on both sides.
        looked: pairs that passed the first look.
        survived: pairs within the cut, of which the best are here.
    """

    left: Rows
    right: Rows
    rank: Rows
    compared: int
    looked: int
    survived: int


def scan(left: Side, right: Side, *, look: Look | None, best: int, triangle: bool) -> Survivors:
    """All pairs of a tile within the cut, at most `best` per row and column.

    Args:
        look: words looked at first; the rest only of pairs within its limit. The words of an
            encoding are then a multiple of eight. None: nothing may be lost; where a look that no
            pair within the cut can fail is cheaper than all words at once, it is taken.
        triangle: left and right come from one upload: only pairs with left < right.
    """
    rows = len(left.words)
    row_best = np.full((rows, best), EMPTY)
    column_best = np.full((len(right.words), best), EMPTY)
    tile = (left.start, right.start, triangle, row_best, column_best)
    there = (_at_cache_line(right.words), right.cut, right.size)
    taken = look or _lossless(left, right)
    if taken is None:
        blocks = pack(left.words)
        padded = blocks.shape[0] * BLOCK
        cut, size = _padded(left.cut, padded, ABSENT), _padded(left.size, padded, 1)
        looked, survived = _scan(blocks, cut, size, *there, *tile)
    else:
        here = (_at_cache_line(left.words), left.cut, left.size)
        looked, survived = scan_looking(taken, *here, *there, *tile)
    compared = _compared(left, right, triangle)
    return Survivors(
        *gather(row_best, column_best, left.start, right.start),
        compared=compared,
        looked=int(looked) if look else compared,
        survived=int(survived),
    )


def _lossless(left: Side, right: Side) -> Look | None:
    """A first look without loss, where a sample of the tile says that it pays."""
    if min(len(left.words), len(right.words)) < SLICE:
        return None
    bits = 64 * left.words.shape[1]
    look = lossless_look(bits, int(left.cut.max() + right.cut.max()) >> CUT_SCALE)
    if look is None or not pays(look, bits, share_passing(look, left.words, right.words)):
        return None
    return look


def pack(words: Words) -> Words:
    """Rows as (blocks, words, 64), aligned to a cache line, the last block padded with zeros."""
    rows, width = words.shape
    count = -(-rows // BLOCK)
    raw = np.zeros(count * width * BLOCK + LANES, np.uint64)
    offset = (-raw.ctypes.data % 64) // 8
    blocks = raw[offset : offset + count * width * BLOCK].reshape(count, width, BLOCK)
    for block in range(count):
        part = words[block * BLOCK : (block + 1) * BLOCK]
        blocks[block, :, : len(part)] = part.T
    return blocks


def hamming(left: Words, right: Words, rows_left: Rows, rows_right: Rows) -> Rows:
    """Hamming distance of each listed pair of rows."""
    out = np.empty(len(rows_left), np.int32)
    _hamming(
        np.asarray(left, dtype=np.uint64),
        np.asarray(right, dtype=np.uint64),
        rows_left,
        rows_right,
        out,
    )
    return out


def ones(words: Words) -> Cuts:
    """Number of bits set in each row."""
    out = np.empty(len(words), np.int64)
    _ones(np.asarray(words, dtype=np.uint64), out)
    return out


def merge(found: Survivors, row_best: Words, column_best: Words) -> None:
    """Fold a tile's survivors into the best of every row and column, in place."""
    merge_into(found.left, found.right, found.rank, row_best, column_best)


def _at_cache_line(words: Words) -> Words:
    """The rows, contiguous and aligned; as uploads are, so that nothing is copied."""
    plain = np.ascontiguousarray(words, dtype=np.uint64)
    if plain.ctypes.data % 64 == 0:
        return plain
    out = aligned(*plain.shape)
    out[:] = plain
    return out


def _padded(values: Cuts, size: int, fill: int) -> Cuts:
    out = np.full(size, fill, np.int64)
    out[: len(values)] = values
    return out


def _compared(left: Side, right: Side, triangle: bool) -> int:
    here = np.flatnonzero(left.cut > ABSENT) + left.start
    there = np.flatnonzero(right.cut > ABSENT) + right.start
    if not triangle:
        return len(here) * len(there)
    return int((len(there) - np.searchsorted(there, here, side="right")).sum())


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _scan(
    blocks: Any,
    cut: Any,
    size: Any,
    right: Any,
    right_cut: Any,
    right_size: Any,
    left_start: int,
    right_start: int,
    triangle: bool,
    row_best: Any,
    column_best: Any,
) -> Any:
    survived = 0
    width = blocks.shape[1]
    distances = np.empty(BLOCK, np.int64)
    for number in range(blocks.shape[0]):
        block = blocks[number]
        first = number * BLOCK
        limits = cut[first : first + BLOCK]
        for j in range(right.shape[0]):
            if right_cut[j] == ABSENT:
                continue
            mask = within(block, right[j], width, limits, right_cut[j], distances)
            while mask:
                lane = lowest(mask)
                mask &= mask - np.uint64(1)
                i = first + np.int64(lane)
                if triangle and left_start + i >= right_start + j:
                    continue
                survived += 1
                rank = rank_of(distances[lane], size[i] + right_size[j])
                insert(row_best, i, rank | np.uint64(right_start + j))
                insert(column_best, j, rank | np.uint64(left_start + i))
    return survived, survived


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _hamming(left: Any, right: Any, rows_left: Any, rows_right: Any, out: Any) -> None:
    for n in range(out.shape[0]):
        a, b = rows_left[n], rows_right[n]
        total = np.int64(0)
        for word in range(left.shape[1]):
            total += np.int64(popcount(left[a, word] ^ right[b, word]))
        out[n] = total


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _ones(words: Any, out: Any) -> None:
    for n in range(out.shape[0]):
        total = np.int64(0)
        for word in range(words.shape[1]):
            total += np.int64(popcount(words[n, word]))
        out[n] = total
