"""Cells that are looked up in files of the agency's own before they leave."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from linkage.agent import placelist, source
from linkage.agent.content_check import check_content
from linkage.agent.lookups import Lookups
from linkage.agreement import Manifest, Partner
from linkage.cli.main import app
from linkage.errors import DigestMismatchError, InputError, LimitError, SourceError
from linkage.release.deidentify import deidentify_table
from linkage.release.lookups import lookup_provenance
from tests.unit.agent import test_content
from tests.unit.agent.conftest import MakeManifest
from tests.unit.agent.test_content import MARKER, Bench
from tests.unit.release.crosswalk.conftest import crosswalk, mapping

bench = test_content.bench

ELM, OAK = "17031010202", "17031829901"


class Desk:
    """One partner's table, its cells, and the lookup files beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lookups: list[dict[str, Any]] = []
        self.files: dict[str, Path] = {}
        self.missing: list[str] = []

    def file(self, name: str, text: str | bytes, **lookup: Any) -> Path:
        path = self.directory / f"{name}.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        source = {} if lookup["kind"] == "crosswalk" else {"source": "test"}
        self.lookups.append({"name": name, **source, **lookup})
        self.files[name] = path
        return path

    def homes(self, text: str | bytes, *by: str) -> None:
        self.file("homes", text, kind="places", by=list(by or ("address",)))

    def partner(self, *fields: dict[str, Any]) -> Partner:
        table = {"name": "visits", "kind": "event", "record_id": "id", "fields": fields}
        return Partner.model_validate(
            {
                "name": "north",
                "record_id": "id",
                "missing": self.missing,
                "lookups": self.lookups,
                "content": [table],
            }
        )

    def leave(self, columns: dict[str, list[Any]], *fields: dict[str, Any]) -> dict[str, Any]:
        partner = self.partner(*fields)
        table = partner.content[0]
        frame = pd.DataFrame(columns, dtype=object)
        self.found = Lookups(partner, self.files).find(table, frame)
        looked_up = {name: one.looked_up for name, one in self.found.items()}
        clean = deidentify_table(
            table, frame, file="visits.csv", missing=partner.missing, looked_up=looked_up
        )
        result: dict[str, Any] = clean.to_pydict()
        return result

    def counts(self, field: str) -> tuple[int, int, list[int]]:
        found = self.found[field]
        return found.count.rows, found.count.unmatched, found.unmatched.tolist()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def place(transform: str, column: str = "home", **more: Any) -> dict[str, Any]:
    lookup = {"name": "homes", **more.pop("lookup", {})}
    return {"name": transform, "column": column, "transform": transform, "lookup": lookup, **more}


REGISTER = (
    "address,tract,municipality\n"
    f"12 North High Street Apt 4,{ELM},Elmville\n"
    f"PO Box 7,{OAK}3,Oak Lawn Township of Cook\n"
    f"7 W Oak Ave,{OAK}3007,Elmville\n"
    "9 Nowhere Ln,,\n"
)


# -- places --------------------------------------------------------------------------------------


def test_an_address_leaves_as_tract_municipality_and_county(desk: Desk) -> None:
    desk.homes(REGISTER)
    desk.missing = ["UNK"]
    cells = ["0012 N. High St, Apartment #4", "p.o. box 7", "unk", None, " ", "7 west OAK avenue"]
    found = desk.leave(
        {"home": cells},
        place("tract", within=["17031"]),
        place("municipality", values=["Elmville", "Oak Lawn Township of Cook"]),
        place("county"),
    )
    assert found == {
        "tract": [ELM, OAK, None, None, None, OAK],
        "municipality": ["Elmville", "Oak Lawn Township of Cook", None, None, None, "Elmville"],
        "county": ["17031", "17031", None, None, None, "17031"],
    }
    assert desk.counts("tract") == desk.counts("county") == (3, 0, [])


def test_what_is_not_in_the_list_is_named_by_row_and_not_invented(desk: Desk) -> None:
    desk.homes(REGISTER)
    # The last: known to be nowhere; before it one that is close to an entry.
    cells = ["7 W Oak Ave", f"1 {MARKER} Street", "7 W Oak Ave Rear", "---", "9 Nowhere Ln"]
    with pytest.raises(SourceError) as caught:
        desk.leave({"home": cells}, place("tract"))
    assert [(p.row, p.field) for p in caught.value.problems] == [(n, "home") for n in (2, 3, 4, 5)]
    assert caught.value.total == 4
    assert "has no entry in the lookup 'homes'" in caught.value.problems[0].message
    assert MARKER not in str(caught.value)
    with pytest.raises(SourceError, match=r"more than 79\.00% of the filled cells have none"):
        desk.leave({"home": cells}, place("tract", lookup={"unmatched": 0.79}))
    found = desk.leave({"home": cells}, place("tract", lookup={"unmatched": 0.8}))
    assert found == {"tract": [OAK, None, None, None, None]}
    assert desk.counts("tract") == (5, 4, [1, 2, 3, 4])


@pytest.mark.parametrize("cells", [[], [None, "  "]])
def test_nothing_to_look_up(desk: Desk, cells: list[Any]) -> None:
    desk.homes(REGISTER)
    calls(desk)
    columns = {"home": cells, "call": cells, "zip": cells}
    found = desk.leave(columns, place("tract"), place("county"), CODE, areas(desk))
    empty = [None] * len(cells)
    assert found == {"tract": empty, "county": empty, "code": empty, "zip3": empty}
    assert desk.counts("code") == desk.counts("tract") == desk.counts("zip3") == (0, 0, [])


def test_a_street_that_is_in_two_towns_needs_more_of_a_key(desk: Desk) -> None:
    text = f"address,postcode,tract\n1 Main St,60614,{ELM}\n1 Main Street,60601-2231,{OAK}\n"
    desk.homes(text)
    columns = {"home": ["1 MAIN ST", "1 Main", "2 Main St"], "zip": ["60601", "60614", "60614"]}
    with pytest.raises(SourceError) as caught:
        desk.leave(columns, place("tract", lookup={"unmatched": 1.0}))
    assert caught.value.file == "homes.csv"
    assert [(p.row, p.field, p.message) for p in caught.value.problems] == [
        (2, "tract", "says another tract than row 1 for the same key")
    ]
    desk.lookups.clear()
    desk.homes(text, "address", "postcode")
    both = place("tract", lookup={"also": ["zip"], "unmatched": 1.0})
    assert desk.leave(columns, both) == {"tract": [OAK, None, None]}
    # Without the postcode it cannot be told, though only one street of the name is left.
    assert desk.leave({"home": ["1 Main St"], "zip": [None]}, both) == {"tract": [None]}
    assert desk.counts("tract") == (1, 1, [0])


def test_entries_that_say_the_same_twice_or_that_nobody_asks_for_do_no_harm(desk: Desk) -> None:
    desk.homes(
        f"address,tract\n1 Elm St,{ELM}\n1 ELM STREET,{ELM}1\n"
        f"2 Elm St,{ELM}\n2 Elm St,{OAK}\n3 Elm St,55555555555\n"
    )
    cells = {"home": ["1 Elm St", "1 Elm St"]}
    assert desk.leave(cells, place("tract", within=["17"])) == {"tract": [ELM, ELM]}


@pytest.mark.parametrize(
    ("kind", "text", "cells", "expected"),
    [
        (
            "zip4",
            f"zip4,tract\n021391234,{ELM}\n60614-2231,{OAK}\n",
            ["02139-1234", "606142231", "21391234", "60614", "606142232"],
            [ELM, OAK, ELM, None, None],
        ),
        (
            "postcode",
            f"postcode,tract\n02139,{ELM}\n60614,{OAK}\n",
            ["2139", "60614-2231", "99999", "60615"],
            [ELM, OAK, None, None],
        ),
        ("city", f"city,tract\nSaint Paul,{ELM}\n", ["ST. PAUL", "Paul"], [ELM, None]),
        ("code", f"code,tract\nBeat 7,{ELM}\n", ["BEAT  7", "beat 70"], [ELM, None]),
        (
            "code",
            f"code,tract\n{ELM}2004,{OAK}\n",
            [f"{ELM}2004", ELM],
            [OAK, None],
        ),
    ],
)
def test_other_keys(
    desk: Desk, kind: str, text: str, cells: list[str], expected: list[str | None]
) -> None:
    digest = None if kind == "zip4" else hashlib.sha256(text.encode()).hexdigest()
    desk.file("homes", text, kind="places", by=[kind], digest=digest)
    found = desk.leave({"home": cells}, place("tract", lookup={"unmatched": 1.0}))
    assert found == {"tract": expected}


@pytest.mark.parametrize(
    ("field", "entry", "message"),
    [
        (place("tract", within=["17031"]), "17043842000", "that the partners did not agree to"),
        (place("tract", within=["18"]), ELM, "that the partners did not agree to"),
        (place("county", within=["17031"]), "17043842000", "that the partners did not agree to"),
        (place("municipality", values=["Elmville"]), MARKER, "not one of the places"),
        (place("municipality"), MARKER, "is not the GEOID of a place, seven digits"),
        (place("municipality", within=["18"]), "1714000", "that the partners did not agree to"),
    ],
)
def test_places_that_nobody_agreed_to_do_not_leave(
    desk: Desk, field: dict[str, Any], entry: str, message: str
) -> None:
    desk.homes(f"address,{field['transform']}\n1 Elm St,{entry}\n")
    with pytest.raises(SourceError) as caught:
        desk.leave({"home": [None, "1 Elm St"]}, field)
    (problem,) = caught.value.problems
    assert (problem.row, problem.field) == (2, "home")
    assert message in problem.message
    assert MARKER not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "places", "message"),
    [
        ("address,tract\n1 Elm,1703101020\n2 Elm,7031010202\n", [1, 2], "(11, 12, 15 digits)"),
        (f"address,tract\n1 Elm,{MARKER}\n", [1], "(11, 12, 15 digits)"),
        ("address,tract\n1 Elm,1703101020२\n", [1], "(11, 12, 15 digits)"),
        (f"address,tract\n,{ELM}\n---,{ELM}\n1 Elm,{ELM}\n", [1, 2], "the key is empty"),
        (f"address,tract\n1 Elm,{ELM},{MARKER}\n", [1], "does not have 2 cells"),
        (f'address,tract\n"1 Elm\n2 Elm",{ELM}\n', [1], "line break"),
        (f"address,tract\n1 Elm \xff,{ELM}\n".encode("latin-1"), [1], "not UTF-8"),
        (f"address,tract\n1 Elm,{ELM}\n".encode("utf-16"), [0], "not UTF-8"),
        (f"street,tract\n1 Elm,{ELM}\n", [0], "missing"),
        (f"address,tracts\n1 Elm,{ELM}\n", [0], "missing"),
        ("address,tract\n", [0], "no rows"),
        ("", [0], "empty"),
    ],
)
def test_a_hostile_list_is_refused_without_a_cell_of_it(
    desk: Desk, text: str | bytes, places: list[int], message: str
) -> None:
    desk.homes(text)
    with pytest.raises(SourceError) as caught:
        desk.leave({"home": ["5 Elm St"]}, place("tract", lookup={"unmatched": 1.0}))
    assert [p.row for p in caught.value.problems] == places
    assert message in str(caught.value)
    assert caught.value.file == "homes.csv"
    assert MARKER not in str(caught.value)


def test_a_long_list_is_read_in_pieces_and_bounded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "BATCH_ROWS", 100)
    rows = "".join(f"{n} Elm St,{17031000000 + n}\n" for n in range(250))
    desk.homes("address,tract\n" + rows + f"150 Elm St,{ELM}\n")
    found = desk.leave({"home": ["249 Elm Street"]}, place("tract"))
    assert found == {"tract": ["17031000249"]}
    with pytest.raises(SourceError) as caught:
        desk.leave({"home": ["150 Elm Street"]}, place("tract"))
    assert caught.value.problems[0].row == 251
    assert "than row 151 for" in caught.value.problems[0].message
    monkeypatch.setattr(placelist, "MAX_PLACES", 250)
    with pytest.raises(LimitError, match=r"homes\.csv has more than 250 rows"):
        desk.leave({"home": ["249 Elm Street"]}, place("tract"))


def test_many_faults_are_counted_and_the_first_shown(desk: Desk) -> None:
    desk.homes("address,tract\n" + "1 Elm St,\n" + "x,123\n" * 3000)
    with pytest.raises(SourceError) as caught:
        desk.leave({"home": ["1 Elm St"]}, place("tract"))
    assert (caught.value.total, len(caught.value.problems)) == (3000, 1000)


def test_only_the_agreed_file_is_read(desk: Desk) -> None:
    path = desk.file(
        "homes", f"address,tract\n1 Elm,{ELM}\n", kind="places", by=["address"], digest="0" * 64
    )
    with pytest.raises(DigestMismatchError, match="the partners agreed on 0000000000000000 for"):
        desk.leave({"home": ["1 Elm"]}, place("tract"))
    desk.lookups[0]["digest"] = hashlib.sha256(path.read_bytes()).hexdigest()
    assert desk.leave({"home": ["1 Elm"]}, place("tract")) == {"tract": [ELM]}
    desk.files["house"] = path
    with pytest.raises(InputError, match="gives 'north' no lookup 'house'"):
        desk.leave({"home": ["1 Elm"]}, place("tract"))
    desk.files.clear()
    with pytest.raises(InputError) as caught:
        desk.leave({"home": ["1 Elm"]}, place("tract"))
    assert caught.value.remedy == "Give it as --lookup homes=FILE"


# -- crosswalks ----------------------------------------------------------------------------------


CALLS = crosswalk(
    mapping("PD", "96", "mental_health"),
    mapping("PD", "96A", None, merged_into="96"),
    mapping("SO", "SUI", "suicide"),
)
CODE = {
    "name": "code",
    "column": "call",
    "transform": "crosswalk",
    "means": "standard_code",
    "lookup": {"name": "calls", "agency": "PD"},
}


def calls(desk: Desk, document: Any = CALLS, **more: Any) -> None:
    settings = {"kind": "crosswalk", "version": 1, "digest": document.digest, **more}
    desk.file("calls", document.canonical, **settings)


def test_local_codes_leave_as_standard_ones_and_every_row_is_accounted_for(desk: Desk) -> None:
    calls(desk)
    desk.missing = ["none"]
    cells = ["96", " 96A ", "59", None, "NONE", "SUI", f"1 {MARKER} St"]
    found = desk.leave({"call": cells}, CODE)
    assert found == {
        "code": ["mental_health", "mental_health", "unmapped", None, None, "unmapped", "unmapped"]
    }
    assert desk.counts("code") == (5, 3, [2, 5, 6])
    columns = {"call": ["96", "SUI", "96", "96"], "who": ["PD", "SO", "XX", None]}
    lookup = {"name": "calls", "agency_column": "who", "unmapped": "NO-CODE"}
    found = desk.leave(columns, {**CODE, "lookup": lookup, "values": ["mental_health", "suicide"]})
    assert found == {"code": ["mental_health", "suicide", "NO-CODE", "NO-CODE"]}
    assert desk.counts("code") == (4, 2, [2, 3])


def test_a_crosswalk_other_than_the_agreed_one(desk: Desk) -> None:
    calls(desk, digest="0" * 64)
    with pytest.raises(DigestMismatchError, match="for the lookup 'calls'"):
        desk.leave({"call": ["96"]}, CODE)
    desk.lookups.clear()
    calls(desk, version=2)
    with pytest.raises(InputError, match="is version 1 of the crosswalk, and the manifest calls"):
        desk.leave({"call": ["96"]}, CODE)
    desk.lookups.clear()
    calls(desk)
    other = {**CODE, "lookup": {"name": "calls", "agency": "FD"}}
    with pytest.raises(InputError, match="does not know the agency 'FD'"):
        desk.leave({"call": ["96"]}, other)
    taken = {**CODE, "lookup": {"name": "calls", "agency": "PD", "unmapped": "suicide"}}
    with pytest.raises(InputError, match="'suicide' is a standard code of the crosswalk"):
        desk.leave({"call": ["96"]}, taken)


@pytest.mark.parametrize(
    "wrong",
    [
        crosswalk(mapping("PD", "1", None, merged_into="1")),
        crosswalk(mapping("PD", "1", "suicide"), mapping("PD", "1", "mental_health")),
    ],
)
def test_an_unsound_crosswalk_is_refused(desk: Desk, wrong: Any) -> None:
    calls(desk, wrong)
    with pytest.raises(SourceError, match=r"calls\.csv, row"):
        desk.leave({"call": ["1"]}, CODE)


@pytest.mark.parametrize(
    ("standard", "message"),
    [
        ("078-05-1120", "social security number"),
        ("312-555-0147", "telephone number"),
        ("MR48213", "identifier of the record"),
    ],
)
def test_a_standard_code_that_is_an_identifier_does_not_leave(
    desk: Desk, bench: Bench, make_manifest: MakeManifest, standard: str, message: str
) -> None:
    """A crosswalk is made by people: what comes out of it is searched as any other code."""
    document = crosswalk(mapping("PD", "96", standard), mapping("PD", "97", "suicide"))
    bench.manifest = with_codes(desk, make_manifest, document)
    bench.file.write_text("id,SEX,given,LAST,dob\nMR48213,F,Maria,Lopez,1987-03-14\n")
    bench.write_visits("MR48213,97,2024-05-06", "MR48213,96,2024-05-06")
    partner = bench.manifest.partners[0]
    found = check_content(bench.manifest, partner, bench.file, bench.content, desk.files)
    (problem,) = found[0].problems
    assert (problem.row, problem.field) == (2, "program")
    assert message in problem.message


def with_codes(desk: Desk, make_manifest: MakeManifest, document: Any = CALLS) -> Manifest:
    calls(desk, document)
    fields = [{**CODE, "column": "program"}]
    table = {"name": "visits", "kind": "event", "record_id": "id", "fields": fields}
    return make_manifest({"content": [table], "lookups": desk.lookups})


# -- how many people live in an area --------------------------------------------------------------


AREAS = "zip3,population\n036,20001\n606,2700000\n059,20000\n"


def areas(desk: Desk, text: str = AREAS) -> dict[str, Any]:
    digest = hashlib.sha256(text.encode()).hexdigest()
    desk.file("people", text, kind="zip3", dated="2020-04-01", digest=digest)
    return {"name": "zip3", "column": "zip", "transform": "zip3", "lookup": {"name": "people"}}


def test_an_own_table_says_which_areas_are_small(desk: Desk) -> None:
    field = areas(desk)
    cells = ["03601", "60614-2231", "05901", "62701", None]
    assert desk.leave({"zip": cells}, field) == {"zip3": ["036", "606", "000", "000", None]}
    # 627 is in no row of the table: nobody knows that many live there.
    assert desk.counts("zip3") == (4, 1, [3])
    with pytest.raises(SourceError) as caught:
        desk.leave({"zip": ["60614", "606", "6O614"]}, field)
    assert [p.row for p in caught.value.problems] == [2, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zip3,population\n36,100\n", "is not an area of three digits"),
        ("zip3,population\n036,100\n036,90000\n", "stands more than once"),
        ("zip3,population\n036,about 90000\n", "is not a whole number"),
        ("zip3,people\n036,1\n", "missing"),
    ],
)
def test_a_wrong_table_of_areas(desk: Desk, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        desk.leave({"zip": ["03601"]}, areas(desk, text))


# -- told to whoever asks --------------------------------------------------------------------------


def test_the_counts_travel_in_the_parcel_and_small_ones_are_not_shown(
    bench: Bench, desk: Desk, make_manifest: MakeManifest
) -> None:
    bench.manifest = with_codes(desk, make_manifest)
    bench.lookups = desk.files
    bench.write_visits(*["R1,96,"] * 30, *["R2,59,"] * 12, *["R3,,"] * 3)
    found = bench.pack()["visits"]
    assert found.num_rows == 45
    assert bench.packed.told == {"visits": {"code": {"rows": 42, "unmatched": 12}}}
    tables = {("north", "visits"): found}
    (told,) = lookup_provenance(bench.manifest, tables)
    assert (told["rows"], told["unmatched"]) == (42, 12)
    assert told["lookup"]["digest"] == CALLS.digest
    bench.write_visits(*["R1,96,"] * 30, *["R2,59,"] * 2)
    (told,) = lookup_provenance(bench.manifest, {("north", "visits"): bench.pack()["visits"]})
    assert (told["rows"], told["unmatched"]) == (32, None)


def test_rows_without_an_entry_are_rows_of_the_file(
    bench: Bench, desk: Desk, make_manifest: MakeManifest
) -> None:
    bench.manifest = with_codes(desk, make_manifest)
    test_content.skip_the_second(bench)
    bench.lookups = desk.files
    bench.write_visits("R2,59,", "R1,96,", "R2,96,", "R3,59,")
    bench.pack()
    assert bench.packed.told == {"visits": {"code": {"rows": 2, "unmatched": 1}}}
    partner = bench.manifest.partners[0]
    (check,) = check_content(bench.manifest, partner, bench.file, bench.content, desk.files)
    column = check.columns[0]
    assert (column.looked_up, column.unmatched, column.unmatched_rows) == (4, 2, (1, 4))


def test_the_dry_run_tells_of_them_and_of_faults_of_the_list(
    bench: Bench, desk: Desk, make_manifest: MakeManifest, tmp_path: Path
) -> None:
    desk.homes(REGISTER)
    fields = [place("tract", "home", lookup={"unmatched": 0.5})]
    table = {"name": "visits", "kind": "event", "record_id": "id", "fields": fields}
    bench.manifest = make_manifest({"content": [table], "lookups": desk.lookups})
    bench.write_visits("R1,7 W Oak Ave", f"R2,1 {MARKER} St", header="id,home")
    manifest = tmp_path / "m.json"
    manifest.write_bytes(bench.manifest.canonical)
    words = ["agent", "check", str(bench.file), "--manifest", str(manifest), "--partner", "north"]
    words += ["--content", f"visits={bench.visits}", "--lookup", f"homes={desk.files['homes']}"]
    done = CliRunner().invoke(app, words)
    assert "tract: 2 cells were looked up; 1 have no entry (rows 2)" in done.output
    assert MARKER not in done.output
    desk.files["homes"].write_text(f"address,tract\n7 W Oak Ave,{MARKER}\n")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "homes.csv, row 1, tract: is not the Census GEOID" in done.output
    assert MARKER not in done.output
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).output.splitlines()[-1])
    assert told["content"]["visits"]["problems"][0]["file"] == "homes.csv"
