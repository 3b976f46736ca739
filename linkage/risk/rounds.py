"""The comparison round: what a hub learns from field similarities of the pairs it asks about.

Pair-keyed answers say how alike the fields of two rows are, and nothing that could be held against
a third row (`docs/explanation/pair-keyed-comparison.md`). What is left to an attacker is the graph
of the pairs that were asked about, with a likeness per field on every edge: at most the quota of
edges per row and run. An honest hub asks about the rows that are nearest by the encodings; a
curious one may ask about any, run after run, as long as agents answer.

The attacker does the same on its register, twice under different secrets, learns which properties
of a row's edges stay, and matches rows by them; from there neighbours vouch for neighbours
(`graph`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from linkage.answers import FIELD_BITS, differing
from linkage.risk.alignment import align, match
from linkage.risk.graph import percolate
from linkage.risk.profile import Weighing, normal
from linkage.risk.unit import unit_counts
from linkage.risk.view import NOBODY, Floats, Rows, Trial, View

_SUREST = 0.2


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
    found, graphs = [], []
    for side, fields in sides:
        pairs = _pairs(side, quota, rng, near=near)
        likeness = _answers(fields, pairs, rng)
        found.append(_features(likeness))
        graphs.append(_graph(pairs, likeness))
    view, once, again = found
    weighing = Weighing.learn(once, again)
    own = weighing((once + again) * np.float32(0.5))
    guess = match(weighing(view), own, np.arange(len(trial.view)), rng)
    first = np.where(guess.mutual, guess.nearest, NOBODY)
    if encodings:
        if aligned is None:
            aligned = align(trial.view, trial.register, rng)
        sure = guess.mutual & (guess.score > np.quantile(guess.score, 1 - _SUREST))
        first = np.where(sure, guess.nearest, aligned)
    grown = percolate(graphs[0], graphs[1], first)
    return np.where(grown >= 0, grown, guess.nearest)


def _pairs(view: View, quota: int, rng: np.random.Generator, *, near: bool) -> Rows:
    """(rows, quota) whom each row is compared with."""
    count = min(quota, len(view) - 1)
    if near:
        return view.nearest(count)[1]
    steps = rng.permutation(len(view) - 1)[:count] + 1
    return (np.arange(len(view))[:, np.newaxis] + steps) % len(view)


def _answers(fields: Sequence[sp.csr_matrix], pairs: Rows, rng: np.random.Generator) -> Floats:
    """(rows, quota, fields) likenesses as pair-keyed answers show them, with their noise."""
    rows, count = pairs.shape
    out = np.empty((rows, count, len(fields)), np.float32)
    for f, field in enumerate(fields):
        tokens = unit_counts(field)
        for place in range(count):
            cosine = np.asarray(tokens.multiply(tokens[pairs[:, place]]).sum(axis=1)).ravel()
            seen = rng.binomial(FIELD_BITS, differing(cosine))
            out[:, place, f] = 1 - 2 * seen / FIELD_BITS
    return out


def _features(likeness: Floats) -> Floats:
    """What is told of a row by its edges, whoever stands at their other ends."""
    ordered = np.sort(likeness, axis=1)[:, ::-1]
    exact = (likeness > 1 - 1e-6).mean(axis=1)
    total = np.sort(likeness.mean(axis=2), axis=1)[:, ::-1]
    return normal(
        np.hstack(
            [
                ordered[:, :4].reshape(len(likeness), -1),
                likeness.mean(axis=1),
                (likeness**2).mean(axis=1),
                exact,
                total[:, :4],
            ]
        )
    )


def _graph(pairs: Rows, likeness: Floats) -> sp.csr_matrix:
    rows, count = pairs.shape
    weight = np.maximum(likeness.mean(axis=2), 0).ravel()
    start = np.arange(0, rows * count + 1, count)
    graph = sp.csr_matrix((weight, pairs.ravel(), start), shape=(rows, rows))
    graph = graph.maximum(graph.T).tocsr()
    return unit_counts(graph)
