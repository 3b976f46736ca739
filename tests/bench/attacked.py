"""Attacks on a made-up file and register, for `tests.bench.risk` and `tests.bench.frontier`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
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
from linkage.risk.alignment import align
from linkage.risk.graph import neighbours, percolate
from linkage.risk.paired import reached
from linkage.risk.view import Rows
from tests.bench.registers import Files

TOGETHER_WORDS = 64
PAIRS = Matching().quota * Matching().answer_runs
"""Of a row with one other file, by default."""
CONTROL_ROUND, CONTROL_ROUND_PAIRS = 300, 40
"""So few people are all told apart by so many answers a row; see ADR 39."""
LAWS = {"law": by_law, "law, grown": by_law_grown}

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
        return align(self.trial.view, self.trial.register, np.random.default_rng(self.seed))

    @cached_property
    def fields(self) -> tuple[list[sp.csr_matrix], list[sp.csr_matrix]]:
        """The file's and the register's tokens, by field."""
        view, register = zip(
            *(self.files.tokens((f.name,)) for f in self.files.fields), strict=True
        )
        return list(view), list(register)


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


def known_pairs(
    files: Files, manifest: Manifest, seed: int, told: int, asked: int, quota: int = PAIRS
) -> tuple[list[Outcome], list[Outcome]]:
    """A hub that compares others with people it knows: the answers alone, and with the law.

    Returns:
        Outcomes over all who are not known, of whom the hub reaches as many as it knows; and over
        those it reaches alone, who are named far more often.
    """
    rng, trials = np.random.default_rng(seed), each_key(files, manifest)
    fields = zip(*(files.tokens((f.name,)) for f in files.fields), strict=True)
    view, register = map(list, fields)
    both = rng.permutation(np.flatnonzero(files.truth >= 0))
    rows, ask = np.sort(both[:told]), np.sort(both[told : told + asked])
    every: tuple[list[Outcome], list[Outcome]] = ([], [])
    for name, keys in (("round, known pairs", ()), ("round, known pairs, law", trials)):
        guess = by_known_pairs(trials[0], view, register, quota, rows, ask, rng, keys=keys)
        whom = (ask, reached(rows, ask, len(files.truth)))
        for found, those, of in zip(every, whom, ("", ", those reached"), strict=True):
            others = np.setdiff1d(np.arange(len(guess)), those)
            about = f"{name}, {told} known, {quota} pairs a row{of}"
            found.append(judge(about, trials[0], guess, others, told=told))
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


def known(
    files: Files,
    manifest: Manifest,
    seed: int,
    told: int,
    asked: int,
    *,
    attacks: Sequence[str] = tuple(LAWS),
    draw: Draw = secrets.token_bytes,
) -> list[Outcome]:
    """Prediction by the scheme's law over all match keys; only a sample of rows is asked about."""
    rng = np.random.default_rng(seed)
    both = rng.permutation(np.flatnonzero(files.truth >= 0))
    rows, ask = np.sort(both[:told]), np.sort(both[told : told + asked])
    trials = each_key(files, manifest, draw)
    others = np.setdiff1d(np.arange(len(files.truth)), ask)
    return [
        judge(f"{name}, {told} known", trials[0], LAWS[name](trials, rows, ask), others, told=told)
        for name in attacks
    ]


def seeded(trial: Trial, seed: int, share: float = 0.05) -> Outcome:
    """Alignment with some people known: with one in twenty, what hardened controls are held to."""
    rng = np.random.default_rng(seed)
    rows = trial.known(share, rng)
    guess = align(trial.view, trial.register, rng, told=rows, persons=trial.truth[rows])
    return judge(f"alignment, {len(rows)} known", trial, guess, rows, told=len(rows))
