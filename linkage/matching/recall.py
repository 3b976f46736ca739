"""Estimate how many matches never became candidates, without truth.

- Match keys are occasions on which a match may be caught. Those caught by one key alone, against
  those caught by two, tell how many were caught by none: Chao's estimator f1 squared / (2 f2)
  (A. Chao, "Estimating the population size for capture-recapture data with unequal
  catchability", Biometrics 43, 1987).
- Keys share fields, so a match missed by one is more often missed by the next: the estimate of
  what was missed is too low rather than too high, and the recall an upper bound.
- Only candidates that are rather matches than not count. Of the others each has a small part of a
  match, and nearly all were caught by one key, by chance: together they would pass for many
  matches that are hard to catch.
"""

from __future__ import annotations

import numpy as np

from linkage.matching.candidates import Candidates
from linkage.matching.model import ScoredPairs
from linkage.matching.sources import MISSING

LIKELY = 0.5


def candidate_recall(candidates: Candidates, scored: ScoredPairs) -> float | None:
    """The share of matches that are among the candidates, at most; None where nothing can be said.

    Args:
        scored: of `candidates.pairs`, in their order.
    """
    pairs = candidates.pairs
    z = candidates.null.standardise(pairs.distances)
    caught = ((pairs.distances != MISSING) & (z >= candidates.z_cut)).sum(axis=1)
    keys = pairs.distances.shape[1]
    likely = np.where(scored.probability >= LIKELY, scored.probability, 0)
    by_count = np.bincount(np.minimum(caught, keys), likely, minlength=keys + 1)
    found = float(by_count[1:].sum())
    if keys < 2 or found < 1:
        return None
    once, twice = float(by_count[1]), float(by_count[2])
    # Chao's bias-corrected form, which stands a count of zero.
    missed = once * max(once - 1, 0) / (2 * (twice + 1))
    return round(found / (found + missed), 4)
