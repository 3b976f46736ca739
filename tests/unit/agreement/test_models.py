from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from linkage.agreement import ContentTable, Transform
from linkage.agreement.models import IMPERSONAL, MODELS
from linkage.release.coarsen import output_type

NEEDED: dict[Transform, dict[str, Any]] = {
    Transform.GENERALISE: {"mapping": {"a": "b"}},
    Transform.BAND: {"edges": [10]},
    Transform.TOP_CODE: {"top": 90},
    Transform.MUNICIPALITY: {"lookup": {"name": "homes"}},
    Transform.CROSSWALK: {"lookup": {"name": "calls", "agency": "PD"}},
}


def table(kind: str, *fields: dict[str, Any], **more: Any) -> ContentTable:
    return ContentTable.model_validate({"name": "t", "kind": kind, "fields": fields, **more})


def field(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


@pytest.mark.parametrize("kind", MODELS)
def test_every_term_can_be_declared_with_every_transform_it_fits(kind: str) -> None:
    for name, term in MODELS[kind].items():
        types = set()
        for transform in term.transforms:
            declared: dict[str, Any] = {"transform": transform.value, "reference": "2026-01-01"}
            declared |= NEEDED.get(transform, {})
            found = table(kind, field("f", means=name, **declared)).fields[0]
            types.add(output_type(found))
        assert len(types) == 1, name


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("event", [field("a", means="sex")], "no term of a table of kind 'event'"),
        ("event", [field("a", means="month")], "comes of the transform month, not of keep"),
        ("person", [field("a", means="sex"), field("b", means="sex")], "'sex' stands more than"),
        ("person", [field("a", transform="number")], "for tables of kind measure and site only"),
    ],
)
def test_what_a_table_cannot_mean(kind: str, fields: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        table(kind, *fields)


@pytest.mark.parametrize("kind", sorted(IMPERSONAL))
def test_what_is_about_no_person_joins_to_none(kind: str) -> None:
    assert not table(kind, field("a")).is_personal
    with pytest.raises(ValidationError, match="is about no person"):
        table(kind, field("a"), record_id="rid")


def test_days_beside_months_are_warned_of() -> None:
    day, month = field("d", transform="day"), field("m", transform="month")
    assert table("event", day).warnings == table("event", month).warnings == ()
    assert "relative days (d) beside months (m)" in table("event", day, month).warnings[0]


def test_geoids_of_any_state_are_warned_of() -> None:
    tract = field("t", transform="tract")
    assert "GEOIDs (t) of any state" in table("event", tract).warnings[0]
    assert table("event", {**tract, "within": ["17"]}).warnings == ()
    assert table("event", {**tract, "lookup": {"name": "homes"}}).warnings == ()
    assert table("site", tract).warnings == ()
