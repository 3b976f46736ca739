"""How fast answers become comparison vectors, and how long the model takes to learn from them.

    python tests/bench/bench_model.py [--pairs 5000000]

`compare_pairs_ps`: pairs of ten fields a second, one core. `em_5m_seconds`: the whole fit on five
million candidate pairs of two files of 1,250,000 made-up rows, half of whose people are in both.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import numpy as np

from linkage.agreement.fields import FieldType, IdentifierField
from linkage.agreement.manifest import Matching
from linkage.answers import Answers
from linkage.matching import Candidates, Pairs, score_pairs
from linkage.matching.comparison import ComparisonVectors
from linkage.matching.fieldwise import compare_fields
from linkage.matching.sources import Null

TYPES = ("given_name", "middle_name", "surname", "date_of_birth", "sex", "phone", "address")
FIELDS = tuple(
    IdentifierField(name=name, type=FieldType(name))
    for name in (*TYPES, "city", "postcode", "email")
)
MATCHING = Matching(
    dependent=(("surname", "phone", "address", "city", "postcode"),),
    swaps=(("given_name", "surname"), ("middle_name", "surname")),
)
PER_ROW = 4


def compared(pairs: int = 1_000_000) -> float:
    """Pairs compared a second, the best of three."""
    rng = np.random.default_rng(1)

    def side() -> Answers:
        shape = (pairs, len(FIELDS))
        words = rng.integers(0, 1 << 63, (*shape, 4), dtype=np.uint64)
        none = np.zeros(shape, np.bool_)
        return Answers(words, rng.random(shape) < 0.9, none, none.astype(np.uint8))

    left, right = side(), side()
    compare_fields(left.take(slice(0, 10)), right.take(slice(0, 10)), FIELDS, MATCHING)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        compare_fields(left, right, FIELDS, MATCHING)
        best = min(best, time.perf_counter() - start)
    return pairs / best


def learnt(pairs: int = 5_000_000) -> float:
    """Seconds of one fit."""
    rng = np.random.default_rng(2)
    rows = pairs // PER_ROW
    left = np.repeat(np.arange(rows, dtype=np.int32), PER_ROW)
    right = rng.integers(0, rows, pairs).astype(np.int32)
    match = (np.arange(pairs) % PER_ROW == 0) & (left < rows // 2)
    right[match] = left[match]
    decoys = np.stack([np.arange(100_000), rng.integers(0, rows, 100_000)]).astype(np.int32)
    kinds = compare_fields(_nothing(), _nothing(), FIELDS, MATCHING)
    vectors = replace(kinds, levels=_levels(kinds, match, rng))
    of_decoys = replace(kinds, levels=_levels(kinds, np.zeros(100_000, np.bool_), rng))

    def as_pairs(one: np.ndarray, other: np.ndarray) -> Pairs:
        return Pairs(one, other, np.zeros((len(one), 1), np.int16), np.zeros(len(one), np.float32))

    null = Null(np.ones(1), np.ones(1))
    found = Candidates(
        as_pairs(left, right), as_pairs(*decoys), null, 2048, PER_ROW, 0, 0, 0, 0, 0.0, 0, 0.0
    )
    start = time.perf_counter()
    score_pairs(
        found,
        vectors,
        of_decoys,
        rows_left=rows,
        rows_right=rows,
        unique_left=True,
        unique_right=True,
    )
    return time.perf_counter() - start


def _nothing() -> Answers:
    none = np.zeros((0, len(FIELDS)), np.bool_)
    return Answers(np.zeros((0, len(FIELDS), 4), np.uint64), none, none, none.astype(np.uint8))


def _levels(kinds: ComparisonVectors, match: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    levels = np.empty((len(match), len(kinds.dimensions)), np.uint8)
    for n, dimension in enumerate(kinds.dimensions):
        for of, share in ((match, dimension.m), (~match, dimension.u)):
            levels[of, n] = rng.choice(len(share), of.sum(), p=share)
        levels[rng.random(len(match)) < 0.1, n] = 255
    return levels


def measure() -> dict[str, float]:
    """Figures of one run; see `tests.bench`."""
    return {"compare_pairs_ps": compared(), "em_5m_seconds": learnt()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5_000_000)
    options = parser.parse_args()
    print(json.dumps({"compare_pairs_ps": compared(), "seconds": learnt(options.pairs)}, indent=1))


if __name__ == "__main__":
    main()
