"""Drafts from profiles: of real files, and the rule's invariants on any profiles."""

from __future__ import annotations

import importlib.util
import json
import math
from dataclasses import replace
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.agent.profile import Profiler
from linkage.agent.records import DescribedRecords
from linkage.agent.source import SourceFile
from linkage.agreement import FieldType
from linkage.agreement.draft import Draft, Terms, _quota, draft_manifest
from linkage.agreement.draft_fields import DEPENDS_FROM, PLACE
from linkage.agreement.draft_keys import (
    DEPENDENT_WORTH,
    NAMES_SPARE_BITS,
    PERSON,
    RULES,
    SWAPPED,
    WORTH_A_KEY,
)
from linkage.agreement.parties import Partner
from linkage.agreement.profile import (
    Description,
    Profile,
    parse_description,
    parse_profile,
    round_count,
)
from linkage.agreement.reading import parse_manifest
from linkage.errors import InputError, ManifestError
from linkage.synthetic import County, write_county
from linkage.synthetic.agencies import AGENCIES, FIELDS
from tests.unit.agreement.profiles import profile

ROOT = Path(__file__).parents[3]
TERMS = Terms("county", "T", "P", "L", date(2099, 1, 1), "bureau")
SCHEMES = {name: replace(TERMS, scheme=name) for name in RULES}
each_scheme = pytest.mark.parametrize("terms", SCHEMES.values(), ids=SCHEMES)


def profile_of(file: Path, description: Description) -> Profile:
    records = DescribedRecords(description, SourceFile(file))
    profiler = Profiler(records.fields)
    records.profile(lambda step, done, total: None, profiler)
    return profiler.result().share(description.as_partner)


def bits_told(profiles: list[Profile], name: str) -> float:
    """The least bits of a field, of files where they say more than the file's size."""
    bits, large = [], []
    for one in profiles:
        field = one.field(name)
        bits.append(field.bits)
        missing = min(10 / one.rows, 1) if field.missing is None else field.missing
        if field.bits < math.log2(max(one.rows * (1 - missing), 1)) - 1:
            large.append(field.bits)
    return min(large) if large else max(bits)


def require_rule(draft: Draft, profiles: list[Profile]) -> None:
    """Every key satisfies the rule, recomputed here in the plainest way."""
    needed = math.log2(max(profile.rows for profile in profiles)) + 3
    chances = []
    for key in draft.keys:
        assert 2 <= len(key.fields) <= 4
        told = {name: bits_told(profiles, name) for name in key.fields}
        found = sorted(key.fields, key=lambda n: (-told[n], n))
        total = 0.0
        for place, name in enumerate(found):
            kinds = {name: profiles[0].field(name).type for name in found}
            depends = any(
                (kinds[name] in PLACE and kinds[other] in PLACE)
                or any(
                    set(d.fields) == {name, other} and d.shared >= DEPENDS_FROM
                    for p in profiles
                    for d in p.dependent
                )
                for other in found[:place]
            )
            total += told[name] * (DEPENDENT_WORTH if depends else 1)
        assert total == pytest.approx(key.bits)
        types = [profiles[0].field(name).type for name in key.fields]
        of_names = all(kind.is_name for kind in types)
        assert total >= needed + (NAMES_SPARE_BITS if of_names else 0)
        assert PERSON.intersection(types)
        chances.append(key.chance)
    assert chances == sorted(chances)
    assert len({key.fields for key in draft.keys}) == len(draft.keys)


def febrl() -> Any:
    spec = importlib.util.spec_from_file_location(
        "make_files", ROOT / "examples" / "febrl4" / "make_files.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def febrl_profiles(tmp_path_factory: pytest.TempPathFactory) -> list[Profile]:
    module, directory = febrl(), tmp_path_factory.mktemp("febrl")
    module.write_case(directory, "full", module.load_files())
    fields = [
        {"name": name, "type": kind, "region": "AU"}
        | ({"date_formats": [module.DATE_FORMAT]} if kind == "date_of_birth" else {})
        for name, kind in module.FIELDS.items()
    ]
    return [
        profile_of(
            directory / f"{name}.csv",
            Description.model_validate({"linkage": "fields/1", "partner": name, "fields": fields}),
        )
        for name in ("a", "b")
    ]


@each_scheme
def test_febrl_4(febrl_profiles: list[Profile], terms: Terms) -> None:
    draft = draft_manifest(febrl_profiles, terms)
    assert 8 <= len(draft.keys) <= RULES[terms.scheme].most_keys
    require_rule(draft, febrl_profiles)
    assert draft.keys[-1].chance == pytest.approx(0.96, abs=0.02)
    # One key holds both names, so that it meets where they are swapped.
    assert any({"given_name", "surname"} <= set(key.fields) for key in draft.keys)
    matching = draft.manifest.matching
    assert matching.swaps == (("given_name", "surname"),)
    (household,) = matching.dependent
    assert {"surname", "address_1", "address_2", "suburb", "postcode"} <= set(household)
    assert {field.name for field in draft.manifest.fields} == set(febrl().FIELDS)
    assert parse_manifest(draft.manifest.canonical) == draft.manifest
    assert draft.manifest.partner("b").date_formats == {"date_of_birth": ("%Y%m%d",)}


@each_scheme
def test_the_county(tmp_path: Path, terms: Terms) -> None:
    files = write_county(County.make(people=4000, seed=5), tmp_path)
    profiles = []
    for agency in AGENCIES:
        fields: list[dict[str, Any]] = []
        for name in FIELDS:
            kind = "national_id" if name == "ssn4" else name
            fields.append({"name": name, "type": kind, "column": agency.column(name)})
            if name == "date_of_birth":
                fields[-1]["date_formats"] = list(agency.dates)
        document = {
            "linkage": "fields/1",
            "partner": agency.name,
            "unique": agency.unique,
            "record_id": agency.column("record_id"),
            "missing": agency.unknown_words,
            "fields": fields,
        }
        description = Description.model_validate(document)
        profiles.append(profile_of(files.identifiers[agency.name], description))
    draft = draft_manifest(profiles, terms)
    assert 8 <= len(draft.keys) <= RULES[terms.scheme].most_keys
    require_rule(draft, profiles)
    (household,) = draft.groups
    assert {"surname", "address", "city", "postcode"} <= set(household)
    assert draft.manifest.matching.dependent == draft.groups
    assert [p.name for p in draft.manifest.partners] == [agency.name for agency in AGENCIES]


TYPES = [kind for kind in FieldType if kind is not FieldType.EMAIL]


@st.composite
def any_profiles(draw: st.DrawFn) -> list[Profile]:
    kinds = draw(st.lists(st.sampled_from(TYPES), min_size=3, max_size=7))
    names = [f"f{place}" for place in range(len(kinds))]
    pairs = list(combinations(names, 2))
    made = []
    for partner in range(draw(st.integers(2, 3))):
        rows = round_count(draw(st.integers(100, 100_000)))
        hints = draw(st.lists(st.sampled_from(pairs), max_size=3, unique=True))
        fields = [
            {
                "name": name,
                "type": kind,
                "missing": draw(st.none() | st.integers(0, 100).map(lambda n: n / 100)),
                "bits": draw(st.integers(0, round(10 * math.log2(rows))).map(lambda n: n / 10)),
            }
            for name, kind in zip(names, kinds, strict=True)
        ]
        document = {
            "linkage": "profile/1",
            "partner": {"name": f"p{partner}"},
            "rows": rows,
            "fields": fields,
            "dependent": [
                {"fields": pair, "shared": draw(st.integers(0, 10)) / 10} for pair in hints
            ],
        }
        made.append(Profile.model_validate(document, strict=False))
    return made


@settings(max_examples=150, deadline=None)
@given(profiles=any_profiles(), terms=st.sampled_from(list(SCHEMES.values())))
def test_the_rule_holds_for_any_profiles(profiles: list[Profile], terms: Terms) -> None:
    try:
        draft = draft_manifest(profiles, terms)
    except InputError as error:
        assert "bits" in error.message
        return
    require_rule(draft, profiles)
    assert 1 <= len(draft.keys) <= RULES[terms.scheme].most_keys
    assert all(key.gain >= WORTH_A_KEY for key in draft.keys[8:])
    if terms.scheme == "saul-v1":
        gains = [round(key.gain, 9) for key in draft.keys]
        assert gains == sorted(gains, reverse=True)
    assert 0 < draft.keys[-1].chance <= 1
    assert draft.keys[0].intact * (1 - SWAPPED) <= draft.keys[0].chance + 1e-9
    assert draft.keys[0].chance <= draft.keys[0].intact + 1e-9
    again = draft_manifest(profiles[::-1], terms)
    assert (again.keys, again.groups, again.notes) == (draft.keys, draft.groups, draft.notes)
    assert again.manifest.partner_names[0] == profiles[-1].partner.name
    assert parse_manifest(draft.manifest.canonical).canonical == draft.manifest.canonical
    for one in profiles:
        assert parse_profile(one.model_dump_json().encode()) == one


def test_what_a_description_says_of_a_field_comes_into_the_manifest() -> None:
    fields = [
        {"name": "given", "type": "given_name", "column": "FIRST", "missing": ["nmn"]},
        {"name": "dob", "type": "date_of_birth", "date_formats": ["%d.%m.%Y"]},
    ]
    document = {"linkage": "fields/1", "partner": "one", "missing": ["unk"], "fields": fields}
    said = parse_description(json.dumps(document).encode())
    assert said.as_partner.missing_of("given") == ("unk", "nmn")
    other = profile("two", given=8.0, dob=12.0)
    mine = other.model_copy(update={"partner": said.as_partner})
    found = draft_manifest([mine, other], TERMS).manifest.partner("one")
    assert found == said.as_partner
    assert (found.column_of("given"), found.date_formats["dob"]) == ("FIRST", ("%d.%m.%Y",))


def test_a_draft_names_its_scheme() -> None:
    good = [profile(name, given=8.0, dob=12.0) for name in ("one", "two")]
    for name, terms in SCHEMES.items():
        assert draft_manifest(good, terms).manifest.scheme.name == name
    assert TERMS.scheme == "minhash-v1"


def test_few_keys_are_remarked_on() -> None:
    good = [profile(name, given=8.0, dob=12.0, zip=9.0) for name in ("one", "two")]
    assert any("only 3 match keys" in note for note in draft_manifest(good, TERMS).notes)


def test_terms_that_make_no_manifest() -> None:
    good = [profile(name, given=8.0, dob=12.0) for name in ("one", "two")]
    with pytest.raises(ManifestError, match="'one'"):
        draft_manifest(good, Terms("county", "T", "P", "L", date(2099, 1, 1), "one"))


@pytest.mark.parametrize(
    ("partners", "duplicates", "quota"),
    [(2, 0, 4), (2, 2, 4), (3, 0, 4), (3, 1, 3), (3, 3, 2), (4, 0, 2), (5, 0, 2), (9, 9, 2)],
)
def test_records_stand_in_few_pairs_however_many_partners_there_are(
    partners: int, duplicates: int, quota: int
) -> None:
    found = [Partner(name=f"p{n}", unique=n >= duplicates) for n in range(partners)]
    assert _quota(found) == quota
