"""What the quality page says beyond the figures at a threshold."""

from __future__ import annotations

import re
from typing import Any

import pytest

from linkage.reports.breakdown import breakdown
from linkage.reports.html import page

CELL = {"rows": {"jail": 500, "clinic": 300}, "links": 120, "precision": 0.97, "recall": 0.91}
QUALITY: dict[str, Any] = {
    "pairs": {
        "jail|clinic": {"comparison": "pair_keyed", "candidate_recall": 0.982},
        "jail|school": {
            "comparison": "match_keys",
            "candidate_recall": None,
            "comparison_reason": "school had not answered by noon",
        },
    },
    "strata": {"sex": {"not given": None, "F": CELL, "M": {**CELL, "precision": None}}},
    "reviews": {"labelled": 12, "match": 7, "different": 5, "agree": 11},
    "since": {
        "run": "ab" * 16,
        "before": {"rows": 800, "links": 100, "precision": 0.95, "recall": 0.9},
        "now": {"rows": 820, "links": 130, "precision": 0.96, "recall": 0.92},
    },
}


def text_of(quality: dict[str, Any]) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page("t", breakdown(quality))))


def test_every_part_is_shown() -> None:
    text = text_of(QUALITY)
    assert "field by field, under pair keys at most 98.2%" in text
    assert "by match keys alone" in text
    assert "alone, because school had not answered by noon. These links are less certain" in text
    assert "not given suppressed suppressed suppressed" in text
    assert "F 500 300 120 97.0% 91.0%" in text
    assert "12 candidate pairs were decided by a reviewer (7 match, 5 different)" in text
    assert "agreed with 11 of them" in text
    assert "Links at the recommended threshold 100 130" in text
    assert "Precision, estimated 95.0% 96.0%" in text


@pytest.mark.parametrize("part", list(QUALITY))
def test_a_part_that_is_not_there_is_left_out(part: str) -> None:
    whole = len(breakdown(QUALITY))
    assert len(breakdown({k: v for k, v in QUALITY.items() if k != part})) == whole - 1


def test_a_report_without_any_of_them_has_no_section() -> None:
    assert breakdown({"pairs": {"a|b": {}}, "reviews": {"labelled": 0}}) == []


def test_names_are_no_markup() -> None:
    shown = page("t", breakdown({"strata": {"<b>": {"<i>x": CELL}}}))
    assert "<i>x" not in shown
