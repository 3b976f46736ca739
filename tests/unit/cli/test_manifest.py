"""`linkage manifest`: what is shown and compared, and with which exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from linkage.cli.manifest import app
from linkage.synthetic.agreement import demo_manifest


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps(demo_manifest()))
    after.write_text(json.dumps(demo_manifest() | {"retention_days": 3000, "title": "Other"}))
    return before, after


def call(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_diff_of_the_same_is_0(files: tuple[Path, Path]) -> None:
    done = call("diff", files[0], files[0])
    assert (done.exit_code, done.stdout.strip()) == (0, "the same agreement")


def test_diff_names_settings_and_marks_what_weakens(files: tuple[Path, Path]) -> None:
    done = call("diff", *files)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "! ~ retention_days: 365 -> 3000"
    assert lines[1].startswith("  ~ title: ")
    assert lines[2].startswith("1 of 2 changes, marked !")


def test_diff_as_json(files: tuple[Path, Path]) -> None:
    done = call("diff", *files, "--json")
    result = json.loads(done.stdout)
    assert done.exit_code == 1
    assert not result["same"]
    assert result["before"] != result["after"]
    assert result["changes"][0] == {
        "place": "retention_days",
        "kind": "changed",
        "before": 365,
        "after": 3000,
        "weakens": True,
    }


def test_check_tells_of_loosened_bounds(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    loosened = demo_manifest() | {"scheme": {"name": "saul-v1"}, "audit": {"known": 0.4}}
    path.write_text(json.dumps(loosened))
    for command in ("check", "show"):
        done = call(command, path, "--json")
        result = json.loads(done.stdout)
        assert any("re-identify up to 0.4" in text for text in result["warnings"])
        assert any("submit refuses" in text for text in result["foreseen"])
        assert "re-identify up to 0.4" in done.stderr


def test_show_prints_text_or_writes_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    printed = call("show", files[0]).stdout
    page, text = tmp_path / "page.html", tmp_path / "text.txt"
    done = call("show", files[0], "--html", page, "--text", text, "--json")
    assert text.read_text() == printed
    assert page.read_text().startswith("<!doctype html>")
    result = json.loads(done.stdout)
    assert result["unanswered"] == []
    assert result["fingerprint"] in printed
    assert result["manifest"]["retention_days"] == 365


def test_open_questions_are_said_by_every_command(tmp_path: Path) -> None:
    document = demo_manifest()
    document["governance"]["ethical"] = "To be written"
    path = tmp_path / "open.json"
    path.write_text(json.dumps(document))
    done = call("check", path, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["unanswered"] == ["Is this ethical?"]
    assert "NOT ANSWERED Is this ethical?" in done.stderr
