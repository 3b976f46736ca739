from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.errors import AlreadyExistsError, InputError, SourceError
from linkage.release.crosswalk.applying import Accounts, Mapper, standard_codes
from linkage.release.crosswalk.checking import parse_crosswalk
from linkage.release.crosswalk.documents import Inventory
from linkage.release.crosswalk.editing import (
    COLUMNS,
    differences,
    from_csv,
    new_crosswalk,
    next_version,
    to_csv,
)
from linkage.release.crosswalk.inventory import Counted, make_inventory
from linkage.release.crosswalk.merging import merge
from linkage.release.crosswalk.suggesting import accepted, suggest, suggestions_csv
from linkage.release.crosswalk.tables import read_table, write_table

from .conftest import CRISIS, DAY, crosswalk, mapping

HEAD = ",".join(COLUMNS)


def inventory(agency: str, codes: dict[str, tuple[int, str]]) -> Inventory:
    counted = Counted(
        sum(n for n, _ in codes.values()),
        0,
        {code: n for code, (n, _) in codes.items()},
        {code: {text: n} for code, (n, text) in codes.items()},
    )
    return make_inventory(counted, agency=agency)


# -- versions ------------------------------------------------------------------------------------


def test_a_version_follows_from_the_one_before() -> None:
    first = new_crosswalk("calls", CRISIS, ["PD", "SO"])
    entry = mapping("PD", "96", "mental_health")
    second = next_version(first, [entry], codes=CRISIS, agencies=["FD"])
    assert (second.version, second.previous) == (2, first.digest)
    assert second.agencies == ("PD", "SO", "FD")
    assert parse_crosswalk(second.canonical) == second
    with pytest.raises(AlreadyExistsError, match="says what version 2 says already"):
        next_version(second, [entry], codes=CRISIS)
    with pytest.raises(SourceError, match="row 1, field 'agency': 'XX' is not an agency"):
        next_version(second, [mapping("XX", "1", "suicide")], codes=CRISIS)


def test_differences_tell_meaning_from_remarks() -> None:
    one = crosswalk(
        mapping("A", "1", "suicide"),
        mapping("A", "2", "suicide"),
        mapping("A", "3", "suicide"),
        mapping("A", "5", "suicide"),
    )
    other = crosswalk(
        mapping("A", "1", "welfare_check"),
        mapping("A", "2", "suicide", confidence="low", note="asked again"),
        mapping("A", "4", None, merged_into="1"),
        mapping("A", "5", "suicide"),
        agencies=("A", "B"),
        version=2,
    )
    assert [(d.kind, d.agency, d.local, d.before, d.after) for d in differences(one, other)] == [
        ("added", "B", "", "", "agency"),
        ("changed", "A", "1", "suicide", "welfare_check"),
        ("noted", "A", "2", "confidence high, note empty", "confidence low, note asked again"),
        ("removed", "A", "3", "suicide", ""),
        ("added", "A", "4", "", "merged into 1"),
    ]
    assert differences(one, one.model_copy(update={"version": 9})) == []


# -- tables --------------------------------------------------------------------------------------


@given(
    st.lists(
        st.text(
            st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), max_size=12
        ),
        min_size=1,
    )
)
def test_every_text_comes_back_from_a_table(texts: list[str]) -> None:
    data = write_table(("a",), [{"a": text} for text in texts] + [{"a": "end"}])
    found = read_table(data, source="t", required=("a",))
    filled = [text.strip() for text in texts if text.strip()]
    assert [row["a"] for row in found if row.get("a")] == [*filled, "end"]


@pytest.mark.parametrize("code", ["=cmd|x", "+1", "-1", "@x", "'=1", "''-", "'ok"])
def test_codes_like_formulas_survive_a_spreadsheet(code: str) -> None:
    entry = mapping("A", code, "suicide")
    data = to_csv(crosswalk(entry))
    assert f"\nA,{code}," not in data.decode() or code == "'ok"
    assert from_csv(data) == [entry]


def test_wrong_rows_of_a_table_are_named_all_at_once() -> None:
    table = "\n".join(
        [
            HEAD,
            "A,1,suicide,,high,R. Moss,2026-03-01,",
            "A,1,suicide,,high,R. Moss,2026-03-01,",
            "A,2,suicide,,certain,R. Moss,03/01/2026,",
            ",,,,,,,",
            "A,3,suicide,,high,,2026-03-01,",
        ]
    )
    with pytest.raises(SourceError) as caught:
        from_csv(table.encode(), source="t.csv")
    assert [(p.row, p.field) for p in caught.value.problems] == [
        (2, "local"),
        (3, "confidence"),
        (3, "date"),
        (5, "author"),
    ]
    with pytest.raises(InputError, match="lacks the column 'author'"):
        from_csv(b"agency,local,standard,confidence,date\n")


# -- suggestions ---------------------------------------------------------------------------------


def test_suggestions_name_the_likely_code_first_and_map_nothing() -> None:
    before = crosswalk(mapping("PD", "M1", "mental_health"), agencies=("PD", "SO"))
    found = suggest(
        {
            "pd": inventory("PD", {"M1": (40, "CRAZY IVAN"), "S1": (30, "SUICIDAL SUBJ")}),
            "so": inventory(
                "SO", {"W": (50, "WELFARE CHK"), "Z": (20, "CRAZY IVAN"), "Q": (20, "")}
            ),
        },
        before,
        CRISIS,
    )
    best: dict[tuple[str, str], str] = {}
    for one in found:
        best.setdefault((one.agency, one.local), one.standard)
    assert best == {
        ("PD", "S1"): "suicide",
        ("SO", "W"): "welfare_check",
        ("SO", "Z"): "mental_health",
    }
    assert [one.because for one in found if one.local == "Z"] == ["M1 of PD"]
    assert all(60 <= one.score <= 100 for one in found)
    assert before == crosswalk(mapping("PD", "M1", "mental_health"), agencies=("PD", "SO"))


def test_only_what_a_person_accepts_is_mapped() -> None:
    before = crosswalk(agencies=("PD",))
    counted = {"pd": inventory("PD", {"S1": (30, "SUICIDE"), "W": (30, "WELFARE CHECK")})}
    table = suggestions_csv(suggest(counted, before, CRISIS)).decode()
    take = {"author": "R. Moss", "date": DAY}
    assert accepted(table.encode(), before, **take) == []  # type: ignore[arg-type]
    lines = table.splitlines()
    place = next(n for n, line in enumerate(lines) if ",S1," in line)
    lines[place] = f"yes{lines[place]}"
    by_word = accepted("\n".join(lines).encode(), before, **take)  # type: ignore[arg-type]
    by_row = accepted(table.encode(), before, chosen=[place], **take)  # type: ignore[arg-type]
    assert by_word == by_row == [mapping("PD", "S1", "suicide", confidence="medium")]


def test_what_cannot_be_accepted_is_named_by_row() -> None:
    before = crosswalk(mapping("PD", "1", "suicide"))
    table = (
        "accept,agency,local,standard,confidence\n"
        "yes,PD,1,suicide,\n"
        "maybe,PD,2,suicide,\n"
        "yes,PD,3,suicide,high\n"
        "yes,PD,3,welfare_check,\n"
        "yes,PD,4,suicide,certain\n"
        "no,PD,5,suicide,\n"
    )
    with pytest.raises(SourceError) as caught:
        accepted(table.encode(), before, author="R. Moss", date=DAY)
    assert [(p.row, p.field, p.message) for p in caught.value.problems] == [
        (1, "local", "is mapped already in the crosswalk"),
        (2, "accept", "is neither yes nor no"),
        (4, "local", "is accepted already, in row 3"),
        (5, "confidence", "Input should be 'high', 'medium' or 'low'"),
    ]
    with pytest.raises(SourceError, match="there is no such row"):
        accepted(table.encode(), before, author="R", date=dt.date(2026, 1, 1), chosen=[9])


# -- applying and merging ------------------------------------------------------------------------


def test_rows_of_several_agencies_are_looked_up_by_their_own() -> None:
    document = crosswalk(mapping("A", "1", "suicide"), mapping("B", "1", "welfare_check"))
    accounts = Accounts()
    found = Mapper(document, missing=["UNK"]).standard_codes(
        ["A", "B", " A ", "C", None, "A", "A"], ["1", "1", "1 ", "1", "1", "unk", "2"], accounts
    )
    assert found == ["suicide", "welfare_check", "suicide", None, None, None, None]
    assert (accounts.strangers, accounts.empty) == (2, 1)
    assert accounts.unmapped == {("A", "2"): 1}
    assert not accounts.complete
    accounts.require_whole()
    assert standard_codes(document, "A", ["1", None, "x"]) == ["suicide", None, None]


def test_accounts_do_not_quote_what_is_no_code() -> None:
    document = crosswalk(mapping("A", "1", "suicide"))
    accounts = Accounts()
    cells = ["1", "2", "Mary Miller of 5 Elm Street", "555-12-3456"]
    Mapper(document).standard_codes("A", cells, accounts)
    told = accounts.as_json()
    assert told["unmapped_codes"] == [{"agency": "A", "local": "2", "rows": 1}]
    assert (told["unmapped"], told["unmapped_not_quoted"]) == (3, 2)
    assert "Mary" not in str(told)


def test_inventories_that_cannot_be_merged_are_all_named() -> None:
    one = inventory("A", {"1": (20, "")})
    with pytest.raises(InputError) as caught:
        merge(
            {"a": one, "b": one, "c": inventory("C", {"1": (20, "")})},
            crosswalk(mapping("A", "1", "suicide")),
        )
    assert caught.value.message.splitlines() == [
        "b: is of 'A', as a is",
        "c: 'C' is not an agency of the crosswalk",
    ]
    with pytest.raises(InputError, match="no inventory"):
        merge({})


def test_mapped_codes_that_nobody_uses_are_told() -> None:
    document = crosswalk(mapping("A", "1", "suicide"), mapping("A", "old", "suicide"))
    merged = merge({"a": inventory("A", {"1": (20, "")})}, document)
    assert merged.strangers == (("A", "old"),)
