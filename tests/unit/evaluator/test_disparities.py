from __future__ import annotations

import pandas as pd

from linkage.evaluator.disparities import outcomes
from linkage.evaluator.disparities_report import disparities
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


def extract(races: list[str], ended: list[str]) -> Extract:
    people = [f"p{n}" for n in range(len(races))]
    tables = {
        "clinic_person": pd.DataFrame({"study_id": people, "race": races}),
        "clinic_calls": pd.DataFrame({"study_id": people, "ended": ended}),
    }
    said = {"partners": [{"name": "clinic"}], "title": "t", "project": "p", "version": 1}
    return Extract(pd.DataFrame({"study_id": people}), tables, COLUMNS, said, {})


def test_who_is_in_no_other_category_is_not_told_by_the_total() -> None:
    """100 of 103 people are WHITE, some ASIAN too; three are ASIAN alone, and all end in x."""
    races = ["WHITE"] * 60 + ["ASIAN|WHITE"] * 40 + ["ASIAN"] * 3
    ended = ["x", "y"] * 50 + ["x"] * 3
    white = [one for one in outcomes(extract(races, ended)) if one.category == "WHITE"]
    assert [one.value for one in white] == ["x", "y"]
    assert all(one.hidden for one in white)
    # With forty of them there is nothing to hide.
    more = extract(races + ["ASIAN"] * 40, ended + ["x", "y"] * 20)
    shown = {(one.category, one.value): one for one in outcomes(more)}
    assert not any(one.hidden for one in shown.values())
    assert (shown["WHITE", "x"].people, shown["WHITE", "x"].part) == (100, 50)
    assert (shown["ASIAN", "y"].people, shown["ASIAN", "y"].part) == (83, 40)


def test_nor_by_how_many_records_give_something() -> None:
    races = ["WHITE"] * 60 + ["ASIAN|WHITE"] * 40 + ["ASIAN"] * 3
    tables = disparities(extract(races, ["x", "y"] * 50 + ["x"] * 3)).tables
    states = tables["race_completeness"].set_index("state")["records"]
    white = tables["race_categories"].set_index("category")["records"]["WHITE"]
    assert pd.isna(white) or states[["total", "one category"]].isna().any()
    few = disparities(extract(["WHITE"] * 100, ["x", "y"] * 50)).tables["race_categories"]
    assert few["records"].tolist() == [100]
