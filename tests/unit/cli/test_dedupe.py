"""`linkage agent dedupe` from its arguments to its files, exit codes and screen."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

from linkage.agent.dedupe.search import DEFAULT_THRESHOLD
from linkage.cli import common, main
from linkage.rpc.party import Party

HEADER = "id,FIRST,LAST,DOB,SSN,NOTE"
ROWS = [
    'A1,Ann,Zqmarker,01/02/1980,123456780,"x, ""y"""',
    "A2,Bob,Poe,02/03/1961,123456799,",
    "A3,Anne,Zqmarkr,01/02/1980,123456780,later",
    "A4,Zoë,Quist,12/30/1991,223456799,",
]
CSV = "\r\n".join([HEADER, *ROWS, ""])
GROUPED = ["g000001", "", "g000001", ""]
FIELDS = {
    "linkage": "fields/1",
    "partner": "north",
    "record_id": "id",
    "fields": [
        {"name": "given", "type": "given_name", "column": "FIRST"},
        {"name": "surname", "type": "surname", "column": "LAST"},
        {"name": "dob", "type": "date_of_birth", "column": "DOB", "date_formats": ["%m/%d/%Y"]},
        {"name": "ssn", "type": "national_id", "column": "SSN"},
    ],
}
COMMAND: Any = typer.main.get_command(main.app)
for word in ("agent", "dedupe"):
    COMMAND = COMMAND.commands[word]
Run = Callable[..., "Ran"]


class Ran:
    """What a command left: exit code and screen."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in a directory with `jail.csv` and `fields.json`, and no network."""
    monkeypatch.chdir(tmp_path)
    Path("jail.csv").write_bytes(CSV.encode())
    Path("fields.json").write_text(json.dumps(FIELDS))

    def refuse(*_: object) -> None:
        raise AssertionError("dedupe sends nothing")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    # The screen of this test is not to be kept for the next one's log.
    monkeypatch.setattr(main, "configure_logging", lambda: None)

    def command(*words: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["linkage", "agent", "dedupe", *words])
        capsys.readouterr()
        try:
            main.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        else:
            code = 0
        return Ran(code, *capsys.readouterr())

    return command


def names() -> list[str]:
    """What is in the directory."""
    return sorted(path.name for path in Path().iterdir())


SEARCH = ("jail.csv", "--fields-file", "fields.json")


def column(path: str, name: str = "person_group") -> list[str]:
    return list(pd.read_csv(path, dtype=str, keep_default_na=False)[name])


def test_a_copy_with_one_more_column(run: Run) -> None:
    ran = run(*SEARCH, "--out", "copy.csv")
    assert ran.code == 0
    expected = [HEADER + ",person_group"]
    expected += [f"{row},{group}" for row, group in zip(ROWS, GROUPED, strict=True)]
    assert Path("copy.csv").read_bytes().decode() == "\r\n".join([*expected, ""])
    assert Path("copy.csv").stat().st_mode & 0o777 == 0o600
    assert "groups: 1, with 2 of 4 rows; the largest has 2" in ran.out
    assert "nothing was sent" in ran.out
    assert names() == ["copy.csv", "fields.json", "jail.csv"]


def test_no_cell_is_shown_unless_asked_for(run: Run) -> None:
    ran = run(*SEARCH, "--dry-run")
    assert "Zqmark" not in ran.out + ran.err
    assert "Zqmark" not in run(*SEARCH, "--dry-run", "--json").out
    shown = run(*SEARCH, "--dry-run", "--show-values")
    assert "row 1: id=A1, FIRST=Ann, LAST=Zqmarker, DOB=01/02/1980" in shown.out
    assert "Poe" not in shown.out


def test_a_dry_run_writes_nothing(run: Run) -> None:
    before = names()
    ran = run(*SEARCH, "--dry-run", "--out", "copy.csv", "--review", "review.csv")
    assert ran.code == 0
    assert "nothing was written or sent" in ran.out
    assert names() == before


def test_review_and_apply(run: Run) -> None:
    assert run(*SEARCH, "--review", "review.csv").code == 0
    assert Path("review.csv").stat().st_mode & 0o777 == 0o600
    with Path("review.csv").open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    assert [(line["row"], line["id"], line["LAST"], line["keep"]) for line in lines] == [
        ("1", "A1", "Zqmarker", "yes"),
        ("3", "A3", "Zqmarkr", "yes"),
    ]
    assert "NOTE" not in lines[0]
    ran = run("jail.csv", "--apply", "review.csv", "--out", "kept.csv", "--json")
    assert ran.json["groups"] == 1
    assert "search" not in ran.json
    assert column("kept.csv") == GROUPED
    text = Path("review.csv").read_bytes().replace(b",3,yes,", b",3,no,")
    Path("review.csv").write_bytes(text)
    assert run("jail.csv", "--apply", "review.csv", "--out", "none.csv").code == 0
    assert column("none.csv") == [""] * 4


def test_a_review_is_not_applied_to_another_file(run: Run) -> None:
    run(*SEARCH, "--review", "review.csv")
    Path("jail.csv").write_bytes(CSV.encode() + b"A5,Max,Ray,03/04/1970,,\r\n")
    ran = run("jail.csv", "--apply", "review.csv", "--out", "copy.csv", "--json")
    assert ran.code == 2
    assert ran.json["error"]["reason"] == "INVALID_SOURCE"
    assert "another file" in ran.json["error"]["problems"][0]["message"]
    assert not Path("copy.csv").exists()


def test_a_damaged_review_names_its_lines(run: Run) -> None:
    run(*SEARCH, "--review", "review.csv")
    text = Path("review.csv").read_bytes().replace(b",3,yes,", b",3,perhaps,")
    Path("review.csv").write_bytes(text)
    ran = run("jail.csv", "--apply", "review.csv", "--out", "copy.csv", "--json")
    assert ran.code == 2
    (problem,) = ran.json["error"]["problems"]
    assert (problem["row"], problem["field"]) == (2, "keep")
    assert not Path("copy.csv").exists()


def test_figures_for_scripts(run: Run) -> None:
    found = run(*SEARCH, "--dry-run", "--json").json
    assert (found["rows"], found["groups"], found["grouped"], found["largest"]) == (4, 1, 2, 2)
    search = found["search"]
    assert (search["records"], search["links"], search["method"]) == (4, 1, "fixed")
    assert "fewer than 500 pairs" in search["why"]
    assert sum(part["pairs"] for part in search["probabilities"]) == search["pairs"]
    assert {"parts": [["ssn", "whole"]], "pairs": 1, "left_out": 0} in search["blocks"]


def test_what_is_there_is_not_overwritten(run: Run) -> None:
    Path("copy.csv").write_text("old")
    for words in (("--out", "copy.csv"), ("--review", "copy.csv")):
        ran = run(*SEARCH, *words)
        assert ran.code == 5
        assert "--overwrite" in ran.err
    assert Path("copy.csv").read_text() == "old"
    assert run(*SEARCH, "--out", "copy.csv", "--overwrite").code == 0
    assert column("copy.csv") == GROUPED
    ran = run(*SEARCH, "--out", "jail.csv", "--overwrite")
    assert ran.code == 2
    assert "is read by this command" in ran.err
    assert Path("jail.csv").read_bytes() == CSV.encode()


def test_a_column_that_is_there_is_replaced_only_on_demand(run: Run) -> None:
    ran = run(*SEARCH, "--out", "copy.csv", "--column", "NOTE")
    assert ran.code == 2
    assert "--replace-column" in ran.err
    assert run(*SEARCH, "--out", "copy.csv", "--column", "NOTE", "--replace-column").code == 0
    assert column("copy.csv", "NOTE") == GROUPED
    lines = Path("copy.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == HEADER


def test_columns_said_by_options(run: Run) -> None:
    fields = "given:given_name=FIRST,surname:surname=LAST,dob:date_of_birth=DOB,ssn:national_id=SSN"
    words = ("--fields", fields, "--partner", "north", "--date-format", "%m/%d/%Y")
    assert run("jail.csv", *words, "--out", "copy.csv").code == 0
    assert column("copy.csv") == GROUPED
    # A date format that does not fit is told, and the rest is searched.
    found = run("jail.csv", *words[:-1], "%Y-%m-%d", "--dry-run", "--json").json
    assert found["search"]["unread"] == {"dob": 4}


@pytest.fixture
def manifest(run: Run) -> Path:
    """A project of north and south, signed in `home` by north."""
    del run
    fields = [{"name": f["name"], "type": f["type"]} for f in FIELDS["fields"]]  # type: ignore[index]
    north = {
        "name": "north",
        "record_id": "id",
        "group": "same",
        "columns": {f["name"]: f["column"] for f in FIELDS["fields"]},  # type: ignore[index]
        "date_formats": {"dob": ["%m/%d/%Y"]},
    }
    document = {
        "linkage": "manifest/1",
        "project": "county",
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [north, {"name": "south"}],
        "recipients": [{"name": "bureau", "role": "assembler"}],
        "fields": fields,
        "match_keys": [{"name": "all", "fields": ["given", "surname", "dob", "ssn"]}],
        "scheme": {"name": "saul-v1"},
    }
    home = Path("home/projects/county")
    home.mkdir(parents=True)
    for path in (Path("manifest.json"), home / "manifest.json"):
        path.write_text(json.dumps(document))
    party = {"name": "north", "role": "partner", "address": "localhost:1"}
    Path("home/party.json").write_text(json.dumps(party))
    assert Party.load(Path("home")).name == "north"
    return Path("manifest.json")


@pytest.mark.parametrize(
    "words",
    [
        ("--manifest", "manifest.json", "--partner", "north"),
        ("--project", "county", "--home", "home"),
        ("--project", "county", "--home", "home", "--partner", "north"),
    ],
)
def test_columns_said_by_a_manifest(run: Run, manifest: Path, words: tuple[str, ...]) -> None:
    del manifest
    ran = run("jail.csv", *words, "--out", "copy.csv", "--json")
    assert ran.code == 0
    # The manifest names the column that the upload will read.
    assert ran.json["column"] == "same"
    assert column("copy.csv", "same") == GROUPED


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("jail.csv",), 2, "nothing would be written"),
        (("jail.csv", "--apply", "r.csv", "--review", "s.csv", "--out", "o"), 2, "writes none"),
        (("jail.csv", "--apply", "r.csv"), 2, "nothing would be written"),
        (("jail.csv", "--apply", "r.csv", "--out", "o"), 2, "r.csv"),
        (("jail.csv", "--dry-run"), 2, "in one way"),
        ((*SEARCH, "--manifest", "manifest.json", "--dry-run"), 2, "in one way"),
        (("jail.csv", "--manifest", "manifest.json", "--dry-run"), 2, "--partner"),
        (
            ("jail.csv", "--manifest", "manifest.json", "--partner", "west", "--dry-run"),
            2,
            "'west'",
        ),
        (("jail.csv", "--project", "other", "--home", "home", "--dry-run"), 5, "not signed"),
        (
            ("jail.csv", "--project", "county", "--home", "home", "--partner", "x", "--dry-run"),
            2,
            "is 'north'",
        ),
        (("absent.csv", *SEARCH[1:], "--dry-run"), 2, "absent.csv"),
        ((*SEARCH, "--dry-run", "--threshold", "0.2"), 2, "threshold"),
        ((*SEARCH, "--dry-run", "--column", " "), 2, "needs a name"),
        ((*SEARCH, "--out", "nowhere/copy.csv"), 2, "nowhere is not a directory"),
        ((*SEARCH, "--out", "x.csv", "--review", "./x.csv"), 2, "the same file"),
        (("jail.csv", "--apply", "r.csv", "--out", "o", "--show-values"), 2, "there is none"),
    ],
)
def test_wrong_input(
    run: Run, manifest: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    del manifest
    ran = run(*words)
    assert ran.code == code
    assert message in ran.err


def test_files_without_rows_or_columns(run: Run) -> None:
    Path("jail.csv").write_text("")
    assert run(*SEARCH, "--dry-run").code == 2
    Path("jail.csv").write_text(HEADER + "\n")
    assert "no rows" in run(*SEARCH, "--dry-run").err
    Path("jail.csv").write_text("id,FIRST\n1,Ann\n")
    assert "the column is missing" in run(*SEARCH, "--dry-run").err
    Path("jail.csv").write_text(CSV.splitlines()[0] + "\n" + ROWS[0] + "\n")
    assert run(*SEARCH, "--out", "copy.csv").code == 0
    assert column("copy.csv") == [""]


def test_parquet_in_parquet_out(run: Run) -> None:
    frame = pd.read_csv("jail.csv", dtype=str)
    frame.insert(0, "n", [[1], [], [2, 3], None])
    frame.to_parquet("jail.parquet")
    assert run("jail.parquet", *SEARCH[1:], "--review", "r.csv").code == 0
    assert run("jail.parquet", "--apply", "r.csv", "--out", "copy.parquet").code == 0
    copy = pd.read_parquet("copy.parquet")
    assert copy["person_group"].fillna("").tolist() == GROUPED
    assert copy.drop(columns="person_group").equals(pd.read_parquet("jail.parquet"))


@pytest.mark.parametrize("step", ["block", "write"])
def test_a_killed_command_leaves_nothing_over(
    run: Run, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = names()
    handler = signal.getsignal(signal.SIGTERM)
    usual = common.Bar.__call__

    def kill(bar: common.Bar, name: str, done: int, total: int) -> None:
        usual(bar, name, done, total)
        if name == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(common.Bar, "__call__", kill)
    ran = run(*SEARCH, "--out", "copy.csv")
    assert ran.code == 128 + signal.SIGTERM
    assert names() == before
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_real_process(run: Run) -> None:
    del run
    command = [sys.executable, "-m", "linkage", "agent", "dedupe", *SEARCH, "--out", "copy.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0
    assert column("copy.csv") == GROUPED
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr


def test_the_default_threshold_is_the_measured_one() -> None:
    (option,) = [p for p in COMMAND.params if p.name == "threshold"]
    assert option.default == DEFAULT_THRESHOLD
