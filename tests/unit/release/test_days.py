from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.agreement import ContentTable
from linkage.errors import AgreementError, InvalidRequestError
from linkage.release.days import (
    LONGEST,
    corrections,
    draw_shifts,
    hide,
    read_shifts,
    relative_days,
)
from linkage.release.deidentify import attach_index_ids, check_deidentified, deidentify_table
from linkage.release.pseudonyms import draw_ids


def days(*values: int) -> Any:
    return np.array(values, np.int32)


def seeded(seed: int) -> Any:
    return np.random.default_rng(seed).bytes


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.integers(-40_000, 30_000)),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 1 << 20),
)
def test_intervals_hold_whatever_the_shifts(rows: list[tuple[int, bool, int]], seed: int) -> None:
    person, known, day = (np.array(column) for column in zip(*rows, strict=True))
    person, known, true = person.astype(np.intp), known.astype(np.bool_), day.astype(np.int32)
    persons = draw_shifts(6, random=seeded(seed))
    of_rows = draw_shifts(len(rows), random=seeded(seed + 1))
    hidden = hide(true, of_rows)
    shown = hide(hidden, corrections(persons[person], of_rows))
    half = len(rows) // 2
    parts = [(person[p], known[p], shown[p]) for p in (slice(0, half), slice(half, None))]
    found = np.concatenate(relative_days(parts, 6, names=["one", "other"]))
    for row in np.flatnonzero(known):
        first = min(true[(person == person[row]) & known])
        assert found[row] == true[row] - first


def test_a_hidden_day_says_nothing() -> None:
    """Every number is the hidden day of exactly one shift."""
    shifts = np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)
    assert len(np.unique(hide(np.full(1 << 16, 19_000, np.int32), shifts))) == 1 << 16


def test_a_day_under_another_shift_is_seen() -> None:
    person, known = np.zeros(2, np.intp), np.ones(2, np.bool_)
    column = (person, known, days(0, LONGEST + 1))
    with pytest.raises(InvalidRequestError, match="table 'x': days of one person lie more than"):
        relative_days([column], 1, names=["table 'x'"])


def test_shifts_that_are_not_random_are_refused() -> None:
    good = draw_shifts(500, random=seeded(3))
    assert np.array_equal(read_shifts(good.tobytes(), 500), good)
    for raw in (bytes(4 * 500), np.repeat(good[:50], 10).tobytes()):
        with pytest.raises(AgreementError, match="not random"):
            read_shifts(raw, 500)
    for raw in (b"", good.tobytes()[:-4]):
        with pytest.raises(AgreementError, match="for every row"):
            read_shifts(raw, 500)


def test_a_table_of_days_leaves_only_under_shifts() -> None:
    content = ContentTable.model_validate(
        {
            "name": "visits",
            "kind": "event",
            "record_id": "rid",
            "fields": [{"name": "day", "transform": "day", "means": "day"}],
        }
    )
    rows = pa.table({"day": ["1970-01-02", "", "1969-12-31"]}).to_pandas()
    coarse = deidentify_table(content, rows, file="visits.csv")
    ids, shifts = draw_ids(3, random=seeded(1)), draw_shifts(3, random=seeded(2))
    with pytest.raises(InvalidRequestError, match="its days have no shift"):
        attach_index_ids(coarse, ids)
    with pytest.raises(InvalidRequestError, match="not the ones the partners agreed to"):
        check_deidentified(content, coarse, source="s")
    parcel = attach_index_ids(coarse, ids, shifts)
    check_deidentified(content, parcel, source="s")
    by_id = dict(zip(map(bytes, ids), zip([1, None, -1], shifts, strict=True), strict=True))
    for row in parcel.to_pylist():
        day, shift = by_id[row["index_id"]]
        hidden = None if day is None else int(hide(days(day), np.array([shift], np.uint32))[0])
        assert row["day"] == hidden


@pytest.mark.parametrize("kind", ["person", "site", "measure"])
def test_days_are_of_events(kind: str) -> None:
    table = {"name": "t", "kind": kind, "fields": [{"name": "born", "transform": "day"}]}
    with pytest.raises(ValueError, match="days are for tables of kind event and service only"):
        ContentTable.model_validate(table)
