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

- Memory is linear in rows; rounds look at no more than `MOST_ROWS` rows of the view, the last
  at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linkage.risk.assignment import SCHEDULES, assigned
from linkage.risk.embedding import embed
from linkage.risk.mutual import match
from linkage.risk.profile import profiles
from linkage.risk.view import Floats, Register, Rows, View

DIMENSIONS = 128
MOST_ROWS = 8192
STARTS = (8, 16, 32)
GROWTH = 1.25
LAST_ROUNDS = 4
_CLEAR, _TELLING = 0.75, 2_000
"""Where so many people are somebody's nearest and the other way round, no other start is tried. Of
2,000 people and more it is half by chance, of fewer nearly all, as axes bend to so few."""


@dataclass(frozen=True)
class Sides:
    """A view and a register as alignments take them: found once, whatever is known.

    Attributes:
        view, register: (rows, dimensions) and (people, dimensions), principal components.
        profiles: (rows, features) and (people, features), comparable as they stand.
    """

    view: Floats
    register: Floats
    profiles: tuple[Floats, Floats]

    @classmethod
    def of(cls, view: View, register: Register, rng: np.random.Generator) -> Sides:
        return cls(
            profiles=profiles(view, register, rng),
            view=embed(view.words, DIMENSIONS, rng),
            register=embed(register.wide, DIMENSIONS, rng),
        )


def align(
    sides: Sides,
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
    rows = _sampled(len(sides.view), rng, known[0])
    pairs = known
    if not len(known[0]):
        found = match(*sides.profiles, rows, rng)
        pairs = found.rows[found.mutual], found.nearest[found.mutual]
    points = sides.view, sides.register
    starts: list[tuple[tuple[Rows, Rows], int]] = [(pairs, start) for start in STARTS]
    for schedule in SCHEDULES[: 1 if len(known[0]) else None]:
        soft = assigned(points, sides.profiles, rng, known, schedule)
        starts.append((soft, DIMENSIONS))
        if len(soft[0]) > _CLEAR * max(len(sides.register), _TELLING):
            break
    tried = [_refine(points, rows, start, known, rng) for start in starts]
    rotation, _ = max(tried, key=lambda one: one[1])
    guess = match(sides.view @ rotation, sides.register, np.arange(len(sides.view)), rng).nearest
    guess[known[0]] = known[1]
    return guess


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
