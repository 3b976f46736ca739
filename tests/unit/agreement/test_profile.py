"""What is a profile, and what is not; how its counts are rounded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from linkage.agreement.profile import parse_description, parse_profile, round_count
from linkage.errors import InputError
from tests.unit.agreement.profiles import profile


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"linkage": "profile/2"}, "linkage"),
        ({"values": ["Lee"]}, "values"),
        ({"rows": 0}, "rows"),
        ({"dependent": [{"fields": ["given", "sex"], "shared": 0.5}]}, "'sex'"),
    ],
)
def test_a_profile_is_strict(change: dict[str, Any], place: str) -> None:
    document = profile("one", given=8.0).model_dump(mode="json") | change
    with pytest.raises(InputError, match=place):
        parse_profile(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b'{"linkage": "fields/1"}', b"\xff", b"[" * 100_000])
def test_what_is_no_description(data: bytes) -> None:
    with pytest.raises(InputError, match=r"fields\.json"):
        parse_description(data, source="fields.json")


@pytest.mark.parametrize(
    ("count", "told"), [(1, 1), (99, 99), (101, 100), (5049, 5000), (123_456, 120_000)]
)
def test_counts_have_two_digits(count: int, told: int) -> None:
    assert round_count(count) == told
