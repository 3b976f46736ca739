"""Truth figures, against a count by hand over all pairs."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from linkage.cli.scoring import score_links
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.matching import ScoredPairs, Source, resolve


def source(partner: str, rows: int, unique: bool) -> Source:
    layout = EncodingLayout("saul-v1", 1024, ("k",), rows, "0" * 64)
    handles = np.random.default_rng(rows).integers(0, 256, (rows, 16), dtype=np.uint8)
    empty = np.zeros((1, rows), dtype=np.bool_)
    none = np.empty((rows, 0), dtype=np.uint8)
    words = np.zeros((1, rows, 16), dtype=np.uint64)
    matrix = EncodingMatrix(layout, handles, handles, none, empty, words)
    return Source(partner, matrix, unique)


def pairs(links: list[tuple[int, int, float]]) -> ScoredPairs:
    left, right, probability = (np.array(v) for v in zip(*sorted(links), strict=True))
    return ScoredPairs(
        left.astype(np.int32),
        right.astype(np.int32),
        np.zeros(len(left), dtype=np.float32),
        probability.astype(np.float64),
        float(probability.sum()),
        {},
    )


@pytest.fixture
def case():
    sources = [source("a", 5, unique=False), source("b", 4, unique=True)]
    scored = {
        ("a", "b"): pairs([(0, 0, 0.9), (1, 1, 0.8), (2, 2, 0.6), (3, 3, 0.3)]),
        ("a", "a"): pairs([(0, 4, 0.7), (1, 2, 0.2)]),
    }
    truth = {
        "a": np.array(["x", "y", "z", "v", "x"], dtype=object),
        "b": np.array(["x", "y", "q", "v"], dtype=object),
    }
    return sources, scored, truth


@pytest.mark.parametrize("threshold", [0.1, 0.25, 0.5, 0.65, 0.85, 0.95])
def test_it_counts_every_pair_of_rows(case, threshold):
    sources, scored, truth = case
    clusters = resolve(sources, scored, threshold)
    result = score_links(sources, scored, truth, threshold)
    linked = matching = both = 0
    for left, right in [("a", "b"), ("a", "a")]:
        ones, others = range(len(truth[left])), range(len(truth[right]))
        rows = combinations(ones, 2) if left == right else product(ones, others)
        for i, j in rows:
            same_cluster = clusters.of[left][i] == clusters.of[right][j]
            same_person = truth[left][i] == truth[right][j]
            linked += same_cluster
            matching += same_person
            both += same_cluster and same_person
    found = result["recommended"]
    assert found["links"] == linked
    assert result["matches"] == matching
    assert found["precision"] == pytest.approx(both / linked if linked else 1.0, abs=1e-6)
    assert found["recall"] == pytest.approx(both / matching, abs=1e-6)


def test_the_best_is_no_worse_than_any_threshold(case):
    result = score_links(*case, 0.5)
    assert result["best"]["f1"] == max(row["f1"] for row in result["thresholds"])
    assert result["best"]["f1"] >= result["recommended"]["f1"]


def test_rows_without_truth_match_nothing(case):
    sources, scored, truth = case
    truth = {name: np.array([None] * len(values), dtype=object) for name, values in truth.items()}
    result = score_links(sources, scored, truth, 0.5)
    assert result["matches"] == 0
    assert result["recommended"]["precision"] == 0.0
