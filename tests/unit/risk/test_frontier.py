"""The frontier: its plan, going on where a run stopped, and one tiny cell and linkage in truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from linkage.risk import upper_bound
from tests.bench import files, frontier, frontier_pages
from tests.bench.frontier import Cell, Linking
from tests.bench.registers import Febrl
from tests.bench.settings import (
    CLK,
    CORE,
    DEFAULT,
    EVERY,
    FOLDED,
    LARGE,
    MADE,
    RULED,
    SAUL,
    Setting,
)


def test_the_plan_is_the_whole_grid_and_begins_with_all_settings_in_small_files() -> None:
    cells = frontier.plan()
    assert len(set(cells)) == len(cells)
    assert len({cell.name for cell in cells}) == len(cells)
    public = [c for c in cells if c.file != MADE]
    assert cells[: len(public)] == public
    assert [c.setting for c in public] == list(CORE)
    cells = cells[len(public) :]
    assert [c.setting for c in cells[: len(EVERY)]] == list(EVERY)
    assert {(c.rows, c.overlap, c.errors) for c in cells[: len(EVERY)]} == {(1_000, 1.0, 0.0)}
    grounds = len(frontier.OVERLAPS) * len(frontier.ERRORS)
    first = [cell for cell in cells if cell.seed == 0]
    assert len(first) == 2 * grounds * (len(EVERY) + len(LARGE)) + len(RULED)
    assert len(cells) - len(first) == 2 * 4 * grounds * len(LARGE)
    assert {c.setting for c in cells if c.rows > 5_000 or c.seed} == set(LARGE)
    assert set(LARGE) <= set(CORE) <= set(EVERY)
    assert {c.rows for c in frontier.plan([20_000]) if c.file == MADE} == {20_000}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was measured; nothing is."""
    seen: list[str] = []
    best = {"attack": "alignment", "right": 1, "overlap": 10, "rate": 0.1, "upper": 0.2}

    def about(one: Cell | Linking) -> dict[str, Any]:
        seen.append(one.name)
        setting = one.setting
        return {
            "scheme": setting.scheme,
            "title": setting.title,
            "whole": setting.whole,
            "match_keys": 8,
            "bytes": 2048,
        }

    def attack(cell: Cell) -> dict[str, Any]:
        told = best | {"attack": "law, 1 known", "right": 3, "rate": 0.3, "upper": 0.6}
        return about(cell) | {
            "file": cell.file,
            "rows": cell.rows or 7,
            "overlap": cell.overlap,
            "errors": cell.errors,
            "seed": cell.seed,
            "encode_seconds": 0.5,
            "attacks": [best, told],
            "best_nothing_known": best,
        }

    def link(one: Linking) -> dict[str, Any]:
        return about(one) | {"file": one.file, "candidate_recall": 0.9, "f1": 0.8}

    monkeypatch.setattr(frontier, "attack", attack)
    monkeypatch.setattr(frontier, "link", link)
    return seen


def test_a_run_goes_on_where_one_stopped_and_names_what_is_missing(
    measured: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "build" / "frontier.json"
    asked = ["--out", str(out), "--sizes", "1000"]
    frontier.main([*asked, "--minutes", "0"])
    assert measured == []
    found = json.loads(out.read_text())
    cells, pairs = frontier.plan([1_000]), frontier.linkings()
    assert found["missing"] == [one.name for one in (*cells, *pairs)]

    frontier.main([*asked, "--only", "attacks"])
    assert measured == [cell.name for cell in cells]
    found = json.loads(out.read_text())
    assert found["missing"] == [one.name for one in pairs]
    del found["cells"][cells[5].name]
    out.write_text(json.dumps(found))

    measured.clear()
    frontier.main(asked)
    assert measured == [cells[5].name, *(one.name for one in pairs)]
    assert json.loads(out.read_text())["missing"] == []


def test_tables_and_drawings_are_of_the_file_alone(
    measured: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, images = tmp_path / "frontier.json", tmp_path / "img"
    frontier.main(["--out", str(out), "--sizes", "1000", "5000"])
    measured.clear()
    capsys.readouterr()
    frontier.main(["--out", str(out), "--table", "--plot", str(images)])
    assert measured == []
    written = capsys.readouterr().out
    # Three seeds of the default are one outcome; of h = 4 there is one.
    for name, times in (("minhash-v1, k = 3", 3), ("saul-v1, h = 4", 1)):
        nothing, told = (
            f"{10 * right}% ({100 * upper_bound(right * times, 10 * times):.3g}%)"
            for right in (1, 3)
        )
        start = f"| {name} | match keys | 2,048 | 1.0 | {nothing} | {nothing} | {told} | {told} |"
        assert f"{start} 0.900 | 0.800 |\n" in written
    assert "| 5,000 | 20% | 10% | 10% (" in written
    assert "| minhash-v1, k = 3 | match keys | febrl4 | 7 | 10% (" in written
    drawings = {path.name: path.read_bytes() for path in images.iterdir()}
    assert set(drawings) == {"frontier.svg", "frontier-size.svg"}
    assert all(len(svg) < 100_000 and b"xmlns=" in svg for svg in drawings.values())
    frontier_pages.draw_all(json.loads(out.read_text()), images)
    assert {path.name: path.read_bytes() for path in images.iterdir()} == drawings


@pytest.mark.parametrize("setting", [DEFAULT, SAUL, CLK, FOLDED], ids=lambda s: s.name)
def test_a_tiny_cell(setting: Any) -> None:
    found = frontier.attack(Cell(setting, 120, 1.0, 0.1))
    names = [one["attack"] for one in found["attacks"]]
    told = "law, 12 known" if setting.has_law else "alignment, 12 known"
    assert names == ["alignment", "neighbours", "differences", told]
    assert found["best"]["rate"] == max(one["rate"] for one in found["attacks"])
    assert "known" not in found["best_nothing_known"]["attack"]
    assert found["bytes"] == found["match_keys"] * setting.bits // 8
    if setting is not DEFAULT:
        return
    fewer = frontier.attack(Cell(Setting("minhash-v1", 3, keys=3), 120, 1.0, 0.1))
    assert fewer["match_keys"] == 3 < found["match_keys"]
    again = frontier.attack(Cell(setting, 120, 1.0, 0.1))
    assert [one["right"] for one in again["attacks"]] == [one["right"] for one in found["attacks"]]


@pytest.mark.parametrize("setting", [DEFAULT, CLK], ids=lambda s: s.name)
def test_a_tiny_linkage(setting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case = files.made("tiny", both=100, left=150, right=150, seed=1)
    monkeypatch.setitem(frontier.MESSY, "tiny", lambda: case)
    found = frontier.link(Linking(setting, "tiny"))
    assert found["candidate_recall"] > 0.7
    assert found["f1"] > 0.7
    assert found["match_keys"] == (1 if setting.whole else found["match_keys"])


def test_public_files_are_of_people_with_whole_records_in_both() -> None:
    drawn = Febrl(seed=1)
    assert len(drawn.view["surname"]) == len(drawn.register["surname"]) == len(drawn.truth)
    assert len(drawn.truth) > 2_000
    assert sorted(drawn.truth) == list(range(len(drawn.truth)))
    same = drawn.view["soc_sec_id"] == drawn.register["soc_sec_id"][drawn.truth]
    assert 0.9 < same.mean() < 1
    assert all(value for column in drawn.view.values() for value in column)
