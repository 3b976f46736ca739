"""Graph matching by alignment: find the rotation that lays a view on a register.

After the unsupervised alignment of embeddings (Schaefer, Armknecht and Heng, "R+R: Revisiting graph
matching attacks on privacy-preserving record linkage", ACSAC 2024; Grave, Joulin and Berthet,
2019):

1. Start from known pairs, or, unseeded, from pairs whose profiles (`profile`) are each other's
   nearest. Other starts are soft assignments (`assignment`), which begin at either. The one that
   fits best in the end is taken.
2. The best rotation of the leading dimensions for these pairs is an orthogonal Procrustes problem.
3. Pairs that are each other's nearest under it replace them; with each round more dimensions count.

One wrong pair pulls at random, right ones pull together: 5% right pairs are enough to begin with.

- "Nearest" is by cosine, less what either point has in common with its surroundings (Conneau and
  others, 2018), so that points in the crowd are not everybody's nearest.
- Memory is linear in rows; rounds look at no more than `MOST_ROWS` rows of the view, the last
  at all.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from linkage.risk.assignment import SCHEDULES, assigned
from linkage.risk.embedding import embed
from linkage.risk.profile import profiles
from linkage.risk.threads import most
from linkage.risk.unit import unit
from linkage.risk.view import NOBODY, Floats, Register, Rows, View

DIMENSIONS = 128
MOST_ROWS = 8192
STARTS = (8, 16, 32)
GROWTH = 1.25
LAST_ROUNDS = 4
_CLEAR, _TELLING = 0.75, 2_000
"""Where so many people are somebody's nearest and the other way round, no other start is tried. Of
2,000 people and more it is half by chance, of fewer nearly all, as axes bend to so few."""
_BLOCK = 2048
_NEIGHBOURS = 10
_SAMPLE = 1024


@dataclass(frozen=True)
class Matches:
    """For each row of the view asked for, its nearest of the register.

    Attributes:
        rows: which rows of the view.
        nearest: of the register.
        mutual: whether the row is also the nearest of its nearest, among those asked for.
        score: how near; 2 at most.
    """

    rows: Rows
    nearest: Rows
    mutual: np.ndarray[tuple[int], np.dtype[np.bool_]]
    score: Floats

    @property
    def merit(self) -> float:
        """How well all fits: what an attacker without truth can tell a good start by."""
        return float(self.score[self.mutual].sum() / len(self.rows))


def align(
    view: View,
    register: Register,
    rng: np.random.Generator,
    *,
    told: Rows | None = None,
    persons: Rows | None = None,
) -> Rows:
    """Who of the register each row of the view is, as far as the attacker can tell.

    Args:
        told: rows of the view that are known; none leaves the start to profiles.
        persons: who of the register these are.

    Returns:
        (rows of the view,) the best guess for every row.
    """
    known = _none() if told is None or persons is None else (told, persons)
    rows = _sampled(len(view), rng, known[0])
    pairs, described = known, profiles(view, register, rng)
    if not len(known[0]):
        found = match(*described, rows, rng)
        pairs = found.rows[found.mutual], found.nearest[found.mutual]
    sides = embed(view.words, DIMENSIONS, rng), embed(register.wide, DIMENSIONS, rng)
    starts: list[tuple[tuple[Rows, Rows], int]] = [(pairs, start) for start in STARTS]
    for schedule in SCHEDULES[: 1 if len(known[0]) else None]:
        soft = assigned(sides, described, rng, known, schedule)
        starts.append((soft, DIMENSIONS))
        if len(soft[0]) > _CLEAR * max(len(register), _TELLING):
            break
    draws = rng.spawn(len(starts))
    with ThreadPoolExecutor(most()) as pool:
        tried = pool.map(
            lambda start, draw: _refine(sides, rows, start, known, draw), starts, draws
        )
        rotation, _ = max(tried, key=lambda one: one[1])
    guess = match(sides[0] @ rotation, sides[1], np.arange(len(view)), rng).nearest
    guess[known[0]] = known[1]
    return guess


def match(view: Floats, register: Floats, rows: Rows, rng: np.random.Generator) -> Matches:
    """The nearest of the register for each of some rows of the view, block by block."""
    here, there = unit(view[rows]), unit(register)
    crowd_here = _crowding(here, there, rng)
    crowd_there = _crowding(there, here, rng)
    nearest = np.empty(len(here), np.int64)
    score = np.empty(len(here), np.float32)
    best = np.full(len(there), -np.inf, np.float32)
    row_of = np.full(len(there), NOBODY)
    for start in range(0, len(here), _BLOCK):
        likeness = here[start : start + _BLOCK] @ there.T
        likeness *= 2
        likeness -= crowd_there
        likeness -= crowd_here[start : start + _BLOCK, np.newaxis]
        own = likeness.argmax(axis=1)
        nearest[start : start + _BLOCK] = own
        score[start : start + _BLOCK] = likeness[np.arange(len(own)), own]
        theirs = likeness.argmax(axis=0)
        value = likeness[theirs, np.arange(len(there))]
        better = value > best
        best[better], row_of[better] = value[better], theirs[better] + start
    return Matches(rows, nearest, row_of[nearest] == np.arange(len(here)), score)


def _refine(
    sides: tuple[Floats, Floats],
    rows: Rows,
    start: tuple[tuple[Rows, Rows], int],
    known: tuple[Rows, Rows],
    rng: np.random.Generator,
) -> tuple[Floats, float]:
    """Rounds of rotation and matching, over more and more dimensions."""
    view, register = sides
    width = min(view.shape[1], register.shape[1])
    pairs, dimensions = start
    counted, last = min(dimensions, width), 0
    while True:
        left, _, right = np.linalg.svd(view[pairs[0], :counted].T @ register[pairs[1], :counted])
        turned = view[:, :counted] @ (left @ right)
        found = match(turned, register[:, :counted], rows, rng)
        pairs = (
            np.append(found.rows[found.mutual], known[0]),
            np.append(found.nearest[found.mutual], known[1]),
        )
        last += counted == width
        if last == LAST_ROUNDS:
            break
        counted = min(width, int(counted * GROWTH) + 1)
    rotation = np.zeros((view.shape[1], register.shape[1]), np.float32)
    rotation[:width, :width] = left @ right
    return rotation, found.merit


def _none() -> tuple[Rows, Rows]:
    return np.empty(0, np.int64), np.empty(0, np.int64)


def _sampled(rows: int, rng: np.random.Generator, told: Rows) -> Rows:
    """The rows that rounds look at; the known ones need no look."""
    every = np.setdiff1d(np.arange(rows), told)
    if len(every) <= MOST_ROWS:
        return every
    return np.sort(rng.choice(every, MOST_ROWS, replace=False))


def _crowding(points: Floats, others: Floats, rng: np.random.Generator) -> Floats:
    """Mean likeness to the nearest of a sample of the others."""
    sample = others[rng.choice(len(others), min(len(others), _SAMPLE), replace=False)].T
    kept = min(_NEIGHBOURS, sample.shape[1])
    out = np.empty(len(points), np.float32)
    for start in range(0, len(points), _BLOCK):
        likeness = points[start : start + _BLOCK] @ sample
        out[start : start + _BLOCK] = np.partition(likeness, -kept, axis=1)[:, -kept:].mean(axis=1)
    return out
