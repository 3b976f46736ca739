"""Turn a weight, whose scale means nothing, into odds that can be believed.

- The only input is where the candidates' weights fall, and those of the candidates whose row
  already has another partner. The last are known non-matches, and as promising as any
  non-match gets: they show how often an unrelated pair reaches a weight (the "runner-up").
- How often non-matches reach a weight is one smooth curve through all of these; where nothing
  has been seen the curve goes on straight, and is never taken for zero.
- Odds never fall with growing weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded

from linkage.matching.sources import Floats
from linkage.matching.weights import rising

BINS = 160
_SMOOTH = 2.0
_STIFFNESS = 1000.0
_NEWTON_ROUNDS = 30
_LEAN = 20
_FULL_AT = 0.2
_INNER_ROUNDS = 5
_PRIOR_MATCHES = 0.5
_CURVE_COUNTS = 5.0
_RIDGE = 1e-9


@dataclass(frozen=True)
class Evidence:
    """What is known of candidate pairs in one round of the fit.

    Attributes:
        weight, probability, free: per candidate pair; `free` is the probability that neither
            row has another partner.
        free_pairs: pairs of rows in which neither row has another partner.
        blocked_pairs: pairs of rows, not matches, in which either has.
    """

    weight: Floats
    probability: Floats
    free: Floats
    free_pairs: float
    blocked_pairs: float

    @property
    def ignorance(self) -> float:
        """Near 1 where hardly any pair is known to be a non-match, near 0 where many are."""
        return (self.free_pairs / (self.free_pairs + self.blocked_pairs)) ** _LEAN


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

    How free non-matches lie is taken from the blocked candidates, and where there are few of
    those, from the candidates not believed. A free row keeps more of its non-matches than one
    whose partner takes a place: none more of the most promising, as many more of the least as
    makes up what is left over by the matches.
    """
    low, high = _range(known.weight)
    edges = np.linspace(low, high, BINS + 1)
    every = _histogram(edges, known.weight, np.ones(len(known.weight)))
    blocked = _histogram(edges, known.weight, 1 - known.free)
    matches = _histogram(edges, known.weight, known.probability)

    unmatched = np.maximum(every - blocked - matches, 0)
    seen = blocked + known.ignorance * unmatched
    curve = _curve(seen)
    # Levels give spikes: where much was seen, count as it lies; where little, as the curve runs.
    among = max(float(seen.sum()), 1.0)
    rate = (_smooth(seen) + _CURVE_COUNTS) / (among + _CURVE_COUNTS / curve)
    scale = known.free_pairs / (known.blocked_pairs + known.ignorance * known.free_pairs)
    surplus = max(float(unmatched.sum()), 0.5) / (among * scale) - 1
    passed = seen[::-1].cumsum()[::-1] / among
    full = np.minimum(passed / _FULL_AT, 1)
    more = 1 + surplus * full / (1 - _FULL_AT / 2) if surplus > 0 else 1 + surplus
    non_matches = rate * among * scale * more

    prior = _PRIOR_MATCHES / BINS
    candidates = _smooth(every - blocked) + prior
    found = _smooth(matches) + prior
    for _ in range(_INNER_ROUNDS):
        found = candidates * found / (found + non_matches)
    return Calibration(edges, rising(np.log2(found) - np.log2(non_matches), candidates))


def _range(weight: Floats) -> tuple[float, float]:
    low, high = (float(weight.min()), float(weight.max())) if len(weight) else (0.0, 1.0)
    return low, max(high, low + 1.0)


def _curve(seen: Floats) -> Floats:
    """The share of non-matches by bin: a smooth curve through what was seen, continued in a
    straight line (of the logarithm) where nothing was.

    Penalised Poisson regression: the curve's second difference is what costs.
    """
    bands = _bending(len(seen))
    among = max(float(seen.sum()), 1.0)
    curve = np.log((_smooth(seen) + 1e-2) / (among + 1))
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
