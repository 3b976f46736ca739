"""Points of two sides that are each other's nearest, found in blocks and by several threads."""

from __future__ import annotations

import numpy as np
import pytest

from linkage.risk import mutual
from linkage.risk.mutual import Highest, match
from linkage.risk.threads import limited


@pytest.mark.parametrize("threads", [1, 2])
def test_matches_are_those_of_one_whole_matrix(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    view = rng.standard_normal((300, 8)).astype(np.float32)
    register = view[rng.permutation(300)[:200]] + rng.normal(0, 0.5, (200, 8)).astype(np.float32)
    rows = np.sort(rng.permutation(300)[:250])
    whole = match(view, register, rows, np.random.default_rng(2))
    monkeypatch.setattr(mutual, "_BLOCK", 7)
    with limited(threads):
        parts = match(view, register, rows, np.random.default_rng(2))
    assert (parts.nearest == whole.nearest).all()
    assert (parts.mutual == whole.mutual).all()
    assert 20 < whole.mutual.sum() < 200


def test_the_highest_of_each_column_is_that_of_the_whole_whatever_the_order() -> None:
    rng = np.random.default_rng(3)
    # Values repeat: of equally high rows it is the first.
    values = rng.integers(0, 20, (50, 30)).astype(np.float32)
    highest = Highest(50, 30)
    for start in (40, 0, 20):
        highest.add(values[start : start + 20], start)
    nearest = rng.integers(0, 30, 50)
    expected = values.argmax(axis=0)[nearest] == np.arange(50)
    assert expected.any()
    assert (highest.of(nearest) == expected).all()
