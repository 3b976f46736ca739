from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from linkage.errors import NotFoundError
from linkage.evaluator.followup_report import follow_up
from linkage.evaluator.followup_tables import Options
from linkage.evaluator.output import csv_bytes
from linkage.evaluator.reading import Extract, read_extract
from linkage.evaluator.shown import Shown
from tests.unit.evaluator.sample import extract


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Extract:
    return read_extract(extract(tmp_path_factory.mktemp("x") / "extract"))


@pytest.fixture
def read(whole: Extract) -> Extract:
    """Of which nothing was shown yet."""
    return replace(whole, shown=Shown())


def rows(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode())))


def test_a_page_and_a_table(read: Extract, tmp_path: Path) -> None:
    made = follow_up(read)
    assert [path.name for path in made.write(tmp_path)] == ["follow_up.csv", "follow_up.html"]
    html = made.page
    for text in ("hospital_visits, then shelter_nights, by code", "by sex", "91.2%", "&lt;c&gt;"):
        assert text in html, text
    assert "https://" not in html
    assert "<script" not in html
    table = rows((tmp_path / "follow_up.csv").read_bytes())
    everybody = table[0]
    assert (everybody["by"], everybody["group"], everybody["days"]) == (
        "everybody",
        "everybody",
        "30",
    )
    low, share, high = (float(everybody[f"corrected{end}"]) for end in ("_low", "", "_high"))
    assert low < share < high
    assert share > float(everybody["seen"])
    assert high - low > float(everybody["seen_high"]) - float(everybody["seen_low"])
    assert {row["by"] for row in table} == {"everybody", "code", "sex"}


def test_small_groups_are_empty_and_never_nought(read: Extract) -> None:
    made = follow_up(read, Options(by=["code"]))
    table = {row["group"]: row for row in rows(csv_bytes(made.tables["follow_up"]))}
    assert table["<c>"]["suppressed"] == "True"
    assert {table["<c>"][name] for name in ("people", "followed", "seen", "corrected")} == {""}
    # One group more is hidden, so that no total gives the small one away.
    hidden = [name for name, row in table.items() if row["suppressed"] == "True"]
    assert len(hidden) >= 2
    assert all(not row["people"] for row in table.values() if row["suppressed"] == "True")


@pytest.mark.parametrize("every", [False, True])
def test_shares_are_those_of_rounded_counts(read: Extract, every: bool) -> None:
    rounded = replace(read, manifest={**read.manifest, "disclosure": {"rounding": 20}})
    table = rows(csv_bytes(follow_up(rounded, Options(every=every)).tables["follow_up"]))
    shown = [row for row in table if row["suppressed"] == "False"]
    assert len(shown) >= 3
    for row in shown:
        of = int(row["events" if every else "people"])
        assert of % 20 == 0
        assert float(row["seen"]) == round(int(row["followed"]) / of, 3)


def test_the_truth_of_a_rehearsal_stands_beside(read: Extract) -> None:
    made = follow_up(
        read, truth={("hospital_visits", "shelter_nights"): {"sex": {"f": 0.2, "m": 0.99}}}
    )
    assert made.figures["recovered"]["of"] == 2
    assert made.figures["recovered"]["inside"] <= 1
    assert "99.0%" in made.page


def test_choices(read: Extract) -> None:
    made = follow_up(
        read,
        Options(events="visits", services="shelter_nights", every=True, recall=0.5, days=0),
    )
    [pair] = made.figures["pairs"]
    assert pair["corrected"][0] == pytest.approx(2 * pair["seen"], abs=0.002)
    assert "events" in made.tables["follow_up"]
    with pytest.raises(NotFoundError, match="called 'stays'"):
        follow_up(read, Options(events="stays", services="nights"))
    with pytest.raises(NotFoundError, match="has a column 'shoe'"):
        follow_up(read, Options(by=["shoe"]))


def test_without_an_estimate_nothing_is_corrected(read: Extract) -> None:
    blind = Extract(read.people, read.tables, read.columns, read.manifest, {})
    made = follow_up(blind)
    assert "nothing is corrected" in made.page
    assert rows(csv_bytes(made.tables["follow_up"]))[0]["corrected"] == ""
