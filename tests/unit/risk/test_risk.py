"""The attacks on small made-up files: what must fall falls, what is random does not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sp

from linkage.risk import (
    HARDENINGS,
    NOBODY,
    Choices,
    Evidence,
    Law,
    Majorities,
    Outcome,
    Register,
    Repeats,
    Trial,
    View,
    by_cliques,
    by_differences,
    by_frequency,
    by_law,
    by_law_grown,
    by_network,
    by_patterns,
    bylaw,
    control_trial,
    first_of_equal,
    hardened_trial,
    judge,
    leakage,
    plain_clk,
    pooled,
    repeats,
    signature,
    unseeded,
    upper_bound,
)
from linkage.risk.alignment import Sides, align
from linkage.risk.attacks import ATTACKS
from linkage.risk.evidence import lower_bound, proven_commonest
from linkage.risk.graph import neighbours, percolate
from linkage.risk.known import by_likeness, by_tokens
from linkage.risk.target import Target
from linkage.risk.view import Floats, Rows


def _people(count: int, rng: np.random.Generator) -> sp.csr_matrix:
    """Tokens of people who share names and dates as people do: three of a skewed list each."""
    words = [rng.choice(400, 7, replace=False) for _ in range(300)]
    skew = 1 / np.arange(1, 301)
    tokens = sp.lil_matrix((count, 400), dtype=np.float32)
    for person in range(count):
        for word in rng.choice(300, 3, replace=False, p=skew / skew.sum()):
            tokens[person, words[word]] = 1
    found = tokens.toarray()
    return sp.csr_matrix(np.unique(found, axis=0)[rng.permutation(len(np.unique(found, axis=0)))])


def _codes(count: int, rng: np.random.Generator) -> sp.csr_matrix:
    """One of four tokens each: equal or not."""
    return sp.csr_matrix(np.eye(4, dtype=np.float32)[rng.integers(0, 4, count)])


def _random_words(rows: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 1 << 64, (rows, 16), dtype=np.uint64)


@pytest.fixture(scope="module")
def control() -> Trial:
    rng = np.random.default_rng(7)
    tokens = _people(1000, rng)[:800]
    order = rng.permutation(800)
    return control_trial(tokens[order], tokens, order.astype(np.int64), rng)


@pytest.fixture(scope="module")
def random() -> Trial:
    rng = np.random.default_rng(8)
    view, register, again = (_random_words(600, rng) for _ in range(3))
    tokens = sp.csr_matrix(np.eye(600, dtype=np.float32))
    return Trial(View(view), Register(register, again, tokens), rng.permutation(600))


def test_plain_bloom_filters_fall_without_known_pairs(control: Trial) -> None:
    found = unseeded(control, np.random.default_rng(1))
    assert found.rate > 0.95
    assert found.lift > 700


def test_random_encodings_withstand_every_attack(random: Trial) -> None:
    target = Target(random, np.random.default_rng(2))
    made = [a for a in ATTACKS if a.applies(target, each=False, quick=False, sampled=False)]
    for attack in made:
        assert attack(target).right <= 8, attack.name
    assert len(made) >= 7


def test_known_pairs_break_plain_bloom_filters(control: Trial) -> None:
    told = control.known(0.2, np.random.default_rng(3))
    for guess in (by_tokens(control, told), by_likeness(control, told)):
        assert judge("known", control, guess, told).rate > 0.9


def test_neighbours_vouch_for_neighbours(control: Trial) -> None:
    told = control.known(0.1, np.random.default_rng(4))
    seeds = np.full(len(control.view), NOBODY)
    seeds[told] = control.truth[told]
    found = percolate(
        neighbours(control.view.words), neighbours(control.register.words), seeds, told=told
    )
    assert judge("neighbours", control, found, told).rate > 0.3
    assert (found[told] == control.truth[told]).all()
    named = found[found >= 0]
    assert len(np.unique(named)) == len(named)


def test_nearest_neighbours_are_the_nearest() -> None:
    words = _random_words(60, np.random.default_rng(5))
    graph = neighbours(words, 59).toarray()
    distance = np.bitwise_count(words[:, None] ^ words[None]).sum(axis=2)
    np.fill_diagonal(distance, 10_000)
    for row in np.flatnonzero(graph.any(axis=1)):
        assert graph[row].argmax() == distance[row].argmin()
    assert not graph.diagonal().any()


def test_who_was_told_does_not_count() -> None:
    words = _random_words(4, np.random.default_rng(6))
    trial = Trial(
        View(words),
        Register(words, words, sp.csr_matrix(np.eye(4, dtype=np.float32))),
        np.array([0, 1, NOBODY, 3]),
    )
    found = judge("x", trial, np.array([0, 2, 2, NOBODY]), left_out=np.array([0]))
    assert (found.right, found.overlap, found.named) == (0, 2, 2)


def test_chance_is_a_guess_among_those_who_were_not_told() -> None:
    found = Outcome("x", 30, 60, 300, 500, told=200)
    assert found.lift == pytest.approx(30)
    assert found.as_json()["told"] == 200
    assert pooled([found, Outcome("x", 0, 0, 300, 500, told=100)]).told == 150


def test_bound_is_clopper_and_pearsons() -> None:
    assert upper_bound(0, 600) == pytest.approx(1 - 0.05 ** (1 / 600))
    assert upper_bound(5, 5) == 1.0
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(10, 100) == pytest.approx(0.1637, abs=1e-3)


def test_seeds_are_pooled() -> None:
    found = pooled([Outcome("x", 1, 9, 10, 100), Outcome("x", 3, 9, 10, 300)])
    assert (found.right, found.overlap, found.register, found.rate) == (4, 20, 200, 0.2)


def test_static_leakage_tells_filters_from_coins(control: Trial, random: Trial) -> None:
    rng = np.random.default_rng(9)
    coins, filters = leakage(random.view.words, rng), leakage(control.view.words, rng)
    assert 0.8 < coins.fill_deviation < 1.2
    assert 0.8 < coins.bit_skew < 1.2
    assert 0.8 < coins.co_occurrence < 1.2
    assert filters.bit_skew > 5
    assert filters.co_occurrence > 1.5


def test_a_repeated_encoding_is_found() -> None:
    words = _random_words(10, np.random.default_rng(10))
    words[:4] = words[0]
    found = repeats(words)
    assert (found.distinct, found.commonest, found.frequency_bound) == (0.7, 0.4, 0.4)


def test_the_commonest_of_many_values_proves_less() -> None:
    """Of five in a thousand that share a value a part is chance, the more the more values."""
    one, two = Repeats(1_000, 900, 8, 8), Repeats(1_000, 990, 3, 3)
    found = proven_commonest({"one": one, "two": two})
    assert found["one"] == lower_bound(8, 1_000, 1 - 0.05 / 1_890)
    assert found["one"] > 0.001 > found["two"]
    assert proven_commonest({"one": one})["one"] > found["one"]
    assert proven_commonest({}) == {}


def test_rows_join_into_signatures() -> None:
    rng = np.random.default_rng(11)
    words = np.stack([_random_words(4, rng), _random_words(4, rng)])
    words[0, 1] = words[0, 0]
    presence = np.array([[True, True, True, False], [True, True, True, True]])
    found = signature(presence, words)
    assert found == {"presence": 0.25, "shared": 0.5, "alone": 0.5}


def test_the_law_predicts_filters_from_known_pairs(control: Trial) -> None:
    law = Majorities(control.register.tokens, 1)
    register = Register(
        control.register.words, control.register.again, control.register.tokens, law
    )
    trial = Trial(control.view, register, control.truth)
    rows = np.random.default_rng(5).permutation(800)
    told, asked = np.sort(rows[:200]), np.sort(rows[200:])
    guess = by_law(Evidence.of([trial], told, trial.truth[told], asked), len(trial.view))
    assert judge("law", trial, guess, told).rate > 0.8


def test_whoever_is_named_beyond_doubt_helps_to_name_others(control: Trial) -> None:
    law = Majorities(control.register.tokens, 1)
    register = Register(
        control.register.words, control.register.again, control.register.tokens, law
    )
    trial = Trial(control.view, register, control.truth)
    rows = np.random.default_rng(5).permutation(800)
    told, asked = np.sort(rows[:40]), np.sort(rows[400:])
    others = np.setdiff1d(np.arange(800), asked)
    evidence = Evidence.of([trial], told, trial.truth[told], asked)
    guesses = by_law(evidence, len(trial.view)), by_law_grown([trial], told, asked)
    once, grown = (judge("law", trial, guess, others).right for guess in guesses)
    assert grown > once + 20, (once, grown)


@dataclass
class _Asked:
    """A law that counts for how many people it is worked out."""

    law: Law
    people: int = 0

    def __call__(self, people: Rows, others: Rows) -> Floats:
        self.people += len(people)
        return self.law(people, others)


def test_rows_are_looked_at_in_blocks_and_the_law_once(
    control: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = _Asked(Majorities(control.register.tokens, 1))
    trial = replace(control, register=replace(control.register, law=law))
    rows = np.random.default_rng(5).permutation(800)
    told, asked = np.sort(rows[:80]), np.sort(rows[400:])
    whole, in_one = by_law_grown([trial], told, asked, rounds=1), law.people
    monkeypatch.setattr(bylaw, "_BLOCK", 64)
    law.people = 0
    assert np.array_equal(by_law_grown([trial], told, asked, rounds=1), whole)
    assert law.people == in_one


def test_a_network_learns_plain_bloom_filters(control: Trial) -> None:
    told = control.known(0.4, np.random.default_rng(3))
    assert judge("network", control, by_network(control, told, 3), told).rate > 0.9


def _repeating(rng: np.random.Generator) -> Trial:
    """Plain filters of one field whose values repeat as names do."""
    words = sp.vstack([_people(400, rng)[:300]])
    skew = 1 / np.arange(3, 303)
    bearers = np.append(np.arange(300), rng.choice(300, 1500, p=skew / skew.sum()))
    register = words[bearers].tocsr()
    order = rng.permutation(len(bearers))
    filters = plain_clk(register[order], rng)
    return Trial(
        View(filters), Register(filters, filters, register), first_of_equal(register)[order]
    )


def test_patterns_name_the_values_of_plain_filters() -> None:
    trial = _repeating(np.random.default_rng(12))
    assert judge("patterns", trial, by_patterns(trial)).rate > 0.95
    assert judge("frequency", trial, by_frequency(trial)).rate > 0.05


def test_nothing_can_be_counted_where_every_encoding_is_another(random: Trial) -> None:
    for guess in (by_frequency(random), by_patterns(random)):
        assert judge("patterns", random, guess).right <= 8


@pytest.mark.parametrize(("across", "rows_of_two"), [(False, 20), (True, 36)])
def test_groups_that_are_all_compared_are_found(across: bool, rows_of_two: int) -> None:
    rng = np.random.default_rng(13)
    fields = [_codes(120, rng) for _ in range(10)]
    order = rng.permutation(120)
    words = _random_words(120, rng)
    trial = Trial(View(words), Register(words, words, fields[0]), order)
    rows, people = by_cliques(trial, [f[order] for f in fields], fields, 9, 2, rng, across=across)
    assert len(rows) == rows_of_two
    assert (people == order[rows]).mean() > 0.9


def test_names_that_are_not_equal_tell_nothing_of_a_group() -> None:
    """What two names that share letters say of two people is lost in the noise (ADR 38)."""
    rng = np.random.default_rng(13)
    fields = [_people(400, rng)[:120] for _ in range(4)]
    order = rng.permutation(120)
    words = _random_words(120, rng)
    trial = Trial(View(words), Register(words, words, fields[0]), order)
    rows, people = by_cliques(trial, [f[order] for f in fields], fields, 4, 10, rng)
    assert (people == order[rows]).mean() < 0.1


def test_the_law_of_conjunctions_is_a_product() -> None:
    # A token that stands twice in a record counts once.
    tokens = ([0, 1, 1, 0, 2, 3], [0, 3, 5, 6])
    one = sp.csr_matrix((np.ones(6, np.float32), *tokens), shape=(3, 4))
    law = Choices([one, one], [1, 2])
    people = np.arange(3)
    expected = np.array([[1, 1 / 27, 0], [1 / 27, 1, 0], [0, 0, 1]])
    assert law(people, people) == pytest.approx(expected)


def test_differences_of_plain_bloom_filters_name_people(control: Trial) -> None:
    found = judge("differences", control, by_differences(control, np.random.default_rng(6)))
    assert found.lift > 40


def test_differences_of_random_encodings_say_nothing(random: Trial) -> None:
    guess = by_differences(random, np.random.default_rng(6))
    assert judge("differences", random, guess).right <= 8


@pytest.mark.parametrize("name", sorted(HARDENINGS))
def test_broken_hardenings_fall_with_known_pairs(name: str) -> None:
    rng = np.random.default_rng(7)
    tokens = _people(1000, rng)[:800]
    trial = hardened_trial(name, tokens, tokens, np.arange(800), rng)
    told = trial.known(0.1, rng)
    guess = align(
        Sides.of(trial.view, trial.register, rng), rng, told=told, persons=trial.truth[told]
    )
    assert judge(name, trial, guess, told).rate > 0.8
