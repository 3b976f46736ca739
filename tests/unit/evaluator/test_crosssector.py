from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from linkage.cli.main import app
from linkage.errors import DigestMismatchError, NotFoundError
from linkage.evaluator.crosssector import cross_sector
from linkage.evaluator.extract import write_extract
from linkage.evaluator.reading import read_extract
from linkage.evaluator.reports import write_reports
from linkage.release.assemble import assemble
from linkage.release.pseudonyms import draw_ids
from tests.unit.evaluator.sample import MANIFEST, extract


def test_who_is_seen_by_whom(tmp_path: Path) -> None:
    made = cross_sector(read_extract(extract(tmp_path / "x")))
    cells = made.tables["cross_sector_partners"].set_index("seen_by")["count"]
    # 700, 293 and 7: of the two that are left, one goes with the small one.
    assert cells["hospital"] == 700
    assert cells[["hospital + shelter", "hospital + shelter + court"]].isna().all()
    assert cells["total"] == 1000
    assert cells["2 or more partners"] == 300


def test_the_pages_show_the_picture_and_hide_small_cells(tmp_path: Path) -> None:
    source = extract(tmp_path / "x")
    pages = write_reports(source, tmp_path / "out").pages
    made = ["central_log", "cross_sector", "follow_up", "measures", "quality"]
    assert [path.stem for path in pages] == made
    html = pages[1].read_text("utf-8")
    for text in ("1,000", "not shown", "91.2%", "County &lt;i&gt;"):
        assert text in html, text
    assert "<script" not in html
    assert "http://" not in html
    assert "https://" not in html
    assert ">7<" not in html
    assert html == cross_sector(read_extract(source)).page


def test_small_cells_look_the_same_whatever_they_hold(tmp_path: Path) -> None:
    def seen(court: int) -> pd.DataFrame:
        source = extract(tmp_path / str(court), both=300 + court, court=court)
        return cross_sector(read_extract(source)).tables["cross_sector_partners"]

    seven, nine = (seen(court).set_index("seen_by") for court in (7, 9))
    # 307 and 309 people of several partners, of whom 300 are not seen by the court.
    assert seven["suppressed"].equals(nine["suppressed"])
    assert seven["suppressed"]["hospital + shelter + court"]


def test_an_extract_that_was_changed_is_not_reported_on(tmp_path: Path) -> None:
    source = extract(tmp_path / "x")
    (source / "README.txt").write_text("x")
    with pytest.raises(DigestMismatchError):
        write_reports(source, tmp_path / "out")


def test_an_extract_without_months_or_content_still_has_a_page(tmp_path: Path) -> None:
    bare = MANIFEST.model_copy(
        update={"partners": tuple(p.model_copy(update={"content": ()}) for p in MANIFEST.partners)}
    )
    ids = draw_ids(2)
    study = {"hospital": {bytes(ids[0]): bytes(ids[1])}, "shelter": {}, "court": {}}
    write_extract(tmp_path / "x", assemble(bare, {}, study), manifest=bare, quality={})
    made = write_reports(tmp_path / "x", tmp_path / "out")
    assert [path.name for path in made.pages] == ["cross_sector.html"]
    assert "no two partners" in made.left_out["follow_up"]
    assert "no quality report" in made.left_out["quality"]


def test_a_report_of_too_many_cells_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = extract(tmp_path / "x")
    monkeypatch.setattr("linkage.release.disclosure.system.MAX_CELLS", 60)
    made = write_reports(source, tmp_path / "out")
    assert "cross_sector" not in made.left_out
    assert "more than 60 cells together" in made.left_out["central_log"]
    assert "coarser, which is broken down by" in made.left_out["central_log"]


def test_the_command_keeps_a_ledger_beside_the_extract(tmp_path: Path) -> None:
    source, ledger = extract(tmp_path / "x"), tmp_path / "county.shown.jsonl"
    words = ["evaluator", "report", str(source), "--out"]
    for place in ("one", "two"):
        done = CliRunner().invoke(app, [*words, str(tmp_path / place)])
        assert done.exit_code == 0, done.output
    pages = [sorted((tmp_path / place).iterdir()) for place in ("one", "two")]
    assert [p.read_bytes() for p in pages[0]] == [p.read_bytes() for p in pages[1]]
    lines = ledger.read_bytes().splitlines()
    # One for each report that shows counts; the second time nothing was news.
    assert len(lines) == 4
    other = tmp_path / "other.jsonl"
    measured = ["evaluator", "measures", str(source), "--out", str(tmp_path / "m")]
    assert CliRunner().invoke(app, [*measured, "--ledger", str(other)]).exit_code == 0
    assert other.exists()
    (tmp_path / "none").mkdir()
    refused = CliRunner().invoke(app, ["evaluator", "report", str(tmp_path / "none"), "--out", "o"])
    assert isinstance(refused.exception, NotFoundError)
