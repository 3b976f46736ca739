"""From both sides' answers to scored pairs: what was compared under pair keys, and the model of it.

    compared = compare_answers(plan.entries, sides, manifest)
    scored = score_compared(left, right, found, compared, manifest)

What was compared is kept, so that a run on the same uploads need not ask again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from linkage.agreement.manifest import Clk, Manifest
from linkage.answers import Answers
from linkage.matching.candidates import Candidates
from linkage.matching.comparison import ComparisonVectors
from linkage.matching.fieldwise import Levels, as_vectors, compare_fields
from linkage.matching.linker import Judge, fit
from linkage.matching.measure import measure
from linkage.matching.model import ScoredPairs
from linkage.matching.requests import Asked, Entries
from linkage.matching.rounds import Known
from linkage.matching.sources import Rows, Source

ANSWERS_AT_ONCE = 1 << 16

Answered = Callable[[npt.NDArray[np.int64]], Answers]
"""One side's answers, by place in its list."""


@dataclass(frozen=True)
class Compared:
    """What is known of candidates, and of random pairs, field by field.

    Attributes:
        index: (n,) int64, the candidates' places among all candidates, ascending.
        levels: (n, dimensions) uint8, their comparison vectors; see `fieldwise`.
        decoy_left, decoy_right: (decoys,) row numbers.
        decoy_levels: (decoys, dimensions) uint8.
    """

    index: npt.NDArray[np.int64]
    levels: Levels
    decoy_left: Rows
    decoy_right: Rows
    decoy_levels: Levels


def compare_answers(
    entries: Entries,
    answers: tuple[Answered, Answered],
    manifest: Manifest,
    *,
    known: Known | None = None,
) -> Compared:
    """Compare what was asked about field by field, as both sides answered.

    Memory is O(pairs x dimensions), and of the answers themselves `ANSWERS_AT_ONCE`.

    Args:
        entries: what was asked.
        answers: the left and the right side's; the same twice within one file.
        known: candidates that were compared before, instead of being asked about.
    """
    index, levels = entries.kept, _levels(entries.candidates, answers, manifest)
    if known is not None and len(known.index):
        order = np.argsort(index := np.concatenate([index, known.index]))
        index, levels = index[order], np.concatenate([levels, known.levels])[order]
    decoys = entries.decoys
    found = _levels(decoys, answers, manifest)
    return Compared(index, levels, decoys.left, decoys.right, found)


def score_compared(
    left: Source,
    right: Source,
    candidates: Candidates,
    compared: Compared,
    manifest: Manifest,
    *,
    judge: Judge | None = None,
) -> ScoredPairs:
    """Fit the model to the candidates that were compared; the others are left out.

    Args:
        judge: tells what reviewers said of pairs; see `model.score_pairs`.
    """
    dice = isinstance(manifest.scheme, Clk)
    rows = compared.decoy_left, compared.decoy_right
    decoys = measure(left, right, *rows, dice=dice, null=candidates.null)

    def vectors(levels: Levels) -> ComparisonVectors:
        return as_vectors(levels, manifest.fields, manifest.matching)

    return fit(
        left,
        right,
        replace(candidates, pairs=candidates.pairs.take(compared.index), decoys=decoys),
        vectors(compared.levels),
        vectors(compared.decoy_levels),
        judge,
    )


def _levels(asked: Asked, answers: tuple[Answered, Answered], manifest: Manifest) -> Levels:
    left, right = answers
    parts = []
    for start in range(0, max(len(asked), 1), ANSWERS_AT_ONCE):
        these = slice(start, start + ANSWERS_AT_ONCE)
        one, other = left(asked.left_place[these]), right(asked.right_place[these])
        parts.append(compare_fields(one, other, manifest.fields, manifest.matching).levels)
    return np.concatenate(parts)
