"""Scan a tile by first looks: count quintets for all of its pairs, compare the few that pass.

- Left rows in slices of 512, right rows in chunks of 512; a slice's tables stay in the processor's
  cache while a chunk passes by (`sliced`).
- The pairs within the look's limit are first collected, then compared in full, so that the
  processor's guesses hold in either loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.matching.bests import insert, rank_of
from linkage.matching.looks import QUINTETS, STEP, Look
from linkage.matching.popcount import CUT_SCALE, apart, lowest, popcount
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
_CHUNK = 512
_AT_ONCE = 2
_SAMPLE = 64

Words = npt.NDArray[np.uint64]


def scan_looking(
    look: Look,
    left: Any,
    cut: Any,
    size: Any,
    right: Any,
    right_cut: Any,
    right_size: Any,
    *tile: Any,
) -> tuple[int, int]:
    """Scan a tile by a first look; see `kernel.scan`.

    Args:
        left, right: (rows, words), aligned to a cache line; cut and size of each row.
        tile: first row on either side, whether they are one file, and the best so far.

    Returns:
        Pairs that passed the look, and of those the pairs within the cut.
    """
    looked, survived = _scan_looking(
        left,
        cut,
        size,
        right,
        right_cut,
        right_size,
        *tile,
        counters_at(look.limit),
        aligned(look.words, QUINTETS, ENTRIES, SLICE // 64),
        aligned(_CHUNK, PLANES, SLICE // 64),
    )
    return int(looked), int(survived)


def share_passing(look: Look, left: Words, right: Words) -> float:
    """The share of pairs that pass a look, among a sample of a tile of 512 rows and more."""
    tables = aligned(look.words, QUINTETS, ENTRIES, SLICE // 64)
    counters = aligned(_SAMPLE, PLANES, SLICE // 64)
    fill_tables(np.ascontiguousarray(left[:SLICE]), tables)
    sample = np.ascontiguousarray(right[:: len(right) // _SAMPLE][:_SAMPLE])
    _look(_leading(sample, look.words), 0, _SAMPLE, counters_at(look.limit), tables, counters)
    return 1 - float(np.bitwise_count(counters[:, PLANES - 1]).mean()) / 64


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
                rank = rank_of(distances[n], size[i] + right_size[j])
                insert(row_best, i, rank | np.uint64(right_start + j))
                insert(column_best, j, rank | np.uint64(left_start + i))
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
) -> Any:
    """List the pairs whose counters did not run over, as right row in chunk * SLICE + left."""
    hits = 0
    for j in range(count):
        if right_cut[start + j] == ABSENT:
            continue
        for part in range(SLICE // 64):
            mask = ~counters[j, PLANES - 1, part] & present[part]
            found: Any = np.int64(popcount(mask))
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
