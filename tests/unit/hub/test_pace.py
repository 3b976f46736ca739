"""Calls are counted by the minute, and a refusal says when to try again."""

from __future__ import annotations

import pytest

from linkage.errors import LimitError
from linkage.hub import pace
from linkage.hub.pace import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000_000.0 * 60]
    monkeypatch.setattr(pace.time, "time", lambda: now[0])
    return now


def test_a_minute_holds_so_many_calls_and_the_next_begins_anew(clock: list[float]) -> None:
    calls = Pace()
    for _ in range(3):
        calls.count("p", "a", 3)
    clock[0] += 59
    with pytest.raises(LimitError, match="'p' allows 3 calls in a minute for one party") as caught:
        calls.count("p", "a", 3)
    assert caught.value.remedy == "Try again from 1971-11-26 10:41:00 UTC on"
    clock[0] += 1
    calls.count("p", "a", 3)


def test_parties_and_projects_are_counted_apart(clock: list[float]) -> None:
    calls = Pace()
    for project, party in (("p", "a"), ("p", "b"), ("q", "a"), ("", "a")):
        calls.count(project, party, 1)
        with pytest.raises(LimitError):
            calls.count(project, party, 1)


def test_what_is_only_counted_is_not_refused(clock: list[float]) -> None:
    calls = Pace()
    for _ in range(3):
        calls.count("p", "", 1, refuses=False)
    with pytest.raises(LimitError, match="for all its parties"):
        calls.count("p", "", 1)
