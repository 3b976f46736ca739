from __future__ import annotations

import itertools
import random
from collections.abc import Mapping

import pytest

from linkage.errors import InputError, LimitError, SourceError
from linkage.release.crosswalk.checking import parse_inventory
from linkage.release.crosswalk.documents import Inventory
from linkage.release.crosswalk.inventory import Counted, count_codes, make_inventory

from .conftest import crosswalk


def counted(codes: Mapping[str, int], empty: int = 0) -> Counted:
    return Counted(sum(codes.values()) + empty, empty, codes, {})


def made(codes: Mapping[str, int], empty: int = 0, *, name_rare: bool = False) -> Inventory:
    return make_inventory(counted(codes, empty), agency="PD", threshold=11, name_rare=name_rare)


def shown(inventory: Inventory) -> dict[str, int | None]:
    return {entry.code: entry.rows for entry in inventory.codes}


def test_blanks_around_and_inside_do_not_make_another_code() -> None:
    found = count_codes([(["10-96 ", " 10-96", "SIG  20", "SIG 20", None, " "], None)])
    assert found.codes == {"10-96": 2, "SIG 20": 2}
    assert (found.rows, found.empty) == (6, 2)


def test_words_for_not_known_are_no_codes() -> None:
    found = count_codes([(["X", "unk", "UNK ", "x"], None)], missing=["Unk"])
    assert found.codes == {"X": 1, "x": 1}
    assert found.empty == 2


def test_rare_codes_are_named_only_when_asked() -> None:
    codes = {"A": 300, "B": 200, "C": 10, "D": 4, "E": 7}
    assert shown(made(codes)) == {"A": 300, "B": 200}
    assert made(codes).unnamed == 3
    assert made(codes).rest == 21
    named = made(codes, name_rare=True)
    assert shown(named) == {"A": 300, "B": 200, "C": None, "D": None, "E": None}
    assert named.unnamed == 0


def test_a_single_rare_code_hides_the_next_smallest_count_too() -> None:
    found = made({"A": 300, "B": 40, "C": 3}, name_rare=True)
    assert shown(found) == {"A": 300, "B": None, "C": None}
    assert found.rest == 43


def test_rows_without_a_code_are_a_count_like_others() -> None:
    found = made({"A": 300, "B": 40}, empty=3)
    assert (found.empty, shown(found)) == (None, {"A": 300, "B": None})
    assert found.rest == 43
    assert made({"A": 300, "B": 40}, empty=30).empty == 30


def test_values_like_text_are_not_named_however_often_they_stand() -> None:
    found = made({"A": 300, "Call Mary Miller at home": 50, "555-12-3456": 20}, name_rare=True)
    assert shown(found) == {"A": 300}
    assert (found.unnamed, found.rest) == (2, 70)
    assert b"Mary" not in found.canonical
    assert b"3456" not in found.canonical


def test_what_is_hidden_cannot_be_told_from_what_is_shown() -> None:
    """Brute force: whatever a small count is, others explain the same file."""
    chance = random.Random(7)
    for _ in range(400):
        size = chance.randrange(1, 6)
        codes = {f"C{n}": chance.choice((1, 2, 5, 9, 10, 11, 12, 30, 400)) for n in range(size)}
        if sum(codes.values()) < 11:
            continue
        found = made(codes, name_rare=True)
        hidden = [code for code, rows in shown(found).items() if rows is None]
        small = [code for code in hidden if codes[code] < 11]
        if not small or len(hidden) == len(codes):
            continue  # nothing is left to hide behind
        for value in range(1, 11):
            assert feasible(found.rest - value, len(hidden) - 1, len(hidden) > len(small))


def feasible(total: int, others: int, large: bool) -> bool:
    if large:  # one of the others may be any number
        return total >= others
    return any(sum(c) == total for c in itertools.product(range(1, 11), repeat=others))


def test_descriptions_leave_when_they_are_short_and_common() -> None:
    codes = ["10-96"] * 30 + ["SUI"] * 20
    texts = ["MENTAL SUBJECT"] * 20 + ["John Smith at 5 Elm Street"] * 10 + ["SUICIDE"] * 10
    texts += ["x"] * 10
    found = make_inventory(count_codes([(codes, texts)]), agency="PD")
    assert {e.code: e.description for e in found.codes} == {"10-96": "MENTAL SUBJECT", "SUI": ""}


def test_a_column_of_record_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="almost every row"):
        count_codes([([f"I{n}" for n in range(60)], None)])


def test_few_rows_share_nothing() -> None:
    with pytest.raises(InputError, match="fewer than 11 rows"):
        made({"A": 10})
    with pytest.raises(InputError, match="protects nobody"):
        make_inventory(counted({"A": 100}), agency="PD", threshold=2)


def test_spreadsheet_dates_are_noticed() -> None:
    assert counted({"Oct-96": 5, "10-96": 5, "5-Oct": 1, "OCT": 1}).by_spreadsheet() == [
        "5-Oct",
        "Oct-96",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((b'"rest":21', b'"rest":20'), "field 'rows': is not the sum of codes, empty and rest"),
        ((b'"code":"B"', b'"code":"A"'), "row 2, field 'code': stands already in entry 1"),
        ((b'"rows":300', b'"rows":3'), "row 1, field 'rows': is below the inventory's own"),
        ((b'"agency":"PD"', b'"agency":"\\u202e"'), "field 'agency'"),
        ((b'"code":"A"', b'"code":"A\\u0000"'), "row 1, field 'codes.code': holds a character"),
        ((b'"rest":21', b'"rest":-1'), "field 'rest'"),
        ((b'"threshold":11', b'"threshold":1'), "field 'threshold'"),
        ((b'"rest":21', b'"rest":21,"names":["x"]'), "field 'names': Extra inputs"),
    ],
)
def test_an_inventory_that_does_not_add_up_is_refused(
    change: tuple[bytes, bytes], said: str
) -> None:
    data = made({"A": 300, "B": 200, "C": 10, "D": 4, "E": 7}).canonical
    assert change[0] in data
    with pytest.raises(SourceError, match=r"pd\.json") as caught:
        parse_inventory(data.replace(*change), source="pd.json")
    assert said in str(caught.value)


def test_other_documents_and_floods_are_refused() -> None:
    for data in (b"", b"{", b"[]", b"{}", crosswalk().canonical, b"[" * 100_000, b"\xff"):
        with pytest.raises(InputError, match="not a JSON document of the kind inventory/1"):
            parse_inventory(data)
    with pytest.raises(LimitError):
        parse_inventory(b" " * ((16 << 20) + 1))
    many = b",".join(b'{"code":"c%d","rows":11,"description":""}' % n for n in range(5001))
    with pytest.raises(SourceError, match="at most 5000 items"):
        parse_inventory(
            made({"A": 300}).canonical.replace(b'{"code":"A","description":"","rows":300}', many)
        )
