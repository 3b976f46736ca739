"""A later round finds what a run from scratch finds, and compares only what changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from linkage.matching import LocalEngine, ScoredPairs, find_candidates
from linkage.matching.rounds import Former, former_rows, known_levels, update_candidates

from .conftest import SAUL, File

CHANGED = 40


@pytest.fixture(scope="module")
def files(febrl: Any) -> tuple[File, File, File, File]:
    """Left and right of a first round, then of a second: rows withdrawn, added and replaced."""
    one, other = (file.take(np.argsort(file.person, kind="stable")) for file in febrl)
    random = np.random.default_rng(5)
    left, right = one.take(np.arange(600)), other.take(np.arange(700))
    kept = random.permutation(np.flatnonzero(random.random(600) < 0.9))
    new_left = one.take(np.r_[kept, np.arange(600, 600 + CHANGED)])
    new_right = other.take(random.permutation(700))
    # Somebody's record was corrected: the handle stays, the encodings are others.
    moved = new_right.matrix
    moved.words[:, :5] = other.take(np.arange(900, 905)).matrix.words
    moved.presence[:, :5] = other.take(np.arange(900, 905)).matrix.presence
    return left, right, new_left, new_right


def pairs_of(found: Any) -> set[tuple[int, int]]:
    return set(zip(found.pairs.left.tolist(), found.pairs.right.tolist(), strict=True))


def test_rows_are_found_again_by_handle_and_encoding(files: tuple[File, ...]) -> None:
    left, right, new_left, new_right = files
    back = former_rows(left.matrix, new_left.matrix)
    kept = np.flatnonzero(back >= 0)
    assert (new_left.matrix.handles[back[kept]] == left.matrix.handles[kept]).all()
    assert len(kept) == len(new_left.person) - CHANGED
    there = former_rows(right.matrix, new_right.matrix)
    assert sorted(set(range(700)) - set(there.tolist())) == [0, 1, 2, 3, 4]


def test_a_later_round_finds_what_a_fresh_run_finds(
    files: tuple[File, ...], engine: LocalEngine
) -> None:
    left, right, new_left, new_right = files
    first = find_candidates(
        left.source("left"), right.source("right"), SAUL, quota=4, engine=engine
    )
    former = Former(
        first,
        former_rows(left.matrix, new_left.matrix),
        former_rows(right.matrix, new_right.matrix),
    )
    sources = new_left.source("left"), new_right.source("right")
    found = update_candidates(*sources, SAUL, former, quota=4, engine=engine)
    fresh = find_candidates(*sources, SAUL, quota=4, engine=engine)
    assert found.compared < fresh.compared / 5
    assert np.bincount(found.pairs.left).max() <= 4
    assert np.bincount(found.pairs.right).max() <= 4
    true = {(a, b) for a, b in pairs_of(fresh) if new_left.person[a] == new_right.person[b]}
    assert len(true) > 500
    assert len(true - pairs_of(found)) <= 1
    # Where nothing was withdrawn around them, the promising pairs are the very same.
    strong = fresh.pairs.score > 12
    same = set(
        zip(fresh.pairs.left[strong].tolist(), fresh.pairs.right[strong].tolist(), strict=True)
    )
    assert len(same - pairs_of(found)) <= 0.01 * len(same)


def test_nothing_changed(files: tuple[File, ...], engine: LocalEngine) -> None:
    left, right, *_ = files
    sources = left.source("left"), right.source("right")
    first = find_candidates(*sources, SAUL, quota=4, engine=engine)
    former = Former(
        first, former_rows(left.matrix, left.matrix), former_rows(right.matrix, right.matrix)
    )
    again = update_candidates(*sources, SAUL, former, quota=4, engine=engine)
    assert again.compared == 0
    assert pairs_of(again) == pairs_of(first)
    assert (again.pairs.score == first.pairs.score).all()


def test_duplicates_within_a_file(febrl: Any, engine: LocalEngine) -> None:
    one, other = (file.take(np.argsort(file.person, kind="stable")) for file in febrl)
    parts = [one.take(np.arange(200)), other.take(np.arange(200))]
    old = parts[0].matrix
    matrix = type(old)(
        type(old.layout)(old.layout.scheme, 2048, old.layout.match_keys, 400, "0" * 64),
        np.r_[parts[0].matrix.handles, parts[1].matrix.handles],
        np.r_[parts[0].matrix.groups, parts[1].matrix.groups],
        np.empty((400, 0), np.uint8),
        np.concatenate([part.matrix.presence for part in parts], axis=1),
        np.concatenate([part.matrix.words for part in parts], axis=1),
    )
    both = File(matrix, np.r_[parts[0].person, parts[1].person])
    before, now = both.take(np.arange(360)), both.take(np.arange(20, 400))
    first = find_candidates(
        before.source("a", unique=False),
        before.source("a", unique=False),
        SAUL,
        quota=4,
        engine=engine,
    )
    rows = former_rows(before.matrix, now.matrix)
    source = now.source("a", unique=False)
    found = update_candidates(
        source, source, SAUL, Former(first, rows, rows), quota=4, engine=engine
    )
    fresh = find_candidates(source, source, SAUL, quota=4, engine=engine)
    assert (found.pairs.left < found.pairs.right).all()
    true = {(a, b) for a, b in pairs_of(fresh) if now.person[a] == now.person[b]}
    assert true
    assert true <= pairs_of(found)
    assert found.compared < fresh.compared


def test_what_was_compared_before_is_known(files: tuple[File, ...], engine: LocalEngine) -> None:
    left, right, new_left, new_right = files
    first = find_candidates(
        left.source("left"), right.source("right"), SAUL, quota=4, engine=engine
    )
    levels = np.random.default_rng(1).integers(0, 6, (len(first.pairs), 3), np.uint8)
    n = len(first.pairs)
    scored = ScoredPairs(
        first.pairs.left, first.pairs.right, np.zeros(n, np.float32), np.zeros(n), levels=levels
    )
    former = Former(
        first,
        former_rows(left.matrix, new_left.matrix),
        former_rows(right.matrix, new_right.matrix),
    )
    sources = new_left.source("left"), new_right.source("right")
    found = update_candidates(*sources, SAUL, former, quota=4, engine=engine)
    known = known_levels(*sources, found.pairs, former, scored, (left.matrix, right.matrix))
    assert (np.diff(known.index) > 0).all()
    by_handles = {
        (left.matrix.handles[a].tobytes(), right.matrix.handles[b].tobytes()): row.tolist()
        for a, b, row in zip(first.pairs.left, first.pairs.right, levels, strict=True)
    }
    a, b = found.pairs.left[known.index], found.pairs.right[known.index]
    for one, other, row in zip(a, b, known.levels, strict=True):
        handles = (
            new_left.matrix.handles[one].tobytes(),
            new_right.matrix.handles[other].tobytes(),
        )
        assert by_handles[handles] == row.tolist()
    # Every pair of unchanged rows that was there is known; nobody else.
    old = set(range(len(found.pairs))) - set(known.index.tolist())
    fresh_left = set(range(len(new_left.person))) - set(former.left.tolist())
    fresh_right = set(range(700)) - set(former.right.tolist())
    for n in old:
        new = found.pairs.left[n] in fresh_left or found.pairs.right[n] in fresh_right
        handles = (
            new_left.matrix.handles[found.pairs.left[n]].tobytes(),
            new_right.matrix.handles[found.pairs.right[n]].tobytes(),
        )
        assert new or handles not in by_handles
