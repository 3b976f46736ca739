from __future__ import annotations

import random
from typing import Any

import numpy as np
import pandas as pd
import pytest

from linkage.errors import InputError
from linkage.evaluator.followup import Group, count, months_of
from linkage.evaluator.linkerror import (
    MEASURED,
    Counted,
    LinkError,
    ModelError,
    Range,
    correct,
    wilson,
)
from linkage.synthetic import County


def slow_months(
    events: pd.DataFrame, services: pd.DataFrame, within: int, by: str | None
) -> dict[Any, tuple[int, int]]:
    def number(month: str) -> int:
        return int(month[:4]) * 12 + int(month[5:])

    later = {(s, number(m)) for s, m in zip(services.study_id, services.month, strict=True) if m}
    start, end = min(m for _, m in later), max(m for _, m in later)
    first: dict[str, dict[str, Any]] = {}
    for row in events.to_dict("records"):
        if row["month"] and (
            row["study_id"] not in first
            or number(row["month"]) < number(first[row["study_id"]]["month"])
        ):
            first[row["study_id"]] = row
    found: dict[Any, tuple[int, int]] = {None: (0, 0)}
    for row in first.values():
        at = number(row["month"])
        if start <= at <= end - within:
            hit = any((row["study_id"], at + lag) in later for lag in range(within + 1))
            for key in {None, (row[by] or "not known") if by else None}:
                people, part = found.get(key, (0, 0))
                found[key] = people + 1, part + hit
    return found


@pytest.mark.parametrize("days", [0, 30, 90])
@pytest.mark.parametrize("by", [None, "code"])
def test_months_agree_with_a_slow_count(days: int, by: str | None) -> None:
    chance = random.Random(days)
    months = [None, *(f"{year}-{month:02d}" for year in (2023, 2024) for month in (1, 6, 12))]

    def table(rows: int) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "study_id": [f"p{chance.randrange(60)}" for _ in range(rows)],
                "month": [chance.choice(months) for _ in range(rows)],
                "code": [chance.choice(["a", "b", None]) for _ in range(rows)],
            }
        )

    events, services = table(120), table(90)
    found = count(events, services, days=days, linked=[], by=by)
    expected = slow_months(events, services, months_of(days), by)
    assert {g.name: (g.counted.people, g.counted.followed) for g in found} == expected


@pytest.mark.parametrize("every", [False, True])
def test_days_agree_with_a_slow_count(every: bool) -> None:
    rng = np.random.default_rng(3)
    events = pd.DataFrame(
        {"study_id": rng.integers(0, 40, 80).astype(str), "day": rng.integers(-50, 300, 80)}
    )
    services = pd.DataFrame(
        {"study_id": rng.integers(0, 40, 90).astype(str), "day": rng.integers(-50, 300, 90)}
    )
    counted = events
    if not every:
        counted = events.sort_values("day", kind="stable").drop_duplicates("study_id")
    hits = sum(
        ((services.study_id == row.study_id) & services.day.between(row.day, row.day + 30)).any()
        for row in counted.itertuples()
    )
    [everybody] = count(events, services, days=30, linked=["1", "2"], every=every)
    assert everybody.counted.followed == hits
    assert everybody.counted.of == len(counted)
    assert everybody.counted.people == events.study_id.nunique()
    assert everybody.counted.linked == len({"1", "2"} & set(events.study_id))


def test_a_day_is_in_the_window_up_to_its_end_and_not_before_its_start() -> None:
    events = pd.DataFrame({"study_id": list("abcd"), "day": [10, 10, 10, 10]})
    services = pd.DataFrame({"study_id": list("abcd"), "day": [10, 40, 41, 9]})
    [found] = count(events, services, days=30, linked=list("abcd"))
    assert found.counted.followed == 2


def test_the_end_of_the_data_is_not_the_end_of_a_service() -> None:
    events = pd.DataFrame({"study_id": ["x", "y"], "month": ["2024-11", "2024-12"]})
    services = pd.DataFrame({"study_id": ["x", "z"], "month": ["2024-12", "2024-01"]})
    assert [g.counted for g in count(events, services, days=30, linked="xz")] == [Counted(1, 1, 1)]
    # By day, months still say which events have been waited for long enough.
    days = (events.assign(day=[0, 0]), services.assign(day=[20, 0]))
    assert [g.counted for g in count(*days, days=30, linked="xz")] == [Counted(1, 1, 1)]
    [nobody] = count(events.head(0), services, days=30, linked="xz")
    assert nobody.counted == Counted(0, 0, 0)
    assert correct(nobody.counted, LinkError.none(), background=0.0).true == Range(0, 0, 1)


def test_tables_without_a_common_time_are_refused() -> None:
    events = pd.DataFrame({"study_id": ["x"], "month": ["2024-11"]})
    services = pd.DataFrame({"study_id": ["x"], "day": [3]})
    with pytest.raises(InputError, match="neither days nor months"):
        count(events, services, days=30, linked=["x"])


def test_events_of_one_person_are_worth_less_than_as_many_people() -> None:
    events = pd.DataFrame({"study_id": np.repeat(np.arange(100), 10).astype(str), "day": 0})
    events["day"] = np.tile(np.arange(10), 100)
    services = pd.DataFrame({"study_id": np.arange(30).astype(str), "day": 9})
    [found] = count(events, services, days=30, linked=services["study_id"], every=True)
    assert found.counted.of == 1000
    assert found.counted.sampled == pytest.approx(99, abs=1)


def background_by_trial(services: pd.DataFrame, people: int, days: int) -> float:
    """Pick somebody and a day, many times over."""
    rng = np.random.default_rng(1)
    held = services.groupby("study_id")["day"].agg(list).to_dict()
    names = [str(n) for n in range(people)]
    hits = 0
    for _ in range(20_000):
        start = rng.integers(0, 720)
        own = held.get(names[rng.integers(people)], [])
        hits += any(start <= day <= start + days for day in own)
    return hits / 20_000


def test_the_background_is_what_a_person_picked_at_random_has() -> None:
    rng = np.random.default_rng(9)
    services = pd.DataFrame(
        {"study_id": rng.integers(0, 300, 1500).astype(str), "day": rng.integers(0, 720, 1500)}
    )
    events = pd.DataFrame({"study_id": ["e"], "day": [100]})
    [found] = count(events, services, days=30, linked=[str(n) for n in range(300)])
    assert found.background == pytest.approx(background_by_trial(services, 300, 30), rel=0.1)
    dates = np.datetime64("2024-01-01") + services["day"].to_numpy()
    monthly = services.assign(month=pd.Series(dates).dt.strftime("%Y-%m")).drop(columns="day")
    event = pd.DataFrame({"study_id": ["e"], "month": ["2024-05"]})
    [found] = count(event, monthly, days=30, linked=[str(n) for n in range(300)])
    inside = set(monthly[monthly["month"].isin(["2024-05", "2024-06"])]["study_id"])
    assert found.background == pytest.approx(len(inside) / 300)


QUALITY = {
    "recommended": {"threshold": 0.5, "precision": 0.9, "recall": 0.9},
    "pairs": {
        "a|b": {
            "candidate_recall": 0.98,
            "at_recommended": {
                "precision": 0.96,
                "precision_interval": [0.95, 0.97],
                "recall": 0.9,
                "recall_interval": [0.87, 0.93],
            },
        }
    },
}


def test_the_error_is_the_reports_and_wider() -> None:
    error = LinkError.between(QUALITY, "b", "a", model_error=ModelError.of(0.04))
    assert error is not None
    assert error.recall.value == pytest.approx(0.882)
    assert error.recall.low == pytest.approx(0.882 - np.hypot(0.0294, 0.04))
    assert error.precision.high == 1.0
    assert error.source == "the quality report's estimate for b and a"
    usual = LinkError.between(QUALITY, "a", "b")
    assert usual is not None
    assert usual.recall.high - 0.882 > 0.882 - usual.recall.low > MEASURED.recall[0]
    stratum = error.for_stratum({"precision": 0.8, "recall": 0.7}, "town Millbrook")
    assert stratum.recall.value == 0.7
    assert stratum.recall.high - stratum.recall.low == pytest.approx(
        error.recall.high - error.recall.low
    )
    assert error.for_stratum(None, "x") == error
    other = LinkError.between(QUALITY, "a", "c")
    assert other is not None
    assert "all partners together" in other.source
    assert LinkError.between({}, "a", "b") is None
    with pytest.raises(InputError, match="recall"):
        LinkError.given(0.9, 0.0)


def test_without_error_nothing_is_corrected() -> None:
    found = correct(Counted(200, 50, 120), LinkError.none(), background=0.2)
    assert found.true == found.raw
    assert (found.raw.low, found.raw.high) == wilson(50, 200)
    assert (found.missed, found.wrong) == (0, 0)


def test_the_correction_undoes_what_wrong_and_missing_links_do() -> None:
    true, recall, precision, background = 0.25, 0.8, 0.9, 0.1
    linked = 480
    seen = recall * true + (1 - precision) * linked / 1000 * background
    error = LinkError.given(precision, recall)
    found = correct(Counted(1000, round(1000 * seen), linked), error, background=background)
    assert found.true.value == pytest.approx(true, abs=0.001)
    assert found.raw.value < true
    none = correct(Counted(1000, 0, linked), error, background=background)
    assert none.true.value == none.true.low == 0
    assert none.true.high > none.raw.high


def simulate(
    rng: np.random.Generator,
    *,
    people: int,
    true: float,
    recall: float,
    precision: float,
    background: float,
    clients: float,
) -> Counted:
    """Draw persons, their services and their links, person by person."""
    followed = rng.random(people) < true
    client = followed | (rng.random(people) < (clients - true) / (1 - true))
    right = client & (rng.random(people) < recall)
    # As many wrong links, among those without a right one, as the precision says.
    rate = recall * clients * (1 - precision) / precision / (1 - recall * clients)
    wrong = ~right & (rng.random(people) < rate)
    seen = (right & followed) | (wrong & (rng.random(people) < background))
    return Counted(people, int(seen.sum()), int((right | wrong).sum()))


@pytest.mark.parametrize(
    ("people", "true", "recall", "precision"),
    [
        (100, 0.25, 0.9, 0.95),
        (60, 0.06, 0.8, 0.9),
        (1000, 0.3, 0.7, 0.85),
        (400, 0.1, 0.97, 0.8),
        (1000, 0.02, 0.9, 0.9),
    ],
)
def test_the_interval_covers_what_is_true(
    people: int, true: float, recall: float, precision: float
) -> None:
    """Over 2,000 linkages with known error rates, and with rates known from 300 reviewed pairs."""
    rng = np.random.default_rng(people)
    background, runs = 0.1, 2000
    inside = {"known": 0, "reviewed": 0, "raw": 0}
    for _ in range(runs):
        counted = simulate(
            rng, people=people, true=true, recall=recall, precision=precision,
            background=background, clients=0.5,
        )  # fmt: skip
        known = LinkError.given(precision, recall)
        shares = (rng.binomial(300, rate) / 300 for rate in (precision, recall))
        ranges = [Range(share, *wilson(share * 300, 300)) for share in shares]
        reviewed = LinkError(ranges[0], ranges[1], "review")
        for name, error in (("known", known), ("reviewed", reviewed)):
            found = correct(counted, error, background=background)
            inside[name] += found.true.low <= true <= found.true.high
        inside["raw"] += found.raw.low <= true <= found.raw.high
    assert inside["known"] / runs >= 0.93
    assert inside["reviewed"] / runs >= 0.93
    if people == 1000 and recall < 0.8:
        assert inside["raw"] / runs < 0.1  # what is not corrected is wrong, and surely so


@pytest.fixture(scope="module")
def county() -> County:
    return County.make(people=20_000, seed=2026)


def link(
    county: County, rng: np.random.Generator, recall: float, precision: float
) -> tuple[pd.DataFrame, pd.DataFrame, set[str]]:
    """Calls and treatment under study ids of a linkage with known error rates."""
    calls = county.content["sheriff"]["crisis_calls"]
    records = county.identifiers["sheriff"].set_index("name_id")["truth"]
    caller = calls["name_id"].map(records)
    clients = county.identifiers["health"].set_index("client_id")["truth"]
    persons = np.unique(county.identifiers["sheriff"]["truth"])
    shared = np.intersect1d(persons, clients)
    kept = shared[rng.random(len(shared)) < recall]
    # Whoever is linked wrongly gets a client who is nobody else's.
    free = rng.permutation(np.setdiff1d(clients, kept))
    count_wrong = round(len(kept) * (1 - precision) / precision)
    wrong = rng.choice(np.setdiff1d(persons, kept), count_wrong, replace=False)
    to_sheriff = dict(zip(kept, kept, strict=True)) | dict(
        zip(free[:count_wrong], wrong, strict=True)
    )
    study = clients.map(lambda n: f"s{to_sheriff[n]}" if n in to_sheriff else f"h{n}")
    treatment = county.content["health"]["treatment"]
    events = pd.DataFrame(
        {
            "study_id": "s" + caller.astype(str),
            "month": pd.to_datetime(calls["call_date"], format="%m/%d/%Y").dt.strftime("%Y-%m"),
            "municipality": calls["municipality"],
        }
    )
    services = pd.DataFrame(
        {
            "study_id": treatment["client_id"].map(study),
            "month": pd.to_datetime(treatment["episode_start"]).dt.strftime("%Y-%m"),
        }
    )
    return events, services, set(study)


@pytest.mark.parametrize(("recall", "precision"), [(0.95, 0.95), (0.7, 0.9)])
def test_a_planted_effect_is_found_through_a_bad_linkage(
    county: County, recall: float, precision: float
) -> None:
    events, services, linked = link(county, np.random.default_rng(5), recall, precision)
    groups = count(events, services, days=30, linked=linked, by="municipality")
    error = LinkError.given(precision, recall)
    planted = county.truth["crisis_to_treatment"]["municipalities"]
    towns: list[Group] = [group for group in groups if group.name]
    assert {group.name for group in towns} == set(planted)
    inside = 0
    for group in towns:
        found = correct(group.counted, error, background=group.background).true
        assert group.name is not None
        inside += found.low <= planted[group.name]["planted"] <= found.high
    assert inside >= 8
    everybody = correct(groups[0].counted, error, background=groups[0].background)
    true = sum(t["treated"] for t in planted.values()) / sum(
        t["people_with_call"] for t in planted.values()
    )
    assert everybody.true.low <= true <= everybody.true.high
    assert abs(everybody.true.value - true) < 0.012
    if recall < 0.8:
        assert everybody.raw.high < true


def test_wilson_agrees_with_a_published_value() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 20)[0] == 0.0
    assert round(wilson(0, 20)[1], 4) == 0.1611
    assert wilson(0, 0) == (0.0, 1.0)
