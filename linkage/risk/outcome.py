"""How well an attack did: re-identified people among those it could have found.

- The rate is correct / overlap: people named rightly among those who are in both view and register
  and were not told to the attacker.
- The bound is Clopper and Pearson's, one-sided at 95%, over records and seeds together.
- Chance is one right guess per attempt at random: 1 / people in the register who are not told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta

from linkage.risk.view import Rows, Trial

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Outcome:
    """What came of an attack.

    Attributes:
        attack: its name.
        right: people named rightly.
        named: rows for which the attacker named somebody.
        overlap: people it could have named rightly.
        register: people in the register.
        told: people whose rows the attacker was told; nobody else's row is theirs.
    """

    attack: str
    right: int
    named: int
    overlap: int
    register: int
    told: int = 0

    @property
    def rate(self) -> float:
        return self.right / self.overlap if self.overlap else 0.0

    @property
    def upper(self) -> float:
        """Upper bound of the rate."""
        return upper_bound(self.right, self.overlap)

    @property
    def lift(self) -> float:
        """How many times better than chance."""
        return self.rate * (self.register - self.told)

    def as_json(self) -> dict[str, Any]:
        return {
            "attack": self.attack,
            "right": self.right,
            "named": self.named,
            "overlap": self.overlap,
            "register": self.register,
            "told": self.told,
            "rate": round(self.rate, 6),
            "upper": round(self.upper, 6),
            "lift": round(self.lift, 2),
        }


def upper_bound(right: int, of: int, confidence: float = CONFIDENCE) -> float:
    """Clopper and Pearson's one-sided upper bound of a share; 1 where nothing was tried."""
    return 1.0 if right >= of else float(beta.ppf(confidence, right + 1, of - right))


def judge(
    attack: str, trial: Trial, guess: Rows, left_out: Rows | None = None, *, told: int = 0
) -> Outcome:
    """Hold guesses against the truth.

    Args:
        guess: (rows of the view,) who of the register, or `NOBODY`.
        left_out: rows that do not count: whose person the attacker was told, or was not asked for.
        told: how many of these it was told.
    """
    counts = np.ones(len(guess), np.bool_)
    if left_out is not None:
        counts[left_out] = False
    there = counts & (trial.truth >= 0)
    return Outcome(
        attack,
        right=int((guess[there] == trial.truth[there]).sum()),
        named=int((guess[counts] >= 0).sum()),
        overlap=int(there.sum()),
        register=len(trial.register),
        told=told,
    )


def pooled(outcomes: Iterable[Outcome]) -> Outcome:
    """One attack's outcomes over several seeds as one; register and told are the means."""
    every = list(outcomes)
    return Outcome(
        every[0].attack,
        right=sum(o.right for o in every),
        named=sum(o.named for o in every),
        overlap=sum(o.overlap for o in every),
        register=round(sum(o.register for o in every) / len(every)),
        told=round(sum(o.told for o in every) / len(every)),
    )
