"""`linkage crosswalk` from two agencies' files to standard codes in them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from linkage.cli.main import app
from linkage.errors import AlreadyExistsError, DigestMismatchError, InputError, SourceError

FIRST = [("96", "MENTAL SUBJECT")] * 40 + [("59", "WELFARE CHECK")] * 30 + [("77", "")] * 4
SECOND = [("SUI", "SUICIDE")] * 25 + [("TS", "TRAFFIC STOP")] * 90 + [("", "")] * 20


def call(*words: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["crosswalk", *(str(word) for word in words), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def calls(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["no", "note", "CODE", "TYPE"])
        writer.writerows([n, f'he said "{n}",\nthen left', *row] for n, row in enumerate(rows))
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {"dir": tmp_path}
    for name, rows in (("PD", FIRST), ("SO", SECOND)):
        file = calls(tmp_path / f"{name}.csv", rows)
        found[name] = tmp_path / f"{name}.json"
        told = call(
            "inventory", file, "--agency", name, "--column", "CODE", "--description", "TYPE",
            "--out", found[name],
        )  # fmt: skip
        assert told["rows"] == len(rows)
    return found


def begun(files: dict[str, Path]) -> Path:
    """Version 2: everything that was suggested first is accepted."""
    home = files["dir"]
    inventories = ["--inventory", files["PD"], "--inventory", files["SO"]]
    call("new", "--name", "calls", *inventories, "--out", home / "v1.json")
    told = call("suggest", home / "v1.json", *inventories, "--out", home / "s.csv")
    assert told["codes"] == 4
    rows = list(csv.DictReader((home / "s.csv").open(newline="")))
    first: dict[str, int] = {}
    for place, row in enumerate(rows, 1):
        assert row["accept"] == ""
        first.setdefault(row["local"], place)
    chosen = [word for place in first.values() for word in ("--row", place)]
    call(
        "accept", home / "v1.json", home / "s.csv", "--author", "R. Moss", "--date", "2026-03-01",
        *chosen, "--out", home / "v2.json",
    )  # fmt: skip
    return home / "v2.json"


def test_from_inventories_to_standard_codes(files: dict[str, Path]) -> None:
    second = begun(files)
    shown = call("show", second)
    assert {e["local"]: e["standard"] for e in shown["entries"]} == {
        "96": "mental_health",
        "59": "welfare_check",
        "SUI": "suicide",
        "TS": "not_crisis",
    }
    assert call("check", second)["digest"] == shown["digest"]
    merged = call(
        "merge", files["PD"], files["SO"], "--crosswalk", second, "--out", files["dir"] / "merged"
    )
    total = merged["total"]
    assert total["rows"] == len(FIRST) + len(SECOND)
    assert total["mapped"] + total["unmapped"] + total["empty"] + total["rest"] == total["rows"]
    # 77 is rare, so the next smallest count of its agency is hidden with it.
    assert (total["mapped"], total["rest"]) == (40 + 25 + 90, 34)
    page = (files["dir"] / "merged" / "coverage.html").read_text()
    assert "mental_health" in page
    assert "http" not in page.split("</style>")[1]

    out = files["dir"] / "mapped.csv"
    told = call(
        "apply", files["dir"] / "PD.csv", "--crosswalk", second, "--agency", "PD",
        "--column", "CODE", "--out", out, "--report", files["dir"] / "report.json",
        "--digest", shown["digest"][:16], "--fail-unmapped", code=8,
    )  # fmt: skip
    assert (told["rows"], told["mapped"], told["unmapped"]) == (74, 70, 4)
    assert told["unmapped_codes"] == [{"agency": "PD", "local": "77", "rows": 4}]
    assert json.loads((files["dir"] / "report.json").read_text()) == told
    rows = list(csv.reader(out.open(newline="")))
    before = list(csv.reader((files["dir"] / "PD.csv").open(newline="")))
    assert [row[:-1] for row in rows] == before
    assert [row[-1] for row in rows] == [
        "standard_code",
        *["mental_health"] * 40,
        *["welfare_check"] * 30,
        *[""] * 4,
    ]


def test_parquet_and_files_of_several_agencies(files: dict[str, Path]) -> None:
    second = begun(files)
    frame = pd.DataFrame(
        {"who": ["PD", "SO", "XX", "SO"], "CODE": ["96", "SUI", "96", None], "n": [1, 2, 3, 4]}
    )
    frame.to_parquet(files["dir"] / "all.parquet")
    out = files["dir"] / "mapped.parquet"
    told = call(
        "apply", files["dir"] / "all.parquet", "--crosswalk", second, "--agency-column", "who",
        "--column", "CODE", "--into", "means", "--out", out,
    )  # fmt: skip
    assert (told["mapped"], told["unknown_agency"], told["empty"]) == (2, 1, 1)
    found = pd.read_parquet(out)
    assert found["n"].tolist() == [1, 2, 3, 4]
    assert found["means"].tolist() == ["mental_health", "suicide", None, None]


def test_versions_by_table(files: dict[str, Path]) -> None:
    second, home = begun(files), files["dir"]
    call("export", second, "--out", home / "t.csv")
    text = (home / "t.csv").read_text()
    (home / "t.csv").write_text(text.replace("not_crisis", "disturbance"))
    made = call("import", second, home / "t.csv", "--out", home / "v3.json")
    assert made["version"] == 3
    told = call("diff", second, home / "v3.json", code=1)
    assert told["follows"]
    assert [(c["kind"], c["local"], c["after"]) for c in told["changes"]] == [
        ("changed", "TS", "disturbance")
    ]
    assert call("diff", second, second)["same"]
    (home / "t.csv").write_text(text.replace("not_crisis", "none_such"))
    with pytest.raises(SourceError, match=r"t\.csv, row 4, field 'standard': is not a code"):
        call("import", second, home / "t.csv", "--out", home / "v4.json")
    assert not (home / "v4.json").exists()


def test_refusals_write_nothing(files: dict[str, Path]) -> None:
    second, home = begun(files), files["dir"]
    file = home / "PD.csv"
    base = ("apply", file, "--crosswalk", second, "--column", "CODE")
    out = home / "x.csv"
    with pytest.raises(DigestMismatchError):
        call(*base, "--agency", "PD", "--out", out, "--digest", "0" * 16)
    with pytest.raises(InputError, match="at least 8"):
        call(*base, "--agency", "PD", "--out", out, "--digest", "0")
    with pytest.raises(InputError, match="does not know the agency 'XX'"):
        call(*base, "--agency", "XX", "--out", out)
    with pytest.raises(InputError, match="either the agency or the column"):
        call(*base, "--out", out)
    with pytest.raises(InputError, match="has a column 'TYPE' already"):
        call(*base, "--agency", "PD", "--into", "TYPE", "--out", out)
    with pytest.raises(AlreadyExistsError):
        call(*base, "--agency", "PD", "--out", file, "--overwrite")
    assert not out.exists()
    assert len(list(csv.reader(file.open(newline="")))) == 75
    (home / "bad.json").write_text("{}")
    with pytest.raises(InputError) as caught:
        call("merge", files["PD"], home / "bad.json", home / "none.json")
    assert [line.split(home.name)[-1] for line in caught.value.message.splitlines()] == [
        "bad.json is not a JSON document of the kind inventory/1",
        "/none.json: No such file or directory",
    ]


def test_a_list_of_ones_own(files: dict[str, Path]) -> None:
    home = files["dir"]
    (home / "apco.csv").write_text("Code,Definition\nMENTAL,Mental health issue\nSUI,Suicide\n")
    made = call(
        "list", home / "apco.csv", "--name", "apco", "--list-version", "2019",
        "--out", home / "apco.json",
    )  # fmt: skip
    assert [code["code"] for code in made["codes"]] == ["MENTAL", "SUI"]
    call("new", "--name", "c", "--list", home / "apco.json", "--agency", "SO", "--out", home / "c1")
    with pytest.raises(InputError, match="'apco', which is not bundled"):
        call("check", home / "c1")
    assert call("check", home / "c1", "--list", home / "apco.json")["list"]["version"] == "2019"
    with pytest.raises(InputError, match="Make one of it"):
        call("check", home / "c1", "--list", home / "apco.csv")
    assert call("list")["name"] == "crisis"


def test_the_made_up_countys_crosswalk_knows_every_code() -> None:
    from linkage.cli.county_crosswalk import county_crosswalk
    from linkage.release.crosswalk.checking import parse_crosswalk
    from linkage.release.crosswalk.lists import bundled_list
    from linkage.synthetic.places import DEPARTMENTS

    read = parse_crosswalk(county_crosswalk().canonical, codes=bundled_list("crisis"))
    assert {one.key for one in read.mappings} == {
        (name, code) for name, (_, codes) in DEPARTMENTS.items() for code in codes
    }
