"""Groups of people found by what they share."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from linkage.risk import NOBODY, Register, Trial, View, by_cliques, cliques
from linkage.risk import people as of_people
from linkage.risk.people import People
from linkage.risk.sharing import Sharers
from linkage.risk.view import Rows

PEOPLE, FIELDS, VALUES = 400, 12, 64


def _fields(values: Rows) -> list[sp.csr_matrix]:
    rows = np.arange(len(values))
    ones = np.ones(len(values), np.float32)
    return [sp.csr_matrix((ones, (rows, own))) for own in values.T]


def _named(values: Rows, quota: int, groups: int, *, across: bool) -> tuple[Rows, Rows]:
    """Who the rows of some groups are, and who they were taken for."""
    rng = np.random.default_rng(2)
    order, fields = rng.permutation(len(values)), _fields(values)
    words = rng.integers(0, 1 << 63, (len(values), 2)).astype(np.uint64)
    trial = Trial(View(words), Register(words, words, fields[0]), order)
    shown = [field[order] for field in fields]
    rows, found = by_cliques(trial, shown, fields, quota, groups, rng, across=across)
    return order[rows], found


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cliques, "MOST_WHOLE", 0)
    monkeypatch.setattr(of_people, "MOST_WHOLE", 0)


@pytest.mark.parametrize("across", [False, True])
def test_rows_that_share_enough_with_each_other_are_named(across: bool) -> None:
    values = np.random.default_rng(1).integers(0, VALUES, (PEOPLE, FIELDS))
    truth, found = _named(values, 24, 3, across=across)
    assert (found == truth).mean() > 0.8
    few, guessed = _named(values, 3, 20, across=across)
    assert (guessed == few).mean() < 0.1


def test_nobody_is_named_where_nothing_is_shared() -> None:
    values = np.repeat(np.arange(PEOPLE)[:, np.newaxis], FIELDS, axis=1)
    assert (_named(values, 24, 3, across=False)[1] == NOBODY).all()


def test_who_shares_values_with_whom_is_found_in_groups() -> None:
    values = np.array([[0, 0], [0, 1], [1, 1], [0, 1], [2, 2]])
    sharers = Sharers(People(_fields(values), np.random.default_rng(0)))
    place, who = sharers.sharing(np.array([1, 4]), (0,))
    assert list(zip(place, who, strict=True)) == [(0, 0), (0, 1), (0, 3), (1, 4)]
    assert sharers.sharing(np.array([1]), (0, 1))[1].tolist() == [1, 3]
    # Six of twenty ordered pairs share the first field, two share both.
    assert sharers.bits((0,)) == pytest.approx(np.log2(25 / 6))
    assert sharers.bits((0, 1)) == pytest.approx(np.log2(25 / 2))
    assert sharers.bits(()) == 0
