"""What follows what: the share of people (or events) that a service of another partner follows.

- By day where both tables have days, counted from the same start for one person; by month where
  they have months alone, in which case a service of the same month may have come before.
- Only events count whose whole window lies inside what the services cover, so that the end of
  the data does not look like the end of a service.
- By default a person counts once, by the first event; with `every`, each event counts, and the
  interval knows that events of one person are not independent.
- Shares are corrected for wrong and missing links; see `linkerror`.

    groups = count(events, services, days=30, linked=in_health, by="municipality")
    correct(groups[0].counted, error, background=groups[0].background)
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.errors import InputError
from linkage.evaluator.linkerror import Counted, observations

UNKNOWN = "not known"
DAY, MONTH = "day", "month"
_DAYS_OF_MONTH = 365.2425 / 12
_LONGEST_MONTH = 31

Numbers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Group:
    """What was counted for one group.

    Attributes:
        name: value of the column that groups; None for everybody.
        background: chance that somebody of the service's partner, picked at random, has a
            service in the window of one of these events.
    """

    name: str | None
    counted: Counted
    background: float


def count(
    events: pd.DataFrame,
    services: pd.DataFrame,
    *,
    days: int,
    linked: Collection[str],
    by: str | None = None,
    every: bool = False,
) -> list[Group]:
    """Count what services follow, for everybody first and then, if asked, by group.

    Args:
        events, services, days, linked, every: see `watch`.
        by: column of `events` to group by.

    Raises:
        InputError: no kind of time is in both tables.
    """
    watched = watch(events, services, days=days, linked=linked, every=every)
    groups = None if by is None else events[by]
    return grouped(watched, groups, every=every)


def watch(
    events: pd.DataFrame,
    services: pd.DataFrame,
    *,
    days: int,
    linked: Collection[str],
    every: bool = False,
) -> pd.DataFrame:
    """The events whose window is covered, and whether a service follows.

    Args:
        events, services: `study_id`, and `day` (whole days, from one start for a person),
            `month` ("2024-05"), or both.
        days: a service counts that starts within so many days of the event, that day included.
        linked: the people that the services' partner holds a record of.
        every: watch each event instead of each person's first.

    Returns:
        `person`, `follows`, `linked`, `background` (see `Group`); the index is that of `events`.

    Raises:
        InputError: no kind of time is in both tables.
    """
    if days < 0:
        raise InputError(f"{days} days is no window")
    unit, width = _unit(events, services, days)
    events, services = _timed(events, unit), _timed(services, unit)
    if not every:
        events = events.sort_values("at", kind="stable").drop_duplicates("study_id")
    covered = _covered(events, services, days)
    known = set(linked)
    events = events[covered]
    return pd.DataFrame(
        {
            "person": events["study_id"].to_numpy(),
            "follows": _follows(events, services, width),
            "linked": events["study_id"].isin(known).to_numpy(),
            "background": _background(events, services, unit, width, len(known)),
        },
        index=events.index,
    )


def grouped(
    watched: pd.DataFrame, groups: pd.Series[Any] | None, *, every: bool = False
) -> list[Group]:
    """What was watched, counted: for everybody first and then, if asked, by group.

    Args:
        groups: of each event, by its index; missing is a group of its own.
    """
    found = [_group(None, watched, every)]
    if groups is not None:
        names = groups.reindex(watched.index).fillna(UNKNOWN).astype(str)
        found += [_group(str(name), part, every) for name, part in watched.groupby(names)]
    return found


def unit_of(events: pd.DataFrame, services: pd.DataFrame) -> str:
    """`day` or `month`: the finest kind of time that both tables have.

    Raises:
        InputError: there is none.
    """
    for unit in (DAY, MONTH):
        if unit in events and unit in services:
            return unit
    raise InputError(
        "the two tables have neither days nor months in common",
        remedy="The manifest lets events and services leave with the transform day or month",
    )


def months_of(days: int) -> int:
    """In how many months after an event's own a window of days may end."""
    return math.ceil(days / _LONGEST_MONTH)


def month_numbers(column: pd.Series[Any]) -> Numbers:
    """ "2024-05" as a number that counts months."""
    text = column.astype(str)
    year = text.str.slice(0, 4).astype(np.int64).to_numpy()
    found: Numbers = year * 12 + text.str.slice(5, 7).astype(np.int64).to_numpy() - 1
    return found


def _unit(events: pd.DataFrame, services: pd.DataFrame, days: int) -> tuple[str, int]:
    unit = unit_of(events, services)
    return unit, days if unit == DAY else months_of(days)


def _timed(table: pd.DataFrame, unit: str) -> pd.DataFrame:
    """The rows whose time is known, with `at` as a number."""
    table = table[table[unit].notna()]
    at = table[DAY].astype(np.int64) if unit == DAY else month_numbers(table[MONTH])
    return table.assign(at=np.asarray(at, np.int64))


def _covered(events: pd.DataFrame, services: pd.DataFrame, days: int) -> Truths:
    """Which events' windows lie inside the services' months; all, where there are no months."""
    covered = np.ones(len(events), np.bool_)
    if MONTH not in events or MONTH not in services or not len(services):
        return covered if len(services) else ~covered
    offered = month_numbers(services[MONTH].dropna())
    known = events[MONTH].notna().to_numpy()
    at = month_numbers(events[MONTH][known])
    inside = (at >= offered.min()) & (at + months_of(days) <= offered.max())
    covered[known] = inside
    return covered


def _follows(events: pd.DataFrame, services: pd.DataFrame, width: int) -> Truths:
    people = pd.concat([events["study_id"], services["study_id"]]).to_numpy()
    codes, _ = pd.factorize(people)
    at = np.concatenate([events["at"].to_numpy(), services["at"].to_numpy()])
    low = int(at.min(initial=0))
    stride = int(at.max(initial=0)) - low + width + 2
    keys = codes.astype(np.int64) * stride + (at - low)
    own, offered = keys[: len(events)], np.unique(keys[len(events) :])
    place = np.searchsorted(offered, own)
    inside = place < len(offered)
    follows = np.zeros(len(events), np.bool_)
    follows[inside] = offered[place[inside]] <= own[inside] + width
    return follows


def _background(
    events: pd.DataFrame, services: pd.DataFrame, unit: str, width: int, people: int
) -> npt.NDArray[np.float64]:
    """For each event, the share of the services' people with one in the event's window."""
    if not people or not len(services) or not len(events):
        return np.zeros(len(events))
    if unit == DAY:
        # Days start anew for every person, so only how densely services lie can be told.
        return np.full(len(events), _density(services, width) / people)
    held = services[["study_id", "at"]].drop_duplicates()
    starts = pd.concat([held.assign(at=held["at"] - lag) for lag in range(width + 1)])
    inside = starts.drop_duplicates().groupby("at").size() / people
    found: npt.NDArray[np.float64] = np.asarray(events["at"].map(inside).fillna(0.0), np.float64)
    return found


def _density(services: pd.DataFrame, width: int) -> float:
    """Over all people, the sum of the share of windows that hold a service."""
    held = services[["study_id", "at"]].drop_duplicates().sort_values(["study_id", "at"])
    gap = held.groupby("study_id")["at"].diff().fillna(width + 1)
    windows = np.minimum(gap.to_numpy(np.float64), width + 1).sum()
    if MONTH in services and services[MONTH].notna().any():
        months = month_numbers(services[MONTH].dropna())
        span = (int(months.max()) - int(months.min()) + 1) * _DAYS_OF_MONTH
    else:
        by_person = held.groupby("study_id")["at"]
        span = float((by_person.max() - by_person.min()).max()) + 1
    return float(windows / max(span, width + 1.0))


def _group(name: str | None, frame: pd.DataFrame, every: bool) -> Group:
    background = float(frame["background"].mean()) if len(frame) else 0.0
    if not every:
        sizes = (len(frame), int(frame["follows"].sum()), int(frame["linked"].sum()))
        return Group(name, Counted(*sizes), background)
    per_person = frame.groupby("person").agg(
        events=("follows", "size"), followed=("follows", "sum"), linked=("linked", "first")
    )
    people, events = len(per_person), len(frame)
    followed = int(frame["follows"].sum())
    share = followed / events if events else 0.0
    # The share is a ratio of two sums over people, who are what is independent.
    rest = (per_person["followed"] - share * per_person["events"]).to_numpy(np.float64)
    variance = 0.0
    if people > 1:
        variance = float((rest**2).sum()) / events**2 * people / (people - 1)
    counted = Counted(
        people=people,
        followed=followed,
        linked=int(per_person["linked"].sum()),
        events=events,
        sampled=observations(share, variance, float(events if variance else people)),
    )
    return Group(name, counted, background)
