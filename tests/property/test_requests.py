"""Whatever the files and the candidates: the quota is exact, and nothing is asked twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.matching.test_requests import as_set, candidates, check, joined, plan, source

SIZES = st.integers(1, 40)


@st.composite
def _pairs(draw: st.DrawFn, left: int, right: int) -> list[tuple[int, int]]:
    row = st.tuples(st.integers(0, left - 1), st.integers(0, right - 1))
    return sorted(draw(st.sets(row, max_size=80)))


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, st.integers(1, 6), st.integers(0, 2**32), st.data())
def test_between_two_files(
    left: int, right: int, quota: int, seed: int, data: st.DataObject
) -> None:
    pairs = data.draw(_pairs(left, right))
    scores = np.random.default_rng(seed).random(len(pairs))
    one, other = source("a", left), source("b", right)
    found = candidates(pairs, scores, quota=quota)
    made = plan(one, other, found, seed)
    check(made, one, other, quota=quota)
    asked = joined(made)
    assert len(set(asked)) == len(asked)
    assert as_set(made.entries.candidates) <= set(pairs)
    assert as_set(made.entries.candidates) | as_set(made.entries.decoys) <= set(asked)
    _nothing_better_was_left_out(found, made.entries.kept, made, quota)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 6), st.integers(0, 2**32), st.data())
def test_within_one_file(rows: int, quota: int, seed: int, data: st.DataObject) -> None:
    pairs = [(a, b) for a, b in data.draw(_pairs(rows, rows)) if a < b]
    one = source("a", rows, unique=False)
    made = plan(one, one, candidates(pairs, np.arange(len(pairs)), quota=quota), seed)
    check(made, one, one, quota=quota)
    assert as_set(made.entries.candidates) <= set(pairs)


def _nothing_better_was_left_out(found, kept, made, quota) -> None:
    """A candidate without a place has a row whose places went to decoys and better candidates."""
    score, left, right = found.pairs.score, found.pairs.left, found.pairs.right
    decoys = as_set(made.entries.decoys)
    for n in sorted(set(range(len(score))) - set(kept.tolist())):
        full = []
        for rows, side in ((left, 0), (right, 1)):
            better = [
                k
                for k in kept
                if rows[k] == rows[n] and score[k] >= score[n] and (left[k], right[k]) not in decoys
            ]
            chosen = sum(pair[side] == rows[n] for pair in decoys)
            full.append(len(better) + chosen >= quota)
        assert any(full)
