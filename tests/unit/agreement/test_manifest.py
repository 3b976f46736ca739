from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.canonical import canonical, fingerprint
from linkage.agreement.reading import MAX_MANIFEST_BYTES
from linkage.errors import ManifestError

FULL: dict[str, Any] = {
    "linkage": "manifest/1",
    "project": "county",
    "version": 3,
    "title": "Títle",
    "purpose": "P",
    "legal_basis": "L",
    "governance": {
        "legal": "Le",
        "ethical": "Et",
        "good_idea": "Gi",
        "decision": "De",
        "deciders": ["Board", "Counsel"],
    },
    "expires": "2099-01-01",
    "retention_days": 30,
    "partners": [
        {
            "name": "north",
            "title": "N",
            "unique": False,
            "record_id": "id",
            "columns": {"surname": "LAST"},
            "date_formats": {"dob": ["%m/%d/%Y"]},
            "missing": ["UNK"],
            "group": "person_group",
            "aliases": {"surname": ["MAIDEN", "AKA"]},
            "strata": {"sex": "SEX"},
            "policies": [{"tag": "HIPAA", "basis": "waiver", "citation": "C"}],
            "duplicates": 0.5,
            "content": [
                {
                    "name": "visits",
                    "kind": "event",
                    "record_id": "id",
                    "policies": [{"tag": "STATE-1", "basis": "ours"}],
                    "fields": [
                        {
                            "name": "program",
                            "values": ["A", "B"],
                            "description": "D",
                            "means": "outcome",
                        },
                        {
                            "name": "day",
                            "column": "DAY",
                            "transform": "month",
                            "recipients": ["bureau"],
                        },
                        {
                            "name": "age",
                            "column": "dob",
                            "transform": "age_band",
                            "date_format": "%m/%d/%Y",
                            "reference": "2024-01-01",
                        },
                    ],
                }
            ],
        },
        {"name": "south"},
    ],
    "recipients": [
        {"name": "bureau", "title": "B", "role": "assembler"},
        {"name": "university", "role": "evaluator"},
    ],
    "fields": [
        {"name": "surname", "type": "surname", "frequency": True},
        {"name": "given", "type": "given_name"},
        {"name": "dob", "type": "date_of_birth"},
        {"name": "phone", "type": "phone", "region": "CA"},
    ],
    "match_keys": [
        {"name": "one", "fields": ["surname", "dob"], "weights": {"surname": 2}},
        {"name": "two", "fields": ["phone"]},
    ],
    "scheme": {"name": "saul-v1", "bits": 1024, "hashes": 4},
    "strata": [{"name": "sex", "values": ["F", "M"]}],
    "matching": {
        "quota": 5,
        "threshold": 0.75,
        "precision": 0.99,
        "pair_keyed": False,
        "answer_hours": 12,
        "answer_runs": 3,
        "dependent": [["dob", "phone"]],
        "swaps": [["given", "surname"]],
    },
    "min_rows": 20,
    "max_rows": 1000,
    "policy_tags": [{"tag": "STATE-1", "title": "T", "follows": ["F"], "bases": ["ours"]}],
    "safeguards": {
        "rows_per_person": 40,
        "commonest_share": 0.25,
        "min_change": 21,
        "min_overlap": 22,
        "min_apart": 23,
        "partner_report": "none",
    },
    "audit": {
        "unknown": 0.01,
        "known": 0.05,
        "active": 0.5,
        "strict": True,
        "exceptions": [{"partner": None, "reason": "R"}],
    },
    "budgets": {
        "partner": {
            "calls_per_minute": 101,
            "uploads_per_day": 102,
            "bytes_per_day": 103,
            "open_uploads": 104,
        },
        "project": {
            "calls_per_minute": 201,
            "uploads_per_day": 202,
            "bytes_per_day": 203,
            "open_uploads": 204,
            "runs_per_day": 205,
        },
    },
    "stewards": [
        {"name": "ann", "title": "A", "key": "1" * 64},
        {"name": "bob", "key": "2" * 64},
    ],
    "two_stewards": True,
}
Path_ = tuple[str | int, ...]
FIELD: Path_ = ("partners", 0, "content", 0, "fields", 0)


def parse(document: Any) -> Manifest:
    return parse_manifest(json.dumps(document).encode(), source="m.json")


def refused(document: Any) -> str:
    with pytest.raises(ManifestError) as caught:
        parse(document)
    message = str(caught.value)
    assert message.startswith("m.json")
    assert caught.value.exit_code == 2
    return message


def changed(place: Path_, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(FULL)
    at: Any = document
    for part in place[:-1]:
        at = at[part]
    at[place[-1]] = value
    return document


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("fields", 0, "type"), "name", "fields.0.type"),
        (("match_keys", 0, "fields"), ["sex"], "'sex' is not a declared field (declared: dob,"),
        (("match_keys", 0, "fields"), ["dob", "dob"], "'dob' stands more than once"),
        (("match_keys", 0, "fields"), [], "match_keys.0.fields"),
        (("matching", "dependent"), [["dob"]], "matching.dependent.0"),
        (("matching", "dependent"), [["dob", "zip"]], "'zip' is not a declared field"),
        (("matching", "dependent"), [["dob", "phone"], ["dob", "given"]], "'dob' stands more than"),
        (("matching", "swaps"), [["given", "dob"]], "fields that are names: 'dob' is not"),
        (("matching", "swaps"), [["given", "given"]], "'given' stands more than once"),
        (("matching", "swaps"), [["given", "surname"], ["surname", "given"]], "stands more than"),
        (("matching", "precision"), 1.0, "matching.precision"),
        (("min_rows",), 1001, "min_rows: must not be greater than max_rows"),
        (("min_rows",), 0, "min_rows"),
        (("stewards",), [{"name": "ann", "key": "1" * 64}], "two_stewards: name at least two"),
        (("stewards", 1, "name"), "ann", "stewards: 'ann' stands more than once"),
        (("stewards", 1, "key"), "1" * 64, "stewards: keys"),
        (("stewards", 0, "key"), "1" * 63, "stewards.0.key"),
        (("policy_tags", 0, "tag"), "HIPAA", "policy_tags: 'HIPAA' stands more than once"),
        (("policy_tags",), [], "policies: 'STATE-1' is not a declared policy tag"),
        (("partners", 0, "policies", 0, "tag"), "HIPPA", "'HIPPA' is not a declared policy tag"),
        (("partners", 0, "policies", 0, "tag"), "hipaa", "partners.0.policies.0.tag"),
        (("partners", 0, "policies"), [{"tag": "CJIS"}] * 2, "'CJIS' stands more than once"),
        ((*FIELD[:-1], 1, "recipients"), ["north"], "'north' is not a declared recipient"),
        ((*FIELD[:-1], 1, "recipients"), ["bureau"] * 2, "'bureau' stands more than once"),
        ((*FIELD[:-1], 1, "means"), "sex", "partners.0.content.0: field 'day': means: 'sex'"),
        (("safeguards", "commonest_share"), 0.0, "safeguards.commonest_share"),
        (("safeguards", "partner_report"), "scores", "safeguards.partner_report"),
        (("budgets", "partner", "open_uploads"), 0, "budgets.partner.open_uploads"),
        (("partners", 0, "aliases"), {"zip": ["Z"]}, "aliases: 'zip' is not a declared field"),
        (("partners", 0, "aliases"), {"surname": ["A", "A"]}, "'A' stands more than once"),
        (
            ("partners", 0, "aliases"),
            {n: [f"{n}{i}" for i in range(8)] for n in ("surname", "given")},
            "aliases: at most 15 columns",
        ),
        (("partners", 0, "strata"), {"race": "R"}, "'race' is not a declared stratum"),
        (("strata", 0, "values"), ["F", "F"], "'F' stands more than once"),
        (("fields", 2, "frequency"), True, "frequency: only a name has it"),
        (("match_keys", 0, "weights"), {"phone": 2}, "weights: 'phone' is not a declared field"),
        (("match_keys", 0, "weights"), {"dob": 0}, "match_keys.0.weights.dob"),
        (("match_keys", 1, "name"), "one", "match_keys: 'one' stands more than once"),
        (("partners", 1, "name"), "north", "partners: 'north' stands more than once"),
        (("partners", 1, "name"), "bureau", "parties: 'bureau' stands more than once"),
        (("partners", 1, "name"), "South Office", "partners.1.name"),
        (("partners",), [{"name": "north"}], "partners"),
        (("partners", 0, "columns"), {"sex": "S"}, "columns: 'sex' is not a declared field"),
        (("partners", 0, "date_formats"), {"surname": ["%Y"]}, "date_formats: 'surname'"),
        (("partners", 0, "record_id"), None, "joins by record_id, but the partner has none"),
        (("partners", 0, "unique"), "yes", "partners.0.unique"),
        (("recipients", 1, "name"), "bureau", "recipients: 'bureau' stands more than once"),
        (("recipients", 0, "role"), "evaluator", "exactly one must have the role assembler"),
        (("recipients", 1, "role"), "assembler", "exactly one must have the role assembler"),
        (("fields", 1, "name"), "surname", "fields: 'surname' stands more than once"),
        (("fields", 2, "region"), "Canada", "fields.2.region"),
        (("scheme",), {"name": "clk-v1"}, "set risk_acknowledged to true"),
        (("scheme",), {"name": "clk-v1", "risk_acknowledged": False}, "set risk_acknowledged"),
        (("scheme", "name"), "clk", "scheme"),
        (("scheme", "bits"), 1000, "scheme.saul-v1.bits"),
        (("scheme", "hashes"), 9, "scheme.saul-v1.hashes"),
        (("version",), "1", "version"),
        (("version",), 1.5, "version"),
        (("max_rows",), True, "max_rows"),
        (("expires",), "soon", "expires"),
        (("expires",), None, "expires"),
        (("title",), "", "title"),
        (("linkage",), "manifest/2", "linkage"),
        (("matching", "threshold"), float("nan"), "matching.threshold"),
        (("matching", "threshold"), 1.5, "matching.threshold"),
        (("matching", "quota"), 0, "matching.quota"),
        (("title",), "\ud800", "title"),
    ],
)
def test_wrong_values_name_their_place(place: Path_, value: Any, message: str) -> None:
    assert message in refused(changed(place, value))


@pytest.mark.parametrize("name", ["study_id", "index_id"])
def test_names_that_the_release_makes_itself(name: str) -> None:
    assert "makes itself" in refused(changed((*FIELD, "name"), name))


@pytest.mark.parametrize(
    ("transform", "date_format", "fits"),
    [
        ("year", "%Y", True),
        ("year", "%y", True),
        ("year", "%m-%d", False),
        ("year", "%Y %Y", False),
        ("year", "%Y %Q", False),
        ("year", "%", False),
        ("year", "", False),
        ("month", "%m/%Y", True),
        ("month", "%d %b %y", True),
        ("month", "%Y", False),
        ("month", "%d/%m", False),
        ("month", "%m/%d/%Y %H:%M:%S %z", True),
        ("age_band", "%m/%d/%Y", True),
        ("age_band", "%Y%j", True),
        ("age_band", "%m/%Y", False),
        ("zip3", "whatever", True),
    ],
)
def test_a_date_format_must_tell_what_its_transform_needs(
    transform: str, date_format: str, fits: bool
) -> None:
    field = {
        "name": "when",
        "transform": transform,
        "date_format": date_format,
        "reference": "2024-01-01",
    }
    if fits:
        parse(changed(FIELD, field))
    else:
        assert "partners.0.content.0.fields.0: date_format" in refused(changed(FIELD, field))


def test_an_age_band_needs_its_reference() -> None:
    assert "needs a reference date" in refused(changed((*FIELD[:-1], 2, "reference"), None))


def test_two_tables_of_one_name_in_the_extract() -> None:
    table = {"name": "b_c", "kind": "event", "fields": [{"name": "x"}]}
    document = changed(("partners", 0), {"name": "a", "content": [table]})
    document["partners"][1] = {"name": "a_b", "content": [table | {"name": "c"}]}
    document["match_keys"][0]["fields"] = ["surname", "dob"]
    assert "'a_b_c' stands more than once" in refused(document)


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        (("retention",), "did you mean 'retention_days'"),
        (("partners", 0, "colums"), "did you mean 'columns'"),
        (("partners", 0, "content", 0, "fiels"), "did you mean 'fields'"),
        ((*FIELD, "colum"), "did you mean 'column'"),
        (("recipients", 0, "roles"), "did you mean 'role'"),
        (("fields", 0, "typ"), "did you mean 'type'"),
        (("match_keys", 0, "weight"), "did you mean 'weights'"),
        (("scheme", "hashs"), "did you mean 'hashes'"),
        (("matching", "quote"), "did you mean 'quota'"),
        (("governance", "leggal"), "did you mean 'legal'"),
        (("safeguards", "min_overlaps"), "did you mean 'min_overlap'"),
        (("partners", 0, "policies", 0, "base"), "did you mean 'basis'"),
        (("budgets", "partners"), "did you mean 'partner'"),
        (("budgets", "project", "run_per_day"), "did you mean 'runs_per_day'"),
        (("stewards", 0, "kay"), "did you mean 'key'"),
        (("matching", "hashes"), "remove it"),
        (("matching", "zebra"), "remove it"),
        (("hashes",), "remove it"),
    ],
)
def test_an_unknown_setting_is_never_ignored(place: Path_, hint: str) -> None:
    message = refused(changed(place, 1))
    assert f"unknown setting; {hint}" in message
    assert ".".join(map(str, place[:-1])).replace("scheme", "scheme.saul-v1") in message


def test_every_problem_is_named_at_once() -> None:
    document = changed(("version",), "x") | {"zebra": 1, "expires": "never"}
    lines = refused(document).splitlines()
    assert len(lines) == 3
    assert all(line.startswith("m.json: ") for line in lines)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1, column 1"),
        (b'{"linkage": "manifest/1",}', "not valid JSON"),
        (b'{"a": 1, "a": 2}', "setting 'a' is given twice"),
        (b'{"partners": [{"name": 1, "name": 2}]}', "setting 'name' is given twice"),
        (b"[]", "m.json: manifest: "),
        (b"null", "m.json: manifest: "),
        (b'{"title": "\xff\xfe\xe9"}', "not valid JSON"),
        (b'{"version": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b" " * (MAX_MANIFEST_BYTES + 1), "larger than"),
    ],
)
def test_what_is_not_a_manifest(data: bytes, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data, source="m.json")
    assert message in str(caught.value)
    assert str(caught.value).startswith("m.json")


def test_canonical_form_is_rfc_8785_with_every_default_and_round_trips() -> None:
    manifest = parse(FULL)
    document = json.loads(manifest.canonical)
    assert manifest.canonical == rfc8785.dumps(document)
    assert document["partners"][1]["unique"] is True
    assert parse_manifest(manifest.canonical) == manifest
    assert parse_manifest(manifest.canonical).canonical == manifest.canonical
    assert parse(dict(reversed(FULL.items()))).fingerprint == manifest.fingerprint


def test_a_default_written_out_does_not_change_the_fingerprint() -> None:
    spelled = copy.deepcopy(FULL)
    spelled["partners"][1] |= {"title": "", "unique": True, "missing": []}
    assert parse(spelled).fingerprint == parse(FULL).fingerprint


def test_fingerprint_known_answers() -> None:
    assert canonical({"b": [1, 0.5, "é"], "a": None}) == '{"a":null,"b":[1,0.5,"é"]}'.encode()
    assert fingerprint(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert parse(FULL).fingerprint == KNOWN


KNOWN = "0752b69a52afae1175905c03740fd3cd95964257a44c4edf628428836d5354e0"


def leaves(value: Any, place: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*place, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*place, number))
    else:
        yield place, value


LEAVES = dict(leaves(FULL))
OTHER = st.one_of(
    st.text(max_size=12),
    st.integers(-10, 5000),
    st.booleans(),
    st.none(),
    st.floats(0, 1),
    st.dates().map(str),
    st.sampled_from(["%Y-%m-%d", "keep", "year", "surname", "phone", "north", "evaluator", "US"]),
)


@given(st.sampled_from(sorted(LEAVES, key=str)), OTHER)
def test_any_change_of_any_leaf_changes_the_fingerprint(place: Path_, value: Any) -> None:
    """Or is refused; what a partner signs cannot be altered under its signature."""
    same = type(value) is type(LEAVES[place]) and value == LEAVES[place]
    try:
        found = parse(changed(place, value))
    except ManifestError:
        assert not same
        return
    before = parse(FULL)
    if found.model_dump(mode="json") == before.model_dump(mode="json"):
        # A default written out, or 1 for 1.0.
        assert found.fingerprint == before.fingerprint
        assert same or value == LEAVES[place] or value is None
    else:
        assert found.fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (place, f"{value}x" if isinstance(value, str) else value + 1)
        for place, value in LEAVES.items()
        if (isinstance(value, str) or type(value) is int)
    ],
)
def test_each_leaf_counts(place: Path_, value: Any) -> None:
    try:
        found = parse(changed(place, value))
    except ManifestError:
        return
    assert found.fingerprint != parse(FULL).fingerprint


def test_more_pairs_of_a_record_than_protect_it_are_warned_of() -> None:
    two = [{"name": "north"}, {"name": "south"}]
    small = {**FULL, "partners": two, "audit": {}, "policy_tags": []}

    def warned(**matching: Any) -> str:
        return "\n".join(
            parse_manifest(json.dumps({**small, "matching": matching}).encode()).warnings
        )

    assert "pairs of each record" not in warned()
    assert "may learn how alike 12 pairs of each record are" in warned(answer_runs=3)
    assert "pairs of each record" not in warned(answer_runs=3, pair_keyed=False)
