"""Compare every row of one tile with every row of another, at the machine's speed.

- A pair survives a match key where `hamming * 65536 <= cut[left] + cut[right]`. A constant cut
  gives `saul-v1`; a cut proportional to the number of bits set gives `clk-v1`, since
  Dice >= t is the same as hamming <= (1 - t)(|a| + |b|). All arithmetic is in integers.
- A row without an encoding has the cut `ABSENT` and never survives.
- A tile cannot overflow: of its survivors it keeps the best `best` of each row and column.
- "Best" is a total order (distance, then row number), so tiles may be computed and merged in
  any order, on any number of threads, with the same answer.
- Without a first look: left rows in blocks of 64, word-major and aligned to a cache line, so that
  one word of a right row meets 64 left rows in eight 512-bit registers (`popcount`).
- With one: left rows in slices of 512 and their leading quintets as tables that stay in the
  processor's cache while chunks of right rows pass by (`sliced`). The pairs within the look's
  limit are first collected, then compared in full, so that the processor's guesses hold in either
  loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.matching.looks import QUINTETS, STEP, Look
from linkage.matching.popcount import BLOCK, CUT_SCALE, LANES, apart, lowest, popcount, within
from linkage.matching.sliced import (
    ENTRIES,
    PLANES,
    SLICE,
    aligned,
    counters_at,
    fill_tables,
    look_at,
)

ABSENT = -(1 << 60)
EMPTY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_CHUNK = 512
_AT_ONCE = 2

Words = npt.NDArray[np.uint64]
Cuts = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


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
        look: words compared first; the rest only for pairs within its limit. The words of an
            encoding are then a multiple of eight. None: all words at once.
        triangle: left and right come from one upload: only pairs with left < right.
    """
    rows = len(left.words)
    row_best = np.full((rows, best), EMPTY)
    column_best = np.full((len(right.words), best), EMPTY)
    tile = (left.start, right.start, triangle, row_best, column_best)
    there = (_at_cache_line(right.words), right.cut, right.size)
    if look is None:
        blocks = pack(left.words)
        padded = blocks.shape[0] * BLOCK
        cut, size = _padded(left.cut, padded, ABSENT), _padded(left.size, padded, 1)
        looked, survived = _scan(blocks, cut, size, *there, *tile)
    else:
        looked, survived = _scan_looking(
            _at_cache_line(left.words),
            left.cut,
            left.size,
            *there,
            *tile,
            counters_at(look.limit),
            aligned(look.words, QUINTETS, ENTRIES, SLICE // 64),
            aligned(_CHUNK, PLANES, SLICE // 64),
        )
    compared = _compared(left, right, triangle)
    return Survivors(
        *_gather(row_best, column_best, left.start, right.start),
        compared=compared,
        looked=int(looked) if look else compared,
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
                rank = _rank(distances[lane], size[i] + right_size[j])
                _insert(row_best, i, rank | np.uint64(right_start + j))
                _insert(column_best, j, rank | np.uint64(left_start + i))
    return survived, survived


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _scan_looking(
    left: Any,
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
    fresh: Any,
    tables: Any,
    counters: Any,
) -> Any:
    looked = survived = 0
    leading = _leading(right, tables.shape[0])
    present = np.empty(SLICE // 64, np.uint64)
    passed = np.empty(SLICE * _CHUNK + _AT_ONCE, np.int64)
    distances = np.empty(SLICE * _CHUNK, np.int64)
    for first in range(0, left.shape[0], SLICE):
        fill_tables(left[first : first + SLICE], tables)
        _presence(cut[first : first + SLICE], present)
        for start in range(0, right.shape[0], _CHUNK):
            count = min(_CHUNK, right.shape[0] - start)
            _look(leading, start, count, fresh, tables, counters)
            hits = _passed(right_cut, start, count, counters, present, passed)
            if triangle:
                hits = _above(passed, hits, left_start + first, right_start + start)
            looked += hits
            hits = _within_cut(left, cut, first, right, right_cut, start, passed, hits, distances)
            survived += hits
            for n in range(hits):
                i, j = first + (passed[n] & (SLICE - 1)), start + passed[n] // SLICE
                rank = _rank(distances[n], size[i] + right_size[j])
                _insert(row_best, i, rank | np.uint64(right_start + j))
                _insert(column_best, j, rank | np.uint64(left_start + i))
    return looked, survived


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _leading(right: Any, words: int) -> Any:
    """The words that are looked at, as (words / STEP, rows, STEP): read from front to back."""
    out = np.empty((words // STEP, right.shape[0], STEP), np.uint64)
    for j in range(right.shape[0]):
        for word in range(words):
            out[word // STEP, j, word % STEP] = right[j, word]
    return out


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _look(leading: Any, start: int, count: int, fresh: Any, tables: Any, counters: Any) -> None:
    """Count, for each right row of a chunk, the leading quintets that differ from a slice's."""
    table, each = STEP * QUINTETS * ENTRIES * SLICE // 64, PLANES * SLICE // 64
    rows = leading.shape[1]
    for j in range(count):
        look_at(tables, 0, leading, (start + j) * STEP, fresh, 0, counters, j * each)
    for part in range(1, leading.shape[0]):
        for j in range(count):
            at, own = (part * rows + start + j) * STEP, j * each
            look_at(tables, part * table, leading, at, counters, own, counters, own)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _passed(
    right_cut: Any, start: int, count: int, counters: Any, present: Any, passed: Any
) -> int:
    """List the pairs whose counters did not run over, as right row in chunk * SLICE + left."""
    hits = 0
    for j in range(count):
        if right_cut[start + j] == ABSENT:
            continue
        for part in range(SLICE // 64):
            mask = ~counters[j, PLANES - 1, part] & present[part]
            found = np.int64(popcount(mask))
            first = j * SLICE + part * 64
            # How many there are cannot be guessed, so the first few are written in any case: what
            # is there too many is written over.
            for place in range(_AT_ONCE):
                passed[hits + place] = first + np.int64(lowest(mask))
                mask &= mask - np.uint64(1)
            for place in range(_AT_ONCE, found):
                passed[hits + place] = first + np.int64(lowest(mask))
                mask &= mask - np.uint64(1)
            hits += found
    return hits


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _above(passed: Any, hits: int, left: int, right: int) -> int:
    """Keep the pairs with left < right."""
    kept = 0
    for n in range(hits):
        if left + (passed[n] & (SLICE - 1)) < right + passed[n] // SLICE:
            passed[kept] = passed[n]
            kept += 1
    return kept


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _within_cut(
    left: Any,
    cut: Any,
    first: int,
    right: Any,
    right_cut: Any,
    start: int,
    passed: Any,
    hits: int,
    distances: Any,
) -> int:
    """Keep the pairs within the cut, with their distances."""
    kept = 0
    width = left.shape[1]
    for n in range(hits):
        i, j = first + (passed[n] & (SLICE - 1)), start + passed[n] // SLICE
        distance = apart(left, i * width, right, j * width, width)
        if (distance << CUT_SCALE) <= cut[i] + right_cut[j]:
            passed[kept] = passed[n]
            distances[kept] = distance
            kept += 1
    return kept


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _presence(cut: Any, present: Any) -> None:
    """Bit i: row i has an encoding."""
    present[:] = 0
    for i in range(cut.shape[0]):
        if cut[i] != ABSENT:
            present[i >> 6] |= np.uint64(1) << np.uint64(i & 63)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _rank(distance: Any, size: Any) -> Any:
    return np.uint64((distance << CUT_SCALE) // max(size, 1)) << np.uint64(32)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _insert(best: Any, row: Any, value: Any) -> None:
    place = best.shape[1] - 1
    if value >= best[row, place]:
        return
    while place > 0 and best[row, place - 1] > value:
        best[row, place] = best[row, place - 1]
        place -= 1
    best[row, place] = value


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _merge(left: Any, right: Any, rank: Any, row_best: Any, column_best: Any) -> None:
    for n in range(left.shape[0]):
        high = np.uint64(rank[n]) << np.uint64(32)
        _insert(row_best, left[n], high | np.uint64(right[n]))
        _insert(column_best, right[n], high | np.uint64(left[n]))


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
