"""Attacks on the comparison round: answers that say enough name people, and noise names nobody."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from linkage.risk import NOBODY, Register, Trial, View, by_known_pairs, by_round, judge, labelled
from linkage.risk import people as of_people
from linkage.risk.labelled import by_labels, fit
from linkage.risk.paired import reached
from linkage.risk.people import People
from linkage.risk.rounds import _asked
from linkage.risk.view import Rows
from tests.bench.registers import Files

COUNT = 300

Fields = list[sp.csr_matrix]


def _trial(truth: Rows, rng: np.random.Generator) -> Trial:
    """Encodings that say nothing."""
    words = [rng.integers(0, 1 << 64, (len(truth), 16), dtype=np.uint64) for _ in range(3)]
    tokens = sp.csr_matrix((len(truth), 1))
    return Trial(View(words[0]), Register(words[1], words[2], tokens), truth)


@pytest.fixture(scope="module")
def made() -> tuple[Trial, Fields, Fields]:
    files = Files(COUNT, 1.0, 0)
    view, register = zip(*(files.tokens((f.name,)) for f in files.fields), strict=True)
    return _trial(files.truth, np.random.default_rng(1)), list(view), list(register)


def test_many_pairs_a_row_name_people_of_whom_nothing_is_known(
    made: tuple[Trial, Fields, Fields],
) -> None:
    trial, view, register = made
    guess = by_round(trial, view, register, 40, np.random.default_rng(0), near=False)
    assert judge("round", trial, guess).rate > 0.7
    again = _trial(trial.truth, np.random.default_rng(2))
    guess = by_round(again, view, register, 40, np.random.default_rng(0), near=True)
    assert judge("round", again, guess).rate > 0.7


def test_answers_about_other_people_name_nobody(made: tuple[Trial, Fields, Fields]) -> None:
    trial, view, register = made
    rng = np.random.default_rng(0)
    # Each field is of another person's: no row is anybody of the register.
    mixed = [field[rng.permutation(COUNT)] for field in view]
    guess = by_round(trial, mixed, register, 40, rng, near=False)
    assert judge("round", trial, guess).right <= 8
    told, asked = np.arange(60), np.arange(60, COUNT)
    guess = by_known_pairs(trial, mixed, register, 40, told, asked, rng)
    assert judge("round", trial, guess, told).right <= 8


def test_few_pairs_name_few_of_many(made: tuple[Trial, Fields, Fields]) -> None:
    trial, view, register = made
    guess = by_round(trial, view, register, 2, np.random.default_rng(0), near=False)
    assert judge("round", trial, guess).rate < 0.1


def test_known_rows_help_to_name_their_neighbours(made: tuple[Trial, Fields, Fields]) -> None:
    trial, view, register = made
    rng = np.random.default_rng(0)
    edges = _asked(trial.view, view, 6, rng, near=False)
    people = People(register, rng)
    told = np.full(COUNT, NOBODY)
    told[:100] = trial.truth[:100]
    found = [
        (by_labels(edges, COUNT, people, told=who)[100:] == trial.truth[100:]).mean()
        for who in (None, told)
    ]
    assert found[1] > found[0] + 0.15
    assert (by_labels(edges, COUNT, people, told=told)[:100] == told[:100]).all()


def test_of_many_people_lists_are_kept_and_likenesses_worked_out_where_needed(
    made: tuple[Trial, Fields, Fields], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, view, register = made
    edges = _asked(trial.view, view, 30, np.random.default_rng(0), near=False)
    monkeypatch.setattr(labelled, "_MOST", 60)
    whole = by_labels(edges, COUNT, People(register, np.random.default_rng(1)))
    assert (whole == trial.truth).mean() > 0.6
    assert len(np.unique(whole[whole >= 0])) == (whole >= 0).sum()
    monkeypatch.setattr(of_people, "MOST_WHOLE", 0)
    people = People(register, np.random.default_rng(1))
    assert not people.levels.size
    assert (by_labels(edges, COUNT, people) == whole).mean() > 0.98


def test_first_guesses_count_as_far_as_answers_bear_them_out(
    made: tuple[Trial, Fields, Fields],
) -> None:
    trial, view, register = made
    people = People(register, np.random.default_rng(1))
    some = np.random.default_rng(2).random(COUNT) < 0.5
    right = np.where(some, trial.truth, NOBODY)
    wrong = np.where(some, np.roll(trial.truth, 1), NOBODY)

    def named(quota: int, first: Rows | None) -> float:
        edges = _asked(trial.view, view, quota, np.random.default_rng(0), near=False)
        return float((by_labels(edges, COUNT, people, first=first) == trial.truth).mean())

    assert named(6, right) > named(6, None) + 0.3
    assert named(20, wrong) > 0.7


def test_the_truth_fits_answers_better_than_chance(made: tuple[Trial, Fields, Fields]) -> None:
    trial, view, register = made
    rng = np.random.default_rng(0)
    edges = _asked(trial.view, view, 8, rng, near=False)
    people = People(register, rng)
    assert fit(edges, people, trial.truth) > 0 > fit(edges, people, rng.permutation(COUNT))
    assert fit(edges, people, np.full(COUNT, NOBODY)) == 0


@pytest.mark.parametrize("near", [True, False])
def test_rows_stand_in_as_many_pairs_as_the_quota_says(near: bool) -> None:
    rng = np.random.default_rng(0)
    trial = _trial(rng.permutation(COUNT), rng)
    fields = [sp.csr_matrix(np.eye(COUNT, dtype=np.float32))]
    edges = _asked(trial.view, fields, 4, rng, near=near)
    ends = np.concatenate([edges.left, edges.right])
    assert np.bincount(ends, minlength=COUNT).max() == 4
    assert len(ends) > 0.98 * 4 * COUNT
    assert len(np.unique(edges.left * COUNT + edges.right)) == len(edges.left)
    assert (edges.left < edges.right).all()


def test_people_known_name_those_they_are_compared_with(
    made: tuple[Trial, Fields, Fields],
) -> None:
    trial, view, register = made
    rng = np.random.default_rng(0)
    rows = rng.permutation(COUNT)
    told, asked = np.sort(rows[:100]), np.sort(rows[100:])
    guess = by_known_pairs(trial, view, register, 30, told, asked, rng)
    targets = reached(told, asked, COUNT)
    assert len(targets) == 100
    assert (guess[targets] == trial.truth[targets]).mean() > 0.8
    # The hub learns nothing of those to whom its pairs do not extend.
    assert (np.delete(guess, targets) == NOBODY).all()
    nobody = by_known_pairs(trial, view, register, 30, told[:0], asked, rng)
    assert (nobody == NOBODY).all()


def test_a_hub_reaches_as_many_as_it_knows() -> None:
    rows = np.arange(1_000)
    assert len(reached(rows[:100], rows[100:], 1_000)) == 100
    assert len(reached(rows[:100], rows[100:550], 1_000)) == 50
    assert len(reached(rows[:700], rows[700:], 1_000)) == 300
    assert not len(reached(rows[:0], rows, 1_000))
