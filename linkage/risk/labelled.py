"""Match rows to people by what each field says on each edge: labelled assignment.

Rows that were compared form a graph whose edges bear a likelihood under every two people
(`people`). So what is believed of a row's neighbours says who the row is. Beliefs are passed along
the edges (sum-product; what a row was told by a neighbour is not told back to it), people of whom
many rows are believed count for less with each, and in the end rows are assigned one to one.

- It begins with what a row's answers say whoever its neighbours are, and needs no known pair. First
  guesses count as far as the answers bear them out.
- Of each row those people are kept as candidates who fit it best at the beginning: of few people
  everybody. More is left to chance the fewer are kept; what does not put the right person on the
  list would hardly name it.
- The last choice is the best there is where everybody is a candidate, else the most certain first.
- Memory: `MOST_ENTRIES`, and blocks of `_BLOCK` rows x people, beside what `People` holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp

from linkage.risk.passing import add_up, begin, greedy, pass_on
from linkage.risk.people import BIN, BINS, LEVEL, People
from linkage.risk.view import NOBODY, Floats, Rows

MOST_ENTRIES = 4_000_000
"""Edges x candidates, both ways; some are kept whatever the edges."""
PASSES = 10
_FEWEST, _MOST = 16, 300
_BLOCK = 1024
_TRUSTED = 0.05
"""Share of first guesses that are right, as far as is known before the answers."""
_ABSENT = 0.05
"""Share of rows whose person is not in the register, as far as is known."""
_NEVER = np.float32(-1e6)


@dataclass(frozen=True)
class Edges:
    """Pairs of rows that were compared, each once.

    Attributes:
        left, right: (edges,) rows of the view.
        seen: (edges, fields) int64, how many bits of the field's answer differ.
    """

    left: Rows
    right: Rows
    seen: Rows


def by_labels(
    edges: Edges,
    rows: int,
    people: People,
    *,
    first: Rows | None = None,
    told: Rows | None = None,
) -> Rows:
    """Guesses for every row of the view.

    Args:
        rows: of the view.
        first: (rows,) who each might be, or `NOBODY`.
        told: (rows,) who each is known to be, or `NOBODY`.

    Returns:
        (rows,) who of the register; no person twice.
    """
    nobody = np.full(rows, NOBODY)
    first, told = nobody if first is None else first, nobody if told is None else told
    slots = _Slots.of(edges, rows)
    candidates, outside = _candidates(edges, people, np.where(told >= 0, told, first), told, slots)
    known = (told >= 0)[:, np.newaxis]
    only = np.where(known & (candidates != told[:, np.newaxis]), _NEVER, np.float32(0))
    outside[told >= 0] = _NEVER
    base = np.empty((len(slots.row), candidates.shape[1]), np.float32)
    columns = BIN[slots.seen] + BINS * np.arange(slots.seen.shape[1])
    begin(people.anybody, columns, slots.row, candidates, base)
    heard, total = base.copy(), np.empty(candidates.shape, np.float32)
    guessed, trust, prior, best = candidates == first[:, np.newaxis], _TRUSTED, only, nobody
    tables = (people.ratio, people.levels, *people.tokens, LEVEL)
    for turn in range(PASSES + 1):
        bonus = np.log(max(trust, 1e-9) / (1 - trust) * len(people))
        believed = prior + np.where(guessed, np.float32(bonus), np.float32(0))
        add_up(heard, slots.start, believed, total)
        if turn:
            share = np.exp(total - logsumexp(np.column_stack([total, outside]), axis=1)[:, None])
            trust = float(share[guessed].mean()) if guessed.any() else 0.0
            trust = min(trust, 0.99)
            mass = np.bincount(candidates.ravel(), share.ravel(), len(people)).astype(np.float32)
            prior = only - np.log1p(np.maximum(mass[candidates] - share, 0))
            before, best = best, total.argmax(axis=1)
            if turn == PASSES or (before != best).mean() < 0.001:
                break
        new = np.empty_like(heard)
        pass_on(heard, total, base, outside, *slots.arrays, candidates, *tables, new)
        heard += new
        heard *= np.float32(0.5)
    return _one_to_one(candidates, total, len(people))


def fit(edges: Edges, people: People, guess: Rows) -> float:
    """How well guesses fit the answers: log-likelihood against people at random."""
    one, other = guess[edges.left], guess[edges.right]
    both = (one >= 0) & (other >= 0) & (one != other)
    found = 0.0
    for f, field in enumerate(people.fields):
        cosine = np.asarray(field[one[both]].multiply(field[other[both]]).sum(axis=1)).ravel()
        level = LEVEL[(np.clip(cosine, 0, 1) * (len(LEVEL) - 1) + 0.5).astype(np.int64)]
        found += float(np.log(people.ratio[f][edges.seen[both, f], level]).sum())
    return found


@dataclass(frozen=True)
class _Slots:
    """Both ends of every edge, in the order of the row that is told.

    Attributes:
        start: (rows + 1,) where each row's slots begin.
        row, other: (slots,) who is told, and by whom.
        back: (slots,) the slot of the same edge the other way.
        seen: (slots, fields).
    """

    start: Rows
    row: Rows
    other: Rows
    back: Rows
    seen: Rows

    @classmethod
    def of(cls, edges: Edges, rows: int) -> _Slots:
        count = len(edges.left)
        row = np.concatenate([edges.left, edges.right])
        order = np.argsort(row, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(2 * count)
        return cls(
            np.searchsorted(row[order], np.arange(rows + 1)),
            row[order],
            np.concatenate([edges.right, edges.left])[order],
            place[(order + count) % (2 * count)],
            edges.seen[order % count],
        )

    @property
    def arrays(self) -> tuple[Rows, Rows, Rows, Rows]:
        return self.row, self.other, self.back, self.seen


def _candidates(
    edges: Edges, people: People, surely: Rows, told: Rows, slots: _Slots
) -> tuple[Rows, Floats]:
    """(rows, kept) people, those who fit best first, and how well all others together fit.

    Args:
        surely: (rows,) who is a candidate whatever the answers say, or `NOBODY`.
    """
    rows, fields = len(surely), edges.seen.shape[1]
    keep = min(len(people), max(_FEWEST, min(_MOST, MOST_ENTRIES // max(1, len(slots.row)))))
    # What known neighbours say is worked out exactly; of all others it is of anybody.
    certain = told[slots.other] >= 0
    columns = BIN[slots.seen[~certain]] + BINS * np.arange(fields)
    at = (np.repeat(slots.row[~certain], fields), columns.ravel())
    said = sp.csr_matrix((np.ones(columns.size, np.float32), at), shape=(rows, fields * BINS))
    found = np.empty((rows, keep), np.int64)
    outside = np.full(rows, np.log(_ABSENT * len(people)), np.float32)
    everybody = np.arange(len(people))
    for start in range(0, rows, _BLOCK):
        stop = min(start + _BLOCK, rows)
        score = said[start:stop].toarray() @ people.anybody
        here = slice(*slots.start[[start, stop]])
        by = np.flatnonzero(certain[here]) + here.start
        if len(by):
            persons = told[slots.other[by]]
            people.against(slots.seen[by], slots.row[by] - start, persons, everybody, score)
        raised = np.flatnonzero(surely[start:stop] >= 0)
        kept = surely[start:stop][raised]
        own = score[raised, kept]
        score[raised, kept] = np.inf
        top = np.argpartition(-score, keep - 1, axis=1)[:, :keep]
        score[raised, kept] = own
        found[start:stop] = top
        if keep < len(people):
            high = score.max(axis=1, keepdims=True)
            score = np.exp(score - high)
            listed = np.take_along_axis(score, top, axis=1).sum(axis=1)
            left = high[:, 0] + np.log(np.maximum(score.sum(axis=1) - listed, 1e-6))
            outside[start:stop] = np.logaddexp(outside[start:stop], left)
    return found, outside


def _one_to_one(candidates: Rows, total: Floats, people: int) -> Rows:
    rows, kept = candidates.shape
    if kept == people:
        score = np.empty_like(total)
        np.put_along_axis(score, candidates, total, axis=1)
        found = np.full(rows, NOBODY)
        row, person = linear_sum_assignment(score, maximize=True)
        found[row] = person
        return found
    # By how much a row's belief stands out, not by how much was said of it.
    total = total - logsumexp(total, axis=1, keepdims=True)
    order = np.argsort(-total, axis=None, kind="stable")
    found, taken = np.full(rows, NOBODY), np.zeros(people, np.bool_)
    greedy(order // kept, candidates.ravel()[order], found, taken)
    return found
