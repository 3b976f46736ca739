"""What outcomes of many attacks prove together: that a bound is kept, or that it is broken.

- Kept: every attack's own upper bound is below it. If any attack's true rate is above, all of them
  look below with a chance of 5% at most (an intersection-union test), so nothing is corrected for.
- Broken: some attack's lower bound is above it. Of many attacks some find a person or two by
  chance, so lower bounds are at 95% for all attacks together (Bonferroni).
- Between the two nothing is shown.
- How often the commonest value of a match key repeats is proven likewise: at 95% for all values of
  all match keys together, as some value is the commonest by chance.

Bounds are Clopper and Pearson's, over records.
"""

from __future__ import annotations

from collections.abc import Mapping

from scipy.stats import beta

from linkage.risk.leakage import Repeats
from linkage.risk.outcome import CONFIDENCE, Outcome

FEWEST = 500
"""Of fewer people attacks say nothing: not even the control would be sure to fall."""


def lower_bound(right: int, of: int, confidence: float = CONFIDENCE) -> float:
    """Clopper and Pearson's one-sided lower bound of a share; 0 where nobody was found."""
    return float(beta.ppf(1 - confidence, right, of - right + 1)) if right else 0.0


def proven(outcome: Outcome, attacks: int) -> float:
    """The rate that an outcome proves, as one of so many attacks."""
    return lower_bound(outcome.right, outcome.overlap, 1 - (1 - CONFIDENCE) / attacks)


def proven_commonest(found: Mapping[str, Repeats]) -> dict[str, float]:
    """By match key, the share of records that are proven to bear its commonest encoding."""
    values = sum(one.values for one in found.values())
    confidence = 1 - (1 - CONFIDENCE) / max(values, 1)
    return {name: lower_bound(one.most, one.rows, confidence) for name, one in found.items()}
