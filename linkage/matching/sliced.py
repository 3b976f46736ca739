"""First looks: in which of 512 left rows do at most so many quintets differ from a right row's.

- A quintet is five bits of an encoding; it differs if at least three of its bits do. Looking at
  majorities costs a third of counting bits and tells two thirds as much (see `looks`).
- Bit-sliced: bit b of a 512-bit register belongs to left row b, so that one instruction works on
  512 pairs. Counters are bit-sliced too (nine registers count to 255 and then stay over).
- In the manner of the Four Russians: for every quintet of the left rows a table holds, for each of
  the 32 values it may have in a right row, in which left rows it differs. A right row picks entries
  by its own bits; carry-save adders (one VPTERNLOG for the sum, one for the carry) count them. No
  population count and no comparison at the end: a counter starts so high that "over the limit" is
  overflow.
- Written out as LLVM vectors; on a machine with narrower registers LLVM splits them.
- To be called from `numba` functions only, but for `aligned`.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from linkage.matching.looks import QUINTET, QUINTETS, STEP

SLICE = 512
PLANES = 9
ENTRIES = 1 << QUINTET

_WORD = ir.IntType(64)
_LANES = SLICE // 64
_VECTOR = ir.VectorType(_WORD, _LANES)
_FULL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_XOR3, _MAJORITY = 0x96, 0xE8


def aligned(*shape: int) -> npt.NDArray[np.uint64]:
    """Zeros that begin at a cache line, as `look_at` needs them."""
    size = int(np.prod(shape))
    raw = np.zeros(size + 8, np.uint64)
    offset = (-raw.ctypes.data % 64) // 8
    return raw[offset : offset + size].reshape(shape)


def counters_at(limit: int) -> npt.NDArray[np.uint64]:
    """(PLANES, 8) counters that overflow beyond `limit`."""
    start = (1 << (PLANES - 1)) - 1 - limit
    out = aligned(PLANES, _LANES)
    out[:] = [[_FULL * np.uint64(start >> plane & 1)] * _LANES for plane in range(PLANES)]
    return out


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def fill_tables(rows: Any, tables: Any) -> None:
    """Tables of up to 512 left rows: (words, QUINTETS, ENTRIES, 8) from (rows, words)."""
    planes = np.zeros((64, _LANES), np.uint64)
    square = np.zeros(64, np.uint64)
    for word in range(tables.shape[0]):
        for lane in range(_LANES):
            square[:] = 0
            for place in range(min(64, rows.shape[0] - 64 * lane)):
                square[place] = rows[64 * lane + place, word]
            _transpose(square)
            planes[:, lane] = square
        for number in range(QUINTETS):
            first = QUINTET * number
            for value in range(ENTRIES):
                for lane in range(_LANES):
                    a = planes[first, lane] ^ (_FULL * np.uint64(value & 1))
                    b = planes[first + 1, lane] ^ (_FULL * np.uint64(value >> 1 & 1))
                    c = planes[first + 2, lane] ^ (_FULL * np.uint64(value >> 2 & 1))
                    d = planes[first + 3, lane] ^ (_FULL * np.uint64(value >> 3 & 1))
                    e = planes[first + 4, lane] ^ (_FULL * np.uint64(value >> 4))
                    one, two = a ^ b ^ c, (a & b) | (c & (a | b))
                    # At least three of five: 2 * two + one + d + e >= 3.
                    tables[word, number, value, lane] = (two & (one | d | e)) | (one & d & e)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _transpose(square: Any) -> None:
    """Swap rows and columns of 64 x 64 bits (Warren, Hacker's Delight, 7-3)."""
    width = 32
    mask = np.uint64(0x0000_0000_FFFF_FFFF)
    while width:
        shift = np.uint64(width)
        for row in range(64):
            if row & width == 0:
                swap = ((square[row] >> shift) ^ square[row + width]) & mask
                square[row] ^= swap << shift
                square[row + width] ^= swap
        width >>= 1
        mask ^= mask << np.uint64(width)


@intrinsic  # type: ignore[untyped-decorator]
def look_at(
    _context: Any,
    tables: Any,
    table: Any,
    right: Any,
    word: Any,
    before: Any,
    old: Any,
    after: Any,
    new: Any,
) -> Any:
    """Count the quintets in which STEP words of a right row differ from the left rows'.

    `before` plus that count is `after`. Each array goes with the number of the word where its part
    begins: a part of an array as an argument would cost more than the count.
    """

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def part(position: int) -> Any:
            kind = signature.args[position]
            data = cgutils.create_struct_proxy(kind)(target, builder, arguments[position]).data
            return builder.gep(data, [arguments[position + 1]])

        def vectors(position: int) -> Any:
            return builder.bitcast(part(position), _VECTOR.as_pointer())

        def at(base: Any, index: Any) -> Any:
            return builder.load(builder.gep(base, [index]), align=64)

        entries, words, sources, targets = vectors(0), part(2), vectors(4), vectors(6)
        last = PLANES - 1
        over = [at(sources, _int(last))]
        waiting = [[at(sources, _int(plane))] for plane in range(last)]

        def add(plane: int, value: Any) -> None:
            if plane == last:
                over.append(builder.or_(over.pop(), value))
                return
            waiting[plane].append(value)
            if len(waiting[plane]) == 3:
                total, carry = _add_three(builder, *waiting[plane])
                waiting[plane][:] = [total]
                add(plane + 1, carry)

        for number in range(STEP):
            word = builder.load(builder.gep(words, [_int(number)]))
            for quintet in range(QUINTETS):
                start = _int((number * QUINTETS + quintet) * ENTRIES)
                value = builder.and_(builder.lshr(word, _int(QUINTET * quintet)), _int(ENTRIES - 1))
                add(0, at(entries, builder.add(start, value)))
        for plane in range(last):
            if len(waiting[plane]) == 2:
                one, other = waiting[plane]
                waiting[plane][:] = [builder.xor(one, other)]
                add(plane + 1, builder.and_(one, other))
            builder.store(waiting[plane][0], builder.gep(targets, [_int(plane)]), align=64)
        builder.store(over[0], builder.gep(targets, [_int(last)]), align=64)
        return target.get_dummy_value()

    place = types.int64
    signature = types.void(tables, place, right, place, before, place, after, place)
    return signature, generate


def _int(value: int) -> Any:
    return ir.Constant(_WORD, value)


def _add_three(builder: Any, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    """Sum and carry of three bit planes."""
    if not _TERNARY:
        both = builder.or_(builder.and_(a, b), builder.and_(c, builder.or_(a, b)))
        return builder.xor(builder.xor(a, b), c), both
    kind = ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR, _VECTOR, ir.IntType(32)])
    name = "llvm.x86.avx512.pternlog.q.512"
    ternary = cgutils.get_or_insert_function(builder.module, kind, name)
    total, carry = (
        builder.call(ternary, [a, b, c, ir.Constant(ir.IntType(32), table)])
        for table in (_XOR3, _MAJORITY)
    )
    return total, carry


_TERNARY = bool(llvm.get_host_cpu_features().get("avx512f"))
