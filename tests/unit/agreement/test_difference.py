"""What differs between two manifests is said by setting, and nothing else is."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.agreement import Manifest
from linkage.agreement.difference import ORDER, differences
from linkage.errors import ManifestError

from .test_manifest import FULL, LEAVES, OTHER, Path_, changed, parse


def places(one: Manifest, other: Manifest) -> list[tuple[str, str]]:
    return [(change.place, change.kind) for change in differences(one, other)]


def test_a_default_written_out_is_no_difference() -> None:
    spelled = copy.deepcopy(FULL)
    spelled["partners"][1] |= {"title": "", "missing": []}
    assert differences(parse(FULL), parse(dict(reversed(spelled.items())))) == ()


@given(st.sampled_from(sorted(LEAVES, key=str)), OTHER)
def test_there_is_a_difference_exactly_where_fingerprints_differ(place: Path_, value: Any) -> None:
    try:
        other = parse(changed(place, value))
    except ManifestError:
        return
    one = parse(FULL)
    assert bool(differences(one, other)) == (one.fingerprint != other.fingerprint)
    assert len(differences(one, other)) == len(differences(other, one))


@pytest.mark.parametrize(
    ("place", "value", "expected", "weakens"),
    [
        (("retention_days",), 60, "retention_days", True),
        (("retention_days",), 20, "retention_days", False),
        (("expires",), "2098-01-01", "expires", False),
        (("expires",), "2099-01-02", "expires", True),
        (("matching", "threshold"), None, "matching.threshold", True),
        (("matching", "threshold"), 0.9, "matching.threshold", False),
        (("matching", "quota"), 6, "matching.quota", True),
        (("safeguards", "min_overlap"), 0, "safeguards.min_overlap", True),
        (("safeguards", "partner_report"), "full", "safeguards.partner_report", True),
        (("budgets", "partner", "uploads_per_day"), 1000, "budgets.partner.uploads_per_day", True),
        (("two_stewards",), False, "two_stewards", True),
        (("title",), "Other", "title", False),
        (("partners", 0, "duplicates"), 0.6, "partners.north.duplicates", True),
        (
            ("partners", 0, "content", 0, "fields", 1, "transform"),
            "year",
            "partners.north.content.visits.fields.day.transform",
            False,
        ),
        (
            ("partners", 0, "content", 0, "fields", 0, "values"),
            ["A", "B", "C"],
            "partners.north.content.visits.fields.program.values",
            True,
        ),
    ],
)
def test_a_change_is_named_by_its_place(
    place: Path_, value: Any, expected: str, weakens: bool
) -> None:
    (change,) = differences(parse(FULL), parse(changed(place, value)))
    assert (change.place, change.kind, change.weakens) == (expected, "changed", weakens)
    assert change.after == value


def test_what_is_new_is_one_change_and_not_one_per_setting() -> None:
    document = copy.deepcopy(FULL)
    document["partners"].append({"name": "east"})
    (change,) = differences(parse(FULL), parse(document))
    assert (change.place, change.kind, change.weakens) == ("partners.east", "added", True)
    (back,) = differences(parse(document), parse(FULL))
    assert (back.place, back.kind, back.weakens) == ("partners.east", "removed", False)


def test_another_first_partner_is_said() -> None:
    document = copy.deepcopy(FULL)
    document["partners"].reverse()
    (change,) = differences(parse(FULL), parse(document))
    assert change.place == f"partners {ORDER}"
    assert (change.before, change.after) == (["north", "south"], ["south", "north"])


def test_a_tag_taken_away_weakens() -> None:
    document = changed(("partners", 0, "policies"), [])
    (change,) = differences(parse(FULL), parse(document))
    assert (change.place, change.weakens) == ("partners.north.policies.HIPAA", True)
    json.dumps(change.before)
