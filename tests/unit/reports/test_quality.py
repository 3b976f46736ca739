from __future__ import annotations

import copy
from typing import Any

import pytest

from linkage.errors import InvalidRequestError
from linkage.reports.quality import figures_at, quality_page


def grid(shift: float = 0.0) -> list[dict[str, Any]]:
    return [
        {"threshold": t, "links": int(1000 - 500 * t), "precision": 0.8 + 0.19 * t - shift,
         "recall": 0.99 - 0.2 * t - shift, "f1": 0.9}
        for t in (0.05, 0.25, 0.5, 0.75, 0.95)
    ]  # fmt: skip


def scope() -> dict[str, Any]:
    return {
        "candidate_pairs": 4321,
        "estimated_matches": 654.3,
        "overlap": "clear",
        "thresholds": grid(),
        "recommended": grid()[2],
    }


def overall() -> dict[str, Any]:
    return {k: v for k, v in scope().items() if k != "recommended"}


QUALITY: dict[str, Any] = {
    "recommended": grid()[2],
    "partners": {
        "hospital": {"rows": 2000, "unique": True, "match_key_coverage": {"name_dob": 0.9123}},
        "shelter": {"rows": 1500, "unique": False, "match_key_coverage": {"name_dob": 1.0}},
    },
    "pairs": {
        "hospital|shelter": {
            **scope(),
            "rows_left": 2000,
            "rows_right": 1500,
            "compared": 3_000_000,
            "survived": 9000,
            "considered": 8000,
            "look_loss": 0.0001,
            "weight_histogram": {
                "edges": [-20, -10, 0, 10, 20],
                "pairs": [3000, 200, 21, 1100],
                "expected_matches": [0, 0.1, 12.5, 1090],
            },
        },
        "shelter|shelter": scope(),
    },
    "overall": overall(),
}
TRUTH = {"overall": {"matches": 666, "thresholds": grid(0.01)}}


def test_the_page_says_what_was_estimated() -> None:
    html = quality_page(QUALITY, None)
    for text in ("89.5%", "89.0%", "750", "654", "hospital – shelter", "within shelter", "91.2%"):
        assert text in html, text
    assert "1,090" in html
    assert "true:" not in html
    assert "<script" not in html
    assert "http://" not in html
    assert html == quality_page(copy.deepcopy(QUALITY), None)


def test_what_audits_found_is_shown_by_partner() -> None:
    none = {"unknown": None, "known": None, "active": None}
    known = {"lower": 0.011, "upper": 0.0271}
    audits = {
        "hospital": {**none, "verdict": "not-shown", "rows": 1990, "skipped": 1, "known": known},
        "shelter": {**none, "verdict": "too-few", "rows": 0, "skipped": 9},
    }
    html = quality_page({**QUALITY, "audits": audits})
    assert "not-shown" in html
    assert "1,990" in html
    assert "2.71%" in html
    assert "too-few" in html


def test_true_figures_stand_beside_the_estimated_ones() -> None:
    html = quality_page(QUALITY, TRUTH)
    assert "estimated; true: 88.5%" in html
    assert "true: 666" in html
    assert "precision, true" in html


def test_another_threshold_is_told_from_the_recommended_one() -> None:
    html = quality_page(QUALITY, None, threshold=0.75)
    assert "recommended: 0.5" in html
    assert "94.3%" in html


def test_optional_parts_may_be_missing_and_needed_ones_may_not() -> None:
    html = quality_page({"overall": overall(), "recommended": grid()[2]}, None)
    assert "Links by pair" not in html
    with pytest.raises(InvalidRequestError, match="no part 'recommended'"):
        quality_page({"precision": 1.0}, None)
    with pytest.raises(InvalidRequestError, match="no part 'overall'"):
        quality_page({"recommended": grid()[2]}, None)
    with pytest.raises(InvalidRequestError, match="'overall' has no 'thresholds'"):
        quality_page({"recommended": grid()[2], "overall": {}}, None)


def test_figures_come_from_a_near_threshold_not_above_or_not_at_all() -> None:
    figures = figures_at({"thresholds": grid()}, 0.53)
    assert figures is not None
    assert figures["threshold"] == 0.5
    assert figures_at({"thresholds": grid()}, 0.7) is None
    assert figures_at({"thresholds": grid()}, 0.01) is None
    assert figures_at({}, 0.5) is None


def test_warnings() -> None:
    bad = copy.deepcopy(QUALITY)
    bad["overall"]["overlap"] = "none"
    bad["pairs"]["hospital|shelter"]["overlap"] = "none"
    bad["pairs"]["hospital|shelter"]["look_loss"] = 0.031
    html = quality_page(bad, None)
    assert "no sign that anyone is in more than one file" in html
    assert "hospital – shelter: no sign of anyone" in html
    assert "missed 3.1%" in html


def test_it_reads_what_the_matcher_documents() -> None:
    from linkage.matching import quality as matcher

    documented = matcher.__doc__ or ""
    for key in (
        "partners", "pairs", "overall", "rows_left", "rows_right", "compared", "survived",
        "considered", "candidate_pairs", "look_loss", "estimated_matches", "overlap",
        "weight_histogram", "expected_matches", "edges", "thresholds", "recommended",
        "match_key_coverage", "unique",
    ):  # fmt: skip
        assert key in documented, key
