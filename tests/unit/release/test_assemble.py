from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from linkage.agreement import Manifest
from linkage.errors import InvalidRequestError, NotReadyError
from linkage.release.assemble import assemble, dictionary
from linkage.release.deidentify import attach_index_ids
from linkage.release.pseudonyms import draw_ids


def manifest(*partners: dict[str, Any]) -> Manifest:
    return Manifest.model_validate(
        {
            "linkage": "manifest/1",
            "project": "county",
            "title": "t",
            "purpose": "p",
            "legal_basis": "l",
            "expires": "2030-01-01",
            "partners": partners or (HOSPITAL, SHELTER),
            "recipients": [{"name": "bureau", "role": "assembler"}],
            "fields": [{"name": "given", "type": "given_name"}],
            "match_keys": [{"name": "k", "fields": ["given"]}],
            "scheme": {"name": "saul-v1"},
        }
    )


CODE = {"name": "code", "values": ["a", "b"], "description": "What was done"}
YEAR = {"name": "year", "transform": "year"}
HOSPITAL: dict[str, Any] = {
    "name": "hospital",
    "record_id": "rid",
    "content": [{"name": "visits", "kind": "event", "record_id": "rid", "fields": [CODE, YEAR]}],
}
SHELTER: dict[str, Any] = {
    "name": "shelter",
    "content": [{"name": "clients", "kind": "person", "fields": [CODE]}],
}


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def parcel(ids: list[int], **columns: list[Any]) -> pa.Table:
    types = {"year": pa.int16()}
    rows = pa.table({k: pa.array(v, types.get(k, pa.string())) for k, v in columns.items()})
    raw = np.frombuffer(b"".join(map(key, ids)), np.uint8).reshape(-1, 16)
    return attach_index_ids(rows, raw)


STUDY = {
    "hospital": {key(1): key(900), key(2): key(800), key(3): key(700)},
    "shelter": {key(11): key(800), key(12): key(600)},
}


def parcels() -> dict[tuple[str, str], pa.Table]:
    return {
        ("hospital", "visits"): parcel(
            [1, 2, 1, 1], code=["b", "a", "a", None], year=[2020, 2021, 2022, 2019]
        ),
        ("shelter", "clients"): parcel([12, 11], code=["a", "b"]),
    }


def test_rows_meet_under_their_study_id_in_its_order() -> None:
    out = assemble(manifest(), parcels(), STUDY)
    assert list(out.tables) == ["hospital_visits", "shelter_clients"]
    assert out.tables["hospital_visits"].to_pylist() == [
        {"study_id": key(800).hex(), "code": "a", "year": 2021},
        {"study_id": key(900).hex(), "code": "a", "year": 2022},
        {"study_id": key(900).hex(), "code": "b", "year": 2020},
        {"study_id": key(900).hex(), "code": None, "year": 2019},
    ]
    assert out.tables["shelter_clients"]["study_id"].to_pylist() == [key(600).hex(), key(800).hex()]


def test_people_are_everyone_linked_or_not() -> None:
    people = assemble(manifest(), parcels(), STUDY).people
    assert people.column_names == ["study_id", "in_hospital", "in_shelter", "n_partners"]
    assert [tuple(row.values())[1:] for row in people.to_pylist()] == [
        (False, True, 1),
        (True, False, 1),
        (True, True, 2),
        (True, False, 1),
    ]
    assert people["study_id"].to_pylist() == [key(n).hex() for n in (600, 700, 800, 900)]


def test_neither_file_order_nor_index_order_reaches_the_output() -> None:
    shuffled = parcels()
    visits = shuffled["hospital", "visits"]
    shuffled["hospital", "visits"] = visits.take([3, 1, 0, 2]).replace_schema_metadata({"a": "/x"})
    relabelled = {
        "hospital": {key(3): key(900), key(2): key(800), key(1): key(700)},
        "shelter": STUDY["shelter"],
    }
    swapped = parcels()
    swapped["hospital", "visits"] = parcel(
        [3, 2, 3, 3], code=["b", "a", "a", None], year=[2020, 2021, 2022, 2019]
    )
    expected = assemble(manifest(), parcels(), STUDY)
    for other in (
        assemble(manifest(), shuffled, STUDY),
        assemble(manifest(), swapped, relabelled),
    ):
        assert other.people.equals(expected.people)
        assert other.tables["hospital_visits"].equals(
            expected.tables["hospital_visits"], check_metadata=True
        )
    assert "index_id" not in str(expected.named)


def test_faulty_parcels_and_maps_are_named() -> None:
    unknown = parcels()
    unknown["shelter", "clients"] = parcel([12, 99], code=["a", "b"])
    with pytest.raises(InvalidRequestError, match="'clients' of 'shelter': 1 of 2 rows"):
        assemble(manifest(), unknown, STUDY)
    repeated = parcels()
    repeated["shelter", "clients"] = parcel([12, 12], code=["a", "b"])
    with pytest.raises(InvalidRequestError, match="1 rows repeat an index id"):
        assemble(manifest(), repeated, STUDY)
    with pytest.raises(InvalidRequestError, match="'shelter' are missing"):
        assemble(manifest(), parcels(), {"hospital": STUDY["hospital"]})
    with pytest.raises(InvalidRequestError, match="a person stands there twice"):
        assemble(manifest(), parcels(), {**STUDY, "shelter": {key(11): key(5), key(12): key(5)}})
    with pytest.raises(InvalidRequestError, match="not 16 bytes"):
        assemble(manifest(), parcels(), {**STUDY, "shelter": {b"x": key(5)}})
    with pytest.raises(InvalidRequestError, match="no table 'x'"):
        assemble(manifest(), {**parcels(), ("shelter", "x"): parcel([])}, STUDY)
    missing = parcels()
    del missing["shelter", "clients"]
    with pytest.raises(NotReadyError, match="'clients' of 'shelter'"):
        assemble(manifest(), missing, STUDY)
    bare = {"hospital": STUDY["hospital"], "shelter": {}}
    with pytest.raises(InvalidRequestError, match="2 of 2 rows"):
        assemble(manifest(), parcels(), bare)


@pytest.mark.parametrize("several", [{"unique": False}, {"group": "person"}])
def test_a_file_that_may_hold_a_person_twice(several: dict[str, Any]) -> None:
    many = manifest(HOSPITAL, {**SHELTER, **several})
    study = {**STUDY, "shelter": {key(11): key(800), key(12): key(800)}}
    out = assemble(many, parcels(), study)
    assert out.tables["shelter_clients"].num_rows == 2
    assert out.people.num_rows == 3


def test_colliding_table_names_are_refused() -> None:
    one = {"name": "a_b", "content": [{"name": "c", "kind": "person", "fields": [CODE]}]}
    two = {"name": "a", "content": [{"name": "b_c", "kind": "person", "fields": [CODE]}]}
    with pytest.raises(ValidationError, match="'a_b_c'"):
        manifest(one, two)


def test_dictionary_describes_every_column_and_is_plain_json() -> None:
    described = json.loads(json.dumps(dictionary(manifest())))
    listed = [(c["table"], c["column"], c["type"]) for c in described["columns"]]
    out = assemble(manifest(), parcels(), STUDY)
    assert sorted(listed) == sorted(
        (name, field.name, str(field.type))
        for name, table in out.named.items()
        for field in table.schema
    )
    code = next(c for c in described["columns"] if c["column"] == "code")
    assert code["description"] == "What was done"
    assert code["transform"] == "keep"
    assert code["partner"] == "hospital"
    assert code["values"] == ["a", "b"]


def hidden(ids: list[int], found: list[int | None], shifts: dict[bytes, int]) -> pa.Table:
    """A parcel of days under the shifts whose corrections are given."""
    rows = pa.table({"day": pa.array(found, pa.date32())})
    raw = np.frombuffer(b"".join(map(key, ids)), np.uint8).reshape(-1, 16)
    own = np.array([-shifts[key(number)] for number in ids], np.int64).astype(np.uint32)
    return attach_index_ids(rows, raw, own)


def test_days_are_counted_from_the_first_event_over_all_tables() -> None:
    day = {"name": "day", "transform": "day", "means": "day"}
    agreed = manifest(
        {**HOSPITAL, "content": [{**HOSPITAL["content"][0], "fields": [day]}]},
        {**SHELTER, "content": [{"name": "stays", "kind": "service", "fields": [day]}]},
    )
    shifts = {
        "hospital": {key(1): 5, key(2): (1 << 32) - 7, key(3): 0},
        "shelter": {key(11): 1 << 31, key(12): 3},
    }
    given = {
        ("hospital", "visits"): hidden([1, 1, 2, 2], [100, 90, 80, None], shifts["hospital"]),
        ("shelter", "stays"): hidden([11, 12], [75, 20_000], shifts["shelter"]),
    }
    out = assemble(agreed, given, STUDY, shifts)
    assert [tuple(r.values()) for r in out.tables["hospital_visits"].to_pylist()] == [
        (key(800).hex(), 5),
        (key(800).hex(), None),
        (key(900).hex(), 0),
        (key(900).hex(), 10),
    ]
    assert [tuple(r.values()) for r in out.tables["shelter_stays"].to_pylist()] == [
        (key(600).hex(), 0),
        (key(800).hex(), 0),
    ]
    with pytest.raises(InvalidRequestError, match="the day shifts for table"):
        assemble(agreed, given, STUDY)
    with pytest.raises(InvalidRequestError, match="not for the same rows"):
        assemble(agreed, given, STUDY, {**shifts, "shelter": {key(11): 1}})
    other = {**shifts, "shelter": {key(11): 1, key(12): 3}}
    with pytest.raises(InvalidRequestError, match="are not under the shift"):
        assemble(agreed, given, STUDY, other)


SITES = {
    "name": "sites",
    "kind": "site",
    "fields": [
        {"name": "place", "column": "tract", "means": "tract", "recipients": ["bureau"]},
        {"name": "money", "transform": "number", "means": "funded_amount"},
    ],
}


def test_tables_about_no_person_bear_no_id() -> None:
    agreed = manifest(HOSPITAL, {**SHELTER, "content": [*SHELTER["content"], SITES]})
    rows = pa.table({"place": ["010202", "010100"], "money": [2.5, None]})
    given = {**parcels(), ("shelter", "sites"): rows}
    out = assemble(agreed, given, STUDY)
    assert out.tables["shelter_sites"].to_pylist() == [
        {"place": "010100", "money": None},
        {"place": "010202", "money": 2.5},
    ]
    listed = [c for c in dictionary(agreed)["columns"] if c["table"] == "shelter_sites"]
    assert [(c["column"], c["type"], c["means"], c["recipients"]) for c in listed] == [
        ("place", "string", "tract", ["bureau"]),
        ("money", "double", "funded_amount", None),
    ]
    under_ids = parcel([11, 12], place=["a", "b"], money=[None, None])
    with pytest.raises(InvalidRequestError, match="not the ones the partners agreed to"):
        assemble(agreed, {**given, ("shelter", "sites"): under_ids}, STUDY)


def test_half_a_million_rows_in_seconds() -> None:
    rows, people = 500_000, 100_000
    ids = draw_ids(people)
    studies = draw_ids(people)
    pick = np.random.default_rng(1).integers(0, people, rows)
    content = pa.table(
        {
            "code": pa.array(np.where(pick % 2 == 0, "a", "b")),
            "year": pa.array((2000 + pick % 20).astype(np.int16)),
        }
    )
    visits = attach_index_ids(content, ids[pick])
    only = {"name": "shelter"}
    study = {
        "hospital": {bytes(i): bytes(s) for i, s in zip(ids, studies, strict=True)},
        "shelter": {},
    }
    start = time.process_time()
    out = assemble(manifest(HOSPITAL, only), {("hospital", "visits"): visits}, study)
    assert time.process_time() - start < 30
    assert out.tables["hospital_visits"].num_rows == rows
