"""How good a linkage is, estimated without truth, as plain values for a report.

- Precision and recall are expectations under the model's probabilities: of the links at or
  above a threshold, how many are matches; of the matches among the candidates, how many are
  links. A match that never became a candidate is unknown to both.
- Nothing here names a row, a handle or a value: counts, shares and weights only.

    report["partners"][name]           rows, unique, match_key_coverage {match key: share}
    report["pairs"]["left|right"]      of one partner pair:
        rows_left, rows_right          size of the files
        compared, survived             encodings compared; of those, within the cut
        considered, candidate_pairs    distinct pairs before and after the quota
        z_cut, look_bits, look_loss    how candidates were found (see `candidates`)
        estimated_matches              expected matches among the candidates
        overlap                        "clear", "weak" or "none": is anyone in both files?
                                       short of "clear", no threshold below 0.95 is recommended
        weight_histogram               {"edges", "pairs", "expected_matches"}, log2 odds
        model                          fitted, rounds, converged, log2 weight of each level
        ... and what `overall` has
    report["overall"]                  over all partner pairs:
        candidate_pairs, estimated_matches, overlap
        thresholds                     [{threshold, links, precision, recall, f1,
                                       precision_interval, recall_interval}]; the intervals hold
                                       the true share in 95 of 100 cases if the probabilities are
                                       right: chance alone, not the model's own error
    report["recommended"]              the row of `overall` with the largest estimated F1 (that
                                       reaches the precision aimed for, if one is); every
                                       partner pair has its own likewise, and in
                                       `at_recommended` its figures at this one
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.matching.assignment import assign
from linkage.matching.candidates import Candidates
from linkage.matching.clusters import PartnerPair
from linkage.matching.model import ScoredPairs
from linkage.matching.sources import Source

THRESHOLDS = (0.01, 0.02, *(round(0.05 * n, 2) for n in range(1, 20)), 0.98, 0.99, 0.995, 0.999)
LOWEST_RECOMMENDED = 0.25
WITHOUT_OVERLAP = 0.95
LITTLE_OVERLAP = 0.8
HARDLY_ANY_OVERLAP = 0.99
_SURE = 0.9
_NORMAL_95 = 1.96
_CLEAR_SHARE, _AMPLE_SHARE = 0.005, 0.02
# Fathers and sons of one name, and twins, pass for so many sure matches of files of 800 rows.
_CLEAR_LINKS = 10.0

Floats = npt.NDArray[np.float64]


def quality_report(
    sources: Sequence[Source],
    candidates: Mapping[PartnerPair, Candidates],
    scored: Mapping[PartnerPair, ScoredPairs],
    *,
    floor: float | None = None,
    precision: float | None = None,
) -> dict[str, Any]:
    """The report; its keys are listed in the module's text.

    Args:
        floor: the manifest's smallest threshold; none below is recommended.
        precision: what the recommended threshold aims for: the best F1 with an estimated
            precision of at least this; None for the best F1.
    """
    aim = _Aim(floor, precision)
    by_name = {source.partner: source for source in sources}
    pairs: dict[str, dict[str, Any]] = {}
    links, totals = [], []
    for (left, right), one in scored.items():
        own = _link_probabilities(one, by_name[left], by_name[right])
        links.append(own)
        mine = _Total.of(one)
        totals.append(mine)
        pairs[f"{left}|{right}"] = {
            "rows_left": by_name[left].rows,
            "rows_right": by_name[right].rows,
            **_search(candidates[left, right]),
            "weight_histogram": _histogram(one),
            "model": one.summary,
            **_summary(own, mine, _people(left, right, by_name), aim),
        }
    every = np.concatenate([*links, np.empty(0)])
    people = sum(_people(left, right, by_name) for left, right in scored)
    overall = _summary(every, sum(totals, _Total()), people, aim)
    recommended = overall.pop("recommended")
    for pair, own, mine in zip(pairs.values(), links, totals, strict=True):
        pair["at_recommended"] = _at(recommended["threshold"], own, mine)
    return {
        "recommended": recommended,
        "overall": overall,
        "pairs": pairs,
        "partners": {source.partner: _coverage(source) for source in sources},
    }


def _link_probabilities(scored: ScoredPairs, left: Source, right: Source) -> Floats:
    other = left.partner != right.partner
    chosen = assign(scored, unique_left=left.unique and other, unique_right=right.unique and other)
    return np.sort(scored.probability[chosen])[::-1]


@dataclass(frozen=True)
class _Aim:
    """What the recommended threshold is for; see `quality_report`."""

    floor: float | None
    precision: float | None

    def choose(self, grid: list[dict[str, Any]], least_threshold: float) -> float:
        lowest = max(LOWEST_RECOMMENDED, self.floor or 0.0)
        allowed = [row for row in grid if row["threshold"] >= lowest] or grid[-1:]
        if self.precision is not None:
            least = self.precision
            allowed = [row for row in allowed if row["precision"] >= least] or grid[-1:]
        best = max(allowed, key=lambda row: (row["f1"], row["threshold"]))
        return max(float(best["threshold"]), least_threshold, self.floor or 0.0)


def _people(left: str, right: str, sources: Mapping[str, Source]) -> int:
    """Persons of the smaller file."""
    return min(sources[left].people, sources[right].people)


@dataclass(frozen=True)
class _Total:
    """Candidate pairs, the matches expected among them, and the variance of their number."""

    pairs: int = 0
    matches: float = 0.0
    variance: float = 0.0

    @classmethod
    def of(cls, scored: ScoredPairs) -> _Total:
        p = scored.probability
        return cls(len(p), scored.matches, float((p * (1 - p)).sum()))

    def __add__(self, other: _Total) -> _Total:
        return _Total(
            self.pairs + other.pairs, self.matches + other.matches, self.variance + other.variance
        )


def _summary(links: Floats, total: _Total, people: int, aim: _Aim) -> dict[str, Any]:
    matches = total.matches
    overlap = _overlap(links, people)
    grid = [_at(threshold, links, total) for threshold in THRESHOLDS]
    least = WITHOUT_OVERLAP
    if overlap == "clear":
        # Where few have a partner, twins and relatives of one name are as many as the matches,
        # and too few rows with a partner are there to show it.
        least = LITTLE_OVERLAP if matches < _AMPLE_SHARE * people else 0.0
    elif matches < _CLEAR_SHARE * people:
        least = HARDLY_ANY_OVERLAP
    best = aim.choose(grid, least)
    return {
        "candidate_pairs": total.pairs,
        "estimated_matches": round(matches, 1),
        "overlap": overlap,
        "thresholds": grid,
        "recommended": _at(best, links, total),
    }


def _overlap(links: Floats, people: int) -> str:
    """Whether the most certain links add up to more than chance would give."""
    sure = float(links[links >= _SURE].sum())
    if sure >= max(_CLEAR_LINKS, _CLEAR_SHARE * people):
        return "clear"
    return "weak" if sure > 0 else "none"


def _at(threshold: float, links: Floats, total: _Total) -> dict[str, Any]:
    above = links[links >= threshold]
    true, matches = float(above.sum()), total.matches
    count = len(above)
    precision = true / count if count else 1.0
    recall = min(true / matches, 1.0) if matches else 0.0
    among = float((above * (1 - above)).sum())
    # Of a share true / (true + missed) whose two parts vary independently (delta method).
    missed, rest = max(matches - true, 0.0), max(total.variance - among, 0.0)
    spread = math.sqrt(missed**2 * among + true**2 * rest) / matches**2 if matches else 0.0
    return {
        "threshold": threshold,
        "links": count,
        "precision": round(precision, 5),
        "precision_interval": _interval(precision, math.sqrt(among) / count if count else 0.0),
        "recall": round(recall, 5),
        "recall_interval": _interval(recall, spread),
        "f1": round(2 * true / (count + matches), 5) if count + matches else 0.0,
    }


def _interval(share: float, deviation: float) -> list[float]:
    return [round(min(max(share + z * deviation, 0.0), 1.0), 5) for z in (-_NORMAL_95, _NORMAL_95)]


def _search(candidates: Candidates) -> dict[str, Any]:
    return {
        "compared": candidates.compared,
        "survived": candidates.survived,
        "considered": candidates.considered,
        "z_cut": round(candidates.z_cut, 3),
        "look_bits": candidates.look_bits,
        "look_loss": candidates.look_loss,
    }


def _histogram(scored: ScoredPairs, bins: int = 40) -> dict[str, Any]:
    if not len(scored.left):
        return {"edges": [], "pairs": [], "expected_matches": []}
    weight = scored.weight.astype(np.float64)
    low, high = float(np.floor(weight.min())), float(np.ceil(weight.max()))
    edges = np.linspace(low, max(high, low + 1), bins + 1)
    pairs, _ = np.histogram(weight, edges)
    matches, _ = np.histogram(weight, edges, weights=scored.probability)
    return {
        "edges": edges.round(3).tolist(),
        "pairs": pairs.tolist(),
        "expected_matches": matches.round(2).tolist(),
    }


def _coverage(source: Source) -> dict[str, Any]:
    presence = source.matrix.presence
    share = presence.mean(axis=1) if source.rows else np.zeros(len(presence))
    return {
        "rows": source.rows,
        "unique": source.unique,
        "match_key_coverage": {
            name: round(float(one), 4)
            for name, one in zip(source.matrix.layout.match_keys, share, strict=True)
        },
    }
