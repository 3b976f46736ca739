"""Kernels on lists of token numbers.

- Compiled once and cached on disk; they release the interpreter lock.
- They see numbers only, never a value or a key.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def intern(
    codes: npt.NDArray[np.int64],
    start: int,
    slots: npt.NDArray[np.int64],
    slot_numbers: npt.NDArray[np.int32],
    known: int,
    numbers: npt.NDArray[np.int32],
    fresh: npt.NDArray[np.int64],
) -> tuple[int, int]:
    """Write the number of each code from `start` on; stop when `fresh` is full.

    Args:
        codes: not negative.
        slots: the table, a power of two long, -1 where free; never more than half full
            plus the length of `fresh`.
        slot_numbers: the number of the code in each slot.
        known: how many codes the table holds.
        numbers: output, as long as codes.
        fresh: output, the codes new to the table in the order met.

    Returns:
        How many codes are done in all, and how many of them are new.
    """
    mask = np.uint64(len(slots) - 1)
    found = 0
    for i in range(start, len(codes)):
        code = codes[i]
        mixed = np.uint64(code) * np.uint64(0x9E3779B97F4A7C15)
        place = (mixed ^ (mixed >> np.uint64(29))) & mask
        while slots[place] != code and slots[place] != -1:
            place = (place + np.uint64(1)) & mask
        if slots[place] == -1:
            if found == len(fresh):
                return i, found
            slots[place] = code
            slot_numbers[place] = known + found
            fresh[found] = code
            found += 1
        numbers[i] = slot_numbers[place]
    return len(codes), found


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def gather(
    codes: npt.NDArray[np.int32],
    bases: npt.NDArray[np.int64],
    repeats: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Lay out the tokens of each record, field after field.

    Args:
        codes: (fields, records) int32; a record's value in each field, negative where missing.
        bases: (fields,) where a field's first value stands in `offsets`.
        repeats: (fields,) how often each token of a field stands in the list.
        offsets: int64; value v of field f has the tokens
            numbers[offsets[bases[f] + v] : offsets[bases[f] + v + 1]].
        numbers: int32.

    Returns:
        (records + 1,) int64 bounds and the int32 tokens between them; a record that misses a
        field has none.
    """
    fields, records = codes.shape
    bounds = np.zeros(records + 1, np.int64)
    for record in range(records):
        count = 0
        for f in range(fields):
            if codes[f, record] < 0:
                count = 0
                break
            at = bases[f] + codes[f, record]
            count += repeats[f] * (offsets[at + 1] - offsets[at])
        bounds[record + 1] = bounds[record] + count
    tokens = np.empty(bounds[records], np.int32)
    for record in range(records):
        place = bounds[record]
        if place == bounds[record + 1]:
            continue
        for f in range(fields):
            at = bases[f] + codes[f, record]
            for _ in range(repeats[f]):
                for i in range(offsets[at], offsets[at + 1]):
                    tokens[place] = numbers[i]
                    place += 1
    return bounds, tokens


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def avoid_uniform(bounds: npt.NDArray[np.int64], out: npt.NDArray[np.uint64]) -> None:
    """Flip bit 0 of every encoding that is all zeros or all ones.

    Args:
        bounds: (records + 1,) as from `gather`; records without tokens are left alone.
        out: (records, words) uint64.
    """
    for record in range(len(out)):
        first = out[record, 0]
        if bounds[record] == bounds[record + 1] or (first != 0 and ~first != 0):
            continue
        uniform = True
        for w in range(out.shape[1]):
            uniform = uniform and out[record, w] == first
        if uniform:
            out[record, 0] = first ^ np.uint64(1)
