from __future__ import annotations

from pathlib import Path

import pytest

from linkage.errors import DigestMismatchError
from linkage.evaluator.crosssector import combinations, cross_sector_page
from linkage.evaluator.extract import write_extract
from linkage.evaluator.reading import read_extract
from linkage.evaluator.reports import write_reports
from linkage.release.assemble import assemble
from linkage.release.pseudonyms import draw_ids
from tests.unit.evaluator.sample import MANIFEST, extract


def test_combinations_of_partners(tmp_path: Path) -> None:
    read = read_extract(extract(tmp_path / "x"))
    found = combinations(read.people, read.partners)
    assert [(c.members, c.people.label) for c in found] == [
        (("hospital",), "700"),
        (("hospital", "shelter"), "293"),
        (("hospital", "shelter", "court"), "1-10"),
    ]


def test_the_pages_show_the_picture_and_hide_small_cells(tmp_path: Path) -> None:
    source = extract(tmp_path / "x")
    pages = write_reports(source, tmp_path / "out").pages
    made = ["central_log", "cross_sector", "follow_up", "measures", "quality"]
    assert [path.stem for path in pages] == made
    html = pages[1].read_text("utf-8")
    for text in ("994 to 1,003", "1-10", "91.2%", "County &lt;i&gt;"):
        assert text in html, text
    assert "<script" not in html
    assert "http://" not in html
    assert "https://" not in html
    assert ">7<" not in html
    partners = html.split("<caption>People by partner</caption>")[1].split("</table>")[0]
    assert "294 to 303" in partners
    assert ">300<" not in partners  # the exact total would give the court's seven away
    assert html == cross_sector_page(read_extract(source))


def test_small_cells_look_the_same_whatever_they_hold(tmp_path: Path) -> None:
    def seen(court: int) -> str:
        source = extract(tmp_path / str(court), both=300 + court, court=court)
        html = cross_sector_page(read_extract(source))
        return html.split("Activity by month</h2>")[0].split("Who is seen by whom</h2>")[1]

    seven, nine = seen(7), seen(9)
    assert ">1-10<" in seven
    tables = [html[html.index("<caption>People by partner") :] for html in (seven, nine)]
    assert [table.count("301 to 310") for table in tables] == [3, 3]


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
