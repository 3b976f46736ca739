"""Find, for every row, its most promising rows of another upload, without any blocking.

- Every pair with an encoding on both sides is compared; nothing is left out unseen.
- A pair's worth on one match key is z, the standard deviations by which it is closer than
  unrelated rows: (bits/2 - distance) / sqrt(bits/4) for `saul-v1`, whose unrelated rows are
  fair coins; for `clk-v1` mean and deviation come from random pairs.
- Kept per match key: the best `KEPT_PER_KEY` of each row and column with z >= `z_cut`; then
  over all match keys the best `quota` of each row under both sides' quotas, by
  score = sum of max(z, 0) / sqrt(number of match keys both rows have).
- Several rows of one person on one side compete as one: the best of them stands for it.
- The same uploads give the same answer, whatever the engine. Memory is
  O(rows x KEPT_PER_KEY), whatever the data: a tile or a file of equal rows cannot overflow it.
- The first look is never silent: the chance that it drops a pair within the cut is computed from
  the pair's distance, bounded by `look_loss` per match key, and what that comes to for pairs like
  those found is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.agreement.manifest import Clk, Scheme
from linkage.errors import CancelledError
from linkage.matching import kernel
from linkage.matching.engine import Engine
from linkage.matching.looks import Look, choose_look, expected_loss
from linkage.matching.measure import (
    Measure,
    draw_decoys,
    fair_coin,
    measure_all,
    null_of,
    rescore,
    score_all,
)
from linkage.matching.popcount import CUT_SCALE
from linkage.matching.sources import Null, Pairs, Rows, Source, check_comparable, persons_of

KEPT_PER_KEY = 8
LOOK_LOSS = 0.15
"""Unless the manifest says otherwise, the largest chance that a first look drops a pair that is
just within the cut, per match key. Closer pairs fare far better: see `looks` and
docs/explanation/candidates.md."""
LOOK_FROM_Z = 4.0
"""Files with a smaller cut, up to 29,000 rows, are compared in full: it takes seconds."""
TILE_LEFT, TILE_RIGHT = 4_096, 65_536
_LARGEST_DICE_CUT = 0.75


@dataclass(frozen=True)
class Candidates:
    """The pairs worth a closer look, and random ones to hold them against.

    Attributes:
        pairs: at most `quota` per row, sorted by their persons; see `sources.persons_of`.
        decoys: pairs of random rows, for the model's picture of non-matches. A decoy may be
            a match by chance, as often as a random pair is.
        null: what `pairs.distances` look like between unrelated rows.
        bits: unit of the distances.
        quota: rows kept per row.
        compared: encodings compared over all match keys.
        looked: of those, within the cut of the first look.
        survived: of those, within the cut.
        considered: distinct pairs of persons before the quota.
        z_cut: smallest z that survives.
        look_bits: bits of the first look; all of them where there is none.
        look_loss: share of pairs like those kept that the first looks of all their match keys
            drop, computed from their distances.
    """

    pairs: Pairs
    decoys: Pairs
    null: Null
    bits: int
    quota: int
    compared: int
    looked: int
    survived: int
    considered: int
    z_cut: float
    look_bits: int
    look_loss: float


@dataclass(frozen=True)
class Tile:
    """A rectangle of pairs under one match key."""

    key: int
    left: int
    right: int


@dataclass(frozen=True)
class Scan:
    """The task of one tile: compare everything in it. Picklable.

    Attributes:
        cuts: per match key the largest distance kept, as a fraction of the size, times 65,536.
        look: taken first at each pair; None: at once all of it.
    """

    left: Source
    right: Source
    dice: bool
    cuts: tuple[int, ...]
    look: Look | None
    triangle: bool

    def __call__(self, tile: Tile) -> kernel.Survivors:
        return kernel.scan(
            self._side(self.left, tile.key, tile.left, TILE_LEFT),
            self._side(self.right, tile.key, tile.right, TILE_RIGHT),
            look=self.look,
            best=KEPT_PER_KEY,
            triangle=self.triangle,
        )

    def _side(self, source: Source, key: int, start: int, length: int) -> kernel.Side:
        words = source.matrix.words[key, start : start + length]
        present = source.matrix.presence[key, start : start + length]
        if self.dice:
            size = kernel.ones(words)
        else:
            size = np.full(len(words), source.matrix.layout.bits // 2, np.int64)
        cut = np.where(present, size * self.cuts[key], kernel.ABSENT)
        return kernel.Side(words, cut, size, start)


def find_candidates(
    left: Source,
    right: Source,
    scheme: Scheme,
    *,
    quota: int,
    engine: Engine,
    look_loss: float = LOOK_LOSS,
    z_cut: float | None = None,
    progress: Callable[[float], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Candidates:
    """The most promising pairs of two uploads.

    Args:
        left, right: the uploads; the same partner twice means duplicates within one file,
            and then only pairs with left < right.
        quota: rows kept per row.
        look_loss: bound of the chance, per match key, that a first look drops a pair just within
            the cut; 0 for no first looks.
        z_cut: smallest z that survives; None: what the files' size asks for.
        progress: told the share of the work done, from 0 to 1.
        cancelled: asked between tiles.

    Raises:
        FingerprintMismatchError, InvalidRequestError: the uploads cannot be compared.
        CancelledError: `cancelled` said so.
    """
    check_comparable(left, right, scheme)
    keys, bits = len(left.matrix.layout.match_keys), scheme.bits
    dice = isinstance(scheme, Clk)
    triangle = left.partner == right.partner
    decoys = draw_decoys(left, right, dice=dice, triangle=triangle)
    null = null_of(decoys, bits) if dice else fair_coin(keys, bits)
    if z_cut is None:
        z_cut = z_cut_for(max(left.rows, right.rows))
    scan = _plan(left, right, null, z_cut, look_loss, dice=dice, triangle=triangle)

    packed = np.empty(0, np.int64)
    totals = np.zeros(3, np.int64)
    tiles = list(_tiles(keys, left.rows, right.rows, triangle))
    # One stream of tiles over all match keys: no core waits for the last tile of a key.
    results = zip(tiles, engine.map(scan, tiles), strict=True)
    done = 0
    for _, found_under_key in groupby(results, key=lambda result: result[0].key):
        row_best = np.full((left.rows, KEPT_PER_KEY), kernel.EMPTY)
        column_best = np.full((right.rows, KEPT_PER_KEY), kernel.EMPTY)
        for _, found in found_under_key:
            if cancelled():
                raise CancelledError("the run was cancelled")
            kernel.merge(found, row_best, column_best)
            totals += (found.compared, found.looked, found.survived)
            done += 1
            progress(done / len(tiles))
        packed = kernel.distinct(np.concatenate([packed, kernel.pairs_of(row_best, column_best)]))

    measuring = Measure(left, right, dice, null)
    pairs = score_all(measuring, packed, engine)
    pairs = best_of_persons(pairs, left.persons, right.persons, triangle)
    kept = pairs.take(within_quota(pairs, quota, left.rows, right.rows, triangle))
    kept = measure_all(measuring, kept, engine)
    return Candidates(
        pairs=kept,
        decoys=rescore(decoys, null),
        null=null,
        bits=bits,
        quota=quota,
        compared=int(totals[0]),
        looked=int(totals[1]),
        survived=int(totals[2]),
        considered=len(pairs),
        z_cut=z_cut,
        look_bits=scan.look.bits if scan.look else bits,
        look_loss=expected_loss(kept.distances, bits, bits * scan.cuts[0] >> CUT_SCALE, scan.look),
    )


def z_cut_for(rows: int) -> float:
    """The smallest z kept, by the size of the larger file.

    3 up to 5,000 rows, 6 at a million, linear in log10(rows) between and beyond, at most 7.
    A row then meets rows * P(z > z_cut) unrelated ones per match key by chance: 6.7 at 5,000
    rows, fewer in larger files, so the lists of `KEPT_PER_KEY` never fill with noise.
    """
    slope = 3 / math.log10(200)
    return float(np.clip(3 + slope * math.log10(max(rows, 1) / 5_000), 3, 7))


def _plan(
    left: Source,
    right: Source,
    null: Null,
    z_cut: float,
    look_loss: float,
    *,
    dice: bool,
    triangle: bool,
) -> Scan:
    scale, bits = 1 << CUT_SCALE, left.matrix.layout.bits
    distance = null.mean - z_cut * null.deviation
    if dice:
        distance = np.maximum(distance, (1 - _LARGEST_DICE_CUT) * bits)
    cuts = tuple(int(d / bits * scale) for d in distance)
    look = None
    # Under `clk-v1` unrelated encodings are so alike that no part of one tells them apart.
    if not dice and look_loss > 0 and z_cut >= LOOK_FROM_Z:
        look = choose_look(bits, bits * cuts[0] >> CUT_SCALE, loss=look_loss)
    return Scan(left, right, dice, cuts, look, triangle)


def _tiles(keys: int, rows_left: int, rows_right: int, triangle: bool) -> Iterator[Tile]:
    for key in range(keys):
        for left in range(0, rows_left, TILE_LEFT):
            for right in range(0, rows_right, TILE_RIGHT):
                if not triangle or left < right + TILE_RIGHT:
                    yield Tile(key, left, right)


def best_of_persons(pairs: Pairs, left: Rows, right: Rows, triangle: bool) -> Pairs:
    """Of several pairs of rows between two persons the most promising one, and none between
    rows that the partner knows to be one person.
    """
    if all((persons == np.arange(len(persons))).all() for persons in (left, right)):
        return pairs
    one, other = persons_of(pairs, left, right, triangle=triangle)
    order = np.lexsort((pairs.right, pairs.left, -pairs.score))
    _, first = np.unique((one.astype(np.int64) << 32 | other)[order], return_index=True)
    best = order[first]
    return pairs.take(best[one[best] != other[best]] if triangle else best)


def within_quota(
    pairs: Pairs, quota: int, rows_left: int, rows_right: int, triangle: bool
) -> npt.NDArray[np.bool_]:
    """Best pairs first, while both rows have room; in one file a row has one quota."""
    order = np.lexsort((pairs.right, pairs.left, -pairs.score))
    used_left = np.zeros(rows_left, np.int32)
    used_right = used_left if triangle else np.zeros(rows_right, np.int32)
    kept = np.zeros(len(pairs), np.bool_)
    claim(order, pairs.left, pairs.right, quota, used_left, used_right, kept)
    return kept


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def claim(
    order: npt.NDArray[np.int64],
    left: kernel.Rows,
    right: kernel.Rows,
    quota: int,
    used_left: kernel.Rows,
    used_right: kernel.Rows,
    kept: npt.NDArray[np.bool_],
) -> None:
    """Give pairs a place one after another, while both of their rows have one left."""
    for n in order:
        a, b = left[n], right[n]
        if used_left[a] < quota and used_right[b] < quota:
            used_left[a] += 1
            used_right[b] += 1
            kept[n] = True
