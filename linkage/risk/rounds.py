"""The comparison round: what a hub learns from field similarities of the pairs it asks about.

Pair-keyed answers say how alike the fields of two rows are, and nothing that could be held against
a third row (`docs/explanation/pair-keyed-comparison.md`). What is left to an attacker is the graph
of the pairs that were asked about, with a likeness per field on every edge: at most the quota of
edges per row and run. An honest hub asks about the rows that are nearest by the encodings; a
curious one may ask about any, run after run, as long as agents answer.

The attacker does the same on its register, twice under different secrets, learns which properties
of a row's edges stay, and matches rows by them; from there neighbours vouch for neighbours
(`graph`). What it found that way is a first guess for labelled assignment (`labelled`), which reads
every answer field by field; of the two it takes what fits the answers better.

A row stands in as many pairs as the quota says, as in the protocol; a pair has one answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numba import njit

from linkage.answers import FIELD_BITS, differing
from linkage.risk.alignment import Sides, align
from linkage.risk.graph import percolate
from linkage.risk.labelled import Edges, by_labels, fit
from linkage.risk.mutual import match
from linkage.risk.people import People
from linkage.risk.profile import Weighing, normal
from linkage.risk.unit import unit_counts
from linkage.risk.view import NEIGHBOURS, NOBODY, Floats, Rows, Trial, View

_SUREST = 0.2
_DECOYS = 4
"""Times that rows which have room left are paired at random, as decoys are."""


def by_round(
    trial: Trial,
    view_fields: Sequence[sp.csr_matrix],
    register_fields: Sequence[sp.csr_matrix],
    quota: int,
    rng: np.random.Generator,
    *,
    near: bool = True,
    encodings: bool = False,
    aligned: Rows | None = None,
) -> Rows:
    """Guesses for every row of the view, nothing known.

    Args:
        view_fields, register_fields: per field (rows, tokens) of the view's records, from which the
            answers are made and nothing else, and of the register's.
        quota: how many pairs per row are asked about, all runs together.
        near: ask about the nearest rows by the encodings; if not, about rows at random.
        encodings: also use what the encodings give by themselves.
        aligned: what `align` made of them, where that was done before.
    """
    sides = [
        (trial.view, view_fields),
        *((view, register_fields) for view in trial.register.views),
    ]
    asked = [_asked(side, fields, quota, rng, near=near) for side, fields in sides]
    view, once, again = (
        _features(one, len(side)) for one, (side, _) in zip(asked, sides, strict=True)
    )
    weighing = Weighing.learn(once, again)
    own = weighing((once + again) * np.float32(0.5))
    guess = match(weighing(view), own, np.arange(len(trial.view)), rng)
    first = np.where(guess.mutual, guess.nearest, NOBODY)
    if encodings:
        if aligned is None:
            aligned = align(Sides.of(trial.view, trial.register, rng), rng)
        sure = guess.mutual & (guess.score > np.quantile(guess.score, 1 - _SUREST))
        first = np.where(sure, guess.nearest, aligned)
    graphs = [_graph(one, len(side)) for one, (side, _) in zip(asked, sides, strict=True)]
    grown = percolate(graphs[0], graphs[1], first)
    grown = np.where(grown >= 0, grown, guess.nearest)
    people = People(register_fields, rng)
    found = by_labels(asked[0], len(trial.view), people, first=grown)
    return max(found, grown, key=lambda one: fit(asked[0], people, one))


def _asked(
    view: View,
    fields: Sequence[sp.csr_matrix],
    quota: int,
    rng: np.random.Generator,
    *,
    near: bool,
) -> Edges:
    """The pairs that are asked about, and their answers with their noise."""
    rows, used = len(view), np.zeros(len(view), np.int64)
    left, right = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    if near:
        # Who is nearest to many is compared with few of them: lists hold more than the quota.
        distances, which = view.nearest(min(max(NEIGHBOURS, quota), rows - 1))
        one = np.repeat(np.arange(rows), which.shape[1])
        other = which.ravel()
        order = np.argsort(distances.ravel(), kind="stable")
        kept = _claimed(one[order], other[order], quota, used)
        left.append(one[order][kept])
        right.append(other[order][kept])
    for _ in range(quota if not near else _DECOYS):
        free = rng.permutation(np.flatnonzero(used < quota))
        half = len(free) // 2
        left.append(free[:half])
        right.append(free[half : 2 * half])
        used[free[: 2 * half]] += 1
    one, other = np.concatenate(left), np.concatenate(right)
    pairs = np.unique(np.minimum(one, other) * rows + np.maximum(one, other))
    one, other = np.divmod(pairs, rows)
    seen = np.empty((len(pairs), len(fields)), np.int64)
    for f, field in enumerate(fields):
        tokens = unit_counts(field)
        cosine = np.asarray(tokens[one].multiply(tokens[other]).sum(axis=1)).ravel()
        seen[:, f] = rng.binomial(FIELD_BITS, differing(cosine))
    return Edges(one, other, seen)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _claimed(one: Any, other: Any, quota: Any, used: Any) -> Any:
    """Which pairs are asked about: the best first, each once, while both rows have room."""
    kept = np.zeros(len(one), np.bool_)
    partners = np.full((len(used), quota), -1)
    for p in range(len(one)):
        i, j = one[p], other[p]
        if used[i] < quota and used[j] < quota and not (partners[i] == j).any():
            partners[i, used[i]] = j
            partners[j, used[j]] = i
            used[i] += 1
            used[j] += 1
            kept[p] = True
    return kept


def _features(asked: Edges, rows: int) -> Floats:
    """What is told of a row by its edges, whoever stands at their other ends."""
    row = np.concatenate([asked.left, asked.right])
    order = np.argsort(row, kind="stable")
    row, place = row[order], np.tile(np.arange(len(asked.left)), 2)[order]
    count = np.bincount(row, minlength=rows)
    # (rows, most pairs, fields); a row in fewer pairs has likenesses of 0 beside its own.
    likeness = np.zeros((rows, max(int(count.max()), 4), asked.seen.shape[1]), np.float32)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    likeness[row, nth] = 1 - 2 * asked.seen[place] / np.float32(FIELD_BITS)
    ordered = np.sort(likeness, axis=1)[:, ::-1]
    exact = (likeness > 1 - 1e-6).mean(axis=1)
    total = np.sort(likeness.mean(axis=2), axis=1)[:, ::-1]
    return normal(
        np.hstack(
            [
                ordered[:, :4].reshape(rows, -1),
                likeness.mean(axis=1),
                (likeness**2).mean(axis=1),
                exact,
                total[:, :4],
            ]
        )
    )


def _graph(asked: Edges, rows: int) -> sp.csr_matrix:
    weight = np.maximum((1 - 2 * asked.seen / FIELD_BITS).mean(axis=1), 0).astype(np.float32)
    graph = sp.csr_matrix((weight, (asked.left, asked.right)), shape=(rows, rows))
    return unit_counts(graph + graph.T)
