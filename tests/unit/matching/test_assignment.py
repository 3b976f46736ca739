from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from linkage.matching import ScoredPairs
from linkage.matching.assignment import assign


def scored(weight: npt.NDArray[np.float64], probability: float = 0.9) -> ScoredPairs:
    left, right = np.indices(weight.shape).reshape(2, -1).astype(np.int32)
    flat = weight.ravel().astype(np.float32)
    return ScoredPairs(left, right, flat, np.full(len(flat), probability))


def test_finds_the_best_assignment_where_truth_stands_out() -> None:
    rng = np.random.default_rng(1)
    for size in range(1, 12):
        weight = rng.uniform(0, 3, (size, size + 2))
        weight[np.arange(size), rng.permutation(size + 2)[:size]] += rng.uniform(6, 20, size)
        pairs = scored(weight)
        chosen = assign(pairs, unique_left=True, unique_right=True)
        rows, columns = linear_sum_assignment(weight, maximize=True)
        assert pairs.left[chosen].tolist() == rows.tolist()
        assert pairs.right[chosen].tolist() == columns.tolist()


def test_never_worse_than_half_the_best() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        weight = rng.uniform(0, 1, (6, 5))
        pairs = scored(weight)
        chosen = assign(pairs, unique_left=True, unique_right=True)
        best = weight[linear_sum_assignment(weight, maximize=True)].sum()
        assert pairs.weight[chosen].sum() >= best / 2


def test_a_file_with_duplicates_may_be_taken_again() -> None:
    pairs = scored(np.array([[5.0, 4.0, 3.0], [1.0, 2.0, 6.0]]))
    many = assign(pairs, unique_left=True, unique_right=False)
    assert pairs.left[many].tolist() == [0, 0, 1]
    assert pairs.right[many].tolist() == [0, 1, 2]
    assert assign(pairs, unique_left=False, unique_right=False).all()


def test_ties_go_to_the_lower_rows_and_the_hopeless_are_left_out() -> None:
    pairs = scored(np.ones((2, 2)))
    assert assign(pairs, unique_left=True, unique_right=True).tolist() == [True, False, False, True]
    assert not assign(scored(np.ones((2, 2)), 0.001), unique_left=True, unique_right=True).any()
    empty = ScoredPairs(*(np.empty(0, t) for t in (np.int32, np.int32, np.float32, np.float64)))
    assert len(assign(empty, unique_left=True, unique_right=True)) == 0
