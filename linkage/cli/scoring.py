"""How good links are against a known truth; pure.

- A pair of rows counts as linked when both are in one cluster, as true when both carry the same
  truth value. Rows without a truth value match nothing.
- Thresholds are tried by resolving the hub's scored pairs anew, by the hub's own rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.matching import ScoredPairs, Source, pairs_to_compare, resolve

TRIED = 30
PartnerPair = tuple[str, str]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """Pairs of rows: linked, truly matching, and both."""

    linked: int
    matching: int
    both: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.linked + other.linked,
            self.matching + other.matching,
            self.both + other.both,
        )

    def at(self, threshold: float) -> dict[str, float]:
        """Precision, recall and F1; an empty denominator counts as 1."""
        precision = self.both / self.linked if self.linked else 1.0
        recall = self.both / self.matching if self.matching else 1.0
        f1 = 2 * self.both / (self.linked + self.matching) if self.linked + self.matching else 1.0
        return {
            "threshold": threshold,
            "precision": round(precision, 6),
            "recall": round(recall, 6),
            "f1": round(f1, 6),
            "links": self.linked,
        }


def score_links(
    sources: Sequence[Source],
    scored: Mapping[PartnerPair, ScoredPairs],
    truth: Mapping[str, npt.NDArray[np.object_]],
    recommended: float,
) -> dict[str, Any]:
    """True figures at the recommended threshold, at the best one, and in between.

    Args:
        truth: per partner, the truth value of each row of its upload, None where unknown.

    Returns:
        `recommended`, `best`, `thresholds` (one row each), `matches`, and `pairs` with the same
        per "left|right".
    """
    people = _number(truth)
    names = [(left.partner, right.partner) for left, right in pairs_to_compare(sources)]
    tried = {t: _counts(sources, scored, people, names, t) for t in _thresholds(scored)}
    chosen = _counts(sources, scored, people, names, recommended)
    tried[recommended] = chosen
    result = _summary({t: sum(c.values(), Counts(0, 0, 0)) for t, c in tried.items()}, recommended)
    result["pairs"] = {
        "|".join(pair): _summary({t: c[pair] for t, c in tried.items()}, recommended)
        for pair in names
    }
    return result


def _summary(counts: Mapping[float, Counts], recommended: float) -> dict[str, Any]:
    rows = [counts[t].at(t) for t in sorted(counts)]
    return {
        "matches": counts[recommended].matching,
        "recommended": counts[recommended].at(recommended),
        "best": max(rows, key=lambda row: row["f1"]),
        "thresholds": rows,
    }


def _thresholds(scored: Mapping[PartnerPair, ScoredPairs]) -> list[float]:
    """A fixed grid, and quantiles of the probabilities that occur."""
    grid = np.array([0.01, 0.02, 0.05, *np.arange(0.1, 1.0, 0.1), 0.95, 0.98, 0.99, 0.999])
    seen = np.concatenate([s.probability for s in scored.values()] or [np.empty(0)])
    seen = seen[seen > 0.01]
    quantiles = np.quantile(seen, np.linspace(0, 1, TRIED)) if len(seen) else np.empty(0)
    return sorted({round(float(t), 6) for t in np.concatenate([grid, quantiles]) if 0 < t <= 1})


def _counts(
    sources: Sequence[Source],
    scored: Mapping[PartnerPair, ScoredPairs],
    people: Mapping[str, Numbers],
    names: Sequence[PartnerPair],
    threshold: float,
) -> dict[PartnerPair, Counts]:
    clusters = resolve(sources, scored, threshold)
    found = {}
    for left, right in names:
        one, other = clusters.of[left], clusters.of[right]
        both = _same(
            _paired(one, people[left], clusters.count),
            _paired(other, people[right], clusters.count),
            within=left == right,
        )
        found[left, right] = Counts(
            _same(one, other, within=left == right),
            _same(_known(people[left]), _known(people[right]), within=left == right),
            both,
        )
    return found


def _same(left: npt.NDArray[Any], right: npt.NDArray[Any], *, within: bool) -> int:
    """How many pairs of rows carry the same number."""
    values, counts = np.unique(left, return_counts=True)
    if within:
        return int((counts * (counts - 1) // 2).sum())
    others, other_counts = np.unique(right, return_counts=True)
    _, here, there = np.intersect1d(values, others, assume_unique=True, return_indices=True)
    return int((counts[here] * other_counts[there]).sum())


def _known(people: Numbers) -> Numbers:
    return people[people >= 0]


def _paired(cluster: Numbers, people: Numbers, clusters: int) -> Numbers:
    """One number per (cluster, person), for rows whose person is known."""
    known = people >= 0
    return people[known] * clusters + cluster[known]


def _number(truth: Mapping[str, npt.NDArray[np.object_]]) -> dict[str, Numbers]:
    """Truth values as numbers that are equal across partners; -1 where unknown."""
    numbers: dict[object, int] = {}
    return {
        partner: np.array(
            [-1 if v in (None, "") else numbers.setdefault(v, len(numbers)) for v in values],
            dtype=np.int64,
        )
        for partner, values in truth.items()
    }
