from __future__ import annotations

import itertools

import pytest

from linkage.evaluator.smallcells import Cell, hidden_rows, is_small, total, wilson


@pytest.mark.parametrize(
    ("count", "label"), [(0, "0"), (1, "1-10"), (10, "1-10"), (11, "11"), (1234, "1,234")]
)
def test_small_counts_become_a_range(count: int, label: str) -> None:
    assert Cell.of(count).label == label


def test_a_total_tells_no_more_than_its_parts() -> None:
    cells = [Cell.of(500), Cell.of(3), Cell.of(0)]
    assert total(cells).label == "501 to 510"
    assert total(cells) == total([Cell.of(500), Cell.of(9)])
    assert total([Cell.of(20), Cell.of(30)]).label == "50"
    assert total([]).label == "0"


def test_one_hidden_row_hides_another() -> None:
    assert hidden_rows([(500, 100), (90, 40), (300, 4)]) == [False, True, True]
    assert hidden_rows([(500, 100), (90, 40)]) == [False, False]
    assert hidden_rows([(500, 100), (5, 0), (40, 20), (0, 0)]) == [False, True, True, False]


def test_a_hidden_count_could_be_any_small_one() -> None:
    """From the exact totals and the shown rows, every value of a hidden small cell is possible."""
    sizes = [(40, 20), (12, 1), (60, 49), (25, 0), (9, 9), (200, 100)]
    for rows in itertools.permutations(sizes, 4):
        hidden = hidden_rows(rows)
        if all(hide for (people, _), hide in zip(rows, hidden, strict=True) if people):
            continue  # nothing is shown
        split = [(people, part, people - part) for people, part in rows]
        for place in range(3):
            counts = [r[place] for r, h in zip(split, hidden, strict=True) if h and r[place]]
            small = [c for c in counts if is_small(c)]
            large = [c for c in counts if not is_small(c)]
            if small:
                least = (len(small) - 1) + 11 * len(large)
                assert large
                assert sum(counts) - least >= 10


def test_wilson_agrees_with_a_published_value() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 20)[0] == 0.0
    assert round(wilson(0, 20)[1], 4) == 0.1611
    assert wilson(0, 0) == (0.0, 1.0)
