"""The list of attacks: what each is called, what an attacker needs for it, and how it is run.

    for one in ATTACKS:
        if one.applies(target):
            outcome = one(target)

- A new attack is one more entry of `ATTACKS`; audits, reports and headers take it from there.
- Cheap and strong ones come first, so that an audit that may stop at the first break stops soon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from linkage.agreement.audits import Kind
from linkage.risk import known
from linkage.risk.alignment import align
from linkage.risk.bylaw import by_law, by_law_grown
from linkage.risk.cliques import by_cliques
from linkage.risk.differences import by_differences
from linkage.risk.graph import percolate
from linkage.risk.network import by_network
from linkage.risk.outcome import Outcome, judge
from linkage.risk.paired import by_known_pairs
from linkage.risk.patterns import by_frequency, by_patterns
from linkage.risk.rounds import by_round
from linkage.risk.target import Target
from linkage.risk.view import NOBODY, Rows, Trial

_GROUP = 12
"""Pairs a row in groups that a hub chooses, at most."""
_GROUPS_SECONDS = 120.0
"""Of the processor: as many groups are tried as can be in that time."""

Of = Literal["encodings", "law", "round", "repeats", "plain filters"]


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: short; it stands in reports and headers.
        how: what it does, for people who are no cryptographers.
        needs: what an attacker must have.
        kind: whether it knows no pair, knows some, or is of a hub that departs from the protocol.
        of: what it works with: encodings alone, their law too, the comparison round, encodings
            that repeat, or plain Bloom filters.
        run: guesses for the rows of the view, and rows that do not count.
        cheap: whether a quick audit makes it on each match key too.
        whole: whether it is of all match keys together only.
        slow: whether a quick audit does without it.
        most: on how many people at most.
        entire: whether it is made on whole files only: among a sample it would find more people
            than in the file, as the pairs that a hub may ask about are as many.
        tenth: whether it knows as many people as the law's attackers, though of another kind.
    """

    name: str
    how: str
    needs: str
    kind: Kind
    run: Callable[[Target], tuple[Rows, Rows | None]]
    of: Of = "encodings"
    cheap: bool = False
    whole: bool = False
    slow: bool = False
    entire: bool = False
    tenth: bool = False
    most: int = 1_000_000

    def applies(self, target: Target, *, each: bool, quick: bool, sampled: bool) -> bool:
        """Whether it is made on a target: one match key's (`each`), or all together."""
        if self.entire and sampled:
            return False
        if (self.of == "law" and not target.keys) or (self.of == "round" and target.asked is None):
            return False
        if (self.of == "repeats" and target.repeated is None) or (
            self.of == "plain filters" and not target.plain
        ):
            return False
        if (each and self.whole) or (quick and self.slow):
            return False
        return self.cheap or not (each and quick)

    def __call__(self, target: Target) -> Outcome:
        target = target.first(self.most)
        guess, left_out = self.run(target)
        if self.of in ("repeats", "plain filters"):
            return _by_value(self.name, target.counted, guess)
        return judge(self.name, target.trial, guess, left_out, told=self._told(target))

    def _told(self, target: Target) -> int:
        """Of how many people the attacker knows which encoding is theirs."""
        if self.of == "law" or self.tenth:
            return target.told
        return len(target.seeds) if self.kind == "known" else 0


def _by_value(name: str, trial: Trial, guess: Rows) -> Outcome:
    """Hold guesses of values against the truth, each value once.

    Who is named by a value that others have too is one of several; and one right guess is one
    success, not as many as people share the value, which bounds would take for that much evidence.
    """
    values, first = np.unique(trial.truth, return_index=True)
    others = np.setdiff1d(np.arange(len(guess)), first)
    return replace(judge(name, trial, guess, others), register=len(values))


def _law(target: Target) -> tuple[Rows, Rows]:
    return by_law(target.law, len(target)), target.others


def _law_grown(target: Target) -> tuple[Rows, Rows]:
    return by_law_grown(target.keys, *target.known), target.others


def _alignment_seeded(target: Target) -> tuple[Rows, Rows]:
    rows = target.seeds
    guess = align(target.sides, target.rng, told=rows, persons=target.trial.truth[rows])
    return guess, rows


def _neighbours_seeded(target: Target) -> tuple[Rows, Rows]:
    rows = target.seeds
    seeds = np.full(len(target), NOBODY)
    seeds[rows] = target.trial.truth[rows]
    return percolate(*target.graphs, seeds, told=rows), rows


def _round(target: Target, *, near: bool, encodings: bool, runs: int = 1) -> tuple[Rows, None]:
    asked = target.asked
    assert asked is not None  # noqa: S101 - `applies` says so; narrowing for the type checker
    order = np.argsort(target.trial.truth)
    guess = by_round(
        target.trial,
        asked.fields,
        [field[order] for field in asked.fields],
        asked.quota * runs,
        target.rng,
        near=near,
        encodings=encodings,
        aligned=target.aligned if encodings else None,
    )
    return guess, None


def _groups(target: Target) -> tuple[Rows, Rows]:
    asked = target.asked
    assert asked is not None  # noqa: S101 - `applies` says so; narrowing for the type checker
    order = np.argsort(target.trial.truth)
    quota = min(asked.quota * asked.runs, _GROUP)
    rows, people = by_cliques(
        target.trial,
        asked.fields,
        [field[order] for field in asked.fields],
        quota,
        len(target) // (quota + 1),
        target.rng,
        seconds=_GROUPS_SECONDS,
    )
    guess = np.full(len(target), NOBODY)
    guess[rows] = people
    return guess, np.setdiff1d(np.arange(len(target)), rows)


def _known_pairs(target: Target, *, law: bool) -> tuple[Rows, Rows]:
    asked = target.asked
    assert asked is not None  # noqa: S101 - `applies` says so; narrowing for the type checker
    people = np.argsort(target.trial.truth)
    guess = by_known_pairs(
        target.trial,
        asked.fields,
        [field[people] for field in asked.fields],
        asked.quota * asked.runs,
        *target.known,
        target.rng,
        law=target.law if law and target.keys else None,
    )
    return guess, target.others


def _network(target: Target) -> tuple[Rows, Rows]:
    seed = int(target.rng.integers(1 << 31))
    return by_network(target.trial, target.seeds, seed), target.seeds


_HUB = "the hub's disk, and a register of the people in the file"
_PAIRS = (
    "the hub's disk, a register of the people in the file, and for one person in twenty which"
    " encoding is theirs"
)
_LAW = (
    "the hub's disk, a register of the people in the file, and for one person in ten of the file"
    " which encoding is theirs, but of at most 5,000 people and of half of those attacked"
)
_COUNTS = "the hub's disk, and how often each value occurs among the people in the file"
_ACTIVE = "a hub that departs from the protocol, and a register of the people in the file"
_ACTIVE_PAIRS = (
    "a hub that departs from the protocol, a register of the people in the file, and for one person"
    " in ten of these which encoding is theirs, but of at most 5,000"
)

ATTACKS: tuple[Attack, ...] = (
    Attack(
        "law",
        "Works out from the public rules of the encoding what everybody else's must look like",
        _LAW,
        "known",
        _law,
        cheap=True,
        of="law",
    ),
    Attack(
        "law, grown",
        "The same, and whoever is named beyond doubt is learned from in turn",
        _LAW,
        "known",
        _law_grown,
        whole=True,
        slow=True,
        of="law",
    ),
    Attack(
        "known plaintext, tokens",
        "Learns from known people how each pair of letters or digits moves the encoding",
        _PAIRS,
        "known",
        lambda t: (known.by_tokens(t.trial, t.seeds), t.seeds),
        cheap=True,
        most=10_000,
    ),
    Attack(
        "known plaintext, network",
        "The same by a small neural network, which may learn what no simple rule can",
        _PAIRS,
        "known",
        _network,
        whole=True,
        slow=True,
        most=10_000,
    ),
    Attack(
        "known plaintext, likeness",
        "Learns from known people how alike others' encodings must be to theirs",
        _PAIRS,
        "known",
        lambda t: (known.by_likeness(t.trial, t.seeds), t.seeds),
        most=10_000,
    ),
    Attack(
        "frequency",
        "Takes the most frequent encoding for that of the most frequent value, and so on",
        _COUNTS,
        "unknown",
        lambda t: (by_frequency(t.counted), None),
        cheap=True,
        of="repeats",
    ),
    Attack(
        "patterns",
        "Learns from there which bits go with which pairs of letters, and reads the rest",
        _COUNTS,
        "unknown",
        lambda t: (by_patterns(t.counted), None),
        of="plain filters",
    ),
    Attack(
        "differences",
        "Compares what two nearly equal records' encodings differ in",
        _HUB,
        "unknown",
        lambda t: (by_differences(t.trial, t.rng), None),
    ),
    Attack(
        "neighbours, seeded",
        "Begins at known people and goes on to whoever is near the same ones",
        _PAIRS,
        "known",
        _neighbours_seeded,
    ),
    Attack(
        "round",
        "Uses how alike the fields of compared records are, as an honest hub sees it",
        _HUB,
        "unknown",
        lambda t: _round(t, near=True, encodings=False),
        whole=True,
        entire=True,
        of="round",
    ),
    Attack(
        "round and encodings",
        "The same, with the encodings",
        _HUB,
        "unknown",
        lambda t: _round(t, near=True, encodings=True),
        whole=True,
        entire=True,
        of="round",
    ),
    Attack(
        "round, curious hub",
        "A hub that asks about pairs of its choice in every run that agents answer",
        _ACTIVE,
        "active",
        lambda t: _round(t, near=False, encodings=False, runs=t.asked.runs if t.asked else 1),
        whole=True,
        entire=True,
        of="round",
    ),
    Attack(
        "round, groups chosen",
        "A hub that has all pairs of a group compared, and looks for the people whose fields fit",
        _ACTIVE,
        "active",
        _groups,
        whole=True,
        slow=True,
        entire=True,
        most=2_000,
        of="round",
    ),
    Attack(
        "round, known pairs",
        "A hub that has others compared with people it knows, and looks for whom the fields fit",
        _ACTIVE_PAIRS,
        "active",
        lambda t: _known_pairs(t, law=False),
        whole=True,
        entire=True,
        tenth=True,
        of="round",
    ),
    Attack(
        "round, known pairs, law",
        "The same, with what the law says of the encodings",
        _ACTIVE_PAIRS,
        "active",
        lambda t: _known_pairs(t, law=True),
        whole=True,
        entire=True,
        slow=True,
        tenth=True,
        of="round",
    ),
    Attack(
        "alignment",
        "Lays the pattern of likenesses among the encodings over that among the people",
        _HUB,
        "unknown",
        lambda t: (t.aligned, None),
    ),
    Attack(
        "neighbours",
        "Goes on from there to whoever is near the same people",
        _HUB,
        "unknown",
        lambda t: (percolate(*t.graphs, t.aligned), None),
    ),
    Attack(
        "alignment, seeded",
        "The pattern of likenesses, begun at known people",
        _PAIRS,
        "known",
        _alignment_seeded,
    ),
)
