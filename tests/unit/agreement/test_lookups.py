from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from linkage.agreement import parse_manifest
from linkage.agreement.difference import differences
from linkage.errors import ManifestError
from linkage.reports.agreement import agreement_text
from tests.unit.agreement.test_manifest import FULL

DIGEST = "a" * 64
HOMES = {"name": "homes", "kind": "places", "by": ["address", "postcode"], "source": "our register"}
BEATS = {"name": "beats", "kind": "places", "by": ["code"], "source": "GIS", "digest": DIGEST}
CALLS = {"name": "calls", "kind": "crosswalk", "version": 3, "digest": DIGEST}
PEOPLE = {
    "name": "people",
    "kind": "zip3",
    "digest": DIGEST,
    "dated": "2020-04-01",
    "source": "census of 2020",
}
TRACT = {
    "name": "tract",
    "column": "HOME",
    "transform": "tract",
    "within": ["17031", "18"],
    "lookup": {"name": "homes", "also": ["ZIP"], "unmatched": 0.05},
}
CODE = {
    "name": "code",
    "transform": "crosswalk",
    "lookup": {"name": "calls", "agency": "PD"},
}


def document(*fields: dict[str, Any], lookups: list[dict[str, Any]] | None = None) -> Any:
    found = copy.deepcopy(FULL)
    found["partners"][0]["lookups"] = [HOMES, BEATS, CALLS, PEOPLE] if lookups is None else lookups
    found["partners"][0]["content"][0]["fields"] = list(fields)
    return found


def refused(*fields: dict[str, Any], lookups: list[dict[str, Any]] | None = None) -> str:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(json.dumps(document(*fields, lookups=lookups)).encode())
    return str(caught.value)


def changed(field: dict[str, Any], **lookup: Any) -> dict[str, Any]:
    return {**field, "lookup": {**field["lookup"], **lookup}}


def test_what_is_looked_up_is_in_the_agreement_in_plain_words() -> None:
    manifest = parse_manifest(json.dumps(document(TRACT, CODE)).encode())
    assert manifest.partners[0].content[0].columns == ("HOME", "code", "ZIP", "id")
    text = agreement_text(manifest)
    for words in (
        "the census tract, eleven digits, looked up in homes, of 17031, 18 only",
        "the standard code of an own one, looked up in calls",
        "Files in which north looks cells up",
        "places by address, postcode",
        "our register",
        "people in each three-digit ZIP area, 2020-04-01",
        "nobody else can tell whether",
    ):
        assert " ".join(words.split()) in " ".join(text.split()), words


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"transform": "municipality"}, "lookup: the transform municipality needs it"),
        ({"transform": "crosswalk"}, "lookup: the transform crosswalk needs it"),
        ({"transform": "year", "lookup": {"name": "homes"}}, "lookup: is for the transforms tract"),
        (changed(CODE, agency=None), "give either the agency"),
        (changed(CODE, agency_column="WHO"), "give either the agency"),
        (changed(CODE, unmatched=0.5), "also and unmatched are for places only"),
        (changed(TRACT, agency="PD"), "agency and agency_column are for a crosswalk only"),
        ({**CODE, "values": ["unmapped"]}, "unmapped: is one of the values"),
        (changed(CODE, unmapped="no code!"), "should match pattern"),
        ({**TRACT, "within": ["1703"]}, "should match pattern"),
        ({**CODE, "within": ["17"]}, "within: is for GEOIDs"),
        (
            {**TRACT, "transform": "municipality", "within": ["17031"]},
            "tells its state only: two digits",
        ),
        (
            {**TRACT, "transform": "municipality", "values": ["Elmville"]},
            "within: is for GEOIDs",
        ),
        (changed(TRACT, name="house"), "lookup 'house' is none of the partner's (declared: beats"),
        (changed(TRACT, name="calls", also=[]), "needs a lookup of kind places, and 'calls' is of"),
        (changed(TRACT, also=[]), "has 2 key columns (address, postcode): name 1 under also"),
        (changed(TRACT, unmatched=1.5), "less than or equal to 1"),
        (changed(TRACT, unmatchd=0.5), "did you mean 'unmatched'"),
    ],
)
def test_settings_that_do_not_fit(field: dict[str, Any], message: str) -> None:
    assert message in refused({"name": "x", **field})


@pytest.mark.parametrize(
    ("lookup", "message"),
    [
        ({**BEATS, "digest": None}, "only a list by address or zip4 may go without one"),
        ({**CALLS, "digest": None}, "digest"),
        ({**PEOPLE, "digest": "A" * 64}, "digest"),
        ({**HOMES, "by": ["address", "address"]}, "by: a kind stands more than once"),
        ({**HOMES, "by": []}, "by"),
        ({**HOMES, "source": ""}, "source"),
        ({**HOMES, "path": "/x"}, "unknown setting"),
        ({**HOMES, "kind": "place"}, "kind"),
    ],
)
def test_lookups_that_cannot_be(lookup: dict[str, Any], message: str) -> None:
    assert message in refused({"name": "x", "values": ["A"]}, lookups=[lookup])


def test_no_lookup_stands_twice() -> None:
    assert "'homes' stands more than once" in refused(
        {"name": "x", "values": ["A"]}, lookups=[HOMES, HOMES]
    )


def test_a_finer_place_weakens() -> None:
    one, other = (
        parse_manifest(json.dumps(document(field)).encode())
        for field in ({**TRACT, "transform": "county"}, {**TRACT, "within": None})
    )
    weakening = {change.place for change in differences(one, other) if change.weakens}
    place = "partners.north.content.visits.fields.tract"
    assert weakening == {f"{place}.transform", f"{place}.within"}
    assert not any(change.weakens for change in differences(other, one))
