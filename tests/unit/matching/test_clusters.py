from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from linkage.errors import InvalidRequestError
from linkage.matching import ScoredPairs, Source, resolve


def pairs(*rows: tuple[int, int, float]) -> ScoredPairs:
    left, right, probability = zip(*rows, strict=True) if rows else ((), (), ())
    odds = np.array(probability) / (1 - np.array(probability))
    return ScoredPairs(
        np.array(left, np.int32),
        np.array(right, np.int32),
        np.log2(odds).astype(np.float32),
        np.array(probability, np.float64),
    )


@pytest.fixture
def sources(make: Any) -> dict[str, Source]:
    return {name: make([0, 1, 2]).source(name, unique=name != "d") for name in "abcd"}


def test_links_join_across_three_files(sources: dict[str, Source]) -> None:
    three = [sources[name] for name in "abc"]
    found = resolve(
        three,
        {("a", "b"): pairs((0, 1, 0.9)), ("b", "c"): pairs((1, 2, 0.8)), ("a", "c"): pairs()},
        0.5,
    )
    assert found.of["a"].tolist() == [0, 1, 2]
    assert found.of["b"].tolist() == [3, 0, 4]
    assert found.of["c"].tolist() == [5, 6, 0]
    assert (found.count, found.refused) == (7, 0)


def test_a_weaker_link_may_not_put_two_rows_of_a_unique_file_together(
    sources: dict[str, Source],
) -> None:
    three = [sources[name] for name in "abc"]
    scored = {
        ("a", "b"): pairs((0, 0, 0.9)),
        ("b", "c"): pairs((0, 0, 0.8)),
        ("a", "c"): pairs((1, 0, 0.7)),
    }
    found = resolve(three, scored, 0.5)
    assert found.refused == 1
    assert found.of["a"][0] == found.of["b"][0] == found.of["c"][0] != found.of["a"][1]
    assert not found.links["a", "c"].any()
    assert found.links["b", "c"].all()


def test_threshold_and_duplicates(sources: dict[str, Source]) -> None:
    two = [sources["a"], sources["d"]]
    scored = {("a", "d"): pairs((0, 0, 0.9), (0, 1, 0.8), (1, 2, 0.4))}
    found = resolve(two, scored, 0.5)
    assert found.of["d"].tolist() == [0, 0, 3]
    assert resolve(two, scored, 0.3).of["d"].tolist() == [0, 0, 1]
    within = resolve(two, {("d", "d"): pairs((0, 2, 0.9))}, 0.5)
    assert within.of["d"].tolist() == [3, 4, 3]


def test_nothing_to_link(sources: dict[str, Source]) -> None:
    found = resolve([sources["a"]], {}, 0.5)
    assert found.of["a"].tolist() == [0, 1, 2]
    with pytest.raises(InvalidRequestError, match="'z'"):
        resolve([sources["a"]], {("a", "z"): pairs()}, 0.5)
