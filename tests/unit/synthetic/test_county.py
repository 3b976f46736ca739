from __future__ import annotations

import json
from datetime import datetime
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest

from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.draft_keys import PERSON
from linkage.release.deidentify import deidentify_table
from linkage.synthetic import County, CountyFiles, demo_manifest, write_county
from linkage.synthetic.content import measure
from linkage.synthetic.places import MUNICIPALITIES

PEOPLE = 3000


@pytest.fixture(scope="module")
def county() -> County:
    return County.make(people=PEOPLE, seed=7)


@pytest.fixture(scope="module")
def files(county: County, tmp_path_factory: pytest.TempPathFactory) -> CountyFiles:
    return write_county(county, tmp_path_factory.mktemp("county"))


@pytest.fixture(scope="module")
def manifest(files: CountyFiles) -> Manifest:
    return parse_manifest(files.manifest.read_bytes())


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def everything(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def test_same_seed_same_bytes(files: CountyFiles, tmp_path: Path) -> None:
    again = write_county(County.make(people=PEOPLE, seed=7), tmp_path / "again")
    other = write_county(County.make(people=PEOPLE, seed=8), tmp_path / "other")
    assert everything(again.directory) == everything(files.directory)
    assert other.identifiers["health"].read_bytes() != files.identifiers["health"].read_bytes()


def test_smallest_county(tmp_path: Path) -> None:
    files = write_county(County.make(people=100, seed=1), tmp_path)
    assert all(len(read(path)) for path in files.identifiers.values())
    with pytest.raises(ValueError, match="at least 100"):
        County.make(people=99)


def test_manifest_names_what_is_in_the_files(files: CountyFiles, manifest: Manifest) -> None:
    assert manifest.partner_names == ("sheriff", "health", "social")
    assert manifest.assembler == "county_data_office"
    assert json.loads(files.manifest.read_bytes()) == demo_manifest()
    for partner in manifest.partners:
        table = read(files.identifiers[partner.name])
        assert "truth" not in {partner.column_of(field.name) for field in manifest.fields}
        assert {partner.column_of(field.name) for field in manifest.fields} <= set(table)
        assert partner.record_id is not None
        assert table[partner.record_id].is_unique
        for content in partner.content:
            path = files.content[partner.name].get(content.name)
            rows = table if path is None else read(path)
            assert {field.column or field.name for field in content.fields} <= set(rows)
            assert "truth" not in rows or path is None
            if content.record_id is not None:
                assert set(rows[content.record_id]) <= set(table[partner.record_id])


def test_content_passes_what_the_partners_agreed(files: CountyFiles, manifest: Manifest) -> None:
    for partner in manifest.partners:
        for content in partner.content:
            path = files.content[partner.name].get(content.name)
            rows = read(path or files.identifiers[partner.name])
            clean = deidentify_table(content, rows, file="rows", missing=partner.missing)
            assert clean.num_rows == len(rows)


def test_dates_have_the_declared_formats(files: CountyFiles, manifest: Manifest) -> None:
    for partner in manifest.partners:
        formats = partner.date_formats["date_of_birth"]
        cells = read(files.identifiers[partner.name])[partner.column_of("date_of_birth")]
        known = cells[(cells != "") & ~cells.isin(partner.missing)]
        assert len(known) > 0.9 * len(cells)
        for cell in known:
            assert any(_fits(cell, form) for form in formats), partner.name


def _fits(cell: str, form: str) -> bool:
    try:
        return 1850 < datetime.strptime(cell, form).year < 2026
    except ValueError:
        return False


def test_every_match_key_is_short_and_holds_a_person_field(manifest: Manifest) -> None:
    assert len(manifest.match_keys) == 8
    for key in manifest.match_keys:
        assert 2 <= len(key.fields) <= 4
        assert {manifest.field(name).type for name in key.fields} & PERSON


def test_every_match_key_is_near_unique(
    county: County, files: CountyFiles, manifest: Manifest
) -> None:
    for partner in manifest.partners:
        table = read(files.identifiers[partner.name]).drop_duplicates("truth")
        for key in manifest.match_keys:
            cells = table[[partner.column_of(name) for name in key.fields]]
            known = cells[~((cells == "") | cells.isin(partner.missing)).any(axis=1)]
            assert known.value_counts().iloc[0] <= 4, (partner.name, key.name)


def test_truth_fits_the_files(files: CountyFiles) -> None:
    truth = json.loads(files.truth.read_bytes())
    tables = {name: read(path)["truth"] for name, path in files.identifiers.items()}
    for name, persons in tables.items():
        assert truth["records"][name] == len(persons)
        assert truth["persons"][name] == persons.nunique()
    for one, other in combinations(tables, 2):
        shared = set(tables[one]) & set(tables[other])
        assert truth["shared_persons"][f"{one}-{other}"] == len(shared)
        pairs = tables[one].to_frame().merge(tables[other].to_frame(), on="truth")
        assert truth["true_record_pairs"][f"{one}-{other}"] == len(pairs)
    assert not tables["sheriff"].is_unique
    assert tables["health"].is_unique
    assert tables["social"].is_unique
    assert 0.15 < truth["shared_persons"]["sheriff-health"] / truth["persons"]["sheriff"] < 0.30


def test_planted_effect_is_found_through_the_files(county: County, files: CountyFiles) -> None:
    calls = read(files.content["sheriff"]["crisis_calls"])
    calls = calls.merge(read(files.identifiers["sheriff"])[["name_id", "truth"]])
    calls["day"] = pd.to_datetime(calls["call_date"], format="%m/%d/%Y")
    episodes = read(files.content["health"]["treatment"])
    episodes = episodes.merge(read(files.identifiers["health"])[["client_id", "truth"]])
    episodes["start"] = pd.to_datetime(episodes["episode_start"])
    found = measure(calls, episodes)
    assert found == county.truth["crisis_to_treatment"]["municipalities"]
    for town in MUNICIPALITIES:
        result = found[town.name]
        assert abs(result["treated"] - town.treated * result["people_with_call"]) <= 1


def test_each_departments_codes_have_a_meaning(county: County) -> None:
    calls = county.content["sheriff"]["crisis_calls"]
    codes = county.truth["call_codes"]
    assert len(codes) >= 10
    for department, code in zip(calls["department"], calls["call_code"], strict=True):
        assert code in codes[department]


def test_mistakes_are_as_common_as_they_should_be(county: County) -> None:
    people = county.people.set_index("person")
    health = county.identifiers["health"]
    right = people.loc[health["truth"]]
    wrong_birth = health["date_of_birth"].to_numpy() != right["birth"].astype(str).to_numpy()
    known = ~health["date_of_birth"].isin(["", "not asked"]).to_numpy()
    assert 0.005 < (wrong_birth & known).mean() < 0.04
    other_given = (health["given_name"].to_numpy() != right["given"].to_numpy()).mean()
    assert 0.03 < other_given < 0.12
    assert 0.05 < health["phone"].isin(["", "not asked"]).mean() < 0.15
    sheriff = county.identifiers["sheriff"]
    assert 0.30 < sheriff["PHONE"].isin(["", "UNK"]).mean() < 0.46
    assert 0.10 < sheriff["ADDR"].isin(["", "TRANSIENT"]).mean() < 0.19


def test_population_has_hard_cases(county: County) -> None:
    people = county.people
    assert people["twin"].sum() >= 5
    assert (people["suffix"] == "Jr").sum() >= 5
    same = people.groupby(["address", "surname"])["person"].transform("size")
    assert (same > 1).mean() > 0.3
    assert people["surname"].str.contains("-").any()
    assert not all(name.isascii() for name in people["surname"])
    twin = people[people["twin"]].iloc[0]
    sibling = people.iloc[int(twin["person"]) - 2]
    assert (twin["birth"], twin["surname"]) == (sibling["birth"], sibling["surname"])


def test_race_codes_are_of_the_standard(county: County) -> None:
    known = {"AIAN", "ASIAN", "BLACK", "HISP", "MENA", "NHPI", "WHITE"}
    race = county.people["race"]
    assert set("|".join(race).split("|")) == known
    assert race.str.contains("|", regex=False).any()
