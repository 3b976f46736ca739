"""From candidates over lists and both sides' answers to scored pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from linkage.agreement.manifest import Saul
from linkage.answers import Answers, Requests
from linkage.matching import (
    LocalEngine,
    ScoredPairs,
    answered,
    compare_answers,
    find_candidates,
    plan_requests,
    score_compared,
)

from .conftest import File, Maker, manifest_of

SCHEME = Saul(name="saul-v1", bits=1024, hashes=2)
MANIFEST = manifest_of(SCHEME)
FIELDS = len(MANIFEST.fields)


def answers_of(file: File, requests: Requests, seed: int) -> answered.Answered:
    """What an agent answers: a person's fields, some of them missing, some misspelt."""
    noise = np.random.default_rng(seed)
    people = [
        np.random.default_rng([7, p]).integers(0, 2, (FIELDS, 256), np.uint8) for p in file.person
    ]
    rows = np.stack(people)
    misspelt = noise.random(rows.shape[:2]) < 0.2
    rows ^= (noise.random(rows.shape) < 0.2 * misspelt[:, :, np.newaxis]).astype(np.uint8)
    words = np.packbits(rows, axis=2, bitorder="little").view(np.uint64)
    present = noise.random((len(rows), FIELDS)) < 0.9
    words[~present] = 0
    nothing = np.zeros_like(present)
    every = Answers(words, present, nothing, nothing.astype(np.uint8)).take(requests.rows)
    return every.take


def scored_by_answers(left: File, right: File | None, engine: LocalEngine) -> tuple[Any, ...]:
    one = left.source("left", unique=right is not None)
    other = one if right is None else right.source("right")
    found = find_candidates(one, other, SCHEME, quota=4, engine=engine)
    plan = plan_requests(one, other, found, random=np.random.default_rng(5))
    sides = [answers_of(left, plan.lists[0], seed=1)]
    sides.append(sides[0] if right is None else answers_of(right, plan.lists[1], seed=2))
    asked = plan.entries, (sides[0], sides[1]), MANIFEST
    scored = score_compared(one, other, found, compare_answers(*asked), MANIFEST)
    return scored, asked


def right_and_wrong(scored: ScoredPairs, left: File, right: File) -> tuple[int, int]:
    same = left.person[scored.left] == right.person[scored.right]
    likely = scored.probability >= 0.5
    return int((same & likely).sum()), int((~same & likely).sum())


def test_what_agents_answer_tells_matches(
    make: Maker, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encodings are too noisy to tell, and the answers do."""
    left, right = make(range(300), flips=0.28, seed=1), make(range(100, 400), flips=0.28, seed=2)
    scored, asked = scored_by_answers(left, right, engine)
    found, wrong = right_and_wrong(scored, left, right)
    assert found >= 190
    assert wrong <= 15
    compared = compare_answers(*asked)
    monkeypatch.setattr(answered, "ANSWERS_AT_ONCE", 64)
    again = compare_answers(*asked)
    np.testing.assert_array_equal(again.levels, compared.levels)
    np.testing.assert_array_equal(again.decoy_levels, compared.decoy_levels)
    np.testing.assert_array_equal(scored.levels, compared.levels)


def test_what_agents_answer_tells_duplicates(make: Maker, engine: LocalEngine) -> None:
    left = make([*range(150), *range(50)], flips=0.25, seed=3)
    scored, _ = scored_by_answers(left, None, engine)
    found, wrong = right_and_wrong(scored, left, left)
    assert found >= 47
    assert wrong <= 2


def test_without_candidates_nothing_is_scored(make: Maker, engine: LocalEngine) -> None:
    left, right = make(range(40), seed=1), make(range(100, 140), seed=2)
    none = np.zeros((3, 40), np.bool_)
    alone = make(range(100, 140), presence=none)
    scored, _ = scored_by_answers(left, alone, engine)
    assert len(scored.left) == 0
    scored, _ = scored_by_answers(left, right, engine)
    assert right_and_wrong(scored, left, right)[1] <= 1


def test_two_files_of_one_row(make: Maker, engine: LocalEngine) -> None:
    left, right = make([3], seed=1), make([3], seed=2)
    scored, _ = scored_by_answers(left, right, engine)
    assert (scored.left.tolist(), scored.right.tolist()) == ([0], [0])
    assert scored.weight[0] > 0, "two files of one row, and the rows agree"
