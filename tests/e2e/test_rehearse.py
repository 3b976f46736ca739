"""`linkage rehearse` as anybody would run it, and what it prints and leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from linkage.synthetic import County, CountyFiles, write_county
from tests.e2e.house import LINKAGE
from tests.e2e.searching import leaks

PEOPLE = 800


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> CountyFiles:
    return write_county(County.make(people=PEOPLE, seed=11), tmp_path_factory.mktemp("county"))


@pytest.fixture(scope="module")
def rehearsed(
    county: CountyFiles, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """Two partners under clk-v1: the scheme the other rehearsal of this suite does not use."""
    document = json.loads(county.manifest.read_bytes())
    document["scheme"] = {"name": "clk-v1", "risk_acknowledged": True}
    document["partners"] = document["partners"][1:]
    homes = look_addresses_up(document["partners"][0], county)
    manifest = county.directory / "clk.json"
    manifest.write_text(json.dumps(document))
    keep = tmp_path_factory.mktemp("keep")
    words = [*LINKAGE, "rehearse", str(manifest), "--truth", "truth", "--json", "--keep", str(keep)]
    for partner in ("health", "social"):
        words += ["--partner", f"{partner}={county.identifiers[partner]}"]
        for table, file in county.content[partner].items():
            words += ["--content", f"{partner}.{table}={file}"]
    words += ["--lookup", f"health.homes={homes}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return keep, json.loads(done.stdout.splitlines()[-1])


def look_addresses_up(health: dict[str, Any], county: CountyFiles) -> Path:
    """Let tracts of the health department's people come of their addresses; every other one is
    in its list.
    """
    (field,) = (one for one in health["content"][0]["fields"] if one["name"] == "tract")
    del field["values"]
    how = {"name": "homes", "also": ["city"], "unmatched": 0.9}
    field |= {"column": "address", "transform": "tract", "within": ["99901"], "lookup": how}
    known = {"name": "homes", "kind": "places", "by": ["address", "city"], "source": "made up"}
    health["lookups"] = [known]
    people = pd.read_csv(county.identifiers["health"], dtype=str)
    listed = people[["address", "city", "tract"]].dropna().iloc[::2]
    path = county.directory / "homes.csv"
    listed.drop_duplicates(["address", "city"]).to_csv(path, index=False)
    return path


def test_addresses_leave_as_tracts_of_the_departments_own_list(
    rehearsed: tuple[Path, dict[str, Any]],
) -> None:
    keep, _ = rehearsed
    (said,) = json.loads((keep / "extract" / "provenance.json").read_bytes())["lookups"]
    assert (said["partner"], said["field"], said["lookup"]["digest"]) == ("health", "tract", None)
    assert 0.2 < said["unmatched"] / said["rows"] < 0.6
    tracts = pd.read_csv(keep / "extract" / "tables" / "health_person.csv", dtype=str)["tract"]
    assert tracts.dropna().str.fullmatch("99901[0-9]{6}").all()
    assert not leaks([b"Street", b"STREET"], [keep / "extract" / "tables"])


def test_what_is_printed(rehearsed: tuple[Path, dict[str, Any]]) -> None:
    _, result = rehearsed
    for place in (result, result["pairs"]["health|social"]):
        for name in ("recommended", "best"):
            assert {"precision", "recall", "f1", "threshold"} <= set(place[name])
        assert {"precision", "recall", "threshold"} <= set(place["estimated"])
        assert place["best"]["f1"] >= place["recommended"]["f1"]
    assert result["recommended"]["f1"] > 0.85
    assert result["scheme"] == "clk-v1"
    steps = {"enrol", "sign", "submit", "match", "release", "approve", "contribute", "assemble"}
    assert steps <= set(result["seconds"])
    assert all(result["seconds"][step] > 0 for step in steps)
    assert result["bytes_sent"]["submit"] > 8 * 128 * sum(result["rows"].values())
    parties = {name.partition(" ")[0] for name in result["peak_mib"]}
    assert {"hub", "health", "social", "county_data_office"} <= parties
    assert all(peak > 0 for peak in result["peak_mib"].values())


def test_what_is_left(rehearsed: tuple[Path, dict[str, Any]]) -> None:
    keep, result = rehearsed
    done = subprocess.run(
        [*LINKAGE, "evaluator", "verify", str(keep / "extract")],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    made = {Path(page).name for page in result["reports"]}
    assert {"cross_sector.html", "follow_up.html", "quality.html"} <= made
    for page in result["reports"]:
        assert b"<svg" in Path(page).read_bytes()


def test_the_truth_column_is_in_nothing_that_was_made(
    rehearsed: tuple[Path, dict[str, Any]],
) -> None:
    keep, _ = rehearsed
    manifest = (keep / "manifest.json").read_text()
    assert '"truth"' not in manifest
    for table in (keep / "extract" / "tables").glob("*.csv"):
        assert "truth" not in table.read_text().splitlines()[0].split(",")


def test_a_rehearsal_that_cannot_be_says_why(county: CountyFiles, tmp_path: Path) -> None:
    one = f"health={county.identifiers['health']}"
    done = subprocess.run(
        [sys.executable, "-m", "linkage", "rehearse", str(county.manifest), "--partner", one],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "partner 'sheriff' has no file" in done.stderr
    assert "--partner sheriff=FILE" in done.stderr
    assert leaks([b"nothing like this"], [tmp_path]) == []
