"""Attack one match key's encodings, and the control beside them.

    found = attack("name_dob", trial, rng)
    held_to(found, Policy())

Decisions only: arrays in, figures out. What the figures mean for a file is told by
`linkage.reports.risk`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linkage.risk import known
from linkage.risk.alignment import align
from linkage.risk.graph import neighbours, percolate
from linkage.risk.leakage import Leakage, leakage
from linkage.risk.outcome import Outcome, judge
from linkage.risk.view import NOBODY, Trial

Step = Callable[[str], None]

KNOWN_SHARE = 0.05
CONTROL_FLOOR = 0.95
FEWEST = 500
"""Fewer rows say nothing: not even the control would be broken."""


@dataclass(frozen=True)
class Policy:
    """What an audit lets pass.

    Attributes:
        unknown: upper bound of the re-identification rate by attackers who know no pair.
        known: by attackers who know some.
    """

    unknown: float = 0.005
    known: float = 0.03


@dataclass(frozen=True)
class Finding:
    """What was found for one match key, or for all side by side.

    Attributes:
        told: share of the overlap that the attacks with known pairs were told.
    """

    name: str
    leakage: Leakage
    unknown: tuple[Outcome, ...]
    known: tuple[Outcome, ...]
    told: float

    def above(self, policy: Policy) -> list[Outcome]:
        """The attacks whose upper bound is above policy."""
        return [o for o in self.unknown if o.upper > policy.unknown] + [
            o for o in self.known if o.upper > policy.known
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "leakage": self.leakage.as_json(),
            "unknown": [o.as_json() for o in self.unknown],
            "known": [o.as_json() for o in self.known],
            "told": self.told,
        }


def attack(
    name: str,
    trial: Trial,
    rng: np.random.Generator,
    *,
    told: float = KNOWN_SHARE,
    step: Step = lambda text: None,
) -> Finding:
    """Every attack there is on one trial."""
    step("align")
    aligned = align(trial.view, trial.register, rng)
    step("graph")
    here, there = neighbours(trial.view), neighbours(trial.register.wide)
    unknown = (
        judge("alignment", trial, aligned),
        judge("neighbours", trial, percolate(here, there, aligned)),
    )
    step("known pairs")
    rows = trial.known(told, rng)
    persons = trial.truth[rows]
    seeds = np.full(len(trial.view), NOBODY)
    seeds[rows] = persons
    with_known = {
        "alignment, seeded": align(trial.view, trial.register, rng, told=rows, persons=persons),
        "neighbours, seeded": percolate(here, there, seeds, told=rows),
        "known plaintext, tokens": known.by_tokens(trial, rows),
        "known plaintext, likeness": known.by_likeness(trial, rows),
    }
    return Finding(
        name,
        leakage(trial.view.words, rng),
        unknown,
        tuple(judge(title, trial, guess, rows) for title, guess in with_known.items()),
        told,
    )


def unseeded(trial: Trial, rng: np.random.Generator) -> Outcome:
    """The strongest attack that knows no pair; what controls are held to."""
    return judge("alignment", trial, align(trial.view, trial.register, rng))


def worst(findings: Sequence[Finding]) -> tuple[float, float]:
    """The largest upper bounds, without and with known pairs."""
    return (
        max((o.upper for f in findings for o in f.unknown), default=0.0),
        max((o.upper for f in findings for o in f.known), default=0.0),
    )
