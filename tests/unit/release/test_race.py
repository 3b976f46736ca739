from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.agreement import ContentTable
from linkage.errors import InvalidRequestError, SourceError
from linkage.release.deidentify import check_deidentified, deidentify_table, parcel_schema
from linkage.release.race import (
    CATEGORIES,
    Answer,
    Collection,
    Completeness,
    Standard,
    comparable,
    compare,
    completeness,
    read,
    to_1997,
    to_2024,
)
from linkage.synthetic.people import RACE_CODES


def old(text: str, by: Collection = Collection.SELF) -> Answer:
    return read(text, Standard.OMB_1997, by)


def new(text: str, by: Collection = Collection.SELF) -> Answer:
    return read(text, Standard.OMB_2024, by)


def test_the_seven_categories_are_those_of_the_county() -> None:
    assert CATEGORIES[Standard.OMB_2024] == set(RACE_CODES.values())


@pytest.mark.parametrize(
    ("before", "after", "not_asked"),
    [
        ("HISP|WHITE", "HISP|WHITE", {"MENA"}),
        ("HISP", "HISP", {"MENA"}),
        ("NOT_HISP|BLACK|ASIAN", "ASIAN|BLACK", {"MENA"}),
        ("WHITE", "WHITE", {"MENA", "HISP"}),
        ("NOT_HISP", "UNKNOWN", {"MENA"}),
        ("UNKNOWN", "UNKNOWN", {"MENA"}),
        ("DECLINED", "DECLINED", {"MENA"}),
        ("", "UNKNOWN", {"MENA"}),
    ],
)
def test_from_1997_to_2024(before: str, after: str, not_asked: set[str]) -> None:
    found = to_2024(old(before, Collection.OBSERVER))
    assert str(found) == after
    assert found.not_asked == not_asked
    assert found.collection is Collection.OBSERVER
    assert to_2024(found) is found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("MENA", "WHITE"),
        ("MENA|WHITE|BLACK", "BLACK|WHITE"),
        ("HISP|MENA", "HISP|WHITE"),
        ("HISP", "HISP"),
        ("BLACK", "BLACK"),
        ("DECLINED", "DECLINED"),
    ],
)
def test_from_2024_to_1997(before: str, after: str) -> None:
    assert str(to_1997(new(before))) == after


def test_what_would_be_invented_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="no category of 2024"):
        to_2024(old("NOT_HISP|OTHER"))


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ("MENA", Standard.OMB_1997),
        ("NOT_HISP", Standard.OMB_2024),
        ("WHITE|DECLINED", Standard.OMB_2024),
        ("HISP|NOT_HISP", Standard.OMB_1997),
        ("Maria", Standard.OMB_2024),
    ],
)
def test_what_is_no_answer_is_refused_without_being_quoted(text: str, standard: Standard) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(text, standard, Collection.SELF)
    assert "Maria" not in str(caught.value)


old_answers = st.sets(st.sampled_from(sorted(CATEGORIES[Standard.OMB_1997])), min_size=1).filter(
    lambda codes: not {"HISP", "NOT_HISP"} <= codes and "OTHER" not in codes
)
new_answers = st.sets(st.sampled_from(sorted(CATEGORIES[Standard.OMB_2024])), min_size=1)


@given(old_answers)
def test_there_and_back_nothing_is_added(codes: set[str]) -> None:
    said = old("|".join(codes))
    there = to_2024(said)
    assert "MENA" not in there.codes
    assert to_1997(there).categories == said.categories


@given(new_answers)
def test_no_way_back_says_more_than_was_said(codes: set[str]) -> None:
    said = new("|".join(codes))
    back = to_2024(to_1997(said))
    assert back.categories <= said.categories | {"WHITE"}
    assert back.categories == said.categories or "MENA" in said.codes


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (new("MENA"), new("WHITE"), ({"MENA"}, {"WHITE"})),
        (new("MENA"), old("NOT_HISP|WHITE"), ({"WHITE"}, {"WHITE"})),
        (new("MENA"), to_2024(old("NOT_HISP|WHITE")), ({"WHITE"}, {"WHITE"})),
        (new("HISP|BLACK"), old("BLACK"), ({"BLACK"}, {"BLACK"})),
        (new("HISP"), old("HISP|WHITE"), ({"HISP"}, {"HISP", "WHITE"})),
        (new("HISP"), old("WHITE"), None),
        (new("DECLINED"), new("WHITE"), None),
    ],
)
def test_answers_are_compared_by_what_both_were_asked(
    one: Answer, other: Answer, found: tuple[set[str], set[str]] | None
) -> None:
    assert comparable(one, other) == found
    assert comparable(other, one) == (found and found[::-1])


def test_figures() -> None:
    health = {"a": new("WHITE"), "b": new("HISP|WHITE"), "c": new("DECLINED"), "d": new("ASIAN")}
    police = {
        "a": old("NOT_HISP|WHITE", Collection.OBSERVER),
        "b": old("WHITE", Collection.OBSERVER),
        "c": old("NOT_HISP|BLACK", Collection.OBSERVER),
        "d": old("NOT_HISP|BLACK", Collection.OBSERVER),
        "e": old(""),
    }
    assert completeness(police.values()) == Completeness(5, 4, 0, 0, 1, {Collection.OBSERVER: 4})
    found = compare(health, police)
    assert (found.people, found.same, found.overlapping, found.different) == (3, 2, 0, 1)
    assert found.said == {("WHITE", "WHITE"): 2, ("ASIAN", "BLACK"): 1}


# -- the block in a table --------------------------------------------------------------------------

BLOCK = {
    "race_ethnicity": ("WHITE", "MENA", "HISP|WHITE", "NOT_HISP", "UNKNOWN", "DECLINED|WHITE"),
    "race_ethnicity_standard": ("1997", "2024", "2030"),
    "race_ethnicity_collection": ("self", "observer", "guess"),
}


def people(terms: dict[str, tuple[str, ...]]) -> ContentTable:
    fields = [{"name": f"x{n}", "means": t, "values": v} for n, (t, v) in enumerate(terms.items())]
    return ContentTable.model_validate({"name": "person", "kind": "person", "fields": fields})


def test_a_row_is_an_answer_by_the_standard_beside_it() -> None:
    rows = [
        ("WHITE", "1997", "observer"),
        ("MENA", "2024", "self"),
        (None, None, None),
        (None, "2024", "observer"),
        ("MENA", "1997", "self"),
        ("NOT_HISP", "2024", "self"),
        ("DECLINED|WHITE", "2024", "self"),
        ("WHITE", None, "self"),
        ("WHITE", "2030", "self"),
        ("WHITE", "2024", "guess"),
        ("HISP|WHITE", "1997", None),
        ("MENA", "1997", "self"),
    ]
    columns = {f"x{n}": list(cells) for n, cells in enumerate(zip(*rows, strict=True))}
    frame = pd.DataFrame(columns, dtype=object)
    with pytest.raises(SourceError) as caught:
        deidentify_table(people(BLOCK), frame, file="people.csv")
    found = [(p.row, p.message) for p in caught.value.problems]
    assert [row for row, _ in found] == [5, 6, 7, 8, 9, 10, 12]
    assert {p.field for p in caught.value.problems} == {"x0"}
    assert found[0][1].startswith("is no answer by the standard of 1997")
    assert "MENA" not in found[0][1]
    assert found[3][1] == "stands beside a standard that is none of 1997, 2024"
    assert "way of collection that is none of self, observer" in found[5][1]
    good = frame.drop([4, 5, 6, 7, 8, 9, 11]).reset_index(drop=True)
    clean = deidentify_table(people(BLOCK), good, file="people.csv")
    assert clean.num_rows == 5
    # A list of its own, where no standard is said.
    own = {"race_ethnicity": ("Black or African American", "DECLINED|WHITE")}
    cells = {"x0": ["Black or African American", "DECLINED|WHITE"]}
    assert deidentify_table(people(own), pd.DataFrame(cells), file="f").num_rows == 2


def test_several_of_the_listed_categories_may_stand_together() -> None:
    listed = (*sorted(CATEGORIES[Standard.OMB_2024]), "UNKNOWN", "DECLINED")
    table = people({"race_ethnicity": listed, "sex": ("F", "M")})
    cells = {"x0": ["WHITE|HISP", "MENA | ASIAN|MENA", "BLACK", None], "x1": ["F", "M", "F", "M"]}
    clean = deidentify_table(table, pd.DataFrame(cells, dtype=object), file="f")
    assert clean["x0"].to_pylist() == ["HISP|WHITE", "ASIAN|MENA", "BLACK", None]
    for place, wrong in (("x0", "WHITE|Maria"), ("x0", "WHITE|"), ("x0", "|"), ("x1", "F|M")):
        with pytest.raises(SourceError, match="is not one of the") as caught:
            deidentify_table(table, pd.DataFrame({**cells, place: [wrong] * 4}), file="f")
        assert "Maria" not in str(caught.value)


def test_the_assembler_looks_again() -> None:
    table = people(BLOCK)
    ids = pa.array([b"0" * 16] * 2, pa.binary(16))
    columns = {"x0": ["WHITE", "MENA"], "x1": ["1997", "1997"], "x2": ["self", "self"]}
    parcel = pa.table({"index_id": ids, **columns})
    parcel = parcel.cast(parcel_schema(table))
    with pytest.raises(InvalidRequestError, match="column 'x0': a cell is no answer by the stand"):
        check_deidentified(table, parcel, source="table 'person'")
    check_deidentified(table, parcel.slice(0, 1), source="table 'person'")
