"""The planner: every row stands its number of times, candidates come first, decoys are a sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from linkage.answers import verify_quota
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.matching import Source
from linkage.matching.candidates import Candidates
from linkage.matching.requests import Asked, Plan, plan_requests
from linkage.matching.sources import Null, Pairs

QUOTA = 4


def source(
    partner: str, rows: int, *, unique: bool = True, groups: npt.ArrayLike | None = None
) -> Source:
    """A file without anything in it; rows of one group number are one person."""
    layout = EncodingLayout("saul-v1", 64, ("all",), rows, "0" * 64)
    handles = np.zeros((rows, 16), np.uint8)
    handles[:, :8] = np.arange(rows, dtype="<u8")[:, np.newaxis].view(np.uint8)
    of = np.arange(rows) if groups is None else np.asarray(groups)
    nothing = np.empty((rows, 0), np.uint8)
    presence = np.zeros((1, rows), np.bool_)
    words = np.zeros((1, rows, 1), np.uint64)
    return Source(
        partner, EncodingMatrix(layout, handles, handles[of], nothing, presence, words), unique
    )


def candidates(pairs: npt.ArrayLike, scores: npt.ArrayLike, *, quota: int = QUOTA) -> Candidates:
    rows = np.asarray(pairs, np.int32).reshape(-1, 2)
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    found = Pairs(
        rows[order, 0],
        rows[order, 1],
        np.zeros((len(rows), 1), np.int16),
        np.asarray(scores, np.float32)[order],
    )
    null = Null(np.array([32.0]), np.array([4.0]))
    return Candidates(found, found.take(slice(0, 0)), null, 64, quota, 0, 0, 0, 0, 3.0, 64, 0.0)


def plan(left: Source, right: Source, found: Candidates, seed: int = 1) -> Plan:
    return plan_requests(left, right, found, random=np.random.default_rng(seed))


def as_set(asked: Asked) -> set[tuple[int, int]]:
    return set(zip(asked.left.tolist(), asked.right.tolist(), strict=True))


def check(made: Plan, left: Source, right: Source, *, quota: int = QUOTA) -> None:
    """The lists keep the quota, and every pair stands where the plan says, under one id."""
    within = left.partner == right.partner
    assert len(made.lists) == (1 if within else 2)
    for requests, one in zip(made.lists, (left, right), strict=False):
        verify_quota(requests, one.rows, quota=quota, within=within)
    one, other = made.lists[0], made.lists[-1]
    for asked in (made.entries.candidates, made.entries.decoys):
        np.testing.assert_array_equal(one.rows[asked.left_place], asked.left)
        np.testing.assert_array_equal(other.rows[asked.right_place], asked.right)
        np.testing.assert_array_equal(
            one.pair_ids[asked.left_place], other.pair_ids[asked.right_place]
        )


def joined(made: Plan) -> list[tuple[int, int]]:
    """The pairs of rows that stand under one id, whatever for."""
    one, other = made.lists
    rows = {bytes(i): int(row) for i, row in zip(other.pair_ids, other.rows, strict=True)}
    return [
        (int(row), rows[bytes(i)])
        for i, row in zip(one.pair_ids, one.rows, strict=True)
        if bytes(i) in rows
    ]


@pytest.mark.parametrize("rows", [(1, 1), (1, 1_000), (1_000, 1), (3, 50), (60, 60)])
def test_every_row_stands_as_often_whatever_the_sizes(rows: tuple[int, int]) -> None:
    left, right = source("a", rows[0]), source("b", rows[1])
    found = candidates([(0, 0)], [9.0])
    made = plan(left, right, found)
    check(made, left, right)
    assert as_set(made.entries.candidates) == {(0, 0)}
    pairs = joined(made)
    assert len(set(pairs)) == len(pairs)
    assert len(pairs) == min(QUOTA * min(rows), rows[0] * rows[1])


def test_without_candidates_there_is_still_a_full_list() -> None:
    left, right = source("a", 30), source("b", 40)
    made = plan(left, right, candidates([], []))
    check(made, left, right)
    assert len(made.entries.candidates) == 0
    assert len(made.entries.decoys) > 0
    assert len(joined(made)) > 100


def test_candidates_find_room_before_filler() -> None:
    rows = 200
    pairs = [(n, (n + k) % rows) for n in range(rows) for k in range(2)]
    left, right = source("a", rows), source("b", rows)
    made = plan(left, right, candidates(pairs, np.ones(len(pairs))))
    check(made, left, right)
    assert as_set(made.entries.candidates) == set(pairs), (
        "three of every row's four places are never a decoy's"
    )
    np.testing.assert_array_equal(made.entries.kept, np.arange(len(pairs)))


def test_where_room_is_short_the_least_promising_candidates_go() -> None:
    rows = 100
    pairs = [(n, (n + k) % rows) for n in range(rows) for k in range(QUOTA)]
    scores = [10.0 - k for _ in range(rows) for k in range(QUOTA)]
    left, right = source("a", rows), source("b", rows)
    found = candidates(pairs, scores)
    made = plan(left, right, found)
    check(made, left, right)
    kept = np.zeros(len(pairs), np.bool_)
    kept[made.entries.kept] = True
    share = [kept[found.pairs.score == 10.0 - k].mean() for k in range(QUOTA)]
    assert share[0] == share[1] == share[2] == 1.0
    assert share[3] < 1
    np.testing.assert_array_equal(found.pairs.left[made.entries.kept], made.entries.candidates.left)
    np.testing.assert_array_equal(
        found.pairs.right[made.entries.kept], made.entries.candidates.right
    )


def test_a_decoy_that_is_a_candidate_is_one_entry_that_counts_as_both() -> None:
    rows = 40
    every = [(a, b) for a in range(rows) for b in range(rows)]
    left, right = source("a", rows), source("b", rows)
    made = plan(left, right, candidates(every, np.ones(len(every))))
    check(made, left, right)
    assert as_set(made.entries.decoys) <= as_set(made.entries.candidates)
    assert len(set(joined(made))) == len(joined(made)) >= (rows - 1) * QUOTA


def test_decoys_are_an_unbiased_sample() -> None:
    """Candidates crowd some rows and the files differ in size; each pair is drawn as often."""
    left, right = source("a", 12), source("b", 30)
    crowd = candidates([(n % 3, n) for n in range(30)], np.ones(30))
    seen, draws = np.zeros((12, 30)), 3_000
    total = 0
    for seed in range(draws):
        decoys = plan(left, right, crowd, seed).entries.decoys
        np.add.at(seen, (decoys.left, decoys.right), 1)
        total += len(decoys)
    assert total >= 6 * draws
    expected = total / seen.size
    # 360 cells, about Poisson: the largest of so many deviations stays below 4.5.
    assert np.abs(seen - expected).max() < 4.5 * np.sqrt(expected)
    assert abs(seen[:3].sum() - total / 4) < 4.5 * np.sqrt(total / 4)


def test_within_one_file_one_list_holds_both_rows() -> None:
    one = source("a", 50, unique=False)
    pairs = [(n, n + 1) for n in range(49)]
    made = plan(one, one, candidates(pairs, np.ones(49)))
    check(made, one, one)
    assert as_set(made.entries.candidates) == set(pairs)
    ids, times = np.unique(made.lists[0].pair_ids, axis=0, return_counts=True)
    assert len(ids) < 50 * QUOTA * 0.55, "nearly all places are those of pairs"
    assert times.max() == 2
    assert all(a < b for a, b in as_set(made.entries.decoys))


def test_within_one_file_decoys_are_unbiased_and_never_one_person() -> None:
    groups = [0, 0, 2, 2, *range(4, 20)]
    one = source("a", 20, unique=False, groups=groups)
    crowd = candidates([(4, n) for n in range(5, 9)], np.ones(4))
    seen, total, draws = np.zeros((20, 20)), 0, 3_000
    for seed in range(draws):
        decoys = plan(one, one, crowd, seed).entries.decoys
        np.add.at(seen, (decoys.left, decoys.right), 1)
        total += len(decoys)
    allowed = np.triu(np.ones((20, 20), np.bool_), 1)
    allowed[0, 1] = allowed[2, 3] = False
    assert seen[~allowed].sum() == 0
    alone = allowed.copy()
    alone[:4] = False
    expected = seen[alone].mean()
    assert np.abs(seen[alone] - expected).max() < 4.5 * np.sqrt(expected)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_tiny_file_within_itself(rows: int) -> None:
    one = source("a", rows, unique=False)
    check(plan(one, one, candidates([], [])), one, one)


def test_ids_come_from_the_system_unless_told_otherwise() -> None:
    left, right = source("a", 5), source("b", 5)
    nothing = candidates([], [])
    first, second = (plan(left, right, nothing, seed=1) for _ in range(2))
    assert not (first.lists[0].pair_ids == second.lists[0].pair_ids).all()
    stream = np.random.default_rng(3)
    told = plan_requests(
        left, right, nothing, random=np.random.default_rng(1), draw_ids=stream.bytes
    )
    again = np.random.default_rng(3)
    drawn = np.frombuffer(again.bytes(16 * len(joined(told))), np.uint8).reshape(-1, 16)
    assert {bytes(i) for i in drawn} <= {bytes(i) for i in told.lists[0].pair_ids}
