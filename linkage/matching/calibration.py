"""Turn a weight, whose scale means nothing, into odds that can be believed.

- The only input is where weights fall: of decoys, of candidate pairs, and of those among them
  whose row already has another partner. The last are known non-matches, and as promising as
  any non-match gets: they show how often an unrelated pair reaches a weight far beyond what
  100,000 decoys can show (the "runner-up").
- How often non-matches reach a weight is one smooth curve through all of these; where nothing
  has been seen the curve goes on straight, and is never taken for zero.
- Odds never fall with growing weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded

from linkage.matching.sources import Floats

BINS = 160
_SMOOTH = 2.0
_STIFFNESS = 1000.0
_NEWTON_ROUNDS = 30
_LEAN = 20
_INNER_ROUNDS = 5
_PRIOR_MATCHES = 0.5
_CURVE_COUNTS = 5.0
_RIDGE = 1e-9


@dataclass(frozen=True)
class Evidence:
    """What is known of candidate pairs and decoys in one round of the fit.

    Attributes:
        weight, probability, free: per candidate pair; `free` is the probability that neither
            row has another partner.
        decoys, decoy_mass: per decoy its weight, and the probability that it is no match.
        all_pairs: pairs of rows there are.
        free_pairs: of those, in which neither row has another partner.
        complete_below: the candidates above a weight are all pairs above it, once the
            non-matches among them are fewer than this share of `all_pairs`; below, the quota
            has cut some off, and more of them from rows whose partner takes a place.
    """

    weight: Floats
    probability: Floats
    free: Floats
    decoys: Floats
    decoy_mass: Floats
    all_pairs: float
    free_pairs: float
    complete_below: float

    @property
    def blocked_pairs(self) -> float:
        """Pairs of rows, not matches, of which either has another partner."""
        return max(self.all_pairs - self.free_pairs - float(self.probability.sum()), 0.0)

    @property
    def ignorance(self) -> float:
        """Near 1 where hardly any pair is known to be a non-match, near 0 where many are."""
        return (1 - self.blocked_pairs / self.all_pairs) ** _LEAN


@dataclass(frozen=True)
class Calibration:
    """log2 odds by weight.

    Attributes:
        edges: (bins + 1,) of the weight.
        odds: (bins,) log2 of matches per non-match among free pairs, never falling.
    """

    edges: Floats
    odds: Floats

    def __call__(self, weight: Floats) -> Floats:
        """log2 odds, interpolated between the middles of the bins."""
        middles = (self.edges[:-1] + self.edges[1:]) / 2
        found: Floats = np.interp(weight, middles, self.odds)
        return found


def calibrate(known: Evidence) -> Calibration:
    """The odds by weight, from the present probabilities.

    Non-matches are counted among decoys and among blocked candidates, and where there are few
    of those, among the candidates not believed: each over the number of pairs it was drawn
    from. What free candidates there are beyond the expected non-matches are matches.
    """
    edges = _edges(known.weight, known.decoys)
    every = _histogram(edges, known.weight, np.ones(len(known.weight)))
    blocked = _histogram(edges, known.weight, 1 - known.free)
    matches = _histogram(edges, known.weight, known.probability)
    random = _histogram(edges, known.decoys, known.decoy_mass)

    above = (every - matches)[::-1].cumsum()[::-1]
    complete = above <= known.complete_below * known.all_pairs
    unmatched = np.maximum(every - blocked - matches, 0)
    lean = complete * known.ignorance
    unblocked = known.all_pairs - known.blocked_pairs
    among: Floats = len(known.decoys) + complete * known.blocked_pairs + lean * unblocked
    curve = _curve(random + complete * blocked + lean * unmatched, among)
    # Levels give spikes: where much was seen, count as it lies; where little, as the curve runs.
    seen = _smooth(random) + complete * _smooth(blocked) + lean * _smooth(unmatched)
    rate = (seen + _CURVE_COUNTS) / (among + _CURVE_COUNTS / curve)
    non_matches = rate * known.free_pairs

    prior = _PRIOR_MATCHES / BINS
    candidates = _smooth(every - blocked) + prior
    found = _smooth(matches) + prior
    for _ in range(_INNER_ROUNDS):
        found = candidates * found / (found + non_matches)
    return Calibration(edges, _rising(np.log2(found) - np.log2(non_matches), candidates))


def _edges(weight: Floats, decoys: Floats) -> Floats:
    """Equal bins from the smallest weight to the largest."""
    both = np.concatenate([weight, decoys])
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 1.0)
    return np.linspace(low, max(high, low + 1.0), BINS + 1)


def _curve(seen: Floats, among: Floats) -> Floats:
    """Non-matches per pair looked at, by bin: a smooth curve through what was seen, continued
    in a straight line (of the logarithm) where nothing was.

    Penalised Poisson regression: the curve's second difference is what costs.
    """
    bands = _bending(len(seen))
    curve = np.log((_smooth(seen) + 1e-2) / (_smooth(among) + 1))
    for _ in range(_NEWTON_ROUNDS):
        expected = among * np.exp(np.minimum(curve, 0.0))
        cost = _STIFFNESS * np.convolve(np.diff(curve, 2), [1.0, -2.0, 1.0]) + _RIDGE * curve
        curvature = bands.copy()
        curvature[-1] += expected + _RIDGE
        step = np.clip(solveh_banded(curvature, seen - expected - cost), -2, 2)
        curve += step
        if np.abs(step).max() < 1e-3:
            break
    out: Floats = np.exp(curve - np.log(np.exp(curve).sum()))
    return out


def _bending(bins: int) -> Floats:
    """The upper bands of the penalty on second differences, as `solveh_banded` wants them."""
    bands = np.zeros((3, bins))
    for offset in range(3):
        weights = np.array([1.0, -2.0, 1.0])
        products = weights[: 3 - offset] * weights[offset:]
        for place, product in enumerate(products):
            first = place + offset
            bands[2 - offset, first : first + bins - 2] += _STIFFNESS * product
    bands[-1] += _RIDGE
    return bands


def _histogram(edges: Floats, values: Floats, mass: Floats) -> Floats:
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return np.bincount(place, mass, minlength=len(edges) - 1).astype(np.float64)


def _smooth(values: Floats) -> Floats:
    reach = int(4 * _SMOOTH)
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SMOOTH) ** 2)
    out: Floats = np.convolve(np.pad(values, reach), window / window.sum(), mode="valid")
    return out


def _rising(values: Floats, mass: Floats) -> Floats:
    """The closest never-falling sequence (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []
    for value, own in zip(values.tolist(), mass.tolist(), strict=True):
        pool = (value, own, 1)
        while pools and pools[-1][0] > pool[0]:
            before = pools.pop()
            total = before[1] + pool[1]
            mean = (before[0] * before[1] + pool[0] * pool[1]) / total
            pool = (mean, total, before[2] + pool[2])
        pools.append(pool)
    out: Floats = np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])
    return out
