"""Attacks on a made-up file and register, for `tests.bench.risk` and `tests.bench.frontier`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from linkage.agent.targets import law_of
from linkage.agreement import Manifest
from linkage.agreement.manifest import Matching
from linkage.encoding import Encoder
from linkage.risk import (
    NOBODY,
    Evidence,
    Outcome,
    Register,
    Trial,
    View,
    by_cliques,
    by_differences,
    by_known_pairs,
    by_law,
    by_law_grown,
    by_patterns,
    by_round,
    first_of_equal,
    judge,
    plain_clk,
)
from linkage.risk.alignment import Sides, align
from linkage.risk.graph import neighbours, percolate
from linkage.risk.paired import reached
from linkage.risk.view import Rows
from tests.bench.registers import Files

TOGETHER_WORDS = 64
PAIRS = Matching().quota * Matching().answer_runs
"""Of a row with one other file, by default."""
CONTROL_ROUND, CONTROL_ROUND_PAIRS = 300, 40
"""So few people are all told apart by so many answers a row; see ADR 39."""

Draw = Callable[[int], bytes]


def encode(manifest: Manifest, columns: dict[str, Any], draw: Draw = secrets.token_bytes) -> Any:
    with Encoder(manifest, draw(32), epoch=0) as encoder:
        return encoder.encode(columns, threads=2).words


def together(
    files: Files,
    manifest: Manifest,
    draw: Draw = secrets.token_bytes,
    *,
    words: int | None = TOGETHER_WORDS,
) -> Trial:
    """All match keys side by side, of each the leading bits; secrets are drawn by `draw`.

    Args:
        words: of 64 bits, in all at most; None takes every bit.
    """
    sides = []
    for columns in (files.view, files.register, files.register):
        found = encode(manifest, columns, draw)
        if words is not None:
            found = found[:, :, : max(1, words // len(found))]
        sides.append(np.ascontiguousarray(found.transpose(1, 0, 2)).reshape(len(files.truth), -1))
    register = Register(sides[1], sides[2], files.tokens()[1])
    return Trial(View(sides[0]), register, files.truth)


def each_key(files: Files, manifest: Manifest, draw: Draw = secrets.token_bytes) -> list[Trial]:
    """A trial per match key, with the scheme's law, for attacks that need no register's bits."""
    words = encode(manifest, files.view, draw)
    none = sp.csr_matrix((len(files.truth), 1))
    return [
        Trial(
            View(words[place]),
            Register(words[place], words[place], none, law_of(manifest, key, files.register)),
            files.truth,
        )
        for place, key in enumerate(manifest.match_keys)
    ]


@dataclass(frozen=True)
class Case:
    """A file and a register, encoded; what attacks share is worked out once.

    Attributes:
        trial: all match keys side by side.
    """

    files: Files
    trial: Trial
    seed: int

    @cached_property
    def aligned(self) -> Rows:
        return align(self.sides, np.random.default_rng(self.seed))

    @cached_property
    def sides(self) -> Sides:
        rng = np.random.default_rng(self.seed)
        return Sides.of(self.trial.view, self.trial.register, rng)

    @cached_property
    def fields(self) -> tuple[list[sp.csr_matrix], list[sp.csr_matrix]]:
        """The file's and the register's tokens, by field."""
        view, register = zip(
            *(self.files.tokens((f.name,)) for f in self.files.fields), strict=True
        )
        return list(view), list(register)


@dataclass(frozen=True)
class Told:
    """A file and a register of which some people are known; what attacks share is worked out once.

    Attributes:
        trials: one per match key.
        rows: of the view, whose person is known.
        ask: others, that are asked about.
    """

    files: Files
    trials: list[Trial]
    rows: Rows
    ask: Rows
    seed: int

    @classmethod
    def of(
        cls,
        files: Files,
        manifest: Manifest,
        seed: int,
        known: int,
        asked: int,
        draw: Draw = secrets.token_bytes,
    ) -> Told:
        both = np.random.default_rng(seed).permutation(np.flatnonzero(files.truth >= 0))
        rows, ask = np.sort(both[:known]), np.sort(both[known : known + asked])
        return cls(files, each_key(files, manifest, draw), rows, ask, seed)

    @cached_property
    def law(self) -> Evidence:
        return Evidence.of(self.trials, self.rows, self.trials[0].truth[self.rows], self.ask)


def graph(case: Case) -> list[Outcome]:
    """The unseeded attacks on encodings."""
    trial = case.trial
    there = neighbours(trial.register.wide)
    grown = percolate(neighbours(trial.view), there, case.aligned)
    return [judge("alignment", trial, case.aligned), judge("neighbours", trial, grown)]


def homomorphism(case: Case) -> list[Outcome]:
    guess = by_differences(case.trial, np.random.default_rng(case.seed))
    return [judge("differences", case.trial, guess)]


def rounds(case: Case, quota: int = PAIRS) -> list[Outcome]:
    """The comparison round, honest and curious, with and without the encodings."""
    asked: dict[str, dict[str, Any]] = {
        "round": {"near": True},
        "round and encodings": {"near": True, "encodings": True, "aligned": case.aligned},
        "round, random pairs": {"near": False},
    }
    return [
        judge(
            f"{name}, {quota} pairs a row",
            case.trial,
            by_round(case.trial, *case.fields, quota, np.random.default_rng(case.seed), **how),
        )
        for name, how in asked.items()
    ]


def control_round(case: Case) -> list[Outcome]:
    """Answers alone, of so many random pairs a row that they name most people."""
    pairs, rng = CONTROL_ROUND_PAIRS, np.random.default_rng(case.seed)
    guess = by_round(case.trial, *case.fields, pairs, rng, near=False)
    return [judge(f"round, {pairs} random pairs a row", case.trial, guess)]


def known_pairs(told: Told, quota: int = PAIRS) -> tuple[list[Outcome], list[Outcome]]:
    """A hub that compares others with people it knows: the answers alone, and with the law.

    Returns:
        Outcomes over all who are not known, of whom the hub reaches as many as it knows; and over
        those it reaches alone, who are named far more often.
    """
    files, rows, ask = told.files, told.rows, told.ask
    rng, first = np.random.default_rng(told.seed), told.trials[0]
    fields = zip(*(files.tokens((f.name,)) for f in files.fields), strict=True)
    view, register = map(list, fields)
    every: tuple[list[Outcome], list[Outcome]] = ([], [])
    for name, law in (("round, known pairs", None), ("round, known pairs, law", told.law)):
        guess = by_known_pairs(first, view, register, quota, rows, ask, rng, law=law)
        whom = (ask, reached(rows, ask, len(files.truth)))
        for found, those, of in zip(every, whom, ("", ", those reached"), strict=True):
            others = np.setdiff1d(np.arange(len(guess)), those)
            about = f"{name}, {len(rows)} known, {quota} pairs a row{of}"
            found.append(judge(about, first, guess, others, told=len(rows)))
    return every


def chosen(case: Case, quota: int, groups: int) -> list[Outcome]:
    """Groups of rows of which a hub has all pairs compared; some are asked about.

    Half of the groups are random, half are rows that are near each other by the encodings.
    """
    groups = min(groups, len(case.trial.view) // (2 * quota))
    rng, how = np.random.default_rng(case.seed), {"across": True, "near": groups // 2}
    rows, people = by_cliques(case.trial, *case.fields, quota, groups, rng, **how)
    guess = np.full(len(case.trial.view), NOBODY)
    guess[rows] = people
    others = np.setdiff1d(np.arange(len(guess)), rows)
    return [judge(f"round, groups chosen, {quota} pairs a row", case.trial, guess, others)]


def patterns(rows: int, seed: int) -> list[Outcome]:
    """Plain filters of surnames alone, which repeat."""
    files = Files(rows, 1.0, seed)
    view, register = files.tokens(("surname",))
    filters = plain_clk(view, np.random.default_rng(seed))
    truth = first_of_equal(register)[files.truth]
    trial = Trial(View(filters), Register(filters, filters, register), truth)
    return [judge("patterns", trial, by_patterns(trial))]


def known(told: Told, *, grown: bool = True) -> list[Outcome]:
    """Prediction by the scheme's law over all match keys; only a sample of rows is asked about."""
    first = told.trials[0]
    others = np.setdiff1d(np.arange(len(first.view)), told.ask)
    guesses = {"law": by_law(told.law, len(first.view))}
    if grown:
        guesses["law, grown"] = by_law_grown(told.trials, told.rows, told.ask)
    known = len(told.rows)
    return [
        judge(f"{name}, {known} known", first, guess, others, told=known)
        for name, guess in guesses.items()
    ]


def seeded(case: Case, share: float = 0.05) -> Outcome:
    """Alignment with some people known: with one in twenty, what hardened controls are held to."""
    trial, rng = case.trial, np.random.default_rng(case.seed)
    rows = trial.known(share, rng)
    guess = align(case.sides, rng, told=rows, persons=trial.truth[rows])
    return judge(f"alignment, {len(rows)} known", trial, guess, rows, told=len(rows))
