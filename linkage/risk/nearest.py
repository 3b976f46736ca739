"""The nearest rows of each row, by Hamming distance over whole encodings, on every core.

- Exact. Of equally near rows the first are kept, so the four nearest are the first of the twenty
  nearest.
- Rows go through the cache in tiles, four distances at a time, which the compiler turns into vector
  instructions. Time is quadratic in rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from linkage.risk.threads import in_parts

if TYPE_CHECKING:
    from linkage.risk.view import Rows, Words

_PART = 512
_TILE = 64
_COLUMNS = 512
_TOGETHER = 4
_FAR = 1 << 30


def nearest(words: Words, count: int) -> tuple[Rows, Rows]:
    """Distances and numbers of the nearest other rows, nearest first.

    Returns:
        (rows, count) int64 each.
    """
    rows, width = words.shape
    flat = np.zeros((rows + _TOGETHER) * width, np.uint64)
    flat[: words.size] = words.reshape(-1)
    distances = np.full((rows, count), _FAR, np.int64)
    which = np.zeros((rows, count), np.int64)
    in_parts(
        rows,
        _PART,
        lambda start, stop: _nearest(flat, width, rows, start, stop, distances, which),
    )
    return distances, which


@intrinsic  # type: ignore[untyped-decorator]
def _ones(_context: Any, value: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64)])
        count = cgutils.get_or_insert_function(builder.module, kind, "llvm.ctpop.i64")
        return builder.call(count, arguments)

    return types.int64(types.uint64), generate


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _apart(flat: Any, words: Any, row: Any, first: Any, others: Any, out: Any) -> None:
    """Distances of a row to so many others; `flat` goes on for four rows after the last."""
    at = np.uint64(row) * words
    for other in range(0, others, _TOGETHER):
        a = np.uint64(first + other) * words
        b, c, d = a + words, a + words + words, a + words + words + words
        p = q = r = s = np.int64(0)
        for w in range(words):
            x = flat[at + w]
            p += _ones(x ^ flat[a + w])
            q += _ones(x ^ flat[b + w])
            r += _ones(x ^ flat[c + w])
            s += _ones(x ^ flat[d + w])
        out[other], out[other + 1], out[other + 2], out[other + 3] = p, q, r, s


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _nearest(
    flat: Any, width: Any, rows: Any, start: Any, stop: Any, distances: Any, which: Any
) -> None:
    words, last = np.uint64(width), distances.shape[1] - 1
    found = np.empty(_COLUMNS, np.int64)
    for top in range(start, stop, _TILE):
        for left in range(0, rows, _COLUMNS):
            others = min(_COLUMNS, rows - left)
            for i in range(top, min(top + _TILE, stop)):
                _apart(flat, words, i, left, others, found)
                for j in range(left, left + others):
                    distance = found[j - left]
                    if distance >= distances[i, last] or i == j:
                        continue
                    place = last
                    while place > 0 and distances[i, place - 1] > distance:
                        distances[i, place] = distances[i, place - 1]
                        which[i, place] = which[i, place - 1]
                        place -= 1
                    distances[i, place], which[i, place] = distance, j
