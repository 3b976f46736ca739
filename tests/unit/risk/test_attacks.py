"""The list of attacks, what they are made on, and what their outcomes prove together."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from linkage.agreement.audits import AuditSummary, Verdict
from linkage.risk import (
    Outcome,
    Register,
    Trial,
    View,
    attacks,
    control_trial,
    first_of_equal,
    plain_clk,
)
from linkage.risk.attacks import ATTACKS
from linkage.risk.evidence import lower_bound, proven
from linkage.risk.outcome import upper_bound
from linkage.risk.target import Round, Target

BY_NAME = {attack.name: attack for attack in ATTACKS}


def people(count: int, rng: np.random.Generator) -> sp.csr_matrix:
    return sp.csr_matrix((rng.random((count, 150)) < 0.1).astype(np.float32))


def control(count: int = 300) -> Target:
    """Plain filters, with the register in an order of its own."""
    rng = np.random.default_rng(3)
    tokens = people(count, rng)
    order = rng.permutation(count)
    trial = control_trial(tokens, tokens[order], np.argsort(order), rng)
    return Target(trial, rng, asked=Round([tokens], quota=4, runs=2), told=30)


def test_a_lower_bound_is_clopper_and_pearsons() -> None:
    # The bound p at which so many or more are found with a chance of 5%: (1 - p)^n for one.
    assert lower_bound(1, 100) == pytest.approx(1 - 0.95 ** (1 / 100))
    assert lower_bound(100, 100) == pytest.approx(0.05 ** (1 / 100))
    assert lower_bound(0, 100) == 0.0
    assert lower_bound(40, 100) < 0.4 < upper_bound(40, 100)


def test_of_many_attacks_each_proves_less() -> None:
    found = Outcome("law", 6, 500, 500, 500)
    assert proven(found, 1) == lower_bound(6, 500)
    assert proven(found, 50) == pytest.approx(lower_bound(6, 500, 0.999))


def test_chance_alone_breaks_no_policy() -> None:
    """Attackers who guess name one on average: of 500 people, 80 attacks, 0.5% allowed."""
    rng = np.random.default_rng(1)
    audits = rng.poisson(1.0, (2_000, 80)).max(axis=1)
    shown = [proven(Outcome("x", int(most), 500, 500, 500), 80) > 0.005 for most in audits]
    assert np.mean(shown) < 0.05


def test_every_attack_can_be_told_of_in_a_header() -> None:
    assert len(BY_NAME) == len(ATTACKS)
    names = tuple(BY_NAME)
    AuditSummary(tool="1", verdict=Verdict.TOO_FEW, rows=0, whole=True, skipped=0, attacks=names)
    for attack in ATTACKS:
        assert attack.how.isascii()
        assert attack.needs


def test_what_is_made_where() -> None:
    """Laws need a law, rounds a comparison round; quick audits leave slow ones to all keys."""

    def made(target: Target, *, each: bool, quick: bool, sampled: bool = False) -> set[str]:
        return {
            a.name for a in ATTACKS if a.applies(target, each=each, quick=quick, sampled=sampled)
        }

    whole = control()
    without = Target(whole.trial, whole.rng)
    every = made(whole, each=False, quick=False)
    assert every == set(BY_NAME) - {"law", "law, grown", "frequency", "patterns"}
    assert every - made(without, each=False, quick=False) == {
        "round",
        "round and encodings",
        "round, curious hub",
        "round, groups chosen",
        "round, known pairs",
        "round, known pairs, law",
    }
    assert made(whole, each=True, quick=True) == {"known plaintext, tokens"}
    slow = {"known plaintext, network", "round, groups chosen", "round, known pairs, law"}
    assert every - made(whole, each=False, quick=True) == slow
    assert every - made(whole, each=False, quick=True, sampled=True) == {
        *slow,
        "round",
        "round and encodings",
        "round, curious hub",
        "round, known pairs",
    }


def test_repeats_are_counted_before_equal_values_are_taken_once() -> None:
    """300 people of whom 40 have the same values, 20 others, and 10 others again."""
    once = control()
    rng = np.random.default_rng(4)
    bearers = np.repeat(np.arange(300), [40, 20, 10, *[1] * 297])
    order = rng.permutation(len(bearers))
    tokens = once.trial.register.tokens[bearers[order]]
    words = plain_clk(once.trial.register.tokens, rng)
    again = words[bearers[order]]
    truth = first_of_equal(tokens)[np.argsort(order)]
    repeated = Trial(View(words[bearers]), Register(again, again, tokens), truth)
    target = Target(once.trial, rng, repeated=repeated, plain=True)
    for name in ("frequency", "patterns"):
        assert BY_NAME[name].applies(target, each=False, quick=True, sampled=True)
        outcome = BY_NAME[name](target)
        assert (outcome.overlap, outcome.register) == (300, 300)
        assert 3 <= outcome.right < 30
    hardened = Target(once.trial, rng, repeated=repeated)
    assert BY_NAME["frequency"].applies(hardened, each=True, quick=True, sampled=True)
    assert not BY_NAME["patterns"].applies(hardened, each=False, quick=False, sampled=False)


def test_of_groups_as_many_are_tried_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = control(60)
    # In groups of nine: four pairs a row in each of two runs.
    assert BY_NAME["round, groups chosen"](target).overlap == 54
    monkeypatch.setattr(attacks, "_GROUPS_SECONDS", 0.0)
    assert BY_NAME["round, groups chosen"](target).overlap == 9


def test_who_departs_from_the_protocol_and_knows_pairs_is_held_against_a_guess_among_others() -> (
    None
):
    found = BY_NAME["round, known pairs"](control())
    assert (found.told, found.overlap, found.named) == (30, 270, 30)


def test_fewer_people_are_the_same_in_view_and_register() -> None:
    whole = control()
    part = whole.first(120)
    assert len(part) == len(part.trial.register) == part.trial.overlap == 120
    for row, person in enumerate(part.trial.truth):
        there = whole.trial.truth[row]
        assert (part.trial.register.words[person] == whole.trial.register.words[there]).all()
    assert whole.first(300) is whole


@pytest.mark.parametrize("name", ["known plaintext, tokens", "known plaintext, likeness"])
def test_known_pairs_break_plain_filters(name: str) -> None:
    outcome = BY_NAME[name](control())
    assert (outcome.overlap, outcome.told) == (285, 15)
    assert outcome.lift == pytest.approx(285 * outcome.rate)
    assert outcome.rate > 0.5


def test_nothing_is_proven_of_encodings_that_say_nothing() -> None:
    rng = np.random.default_rng(5)
    words = [rng.integers(0, 1 << 63, (300, 16), dtype=np.int64).astype(np.uint64) for _ in "abc"]
    register = Register(words[1], words[2], people(300, rng))
    target = Target(Trial(View(words[0]), register, rng.permutation(300)), rng)
    cheap = ("known plaintext, tokens", "known plaintext, likeness", "differences")
    found = [BY_NAME[name](target) for name in cheap]
    assert max(proven(one, len(found)) for one in found) < 0.03


@pytest.mark.parametrize("name", [a.name for a in ATTACKS if a.of == "round"])
def test_rounds_of_schemes_without_a_law_are_attacked(name: str) -> None:
    target = control(120)
    assert not target.keys
    assert BY_NAME[name].applies(target, each=False, quick=False, sampled=False)
    assert BY_NAME[name](target).overlap > 0
