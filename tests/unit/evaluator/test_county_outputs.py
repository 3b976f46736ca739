"""What was planted in the made-up county comes out of an extract of a bad linkage."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from linkage.cli import demo
from linkage.errors import InputError, NotFoundError
from linkage.evaluator.access_report import access
from linkage.evaluator.access_tables import AccessOptions
from linkage.evaluator.centrallog_report import central_log_report
from linkage.evaluator.crosssector import cross_sector
from linkage.evaluator.disparities_report import disparities
from linkage.evaluator.followup_report import follow_up
from linkage.evaluator.followup_tables import Options, table_pairs
from linkage.evaluator.measures import counted, with_goals
from linkage.evaluator.measures_report import measures, read_goals
from linkage.evaluator.measures_tables import reported_tables
from linkage.evaluator.output import Output, csv_bytes
from linkage.evaluator.places import read_distances, read_tracts
from linkage.evaluator.protection import Cells
from linkage.evaluator.reading import Extract, read_extract
from linkage.evaluator.reports import Known, Places, write_reports
from linkage.evaluator.shown import Shown, protected_of
from linkage.release.disclosure import ProtectedTable, audit, protect_tables
from linkage.synthetic import County, CountyFiles, write_county
from tests.unit.evaluator.linked_county import linked_county


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CountyFiles:
    return write_county(County.make(people=8000, seed=2026), tmp_path_factory.mktemp("county"))


@pytest.fixture(scope="module")
def truth(files: CountyFiles) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files.truth.read_bytes())
    return found


@pytest.fixture(scope="module")
def linked(files: CountyFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("linked") / "extract"
    return linked_county(files, directory, recall=0.85, precision=0.9, seed=3)


@pytest.fixture(scope="module")
def whole(linked: Path) -> Extract:
    return read_extract(linked)


@pytest.fixture
def extract(whole: Extract) -> Extract:
    """Of which nothing was shown yet."""
    return replace(whole, shown=Shown())


def rows(made: Output, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_bytes(made.tables[name]).decode())))


def test_treatment_after_a_call_by_municipality(extract: Extract, truth: dict[str, Any]) -> None:
    planted = truth["crisis_to_treatment"]["municipalities"]
    towns = {name: town["planted"] for name, town in planted.items()}
    made = follow_up(
        extract,
        Options(events="crisis_calls", services="treatment", by=["municipality"]),
        truth={("sheriff_crisis_calls", "health_treatment"): {"municipality": towns}},
    )
    assert made.figures["recovered"]["of"] == 9
    assert made.figures["recovered"]["inside"] >= 8
    true = sum(t["treated"] for t in planted.values()) / sum(
        t["people_with_call"] for t in planted.values()
    )
    everybody = rows(made, "follow_up")[0]
    assert float(everybody["corrected_low"]) <= true <= float(everybody["corrected_high"])
    assert float(everybody["seen"]) < true


def test_all_that_the_demonstration_plants_is_looked_for_and_comes_back(
    files: CountyFiles, linked: Path, tmp_path: Path
) -> None:
    known = Known(**demo._planted(files.truth))
    places = Places(read_tracts(files.tracts))
    figures = write_reports(linked, tmp_path / "out", places=places, known=known).figures
    found = {name: figures[name]["recovered"] for name in demo._PLANTED}
    assert len(demo._recovered(figures)) == 2 + len(found)
    assert found["follow_up"]["of"] == 10
    assert found["disparities"]["of"] >= 2
    assert found["access"]["inside"] == found["access"]["of"] > 10
    for one in ("follow_up", "disparities"):
        assert found[one]["inside"] >= 0.8 * found[one]["of"], one


def test_spending_is_found_where_services_are_given(
    extract: Extract, files: CountyFiles, truth: dict[str, Any]
) -> None:
    made = access(extract, read_tracts(files.tracts), None, AccessOptions(reach=15.0))
    table = {row["tract"]: row for row in rows(made, "access")}
    spent = {t: float(row["supply"]) for t, row in table.items() if float(row["supply"])}
    assert spent == pytest.approx(truth["spending"])
    far = [row for row in table.values() if row["municipality"] == "Antelope Flats"]
    city = [row for row in table.values() if row["municipality"] == "Prairie City"]
    assert {row["2sfca"] for row in far} == {"0.0"}
    assert min(float(row["2sfca"]) for row in city) > 20
    assert min(float(row["raam"]) for row in far) > max(float(row["raam"]) for row in city)
    assert made.figures["residents_without_reach"] > 0
    people = sum(int(row["population"]) for row in table.values())
    reached = sum(int(row["population"]) * float(row["2sfca"]) for row in table.values())
    assert people == 8000
    assert reached == pytest.approx(sum(truth["spending"].values()), rel=1e-6)


def test_need_of_few_people_is_empty(extract: Extract, files: CountyFiles) -> None:
    made = access(extract, read_tracts(files.tracts))
    need = [row["people_in_need"] for row in rows(made, "access")]
    shown = [int(n) for n in need if n]
    assert shown
    assert all(n == 0 or n > 10 for n in shown)
    few = [row for row in rows(made, "access") if not row["people_in_need"]]
    assert all(not row["need_per_1000"] for row in few)
    assert all(not row["supply_per_person_in_need"] for row in few)


def test_one_kind_of_service_and_one_year(extract: Extract, files: CountyFiles) -> None:
    tracts = read_tracts(files.tracts)
    all_of_it = access(extract, tracts).figures["supply"]
    food = access(extract, tracts, None, AccessOptions(service_type="FOOD")).figures["supply"]
    before = access(extract, tracts, None, AccessOptions(year=2024)).figures["supply"]
    assert 0 < food < all_of_it
    assert before == pytest.approx(0.93 * all_of_it, rel=1e-3)
    with pytest.raises(NotFoundError, match="no site of that type"):
        access(extract, tracts, None, AccessOptions(service_type="SKIING"))


def test_given_distances_count(extract: Extract, files: CountyFiles, tmp_path: Path) -> None:
    tracts = read_tracts(files.tracts)
    names = tracts["tract"].tolist()
    path = tmp_path / "minutes.csv"
    lines = [f"{a},{b},{0 if a == b else 10}" for a in names for b in names]
    path.write_text("\n".join(["origin,destination,cost", *lines]))
    made = access(extract, tracts, read_distances(path), AccessOptions(reach=20))
    scores = [float(row["2sfca"]) for row in rows(made, "access")]
    assert max(scores) == pytest.approx(min(scores))  # everybody reaches everything
    with pytest.raises(InputError, match="not in the file of tracts"):
        access(extract, tracts.head(3))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("GEOID,population\n99901010100,12\n9990101010,5\n", "row 2, field 'tract'"),
        ("GEOID,population\n99901010100,many\n", "row 1, field 'population'"),
        ("GEOID,population\n99901010100,-4\n", "row 1, field 'population'"),
        ("GEOID,population\n99901010100,1\n99901010100,2\n", "row 2, field 'tract'"),
        ("GEOID,people\n99901010100,1\n", "no column population"),
        ("", "is not a CSV file"),
    ],
)
def test_a_wrong_file_of_tracts_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "tracts.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_tracts(path)


def test_outcomes_by_race_and_ethnicity(extract: Extract, truth: dict[str, Any]) -> None:
    made = disparities(extract)
    table = {
        row["race_ethnicity"]: row
        for row in rows(made, "disparities")
        if (row["table"], row["value"]) == ("sheriff_crisis_calls", "JAIL")
    }
    planted = truth["jailed"]["categories"]
    for name in ("BLACK", "WHITE"):
        rate = planted.get(name, 0.12)
        low, high = (float(table[name][f"share_{end}"]) for end in ("low", "high"))
        assert low <= rate <= high, name
    assert float(table["BLACK"]["difference_low"]) > 0
    followed = [row for row in rows(made, "disparities") if row["outcome"].startswith("followed")]
    assert {row["value"] for row in followed} == {"health_treatment", "social_referrals"}


def test_completeness_and_agreement_of_partners(extract: Extract, files: CountyFiles) -> None:
    made = disparities(extract)
    complete = {(r["partner"], r["state"]): r["records"] for r in rows(made, "race_completeness")}
    health = pd.read_csv(files.identifiers["health"], dtype=str, keep_default_na=False)
    missing = int((health["race_ethnicity"] == "").sum())
    assert complete["health", "not known"] == str(missing)
    assert complete["health", "total"] == str(len(health))
    assert made.figures["not_known_or_declined"]["health"] == pytest.approx(
        missing / len(health), abs=1e-4
    )
    [unlike] = [
        r
        for r in rows(made, "race_disagreement")
        if (r["one"], r["other"]) == ("sheriff", "health")
    ]
    # One link in ten is wrong; what is left is what clerks cut to the first code.
    assert float(unlike["unlike_seen"]) > 0.03
    assert float(unlike["unlike_corrected"]) < float(unlike["unlike_seen"])
    assert float(unlike["unlike_low"]) <= 0.012 <= float(unlike["unlike_high"])


def test_measures_are_blank_where_few(extract: Extract, files: CountyFiles, tmp_path: Path) -> None:
    made = measures(extract)
    table = rows(made, "measures")
    assert list(table[0]) == ["group", "measure", "goal", "year", "month", "value", "suppressed"]
    source = pd.read_csv(files.content["social"]["measures"], dtype=str, keep_default_na=False)
    values = {
        (r["population_group"], r["measure"], r["month"][:7]): r["value"]
        for r in source.to_dict("records")
    }
    reported = [row for row in table if row["group"] != "linked data"]
    assert len(reported) == len(source)
    for row in reported:
        true = values[row["group"], row["measure"], f"{row['year']}-{int(row['month']):02d}"]
        few = true != "" and 1 <= int(true) <= 10
        # The groups have no total among them, so nothing else is hidden.
        assert row["suppressed"] == str(few)
        assert row["value"] == ("" if few or true == "" else f"{float(true)}")
    linked = [row for row in table if row["group"] == "linked data"]
    numbers = [float(row["value"]) for row in linked if row["value"]]
    assert numbers
    assert not np.any((np.array(numbers) >= 1) & (np.array(numbers) <= 10))

    goals = tmp_path / "goals.csv"
    goals.write_text("group,measure,goal\nlinked data,people in health_treatment,120\n")
    again = with_goals(counted(extract), read_goals(goals))
    assert set(again.loc[again["measure"] == "people in health_treatment", "goal"]) == {120.0}
    goals.write_text("group,measure,goal\na,b,lots\n")
    with pytest.raises(InputError, match="row 1, field 'goal'"):
        read_goals(goals)


def test_no_reader_of_all_reports_can_prove_a_small_count(
    whole: Extract, files: CountyFiles, tmp_path: Path
) -> None:
    path = tmp_path / "county.shown.jsonl"
    extract = replace(whole, shown=Shown(path, "e"))
    made = [cross_sector, central_log_report, follow_up, measures, disparities]
    for make in (*made, lambda e: access(e, read_tracts(files.tracts))):
        require_whole(make(extract), tmp_path / "out")
        extract.shown.keep()
    tables = [one for line in path.read_bytes().splitlines() for one in tables_of(line)]
    assert len(tables) > 20
    assert sum(int(one.suppressed.sum()) for one in tables) > 100
    assert audit(tables) == 0


def require_whole(made: Output, out: Path) -> None:
    """A report is tables, and one page with a chart and a table that fetches nothing."""
    written = [path.name for path in made.write(out)]
    assert f"{made.name}.html" in written
    assert any(path.endswith(".csv") for path in written)
    html = (out / f"{made.name}.html").read_text("utf-8")
    assert html.count("<svg ") >= 1
    assert html.count("<table") >= 1
    assert not re.search(r"<(script|link|img|iframe)\b|\bsrc\s*=|href=\"[^#]|@import", html)


def tables_of(line: bytes) -> list[ProtectedTable]:
    return [protected_of(one) for one in json.loads(line)["tables"]]


def test_totals_among_reported_groups_are_found() -> None:
    rows = pd.DataFrame(
        [
            (group, 2024, month, value)
            for group, values in {"A": (4, 40), "B": (30, 50), "all": (34, 90)}.items()
            for month, value in zip((1, 2), values, strict=True)
        ]
        + [("A", 2024, None, 44), ("B", 2024, None, 80), ("all", 2024, None, 124)],
        columns=["group", "year", "month", "value"],
    ).astype({"year": "Int64", "month": "Int64"})
    [(table, places)] = reported_tables("people", rows)
    [made] = protect_tables([table], k=11)
    hidden = {place for place, nodes in places.items() if Cells(made).hidden(**nodes)}
    # A in January is small; B gives it away, and both months with the year's value.
    assert 0 in hidden
    assert len(hidden & {1, 2, 3, 4, 6, 7}) >= 2
    again = pd.concat([rows, rows.iloc[[2]]], ignore_index=True)
    assert len(list(reported_tables("people", again))) == 2
    apart = rows.assign(value=[4, 40, 30, 50, 77, 91, 1000, 1001, 1002])
    [(table, places)] = reported_tables("people", apart)
    [made] = protect_tables([table], k=11)
    assert [place for place, nodes in places.items() if Cells(made).hidden(**nodes)] == [0]


def test_without_events_services_follow_services_and_nothing_else(extract: Extract) -> None:
    tables = {n: t for n, t in extract.tables.items() if not n.startswith("sheriff")}
    served = Extract(extract.people, tables, extract.columns, extract.manifest, extract.quality)
    assert table_pairs(served, Options()) == [
        ("health_treatment", "social_referrals"),
        ("social_referrals", "health_treatment"),
    ]


def test_an_extract_without_them_says_so(extract: Extract) -> None:
    bare = Extract(extract.people, {}, {}, extract.manifest, extract.quality)
    for make in (disparities, measures):
        with pytest.raises(NotFoundError):
            make(bare)
    with pytest.raises(NotFoundError, match="no table of sites"):
        access(bare, pd.DataFrame({"tract": ["99901010100"], "population": [1]}))
