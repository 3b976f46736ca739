"""Share out each row's probability among the rows that compete for it.

- Given the odds of every candidate pair by itself, and that a row has at most one partner on
  a side whose file is unique, `compete` gives each pair's probability and how free its two
  rows are of other partners. "No partner" always keeps its share.
- The answer is exact where the candidate pairs form no cycles (belief propagation on the
  monomer-dimer model), close elsewhere, and does not depend on the pairs' order.
- Memory is O(pairs).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linkage.matching.sources import Floats, Rows

LARGEST_ODDS = 1e9
_NEGLIGIBLE = 1e-6
_ROUNDS = 60
_CLOSE = 1e-4


@dataclass(frozen=True)
class Shares:
    """Per pair, after competition.

    Attributes:
        probability: that the pair is a match.
        free: that neither row has another partner.
    """

    probability: Floats
    free: Floats


def compete(
    left: Rows,
    right: Rows,
    odds: Floats,
    *,
    left_has_one: bool,
    right_has_one: bool,
) -> Shares:
    """Probabilities under competition.

    Args:
        odds: of each pair, were its two rows known to have no other partner.
        left_has_one: a left row has at most one partner (the right file is unique).
        right_has_one: a right row has at most one partner (the left file is unique).
    """
    odds = np.minimum(odds, LARGEST_ODDS)
    # Most candidates claim nothing worth counting: they are not iterated upon.
    claiming = np.flatnonzero(odds > _NEGLIGIBLE)
    one, other, claimed = left[claiming], right[claiming], odds[claiming]
    from_left = np.ones(len(claiming))
    from_right = np.ones(len(claiming))
    for _ in range(_ROUNDS):
        before = from_left, from_right
        if left_has_one:
            from_left = _free(one, claimed * from_right)
        if right_has_one:
            from_right = _free(other, claimed * from_left)
        # Odd and even rounds bound the answer from both sides; their mean settles quickly.
        from_left = np.sqrt(from_left * before[0])
        from_right = np.sqrt(from_right * before[1])
        if _close(from_left, before[0]) and _close(from_right, before[1]):
            break
    free = np.ones(len(odds))
    if left_has_one:
        free /= 1 + _total(one, claimed * from_right, left)
    if right_has_one:
        free /= 1 + _total(other, claimed * from_left, right)
    free[claiming] = from_left * from_right
    neither = 1 / (1 + odds * free)
    return Shares(odds * free * neither, free * (1 + odds) * neither)


def _total(rows: Rows, claims: Floats, of: Rows) -> Floats:
    """What is claimed of each of some rows."""
    return np.bincount(rows, claims, minlength=int(of.max(initial=-1)) + 1)[of].astype(np.float64)


def _free(rows: Rows, claims: Floats) -> Floats:
    """For each pair: the chance that its row is free, seen without this pair's own claim."""
    total = np.bincount(rows, claims)[rows] if len(rows) else claims
    return 1 / (1 + np.maximum(total - claims, 0))


def _close(one: Floats, other: Floats) -> bool:
    return bool((np.abs(one - other) <= _CLOSE * one).all())


def free_pairs(
    rows_left: int,
    rows_right: int,
    matches: float,
    *,
    left_has_one: bool,
    right_has_one: bool,
    triangle: bool = False,
) -> tuple[float, float]:
    """How many pairs of rows there are, and in how many neither row has another partner."""
    if triangle:
        every = rows_left * (rows_left - 1) / 2
        return every, max(every - matches, 0.5)
    every = float(rows_left * rows_right)
    one = rows_left - matches if left_has_one else rows_left
    other = rows_right - matches if right_has_one else rows_right
    free = max(one, 0.5) * max(other, 0.5)
    return every, max(min(free, every - matches), 0.5) if matches < every else 0.5
