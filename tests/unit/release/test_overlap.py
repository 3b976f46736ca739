"""What two files have in common, when it is withheld, and what partners see of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from linkage.agreement import Manifest, parse_manifest
from linkage.errors import AgreementError, InvalidRequestError
from linkage.release.overlap import overlaps, require_enough, require_enough_said, summary

REPORT: dict[str, Any] = {
    "overall": {
        "thresholds": [
            {"threshold": 0.5, "precision": 0.91234, "recall": 0.98765},
            {"threshold": 0.9, "precision": 0.99876, "recall": 0.90123},
        ],
        "weight_histogram": {"pairs": [1, 2, 3]},
    }
}


def manifest_of(**safeguards: Any) -> Manifest:
    document = {
        "linkage": "manifest/1",
        "project": "p",
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
        "recipients": [{"name": "d", "role": "assembler"}],
        "fields": [{"name": "surname", "type": "surname"}],
        "match_keys": [{"name": "k", "fields": ["surname"]}],
        "scheme": {"name": "saul-v1"},
        "safeguards": safeguards,
    }
    return parse_manifest(json.dumps(document).encode())


def people(common: int, a: int, b: int) -> dict[str, Any]:
    """So many in all three files, and so many alone in two of them and 50 in the third."""
    ids = np.arange(common + a + b + 50)
    shared = ids[:common]
    return {
        "a": np.concatenate([shared, shared, ids[common : common + a]]),
        "b": np.concatenate([ids[common + a : common + a + b], shared]),
        "c": np.concatenate([shared, ids[common + a + b :]]),
    }


def test_people_and_not_rows_are_counted() -> None:
    first, *_ = overlaps(people(12, 20, 30))
    assert (first.partners, first.common, first.left, first.right) == (("a", "b"), 12, 20, 30)


@pytest.mark.parametrize(
    ("common", "a", "b", "why"),
    [
        (9, 20, 20, "fewer than 10 people of 'a' and 'b' would be linked"),
        (0, 20, 20, "fewer than 10 people"),
        (30, 9, 20, "of 'a' and 'b', one has fewer than 10 people left unlinked"),
        (30, 20, 0, "left unlinked"),
    ],
)
def test_too_little_of_either_is_withheld_without_its_number(
    common: int, a: int, b: int, why: str
) -> None:
    with pytest.raises(AgreementError, match=why) as caught:
        require_enough(overlaps(people(common, a, b)), manifest_of())
    numbers = {str(n) for n in (common, a, b)} - {"10"}
    assert not numbers & set(str(caught.value).split())


def test_enough_of_both_is_not_withheld() -> None:
    require_enough(overlaps(people(10, 10, 10)), manifest_of())
    require_enough(overlaps(people(0, 0, 0)), manifest_of(min_overlap=0, min_apart=0))


def test_a_summary_holds_rounded_counts_and_no_score() -> None:
    found = overlaps(people(37, 21, 19))
    said = json.loads(summary(found, REPORT, manifest_of(), 0.87))
    assert said == {
        "kind": "release-summary/1",
        "threshold": 0.87,
        "pairs": {
            "a|b": {"linked": 30, "unlinked": [20, 10]},
            "a|c": {"linked": 30, "unlinked": [20, 50]},
            "b|c": {"linked": 30, "unlinked": [10, 50]},
        },
        "precision": 1.0,
        "recall": 0.9,
    }


def test_one_person_more_or_less_does_not_show() -> None:
    one, other = (overlaps(people(n, 25, 25)) for n in (34, 35))
    assert summary(one, REPORT, manifest_of(), 0.5) == summary(other, REPORT, manifest_of(), 0.5)


def test_nothing_is_said_where_the_manifest_shows_nothing() -> None:
    manifest = manifest_of(partner_report="none")
    said = json.loads(summary(overlaps(people(37, 21, 19)), REPORT, manifest, 0.5))
    assert set(said) == {"kind", "threshold"}


def test_a_partner_withholds_its_approval_by_the_summary_alone() -> None:
    manifest = manifest_of()
    require_enough_said(summary(overlaps(people(10, 10, 10)), REPORT, manifest, 0.5), manifest)
    # A hub that proposes all the same.
    small = summary(overlaps(people(0, 30, 30)), REPORT, manifest, 0.5)
    with pytest.raises(AgreementError, match="would be linked"):
        require_enough_said(small, manifest_of(min_overlap=20))
    whole = summary(overlaps(people(50, 0, 30)), REPORT, manifest, 0.5)
    with pytest.raises(AgreementError, match="left unlinked"):
        require_enough_said(whole, manifest_of(min_apart=20))


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"pairs": {}}', b'{"pairs": {"a|b": {"linked": "x", "unlinked": []}}}'],
)
def test_a_malformed_summary_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        require_enough_said(data, manifest_of())
