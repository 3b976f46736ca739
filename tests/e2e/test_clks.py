"""A project with a linkage schema, where one partner encodes here and the other with clkhash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from linkage.encoding.clk_compat import encode_clks
from linkage.encoding.clk_files import clks_from_json, clks_to_binary, clks_to_json
from tests.clk_projects import document_of, manifest_of
from tests.e2e.house import House, records

PROJECT = "anonlink"
ROWS, BOTH = 300, 150
MARKER = "Zqmarker17"
FEATURES = {"given": "FIRST name", "surname": "LAST name", "dob": "YYYY-MM-DD"}


def feature(name: str, form: dict[str, Any], comparison: dict[str, Any], bits: int) -> Any:
    how = {"comparison": comparison, "strategy": {"bitsPerFeature": bits}}
    return {"identifier": name, "format": form, "hashing": how}


SCHEMA: dict[str, Any] = {
    "version": 3,
    "clkConfig": {"l": 512, "xorFolds": 1, "kdf": {"type": "HKDF", "info": "c2NoZW1h"}},
    "features": [
        {"identifier": "INDEX", "ignored": True},
        feature("FIRST name", {"type": "string", "case": "lower"}, {"type": "ngram", "n": 2}, 100),
        feature("LAST name", {"type": "string", "case": "lower"}, {"type": "ngram", "n": 2}, 100),
        feature(
            "YYYY-MM-DD",
            {"type": "date", "format": "%Y-%m-%d"},
            {"type": "ngram", "n": 1, "positional": True},
            100,
        ),
    ],
}


def document(project: str) -> dict[str, Any]:
    found = document_of(SCHEMA, project=project, matching={"pair_keyed": False})
    kinds = {"given": "given_name", "surname": "surname", "dob": "date_of_birth"}
    found["fields"] = [{"name": name, "type": kind} for name, kind in kinds.items()]
    found["match_keys"][0]["fields"] = list(kinds)
    found["scheme"]["features"] = FEATURES
    found["governance"] = dict.fromkeys(("legal", "ethical", "good_idea", "decision"), "Yes")
    return found | {"min_rows": 1, "safeguards": {"min_overlap": 1, "min_apart": 0}}


@pytest.fixture(scope="module")
def agreed(house: House) -> Path:
    return house.agree(document(PROJECT))


@pytest.fixture(scope="module")
def files(house: House) -> dict[str, Path]:
    """Two files of made-up people; every fifth of south's is misspelt."""
    north = records(house.path / "clk-north.csv", 0, ROWS)
    south = records(house.path / "clk-south.csv", ROWS - BOTH, ROWS)
    header, *lines = south.read_text().splitlines()
    spelt = [line.replace("a", "e", 1) if n % 5 == 0 else line for n, line in enumerate(lines)]
    south.write_text("\n".join([header, *spelt]) + "\n")
    return {"north": north, "south": south}


def rows_of(file: Path) -> list[list[str]]:
    return [line.split(",") for line in file.read_text().splitlines()[1:]]


def test_what_is_agreed_is_shown_with_its_surprises(house: House, agreed: Path) -> None:
    done = house.run("manifest", "check", str(agreed))
    assert done.code == 0
    (warning,) = done.result["warnings"]
    assert "clkhash reads xor_folds (0), not the documented xorFolds (1)" in warning
    assert "warning" in done.err
    assert "xorFolds" in done.err


def test_cells_that_the_schema_refuses(house: House, agreed: Path, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(
        f"id,given,surname,dob\n1,{MARKER},li,1980-01-01\n2,jo,li,80-1-1\n3,jo,,1980-1-1\n"
    )
    words = ("agent", "check", str(file), "--manifest", str(agreed), "--partner", "north")
    done = house.run(*words)
    assert done.code == 8
    problems = [(p["row"], p["field"], p["message"]) for p in done.error["problems"]]
    assert [(row, field) for row, field, _ in problems] == [(1, "given"), (2, "dob")]
    assert "not text in lower case" in problems[0][2]
    assert "not a date of the format %Y-%m-%d" in problems[1][2]
    assert done.result["covered"] == {"clk": 3}
    assert MARKER not in done.out + done.err


def test_ours_and_clkhashs_filters_are_linked(
    house: House, agreed: Path, files: dict[str, Path]
) -> None:
    del agreed
    north, south = house.home("north"), house.home("south")
    project = ("--project", PROJECT)
    sent = house.good("agent", "submit", str(files["north"]), *project, home=north)
    assert sent["rows"] == sent["covered"]["clk"] == ROWS

    # What clkhash would do, with the secret that it is given.
    secret = house.path / "clk-secret"
    house.good("agent", "clk-secret", *project, "--out", str(secret), home=south)
    assert secret.stat().st_mode & 0o777 == 0o600
    schema = manifest_of(SCHEMA).linkage_schema
    assert schema is not None
    words = encode_clks(schema, rows_of(files["south"]), secret.read_bytes())
    clks, ids = house.path / "clks.json", house.path / "ids.csv"
    clks.write_bytes(clks_to_json(words, 512))
    ids.write_text("id\n" + "\n".join(row[0] for row in rows_of(files["south"])) + "\n")

    # What our agent exports is the same file.
    out = house.path / "export.json"
    export = ("agent", "export-clks", str(files["south"]), *project, "--out", str(out))
    made = house.good(*export, home=south)
    assert (made["rows"], made["bits"]) == (ROWS, 512)
    assert out.read_bytes() == clks.read_bytes()
    assert out.stat().st_mode & 0o777 == 0o600
    again = house.run(*export, home=south)
    assert (again.code, again.error["reason"]) == (5, "ALREADY_EXISTS")
    house.good(*export, "--overwrite", "--format", "binary", home=south)
    assert out.read_bytes() == clks_to_binary(words, 512)

    submit = ("agent", "submit-clks", str(ids), str(clks), *project)
    done = house.good(*submit, home=south)
    assert (done["rows"], done["without_filter"], done["resumed"]) == (ROWS, 0, False)
    assert house.good(*submit, home=south)["upload"] == done["upload"]
    other = house.run("agent", "submit", str(files["south"]), *project, home=south)
    assert (other.code, other.error["reason"]) == (5, "ALREADY_EXISTS")

    hub = house.home("hub")
    run = house.good("hub", "run", PROJECT, home=hub)
    links = house.path / "clk-links.parquet"
    house.good("hub", "links", run["run"], "--out", str(links), home=hub)
    found = _linked(links, north, south, run["recommended"]["threshold"])
    right = sum(one == other for one, other in found)
    assert right > BOTH * 0.95
    assert right > len(found) * 0.9
    house.good("hub", "release", run["run"], home=hub)
    for home in (north, south):
        house.good("agent", "approve", *project, home=home)
    # The file with the record ids stands for the one that was encoded.
    house.good("agent", "contribute", str(files["north"]), *project, home=north)
    house.good("agent", "contribute", str(ids), *project, home=south)


def _linked(links: Path, north: Path, south: Path, threshold: float) -> list[tuple[str, str]]:
    """The best links at the threshold, one to one, by record id."""
    ids = []
    for home in (north, south):
        kept = pq.read_table(home / "projects" / PROJECT / "epoch-0" / "rows.parquet")
        handles, names = kept["handle"].to_pylist(), kept["record_id"].to_pylist()
        ids.append(dict(zip(handles, names, strict=True)))
    table = pq.read_table(links).sort_by([("match_probability", "descending")])
    found: list[tuple[str, str]] = []
    taken: set[bytes] = set()
    for row in table.to_pylist():
        pair = row["left_handle"], row["right_handle"]
        if row["match_probability"] >= threshold and not taken & set(pair):
            found.append((ids[0][pair[0]], ids[1][pair[1]]))
            taken |= set(pair)
    return found


def test_filters_that_do_not_fit(house: House, files: dict[str, Path], tmp_path: Path) -> None:
    project = "anonlink-2"
    house.agree(document(project))
    home = house.home("north")
    clks = tmp_path / "clks.bin"

    def refused(data: bytes, *more: str) -> dict[str, Any]:
        clks.write_bytes(data)
        words = ("agent", "submit-clks", str(files["north"]), str(clks), "--project", project)
        done = house.run(*words, *more, home=home)
        assert done.code == 2
        return done.error

    few = refused(b"\x01" * 64 * 3)
    assert few["problems"][0]["message"] == f"3 filters, where clk-north.csv has {ROWS} rows"
    assert "row by row" in few["remedy"]
    assert "not a whole number of filters of 64 bytes" in refused(bytes(100))["message"]
    assert "filter 1 is 64 bytes" not in refused(b'{"clks": ["AAAA"]}')["message"]
    assert "made without blocks" in refused(b'{"clknblocks": []}')["remedy"]
    assert "the file is not" in refused(bytes(64), "--format", "json")["message"]


def test_export_without_a_hub(house: House, files: dict[str, Path], tmp_path: Path) -> None:
    manifest, secret, out = tmp_path / "m.json", tmp_path / "secret", tmp_path / "clks.json"
    manifest.write_text(json.dumps(document("offline")))
    words = ("agent", "export-clks", str(files["north"]), "--out", str(out))
    with_manifest = (*words, "--manifest", str(manifest), "--partner", "north")
    assert "either" not in house.run(*words).out
    assert house.run(*words).error["remedy"].startswith("Give --project, or --manifest with")
    assert house.run(*with_manifest).error["message"].endswith("--partner and --clk-secret-file")
    secret.write_text("an old shared secret\n")
    readable = house.run(*with_manifest, "--clk-secret-file", str(secret))
    assert (readable.code, "chmod 600" in readable.error["remedy"]) == (4, True)
    secret.chmod(0o600)
    made = house.good(*with_manifest, "--clk-secret-file", str(secret))
    assert made["rows"] == ROWS
    schema = manifest_of(SCHEMA).linkage_schema
    assert schema is not None
    expected = encode_clks(schema, rows_of(files["north"]), b"an old shared secret")
    assert (clks_from_json(out.read_bytes(), 512) == expected).all()


def test_only_with_a_schema_and_the_risk_acknowledged(house: House, tmp_path: Path) -> None:
    path, secret, out = tmp_path / "m.json", tmp_path / "secret", tmp_path / "clks.json"
    secret.write_text("s")
    secret.chmod(0o600)
    people = records(tmp_path / "people.csv", 0, 3)

    def error_of(settings: dict[str, Any]) -> dict[str, Any]:
        found = document("risky")
        found["scheme"] |= settings
        path.write_text(json.dumps(found))
        words = ("--manifest", str(path), "--partner", "north", "--clk-secret-file", str(secret))
        done = house.run("agent", "export-clks", str(people), "--out", str(out), *words)
        assert done.code == 2
        assert not out.exists()
        return done.error

    assert "risk_acknowledged" in error_of({"risk_acknowledged": False})["message"]
    plain = error_of({"linkage_schema": None, "features": {}})
    assert "holds no linkage schema" in plain["message"]
    assert "linkage_schema" in plain["remedy"]
