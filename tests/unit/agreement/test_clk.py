"""A linkage schema inside a manifest: what is refused, and that it is signed as it was given."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.agreement import Clk, Manifest, parse_manifest
from linkage.agreement.canonical import MAX_DEPTH, canonical, unsignable
from linkage.errors import ManifestError
from tests.clk_cases import cases
from tests.clk_projects import SCHEMA, document_of, manifest_of

PLACE = "manifest: scheme.clk-v1.linkage_schema: "


def schema_with(place: str, value: Any) -> dict[str, Any]:
    """SCHEMA with one setting given."""
    document = copy.deepcopy(SCHEMA)
    *parents, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    at: Any = document
    for part in parents:
        at = at[part]
    at[last] = value
    return document


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(json.dumps(document).encode())
    return str(caught.value)


def clk(manifest: Manifest) -> Clk:
    assert isinstance(manifest.scheme, Clk)
    return manifest.scheme


def test_the_schema_is_signed_as_it_was_given() -> None:
    schema = schema_with("features.1.hashing.comparison.note", {"any": [1, 2.5, None, "é"]})
    manifest = manifest_of(schema)
    signed = json.loads(manifest.canonical)["scheme"]
    assert canonical(signed["linkage_schema"]) == rfc8785.dumps(schema)
    assert signed["bits"] == 1024
    assert signed["hashes"] == 0
    assert signed["folds"] == "clkhash"
    again = parse_manifest(manifest.canonical)
    assert again.fingerprint == manifest.fingerprint
    assert again.linkage_schema == manifest.linkage_schema


@settings(max_examples=60, deadline=None)
@given(case=cases(for_manifests=True))
def test_any_schema_reads_the_same_after_it_was_signed(case: dict[str, Any]) -> None:
    try:
        manifest = manifest_of(case["schema"])
    except ManifestError:
        return
    again = parse_manifest(manifest.canonical)
    assert again.canonical == manifest.canonical
    assert again.linkage_schema == manifest.linkage_schema


def test_a_whole_number_may_be_written_with_a_point() -> None:
    schema = schema_with("features.1.hashing.strategy", {"bitsPerFeature": 200.0})
    assert manifest_of(schema).fingerprint == manifest_of(SCHEMA).fingerprint


def test_bits_are_the_schemas() -> None:
    for bits in (64, 512, 4096):
        manifest = manifest_of(schema_with("clkConfig.l", bits))
        assert manifest.scheme.bits == bits


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("version", 2, "version: only version 3 is read; convert the schema"),
        ("version", 4, "version"),
        ("clkConfig.l", 1000, "clkConfig.l: is 1000, but the hub compares filters of a multiple"),
        ("clkConfig.l", 8192, "clkConfig.l: is 8192"),
        ("clkConfig.kdf.type", "PBKDF2", "clkConfig.kdf.type"),
        ("features.1.hashing.hash", {"type": "md5"}, "features.1.hashing.hash"),
        ("features.1.hashing.weight", 1, "features.1.hashing.weight: unknown setting"),
        ("features.3.identifier", "NAME freetext", "'NAME freetext' is encoded more than once"),
        ("features", [{"identifier": "id", "ignored": True}], "features: all are ignored"),
        ("features.1.format.maxLength", 1 << 53, "features.1.format.maxLength: is not a number"),
        ("features.0.description", "\ud800", "features.0.description: is not valid Unicode"),
    ],
)
def test_a_schema_that_cannot_be_agreed_on(place: str, value: Any, said: str) -> None:
    schema = schema_with(place, value)
    if place == "clkConfig.l":
        for feature in schema["features"][1:]:
            feature["hashing"]["hash"] = {"type": "doubleHash"}
    lines = refused(document_of(scheme={"linkage_schema": schema})).splitlines()
    assert lines[0].startswith(PLACE)
    assert said in lines[0]
    assert len(lines) == 1


def test_all_that_is_wrong_with_a_schema_is_said_at_once() -> None:
    schema = schema_with("features.1.hashing.strategy", {"k": 20})
    schema["features"][2]["format"]["case"] = "upper"
    said = refused(document_of(scheme={"linkage_schema": schema}))
    assert f"{PLACE}features.1.hashing.strategy.k: unknown setting" in said
    assert f"{PLACE}features.2.format.case: unknown setting" in said


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200, 100_000])
def test_a_schema_nested_without_end(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    text = json.dumps(document_of(scheme={"linkage_schema": schema_with("note", 0)}))
    data = text.replace('"note": 0', f'"note": {nested}').encode()
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data)
    said = str(caught.value)
    assert "is nested too deeply" in said or "is not valid JSON" in said


def test_a_schema_too_large_for_a_manifest() -> None:
    schema = schema_with("features.0.description", "x" * (1 << 20))
    assert "larger than" in refused(document_of(scheme={"linkage_schema": schema}))


def test_a_schema_with_more_features_than_a_manifest_has_fields() -> None:
    feature = SCHEMA["features"][3]
    schema = schema_with("features", [feature | {"identifier": f"c{n}"} for n in range(41)])
    assert "match_keys.0.fields" in refused(document_of(schema))
    schema["features"].pop()
    assert len(manifest_of(schema).match_keys[0].fields) == 40


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        ({"risk_acknowledged": False}, "set risk_acknowledged to true"),
        ({"bits": 512}, "bits: is 512, where l of the linkage schema is 1024"),
        ({"bits": 1000}, "bits: is 1000"),
        ({"hashes": 10}, "hashes: the linkage schema says it by feature"),
        ({"linkage_schema": None}, "features and folds are for a linkage_schema"),
        ({"linkage_schema": None, "features": {}, "folds": "documented"}, "are for a linkage_s"),
        ({"linkage_schema": None, "features": {}, "hashes": 0}, "hashes: is 0"),
        ({"linkage_schema": None, "features": {}, "bits": 1088}, "bits: is none of 512, 1024"),
        ({"linkage_schema": [SCHEMA]}, "scheme.clk-v1.linkage_schema"),
        ({"folds": "both"}, "scheme.clk-v1.folds"),
        ({"features": {}}, "'name', 'dob' is no feature that the linkage schema encodes"),
        ({"features": {"name": "INDEX"}}, "'name', 'dob' is no feature"),
        (
            {"features": {"name": "NAME freetext", "dob": "NAME freetext"}},
            "no field is the linkage schema's feature 'DOB YYYY/MM/DD'",
        ),
        (
            {"features": {"name": "NAME freetext", "dob": "DOB YYYY/MM/DD", "ssn": "x"}},
            "scheme: features: 'ssn' is not a field of match key 'clk'",
        ),
    ],
)
def test_settings_that_do_not_fit_the_schema(scheme: dict[str, Any], said: str) -> None:
    assert said in refused(document_of(scheme=scheme))


def test_a_schema_has_one_match_key_for_all_of_its_features() -> None:
    document = document_of()
    key = document["match_keys"][0]
    assert "name one match key" in refused(document | {"match_keys": [key, key | {"name": "b"}]})
    assert "no field is the linkage schema's feature 'city'" in refused(
        document | {"match_keys": [key | {"fields": ["name", "dob"]}]}
    )
    weighted = key | {"weights": {"name": 2}}
    assert "weights: the linkage schema says" in refused(document | {"match_keys": [weighted]})
    turned = key | {"fields": ["city", "dob", "name"], "weights": {"name": 1}}
    parse_manifest(json.dumps(document | {"match_keys": [turned]}).encode())
    fields = [*document["fields"], {"name": "town", "type": "city"}]
    twice = key | {"fields": [*key["fields"], "town"]}
    features = document["scheme"]["features"] | {"town": "city"}
    both = document_of(scheme={"features": features}, fields=fields, match_keys=[twice])
    assert "two fields are the same feature" in refused(both)


def test_without_a_schema_a_match_key_stays_short() -> None:
    names = [f"n{i}" for i in range(7)]
    document = document_of(
        fields=[{"name": name, "type": "exact"} for name in names],
        match_keys=[{"name": "k", "fields": names}],
    )
    document["scheme"] = {"name": "clk-v1", "risk_acknowledged": True}
    assert "match key 'k': has more than 6 fields" in refused(document)
    document["match_keys"][0]["fields"].pop()
    manifest = parse_manifest(json.dumps(document).encode())
    assert clk(manifest).hashes == 10
    assert manifest.linkage_schema is None
    assert clk(manifest).warnings == ()


def test_folds_are_read_one_way_and_both_are_told() -> None:
    schema = schema_with("clkConfig.xorFolds", 2)
    read = manifest_of(schema)
    assert read.linkage_schema is not None
    assert read.linkage_schema.filter_bits == 1024
    assert "reads xor_folds (0), not the documented xorFolds (2)" in clk(read).warnings[0]
    documented = manifest_of(schema, scheme={"folds": "documented"})
    assert documented.linkage_schema is not None
    assert documented.linkage_schema.filter_bits == 4096
    assert documented.scheme.bits == 1024
    assert len(clk(documented).warnings) == 2
    assert "not those that clkhash makes" in clk(documented).warnings[1]
    assert documented.fingerprint != read.fingerprint
    assert "folds: linkage schema: filters are longer" in refused(
        document_of(schema_with("clkConfig.xorFolds", 20), scheme={"folds": "documented"})
    )
    assert clk(manifest_of(SCHEMA)).warnings == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=JSON | st.text(alphabet=st.characters()) | st.just(["\udfff"]))
def test_what_is_signable_is_read_back_the_same(value: Any) -> None:
    if unsignable(value) is None:
        written = canonical(value)
        assert canonical(json.loads(written)) == written
    else:
        assert "JSON" not in str(unsignable(value))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1, float("inf")]}, "a.1: is not a number"),
        ({"a": float("nan")}, "a: is not a number"),
        ([1 << 53], "0: is not a number"),
        (1e17, "is not a number"),
        ({"\ud800": 1}, "object: the name of a setting is not valid Unicode"),
        ({"a": {"\ud800": 1}}, "a: the name of a setting is not valid Unicode"),
        ("\udfff", "is not valid Unicode"),
        (b"", "is no JSON value"),
    ],
)
def test_what_has_no_canonical_form_is_named(value: Any, said: str) -> None:
    found = unsignable(value)
    assert found is not None
    assert said in found
