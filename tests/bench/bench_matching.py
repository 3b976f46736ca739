"""How many pairs per second the kernel compares, and how long a whole search takes.

python tests/bench/bench_matching.py [rows]
"""

from __future__ import annotations

import sys
import time

import numpy as np

from linkage.agreement.manifest import Matching, Saul
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.matching import LocalEngine, Source, find_candidates, link
from linkage.matching.engine import available_cores
from linkage.matching.kernel import Side, scan
from linkage.matching.popcount import CUT_SCALE


def kernel(bits: int, look_bits: int, *, rows: int = 8_192, z: float = 6.0) -> float:
    """Pairs compared per second on one core."""
    random = np.random.default_rng(bits)
    sides = []
    for _ in range(2):
        words = random.integers(0, 2**64, (rows, bits // 64), np.uint64)
        cut, look = (
            np.full(rows, int(b / 2 - f * (b / 4) ** 0.5) << (CUT_SCALE - 1))
            for b, f in ((bits, z), (look_bits, z if look_bits == bits else 2.8))
        )
        sides.append(Side(words, look, cut, np.full(rows, bits // 2), 0))
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        scan(*sides, look_words=look_bits // 64, best=8, triangle=False)
        best = min(best, time.perf_counter() - start)
    return rows * rows / best


def files(rows: int, keys: int = 8, bits: int = 2_048) -> list[Source]:
    """Two files of random encodings with half their people in common."""
    random = np.random.default_rng(1)
    layout = EncodingLayout("saul-v1", bits, tuple(f"k{n}" for n in range(keys)), rows, "0" * 64)
    words = random.integers(0, 2**64, (keys, rows, bits // 64), np.uint64)
    other = random.integers(0, 2**64, (keys, rows, bits // 64), np.uint64)
    half = rows // 2
    noise = [random.integers(0, 2**64, (keys, half, bits // 64), np.uint64) for _ in range(2)]
    other[:, :half] = words[:, :half] ^ (noise[0] & noise[1])
    presence = np.ones((keys, rows), np.bool_)
    handles = random.integers(0, 256, (rows, 16), np.uint8)
    return [
        Source(name, EncodingMatrix(layout, handles, presence, w), True)
        for name, w in (("left", words), ("right", other))
    ]


def main() -> None:
    print(f"{available_cores()} cores")
    for bits, look in ((1_024, 1_024), (2_048, 2_048), (2_048, 1_024)):
        rate = kernel(bits, look)
        print(f"kernel, 1 core, {bits} bits, first look {look}: {rate / 1e9:.2f} G pairs/s")
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    left, right = files(rows)
    for threads in sorted({1, available_cores()}):
        start = time.perf_counter()
        found = find_candidates(
            left, right, Saul(name="saul-v1"), quota=4, engine=LocalEngine(threads)
        )
        seconds = time.perf_counter() - start
        rate = found.compared / seconds / 1e9
        print(
            f"candidates, {threads} threads, {rows} x {rows}, 8 keys of 2048 bits:"
            f" {seconds:.1f} s, {rate:.2f} G pairs/s, {len(found.pairs)} kept"
        )
    start = time.perf_counter()
    linkage = link([left, right], Saul(name="saul-v1"), Matching())
    print(f"whole linkage: {time.perf_counter() - start:.1f} s, {linkage.report['recommended']}")


if __name__ == "__main__":
    main()
