"""Properties of the search for duplicates: the file's order does not matter, its bytes stay."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkage.agent.copying import with_column
from linkage.agent.dedupe.groups import make_groups
from linkage.agent.dedupe.recordset import read_records
from linkage.agent.dedupe.review import read_review, write_review
from linkage.agent.dedupe.search import Found, find_duplicates
from linkage.agent.source import SourceFile
from linkage.agent.table import Table
from linkage.agreement import IdentifierField, Partner
from linkage.errors import SourceError
from linkage.synthetic.county import County
from tests.unit.agent.dedupe.test_review import FIGURES

KINDS = {
    "given": "given_name",
    "surname": "surname",
    "dob": "date_of_birth",
    "ssn": "national_id",
    "zip": "postcode",
}
PEOPLE = st.tuples(
    st.sampled_from(["", "Ann", "Anna", "Bob", "Zoë", "小龍", "UNKNOWN"]),
    st.sampled_from(["", "Lee", "Leigh", "Quist", "Garcia-Lopez", "Lopez", "李"]),
    st.sampled_from(["", "1980-01-02", "1980-02-01", "1991-12-30", "never"]),
    st.sampled_from(["", "123456780", "6780", "987654320"]),
    st.sampled_from(["", "57801", "57802"]),
)


def search(rows: list[tuple[str, ...]], directory: str) -> Found:
    path = Path(directory) / "people.csv"
    text = io.StringIO(newline="")
    csv.writer(text).writerows([tuple(KINDS), *rows])
    path.write_text(text.getvalue(), newline="", encoding="utf-8")
    fields = [IdentifierField(name=name, type=kind) for name, kind in KINDS.items()]
    table = Table(fields, Partner(name="north"), SourceFile(path))
    return find_duplicates(read_records(table, quiet), 0.8, quiet)


def quiet(_step: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def partition(group: list[int]) -> set[frozenset[int]]:
    found: dict[int, set[int]] = {}
    for row, number in enumerate(group):
        if number >= 0:
            found.setdefault(number, set()).add(row)
    return {frozenset(rows) for rows in found.values()}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PEOPLE, min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[str, ...]], random: object) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    with TemporaryDirectory() as directory:
        one = search(rows, directory)
        other = search([rows[place] for place in order], directory)
    told = {frozenset(order[row] for row in rows) for rows in partition(other.group.tolist())}
    assert told == partition(one.group.tolist())
    assert (other.strongest == one.strongest[order]).all()
    assert sorted(other.weakest) == sorted(one.weakest)
    assert all(len(rows) > 1 for rows in told)
    numbers = [number for number in one.group.tolist() if number >= 0]
    assert list(dict.fromkeys(numbers)) == list(range(len(one.weakest)))


def test_the_order_of_rows_does_not_matter_where_weights_are_learned(tmp_path: Path) -> None:
    county = County.make(6000, seed=8).identifiers["sheriff"]
    rows = [
        tuple(row)
        for row in county[["FIRST", "LAST", "DOB", "SSN4", "ZIP"]].itertuples(index=False)
    ]
    rows = [(*row[:2], "-".join((d := row[2].split("/"))[-1:] + d[:2]), *row[3:]) for row in rows]
    order = np.random.default_rng(5).permutation(len(rows))
    one = search(rows, str(tmp_path))
    other = search([rows[place] for place in order], str(tmp_path))
    assert one.figures == other.figures
    assert one.figures.method == "ecm"
    told = {frozenset(int(order[row]) for row in rows) for rows in partition(other.group.tolist())}
    assert told == partition(one.group.tolist())
    assert (other.strongest == one.strongest[order]).all()


LINKS = st.dictionaries(
    st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] < pair[1]),
    st.sampled_from([0.8, 0.9, 0.99]),
    max_size=30,
)


@given(LINKS, st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11))))
def test_no_group_holds_two_that_are_clearly_two(
    links: dict[tuple[int, int], float], apart: set[tuple[int, int]]
) -> None:
    apart -= set(links)
    ends = np.array(list(links), np.int64).reshape(-1, 2)
    found = make_groups(
        12,
        ends[:, 0],
        ends[:, 1],
        np.array(list(links.values()), float),
        lambda a, b: np.array([(x, y) in apart for x, y in zip(a, b, strict=True)], np.bool_),
    )
    group = found.group.tolist()
    assert not [pair for pair in apart if pair[0] < pair[1] and group[pair[0]] == group[pair[1]]]
    for one, other in links:
        if group[one] != group[other]:
            assert group[other] in found.apart[group[one]]
    for number, weakest in found.weakest.items():
        inside = [chance for (one, _), chance in links.items() if group[one] == number]
        assert weakest in inside


CELL = st.text(st.sampled_from('ab",\n\r ;é'), max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
)
def test_a_written_csv_file_keeps_its_cells(
    rows: list[list[str]], end: str, quoting: int, closed: bool
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=quoting).writerows([["x", "y"], *rows])  # type: ignore[arg-type]
    data = text.getvalue()
    check(data if closed else data.removesuffix(end))


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from('ab",\n\r'), max_size=40))
def test_any_text_that_is_read_as_csv_keeps_its_cells(text: str) -> None:
    check("x,y\n" + text)


def check(data: str) -> None:
    """The copy has the same cells and the new ones, by the reader that reads partners' files."""
    try:
        old = arrow(data.encode())
    except ValueError:
        return
    labels = [f"g{row}" for row in range(old.num_rows)]
    with TemporaryDirectory() as directory:
        path = Path(directory) / "file.csv"
        path.write_bytes(data.encode())
        try:
            made = b"".join(with_column(SourceFile(path), "group", labels, quiet))
        except SourceError as error:
            # Arrow takes the end of the file for a closing quote: another line is no row either.
            assert "a quote is not closed" in error.message
            assert arrow(f"{data}\nz,z".encode()).num_rows == old.num_rows
            return
    new = arrow(made)
    assert new.drop_columns("group").equals(old)
    assert new["group"].to_pylist() == labels
    # What was put in is all that is new.
    assert len(made) == len(data.encode()) + len(",group") + sum(len(x) + 1 for x in labels)


def arrow(data: bytes) -> pa.Table:
    """As `SourceFile` reads."""
    header = data.split(b"\n")[0].split(b"\r")[0]
    names = [name.strip('"') for name in header.decode().split(",")]
    return pa_csv.read_csv(
        io.BytesIO(data),
        read_options=pa_csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=12), st.data())
def test_a_review_says_what_is_kept(group: list[int], data: st.DataObject) -> None:
    rows = np.array([number if group.count(number) > 1 else -1 for number in group])
    rows = np.unique(rows, return_inverse=True)[1] - int((rows == -1).any())
    if (rows < 0).all():
        return
    count = int(rows.max()) + 1
    found = Found(rows, np.linspace(0.8, 1, count), np.full(len(rows), 0.9), {}, FIGURES)
    sheet = write_review(found, ["id"], {row: (str(row),) for row in range(len(rows))}, "0" * 64)
    lines = list(csv.reader(io.StringIO(sheet.decode("utf-8-sig"), newline="")))
    out = {line[1] for line in lines[1:] if data.draw(st.booleans())}
    for line in lines[1:]:
        line[2] = "no" if line[1] in out else "yes"
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    kept = read_review(text.getvalue().encode(), "review.csv", "0" * 64, len(rows)).tolist()
    expected = [-1 if str(row + 1) in out else int(number) for row, number in enumerate(rows)]
    assert kept == [number if expected.count(number) > 1 else -1 for number in expected]
