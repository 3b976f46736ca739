from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from linkage.errors import DisclosureError, InvalidRequestError, LimitError
from linkage.release.disclosure import (
    TOTAL,
    UNKNOWN,
    Dimension,
    Table,
    Told,
    audit,
    protect,
    protect_counts,
    protect_tables,
    table_of_counts,
    table_of_rows,
)
from linkage.release.disclosure.attack import interval
from linkage.release.disclosure.rounding import rounded
from linkage.release.disclosure.suppression import suppress
from linkage.release.disclosure.system import System

TOWNS = pd.DataFrame({"town": ["A", "B", "C", "D"], "count": [3, 20, 40, 0]})


def shown(frame: pd.DataFrame, *node: str) -> object:
    found = frame[(frame[list(frame.columns[: len(node)])] == list(node)).all(axis=1)]["count"]
    return None if pd.isna(found.iloc[0]) else int(found.iloc[0])


def test_a_small_cell_takes_another_with_it_and_zeros_are_shown() -> None:
    protected = protect_counts(TOWNS, ["town"])
    cells = protected.cells
    assert {town: shown(cells, town) for town in cells["town"]} == {
        "A": None, "B": None, "C": 40, "D": 0, TOTAL: 63,
    }  # fmt: skip
    assert protected.log["suppressed"] == 2
    assert "primary" not in str(protected.log), "how many are small is not told"
    assert len(protected.published) == 3


def test_what_a_reader_can_compute() -> None:
    system = System.of([table_of_counts(TOWNS, ["town"])], k=11)
    small = [key[1] for key in system.keys].index((("town", "A"),))
    alone = np.arange(len(system.value)) == small
    assert interval(system, alone, small) == (3.0, 3.0)
    assert interval(system, suppress(system).cells, small) == (1.0, 22.0)


def test_nothing_small_is_left_as_it_is() -> None:
    protected = protect_counts(TOWNS.assign(count=[11, 20, 40, 0]), ["town"])
    assert protected.log["suppressed"] == 0
    assert int(protected.cells["count"].sum()) == 2 * 71


def test_few_people_with_many_rows_are_few_people() -> None:
    rows = pd.DataFrame(
        {"town": ["A"] * 40 + ["B"] * 40 + ["C"] * 40, "who": [1] * 40 + [*range(80)]}
    )
    assert protect(rows, ["town"]).log["suppressed"] == 0
    cells = protect(rows, ["town"], person="who").cells
    assert shown(cells, "A") is None
    assert shown(cells, TOTAL) == 120
    counted = rows.groupby("town").agg(count=("who", "size"), people=("who", "nunique"))
    cells = protect_counts(counted.reset_index(), ["town"], people="people").cells
    assert shown(cells, "A") is None


def test_people_in_two_categories_do_not_add_up() -> None:
    rows = pd.DataFrame({"month": ["1"] * 30 + ["2"] * 30, "who": [*range(30), *range(10, 40)]})
    cells = protect(rows, ["month"], person="who", people=True).cells
    assert [shown(cells, m) for m in ("1", "2", TOTAL)] == [30, 30, 40]
    few = pd.DataFrame({"month": ["1"] * 30 + ["2"] * 5, "who": [*range(30), *range(5)]})
    protected = protect(few, ["month"], person="who", people=True)
    # 30 in all and 30 in the first month say nothing of the second.
    assert [shown(protected.cells, m) for m in ("1", "2", TOTAL)] == [30, None, 30]
    apart = few.assign(who=range(35))
    protected = protect(apart, ["month"], person="who", people=True)
    assert protected.log["suppressed"] == 2


def test_levels_are_margins_too() -> None:
    months = {f"2024-{m:02d}": f"2024-Q{(m + 2) // 3}" for m in range(1, 13)}
    years = dict.fromkeys(months.values(), "2024")
    rows = pd.DataFrame({"month": np.repeat([*months], [5, *[30] * 11])})
    protected = protect(rows, ["month"], levels={"month": months | years})
    cells = protected.cells
    assert shown(cells, "2024-01") is None
    assert shown(cells, "2024-Q1") == 65
    assert [shown(cells, m) for m in ("2024-02", "2024-03")].count(None) == 1
    assert list(cells["month"][-3:]) == ["2024-Q4", "2024", TOTAL]


def test_tables_of_one_release_are_read_together() -> None:
    rows = pd.DataFrame(
        {
            "month": ["1"] * 60 + ["2"] * 60,
            "type": (["x"] * 3 + ["y"] * 57) + ["y"] * 60,
            "town": ["A"] * 60 + ["B"] * 60,
        }
    )
    one = table_of_rows(rows, ["month", "type"], name="one")
    two = table_of_rows(rows, ["town", "type"], name="two")
    apart = [*protect_tables([one]), *protect_tables([two])]
    together = protect_tables([one, two])
    assert audit(together) == 0
    for protected in (*apart, *together):
        assert shown(protected.cells, TOTAL, "x") is None
    # Shown by one and hidden by another is shown.
    loose = protect_tables([table_of_rows(rows, ["type"], name="three")], k=2)
    assert audit([*together, *loose]) > 0


def test_tables_that_count_one_cell_differently_are_refused() -> None:
    one = table_of_counts(TOWNS, ["town"], name="one")
    two = table_of_counts(TOWNS.assign(count=[3, 20, 40, 1]), ["town"], name="two")
    with pytest.raises(InvalidRequestError, match="counts a cell otherwise"):
        protect_tables([one, two])


def test_margins_that_are_not_shown_hide_more() -> None:
    rows = pd.DataFrame({"a": ["x"] * 3 + ["y"] * 40, "b": ["p"] * 3 + ["q"] * 40})
    protected = protect(rows, ["a", "b"], margins=[])
    assert set(protected.cells["a"]) == {"x", "y"}
    assert protected.log["suppressed"] == 1
    assert protect(rows, ["a", "b"], margins=[["a"]]).log["suppressed"] > 1


def test_what_cannot_be_protected_says_why_and_what_would_pass() -> None:
    table = pd.DataFrame({"town": ["A", "B", "C"], "count": [6, 5, 40]})
    known = {("count", ()): 51, ("count", (("town", "C"),)): 40}
    with pytest.raises(DisclosureError) as caught:
        protect_counts(table, ["town"], published=known, name="calls")
    assert "'calls' cannot be published: 2 of its cells are small" in str(caught.value)
    assert "was published before" in str(caught.value)
    assert "town: A, B as one category (0 of 3 cells suppressed)" in str(caught.value)


def test_too_much_loss_is_refused_and_the_offer_is_computed() -> None:
    months = {f"2024-{m:02d}": f"2024-Q{(m + 2) // 3}" for m in range(1, 13)}
    rows = pd.DataFrame({"month": np.repeat([*months], 10), "town": ["A", "B"] * 60})
    with pytest.raises(DisclosureError) as caught:
        protect(rows, ["month", "town"], levels={"month": months}, most=0.5)
    remedy = str(caught.value.remedy)
    assert "would pass" in remedy
    quarters = rows.assign(month=rows["month"].map(months))
    assert protect(quarters, ["month", "town"], most=0.5).log["suppressed"] == 0
    assert "month one level up (2024-Q1, 2024-Q2, 2024-Q3, 2024-Q4)" in remedy


def test_where_nothing_coarser_passes_it_says_so() -> None:
    with pytest.raises(DisclosureError, match="No coarser table"):
        protect_counts(pd.DataFrame({"a": ["x", "y"], "count": [2, 3]}), ["a"], most=0.5)


def test_an_earlier_release_narrows_what_may_be_shown() -> None:
    first = protect_counts(TOWNS, ["town"])
    again = protect_counts(TOWNS, ["town"], published=first.published)
    assert again.cells.equals(first.cells)
    known = first.published | {("count", (("town", "B"),)): 20}
    with pytest.raises(DisclosureError, match="was published before"):
        protect_counts(TOWNS, ["town"], published=known)


def test_what_is_known_and_must_not_be_is_refused() -> None:
    """A total that is known already, and few people tell from what was shown elsewhere."""
    table = table_of_counts(TOWNS, ["town"])
    total = {("count", ()): int(TOWNS["count"].sum())}
    with pytest.raises(DisclosureError, match="could be computed from what was published before"):
        protect_tables([table], published=total, needs={(("count", ()), 63): 20})


def test_a_cell_is_rounded_alike_in_every_table() -> None:
    """Of one that is shown as 40 and as 45, the count would be known to lie between."""
    random = np.random.default_rng(3)
    rows = pd.DataFrame({name: random.integers(0, 6, 4000) for name in "abc"})
    shown: dict[tuple[tuple[str, str], ...], set[int]] = {}
    for by in ("a", "b", "c", "ab", "ac", "bc"):
        for base in (1, 5):
            cells = protect(rows, list(by), rounding=base).cells
            for record in cells.to_dict("records"):
                nodes = tuple((n, str(record[n])) for n in by if record[n] != TOTAL)
                shown.setdefault((("base", str(base)), *nodes), set()).add(int(record["count"]))
    assert all(len(counts) == 1 for counts in shown.values())
    for (_, *nodes), [count] in ((k, c) for k, c in shown.items() if k[0][1] == "5"):
        [true] = shown[("base", "1"), *nodes]
        assert count % 5 == 0
        assert abs(count - true) <= 2


def test_rounding_says_when_sums_do_not_hold() -> None:
    dims = tuple(Dimension(name, ("0", "1", "2")) for name in "abc")
    held = set()
    for seed in range(40):
        values = np.random.default_rng(seed).integers(11, 60, (3, 3, 3))
        system = System.of([Table("t", "c", dims, values)], k=11)
        counts, holds = rounded(system, 5)
        assert holds == (not (system.equal @ counts).any())
        assert (abs(counts - system.value) <= 2).all()
        held.add(holds)
    assert False in held


def test_a_set_that_is_empty_is_not_another_of_its_name() -> None:
    rows = pd.DataFrame({"town": ["B"] * 40 + ["C"] * 30, "who": range(70)})
    whole, some = (
        table_of_rows(
            frame, ["town"], counted="people", person="who", people=True, record="who",
            codes={"town": ["B", "C"]},
        )
        for frame in (rows, rows[:20])
    )  # fmt: skip
    for tables in ([whole, some], [some, whole]):
        found = protect_tables(tables)
        counts = {one.table.values.sum(): shown(one.cells, "C") for one in found}
        assert counts == {70: 30, 20: 0}


def test_too_many_cells_together_are_named() -> None:
    tables = []
    for number, size in enumerate((200, 240, 230)):
        dims = [
            Dimension(n, tuple(f"{n}{c}" for c in range(s))) for n, s in (("a", size), ("b", 250))
        ]
        values = np.full((size, 250), 20)
        tables.append(Table(f"t{number}", f"things {number}", tuple(dims), values))
    with pytest.raises(LimitError) as caught:
        protect_tables(tables[:2], before=[Told(tables[2], np.zeros(tables[2].shape, bool), 11)])
    assert "'t1' (60,491), 't2', shown before (57,981), 't0' (50,451)" in caught.value.message
    assert "Make 't1' coarser, which is broken down by b (250 categories)" in str(caught.value)


def test_missing_values_are_a_category() -> None:
    rows = pd.DataFrame({"town": ["A"] * 20 + [None] * 30})
    assert shown(protect(rows, ["town"]).cells, UNKNOWN) == 30


def test_empty_rows_make_an_empty_table() -> None:
    rows = pd.DataFrame({"town": pd.Series([], dtype=str), "who": pd.Series([], dtype=str)})
    protected = protect(rows, ["town"], person="who", codes={"town": ["A", "B"]})
    assert list(protected.cells["count"]) == [0, 0, 0]


def test_the_same_table_gives_the_same_cells() -> None:
    random = np.random.default_rng(1)
    rows = pd.DataFrame({"a": random.integers(0, 8, 900), "b": random.integers(0, 9, 900)})
    assert protect(rows, ["a", "b"]).cells.equals(protect(rows, ["a", "b"]).cells)


def test_hostile_tables_are_refused() -> None:
    with pytest.raises(LimitError, match="more than 100,000 cells"):
        table_of_counts(
            pd.DataFrame({"a": range(400), "b": range(400), "count": [1] * 400}), ["a", "b"]
        )
    # Refused before room is made for eight thousand million cells.
    many = pd.DataFrame({name: range(2000) for name in "abcw"})
    with pytest.raises(LimitError, match="more than 100,000 cells"):
        table_of_rows(many, ["a", "b", "c"], person="w", record="w")
    with pytest.raises(LimitError, match="more than 100,000 cells"):
        table_of_counts(many.assign(count=1), ["a", "b", "c"])
    # Of every pair of which it would have to be known whether one is a part of the other.
    with pytest.raises(LimitError, match="'a' has more than 10,000 categories"):
        table_of_counts(pd.DataFrame({"a": range(90_000), "count": 20}), ["a"])
    with pytest.raises(InvalidRequestError, match="no tree"):
        Dimension("a", ("x",), {"x": "y", "y": "z", "z": "y"})
    with pytest.raises(InvalidRequestError, match="not 'total'"):
        Dimension("a", ("x", TOTAL))
    with pytest.raises(InvalidRequestError, match="negative"):
        protect_counts(TOWNS.assign(count=-1), ["town"])
    with pytest.raises(InvalidRequestError, match="whole numbers"):
        protect_counts(TOWNS.assign(count=0.5), ["town"])
    with pytest.raises(InvalidRequestError, match="no column 'city'"):
        protect_counts(TOWNS, ["city"])
