"""The report's intervals hold what they claim to where the probabilities are right."""

from __future__ import annotations

import numpy as np
import pytest

from linkage.matching.quality import _at, _Total


@pytest.mark.parametrize("threshold", [0.3, 0.7, 0.95])
def test_intervals_cover_the_truth(threshold: float) -> None:
    random = np.random.default_rng(7)
    p = np.concatenate([random.beta(8, 0.5, 600), random.beta(0.4, 6, 1400)])
    total = _Total(len(p), float(p.sum()), float((p * (1 - p)).sum()))
    row = _at(threshold, np.sort(p)[::-1], total)
    linked = p >= threshold
    inside = {"precision": 0, "recall": 0}
    draws = 2000
    for _ in range(draws):
        match = random.random(len(p)) < p
        both = (match & linked).sum()
        for name, share in (("precision", both / linked.sum()), ("recall", both / match.sum())):
            low, high = row[f"{name}_interval"]
            inside[name] += low <= share <= high
    for name, count in inside.items():
        assert 0.93 <= count / draws <= 0.97, name


def test_nothing_linked_and_nothing_there() -> None:
    row = _at(0.5, np.empty(0), _Total())
    assert row["precision"] == 1.0
    assert row["precision_interval"] == [1.0, 1.0]
    assert row["recall_interval"] == [0.0, 0.0]


def test_certain_links_have_no_spread() -> None:
    row = _at(0.5, np.ones(50), _Total(50, 50.0, 0.0))
    assert row["precision_interval"] == [1.0, 1.0]
    assert row["recall_interval"] == [1.0, 1.0]
