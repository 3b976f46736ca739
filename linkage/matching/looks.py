"""How much of an encoding to look at first, and what that look may lose.

Most pairs are unrelated, and part of their bits is enough to see it. A first look compares the
leading words of two encodings; a pair within the look's limit is then compared in full.

- The loss is computed, not guessed. Which bits differ is spread over an encoding at random (each
  bit comes from its own keyed hashes), so among the `look` leading bits of a pair that differs in
  `distance` of all bits the number that differs is hypergeometric.
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

STEP = 4
"""A first look takes so many words at a time, so that its counters are loaded less often."""
LARGEST_LIMIT = 510
"""A first look counts to 511 before it stops counting; see `sliced`."""

# Nanoseconds on one core of an AMD EPYC 9004: 64 bits of one pair in a first look, 64 bits of one
# pair compared in full, and all that follows for a pair that passed the first look. Only what they
# are to one another matters, and only for speed.
_LOOK_WORD, _WORD, _PASSED = 0.040, 0.055, 5.5


@dataclass(frozen=True)
class Look:
    """A first look: the leading `words` words differ in at most `limit` bits.

    Attributes:
        words: a multiple of `STEP`.
    """

    words: int
    limit: int

    @property
    def bits(self) -> int:
        return 64 * self.words


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
        limit = _limit(bits, distance, 64 * words, loss)
        if limit > LARGEST_LIMIT:
            break
        cost = words * _LOOK_WORD + chance_passed(64 * words, limit) * _PASSED
        if cost < cheapest:
            best, cheapest = Look(words, limit), cost
    return best


def chance_dropped(bits: int, distance: int, look: Look) -> float:
    """Chance that a first look drops a pair that differs in `distance` of `bits` bits."""
    return float(_hypergeometric(bits, distance, look.bits)[look.limit + 1 :].sum())


def chance_passed(bits: int, limit: int) -> float:
    """Chance that unrelated encodings differ in at most `limit` of `bits` bits."""
    chances = (math.exp(_log_choose(bits, x) - bits * math.log(2)) for x in range(limit + 1))
    return math.fsum(chances)


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
    chances = np.ones(bits + 2)
    chances[: distance + 1] = [chance_dropped(bits, d, look) for d in range(distance + 1)]
    # A missing key counts as one beyond the cut: it finds nobody.
    dropped = np.ones(len(distances))
    for column in distances.T:
        dropped *= chances[np.where(column < 0, bits + 1, column)]
    found = np.minimum(dropped, 1 - 1e-6)
    return float((found / (1 - found)).sum() / (1 / (1 - found)).sum())


def _limit(bits: int, distance: int, look: int, loss: float) -> int:
    """The smallest limit of a first look that keeps to the bound."""
    above = np.cumsum(_hypergeometric(bits, distance, look)[::-1])[::-1]
    return int(np.argmax(np.append(above[1:], 0.0) <= loss))


@cache
def _hypergeometric(bits: int, distance: int, look: int) -> npt.NDArray[np.float64]:
    """(look + 1,) chance of each number of differing bits among the first `look`."""
    total = _log_choose(bits, look)
    out = np.zeros(look + 1)
    for x in range(max(0, look + distance - bits), min(look, distance) + 1):
        out[x] = math.exp(_log_choose(distance, x) + _log_choose(bits - distance, look - x) - total)
    return out


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
