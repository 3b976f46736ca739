"""What an attacker at the hub holds, and what it is measured by.

- A `View` is what the hub has: encodings of one match key, or of several side by side. Nothing else
  of the partner's goes into an attack.
- A `Register` is what the attacker knows of people, encoded under a secret of its own: scheme and
  settings are public, the project secret is not. So distances within the register have the law of
  those within the view, whatever the scheme.
- A `Trial` adds the truth, which scores an attack and is never given to it, except as known pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from linkage.risk.nearest import nearest

if TYPE_CHECKING:
    from linkage.risk.law import Law

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

NOBODY = -1
NEIGHBOURS = 20
"""So many nearest rows are remembered from one attack to the next."""


@dataclass(frozen=True)
class View:
    """Encodings that the hub sees; `words` is (rows, words) uint64, every row present."""

    words: Words

    def __len__(self) -> int:
        return len(self.words)

    def nearest(self, count: int) -> tuple[Rows, Rows]:
        """Distances and numbers of each row's nearest others, nearest first: (rows, count)."""
        if count > NEIGHBOURS:
            return nearest(self.words, count)
        distances, which = self._nearest
        return distances[:, :count], which[:, :count]

    @cached_property
    def _nearest(self) -> tuple[Rows, Rows]:
        return nearest(self.words, min(NEIGHBOURS, len(self) - 1))


@dataclass(frozen=True)
class Register:
    """People that the attacker knows.

    Attributes:
        words: (people, words) uint64: encoded as the view is, under the attacker's own secret.
        again: the same people under another one.
        tokens: (people, vocabulary): how often each token stands in a person's record.
        law: how alike people's encodings are by the scheme's law; None where it is not known.
    """

    words: Words
    again: Words
    tokens: sp.csr_matrix
    law: Law | None = None

    def __len__(self) -> int:
        return len(self.words)

    @property
    def wide(self) -> Words:
        """Both side by side: likenesses with half the noise."""
        return np.hstack([self.words, self.again])

    @cached_property
    def views(self) -> tuple[View, View]:
        """The people as the hub would see them, under one secret and under the other."""
        return View(self.words), View(self.again)


@dataclass(frozen=True)
class Trial:
    """An attack's input and its answer.

    Attributes:
        truth: (rows of the view,) int64, which of the register each row is, or `NOBODY`.
    """

    view: View
    register: Register
    truth: Rows

    @property
    def overlap(self) -> int:
        """People who are in both."""
        return int((self.truth >= 0).sum())

    def known(self, share: float, rng: np.random.Generator) -> Rows:
        """Rows of the view whose person the attacker is told: a share of the overlap, at random."""
        both = np.flatnonzero(self.truth >= 0)
        return np.sort(rng.choice(both, round(share * len(both)), replace=False))


def bits_of(words: Words) -> Floats:
    """(rows, bits) float32, 0 or 1."""
    raw = np.ascontiguousarray(words).view(np.uint8).reshape(len(words), -1)
    return np.unpackbits(raw, axis=1, bitorder="little").astype(np.float32)


def signs(words: Words) -> Floats:
    """(rows, bits) float32: each bit as -1 or 1, every column with mean 0, rows of length near 1.

    The product of two rows is then their likeness above that of two rows at random.
    """
    bits = bits_of(words)
    bits -= bits.mean(axis=0)
    bits *= np.float32(2 / np.sqrt(bits.shape[1]))
    return bits
