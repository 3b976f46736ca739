"""The hub's matching as one function that reads like the protocol.

    candidates -> comparison vectors -> model -> quality report -> clusters

- Pure: arrays in, arrays out. The hub's worker runs the same steps one by one, and keeps each
  step's result so that a killed run goes on where it stopped.
- Every two partners are compared, and a partner with itself where its file is not unique.

    linkage = link([Source("health", a, True), Source("school", b, True)], scheme, matching)
    linkage.clusters.of["health"]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.agreement.manifest import Matching, Scheme
from linkage.errors import InvalidRequestError
from linkage.matching.candidates import Candidates, find_candidates
from linkage.matching.clusters import Clusters, PartnerPair, resolve
from linkage.matching.comparison import ComparisonVectors, compare
from linkage.matching.engine import Engine, LocalEngine
from linkage.matching.model import ScoredPairs, score_pairs
from linkage.matching.quality import quality_report
from linkage.matching.sources import Pairs, Rows, Source, persons_of

Judge = Callable[[Rows, Rows], npt.NDArray[np.int8]]
"""What reviewers said of pairs, given by their rows: 1 match, 0 different, -1 nothing."""


@dataclass(frozen=True)
class Linkage:
    """Everything a run finds out.

    Attributes:
        threshold: the one the clusters were made with.
    """

    candidates: Mapping[PartnerPair, Candidates]
    scored: Mapping[PartnerPair, ScoredPairs]
    report: dict[str, Any]
    threshold: float
    clusters: Clusters


def link(
    sources: Sequence[Source],
    scheme: Scheme,
    matching: Matching,
    *,
    engine: Engine | None = None,
    threshold: float | None = None,
    progress: Callable[[float], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Linkage:
    """Link any number of uploads.

    Args:
        threshold: match probability of the weakest link; None takes the recommended one.

    Raises:
        InvalidRequestError, FingerprintMismatchError: the uploads cannot be compared.
        CancelledError: `cancelled` said so.
    """
    engine = engine or LocalEngine()
    candidates: dict[PartnerPair, Candidates] = {}
    scored: dict[PartnerPair, ScoredPairs] = {}
    todo = pairs_to_compare(sources)
    for number, (left, right) in enumerate(todo):
        pair = (left.partner, right.partner)
        candidates[pair] = find_candidates(
            left,
            right,
            scheme,
            quota=matching.quota,
            look_loss=matching.look_loss,
            engine=engine,
            progress=_part(progress, number, len(todo)),
            cancelled=cancelled,
        )
        scored[pair] = score(left, right, candidates[pair], scheme)
    report = quality_report(
        sources, candidates, scored, floor=matching.threshold, precision=matching.precision
    )
    if threshold is None:
        threshold = float(report["recommended"]["threshold"])
    return Linkage(candidates, scored, report, threshold, resolve(sources, scored, threshold))


def _part(progress: Callable[[float], None], number: int, count: int) -> Callable[[float], None]:
    return lambda share: progress((number + share) / count)


def pairs_to_compare(sources: Sequence[Source]) -> list[tuple[Source, Source]]:
    """Every two partners in the given order, then each partner that may hold duplicates.

    Raises:
        InvalidRequestError: a partner stands more than once.
    """
    names = [source.partner for source in sources]
    if len(set(names)) != len(names):
        raise InvalidRequestError("a partner has more than one upload in this run")
    within = [(source, source) for source in sources if not source.unique]
    return [*combinations(sources, 2), *within]


def score(
    left: Source,
    right: Source,
    candidates: Candidates,
    scheme: Scheme,
    *,
    judge: Judge | None = None,
) -> ScoredPairs:
    """Compare the candidates on their match keys and fit the model to them.

    Args:
        judge: tells what reviewers said of pairs; see `model.score_pairs`.
    """
    keys = left.matrix.layout.match_keys
    return fit(
        left,
        right,
        candidates,
        compare(candidates.pairs, candidates.null, scheme, keys),
        compare(candidates.decoys, candidates.null, scheme, keys),
        judge,
    )


def fit(
    left: Source,
    right: Source,
    candidates: Candidates,
    vectors: ComparisonVectors,
    decoys: ComparisonVectors,
    judge: Judge | None,
) -> ScoredPairs:
    """Fit the model to candidates whose comparison vectors, and decoys', are known."""
    named = by_person(left, right, candidates)
    scored = score_pairs(
        named,
        vectors,
        decoys,
        rows_left=left.people,
        rows_right=right.people,
        unique_left=left.unique,
        unique_right=right.unique,
        same_file=left.partner == right.partner,
        labels=None if judge is None else judge(named.pairs.left, named.pairs.right),
    )
    return replace(scored, levels=vectors.levels)


def by_person(left: Source, right: Source, candidates: Candidates) -> Candidates:
    """The same candidates, named by their persons' first rows: who competes with whom."""
    triangle = left.partner == right.partner

    def renamed(pairs: Pairs) -> Pairs:
        one, other = persons_of(pairs, left.persons, right.persons, triangle=triangle)
        return replace(pairs, left=one, right=other)

    return replace(candidates, pairs=renamed(candidates.pairs), decoys=renamed(candidates.decoys))
