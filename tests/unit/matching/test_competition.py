"""Competition against full enumeration of all matchings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from linkage.matching.competition import compete


def enumerate_all(left: list[int], right: list[int], odds: list[float]) -> tuple[list[float], ...]:
    total, each, free = 0.0, np.zeros(len(odds)), np.zeros(len(odds))
    for chosen in itertools.product([0, 1], repeat=len(odds)):
        picked = [n for n, one in enumerate(chosen) if one]
        if len({left[n] for n in picked}) < len(picked):
            continue
        if len({right[n] for n in picked}) < len(picked):
            continue
        mass = float(np.prod([odds[n] for n in picked]))
        total += mass
        each[picked] += mass
        for n in range(len(odds)):
            others = [k for k in picked if k != n]
            if all(left[k] != left[n] and right[k] != right[n] for k in others):
                free[n] += mass
    return (each / total).tolist(), (free / total).tolist()


@pytest.mark.parametrize(
    ("left", "right", "odds"),
    [
        ([0], [0], [1.0]),
        ([0, 0], [0, 1], [9.0, 3.0]),
        ([0, 0, 1], [0, 1, 1], [5.0, 2.0, 0.5]),
        ([0, 1, 1, 2], [0, 0, 1, 1], [100.0, 40.0, 0.2, 7.0]),
    ],
)
def test_exact_where_pairs_form_no_cycle(
    left: list[int], right: list[int], odds: list[float]
) -> None:
    found = compete(
        np.array(left, np.int32),
        np.array(right, np.int32),
        np.array(odds),
        left_has_one=True,
        right_has_one=True,
    )
    probability, free = enumerate_all(left, right, odds)
    assert found.probability.tolist() == pytest.approx(probability, abs=1e-4)
    assert found.free.tolist() == pytest.approx(free, abs=1e-4)


def test_no_competition_where_rows_may_have_many() -> None:
    rows = np.zeros(2, np.int32)
    found = compete(
        rows,
        np.array([0, 1], np.int32),
        np.array([9.0, 9.0]),
        left_has_one=False,
        right_has_one=True,
    )
    assert found.probability.tolist() == pytest.approx([0.9, 0.9])
