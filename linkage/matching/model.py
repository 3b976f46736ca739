"""How likely each candidate pair is a match, learnt without any truth.

A Fellegi-Sunter model: every dimension of the comparison vector adds the logarithm of how much
commoner its level is among matches (m) than among non-matches (u); see `weights`.

- u comes from candidates and decoys, m by expectation maximisation under one-to-one competition.
- The sum of weights puts pairs in order; `calibration` gives it its scale from what is known of
  non-matches, so that the probability can be believed though fields depend on each other.
- It starts from weights chosen beforehand (the textbook's). Where few rows have a partner or
  matches are few in all, what is learnt may not go far beyond those, nor beyond what the weights
  themselves say; and pairs that contradict each other in what tells persons apart may not be many
  times as many as pairs that do not. So files without a single match do not invent one.
- Files under 20 rows teach nothing: the textbook's weights are used, and the summary says so.
- Deterministic: no randomness here at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.matching.calibration import Evidence, calibrate
from linkage.matching.candidates import Candidates
from linkage.matching.comparison import MISSING_LEVEL, ComparisonVectors, Dimension
from linkage.matching.competition import compete, free_pairs
from linkage.matching.sources import Floats, Pairs, Rows
from linkage.matching.weights import Patterns, Sample, Weights, alike_in_person, learn

ROUNDS = 40
_CLOSE = 1e-3
_ENOUGH_ROWS = 20
_FEW_MATCHES = 20.0
_BEYOND_TEXTBOOK = 3.0
_BEYOND_EXPECTED = 1.0
_UNLIKE_PER_ALIKE = 3.0
_SPARE_BITS = 4.0
_LEAST_DOUBT = 0.5
_OFTEN, _OFTEN_BESIDE_MATCHES = 0.01, 10.0


@dataclass(frozen=True)
class ScoredPairs:
    """Candidate pairs with their match weight and probability.

    Attributes:
        left, right: (n,) first rows of the persons, sorted by (left, right).
        weight: (n,) log2 of the odds that the two rows match, were neither to have another
            partner.
        probability: (n,) the same after competition with the other candidates of both rows.
        matches: expected number of matches among the candidates.
        summary: what the model learnt, as plain values for a report.
        levels: (n, dimensions) the comparison vectors it was made from; none where not kept.
    """

    left: Rows
    right: Rows
    weight: npt.NDArray[np.float32]
    probability: npt.NDArray[np.float64]
    matches: float = 0.0
    summary: dict[str, Any] = field(default_factory=dict)
    levels: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0), np.uint8))


def score_pairs(
    candidates: Candidates,
    vectors: ComparisonVectors,
    decoy_vectors: ComparisonVectors,
    *,
    rows_left: int,
    rows_right: int,
    unique_left: bool,
    unique_right: bool,
    same_file: bool = False,
    labels: npt.NDArray[np.int8] | None = None,
) -> ScoredPairs:
    """Fit the model to the candidate pairs and score them with it.

    Args:
        vectors, decoy_vectors: comparison vectors of `candidates.pairs` and `.decoys`.
        same_file: the pairs are within one file (left < right).
        labels: (pairs,) 1 where a reviewer said match, 0 where different, -1 where nobody did. They
            teach what levels weigh; no pair's own probability is set by its label.
    """
    pairs, dimensions = candidates.pairs, vectors.dimensions
    left, right = pairs.left, pairs.right
    one = {"left_has_one": unique_right, "right_has_one": unique_left}
    patterns, decoy_patterns = Patterns.find(vectors), Patterns.find(decoy_vectors)
    not_candidates = ~_stand_among(candidates.decoys, pairs)

    weights = Weights.textbook(
        _as_seen(dimensions, decoy_vectors, max(rows_left, rows_right, 1)), vectors.groups
    )
    prior = max(min(rows_left, rows_right) / 2, 0.5) / max(rows_left * rows_right, 1)
    textbook = (weights(patterns.levels) + float(np.log2(prior)))[patterns.of]
    log_odds = textbook
    shares = compete(left, right, np.exp2(log_odds), **one)
    if min(rows_left, rows_right) < _ENOUGH_ROWS:
        summary = {"fitted": False, **weights.plain(dimensions)}
        return _scored(pairs, log_odds, shares.probability, summary)

    most = _most_matches(patterns, vectors, max(rows_left, rows_right))
    probability, free = shares.probability, shares.free
    rounds, moved, doubt = 0, 1.0, 0.0
    while rounds < ROUNDS and moved > _CLOSE:
        rounds += 1
        matches = float(probability.sum())
        every, free_count = free_pairs(rows_left, rows_right, matches, triangle=same_file, **one)
        rest = decoy_patterns.mass(not_candidates.astype(np.float64))
        told = probability if labels is None else np.where(labels < 0, probability, labels)
        others = patterns.mass(1 - told)
        unseen = max(every - len(pairs), 0.0)
        sample = Sample(
            levels=np.concatenate([patterns.levels, decoy_patterns.levels]),
            matches=np.concatenate([patterns.mass(told), np.zeros(len(rest))]),
            others=np.concatenate([others, rest * unseen / max(rest.sum(), 1.0)]),
            seen=np.concatenate([others, rest]),
        )
        weights = learn(sample, dimensions, vectors.groups)
        weight = weights(patterns.levels)[patterns.of]
        blocked = max(every - free_count - matches, 0.0)
        known = Evidence(weight, probability, free, free_count, blocked)
        trust = _trust(known)
        learnt = calibrate(known)(weight)
        expected = weight + float(np.log2(max(matches, 0.5) / free_count))
        cap = textbook + _BEYOND_TEXTBOOK
        if most is not None:
            cap = np.minimum(cap, expected + _BEYOND_EXPECTED)
        log_odds = trust * learnt + (1 - trust) * np.minimum(learnt, cap)
        if most is not None:
            # What is believed once confirms itself: so the doubt grows for as long as it must.
            excess = matches * max(known.ignorance, _LEAST_DOUBT) / most
            doubt = max(doubt + float(np.log2(max(excess, 1e-9))), 0.0)
            log_odds -= doubt
        shares = compete(left, right, np.exp2(log_odds), **one)
        moved = float(np.abs(shares.probability - probability).sum() / max(probability.sum(), 1))
        probability, free = shares.probability, shares.free
    summary = {
        "fitted": True,
        "rounds": rounds,
        "converged": moved <= _CLOSE,
        **weights.plain(dimensions),
    }
    return _scored(pairs, log_odds, probability, summary)


def _as_seen(
    dimensions: tuple[Dimension, ...], decoys: ComparisonVectors, rows: int
) -> tuple[Dimension, ...]:
    """What is expected, but where random pairs are alike more often than expected, as they are.

    Such as a middle name of which the files hold the initial only. What is as rare as random pairs
    that match is left as expected.
    """
    found = []
    for n, dimension in enumerate(dimensions):
        known = decoys.levels[:, n][decoys.levels[:, n] != MISSING_LEVEL]
        levels = len(dimension.u)
        seen = np.bincount(np.minimum(known, levels - 1), minlength=levels) / max(len(known), 1)
        common = (seen > max(_OFTEN, _OFTEN_BESIDE_MATCHES / rows)) & (seen > dimension.u)
        u = np.where(common, seen, dimension.u)
        u[0] = max(1 - float(u[1:].sum()), _OFTEN)
        found.append(replace(dimension, u=u / u.sum()))
    return tuple(found)


def _most_matches(patterns: Patterns, vectors: ComparisonVectors, rows: int) -> float | None:
    """How many matches there may be, from how many pairs are alike in all that tells persons
    apart; None where too little is known of any pair to say.

    Records of one person are that alike about half the time, relatives and strangers hardly ever.
    """
    bits = float(np.log2(rows)) + _SPARE_BITS
    alike, able = alike_in_person(patterns.levels, vectors.dimensions, vectors.groups, bits)
    pairs = len(patterns.of)
    share = float(able[patterns.of].sum()) / max(pairs, 1)
    if not share:
        return None
    return 1 + _UNLIKE_PER_ALIKE * float(alike[patterns.of].sum()) / share


def _trust(known: Evidence) -> float:
    """How far what was learnt may go beyond the textbook, from 0 to 1.

    Little where few rows have a partner, since then few pairs are known non-matches, and
    where there are few matches in all.
    """
    matches = float(known.probability.sum())
    return (1 - known.ignorance) * matches**2 / (matches**2 + _FEW_MATCHES**2)


def _scored(
    pairs: Pairs, log_odds: Floats, probability: Floats, summary: dict[str, Any]
) -> ScoredPairs:
    weight = log_odds.astype(np.float32)
    matches = float(probability.sum())
    return ScoredPairs(pairs.left, pairs.right, weight, probability, matches, summary)


def _stand_among(decoys: Pairs, pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Which decoys are candidates too."""
    known = np.sort((pairs.left.astype(np.int64) << 32) | pairs.right)
    asked = (decoys.left.astype(np.int64) << 32) | decoys.right
    if not len(known):
        return np.zeros(len(asked), np.bool_)
    found: npt.NDArray[np.bool_] = known[np.searchsorted(known[:-1], asked)] == asked
    return found
