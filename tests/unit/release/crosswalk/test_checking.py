from __future__ import annotations

import datetime as dt
import time

import pytest

from linkage.errors import InputError, LimitError, SourceError
from linkage.release.crosswalk.checking import (
    parse_crosswalk,
    parse_list,
    require_sound,
    require_sound_list,
    resolved,
)
from linkage.release.crosswalk.documents import CodeMapping, Crosswalk, StandardList
from linkage.release.crosswalk.lists import bundled_list, list_from_csv

from .conftest import CRISIS, DAY, crosswalk, mapping


def said(document: Crosswalk, codes: StandardList | None = CRISIS) -> list[str]:
    with pytest.raises(SourceError) as caught:
        require_sound(document, source="c.json", codes=codes, today=DAY)
    assert caught.value.total == len(caught.value.problems)
    return caught.value.message.splitlines()


def test_all_that_is_wrong_is_said_at_once_by_row_and_field() -> None:
    wrong = crosswalk(
        mapping("A", "1", "mental_health"),
        mapping("A", "1", "suicide"),
        mapping("A", "2", "mental_helth"),
        mapping("B", "1", "13A"),
        mapping("B", "2", None),
        mapping("B", "3", "suicide", merged_into="1"),
        mapping("B", "4", None, merged_into="9"),
        mapping("B", "5", "suicide", date=DAY + dt.timedelta(days=1)),
        mapping("C", "1", "suicide"),
        agencies=("A", "B", "A"),
    )
    assert said(wrong) == [
        "c.json, row 2, field 'local': is mapped already, in entry 1",
        "c.json, row 3, field 'agencies': stands already in entry 1",
        (
            "c.json, row 3, field 'standard': is not a code of the list 'crisis' 1; did you mean"
            " 'mental_health'?"
        ),
        "c.json, row 4, field 'standard': is not a code of the list 'crisis' 1",
        "c.json, row 5, field 'standard': give either a standard code or merged_into",
        "c.json, row 6, field 'standard': give either a standard code or merged_into",
        "c.json, row 7, field 'merged_into': is not a mapped code of this agency",
        "c.json, row 8, field 'date': lies in the future",
        "c.json, row 9, field 'agency': 'C' is not an agency of this crosswalk",
    ]


def test_merged_codes_are_followed() -> None:
    document = crosswalk(
        mapping("A", "96", "mental_health"),
        mapping("A", "96A", None, merged_into="96"),
        mapping("A", "96B", None, merged_into="96A"),
        mapping("B", "96", "suicide"),
    )
    require_sound(document, codes=CRISIS)
    assert resolved(document) == {
        ("A", "96"): "mental_health",
        ("A", "96A"): "mental_health",
        ("A", "96B"): "mental_health",
        ("B", "96"): "suicide",
    }


@pytest.mark.parametrize(
    ("mappings", "lines"),
    [
        (
            [
                mapping("A", "1", None, merged_into="2"),
                mapping("A", "2", None, merged_into="3"),
                mapping("A", "3", None, merged_into="1"),
                mapping("A", "4", None, merged_into="1"),
            ],
            [
                "row 1, field 'merged_into': goes round in a circle: 1 → 2 → 3 → 1",
                "row 2, field 'merged_into': goes round in a circle: 2 → 3 → 1 → 2",
                "row 3, field 'merged_into': goes round in a circle: 3 → 1 → 2 → 3",
            ],
        ),
        ([mapping("A", "1", None, merged_into="1")], ["field 'merged_into': goes round"]),
        (
            # Each is spelt as the other's standard code.
            [mapping("A", "suicide", "welfare_check"), mapping("A", "welfare_check", "suicide")],
            [
                "row 1, field 'standard': goes round in a circle: suicide → welfare_check → suic",
                (
                    "row 2, field 'standard': goes round in a circle: welfare_check → suicide →"
                    " welfare_check"
                ),
            ],
        ),
        (
            # A local code in place of a standard one.
            [mapping("A", "1", "2"), mapping("A", "2", "suicide")],
            ["row 1, field 'standard': is not a code of the list 'crisis' 1; it is a code of the"],
        ),
    ],
)
def test_circles_are_found(mappings: list[CodeMapping], lines: list[str]) -> None:
    found = said(crosswalk(*mappings))
    assert len(found) == len(lines)
    for text, expected in zip(found, lines, strict=True):
        assert expected in text


def test_a_local_code_may_be_spelt_as_its_standard_code() -> None:
    require_sound(crosswalk(mapping("A", "suicide", "suicide")), codes=CRISIS)


def test_a_long_chain_costs_little_and_is_refused() -> None:
    entries = [mapping("A", f"c{n}", None, merged_into=f"c{n + 1}") for n in range(20_000)]
    start = time.process_time()
    with pytest.raises(SourceError, match="more than 20 codes in a row"):
        require_sound(crosswalk(*entries, mapping("A", "c20000", "suicide")))
    assert time.process_time() - start < 10


def test_another_list_is_refused_whole() -> None:
    other = CRISIS.model_copy(update={"version": "2"})
    with pytest.raises(InputError, match=r"is for the list 'crisis' 1 .*, not for 'crisis' 2"):
        require_sound(crosswalk(mapping("A", "1", "suicide")), codes=other)


def test_reading_says_where_the_shape_is_wrong() -> None:
    data = crosswalk(mapping("A", "1", "suicide"), mapping("A", "2", "suicide")).canonical
    bad = data.replace(b'"high"', b'"sure"', 1).replace(b"2026-03-01", b"2026-02-30")
    with pytest.raises(SourceError) as caught:
        parse_crosswalk(bad, source="c.json")
    assert [(p.row, p.field) for p in caught.value.problems] == [
        (1, "mappings.confidence"),
        (1, "mappings.date"),
        (2, "mappings.date"),
    ]


# -- lists ---------------------------------------------------------------------------------------


def test_the_bundled_list_is_sound_and_knows_the_synthetic_county() -> None:
    from linkage.synthetic.places import CALL_KINDS

    codes = bundled_list("crisis")
    assert parse_list(codes.canonical) == codes
    assert set(CALL_KINDS) <= set(codes.by_code)
    with pytest.raises(InputError, match="no bundled list"):
        bundled_list("apco")


APCO = (
    "Code,Definition\n"
    "911H,911 HANG UP - 911 hang-ups\n"
    "MENTAL,MENTAL - Mental health  issue\n"
    ",\n"
    "SUICIDE,SUICIDE - Attempt\n"
)


def test_a_list_comes_from_a_table_of_codes_and_definitions() -> None:
    codes = list_from_csv(APCO.encode(), name="apco", version="2.103.2", origin="niem")
    assert [(entry.code, entry.description) for entry in codes.codes] == [
        ("911H", "911 HANG UP - 911 hang-ups"),
        ("MENTAL", "MENTAL - Mental health issue"),
        ("SUICIDE", "SUICIDE - Attempt"),
    ]
    assert parse_list(codes.canonical).digest == codes.digest
    nibrs = b"\xef\xbb\xbfOffense Code,Group,Offense Description\n13A,A,Aggravated Assault\n"
    assert list_from_csv(nibrs, name="nibrs", version="2023").codes[0].code == "13A"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("a,b\n1,2\n", "which column holds the codes is not clear"),
        ("code,text\n1,2\n", "which column holds the descriptions is not clear"),
        ("code,description\n1,x\n1,y\n", "row 2, field 'code': stands already in entry 1"),
        ("code,description\n=1,x\n,y\n", "row 1, field 'code'"),
        ("code,description\n1\n", "row 1: does not have 2 cells"),
        ("code,description,merged_into\n1,x,2\n", "row 1, field 'merged_into': is not a code"),
        ("code,description,merged_into\n1,x,2\n2,x,1\n", "goes round in a circle: 1 → 2 → 1"),
        ('code,description\n"1,x\n', "cannot be read as CSV"),
        ("code,code,description\n1,2,x\n", "has the column 'code' twice"),
        ("", "which column"),
        ("code,description\n", "field 'codes'"),
    ],
)
def test_a_wrong_table_is_refused(table: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        list_from_csv(table.encode(), name="x", version="1", source="t.csv")
    assert said in str(caught.value)


def test_tables_are_bounded() -> None:
    with pytest.raises(LimitError):
        list_from_csv(b"c" * ((16 << 20) + 1), name="x", version="1")
    many = "code,description\n" + "".join(f"{n},x\n" for n in range(20_001))
    with pytest.raises(LimitError):
        list_from_csv(many.encode(), name="x", version="1")
    with pytest.raises(InputError, match="not UTF-8"):
        list_from_csv(b"code,description\n\xff,x\n", name="x", version="1")


def test_a_code_that_its_list_gave_up_is_refused() -> None:
    table = b"code,description,merged_into\nOLD,old,NEW\nNEW,new,\n"
    codes = require_sound_list(list_from_csv(table, name="own", version="2"), "own")
    document = crosswalk(mapping("A", "1", "OLD"), codes=codes.reference)
    assert said(document, codes) == [
        "c.json, row 1, field 'standard': is no longer used; the list merged it into 'NEW'"
    ]
