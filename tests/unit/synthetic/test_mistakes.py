from __future__ import annotations

import random
from datetime import date

import pytest

from linkage.synthetic import mistakes


@pytest.fixture
def source() -> random.Random:
    return random.Random(1)


def test_misspelling_changes_a_little(source: random.Random) -> None:
    for word in ("Smith", "Nguyen", "O'Brien", "García", "Li", "De La Cruz"):
        for _ in range(200):
            wrong = mistakes.misspell(word, source)
            assert wrong
            assert abs(len(wrong) - len(word)) <= 2
    assert mistakes.misspell("J", source) == "J"


def test_dates_stay_dates_of_the_past(source: random.Random) -> None:
    days = (date(2024, 2, 29), date(2025, 12, 31), date(1930, 1, 1), date(1976, 7, 4))
    for day in days:
        changed = {mistakes.wrong_date(day, source) for _ in range(300)}
        assert len(changed) > 5
        assert max(changed) <= mistakes.LATEST


def test_day_and_month_change_places(source: random.Random) -> None:
    assert mistakes.swap_day_and_month(date(1976, 7, 4), source) == date(1976, 4, 7)
    assert mistakes.swap_day_and_month(date(1976, 7, 30), source) != date(1976, 7, 30)


def test_wrong_digit_keeps_the_length(source: random.Random) -> None:
    for _ in range(100):
        assert len(mistakes.wrong_digit("6055551234", source)) == 10
    assert mistakes.wrong_digit("", source) == ""


def test_nickname_of_a_name_without_one(source: random.Random) -> None:
    assert mistakes.nickname("Xenia", source) == "Xenia"
    assert mistakes.nickname("Robert", source) in {"Bob", "Rob", "Bobby", "Robbie"}


def test_wrong_address_is_still_one(source: random.Random) -> None:
    for _ in range(100):
        assert mistakes.wrong_address("1204 North Maple Street Apt 3", source).startswith(
            tuple("0123456789")
        )
