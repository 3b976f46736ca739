"""How likely each candidate pair is a match, learnt without any truth.

A Fellegi-Sunter model: every dimension of the comparison vector adds the logarithm of how much
commoner its level is among matches (m) than among non-matches (u).

- u comes from the decoys, less the few matches among them; m by expectation maximisation under
  one-to-one competition.
- It starts from weights chosen beforehand (the textbook's), and where few rows have a partner
  or matches are few in all, what it learns may not go far beyond them: files without a single
  match do not invent one.
- Weights never fall from a level to a more alike one; "missing" weighs nothing.
- Dimensions of one group depend on each other, so their sum is tempered. That gives the right
  order of pairs but no scale; the scale is then set by `calibration`, so the probability can
  be believed though the sum cannot.
- Files under 20 rows teach nothing: the textbook's weights are used, and the summary says so.
- Deterministic: no randomness here at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.matching.calibration import Evidence, calibrate
from linkage.matching.candidates import Candidates
from linkage.matching.comparison import MISSING_LEVEL, ComparisonVectors
from linkage.matching.competition import compete, free_pairs
from linkage.matching.sources import Floats, Pairs, Rows

ROUNDS = 40
_CLOSE = 1e-3
_PRIOR_MATCHES = 10.0
_PRIOR_NON_MATCHES = 4.0
_ENOUGH_ROWS = 20
_FEW_MATCHES = 20.0
_BEYOND_TEXTBOOK = 3.0


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
) -> ScoredPairs:
    """Fit the model to the candidate pairs and score them with it.

    Args:
        vectors, decoy_vectors: comparison vectors of `candidates.pairs` and `.decoys`.
        same_file: the pairs are within one file (left < right).
    """
    pairs = candidates.pairs
    left, right = pairs.left, pairs.right
    one = {"left_has_one": unique_right, "right_has_one": unique_left}

    textbook = _textbook(vectors, rows_left, rows_right)
    log_odds = textbook
    shares = compete(left, right, np.exp2(log_odds), **one)
    if min(rows_left, rows_right) < _ENOUGH_ROWS:
        return _scored(pairs, log_odds, shares.probability, {"fitted": False})

    probability, free = shares.probability, shares.free
    tables: list[Floats] = []
    rounds, moved = 0, 1.0
    while rounds < ROUNDS and moved > _CLOSE:
        rounds += 1
        decoy_mass = _decoy_mass(candidates, probability)
        tables = _tables(vectors, decoy_vectors, probability, decoy_mass)
        every, free_count = free_pairs(
            rows_left, rows_right, float(probability.sum()), triangle=same_file, **one
        )
        known = Evidence(
            weight=apply(tables, vectors),
            probability=probability,
            free=free,
            decoys=apply(tables, decoy_vectors),
            decoy_mass=decoy_mass,
            all_pairs=every,
            free_pairs=free_count,
            complete_below=candidates.quota / 4 / max(rows_left, rows_right),
        )
        trust = _trust(known)
        learnt = calibrate(known)(known.weight)
        log_odds = trust * learnt + (1 - trust) * np.minimum(learnt, textbook + _BEYOND_TEXTBOOK)
        shares = compete(left, right, np.exp2(log_odds), **one)
        moved = float(np.abs(shares.probability - probability).sum() / max(probability.sum(), 1))
        probability, free = shares.probability, shares.free
    summary = {
        "fitted": True,
        "rounds": rounds,
        "converged": moved <= _CLOSE,
        "level_weights": {
            dimension.name: table.round(2).tolist()
            for dimension, table in zip(vectors.dimensions, tables, strict=True)
        },
    }
    return _scored(pairs, log_odds, probability, summary)


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


def apply(tables: list[Floats], vectors: ComparisonVectors) -> Floats:
    """Sum of level weights, each group tempered by how many of its dimensions are known.

    What speaks for a match is divided by the root of that number; what speaks against it by
    the number itself, since one wrong field is the same failure in every match key it is in.
    """
    total = np.zeros(len(vectors))
    for group in vectors.groups:
        for_it, against = np.zeros(len(vectors)), np.zeros(len(vectors))
        known = np.zeros(len(vectors))
        for dimension in group:
            level = vectors.levels[:, dimension]
            here = level != MISSING_LEVEL
            table = tables[dimension]
            weight = np.where(here, table[np.minimum(level, len(table) - 1)], 0.0)
            for_it += np.maximum(weight, 0)
            against += np.minimum(weight, 0)
            known += here
        known = np.maximum(known, 1)
        total += for_it / np.sqrt(known) + against / known
    return total


def _textbook(vectors: ComparisonVectors, rows_left: int, rows_right: int) -> Floats:
    """log2 odds by weights chosen beforehand, for files too small to learn from; half the
    smaller file is taken to have a partner.
    """
    tables = [dimension.textbook for dimension in vectors.dimensions]
    prior = max(min(rows_left, rows_right) / 2, 0.5) / max(rows_left * rows_right, 1)
    return apply(tables, vectors) + float(np.log2(prior))


def _decoy_mass(candidates: Candidates, probability: Floats) -> Floats:
    """1 for every decoy, less the probability that it is a match."""
    pairs, decoys = candidates.pairs, candidates.decoys
    known = (pairs.left.astype(np.int64) << 32) | pairs.right
    asked = (decoys.left.astype(np.int64) << 32) | decoys.right
    if not len(known):
        return np.ones(len(asked))
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.where(known[place] == asked, 1 - probability[place], 1.0)


def _tables(
    vectors: ComparisonVectors,
    decoys: ComparisonVectors,
    probability: Floats,
    decoy_mass: Floats,
) -> list[Floats]:
    """log2(m / u) by level, for each dimension."""
    tables = []
    for n, dimension in enumerate(vectors.dimensions):
        m = _counts(vectors.levels[:, n], probability, dimension.m, _PRIOR_MATCHES)
        u = _counts(decoys.levels[:, n], decoy_mass, dimension.u, _PRIOR_NON_MATCHES)
        tables.append(np.maximum.accumulate(np.log2(m / u)))
    return tables


def _counts(levels: npt.NDArray[np.uint8], mass: Floats, expected: Floats, worth: float) -> Floats:
    """The share of each level, what is expected counting as so many pairs."""
    seen = np.bincount(levels, mass, minlength=MISSING_LEVEL + 1)[: len(expected)]
    shares: Floats = (seen + worth * expected) / (seen.sum() + worth)
    return shares
