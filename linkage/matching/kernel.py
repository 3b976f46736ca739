"""Compare every row of one tile with every row of another, at the machine's speed.

- A pair survives a match key where `hamming * 65536 <= cut[left] + cut[right]`. A constant cut
  gives `saul-v1`; a cut proportional to the number of bits set gives `clk-v1`, since
  Dice >= t is the same as hamming <= (1 - t)(|a| + |b|). All arithmetic is in integers.
- A row without an encoding has the cut `ABSENT` and never survives.
- A tile cannot overflow: of its survivors it keeps the best `best` of each row and column.
- "Best" is a total order (distance, then row number), so tiles may be computed and merged in
  any order, on any number of threads, with the same answer.
- Layout: left rows in blocks of 64, word-major and aligned to a cache line, so that one word of
  a right row meets 64 left rows in eight 512-bit registers. The vector code is written out as
  LLVM vectors, and does not depend on what the optimiser recognises; on a machine with narrower
  registers LLVM splits them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.matching.popcount import BLOCK, CUT_SCALE, LANES, popcount, within

ABSENT = -(1 << 60)
EMPTY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)

Words = npt.NDArray[np.uint64]
Cuts = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """One side's rows of one match key, within one tile.

    Attributes:
        words: (rows, words) encodings.
        look: (rows,) cut for the first look, `ABSENT` for rows without an encoding.
        cut: (rows,) cut for the whole encoding, `ABSENT` likewise.
        size: (rows,) share of the pair's size: distances rank by hamming / (size + size).
        start: number of the first row in its upload.
    """

    words: Words
    look: Cuts
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


def scan(left: Side, right: Side, *, look_words: int, best: int, triangle: bool) -> Survivors:
    """All pairs of a tile within the cut, at most `best` per row and column.

    Args:
        look_words: words compared first; the rest only for pairs within the look cut.
        triangle: left and right come from one upload: only pairs with left < right.
    """
    rows, words = left.words.shape
    blocks = pack(left.words)
    padded = blocks.shape[0] * BLOCK
    look, cut, size = (
        _padded(values, padded, fill)
        for values, fill in ((left.look, ABSENT), (left.cut, ABSENT), (left.size, 1))
    )
    row_best = np.full((padded, best), EMPTY)
    column_best = np.full((len(right.words), best), EMPTY)
    looked, survived = _scan(
        blocks,
        look,
        cut,
        size,
        np.ascontiguousarray(right.words, dtype=np.uint64),
        right.look,
        right.cut,
        right.size,
        min(look_words, words),
        left.start,
        right.start,
        triangle,
        row_best,
        column_best,
    )
    compared = _compared(left, right, triangle)
    return Survivors(
        *_gather(row_best[:rows], column_best, left.start, right.start),
        compared=compared,
        looked=int(looked),
        survived=int(survived),
    )


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
    _merge(found.left, found.right, found.rank, row_best, column_best)


def pairs_of(row_best: Words, column_best: Words) -> npt.NDArray[np.int64]:
    """Sorted `left << 32 | right` of every pair among a row's or a column's best."""
    row, slot = np.nonzero(row_best != EMPTY)
    by_row = (row << 32) | _index(row_best[row, slot])
    column, slot = np.nonzero(column_best != EMPTY)
    by_column = (_index(column_best[column, slot]) << 32) | column
    return distinct(np.concatenate([by_row, by_column]))


def distinct(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The distinct values, sorted.

    By sorting: numpy's hash table takes a hundred times as long on packed row numbers.
    """
    ordered = np.sort(values)
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def _index(packed: Words) -> npt.NDArray[np.int64]:
    return (packed & np.uint64(0xFFFF_FFFF)).astype(np.int64)


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


def _gather(
    row_best: Words, column_best: Words, left_start: int, right_start: int
) -> tuple[Rows, Rows, Rows]:
    row, slot = np.nonzero(row_best != EMPTY)
    column, place = np.nonzero(column_best != EMPTY)
    by_row, by_column = row_best[row, slot], column_best[column, place]
    left = np.concatenate([row + left_start, _index(by_column)])
    right = np.concatenate([_index(by_row), column + right_start])
    rank = np.concatenate([by_row, by_column]) >> np.uint64(32)
    _, first = np.unique((left << 32) | right, return_index=True)
    return (
        left[first].astype(np.int32),
        right[first].astype(np.int32),
        rank[first].astype(np.int32),
    )


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _scan(
    blocks: Any,
    look: Any,
    cut: Any,
    size: Any,
    right: Any,
    right_look: Any,
    right_cut: Any,
    right_size: Any,
    look_words: int,
    left_start: int,
    right_start: int,
    triangle: bool,
    row_best: Any,
    column_best: Any,
) -> Any:
    looked = survived = 0
    width = blocks.shape[1]
    distances = np.empty(BLOCK, np.int64)
    for number in range(blocks.shape[0]):
        block = blocks[number]
        first = number * BLOCK
        limits = look[first : first + BLOCK]
        for j in range(right.shape[0]):
            if right_cut[j] == ABSENT:
                continue
            mask = within(block, right[j], look_words, limits, right_look[j], distances)
            if mask == 0:
                continue
            for lane in range(BLOCK):
                if (mask >> np.uint64(lane)) & np.uint64(1) == 0:
                    continue
                i = first + lane
                if triangle and left_start + i >= right_start + j:
                    continue
                looked += 1
                distance = distances[lane]
                for word in range(look_words, width):
                    distance += np.int64(popcount(block[word, lane] ^ right[j, word]))
                if (distance << CUT_SCALE) > cut[i] + right_cut[j]:
                    continue
                survived += 1
                rank = np.uint64((distance << CUT_SCALE) // max(size[i] + right_size[j], 1))
                high = rank << np.uint64(32)
                _insert(row_best[i], high | np.uint64(right_start + j))
                _insert(column_best[j], high | np.uint64(left_start + i))
    return looked, survived


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _insert(best: Any, value: Any) -> None:
    place = best.shape[0] - 1
    if value >= best[place]:
        return
    while place > 0 and best[place - 1] > value:
        best[place] = best[place - 1]
        place -= 1
    best[place] = value


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _merge(left: Any, right: Any, rank: Any, row_best: Any, column_best: Any) -> None:
    for n in range(left.shape[0]):
        high = np.uint64(rank[n]) << np.uint64(32)
        _insert(row_best[left[n]], high | np.uint64(right[n]))
        _insert(column_best[right[n]], high | np.uint64(left[n]))


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
