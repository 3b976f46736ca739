"""Levels of fields compared under a pair key: where they come from and what falls silent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from linkage.agreement.fields import FieldType, IdentifierField
from linkage.agreement.manifest import Matching
from linkage.answers import Answers, differing
from linkage.errors import InvalidRequestError
from linkage.matching.comparison import MISSING_LEVEL
from linkage.matching.fieldwise import CUTS, EXACT, compare_fields

NAMES = [
    IdentifierField(name="given", type=FieldType.GIVEN_NAME),
    IdentifierField(name="middle", type=FieldType.MIDDLE_NAME),
    IdentifierField(name="surname", type=FieldType.SURNAME, frequency=True),
    IdentifierField(name="city", type=FieldType.CITY),
]
SWAPS = Matching(swaps=(("given", "surname"), ("middle", "surname")), dependent=())


def word(seed: int, flipped: int = 0) -> npt.NDArray[np.uint64]:
    """A random encoding with so many bits of it flipped."""
    bits = np.random.default_rng(seed).integers(0, 2, 256, np.uint8)
    bits[:flipped] ^= 1
    return np.packbits(bits, bitorder="little").view(np.uint64)


def side(*rows: dict[str, Any]) -> Answers:
    """Answers of rows given as {field: seed or (seed, flipped)}; a field not given is missing."""
    words = np.zeros((len(rows), len(NAMES), 4), np.uint64)
    present = np.zeros((len(rows), len(NAMES)), np.bool_)
    initial = np.zeros((len(rows), len(NAMES)), np.bool_)
    frequency = np.zeros((len(rows), len(NAMES)), np.uint8)
    for n, row in enumerate(rows):
        for f, field in enumerate(NAMES):
            if field.name in row:
                told = row[field.name]
                words[n, f] = word(*told) if isinstance(told, tuple) else word(told)
                present[n, f] = True
                initial[n, f] = field.name in row.get("initials", ())
                frequency[n, f] = row.get("class", 0) if field.frequency else 0
    return Answers(words, present, initial, frequency)


def levels(left: Answers, right: Answers, matching: Matching = SWAPS) -> dict[str, list[int]]:
    vectors = compare_fields(left, right, NAMES, matching)
    names = [dimension.name for dimension in vectors.dimensions]
    return dict(zip(names, vectors.levels.T.tolist(), strict=True))


def test_levels_are_cuts_of_the_expected_distance() -> None:
    flips = np.arange(0, 257)
    left = side(*({"city": 1} for _ in flips))
    right = side(*({"city": (1, int(n))} for n in flips))
    found = levels(left, right)["city"]
    for flipped, level in zip(flips.tolist(), found, strict=True):
        correlation = 1 - 2 * flipped / 256
        # The cube of 1 - 2 angle / pi; a cut's own distance is rounded down.
        above = [correlation >= (1 - 2 * math.acos(cut) / math.pi) ** 3 for cut in CUTS]
        assert level == (EXACT if not flipped else sum(above))


def test_the_least_cut_is_beyond_chance() -> None:
    """Unlike values differ in 128 bits, and by chance in some more or less, 8 being usual."""
    assert differing(CUTS[0]) * 256 < 128 - 2.5 * 8


def test_what_either_side_lacks_says_nothing() -> None:
    found = levels(side({"city": 1}, {}, {}), side({}, {"city": 1}, {}))
    assert set(found["city"]) == {MISSING_LEVEL}
    assert {level for column in found.values() for level in column} == {MISSING_LEVEL}


def test_swapped_names_speak_crosswise_only() -> None:
    left = side({"given": 1, "surname": 2}, {"given": 1, "surname": 2}, {"given": 1, "surname": 1})
    right = side({"given": 2, "surname": 1}, {"given": 1, "surname": 2}, {"given": 1, "surname": 1})
    found = levels(left, right)
    assert found["given~surname"] == [2, 0, 0]
    assert found["given"] == found["surname"] == [MISSING_LEVEL, EXACT, EXACT]
    assert set(levels(left, right, Matching())) == {"given", "middle", "surname", "city"} | {
        "surname frequency"
    }


def test_half_a_swap_is_none() -> None:
    found = levels(side({"given": 1, "surname": 2}), side({"given": 3, "surname": 1}))
    assert found["given~surname"] == [0]
    assert found["surname"] == [0]


def test_a_surname_found_as_middle_name() -> None:
    left = side({"given": 1, "middle": 5, "surname": 2})
    right = side({"given": 1, "middle": (2, 10), "surname": 3})
    found = levels(left, right)
    assert found["middle~surname"] == [1]
    assert found["surname"] == found["middle"] == [MISSING_LEVEL]
    assert found["given"] == [EXACT]


def test_initials_are_held_against_initials_only() -> None:
    left = side({"middle": 1, "initials": ("middle",)}, {"middle": 1, "initials": ("middle",)})
    right = side({"middle": 2}, {"middle": 1, "surname": 1, "initials": ("middle",)})
    found = levels(left, right)
    assert found["middle"] == [MISSING_LEVEL, EXACT]
    assert found["middle~surname"] == [MISSING_LEVEL, MISSING_LEVEL]


def test_frequency_speaks_where_names_agree() -> None:
    kinds = [(1, 1), (3, 3), (2, 3), (0, 3)]
    left = side(*({"surname": 1, "class": one} for one, _ in kinds), {"surname": 1, "class": 3})
    right = side(
        *({"surname": 1, "class": other} for _, other in kinds), {"surname": 9, "class": 3}
    )
    assert levels(left, right)["surname frequency"] == [0, 2, 1, MISSING_LEVEL, MISSING_LEVEL]


def test_declared_groups_and_the_rest_alone() -> None:
    matching = Matching(dependent=(("city", "surname"),))
    vectors = compare_fields(side({}), side({}), NAMES, matching)
    assert vectors.groups[0] == (3, 2)
    assert sorted(n for group in vectors.groups for n in group) == list(range(5))


def test_answers_of_other_pairs_or_fields_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="same pairs"):
        compare_fields(side({}), side({}, {}), NAMES, Matching())
    with pytest.raises(InvalidRequestError, match="same pairs"):
        compare_fields(side({}), side({}), NAMES[:2], Matching())
