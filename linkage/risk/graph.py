"""Graph matching by neighbours: whose neighbours are whose.

Each side becomes a sparse graph of every row's nearest rows. Two rows agree as far as their
neighbours are already matched to each other, weighted by how near these are; the best one-to-one
pairs are matched and vouch for their own neighbours in turn (percolation, Yartseva and Grossglauser
2013; similarity graphs of encodings, Vidanage and others 2020). It needs no geometry, so it goes on
where likenesses beyond the nearest neighbours are hidden by XORs.

- Memory is linear: rows x neighbours x neighbours while agreement is counted, block by block.
- Distances are counted over whole encodings (`nearest`); time is quadratic in rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numba import njit

from linkage.risk.nearest import nearest
from linkage.risk.view import NEIGHBOURS, NOBODY, Rows, View, Words

ROUNDS = 12
_CUT = 2.5
_BLOCK = 4096


def neighbours(encodings: View | Words, count: int = NEIGHBOURS) -> sp.csr_matrix:
    """(rows, rows): of each row the nearest others, by how many deviations they are nearer than
    rows at random; made symmetric, and each row of length 1.

    Args:
        encodings: a `View` remembers its nearest rows from one attack to the next.
    """
    words = encodings.words if isinstance(encodings, View) else encodings
    rows = len(words)
    count = min(count, rows - 1)
    distances, which = (
        encodings.nearest(count) if isinstance(encodings, View) else nearest(words, count)
    )
    mean, deviation = _at_random(words)
    weight = np.maximum((mean - distances) / deviation - _CUT, 0).astype(np.float32)
    start = np.arange(0, rows * count + 1, count)
    graph = sp.csr_matrix((weight.ravel(), which.ravel(), start), shape=(rows, rows))
    graph = graph.maximum(graph.T).tocsr()
    graph.eliminate_zeros()
    length = np.sqrt(np.asarray(graph.multiply(graph).sum(axis=1)).ravel())
    return (sp.diags(1 / np.maximum(length, 1e-9)) @ graph).tocsr().astype(np.float32)


def percolate(
    view: sp.csr_matrix,
    register: sp.csr_matrix,
    guess: Rows,
    *,
    told: Rows | None = None,
    rounds: int = ROUNDS,
) -> Rows:
    """Match by neighbours' agreement, from first guesses or known pairs.

    Args:
        guess: (rows of the view,) who of the register, or `NOBODY`.
        told: rows of which the guess is known to be right, and stays.
    """
    first = guess.copy()
    fixed = np.empty(0, np.int64) if told is None else told
    for _ in range(rounds):
        at = np.flatnonzero(guess >= 0)
        ones = np.ones(len(at), np.float32)
        matched = sp.csr_matrix((ones, (at, guess[at])), shape=(view.shape[0], register.shape[0]))
        found = _agreed(view, register, matched, fixed, first)
        if (found == guess).all():
            break
        guess = found
    return guess


def _agreed(
    view: sp.csr_matrix, register: sp.csr_matrix, matched: sp.csr_matrix, fixed: Rows, first: Rows
) -> Rows:
    """One-to-one pairs by agreement, best first."""
    reach = (matched @ register).tocsr()
    rows, persons, scores = [], [], []
    for start in range(0, view.shape[0], _BLOCK):
        agreement = (view[start : start + _BLOCK] @ reach).tocoo()
        rows.append(agreement.row.astype(np.int64) + start)
        persons.append(agreement.col.astype(np.int64))
        scores.append(agreement.data)
    row, person, score = map(np.concatenate, (rows, persons, scores))
    # A first guess stands until neighbours say otherwise.
    score = score + np.float32(0.05) * (first[row] == person)
    score[np.isin(row, fixed)] = -1
    order = np.argsort(-score, kind="stable")
    order = order[score[order] > 0]
    found = np.full(view.shape[0], NOBODY)
    found[fixed] = first[fixed]
    taken = np.zeros(register.shape[0], np.bool_)
    taken[first[fixed]] = True
    _greedy(row[order], person[order], found, taken)
    return found


def _at_random(words: Words) -> tuple[float, float]:
    """Mean and deviation of the distance of two rows at random."""
    shift = np.roll(words, max(1, len(words) // 3), axis=0)
    distance = np.bitwise_count(words ^ shift).sum(axis=1, dtype=np.int64)
    return float(np.median(distance)), float(distance.std()) + 1e-9


@njit(cache=True)  # type: ignore[untyped-decorator]
def _greedy(row: Any, person: Any, found: Any, taken: Any) -> None:
    for i in range(len(row)):
        if found[row[i]] < 0 and not taken[person[i]]:
            found[row[i]] = person[i]
            taken[person[i]] = True
