from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from linkage.agent.dedupe.review import (
    HEAD,
    TAIL,
    label,
    labels,
    order_of,
    read_cells,
    read_review,
    sizes,
    write_review,
)
from linkage.agent.dedupe.search import Figures, Found
from linkage.errors import SourceError
from tests.unit.agent.dedupe.conftest import MakeTable

DIGEST = "ab" * 32
FIGURES = Figures(6, 4, 3, (), "ecm", "", (0, 0, 0, 0, 0, 0, 3), 0.99, 0.98)
FOUND = Found(
    group=np.array([0, 1, -1, 0, 1, 1]),
    weakest=np.array([0.95, 0.8125]),
    strongest=np.array([0.95, 0.9, 0.0, 0.95, 0.9, 0.8125]),
    apart={1: (-1, 0)},
    figures=FIGURES,
)
CELLS = {row: (f"id{row}", f"name{row}", None) for row in range(6)}
Lines = list[list[str]]


def sheet() -> Lines:
    data = write_review(FOUND, ["id", "name", "dob"], CELLS, DIGEST)
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def text(lines: Lines, **style: str) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, **style).writerows(lines)  # type: ignore[arg-type]
    return out.getvalue().encode()


def read(lines: Lines) -> list[int]:
    return read_review(text(lines), "review.csv", DIGEST, 6).tolist()


def refused(lines: Lines) -> list[tuple[int, str, str]]:
    with pytest.raises(SourceError) as caught:
        read(lines)
    return [(p.row, p.field, p.message) for p in caught.value.problems]


def test_doubtful_groups_come_first() -> None:
    lines = sheet()
    assert lines[0] == [*HEAD, "id", "name", "dob", *TAIL]
    assert [line[:5] for line in lines[1:]] == [
        ["g000002", "2", "yes", "0.8125", "0.9000"],
        ["g000002", "5", "yes", "0.8125", "0.9000"],
        ["g000002", "6", "yes", "0.8125", "0.8125"],
        ["g000001", "1", "yes", "0.9500", "0.9500"],
        ["g000001", "4", "yes", "0.9500", "0.9500"],
    ]
    assert lines[1][5] == (
        "kept apart from a row of its own, g000001: records contradict each other"
    )
    assert lines[4][5:9] == ["", "id0", "name0", ""]
    assert order_of(FOUND).tolist() == [1, 4, 5, 0, 3]


def test_what_is_left_alone_is_what_was_found() -> None:
    assert read(sheet()) == FOUND.group.tolist()


def test_a_row_is_taken_out_of_its_group() -> None:
    lines = sheet()
    lines[3][2] = " No "
    assert read(lines) == [0, 1, -1, 0, 1, -1]


def test_a_group_of_one_is_none() -> None:
    lines = sheet()
    lines[4][2] = "n"
    assert read(lines) == [-1, 1, -1, -1, 1, 1]


def test_a_spreadsheet_may_sort_reorder_and_add() -> None:
    lines = sheet()
    lines[2][2] = "NO"
    told = [[*line[::-1], "a note of ours"] for line in [lines[0], *lines[:0:-1]]]
    assert read([*told, [""] * len(told[0])]) == [0, 1, -1, 0, -1, 1]


def test_semicolons_and_another_encoding() -> None:
    lines = sheet()
    lines[1][7] = "Muñoz"
    data = text(lines, delimiter=";").decode().encode("cp1252")
    assert read_review(data, "review.csv", DIGEST, 6).tolist() == FOUND.group.tolist()


Change = Callable[[Lines], object]


def without(lines: Lines, place: int) -> None:
    del lines[place]


def put(lines: Lines, row: int, column: str, value: str) -> None:
    lines[row][lines[0].index(column)] = value


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: put(s, 2, "keep", "maybe"), (2, "keep", "yes or no")),
        (lambda s: put(s, 2, "keep", ""), (2, "keep", "yes or no")),
        (lambda s: put(s, 2, "group", "g000001"), (2, "", "damaged")),
        (lambda s: put(s, 2, "row", "3"), (2, "", "damaged")),
        (lambda s: put(s, 2, "review_line", "1 of 5"), (2, "", "damaged")),
        (lambda s: put(s, 2, "review_check", ""), (2, "", "damaged")),
        (lambda s: put(s, 2, "review_file", ""), (2, "", "another file")),
        (lambda s: s.append(s[1]), (6, "", "stands twice")),
        (lambda s: without(s, 5), (0, "", "1 lines are missing")),
        (lambda s: s[2].pop(), (2, "", "does not have 12 cells")),
        (lambda s: without(s[0], 0), (0, "", "column is missing")),
        (lambda s: s.clear(), (0, "", "empty")),
        (lambda s: s.__delitem__(slice(1, None)), (0, "", "no line is left")),
    ],
)
def test_a_damaged_review_is_refused(change: Change, expected: tuple[int, str, str]) -> None:
    lines = sheet()
    change(lines)
    ((row, field, message),) = refused(lines)
    assert row == expected[0]
    assert field == (expected[1] or ("group" if "column" in message else ""))
    assert expected[2] in message


def test_all_damage_is_told_at_once_and_no_cell_of_it() -> None:
    lines = sheet()
    for row in (1, 3, 4):
        put(lines, row, "keep", "Zqmarker17")
    with pytest.raises(SourceError) as caught:
        read(lines)
    assert [p.row for p in caught.value.problems] == [1, 3, 4]
    assert "Zqmarker17" not in str(caught.value)


def test_a_quote_that_is_missing() -> None:
    data = text(sheet()[:2]) + b'g000002,"5'
    with pytest.raises(SourceError, match="quote"):
        read_review(data, "review.csv", DIGEST, 6)


def test_a_review_of_another_file_is_refused_as_a_whole() -> None:
    with pytest.raises(SourceError) as caught:
        read_review(text(sheet()), "review.csv", "cd" * 32, 6)
    (problem,) = caught.value.problems
    assert problem.row == 0
    assert "another file" in problem.message


def test_nothing_reads_like_a_formula() -> None:
    cells = dict(CELLS) | {0: ("=1+1", "+1 402", "@x"), 3: ("-7", "a=b", "\tx")}
    data = write_review(FOUND, ["id", "name", "dob"], cells, DIGEST)
    lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert lines[4][6:9] == ["'=1+1", "'+1 402", "'@x"]
    assert lines[5][6:9] == ["'-7", "a=b", "'\tx"]


def test_columns_of_the_file_that_are_named_as_the_review_s_own() -> None:
    data = write_review(FOUND, ["row", "keep", "dob"], CELLS, DIGEST)
    assert read_review(data, "review.csv", DIGEST, 6).tolist() == FOUND.group.tolist()
    assert "row_" in data.decode().splitlines()[0].split(",")


def test_no_groups_no_lines() -> None:
    nobody = replace(FOUND, group=np.full(6, -1), weakest=np.empty(0), apart={})
    data = write_review(nobody, ["id"], {}, DIGEST)
    assert len(data.decode().splitlines()) == 1


def test_labels() -> None:
    assert label(0) == "g000001"
    assert labels(FOUND.group) == ["g000001", "g000002", "", "g000001", "g000002", "g000002"]
    assert sizes(FOUND.group) == [2, 3]
    assert sizes(np.array([-1, -1])) == []


def test_cells_of_chosen_rows(make_table: MakeTable) -> None:
    table = make_table([(f"given {n}", f"surname {n}") for n in range(5)])
    columns, cells = read_cells(table, [4, 1])
    assert columns[:2] == ["given", "surname"]
    assert {row: found[:2] for row, found in cells.items()} == {
        1: ["given 1", "surname 1"],
        4: ["given 4", "surname 4"],
    }
