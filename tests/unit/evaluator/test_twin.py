from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.disclosure import Coarser
from linkage.cli.main import app
from linkage.evaluator.extract import About, verify_extract, write_extract
from linkage.evaluator.twin import make_twin
from linkage.release.assemble import dictionary
from linkage.release.coarsen import result_fault
from linkage.synthetic import demo_manifest

MANIFEST = parse_manifest(json.dumps(demo_manifest()).encode())


def test_a_twin_has_the_form_of_the_extract_and_is_made_of_the_manifest_alone() -> None:
    made = make_twin(MANIFEST)
    expected = [(e["table"], e["column"], e["type"]) for e in dictionary(MANIFEST)["columns"]]
    found = [
        (name, field.name, str(field.type))
        for name in dict.fromkeys(table for table, _, _ in expected)
        for field in made.named[name].schema
    ]
    assert found == expected
    allowed = {
        (e["table"], e["column"]): e["values"]
        for e in dictionary(MANIFEST)["columns"]
        if "values" in e
    }
    for (table, column), values in allowed.items():
        assert set(made.named[table][column].to_pylist()) <= {*values, None}
    people = set(made.people["study_id"].to_pylist())
    for table in (t for t in made.tables.values() if "study_id" in t.column_names):
        assert set(table["study_id"].to_pylist()) <= people
    again = make_twin(MANIFEST)
    assert all(table.equals(again.named[name]) for name, table in made.named.items())


FIELDS = [
    {"name": "kept"},
    {"name": "listed", "values": ["a", "b"]},
    {"name": "age", "transform": "age_band", "reference": "2024-01-01", "means": "age_band"},
    {"name": "zip", "transform": "zip3"},
    {"name": "rough", "transform": "generalise", "mapping": {"x": "A", "y": "B"}},
    {"name": "banded", "transform": "band", "edges": [18, 65]},
    {"name": "topped", "transform": "top_code", "top": 90},
    {"name": "many", "transform": "top_code", "top": 1_000_000},
    {"name": "tract", "transform": "tract", "within": ["17031", "18"], "means": "tract"},
    {"name": "county", "transform": "county", "within": ["17031", "18"]},
    {"name": "born", "transform": "year"},
    {"name": "month", "transform": "month"},
]


def with_fields(**disclosure: Any) -> Manifest:
    document = demo_manifest()
    person = {"name": "person", "kind": "person", "fields": FIELDS}
    for partner in document["partners"]:
        partner["content"] = []
    document["partners"][0]["content"] = [person]
    document["disclosure"] = disclosure
    return Manifest.model_validate(document)


def test_each_cell_is_such_as_may_stand_there() -> None:
    manifest = with_fields()
    [made] = make_twin(manifest).tables.values()
    content = manifest.partners[0].content[0]
    for field in content.fields:
        check, cells = result_fault(field), set(made[field.name].to_pylist()) - {None}
        assert {check(cell) for cell in cells} == {None}, field.name
        assert len(cells) > 1
    assert "30-39" in set(made["age"].to_pylist())


def test_a_twin_is_in_the_forms_that_the_extract_took(tmp_path: Path) -> None:
    halves = {"a": "x", "b": "x"}
    forms = [
        {"name": "wide", "means": "age_band", "years": 20},
        {"name": "whole", "means": "tract", "digits": 5, "becomes": "county"},
    ]
    manifest = with_fields(coarser=forms)
    [name] = make_twin(manifest).tables
    chosen = {
        (name, column): form
        for column, form in zip(("age", "tract"), manifest.disclosure.coarser, strict=True)
    }
    mapped = Coarser.model_validate({"name": "m", "means": "county", "mapping": halves})
    chosen |= {(name, "listed"): mapped, (name, "kept"): mapped}
    made = make_twin(manifest, coarser=chosen).tables[name].to_pandas()
    assert set(made["age"].dropna()) == {"0-19", "20-39", "40-59", "60-79", "80-89", "90+"}
    assert set(made["tract"].dropna()) == {"17031", "18001"}
    assert set(made["listed"].dropna()) == set(made["kept"].dropna()) == {"x"}
    write_extract(
        tmp_path / "x",
        make_twin(manifest, coarser=chosen),
        manifest=manifest,
        quality={},
        about=About(coarser=chosen),
    )
    beside = pq.read_table(tmp_path / "x" / "twin" / f"{name}.parquet").to_pandas()
    assert set(beside["age"].dropna()) == set(made["age"].dropna())


def test_the_command_needs_nothing_but_the_manifest(tmp_path: Path) -> None:
    path, out = tmp_path / "manifest.json", tmp_path / "twin"
    path.write_bytes(json.dumps(demo_manifest()).encode())
    done = CliRunner().invoke(
        app, ["evaluator", "twin", str(path), "--out", str(out), "--stata", "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"]["people"] == 100
    verify_extract(out)
    assert "ALL ROWS ARE MADE UP" in (out / "README.txt").read_text()


def test_pandas_stata_and_duckdb_read_the_same(tmp_path: Path) -> None:
    about = About(stata=True)
    for place in ("one", "two"):
        write_extract(
            tmp_path / place, make_twin(MANIFEST), manifest=MANIFEST, quality={}, about=about
        )
    sums = [(tmp_path / place / "SHA256SUMS").read_bytes() for place in ("one", "two")]
    assert sums[0] == sums[1]
    root = tmp_path / "one" / "tables"
    table = pq.read_table(root / "sheriff_crisis_calls.parquet").to_pandas()
    stata = pd.read_stata(root / "sheriff_crisis_calls.dta")
    csv = pd.read_csv(root / "sheriff_crisis_calls.csv", dtype="string")
    assert stata["study_id"].tolist() == table["study_id"].tolist() == csv["study_id"].tolist()
    assert stata["call_month"].tolist() == table["call_month"].fillna("").tolist()
    people = pd.read_stata(root / "people.dta")
    assert set(people["in_health"]) <= {0, 1}
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.read_parquet(str(root / "sheriff_crisis_calls.parquet")).fetchall()
    assert len(found) == len(table)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R")
def test_r_reads_the_same(tmp_path: Path) -> None:
    """With what R has by itself, which is CSV."""
    write_extract(tmp_path / "x", make_twin(MANIFEST), manifest=MANIFEST, quality={})
    root = tmp_path / "x" / "tables"
    script = tmp_path / "read.R"
    script.write_text(
        """
        place <- commandArgs(trailingOnly = TRUE)
        calls <- read.csv(place, encoding = "UTF-8", na.strings = "", colClasses = "character")
        write.csv(calls, stdout(), row.names = FALSE, na = "")
        """
    )
    done = subprocess.run(
        ["Rscript", "--vanilla", str(script), str(root / "sheriff_crisis_calls.csv")],  # noqa: S607
        capture_output=True,
        check=True,
        timeout=120,
    )
    read = pd.read_csv(io.BytesIO(done.stdout), dtype="string")
    table = pd.read_csv(root / "sheriff_crisis_calls.csv", dtype="string")
    assert read.equals(table)


def test_a_spreadsheet_reads_the_same(tmp_path: Path) -> None:
    """What Excel reads: UTF-8, commas, quotes doubled, no formula, cells not too long."""
    write_extract(tmp_path / "x", make_twin(MANIFEST), manifest=MANIFEST, quality={})
    for path in (tmp_path / "x" / "tables").glob("*.csv"):
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8"), newline=""), dialect="excel"))
        assert len({len(row) for row in rows}) == 1
        assert len(rows) == pq.read_metadata(path.with_suffix(".parquet")).num_rows + 1
        cells = [cell for row in rows[1:] for cell in row if not re.fullmatch(r"-?[\d.]+", cell)]
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
        assert max(map(len, cells)) < 32_767


def test_the_data_package_describes_every_csv_file(tmp_path: Path) -> None:
    root = tmp_path / "x"
    write_extract(root, make_twin(MANIFEST), manifest=MANIFEST, quality={})
    package = json.loads((root / "datapackage.json").read_bytes())
    named = {one["name"] for one in package["resources"]}
    for one in package["resources"]:
        data = (root / one["path"]).read_bytes()
        assert one["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        header = pd.read_csv(root / one["path"], nrows=0).columns
        assert [f["name"] for f in one["schema"]["fields"]] == list(header)
        cells = pd.read_csv(root / one["path"], dtype="string")
        for field in one["schema"]["fields"]:
            of = field.get("constraints", {})
            found = cells[field["name"]].dropna()
            assert set(found) <= set(of.get("enum", found))
            assert found.str.fullmatch(of.get("pattern", ".*")).all()
            if field["name"] == "race_ethnicity":
                assert re.fullmatch(of["pattern"], "HISP|WHITE|ASIAN")
                assert not re.fullmatch(of["pattern"], "HISP|Maria")
        for key in one["schema"].get("foreignKeys", ()):
            assert key["reference"]["resource"] in named
