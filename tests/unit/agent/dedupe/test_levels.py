from __future__ import annotations

import numpy as np
import pytest

from linkage.agent.dedupe import levels
from linkage.agent.dedupe.levels import COMPARE, Level
from linkage.agreement import FieldType


def level(compare: levels.Compare, one: str, other: str) -> Level:
    """Of one pair, either way round."""
    pairs = np.array([one, other], dtype=object), np.array([other, one], dtype=object)
    found = compare(*pairs)
    assert found.dtype == np.int8
    assert found[0] == found[1]
    return Level(found[0])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("jonathan", "jonathon", Level.CLOSE),
        ("garcia lopez", "garcialopez", Level.CLOSE),
        ("garcia lopez", "lopez", Level.CLOSE),
        ("bill", "william", Level.CLOSE),
        ("liz", "beth", Level.CLOSE),
        ("a", "ann", Level.ALIKE),
        ("a", "bea", Level.DIFFERENT),
        ("marta", "martin", Level.ALIKE),
        ("ann", "zoe", Level.DIFFERENT),
        ("jo", "bo ann", Level.DIFFERENT),
        ("李小龍", "李小", Level.ALIKE),
        ("李小龍", "王大明", Level.DIFFERENT),
        ("müller", "mueller", Level.ALIKE),
    ],
)
def test_names(one: str, other: str, expected: Level) -> None:
    assert level(levels.names, one, other) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("ann marie smith", "ann smith", Level.CLOSE),
        ("ann m smith", "ann marie smith", Level.CLOSE),
        ("bill smith", "william smith", Level.CLOSE),
        ("jon smith", "john smith", Level.CLOSE),
        ("ann smith", "ann jones", Level.ALIKE),
        ("ann smith", "bob smith", Level.ALIKE),
        ("ann smith", "zoe jones", Level.DIFFERENT),
    ],
)
def test_whole_names(one: str, other: str, expected: Level) -> None:
    assert level(levels.whole_names, one, other) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1980-03-07", "1980-07-03", Level.CLOSE),
        ("1980-03-07", "1980-03-08", Level.CLOSE),
        ("1980-03-17", "1980-03-71", Level.CLOSE),
        ("1980-03-07", "1990-03-07", Level.CLOSE),
        ("1980-03-07", "1908-03-07", Level.CLOSE),
        ("1980-03-07", "1980-03-28", Level.ALIKE),
        ("1980-03-07", "1980-11-07", Level.ALIKE),
        ("1980-03-07", "1967-03-07", Level.ALIKE),
        ("1980-03-07", "1967-07-03", Level.DIFFERENT),
        ("1980-03-07", "1967-11-28", Level.DIFFERENT),
        ("1980", "1980-03-07", Level.ALIKE),
        ("1980-03", "1980-03-07", Level.ALIKE),
        ("1980-04", "1980-03-07", Level.DIFFERENT),
        ("1980", "1981", Level.DIFFERENT),
    ],
)
def test_dates(one: str, other: str, expected: Level) -> None:
    assert level(levels.dates, one, other) is expected


@pytest.mark.parametrize(
    ("kind", "one", "other", "expected"),
    [
        ("national_id", "123456780", "123456781", Level.ALIKE),
        ("national_id", "123456780", "123456708", Level.ALIKE),
        ("national_id", "123456780", "6780", Level.CLOSE),
        ("national_id", "123456780", "780", Level.DIFFERENT),
        ("national_id", "123456780", "999456781", Level.DIFFERENT),
        ("phone", "4025550100", "4025550101", Level.ALIKE),
        ("phone", "4025550100", "3085559999", Level.DIFFERENT),
        ("email", "ann@lee.org", "ann@mail.com", Level.CLOSE),
        ("email", "ann.lee@mail.com", "ann.le@mail.com", Level.CLOSE),
        ("email", "ann@lee.org", "zoe.poe@mail.com", Level.DIFFERENT),
        ("address", "7 elm st apt 3", "7 elm st", Level.CLOSE),
        ("address", "7 elm st", "7 el st", Level.CLOSE),
        ("address", "7 elm st", "1200 main ave", Level.DIFFERENT),
        ("postcode", "57801", "57810", Level.ALIKE),
        ("postcode", "57801", "68102", Level.DIFFERENT),
        ("city", "prairie city", "prairie cty", Level.CLOSE),
        ("city", "prairie city", "bergen", Level.DIFFERENT),
        ("sex", "m", "f", Level.DIFFERENT),
        ("exact", "a1", "a2", Level.DIFFERENT),
        ("number", "7", "8", Level.DIFFERENT),
    ],
)
def test_other_types(kind: str, one: str, other: str, expected: Level) -> None:
    assert level(COMPARE[FieldType(kind)], one, other) is expected


@pytest.mark.parametrize("kind", FieldType)
def test_no_pairs(kind: FieldType) -> None:
    nothing = np.empty(0, dtype=object)
    assert len(COMPARE[kind](nothing, nothing)) == 0
