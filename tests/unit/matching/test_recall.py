"""The estimate of missed matches against a known truth."""

from __future__ import annotations

import numpy as np

from linkage.matching import Candidates, Pairs, ScoredPairs
from linkage.matching.measure import fair_coin
from linkage.matching.recall import candidate_recall

BITS, KEYS = 1024, 6


def estimate(caught: np.ndarray, probability: float = 1.0) -> float | None:
    """From which keys caught which matches, (matches, keys) bool; pairs caught by none are cut."""
    found = caught[caught.any(axis=1)]
    rows = np.arange(len(found), dtype=np.int32)
    distances = np.where(found, 200, 512).astype(np.int16)
    pairs = Pairs(rows, rows, distances, np.zeros(len(found), np.float32))
    candidates = Candidates(
        pairs, pairs, fair_coin(caught.shape[1], BITS), BITS, 4, 0, 0, 0, 0, 3.0, BITS, 0.0
    )
    p = np.full(len(found), probability)
    scored = ScoredPairs(rows, rows, np.zeros(len(found), np.float32), p, float(p.sum()))
    return candidate_recall(candidates, scored)


def test_independent_keys_are_estimated_well() -> None:
    random = np.random.default_rng(1)
    for chance in (0.3, 0.5, 0.8):
        caught = random.random((20_000, KEYS)) < chance
        true = caught.any(axis=1).mean()
        found = estimate(caught)
        assert found is not None
        assert abs(found - true) < 0.02


def test_it_is_an_upper_bound_where_keys_depend_on_each_other() -> None:
    random = np.random.default_rng(2)
    hard = random.random(20_000) < 0.3
    caught = random.random((20_000, KEYS)) < np.where(hard, 0.1, 0.8)[:, None]
    found = estimate(caught)
    assert found is not None
    assert caught.any(axis=1).mean() - 0.005 <= found < 1


def test_nothing_can_be_said_of_one_key_or_no_match() -> None:
    assert estimate(np.ones((50, 1), bool)) is None
    assert estimate(np.ones((50, KEYS), bool), probability=0.0) is None
