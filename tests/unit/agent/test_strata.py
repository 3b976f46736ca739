from __future__ import annotations

from linkage.agent.strata import Strata, filled
from linkage.agreement import Partner
from linkage.agreement.parties import Stratum

STRATA = [
    Stratum(name="race", values=("W", " B ", "é")),
    Stratum(name="sex", values=("F", "M")),
    Stratum(name="county", values=("north",)),
]


def test_codes_are_places_among_the_values() -> None:
    partner = Partner(name="jail", missing=("unk",), strata={"county": "CO", "race": "RACE"})
    strata = Strata(STRATA, partner)
    assert strata.columns == ["RACE", "CO"]
    cells = {
        "RACE": ["W", " b", " B", "é", None, "", "UNK", "x"],
        "CO": ["north", "north", "South", "", "", "", "", "Unk "],
    }
    codes, unlisted = strata.codes(cells, 8)
    assert codes.tolist() == [
        [1, 0, 1],
        [0, 0, 1],
        [2, 0, 0],
        [3, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
    ]
    assert unlisted.tolist() == [2, 0, 1]


def test_without_columns_nothing_is_given() -> None:
    codes, unlisted = Strata(STRATA, Partner(name="jail")).codes({}, 2)
    assert codes.tolist() == [[0, 0, 0]] * 2
    assert unlisted.tolist() == [0, 0, 0]


def test_empty_and_unknown_cells_are_none() -> None:
    assert filled(["a", " a ", "", " ", None, "NA", "na "], ["Na"]) == ["a", "a", *[None] * 5]
