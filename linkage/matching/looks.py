"""How much of an encoding to look at first, and what that look may lose.

Most pairs are unrelated, and part of their bits is enough to see it. A first look takes the leading
words of two encodings, five bits at a time; a *quintet* differs if at least three of its bits do.
A pair with at most so many differing quintets, the look's limit, is then compared in full.

- Of five bits the majority tells 70% as much about the distance as their number does, for a third
  of the work.
- The loss is computed, not guessed. Which bits differ is spread over an encoding at random (each
  bit comes from its own keyed hashes), so the bits that differ of a pair at `distance` are a random
  choice of that many; how many quintets they decide follows from counting.
- It grows with the distance, so bounding it at the cut bounds it for every pair within the cut.
- The cheapest look that keeps the bound is taken; where none pays, there is none.

    look = choose_look(2_048, 887, loss=0.15)
    chance_dropped(2_048, 800, look)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

QUINTET = 5
QUINTETS = 64 // QUINTET
"""Quintets in a word; its last four bits are not looked at."""
STEP = 3
"""A first look takes so many words at a time, so that its counters are loaded less often."""
LARGEST_LIMIT = 255
"""A first look counts to 255 before it stops counting; see `sliced`."""

# Nanoseconds on one core of an AMD EPYC 9004: a word of one pair in a first look, 64 bits of one
# pair compared in full, and all that follows for a pair that passed the first look. Only what they
# are to one another matters, and only for speed.
_LOOK_WORD, _WORD, _PASSED = 0.016, 0.055, 8.0
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Look:
    """A first look: of the quintets of the leading `words` words at most `limit` differ.

    Attributes:
        words: a multiple of `STEP`.
    """

    words: int
    limit: int

    @property
    def quintets(self) -> int:
        return QUINTETS * self.words

    @property
    def bits(self) -> int:
        """How many bits it looks at."""
        return QUINTET * self.quintets


def choose_look(bits: int, distance: int, *, loss: float) -> Look | None:
    """The cheapest first look that drops a pair at `distance` of `bits` with chance <= `loss`.

    Args:
        distance: the largest distance kept.

    Returns:
        None where comparing all bits at once is cheaper.
    """
    if bits % 512 or distance <= 0:
        return None
    best, cheapest = None, bits / 64 * _WORD
    for words in range(STEP, bits // 64, STEP):
        limit = _limit(bits, distance, QUINTETS * words, loss)
        if limit > LARGEST_LIMIT:
            break
        look = Look(words, limit)
        cost = _cost(look, chance_passed(look))
        if cost < cheapest:
            best, cheapest = look, cost
    return best


def lossless_look(bits: int, distance: int) -> Look | None:
    """A first look that no pair within `distance` can fail, whatever the scheme.

    A quintet that differs takes three differing bits. Whether the look pays depends on how alike
    unrelated encodings are: see `pays`.
    """
    words = bits // 64 // STEP * STEP
    limit = distance // (QUINTET // 2 + 1)
    return Look(words, limit) if bits % 512 == 0 and 0 <= limit <= LARGEST_LIMIT else None


def pays(look: Look, bits: int, passed: float) -> bool:
    """Whether a look that such a share of the pairs pass is cheaper than comparing all bits."""
    return _cost(look, passed) < bits / 64 * _WORD


def _cost(look: Look, passed: float) -> float:
    return look.words * _LOOK_WORD + passed * _PASSED


def chance_dropped(bits: int, distance: int, look: Look) -> float:
    """Chance that a first look drops a pair that differs in `distance` of `bits` bits."""
    return float(_differing(bits, distance, look.quintets)[look.limit + 1 :].sum())


def chance_passed(look: Look) -> float:
    """Chance that unrelated encodings pass a first look."""
    each = (math.comb(look.quintets, x) for x in range(look.limit + 1))
    return sum(each) / (1 << look.quintets)


def expected_loss(
    distances: npt.NDArray[np.int16], bits: int, distance: int, look: Look | None
) -> float:
    """Share of pairs like these that the first looks of all their match keys drop.

    Each pair found stands for 1 / (1 - q) pairs, q its chance to be dropped by every match key
    under which it is within the cut (Horvitz and Thompson, 1952).

    Args:
        distances: (pairs, match keys) of pairs found; negative where missing.
        distance: the largest distance kept.
    """
    if look is None or not len(distances):
        return 0.0
    # A missing key counts as one beyond the cut: it finds nobody.
    chances = np.append(_chances_dropped(bits, distance, look), np.ones(bits + 1 - distance))
    dropped = np.ones(len(distances))
    for column in distances.T:
        dropped *= chances[np.where(column < 0, bits + 1, column)]
    found = np.minimum(dropped, 1 - 1e-6)
    return float((found / (1 - found)).sum() / (1 / (1 - found)).sum())


@cache
def _chances_dropped(bits: int, distance: int, look: Look) -> npt.NDArray[np.float64]:
    """(distance + 1,) chance of being dropped at each distance, from the largest down."""
    out = np.zeros(distance + 1)
    for d in range(distance, -1, -1):
        out[d] = chance_dropped(bits, d, look)
        if out[d] < _NEGLIGIBLE:
            break
    return out


def _limit(bits: int, distance: int, quintets: int, loss: float) -> int:
    """The smallest limit of a first look that keeps to the bound."""
    above = np.cumsum(_differing(bits, distance, quintets)[::-1])[::-1]
    return int(np.argmax(np.append(above[1:], 0.0) <= loss))


@cache
def _differing(bits: int, distance: int, quintets: int) -> npt.NDArray[np.float64]:
    """(quintets + 1,) chance of each number of differing quintets.

    Were every bit to differ with the chance distance/bits of its own, the number of differing
    quintets and that of differing bits would be sums of independent parts. Their joint
    distribution, taken where exactly `distance` bits differ, is read off its characteristic
    function in the latter (a discrete Fourier transform at one point).
    """
    chance = distance / bits
    # Sixteen deviations of the number of differing bits around: what lies further out folds back.
    half = int(4 * math.sqrt(bits))
    turn = np.exp(2j * np.pi * np.arange(half + 1) / (2 * half + 1))
    weights = np.append(1.0, np.full(half, 2.0)) / (2 * half + 1)
    parts = [
        math.comb(QUINTET, k) * chance**k * (1 - chance) ** (QUINTET - k) * turn**k
        for k in range(QUINTET + 1)
    ]
    alike, differ = (
        np.cumprod([np.ones_like(turn), *[np.sum(some, axis=0)] * quintets], axis=0)
        for some in (parts[:3], parts[3:])
    )
    rest = (1 - chance + chance * turn) ** (bits - QUINTET * quintets) * turn**-distance
    joint = (differ * alike[::-1] * rest).real @ weights
    ways = np.array([_log_choose(quintets, x) for x in range(quintets + 1)])
    found = np.maximum(joint, 0.0) * np.exp(ways)
    chances: npt.NDArray[np.float64] = found / found.sum()
    return chances


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
