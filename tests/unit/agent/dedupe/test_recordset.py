from __future__ import annotations

import pytest

from linkage.agent.dedupe import recordset
from linkage.errors import LimitError
from tests.unit.agent.dedupe.conftest import MakeRecords

SURNAMES = [f"{a}{b}son" for a in "bcdfghjklm" for b in "aeiou"]


def texts(records: recordset.RecordSet, field: str) -> list[str | None]:
    """The field's values in the order of the file's rows."""
    column = next(c for c in records.columns if c.field.name == field)
    values = [None if code < 0 else column.texts[code] for code in column.codes]
    return [values[record] for record in records.record]


def test_rows_that_read_alike_are_one_record(make_records: MakeRecords) -> None:
    rows = [
        ("Ann", "O'Brien", "1980-01-02"),
        ("Bob", "Lee", ""),
        (" ANN ", "obrien", "1980-01-02"),
        ("Ann", "O'Brien", "1980-01-03"),
    ]
    records = make_records(rows)
    assert (records.rows, records.records) == (4, 3)
    assert records.record[0] == records.record[2]
    assert len(set(records.record)) == 3
    assert texts(records, "surname") == ["obrien", "lee", "obrien", "obrien"]
    assert texts(records, "dob") == ["1980-01-02", None, "1980-01-02", "1980-01-03"]


def test_records_are_in_the_order_of_their_content(make_records: MakeRecords) -> None:
    rows = [("Ann", "Lee"), ("Ann", "Kay"), ("", "Poe"), ("Bob", "")]
    one, other = make_records(rows), make_records(rows[::-1])
    for a, b in zip(one.columns, other.columns, strict=True):
        assert (a.texts == b.texts).all()
        assert (a.codes == b.codes).all()
    assert (one.record == other.record[::-1]).all()


def test_cells_that_are_no_dates_are_counted(make_records: MakeRecords) -> None:
    records = make_records([("Ann", "Lee", "31.12.1980"), ("Ann", "Lee", "")])
    assert records.unread == {"dob": 1}
    assert records.records == 1


def test_a_number_that_everybody_has_is_not_known(make_records: MakeRecords) -> None:
    rows = [("Ann", name, "1980-01-02", "", "402-555-0100") for name in SURNAMES]
    records = make_records(rows)
    assert texts(records, "phone") == [None] * 50
    # Of a birth date at least the year remains.
    assert texts(records, "dob") == ["1980"] * 50
    told = {(found.field, found.values, found.cells) for found in records.ignored}
    assert told == {("phone", 1, 50), ("dob", 1, 50)}


def test_a_number_that_one_person_has_in_many_rows_is_kept(make_records: MakeRecords) -> None:
    rows = [("Ann", "Lee", "1980-01-02", "", "402-555-0100", f"{n} Elm St") for n in range(50)]
    records = make_records(rows)
    assert texts(records, "phone") == ["4025550100"] * 50
    assert not records.ignored


def test_a_common_value_among_many_others_is_found(make_records: MakeRecords) -> None:
    rows = [
        ("Ann", name, f"{1930 + n}-{month:02}-07")
        for n, name in enumerate(SURNAMES)
        for month in range(1, 13)
    ]
    rows += [("Bob", name, "1900-01-01") for name in SURNAMES]
    records = make_records(rows)
    assert [(found.field, found.values, found.cells) for found in records.ignored] == [
        ("dob", 1, 50)
    ]
    assert texts(records, "dob")[-1] == "1900"
    assert texts(records, "dob")[0] == "1930-01-07"


def test_names_that_read_like_placeholders_are_not_known(make_records: MakeRecords) -> None:
    records = make_records([("UNKNOWN", "Doe"), ("Ann", "Lee"), ("xxxx", "Lee")])
    assert texts(records, "given") == [None, "ann", None]
    assert texts(records, "surname") == [None, "lee", "lee"]


def test_a_field_that_is_missing_everywhere(make_records: MakeRecords) -> None:
    records = make_records([("Ann", ""), ("Bob", "")])
    assert texts(records, "surname") == [None, None]
    assert records.records == 2


def test_too_many_rows_are_refused(
    make_records: MakeRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordset, "MAX_ROWS", 2)
    with pytest.raises(LimitError, match="more than 2 rows"):
        make_records([("Ann", "Lee")] * 3)
