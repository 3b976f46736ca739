from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from linkage.agent.findings import Findings
from linkage.agent.repeats import Repeats
from linkage.errors import Problem


def rows(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def test_the_first_problems_are_kept_and_all_are_counted() -> None:
    found = Findings(3, "aliases.csv")
    found.add("b", rows(1, 4), "wrong")
    found.add("a", rows(0, 4), "worse")
    found.add("c", rows(), "fine")
    found.next_batch(5)
    found.add("b", rows(0), "wrong")
    found.next_batch(2)
    assert found.problems == [
        Problem(1, "a", "worse", "aliases.csv"),
        Problem(2, "b", "wrong", "aliases.csv"),
        Problem(5, "a", "worse", "aliases.csv"),
    ]
    assert found.total == 5
    assert [(r.field, r.message, r.count) for r in found.reasons] == [
        ("a", "worse", 2),
        ("b", "wrong", 3),
    ]
    assert found.bad().tolist() == [True, True, False, False, True, True, False]


def test_what_only_the_end_shows_takes_its_place_among_the_first() -> None:
    found = Findings(2)
    found.add("a", rows(2, 5), "wrong")
    found.next_batch(6)
    found.add_later("id", rows(4), "the id is that of {}", rows(1))
    assert found.problems == [Problem(3, "a", "wrong"), Problem(5, "id", "the id is that of row 2")]
    assert [(r.message, r.count) for r in found.reasons] == [
        ("wrong", 2),
        ("the id is that of another row", 1),
    ]
    assert found.bad().tolist() == [False, True, True, False, True, True]


def test_memory_is_bounded_when_every_cell_is_wrong() -> None:
    found, batch = Findings(100), np.arange(50_000)
    tracemalloc.start()
    for _ in range(20):
        for column in "abcdefgh":
            found.add(column, batch, "wrong")
        found.next_batch(len(batch))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.total == 8_000_000
    # One byte for each of a million rows, and what is kept.
    assert held < 1.2e6


@given(
    st.lists(
        st.lists(st.sampled_from([None, "", "x", "y", "z"]), max_size=6), min_size=1, max_size=5
    )
)
def test_cells_that_stand_again_name_the_first_row_that_has_them(
    batches: list[list[str | None]],
) -> None:
    found = Repeats()
    for batch in batches:
        empty = found.add(batch).tolist()
        assert empty == [place for place, cell in enumerate(batch) if not cell]
    cells = [cell for batch in batches for cell in batch]
    expected = [
        (row, cells.index(cell)) for row, cell in enumerate(cells) if cell and cell in cells[:row]
    ]
    again, first = found.found()
    assert list(zip(again.tolist(), first.tolist(), strict=True)) == expected
