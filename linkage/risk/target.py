"""What attacks are made on, and what several of them build on: each is found once.

The alignment, graphs of nearest rows and the law's evidence take minutes of large files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from linkage.risk.alignment import Sides, align
from linkage.risk.bylaw import Evidence
from linkage.risk.graph import neighbours
from linkage.risk.view import Register, Rows, Trial, View

KNOWN_SHARE = 0.05
"""Of the people, whom attackers with known pairs are told; the law's know more."""
MOST_ASKED = 2_000
"""Of the people who are not known, so many are asked about by the law: its memory is bounded."""


@dataclass(frozen=True)
class Round:
    """The comparison round that a manifest asks for.

    Attributes:
        fields: per field that is compared (rows of the view, tokens).
        quota: pairs per row and run.
        runs: how many runs agents answer.
    """

    fields: Sequence[sp.csr_matrix]
    quota: int
    runs: int


class Target:
    """Encodings under attack; view and register hold the same people.

    Args:
        trial: of one match key, or of all side by side.
        keys: of each match key by itself, each with its law, where the scheme has one.
        asked: the comparison round, where there is one.
        told: how many people the law's attacker knows.
        repeated: the same before equal values are taken once, where encodings repeat; its truth
            says of each row the first of the register with the same values.
        plain: whether the encodings are plain Bloom filters.
    """

    def __init__(
        self,
        trial: Trial,
        rng: np.random.Generator,
        *,
        keys: Sequence[Trial] = (),
        asked: Round | None = None,
        told: int = 0,
        repeated: Trial | None = None,
        plain: bool = False,
    ) -> None:
        self.trial = trial
        self.rng = rng
        self.keys = tuple(keys)
        self.asked = asked
        self.told = told
        self.repeated = repeated
        self.plain = plain

    def __len__(self) -> int:
        return len(self.trial.view)

    def first(self, rows: int) -> Target:
        """The same with fewer people, for attacks that need no law."""
        if len(self) <= rows:
            return self
        asked = self.asked
        people, truth = np.unique(self.trial.truth[:rows], return_inverse=True)
        own = self.trial.register
        register = Register(own.words[people], own.again[people], own.tokens[people])
        return Target(
            Trial(View(self.trial.view.words[:rows]), register, truth),
            self.rng,
            asked=asked and Round([f[:rows] for f in asked.fields], asked.quota, asked.runs),
        )

    @cached_property
    def known(self) -> tuple[Rows, Rows]:
        """Rows that the law's attackers know, and rows that these are asked about."""
        rows = self.rng.permutation(len(self))
        return np.sort(rows[: self.told]), np.sort(rows[self.told :][:MOST_ASKED])

    @cached_property
    def others(self) -> Rows:
        """Rows that the law's attackers are not asked about."""
        return np.setdiff1d(np.arange(len(self)), self.known[1])

    @cached_property
    def law(self) -> Evidence:
        told, asked = self.known
        return Evidence.of(self.keys, told, self.trial.truth[told], asked)

    @property
    def counted(self) -> Trial:
        """What attacks that count are made on: repeats and all, where there are any."""
        return self.trial if self.repeated is None else self.repeated

    @cached_property
    def aligned(self) -> Rows:
        return align(self.sides, self.rng)

    @cached_property
    def sides(self) -> Sides:
        return Sides.of(self.trial.view, self.trial.register, self.rng)

    @cached_property
    def graphs(self) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        return neighbours(self.trial.view), neighbours(self.trial.register.wide)

    @cached_property
    def seeds(self) -> Rows:
        """Rows whose person the attackers with known pairs are told; the law's knows others."""
        return self.trial.known(KNOWN_SHARE, self.rng)
