from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from linkage.agreement import Manifest
from linkage.errors import DigestMismatchError
from linkage.evaluator.crosssector import (
    Followed,
    combinations,
    followed_by,
    read_extract,
    write_reports,
)
from linkage.evaluator.extract import write_extract
from linkage.release.assemble import assemble
from linkage.release.deidentify import attach_index_ids
from linkage.release.pseudonyms import draw_ids

CODE = {"name": "code", "values": ["a", "b", "<c>"]}
MONTH = {"name": "month", "transform": "month"}
SEX = {"name": "sex", "values": ["f", "m"]}
MANIFEST = Manifest.model_validate(
    {
        "linkage": "manifest/1",
        "project": "county",
        "title": "County <i>",
        "purpose": "p",
        "legal_basis": "l",
        "expires": "2030-01-01",
        "partners": [
            {
                "name": "hospital",
                "record_id": "rid",
                "content": [
                    {"name": "visits", "kind": "event", "record_id": "r", "fields": [CODE, MONTH]},
                    {"name": "patients", "kind": "person", "fields": [SEX]},
                ],
            },
            {
                "name": "shelter",
                "record_id": "rid",
                "content": [
                    {"name": "nights", "kind": "service", "record_id": "r", "fields": [MONTH]}
                ],
            },
            {"name": "court"},
        ],
        "recipients": [{"name": "bureau", "role": "assembler"}],
        "fields": [{"name": "given", "type": "given_name"}],
        "match_keys": [{"name": "k", "fields": ["given"]}],
        "scheme": {"name": "saul-v1"},
    }
)


def extract(directory: Path, *, both: int = 300, court: int = 7) -> Path:
    """Hospital 1,000 people; `both` of them in the shelter too, `court` in the court as well."""
    chance = random.Random(5)
    people = draw_ids(1000)
    index = {name: draw_ids(1000) for name in ("hospital", "shelter", "court")}
    size = {"hospital": 1000, "shelter": both, "court": court}
    study = {
        name: {bytes(index[name][n]): bytes(people[n]) for n in range(size[name])} for name in size
    }
    who = [chance.randrange(1000) for _ in range(3000)]
    nights = [chance.randrange(both) for _ in range(900)]

    def months(count: int) -> pa.Array:
        return pa.array([f"2024-{chance.randrange(1, 13):02d}" for _ in range(count)])

    codes = ["<c>" if n < 6 else "a" if n % 2 else "b" for n in who]
    tables = {
        ("hospital", "visits"): attach_index_ids(
            pa.table({"code": codes, "month": months(3000)}), index["hospital"][who]
        ),
        ("hospital", "patients"): attach_index_ids(
            pa.table({"sex": ["f" if n % 3 else "m" for n in range(1000)]}), index["hospital"]
        ),
        ("shelter", "nights"): attach_index_ids(
            pa.table({"month": months(900)}), index["shelter"][nights]
        ),
    }
    quality = {
        "recommended": {"threshold": 0.5, "links": 300, "precision": 0.987, "recall": 0.912},
        "overall": {"thresholds": []},
    }
    assembled = assemble(MANIFEST, tables, study)
    write_extract(directory, assembled, manifest=MANIFEST, quality=quality)
    return directory


def slow(first: pd.DataFrame, second: pd.DataFrame, within: int, by: str | None) -> dict[Any, Any]:
    def number(month: str) -> int:
        return int(month[:4]) * 12 + int(month[5:])

    later = {(s, number(m)) for s, m in zip(second.study_id, second.month, strict=True) if m}
    start, end = min(m for _, m in later), max(m for _, m in later)
    found: dict[Any, dict[str, bool]] = {}
    for row in first.to_dict("records"):
        if not row["month"]:
            continue
        at = number(row["month"])
        if not start <= at <= end - within:
            continue
        group = found.setdefault((row[by] or "not known") if by else None, {})
        hit = any((row["study_id"], at + lag) in later for lag in range(within + 1))
        group[row["study_id"]] = group.get(row["study_id"], False) or hit
    return {key: (len(people), sum(people.values())) for key, people in found.items()}


@pytest.mark.parametrize("within", [0, 1, 3])
@pytest.mark.parametrize("by", [None, "code"])
def test_following_agrees_with_a_slow_count(within: int, by: str | None) -> None:
    chance = random.Random(within)
    months = [None, *(f"{year}-{month:02d}" for year in (2023, 2024) for month in (1, 6, 12))]

    def table(rows: int) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "study_id": [f"p{chance.randrange(60)}" for _ in range(rows)],
                "month": [chance.choice(months) for _ in range(rows)],
                "code": [chance.choice(["a", "b", None]) for _ in range(rows)],
            }
        )

    first, second = table(200), table(90)
    found = followed_by(
        first, second, first_month="month", second_month="month", by=by, within=within
    )
    assert {r.category: (r.people, r.followed) for r in found} == slow(first, second, within, by)


def test_the_end_of_the_data_is_not_the_end_of_a_service() -> None:
    first = pd.DataFrame({"study_id": ["x", "y"], "month": ["2024-11", "2024-12"]})
    second = pd.DataFrame({"study_id": ["x", "z"], "month": ["2024-12", "2024-01"]})
    found = followed_by(first, second, first_month="month", second_month="month")
    assert found == [Followed(None, 1, 1)]
    assert followed_by(first.head(0), second, first_month="month", second_month="month") == []


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
    written = write_reports(source, tmp_path / "out")
    assert [path.name for path in written] == ["cross_sector.html", "quality.html"]
    html = written[0].read_text("utf-8")
    for text in ("994 to 1,003", "1-10", "hospital_visits, then shelter_nights, by code",
                 "by sex", "91.2%", "&lt;c&gt;", "County &lt;i&gt;"):  # fmt: skip
        assert text in html, text
    assert "<script" not in html
    assert "http://" not in html
    assert "https://" not in html
    assert ">7<" not in html
    partners = html.split("<caption>People by partner</caption>")[1].split("</table>")[0]
    assert "294 to 303" in partners
    assert ">300<" not in partners  # the exact total would give the court's seven away
    assert html == write_reports(source, tmp_path / "again")[0].read_text("utf-8")


def test_small_cells_look_the_same_whatever_they_hold(tmp_path: Path) -> None:
    def seen(court: int) -> str:
        source = extract(tmp_path / str(court), both=300 + court, court=court)
        html = write_reports(source, tmp_path / f"o{court}")[0].read_text("utf-8")
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
    written = write_reports(tmp_path / "x", tmp_path / "out")
    assert [path.name for path in written] == ["cross_sector.html"]
    assert "No two partners" in written[0].read_text("utf-8")
