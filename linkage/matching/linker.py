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

from linkage.agreement.manifest import Clk, Manifest, Matching, Scheme
from linkage.answers import Answers
from linkage.errors import InvalidRequestError
from linkage.matching.candidates import Candidates, find_candidates
from linkage.matching.clusters import Clusters, PartnerPair, resolve
from linkage.matching.comparison import ComparisonVectors, compare
from linkage.matching.engine import Engine, LocalEngine
from linkage.matching.fieldwise import compare_fields
from linkage.matching.measure import measure
from linkage.matching.model import ScoredPairs, score_pairs
from linkage.matching.quality import quality_report
from linkage.matching.requests import Asked, Entries
from linkage.matching.rounds import Known
from linkage.matching.sources import Pairs, Rows, Source, persons_of

ANSWERS_AT_ONCE = 1 << 16

Answered = Callable[[npt.NDArray[np.int64]], Answers]
Judge = Callable[[Rows, Rows], npt.NDArray[np.int8]]
"""One side's answers, by place in its list."""


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
    return _score(
        left,
        right,
        candidates,
        compare(candidates.pairs, candidates.null, scheme, keys),
        compare(candidates.decoys, candidates.null, scheme, keys),
        judge,
    )


def score_answers(
    left: Source,
    right: Source,
    candidates: Candidates,
    entries: Entries,
    answers: tuple[Answered, Answered],
    manifest: Manifest,
    *,
    known: Known | None = None,
    judge: Judge | None = None,
) -> ScoredPairs:
    """Compare the candidates field by field, as both sides answered, and fit the model to them.

    Candidates that were not asked about are left out. Memory is O(pairs x dimensions), and of the
    answers themselves `ANSWERS_AT_ONCE`.

    Args:
        entries: what was asked.
        answers: the left and the right side's; the same twice within one file.
        known: candidates that were compared before, instead of being asked about.
        judge: tells what reviewers said of pairs; see `model.score_pairs`.
    """
    dice = isinstance(manifest.scheme, Clk)
    asked = entries.decoys
    decoys = measure(left, right, asked.left, asked.right, dice=dice, null=candidates.null)
    index, vectors = entries.kept, _vectors(entries.candidates, answers, manifest)
    if known is not None and len(known.index):
        order = np.argsort(index := np.concatenate([index, known.index]))
        index = index[order]
        vectors = replace(vectors, levels=np.concatenate([vectors.levels, known.levels])[order])
    return _score(
        left,
        right,
        replace(candidates, pairs=candidates.pairs.take(index), decoys=decoys),
        vectors,
        _vectors(entries.decoys, answers, manifest),
        judge,
    )


def _score(
    left: Source,
    right: Source,
    candidates: Candidates,
    vectors: ComparisonVectors,
    decoys: ComparisonVectors,
    judge: Judge | None,
) -> ScoredPairs:
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


def _vectors(
    asked: Asked, answers: tuple[Answered, Answered], manifest: Manifest
) -> ComparisonVectors:
    left, right = answers
    parts = []
    for start in range(0, max(len(asked), 1), ANSWERS_AT_ONCE):
        these = slice(start, start + ANSWERS_AT_ONCE)
        one, other = left(asked.left_place[these]), right(asked.right_place[these])
        parts.append(compare_fields(one, other, manifest.fields, manifest.matching))
    return replace(parts[0], levels=np.concatenate([part.levels for part in parts]))


def by_person(left: Source, right: Source, candidates: Candidates) -> Candidates:
    """The same candidates, named by their persons' first rows: who competes with whom."""
    triangle = left.partner == right.partner

    def renamed(pairs: Pairs) -> Pairs:
        one, other = persons_of(pairs, left.persons, right.persons, triangle=triangle)
        return replace(pairs, left=one, right=other)

    return replace(candidates, pairs=renamed(candidates.pairs), decoys=renamed(candidates.decoys))
