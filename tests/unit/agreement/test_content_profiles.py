from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from linkage.agreement import parse_manifest
from linkage.errors import ManifestError
from tests.unit.agreement.test_manifest import FULL

DAY = {"name": "d", "transform": "day"}
YEAR = {"name": "y", "transform": "year"}
CODE = {"name": "c", "values": ["A"]}


def manifest(profile: str | None, *fields: dict[str, Any], kind: str = "event") -> bytes:
    """The first partner contributes a table of these fields; `profile` is the partner's."""
    document = copy.deepcopy(FULL)
    table = {"name": "visits", "kind": kind, "record_id": "id", "fields": fields}
    document["fields"] += [
        {"name": "home", "type": "address"},
        {"name": "zip", "type": "postcode"},
        {"name": "mail", "type": "email"},
    ]
    document["partners"][0] |= {"content": [table], "profile": profile}
    return json.dumps(document).encode()


def refused(data: bytes) -> str:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data)
    return str(caught.value)


@pytest.mark.parametrize("profile", [None, "safe-harbor", "limited-dataset", "aggregate-only"])
@pytest.mark.parametrize("column", ["LAST", "given", "phone", "mail"])
def test_direct_identifiers_leave_under_no_profile(profile: str | None, column: str) -> None:
    for more in ({}, {"values": ["A"]}, {"transform": "generalise", "mapping": {"A": "B"}}):
        message = refused(manifest(profile, {"name": "x", "column": column, **more}))
        assert "field 'x': may not leave" in message
        assert "leaves encoded only" in message


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ([{"name": "m", "transform": "month"}], "(i)(C): of a date only the year"),
        ([{"name": "p", "values": ["A"], "means": "municipality"}], "(i)(B)"),
        ([{"name": "t", "transform": "tract"}], "(i)(B)"),
        ([{"name": "t", "transform": "county", "means": None}], "(i)(B)"),
        ([{"name": "z", "column": "zip", "values": ["60614"]}], "(i)(B)"),
        ([{"name": "z", "column": "home", "transform": "tract"}], "(i)(B)"),
        ([{"name": "b", "column": "dob", "transform": "year"}], "ages over 89"),
        ([{"name": "code"}], "(i)(R)"),
        ([DAY, YEAR], "relative days leave only"),
    ],
)
def test_what_safe_harbor_refuses(fields: list[dict[str, Any]], rule: str) -> None:
    message = refused(manifest("safe-harbor", *fields))
    assert "45 CFR 164.514(b)(2)" in message
    assert rule in message
    assert "under the profile safe-harbor" in message
    parse_manifest(manifest(None, *fields))


@pytest.mark.parametrize(
    ("field", "fits"),
    [
        ({"transform": "band", "edges": [18, 65, 90]}, True),
        ({"transform": "band", "edges": [18, 95]}, False),
        ({"transform": "top_code", "top": 90}, True),
        ({"transform": "top_code", "top": 91}, False),
        ({"values": ["0-17", "85-89", "90+"]}, True),
        ({"values": ["85-94"]}, False),
        ({}, False),
        ({"transform": "generalise", "mapping": {"67": "65+"}}, True),
        ({"transform": "age_band", "reference": "2026-01-01"}, True),
    ],
)
def test_ages_over_89_are_one(field: dict[str, Any], fits: bool) -> None:
    data = manifest("safe-harbor", {"name": "age", "means": "age_band", **field}, kind="person")
    if fits:
        parse_manifest(data)
    else:
        assert "ages over 89" in refused(data)


LISTS = [
    {"name": "homes", "kind": "places", "by": ["address", "postcode"], "source": "ours"},
    {"name": "calls", "kind": "crosswalk", "version": 1, "digest": "a" * 64},
]
HOMES = {"name": "homes", "also": ["zip"]}
CALLS = {"name": "calls", "agency": "PD"}


def looked_up(profile: str | None, field: dict[str, Any]) -> bytes:
    document = json.loads(manifest(profile, field))
    document["partners"][0]["lookups"] = LISTS
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "field",
    [
        {"transform": "tract", "within": ["17"]},
        {"transform": "municipality", "values": ["Elmville"]},
        {"transform": "county", "within": ["17031"]},
    ],
)
def test_an_address_leaves_as_a_larger_area_but_not_under_safe_harbor(
    field: dict[str, Any],
) -> None:
    declared = {"name": "area", "column": "home", "lookup": HOMES, **field}
    for profile in (None, "limited-dataset"):
        parse_manifest(looked_up(profile, declared))
    assert "164.514(b)(2)(i)(B)" in refused(looked_up("safe-harbor", declared))


def test_a_crosswalk_counts_as_codes() -> None:
    declared = {"name": "c", "transform": "crosswalk", "lookup": CALLS}
    parse_manifest(looked_up("limited-dataset", declared))
    assert "(i)(R)" in refused(looked_up("safe-harbor", declared))
    parse_manifest(looked_up("safe-harbor", {**declared, "values": ["suicide"]}))
    assert "as a larger area only" in refused(looked_up(None, {**declared, "column": "home"}))


def test_nothing_is_looked_up_by_a_direct_identifier() -> None:
    by_phone = {"name": "homes", "also": ["phone"]}
    declared = {"name": "t", "column": "home", "transform": "tract", "lookup": by_phone}
    message = refused(looked_up("limited-dataset", declared))
    assert "looked up by the identifier phone, which leaves encoded only" in message


@pytest.mark.parametrize("column", ["id", "person_group"])
def test_numbers_of_records_and_persons_leave_under_no_profile(column: str) -> None:
    message = refused(manifest(None, {"name": "x", "column": column, "values": ["A"]}))
    assert "is a number of the record or of the person" in message
    own = {"name": "homes", "also": [column]}
    declared = {"name": "t", "column": "home", "transform": "tract", "lookup": own}
    assert "is a number of the record" in refused(looked_up(None, declared))


def test_what_safe_harbor_lets_out() -> None:
    zip3 = {"name": "z", "column": "zip", "transform": "zip3"}
    parse_manifest(manifest("safe-harbor", CODE, YEAR, zip3))
    parse_manifest(manifest("safe-harbor", CODE, DAY, zip3))


def test_a_limited_dataset_holds_dates_and_places() -> None:
    month = {"name": "m", "transform": "month"}
    tract = {"name": "t", "transform": "tract", "means": "tract"}
    parse_manifest(manifest("limited-dataset", month, DAY, tract, {"name": "code"}))
    home = {"name": "h", "column": "home"}
    assert "leaves as a larger area only" in refused(manifest("limited-dataset", home))


def test_no_row_leaves_the_assembler_under_aggregate_only() -> None:
    parse_manifest(manifest("aggregate-only", {**CODE, "recipients": []}))
    for recipients in (None, ["bureau"]):
        message = refused(manifest("aggregate-only", {**CODE, "recipients": recipients}))
        assert "say so with recipients: []" in message


def test_a_table_has_its_own_profile_before_its_partners() -> None:
    document = json.loads(manifest("safe-harbor", {"name": "m", "transform": "month"}))
    document["partners"][0]["content"][0]["profile"] = "limited-dataset"
    parse_manifest(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"transform": "band"}, "edges: the transform band needs it"),
        ({"transform": "band", "edges": [5, 5]}, "edges: must ascend"),
        ({"transform": "top_code"}, "top: the transform top_code needs it"),
        ({"top": 4}, "top: is for the transform top_code only"),
        ({"transform": "generalise", "mapping": {}}, "mapping: must have 1 to"),
        ({"transform": "year", "values": ["2020"]}, "values: is for the transforms keep"),
    ],
)
def test_settings_that_do_not_fit_their_transform(field: dict[str, Any], message: str) -> None:
    assert message in refused(manifest(None, {"name": "x", **field}))
