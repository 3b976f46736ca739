"""The best few pairs of every row and column, packed so that order does not matter.

- A pair is kept as `rank << 32 | other row`: smaller is better, and no two are equal, so pairs may
  come in any order, on any number of threads, with the same answer.
- To be called from `numba` functions: `rank_of` and `insert`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.matching.popcount import CUT_SCALE

EMPTY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int32]


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


def gather(
    row_best: Words, column_best: Words, left_start: int, right_start: int
) -> tuple[Rows, Rows, Rows]:
    """Left row, right row and rank of every pair among the best, sorted, each once."""
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


def _index(packed: Words) -> npt.NDArray[np.int64]:
    return (packed & np.uint64(0xFFFF_FFFF)).astype(np.int64)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def rank_of(distance: Any, size: Any) -> Any:
    """How a distance ranks, in the upper half of a word."""
    return np.uint64((distance << CUT_SCALE) // max(size, 1)) << np.uint64(32)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def insert(best: Any, row: Any, value: Any) -> None:
    """Keep a pair among the best of a row, if it is."""
    place = best.shape[1] - 1
    if value >= best[row, place]:
        return
    while place > 0 and best[row, place - 1] > value:
        best[row, place] = best[row, place - 1]
        place -= 1
    best[row, place] = value


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def merge_into(left: Any, right: Any, rank: Any, row_best: Any, column_best: Any) -> None:
    """Keep pairs among the best of their rows and columns, where they are."""
    for n in range(left.shape[0]):
        high = np.uint64(rank[n]) << np.uint64(32)
        insert(row_best, left[n], high | np.uint64(right[n]))
        insert(column_best, right[n], high | np.uint64(left[n]))
