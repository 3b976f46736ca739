from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from linkage.agreement import ContentTable
from linkage.agreement.models import IMPERSONAL
from linkage.errors import InvalidRequestError, SourceError
from linkage.release.coarsen import age_band
from linkage.release.codes import code_fault
from linkage.release.deidentify import (
    attach_index_ids,
    check_deidentified,
    deidentify_table,
)
from linkage.release.pseudonyms import draw_ids


def table(*fields: dict[str, Any], kind: str = "event") -> ContentTable:
    record = None if kind in IMPERSONAL else "rid"
    return ContentTable.model_validate(
        {"name": "visits", "kind": kind, "record_id": record, "fields": fields}
    )


def run(content: ContentTable, columns: dict[str, Any], **more: Any) -> dict[str, list[Any]]:
    frame = pd.DataFrame(columns, dtype=object)
    result: dict[str, list[Any]] = deidentify_table(
        content, frame, file="visits.csv", **more
    ).to_pydict()
    return result


def problems(content: ContentTable, columns: dict[str, Any], **more: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        run(content, columns, **more)
    return caught.value


EVERYTHING = table(
    {"name": "service", "column": "Service Code", "values": ["ER", "IN"]},
    {"name": "born", "column": "dob", "transform": "year", "date_format": "%m/%d/%Y"},
    {"name": "month", "column": "seen", "transform": "month"},
    {
        "name": "age",
        "column": "dob",
        "transform": "age_band",
        "date_format": "%m/%d/%Y",
        "reference": "2024-01-01",
    },
    {"name": "area", "column": "zip", "transform": "zip3"},
    {"name": "level"},
)


def test_every_transform_and_nothing_that_was_not_agreed() -> None:
    result = run(
        EVERYTHING,
        {
            "ssn": ["078-05-1120", "219-09-9999", "x"],
            "Service Code": [" ER", "in?", "IN"],
            "dob": ["03/04/1990", "12/31/1931", None],
            "seen": ["2024-05-06", "2023-12-31", " "],
            "zip": ["02139", "03601-1234", float("nan")],
            "level": ["F32.1", "-1.5", "n/a"],
        },
        missing=["IN?", "N/A"],
    )
    assert result == {
        "service": ["ER", None, "IN"],
        "born": [1990, 1931, None],
        "month": ["2024-05", "2023-12", None],
        "age": ["30-39", "90+", None],
        "area": ["021", "000", None],
        "level": ["F32.1", "-1.5", None],
    }


def test_year_is_a_small_integer_and_the_rest_text() -> None:
    result = deidentify_table(
        EVERYTHING,
        pd.DataFrame({c: [] for c in ("Service Code", "dob", "seen", "zip", "level")}),
        file="f",
    )
    assert [str(t) for t in result.schema.types] == ["string", "int16"] + ["string"] * 4
    assert result.num_rows == 0


PLANTED = [
    "maria.lopez@example.org",
    "078-05-1120",
    "078 05 1120",
    "078051120",
    "(212) 555-0147",
    "212-555-0147",
    "212.555.0147",
    "+1 212 555 0147",
    "555-0147",
    "1987-03-14",
    "03/14/1987",
    "14.3.87",
    "19870314",
    "03141987",
    "14 March 1987",
    "14Mar1987",
    "Mar 14 1987",
    "seen 1987-03-14",
    "12 Main St",
    "client says he feels better",
    "Lopez, Maria",
    "O'Neill",
    "<script>",
    "=1+1",
    "Muñoz",
    "a\nb",
    "x" * 65,
]


@pytest.mark.parametrize("cell", PLANTED)
def test_planted_identifiers_and_free_text_are_refused_without_being_quoted(cell: str) -> None:
    error = problems(table({"name": "note"}), {"note": ["ok", cell]})
    assert [(p.row, p.field) for p in error.problems] == [(2, "note")]
    assert cell not in str(error)


@pytest.mark.parametrize(
    "cell",
    ["F32.1", "ER", "shelter_night", "Black/African", "18-24", "2024-05", "Z59.0", "+5", "<18",
     "65+", "99213", "1234567", "0.123456789012", "Level 3 (acute)", "B"],
)  # fmt: skip
def test_ordinary_codes_pass(cell: str) -> None:
    assert code_fault(cell) is None


def test_a_listed_code_may_be_anything_the_partners_signed() -> None:
    content = table({"name": "race", "values": ["Black or African American", "Two or more races"]})
    assert run(content, {"race": ["Two or more races"]}) == {"race": ["Two or more races"]}
    error = problems(content, {"race": ["two or more races"]})
    assert "not one of the 2 codes" in error.problems[0].message


def test_a_record_number_in_disguise_is_refused() -> None:
    numbers = [f"K{i:05d}" for i in range(200)]
    error = problems(table({"name": "code"}), {"code": numbers})
    assert [(p.row, p.field) for p in error.problems] == [(0, "code")]
    assert run(table({"name": "code"}, kind="site"), {"code": numbers})["code"] == numbers
    amounts = [f"{i}.25" for i in range(200)]
    assert run(table({"name": "code"}), {"code": amounts})["code"] == amounts


def test_all_problems_at_once_in_order_of_row() -> None:
    error = problems(
        EVERYTHING,
        {
            "Service Code": ["XX", "ER"],
            "dob": ["1990-03-04", "01/02/2024"],
            "seen": ["May 2024", "2024-05-06"],
            "zip": ["2139", "02139"],
            "level": ["ok", "a@b.c"],
        },
    )
    assert [(p.row, p.field) for p in error.problems] == [
        (1, "Service Code"),
        (1, "dob"),
        (1, "seen"),
        (1, "dob"),
        (1, "zip"),
        (2, "dob"),
        (2, "level"),
    ]
    assert error.total == 7


def test_the_list_of_problems_is_bounded_but_the_total_is_true() -> None:
    error = problems(table({"name": "note"}), {"note": ["a@b.c"] * 5000})
    assert len(error.problems) == 1000
    assert error.total == 5000
    assert error.problems[-1].row == 1000


def test_missing_columns_are_all_named_with_the_likely_one() -> None:
    error = problems(EVERYTHING, {"service code": [], "DOB": [], "seen": [], "zip": []})
    assert [p.field for p in error.problems] == ["Service Code", "dob", "level"]
    assert "'service code' for 'Service Code'" in str(error)
    assert "'DOB' for 'dob'" in str(error)


def test_a_column_that_stands_twice_is_refused() -> None:
    frame = pd.DataFrame([["a", "b"]], columns=["note", "note"])
    with pytest.raises(SourceError, match="more than once"):
        deidentify_table(table({"name": "note"}), frame, file="f")


def test_an_agreement_that_cannot_work_is_refused_before_it_is_signed() -> None:
    with pytest.raises(ValidationError, match="needs"):
        table({"name": "when", "transform": "month", "date_format": "%Y"})


@pytest.mark.parametrize(
    ("born", "band"),
    [
        ("2024-01-01", "0-9"),
        ("2014-01-02", "0-9"),
        ("2014-01-01", "10-19"),
        ("1934-01-02", "80-89"),
        ("1934-01-01", "90+"),
        ("1904-02-29", "90+"),
    ],
)
def test_age_bands_at_their_edges(born: str, band: str) -> None:
    assert age_band(date.fromisoformat(born), date(2024, 1, 1)) == band


def test_five_year_bands() -> None:
    assert age_band(date(1990, 6, 1), date(2024, 1, 1), years=5) == "30-34"


@pytest.mark.parametrize("born", ["01/02/2024", "01/01/1890", "01/01/1700", "02/30/1990"])
def test_impossible_birth_dates_are_problems(born: str) -> None:
    content = table(
        {"name": "age", "transform": "age_band", "date_format": "%m/%d/%Y",
         "reference": "2024-01-01"}
    )  # fmt: skip
    assert problems(content, {"age": [born]}).total == 1


def test_a_parcel_does_not_keep_the_order_of_the_file() -> None:
    rows = deidentify_table(
        table({"name": "code"}), pd.DataFrame({"code": ["a", "b", "c"]}), file="f"
    )
    ids = np.array([[3] * 16, [1] * 16, [1] * 16], np.uint8)
    parcel = attach_index_ids(rows, ids)
    assert parcel["code"].to_pylist() == ["b", "c", "a"]
    assert parcel["index_id"].to_pylist() == [b"\1" * 16, b"\1" * 16, b"\3" * 16]
    with pytest.raises(InvalidRequestError, match="2 index ids for 3 rows"):
        attach_index_ids(rows, draw_ids(2))


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("month", ["2024-05-06"]),
        ("age", ["33"]),
        ("area", ["036"]),
        ("area", ["02139"]),
        ("service", ["XX"]),
        ("level", ["maria@example.org"]),
        ("born", [3]),
    ],
)
def test_the_assembler_refuses_what_an_honest_agent_cannot_send(
    name: str, cells: list[Any]
) -> None:
    good: dict[str, list[Any]] = {
        "service": ["ER"], "born": [1990], "month": ["2024-05"], "age": ["30-39"],
        "area": ["021"], "level": ["x"],
    }  # fmt: skip

    def parcel(columns: dict[str, list[Any]]) -> pa.Table:
        types = {"born": pa.int16()}
        rows = pa.table({k: pa.array(v, types.get(k, pa.string())) for k, v in columns.items()})
        return attach_index_ids(rows, draw_ids(1))

    check_deidentified(EVERYTHING, parcel(good), source="s")
    with pytest.raises(InvalidRequestError, match=f"column '{name}'") as caught:
        check_deidentified(EVERYTHING, parcel({**good, name: cells}), source="s")
    assert str(cells[0]) not in str(caught.value)
    with pytest.raises(InvalidRequestError, match="not the ones the partners agreed"):
        check_deidentified(EVERYTHING, parcel({**good, "extra": ["x"]}), source="s")


COARSE = table(
    {"name": "kind", "transform": "generalise", "mapping": {"ER visit": "ACUTE", "IN": "ACUTE"}},
    {"name": "cost", "transform": "band", "edges": [0, 1, 100, 5000]},
    {"name": "age", "transform": "top_code", "top": 90},
    {"name": "tract", "transform": "tract"},
    {"name": "county", "column": "tract", "transform": "county"},
)


def test_coarser_codes_bands_and_areas() -> None:
    result = run(
        COARSE,
        {
            "kind": ["er  VISIT", "IN", None, "IN", "IN"],
            "cost": ["-3", "0.5", "99.99", "100", "5000"],
            "age": ["89", "90", "104", "007", ""],
            "tract": ["17031010202", "170310102021", "170310102021003", None, "01001020100"],
        },
    )
    assert result == {
        "kind": ["ACUTE", "ACUTE", None, "ACUTE", "ACUTE"],
        "cost": ["<0", "0", "1-99", "100-4999", "5000+"],
        "age": ["89", "90+", "90+", "7", None],
        "tract": ["17031010202", "17031010202", "17031010202", None, "01001020100"],
        "county": ["17031", "17031", "17031", None, "01001"],
    }
    coarse = pa.table(result)
    parcel = attach_index_ids(coarse, draw_ids(5))
    check_deidentified(COARSE, parcel, source="s")
    for column, wrong in (
        ("kind", "ER visit"), ("cost", "17"), ("age", "91"), ("tract", "170310102021"),
        ("county", "1703"),
    ):  # fmt: skip
        place = parcel.column_names.index(column)
        changed = parcel.set_column(place, column, pa.array([wrong] * 5))
        with pytest.raises(InvalidRequestError, match=f"column '{column}': a cell is"):
            check_deidentified(COARSE, changed, source="s")


def test_what_cannot_be_coarsened_is_refused() -> None:
    cells = {"kind": ["OUT"], "cost": ["much"], "age": ["9.5"], "tract": ["1001020100"]}
    error = problems(COARSE, cells)
    assert [p.field for p in error.problems] == ["kind", "cost", "age", "tract", "tract"]
