from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkage.agent.cells import MAX_CELL
from linkage.agent.source import BATCH_ROWS, SourceFile
from linkage.errors import SourceError

MARKER = "Zqmarker17"
Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(data: bytes) -> Path:
        path = tmp_path / "jail.csv"
        path.write_bytes(data)
        return path

    return writer


def read(path: Path, *columns: str) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {name: [] for name in columns or ("a", "b")}
    for batch in SourceFile(path).batches(list(found)):
        for name, cells in batch.items():
            found[name] += cells
    return found


def refused(path: Path, *columns: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read(path, *columns)
    assert path.name in str(caught.value)
    assert caught.value.remedy, "no remedy"
    assert MARKER not in str(caught.value)
    assert MARKER.lower() not in str(caught.value).lower()
    return caught.value


@pytest.mark.parametrize(
    ("data", "cells"),
    [
        (b"a,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n3,\r\n", {"a": ["1", "3"], "b": ["2", ""]}),
        (b"a,b\r1,2\r", {"a": ["1"], "b": ["2"]}),
        (b'b,x,a\n"y, z",0,"say ""hi"""\n', {"a": ['say "hi"'], "b": ["y, z"]}),
        ("a,b\n김,é\n".encode(), {"a": ["김"], "b": ["é"]}),
        (b"a,b\n007,NA\n", {"a": ["007"], "b": ["NA"]}),
        ("a,b,odd\u2028name\n1,2,3\n".encode(), {"a": ["1"], "b": ["2"]}),
        (b"a,b\n1,2", {"a": ["1"], "b": ["2"]}),
        (b"a,b\n\n1,2\n\n", {"a": ["1"], "b": ["2"]}),
    ],
)
def test_csv_that_is_read(write: Write, data: bytes, cells: dict[str, list[str]]) -> None:
    assert read(write(data)) == cells


@pytest.mark.parametrize(
    ("data", "row", "field", "message"),
    [
        (b"", 0, "", "the file is empty"),
        (b"a,b\n", 0, "", "a header but no rows"),
        (b"a,b", 0, "", "a header but no rows"),
        (b"\na,b\n1,2\n", 0, "", "the first line is empty"),
        (b"a,b,b\n1,2,3\n", 0, "b", "names this column twice"),
        (b"a,b,\n1,2,3\n", 0, "", "no name for column 3"),
        (b'a,"b\nc"\n1,2\n', 0, "", "column 2 holds a line break"),
        (f"a,b\n1,{MARKER}é\n".encode("latin-1"), 1, "b", "not UTF-8"),
        (f"a,b\n1,{MARKER}\n".encode("utf-16"), 0, "", "not UTF-8"),
        (f"a,b\n1,{MARKER}\n".encode("utf-16-le"), 0, "", "not UTF-8"),
        (f"a,b\n1,2\n{MARKER}\n".encode(), 2, "", "does not have 2 cells"),
        (f"a,b\n1,2\n1,2,{MARKER}\n".encode(), 2, "", "does not have 2 cells"),
        (f'a,b\n1,2\n1,"{MARKER}\n1,2\n'.encode(), 2, "b", "a quote may be missing"),
        (f"a,b\n1,{MARKER}\0\n".encode(), 1, "b", "a NUL"),
        (b"a,b\n1,2\n1," + MARKER.encode() * 100_000 + b"\n", 2, "b", "longer than 10000"),
    ],
)
def test_csv_that_is_refused(write: Write, data: bytes, row: int, field: str, message: str) -> None:
    problem = refused(write(data)).problems[0]
    assert (problem.row, problem.field) == (row, field)
    assert message in problem.message


def test_a_byte_that_is_not_utf8_far_into_the_file(write: Write) -> None:
    rows = b"12345678,12345678901234567\n" * 69_999
    error = refused(write(b"a,b\n" + rows + b"1,caf\xe9\n" + b"1,2\n" * 9))
    assert error.problems[0].row == 70_000


def test_all_faulty_cells_of_a_file_are_named_at_once(write: Write) -> None:
    row = b"12345678,12345678901234567\n"
    lines = [row] * 400_000
    wrong = {3: b"1,caf\xe9\n", 70_000: b'"1\n",2\n', 399_999: b"1," + b"x" * 10_001 + b"\n"}
    for place, line in wrong.items():
        lines[place - 1] = line
    error = refused(write(b"a,b\n" + b"".join(lines)))
    assert [(p.row, p.field) for p in error.problems] == [(3, "b"), (70_000, "a"), (399_999, "b")]


def test_a_fault_costs_its_cell_and_not_the_row(write: Write) -> None:
    source = SourceFile(write(b"a,b\n1,2\n3,caf\xe9\n5,6\n"))
    (rows,) = source.read(["b", "a"])
    assert (rows.first, rows.count) == (0, 3)
    assert rows.cells == {"a": ["1", "3", "5"], "b": ["2", None, "6"]}
    (fault,) = rows.faults
    assert (fault.column, fault.rows.tolist()) == ("b", [1])


def test_more_faulty_cells_than_are_kept_are_counted(write: Write) -> None:
    error = refused(write(b"a,b\n" + b"\xff,\xff\n" * 3000))
    assert (len(error.problems), error.total) == (1000, 6000)


def test_all_rows_with_too_many_or_too_few_cells_are_named(write: Write) -> None:
    lines = [b"1,2\n"] * 200_000
    lines[9], lines[150_000] = b"1\n", b"1,2,3\n"
    error = refused(write(b"a,b\n" + b"".join(lines)))
    assert [p.row for p in error.problems] == [10, 150_001]


def test_a_cell_of_the_longest_allowed_length(write: Write) -> None:
    assert read(write(b"a,b\n1," + b"x" * MAX_CELL + b"\n"))["b"] == ["x" * MAX_CELL]


@pytest.mark.parametrize(
    ("header", "wanted", "closest"),
    [
        ("surnam,dob", ["surname", "dob"], "'surnam'"),
        ("SURNAME,DOB", ["surname", "dob"], "'SURNAME'"),
        ("Sur Name,Date", ["surname", "dob"], "'Sur Name'"),
    ],
)
def test_a_missing_column_names_the_closest(
    write: Write, header: str, wanted: list[str], closest: str
) -> None:
    error = refused(write(f"{header}\n1,2\n".encode()), *wanted)
    assert error.problems[0].field == "surname"
    assert closest in error.problems[0].message


def test_a_file_without_a_header_is_not_quoted(write: Write) -> None:
    error = refused(write(f"{MARKER},surnane,1980\n".encode()), "surname", MARKER[:-1] + "8")
    assert "surnane" not in str(error)
    assert "The first line must name the columns" in str(error)


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_another_separator_is_recognised(write: Write, mark: str) -> None:
    error = refused(write(f"a{mark}b\n1{mark}2\n".encode()))
    assert "no comma" in str(error.remedy)


def test_a_directory_a_missing_and_an_unreadable_file(tmp_path: Path, write: Write) -> None:
    assert "not a file" in str(refused(tmp_path))
    assert "No such file" in str(refused(tmp_path / "gone.csv"))
    path = write(b"a,b\n1,2\n")
    path.chmod(0)
    if not os.access(path, os.R_OK):  # root reads everything
        assert "cannot be read" in str(refused(path))


@pytest.mark.parametrize("longer", [True, False])
def test_a_file_that_changes_while_it_is_read(write: Write, longer: bool) -> None:
    row = b"12345678,12345678901234567\n"
    path = write(b"a,b\n" + row * 400_000)
    batches = SourceFile(path).batches(["a"])
    next(batches)
    path.write_bytes(b"a,b\n" + row * (500_000 if longer else 300_000))
    with pytest.raises(SourceError, match="changed while it was read") as caught:
        list(batches)
    assert caught.value.remedy


def test_a_file_replaced_by_another_of_the_same_size(write: Write, tmp_path: Path) -> None:
    path = write(b"a,b\n1,2\n")
    source = SourceFile(path)
    other = tmp_path / "other"
    other.write_bytes(b"a,b\n3,4\n")
    other.replace(path)
    with pytest.raises(SourceError, match="changed"):
        list(source.batches(["a"]))


def parquet(tmp_path: Path, **columns: Any) -> Path:
    path = tmp_path / "jail.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        (["x", None], ["x", None]),
        ([7, None], ["7", None]),
        (pa.array([7.0, None, float("nan")]), ["7", None, None]),
        (pa.array([1.0, 2.0], pa.float32()), ["1", "2"]),
        ([date(1980, 1, 31)], ["1980-01-31"]),
        ([datetime(1980, 1, 31, 5)], ["1980-01-31"]),
        (pa.array([date(1980, 1, 31)], pa.date64()), ["1980-01-31"]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
        ([True], ["true"]),
        (pa.array(["x"], pa.large_string()), ["x"]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_parquet_types(tmp_path: Path, column: Any, cells: list[str | None]) -> None:
    assert read(parquet(tmp_path, a=column), "a") == {"a": cells}


@pytest.mark.parametrize(
    ("column", "row", "message"),
    [
        ([7.0, 7.5], 2, "is a fraction"),
        ([float("inf")], 1, "is a fraction"),
        ([1e300], 1, "is a fraction"),
        ([[1]], 0, "cannot be read as text"),
        ([b"x"], 0, "cannot be read as text"),
        ([Decimal("1.5")], 0, "cannot be read as text"),
        (["x" * (MAX_CELL + 1)], 1, "longer than"),
    ],
)
def test_parquet_cells_that_are_refused(
    tmp_path: Path, column: Any, row: int, message: str
) -> None:
    problem = refused(parquet(tmp_path, a=column), "a").problems[0]
    assert (problem.row, problem.field) == (row, "a")
    assert message in problem.message


def test_parquet_text_that_is_not_utf8(tmp_path: Path) -> None:
    raw = pa.array([b"x", b"caf\xe9"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    assert "not UTF-8" in str(refused(parquet(tmp_path, a=broken), "a"))


def test_parquet_rows_are_counted_across_batches(tmp_path: Path) -> None:
    values = [1.0] * (BATCH_ROWS + 5)
    values[BATCH_ROWS + 2] = 0.5
    assert refused(parquet(tmp_path, a=values), "a").problems[0].row == BATCH_ROWS + 3


@pytest.mark.parametrize("cut", [10, 2_000, -9, -1])
def test_a_truncated_parquet_file(tmp_path: Path, cut: int) -> None:
    path = parquet(tmp_path, a=[f"{MARKER}{n}" for n in range(5000)])
    path.write_bytes(path.read_bytes()[:cut])
    assert "damaged" in str(refused(path, "a"))


def test_a_parquet_file_with_damaged_pages(tmp_path: Path) -> None:
    path = parquet(tmp_path, a=[f"{MARKER}{n}" for n in range(5000)])
    data = bytearray(path.read_bytes())
    data[4:4000] = bytes(3996)
    path.write_bytes(data)
    assert "damaged" in str(refused(path, "a"))


def test_a_parquet_file_whose_column_names_are_damaged(tmp_path: Path) -> None:
    """Not UTF-8 in the part that is read for every column's path alone."""
    path = tmp_path / "people.parquet"
    pq.write_table(pa.table({"zebra": ["1"]}), path, store_schema=False)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"zebra", b"z\xff\xfera"))
    with pytest.raises(SourceError, match="damaged"):
        SourceFile(path)


def test_an_empty_parquet_file(tmp_path: Path) -> None:
    assert "no rows" in str(refused(parquet(tmp_path, a=pa.array([], pa.string())), "a"))
