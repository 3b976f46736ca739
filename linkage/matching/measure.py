"""Measure listed pairs on every match key, and draw the random pairs they are held against.

- Decoys are drawn from a seed made of the two uploads' layouts and partners: the same run gives
  the same decoys.
- Where there are no more pairs than decoys wanted, every pair is a decoy.
- `score_all` needs 16 bytes a pair, however many match keys; distances are kept of those chosen.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.matching import kernel
from linkage.matching.engine import Engine
from linkage.matching.sources import MISSING, Null, Pairs, Source

DECOYS = 100_000
_CHUNK = 1 << 17


@dataclass(frozen=True)
class Measure:
    """The task of measuring some pairs, given as `left << 32 | right`. Picklable."""

    left: Source
    right: Source
    dice: bool
    null: Null

    def __call__(self, packed: npt.NDArray[np.int64]) -> Pairs:
        return measure(self.left, self.right, *unpack(packed), dice=self.dice, null=self.null)


def score_all(task: Measure, packed: npt.NDArray[np.int64], engine: Engine) -> Pairs:
    """The pairs with their scores, without distances: (n, 0)."""
    score = np.empty(len(packed), np.float32)
    start = 0
    for part in engine.map(task, _chunks(packed)):
        score[start : start + len(part)] = part.score
        start += len(part)
    return Pairs(*unpack(packed), np.empty((len(packed), 0), np.int16), score)


def measure_all(task: Measure, pairs: Pairs, engine: Engine) -> Pairs:
    """The pairs with their distances and scores."""
    packed = pairs.left.astype(np.int64) << 32 | pairs.right
    keys = len(task.null.mean)
    distances = np.empty((len(packed), keys), np.int16)
    start = 0
    for part in engine.map(task, _chunks(packed)):
        distances[start : start + len(part)] = part.distances
        start += len(part)
    return Pairs(pairs.left, pairs.right, distances, pairs.score)


def _chunks(packed: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, len(packed), _CHUNK):
        yield packed[start : start + _CHUNK]


def draw_decoys(left: Source, right: Source, *, dice: bool, triangle: bool) -> Pairs:
    layouts = (left.matrix.layout, right.matrix.layout)
    text = "|".join([left.partner, right.partner, *(x.header.decode() for x in layouts)])
    seed = hashlib.sha256(b"linkage decoys" + text.encode()).digest()
    random = np.random.default_rng(int.from_bytes(seed, "big"))
    if left.rows * right.rows <= DECOYS:
        rows_left, rows_right = np.divmod(
            np.arange(left.rows * right.rows, dtype=np.int64), max(right.rows, 1)
        )
    else:
        rows_left = random.integers(0, left.rows, DECOYS)
        rows_right = random.integers(0, right.rows, DECOYS)
    if triangle:
        rows_left, rows_right = (
            np.minimum(rows_left, rows_right),
            np.maximum(rows_left, rows_right),
        )
    packed = (rows_left << 32) | rows_right
    if triangle:
        packed = packed[left.persons[rows_left] != left.persons[rows_right]]
    return measure(left, right, *unpack(kernel.distinct(packed)), dice=dice)


def unpack(packed: npt.NDArray[np.int64]) -> tuple[kernel.Rows, kernel.Rows]:
    return (packed >> 32).astype(np.int32), (packed & 0xFFFF_FFFF).astype(np.int32)


def measure(
    left: Source,
    right: Source,
    rows_left: kernel.Rows,
    rows_right: kernel.Rows,
    *,
    dice: bool,
    null: Null | None = None,
) -> Pairs:
    one, other = left.matrix, right.matrix
    keys, bits = len(one.layout.match_keys), one.layout.bits
    distances = np.full((len(rows_left), keys), MISSING, np.int16)
    for key in range(keys):
        for start in range(0, len(rows_left), _CHUNK):
            a, b = rows_left[start : start + _CHUNK], rows_right[start : start + _CHUNK]
            found = kernel.hamming(one.words[key], other.words[key], a, b).astype(np.float64)
            if dice:
                size = kernel.ones(one.words[key][a]) + kernel.ones(other.words[key][b])
                found = np.rint(found * (bits / np.maximum(size, 1)))
            both = one.presence[key][a] & other.presence[key][b]
            distances[start : start + _CHUNK, key] = np.where(both, found, MISSING)
    pairs = Pairs(rows_left, rows_right, distances, np.zeros(len(rows_left), np.float32))
    return pairs if null is None else rescore(pairs, null)


def rescore(pairs: Pairs, null: Null) -> Pairs:
    z = null.standardise(pairs.distances)
    shared = np.maximum((~np.isnan(z)).sum(axis=1), 1)
    score = np.where(np.isnan(z), 0.0, np.maximum(z, 0.0)).sum(axis=1) / np.sqrt(shared)
    return Pairs(pairs.left, pairs.right, pairs.distances, score.astype(np.float32))


def null_of(decoys: Pairs, bits: int) -> Null:
    """Mean and deviation of the decoys' distances; a key without decoys gets a harmless one."""
    known = np.where(decoys.distances == MISSING, np.nan, decoys.distances.astype(np.float64))
    covered = (~np.isnan(known)).sum(axis=0) > 1
    mean, deviation = np.full(len(covered), bits / 2), np.full(len(covered), math.sqrt(bits / 4))
    # The median is what a few matches among the decoys of a small file cannot move.
    for key in np.flatnonzero(covered):
        column = known[~np.isnan(known[:, key]), key]
        mean[key] = np.median(column)
        low, high = np.quantile(column, [0.16, 0.84])
        deviation[key] = max((high - low) / 2, math.sqrt(bits) / 8)
    return Null(mean, deviation)


def fair_coin(keys: int, bits: int) -> Null:
    """Distances of unrelated `saul-v1` encodings."""
    return Null(np.full(keys, bits / 2), np.full(keys, math.sqrt(bits / 4)))
