"""Graph matching by soft assignment: every row is everybody to some share, and shares sharpen.

Alignment (`alignment`) begins at pairs that are each other's nearest by profile. Where few of them
are right, wrong ones pull it away. Here no pair is taken for right: the assignment is a matrix of
shares, all of it counts in the next rotation, and only slowly it cools to one person a row.

    M = view' P register            how the axes correspond under the shares P
    P = sinkhorn(exp(likeness / T)) likeness of rows to people under M and by profile

- Graduated assignment for graph matching (Gold and Rangarajan, 1996): the likeness is the gradient
  of the agreement of both sides' likeness matrices, taken by their principal components, so that no
  matrix of people by people is needed. Each step is the linear assignment problem smoothed by
  entropy (Sinkhorn, 1964; Cuturi, 2013), as in Wasserstein Procrustes (Grave, Joulin and Berthet,
  2019).
- Singular values of M say which axes are determined yet; early steps weigh axes by them.
- Memory is `_CELLS` float32, 1 GiB, whatever the number of rows: of large files a sample of the
  view's rows is assigned to the whole register.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linkage.risk.mutual import Highest
from linkage.risk.threads import in_parts
from linkage.risk.unit import unit
from linkage.risk.view import Floats, Rows

STEPS = 32


@dataclass(frozen=True)
class Schedule:
    """How an assignment cools; which does best differs from file to file.

    Attributes:
        hot: the first temperature, in likeness; the last is `_COLD`.
        trust: how much the likeness by profile counts beside that under M, at first.
    """

    hot: float
    trust: float


SCHEDULES = (Schedule(0.1, 0.3), Schedule(0.15, 0.6), Schedule(0.1, 1.0))
_COLD = 0.05
_POWER = 0.75
_SCALINGS = 8
_CELLS = 1 << 28
_BLOCK, _STRIPE = 512, 64
"""Rows that a thread works on at once; a stripe stays in the cache from one sum to the other."""


def assigned(
    sides: tuple[Floats, Floats],
    profiles: tuple[Floats, Floats],
    rng: np.random.Generator,
    known: tuple[Rows, Rows],
    schedule: Schedule,
) -> tuple[Rows, Rows]:
    """Pairs of rows and people who are each other's nearest in the end.

    Args:
        sides: (rows, dimensions) and (people, dimensions), principal components.
        profiles: (rows, features) and (people, features) that can be compared as they stand.
        known: rows of the view, and who of the register each is.

    Returns:
        Rows of the view and people, the known ones among them.
    """
    view, register = sides
    rows = np.setdiff1d(np.arange(len(view)), known[0])
    rows = np.sort(rng.permutation(rows)[: max(1, _CELLS // len(register))])
    own, theirs = unit(profiles[0])[rows], unit(profiles[1])
    near = _products(own, theirs, np.empty((len(rows), len(register)), np.float32))
    temperature, cooling = schedule.hot, (_COLD / schedule.hot) ** (1 / STEPS)
    told = view[known[0]].T @ register[known[1]]
    for step in range(STEPS):
        shared = view[rows].T @ _shares(near, temperature, register)
        left, size, right = np.linalg.svd(shared + told)
        still = 1 - step / STEPS
        here = unit(view[rows] @ (left * (size / size[0]) ** (_POWER * still)))
        there = unit(register @ right.T)
        trust = np.float32(np.sqrt(schedule.trust * still))
        near = _products(np.hstack([here, own * trust]), np.hstack([there, theirs * trust]), near)
        temperature *= cooling
    best, highest = near.argmax(axis=1), Highest(*near.shape)
    highest.add(near, 0)
    mutual = highest.of(best)
    return np.append(rows[mutual], known[0]), np.append(best[mutual], known[1])


def _products(here: Floats, there: Floats, out: Floats) -> Floats:
    """(rows, people): the products of every two, in `out`."""

    def part(start: int, stop: int) -> None:
        np.matmul(here[start:stop], there.T, out=out[start:stop])

    in_parts(len(here), _BLOCK, part)
    return out


def _shares(near: Floats, temperature: float, points: Floats) -> Floats:
    """(rows, dimensions): each row's mean of the points that it is, by its share in each.

    Every row is one person in all and every person as many rows as any other; `near` is lost.
    """

    def sharpened(start: int, stop: int) -> None:
        block = near[start:stop]
        block -= block.max(axis=1, keepdims=True)
        block *= np.float32(1 / temperature)
        np.exp(block, out=block)

    def summed(start: int, stop: int) -> None:
        rows = np.reciprocal(near[start:stop] @ people)
        sums[start // _STRIPE] = rows @ near[start:stop]

    def averaged(start: int, stop: int) -> None:
        rows = np.reciprocal(near[start:stop] @ people)
        means[start:stop] = (near[start:stop] @ weighed) * rows[:, np.newaxis]

    in_parts(len(near), _BLOCK, sharpened)
    people = np.ones(near.shape[1], np.float32)
    each = np.float32(len(near) / near.shape[1])
    sums = np.empty((-(-len(near) // _STRIPE), near.shape[1]), np.float32)
    for _ in range(_SCALINGS):
        in_parts(len(near), _STRIPE, summed)
        people = each * np.reciprocal(sums.sum(axis=0) + np.float32(1e-12))
    weighed = points * people[:, np.newaxis]
    means = np.empty((len(near), points.shape[1]), np.float32)
    in_parts(len(near), _BLOCK, averaged)
    return means
