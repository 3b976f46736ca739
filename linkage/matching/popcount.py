"""The processor's population count, one word or 64 rows at a time, for compiled code.

- Written out as LLVM vectors of eight words, so that speed does not depend on what the optimiser
  recognises: one 512-bit instruction where the processor has VPOPCNTDQ, otherwise what LLVM
  makes of it (AVX2, NEON).
- To be called from `numba` functions only.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
BLOCK = 64
CUT_SCALE = 16
_VECTORS = BLOCK // LANES


@intrinsic  # type: ignore[untyped-decorator]
def popcount(_context: Any, value: Any) -> Any:
    """The hardware's population count of one word."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(value), generate


@intrinsic  # type: ignore[untyped-decorator]
def lowest(_context: Any, value: Any) -> Any:
    """The number of the lowest bit set in a word; 64 in 0."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(value), generate


@intrinsic  # type: ignore[untyped-decorator]
def apart(_context: Any, one: Any, start: Any, other: Any, begin: Any, words: Any) -> Any:
    """Hamming distance of two rows of so many words, a multiple of eight.

    Each array goes with the number of the word where its row begins: a row as an argument would
    cost more than the distance.
    """

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, vector = ir.IntType(64), ir.VectorType(ir.IntType(64), LANES)
        count, add = (
            cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}i64")
            for kind, name in (
                (ir.FunctionType(vector, [vector]), "ctpop"),
                (ir.FunctionType(word, [vector]), "vector.reduce.add"),
            )
        )
        rows = [
            builder.bitcast(
                builder.gep(
                    cgutils.create_struct_proxy(signature.args[at])(
                        target, builder, arguments[at]
                    ).data,
                    [arguments[at + 1]],
                ),
                vector.as_pointer(),
            )
            for at in (0, 2)
        ]
        total = cgutils.alloca_once(builder, vector)
        builder.store(ir.Constant(vector, [0] * LANES), total)

        def compare(first: Any, vectors: int) -> None:
            sums = []
            for place in range(vectors):
                at = builder.add(first, ir.Constant(word, place))
                a, b = (builder.load(builder.gep(row, [at]), align=8) for row in rows)
                sums.append(builder.call(count, [builder.xor(a, b)]))
            while len(sums) > 1:
                sums = [builder.add(a, b) for a, b in zip(sums[::2], sums[1::2], strict=True)]
            builder.store(builder.add(builder.load(total), sums[0]), total)

        # For 2,048 bits without a loop: it would cost a quarter of the time.
        vectors = builder.udiv(arguments[4], ir.Constant(word, LANES))
        usual = builder.icmp_unsigned("==", vectors, ir.Constant(word, 4))
        with builder.if_else(usual, likely=True) as (four, more):
            with four:
                compare(ir.Constant(word, 0), 4)
            with more, cgutils.for_range(builder, vectors, intp=word) as loop:
                compare(loop.index, 1)
        return builder.call(add, [builder.load(total)])

    return types.int64(one, types.int64, other, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def within(
    _context: Any, block: Any, row: Any, words: Any, cuts: Any, cut: Any, distances: Any
) -> Any:
    """Distances of one right row to a block's 64 left rows; bit i of the result: within cut."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, vector = ir.IntType(64), ir.VectorType(ir.IntType(64), LANES)
        count = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector]), f"llvm.ctpop.v{LANES}i64"
        )

        def data(position: int) -> Any:
            kind = signature.args[position]
            return cgutils.create_struct_proxy(kind)(target, builder, arguments[position]).data

        def lanes(base: Any, index: Any) -> Any:
            return builder.bitcast(builder.gep(base, [index]), vector.as_pointer())

        def splat(value: Any) -> Any:
            blank = ir.Constant(vector, ir.Undefined)
            one = builder.insert_element(blank, value, ir.Constant(ir.IntType(32), 0))
            order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            return builder.shuffle_vector(one, blank, order)

        left, right, limits, out = data(0), data(1), data(3), data(5)
        sums = [cgutils.alloca_once(builder, vector) for _ in range(_VECTORS)]
        for total in sums:
            builder.store(ir.Constant(vector, [0] * LANES), total)
        with cgutils.for_range(builder, arguments[2], intp=word) as loop:
            one = splat(builder.load(builder.gep(right, [loop.index])))
            base = builder.mul(loop.index, ir.Constant(word, BLOCK))
            for place, total in enumerate(sums):
                at = builder.add(base, ir.Constant(word, place * LANES))
                differ = builder.xor(builder.load(lanes(left, at), align=8), one)
                more = builder.add(builder.load(total), builder.call(count, [differ]))
                builder.store(more, total)
        own = splat(arguments[4])
        mask = ir.Constant(word, 0)
        for place, total in enumerate(sums):
            at = ir.Constant(word, place * LANES)
            distance = builder.load(total)
            limit = builder.add(builder.load(lanes(limits, at), align=8), own)
            scaled = builder.shl(distance, ir.Constant(vector, [CUT_SCALE] * LANES))
            hit = builder.bitcast(builder.icmp_signed("<=", scaled, limit), ir.IntType(LANES))
            mask = builder.or_(mask, builder.shl(builder.zext(hit, word), at))
            builder.store(distance, lanes(out, at), align=8)
        return mask

    return types.uint64(block, row, types.int64, cuts, types.int64, distances), generate
