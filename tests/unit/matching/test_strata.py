"""Estimates by stratum: hand counts, and what is suppressed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from linkage.agreement.manifest import Stratum
from linkage.matching import ScoredPairs, Source
from linkage.matching.strata import NOT_GIVEN, by_stratum

SEX = Stratum(name="sex", values=("F", "M"))


def source(make, partner: str, codes: list[int]) -> Source:
    file = make(range(len(codes)))
    layout = replace(file.matrix.layout, strata=("sex",))
    strata = np.array(codes, np.uint8)[:, None]
    return Source(partner, replace(file.matrix, layout=layout, strata=strata), True)


def diagonal(count: int, probability: list[float]) -> ScoredPairs:
    rows = np.arange(count, dtype=np.int32)
    p = np.array(probability)
    return ScoredPairs(rows, rows, np.log2(p / (1 - p)).astype(np.float32), p, float(p.sum()))


def test_counts_by_hand(make) -> None:
    # 40 people: 20 F, 15 M, 5 not given on the left; the right knows the last five as M.
    left = source(make, "a", [1] * 20 + [2] * 15 + [0] * 5)
    right = source(make, "b", [1] * 20 + [2] * 20)
    scored = diagonal(40, [0.9] * 30 + [0.6] * 5 + [0.3] * 5)
    found = by_stratum([left, right], {("a", "b"): scored}, [SEX], 0.5)["sex"]
    assert found["F"] == {"rows": {"a": 20, "b": 20}, "links": 20, "precision": 0.9, "recall": 1.0}
    true, matches = 10 * 0.9 + 5 * 0.6, 10 * 0.9 + 5 * 0.6 + 5 * 0.3
    assert found["M"] is None  # the next smallest goes with the small cell
    assert found[NOT_GIVEN] is None
    wide = by_stratum(
        [source(make, "a", [1] * 20 + [2] * 20), right], {("a", "b"): scored}, [SEX], 0.5
    )["sex"]
    assert wide["M"] == {
        "rows": {"a": 20, "b": 20},
        "links": 15,
        "precision": round(true / 15, 4),
        "recall": round(true / matches, 4),
    }
    assert wide[NOT_GIVEN] == {
        "rows": {"a": 0, "b": 0},
        "links": 0,
        "precision": None,
        "recall": None,
    }


def test_rows_that_disagree_count_for_both(make) -> None:
    left = source(make, "a", [1] * 15)
    right = source(make, "b", [2] * 15)
    found = by_stratum([left, right], {("a", "b"): diagonal(15, [0.9] * 15)}, [SEX], 0.5)["sex"]
    assert found["F"]["links"] == found["M"]["links"] == 15


def test_no_single_cell_can_be_worked_out(make) -> None:
    left = source(make, "a", [1] * 25 + [2] * 12 + [0] * 3)
    found = by_stratum(
        [left, source(make, "b", [1] * 25 + [2] * 12 + [0] * 3)],
        {("a", "b"): diagonal(40, [0.9] * 40)},
        [SEX],
        0.5,
    )["sex"]
    assert [label for label, cell in found.items() if cell is None] == [NOT_GIVEN, "M"]
