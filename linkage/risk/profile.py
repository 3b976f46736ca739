"""Features of a row among its like that no secret changes, and how to weigh them.

A row's likenesses to the others say where it stands: on the edge or in the crowd, near to what sort
of rows. `features` takes moments of them, then of the moments of those that the row is like, and
again; each is a mean over many rows, so that view and register agree on it although few people are
in both.

The attacker knows how much to trust each: it encodes its register under two secrets, describes it
among two halves of itself, and sees what of the features stays. `Weighing` keeps the directions
that tell people apart better than chance moves them (a linear discriminant, one class per person).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.special import ndtri

from linkage.risk.threads import in_parts
from linkage.risk.view import Floats, Register, Rows, View, Words, signs

MOST_REFERENCES = 4096
KEPT = 48
_LEVELS = 2
_BLOCK = 512


@dataclass(frozen=True)
class Weighing:
    """Directions in feature space, scaled so that chance moves a row by 1 in each."""

    directions: Floats

    @classmethod
    def learn(cls, once: Floats, again: Floats) -> Weighing:
        """From the same people's features under two secrets and among different others."""
        noise = np.cov((once - again).astype(np.float64), rowvar=False) / 2
        noise += np.eye(len(noise)) * (1e-3 * np.trace(noise) / len(noise) + 1e-9)
        both = np.cov((once + again).astype(np.float64) / 2, rowvar=False)
        _, vectors = eigh(both, noise)
        return cls(vectors[:, ::-1][:, :KEPT].astype(np.float32))

    def __call__(self, found: Floats) -> Floats:
        return found @ self.directions


def profiles(view: View, register: Register, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """What to tell rows apart by: the view's and the register's, comparable as they stand."""
    some = rng.permutation(len(register))[: 2 * MOST_REFERENCES]
    halves = np.array_split(np.arange(len(some)), 2)
    weighing = Weighing.learn(
        features(register.words[some], halves[0]), features(register.again[some], halves[1])
    )
    theirs = _some(len(register), rng)
    own = features(register.words, theirs) + features(register.again, theirs)
    return weighing(features(view.words, _some(len(view), rng))), weighing(own * np.float32(0.5))


def _some(rows: int, rng: np.random.Generator) -> Rows:
    return np.sort(rng.permutation(rows)[:MOST_REFERENCES])


def features(words: Words, references: Rows) -> Floats:
    """(rows, features) float32, each normal over the rows.

    Args:
        references: the rows that all are compared with.
    """
    centred = signs(words)
    there = centred[references]
    scale = np.float32(1 / (there[:512] @ there[-512:].T).std())
    fill = np.bitwise_count(words).sum(axis=1, dtype=np.int64).astype(np.float32)
    length = (centred * centred).sum(axis=1)
    known = normal(np.stack([fill, length], axis=1))
    likeness = _likeness(centred, there, references, scale)
    level = np.hstack([known, normal(_means(likeness, None))])
    found = [level]
    for _ in range(_LEVELS):
        level = normal(_means(likeness, level[references]))
        found.append(level)
        level = np.hstack([known, level[:, :: max(1, level.shape[1] // 16)]])
    return np.hstack(found)


def _likeness(centred: Floats, there: Floats, references: Rows, scale: np.float32) -> Floats:
    """(rows, references): of the same row none."""
    z = np.empty((len(centred), len(there)), np.float32)

    def part(start: int, stop: int) -> None:
        np.matmul(centred[start:stop], there.T, out=z[start:stop])
        z[start:stop] *= scale

    in_parts(len(centred), _BLOCK, part)
    z[references, np.arange(len(references))] = 0
    return z


def _means(likeness: Floats, of: Floats | None) -> Floats:
    """Means over the references of functions of their likeness, times what is known of them."""
    shapes = len(_shapes(likeness[:1])) if of is None else 3 * of.shape[1]
    found = np.empty((len(likeness), shapes), np.float32)

    def part(start: int, stop: int) -> None:
        z = likeness[start:stop]
        if of is None:
            means = [shape.mean(axis=1) for shape in _shapes(z)]
            found[start:stop] = np.stack(means, axis=1)
        else:
            weighed = [z @ of, np.maximum(z - 1, 0) @ of, np.maximum(z - 2.5, 0) @ of]
            found[start:stop] = np.hstack(weighed) / likeness.shape[1]

    in_parts(len(likeness), _BLOCK, part)
    return found


def _shapes(z: Floats) -> list[Floats]:
    above = [np.maximum(z - cut, 0) for cut in (1, 2, 3, 4, 6)]
    return [z * z, z * z * z, *above, np.maximum(-z - 1, 0)]


def normal(values: Floats) -> Floats:
    ranks = values.argsort(axis=0).argsort(axis=0)
    normal: Floats = ndtri((ranks + 0.5) / len(values)).astype(np.float32)
    return normal
