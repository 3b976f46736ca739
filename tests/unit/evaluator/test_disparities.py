from __future__ import annotations

from dataclasses import replace

import pandas as pd

from linkage.evaluator.disparities import outcomes
from linkage.evaluator.disparities_report import disparities
from linkage.evaluator.output import csv_bytes
from linkage.evaluator.reading import Extract

COLUMNS = {
    "clinic_person": [
        {"column": "study_id", "kind": "person", "partner": "clinic", "transform": "id"},
        {
            "column": "race",
            "kind": "person",
            "partner": "clinic",
            "transform": "keep",
            "means": "race_ethnicity",
        },
    ],
    "clinic_calls": [
        {"column": "study_id", "kind": "event", "partner": "clinic", "transform": "id"},
        {
            "column": "ended",
            "kind": "event",
            "partner": "clinic",
            "transform": "keep",
            "means": "outcome",
        },
    ],
}


def extract(races: list[str], ended: list[str], rounding: int = 1) -> Extract:
    people = [f"p{n}" for n in range(len(races))]
    tables = {
        "clinic_person": pd.DataFrame({"study_id": people, "race": races}),
        "clinic_calls": pd.DataFrame({"study_id": people, "ended": ended}),
    }
    said = {"partners": [{"name": "clinic"}], "title": "t", "project": "p", "version": 1}
    said["disclosure"] = {"rounding": rounding}
    return Extract(pd.DataFrame({"study_id": people}), tables, COLUMNS, said, {})


def test_who_is_in_no_other_category_is_not_told_by_the_total() -> None:
    """100 of 103 people are WHITE, some ASIAN too; three are ASIAN alone, and all end in x."""
    races = ["WHITE"] * 60 + ["ASIAN|WHITE"] * 40 + ["ASIAN"] * 3
    ended = ["x", "y"] * 50 + ["x"] * 3
    white = [one for one in outcomes(extract(races, ended)) if one.category == "WHITE"]
    assert [one.value for one in white] == ["x", "y"]
    assert all(one.figures is None for one in white)
    # With forty of them there is nothing to hide.
    more = extract(races + ["ASIAN"] * 40, ended + ["x", "y"] * 20)
    shown = {(one.category, one.value): one.figures for one in outcomes(more)}
    counts = {name: (one.people, one.part) for name, one in shown.items() if one}
    assert len(counts) == len(shown)
    assert (counts["WHITE", "x"], counts["ASIAN", "y"]) == ((100, 50), (83, 40))


def test_nor_by_how_many_records_give_something() -> None:
    races = ["WHITE"] * 60 + ["ASIAN|WHITE"] * 40 + ["ASIAN"] * 3
    tables = disparities(extract(races, ["x", "y"] * 50 + ["x"] * 3)).tables
    states = tables["race_completeness"].set_index("state")["records"]
    white = tables["race_categories"].set_index("category")["records"]["WHITE"]
    assert pd.isna(white) or states[["total", "one category"]].isna().any()
    few = disparities(extract(["WHITE"] * 100, ["x", "y"] * 50)).tables["race_categories"]
    assert few["records"].tolist() == [100]


def test_shares_tell_no_more_than_rounded_counts() -> None:
    """Two extracts that differ in exact counts alone give the same bytes."""
    one, other = (
        disparities(
            extract(
                ["WHITE"] * (150 + more) + ["BLACK"] * (110 - more),
                ["x"] * (70 + more) + ["y"] * 80 + ["x"] * 60 + ["y"] * (50 - more),
                rounding=10,
            )
        )
        for more in (1, 4)
    )
    assert one.page == other.page
    assert one.figures == other.figures
    for name, table in one.tables.items():
        assert csv_bytes(table) == csv_bytes(other.tables[name]), name
    line = one.tables["disparities"].iloc[0]
    assert line["share"] == round(int(line["with_value"]) / int(line["people"]), 3)


def test_nor_do_shares_of_answers_that_are_not_alike() -> None:
    columns = {
        **COLUMNS,
        "jail_person": [{**entry, "partner": "jail"} for entry in COLUMNS["clinic_person"]],
    }
    made = extract(["WHITE"] * 83 + ["BLACK"] * 60, ["x", "y"] * 71 + ["x"], rounding=10)
    jail = made.tables["clinic_person"].assign(race=["WHITE"] * 122 + ["BLACK"] * 21)
    partners = [{"name": "clinic"}, {"name": "jail"}]
    both = replace(
        made,
        tables={**made.tables, "jail_person": jail},
        columns=columns,
        manifest={**made.manifest, "partners": partners},
    )
    [row] = disparities(both).tables["race_disagreement"].to_dict("records")
    assert (row["people"], row["not_alike"]) == ("140", "40")
    assert row["unlike_seen"] == round(40 / 140, 3)
