from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from linkage.errors import DigestMismatchError, StateError
from linkage.evaluator.shown import Shown
from linkage.release.disclosure import TOTAL, ProtectedTable, Table, table_of_rows

ROWS = pd.DataFrame(
    {
        "who": [f"p{n}" for n in range(120)],
        "town": ["A"] * 3 + ["B"] * 57 + ["C"] * 60,
        "type": ["x"] * 70 + ["y"] * 50,
    }
)


def table(rows: pd.DataFrame, *by: str, name: str = "t") -> Table:
    return table_of_rows(rows, by, name=name, counted=name, person="who", people=True, record="who")


def seen(made: ProtectedTable) -> dict[tuple[str, ...], int | None]:
    names = [d.name for d in made.table.dimensions]
    return {
        tuple(str(node) for node in row[:-2]): None if row[-1] else int(row[-2])
        for row in made.cells[[*names, "count", "suppressed"]].itertuples(index=False, name=None)
    }


def test_a_later_report_does_not_undo_an_earlier_one() -> None:
    [first] = Shown().protect([table(ROWS, "town", name="one")], k=11)
    assert seen(first) == {("A",): None, ("B",): None, ("C",): 60, (TOTAL,): 120}
    # The same places by another name, and only two of them: B by itself would give A away.
    places = ROWS.rename(columns={"town": "place"}).iloc[3:]
    assert seen(Shown().protect([table(places, "place")], k=11)[0])["B",] == 57
    ledger = Shown()
    ledger.protect([table(ROWS, "town", name="one")], k=11)
    [second] = ledger.protect([table(places, "place", name="two")], k=11)
    assert seen(second) == {("B",): None, ("C",): 60, (TOTAL,): None}
    ledger.drop()
    assert seen(ledger.protect([table(places, "place")], k=11)[0])["B",] == 57


def test_what_was_shown_is_kept_in_a_file(tmp_path: Path) -> None:
    path, one = tmp_path / "county.shown.jsonl", table(ROWS, "town", name="one")
    ledger = Shown(path, "e1")
    [first] = ledger.protect([one], k=11, rounding=5)
    assert not path.exists(), "nothing was shown yet"
    ledger.keep()
    assert path.stat().st_mode & 0o077 == 0
    again = Shown(path, "e1")
    [second] = again.protect([one], k=11, rounding=5)
    assert second.cells.equals(first.cells)
    assert second.log == first.log
    again.keep()
    assert len(path.read_bytes().splitlines()) == 1, "the same report is no news"
    [other] = again.protect([table(ROWS.iloc[3:], "town", name="two")], k=11)
    assert seen(other)["B",] is None


def test_of_two_reports_made_at_once_the_second_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "county.shown.jsonl"
    one, two = Shown(path, "e1"), Shown(path, "e1")
    one.protect([table(ROWS, "town")], k=11)
    two.protect([table(ROWS.iloc[3:], "town")], k=11)
    one.keep()
    with pytest.raises(StateError, match="another report was made"):
        two.keep()
    assert len(path.read_bytes().splitlines()) == 1


def test_reports_of_another_extract_are_not_told_apart(tmp_path: Path) -> None:
    path, rows = tmp_path / "county.shown.jsonl", ROWS.iloc[3:]
    ledger = Shown(path, "e1")
    ledger.protect([table(rows, "town")], k=11)
    ledger.keep()
    # A later release under other ids: two more people in B, twenty more in C.
    more = pd.DataFrame({"town": ["B"] * 59 + ["C"] * 80})
    later = table(more.assign(who=[f"q{n}" for n in range(139)]), "town")
    found = seen(Shown(path, "e2").protect([later], k=11)[0])
    assert found == {("B",): None, ("C",): None, (TOTAL,): 139}
    assert seen(Shown(path, "e1").protect([table(rows, "town")], k=11)[0])["B",] == 57


def test_reports_are_not_told_apart_from_those_of_any_earlier_extract(tmp_path: Path) -> None:
    path = tmp_path / "county.shown.jsonl"

    def count(extract: str, people: int) -> dict[tuple[str, ...], int | None]:
        rows = pd.DataFrame({"town": ["B"] * people + ["C"] * 80})
        made = table(rows.assign(who=[f"{extract}{n}" for n in range(people + 80)]), "town")
        ledger = Shown(path, extract)
        found = seen(ledger.protect([made], k=11)[0])
        ledger.keep()
        return found

    assert count("e1", 100)["B",] == 100
    assert count("e2", 150)["B",] == 150
    assert count("e3", 105)["B",] is None


def test_what_an_earlier_extract_hid_stays_hidden(tmp_path: Path) -> None:
    """The same people under other ids, and the report that hid another cell with the small one."""
    path = tmp_path / "county.shown.jsonl"
    first = Shown(path, "e1")
    assert seen(first.protect([table(ROWS, "town")], k=11)[0])["B",] is None
    first.keep()
    later = ROWS.assign(who=[f"q{n}" for n in range(120)])
    # By itself this one would hide C, as B is known beside it.
    only = {("t", (("town", "B"),)): 57}
    [made] = Shown(path, "e2").protect([table(later, "town")], k=11, published=only)
    assert seen(made) == {("A",): None, ("B",): None, ("C",): 60, (TOTAL,): 120}


def test_a_count_that_few_tell_apart_stays_in_doubt_beside_later_reports(tmp_path: Path) -> None:
    path = tmp_path / "county.shown.jsonl"
    rows = pd.DataFrame({"town": ["B"] * 100 + ["C"] * 80})
    first = Shown(path, "e1")
    first.protect([table(rows.assign(who=[f"p{n}" for n in range(180)]), "town")], k=11)
    first.keep()
    more = pd.DataFrame({"town": ["B"] * 105 + ["C"] * 120, "who": [f"q{n}" for n in range(225)]})
    ledger = Shown(path, "e2")
    assert seen(ledger.protect([table(more, "town")], k=11)[0])["B",] is None
    ledger.keep()
    # The same people by another name.
    places = more.rename(columns={"town": "place"})
    assert seen(ledger.protect([table(places, "place", name="other")], k=11)[0])["B",] is None


def test_two_sets_of_one_name_are_told_from_each_other(tmp_path: Path) -> None:
    """All people, and some of them, in tables that call both the same."""
    path = tmp_path / "county.shown.jsonl"
    whole = pd.DataFrame({"town": ["B"] * 100 + ["C"] * 80})

    def shown(
        extract: str, more: int, rows: pd.DataFrame
    ) -> list[dict[tuple[str, ...], int | None]]:
        named = rows.assign(who=[f"{extract}{n}" for n in range(len(rows))])
        both = [table(named, "town"), table(named[named["who"].str.endswith("1")], "town")]
        ledger = Shown(path, extract)
        found = ledger.protect(both[:more], k=5)
        ledger.keep()
        return [seen(one) for one in found]

    first = shown("e1", 2, whole)
    assert [one["B",] for one in first] == [100, 10]
    assert shown("e2", 2, whole) == first
    # Four more in B, of whom one is among the others.
    later = shown("e3", 2, pd.concat([pd.DataFrame({"town": ["B"] * 4}), whole]))
    assert [one["B",] for one in later] == [None, None]


def test_a_damaged_file_stops_every_report(tmp_path: Path) -> None:
    path = tmp_path / "county.shown.jsonl"
    for rows in (ROWS, ROWS.iloc[3:]):
        ledger = Shown(path, "e1")
        ledger.protect([table(rows, "town")], k=11)
        ledger.keep()
    lines = path.read_bytes().splitlines(keepends=True)
    for wrong in ([lines[1]], [lines[0].replace(b"60", b"61"), lines[1]]):
        path.write_bytes(b"".join(wrong))
        with pytest.raises(DigestMismatchError, match="of the ledger"):
            Shown(path, "e1")
    path.write_bytes(b'{"extract":"e1","number":0,"previous":"' + b"0" * 64 + b'"}\n')
    with pytest.raises(DigestMismatchError, match=r"line 1 of .+ is not such as this version"):
        Shown(path, "e1")
