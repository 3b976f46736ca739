"""Crisis calls, treatment episodes and referrals, with planted effects to find again.

- Of the people with a crisis call in a municipality, a fixed share starts treatment within
  `WITHIN` days of their first call, that day included. No one else of them does so in that time,
  nor in the calendar month of the call or the two after it: by day and by month the share is the
  same.
- Calls about people of some groups end in jail more often (`JAILED`).
- Calls carry each department's own codes, so nothing can be counted without a crosswalk.
- A person's calls all come from one municipality.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from linkage.synthetic.people import TODAY
from linkage.synthetic.places import CALL_KINDS, DEPARTMENTS, MUNICIPALITIES

FIRST_DAY = np.datetime64("2024-01-01", "D")
CALL_DAYS = 690
WITHIN = 28
JAILED = 0.12
JAILED_MORE = {"BLACK": 0.3, "AIAN": 0.3}
"""Share of calls that end in jail: in general, and about people of these categories."""
DISPOSITIONS = ("ED", "JAIL", "RELEASED", "REFERRED", "CRISIS_TEAM", "GONE")
LEVELS = ("1", "2", "3", "4")
PROGRAMS = ("OUTPATIENT", "INTENSIVE", "RESIDENTIAL", "MAT", "CRISIS_STAB", "PEER")
REFERRAL_STATUS = ("SELF", "LAW", "HOSPITAL", "COURT", "SCHOOL", "NO_REFERRAL")
SERVICES = ("HOUSING", "FOOD", "CASH", "CHILDCARE", "TRANSPORT", "EMPLOYMENT", "ENERGY")
SERVICE_STATUS = ("RECEIVED", "WAITLIST", "DENIED", "CLOSED")

_NOTES = (
    "Caller reports neighbor shouting; contact made.",
    "Family asks for help, subject calm on arrival.",
    "Third call this week, see earlier report.",
    "",
)

Days = NDArray[np.datetime64]


def make_calls(
    records: pd.DataFrame,
    callers: NDArray[np.int64],
    towns: pd.Series[int],
    races: pd.Series[str],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Calls about these people, each filed under one of the person's records.

    Args:
        records: the sheriff's identifier records.
        callers: person numbers.
        towns, races: municipality number, and race and ethnicity, by person number.
    """
    again = rng.choice(5, len(callers), p=(0.66, 0.19, 0.09, 0.04, 0.02)) + 1
    person = np.repeat(callers, again)
    count = len(person)
    shuffled = records.iloc[rng.permutation(len(records))]
    record = shuffled.drop_duplicates("truth").set_index("truth")
    extra = records.drop_duplicates("truth", keep="last").set_index("truth")
    record_id = np.where(
        rng.random(count) < 0.8,
        record.loc[person, "record_id"].to_numpy(),
        extra.loc[person, "record_id"].to_numpy(),
    )
    town = towns.reindex(person).to_numpy(dtype=np.int64)
    kind = rng.choice(len(CALL_KINDS), count, p=(0.46, 0.19, 0.21, 0.14))
    department = _departments(town, rng)
    codes = [DEPARTMENTS[name][1][k] for name, k in zip(department, kind, strict=True)]
    tract = record.loc[person, "tract"].to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "incident_no": [f"I{n:07d}" for n in rng.permutation(count) + 1],
            "record_id": record_id,
            "day": FIRST_DAY + rng.integers(0, CALL_DAYS, count),
            "department": department,
            "call_code": codes,
            "disposition": _dispositions(races.reindex(person), rng),
            "response_level": _pick(LEVELS, (0.12, 0.38, 0.34, 0.16), count, rng),
            "municipality": [MUNICIPALITIES[t].name for t in town],
            "tract": np.where(rng.random(count) < 0.06, "", tract),
            "narrative": _pick(_NOTES, (0.25, 0.25, 0.25, 0.25), count, rng),
            "truth": person,
        }
    ).sort_values(["day", "incident_no"], ignore_index=True)


def _dispositions(races: pd.Series[str], rng: np.random.Generator) -> NDArray[np.object_]:
    rates = [
        max([JAILED_MORE.get(code, JAILED) for code in cell.split("|")])
        for cell in races.astype(str)
    ]
    others = _pick(
        tuple(name for name in DISPOSITIONS if name != "JAIL"),
        (0.30, 0.30, 0.18, 0.15, 0.07),
        len(rates),
        rng,
    )
    return np.where(rng.random(len(rates)) < np.array(rates), "JAIL", others).astype(object)


def _departments(town: NDArray[Any], rng: np.random.Generator) -> NDArray[np.object_]:
    chosen = np.empty(len(town), dtype=object)
    everywhere = [name for name, (where, _) in DEPARTMENTS.items() if where is None]
    for index in range(len(MUNICIPALITIES)):
        own = [name for name, (where, _) in DEPARTMENTS.items() if where == index]
        weights = [0.78] + [0.10] * (len(own) - 1) + [0.12] * len(everywhere)
        rows = np.flatnonzero(town == index)
        shares = np.array(weights) / sum(weights)
        chosen[rows] = rng.choice(np.array(own + everywhere, dtype=object), len(rows), p=shares)
    return chosen


def make_treatment(
    records: pd.DataFrame, calls: pd.DataFrame, rng: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Treatment episodes of the health agency's clients, and the planted effect as it came out."""
    first = calls.drop_duplicates("truth").set_index("truth")
    clients = np.sort(records["truth"].to_numpy(dtype=np.int64))
    treated = _treated(first, set(clients.tolist()), rng)

    extra = rng.choice(4, len(clients), p=(0.68, 0.21, 0.08, 0.03)) + 1
    person = np.repeat(clients, extra)
    month = rng.integers(0, 24, len(person))
    called = first["day"].reindex(person).to_numpy().astype("datetime64[M]")
    offset = month - (called - FIRST_DAY.astype("datetime64[M]")).astype(float)
    later = np.where(month < 20, month + 3, month - 3)
    month = np.where((offset >= 0) & (offset <= 2), later, month)
    planned = np.array(sorted(treated), dtype=np.int64)
    person = np.concatenate([person, planned])
    called_day = first["day"].reindex(planned).to_numpy().astype("datetime64[D]")
    soon = called_day + rng.integers(0, WITHIN + 1, len(planned))
    start = np.concatenate([_days_of(month, rng), soon])

    count = len(person)
    status = _pick(REFERRAL_STATUS, (0.34, 0.10, 0.22, 0.12, 0.07, 0.15), count, rng)
    by_law = np.arange(count) >= len(month)
    status[by_law & (rng.random(count) < 0.6)] = "LAW"
    end = start + rng.integers(3, 260, count)
    record = records.set_index("truth")["record_id"]
    episodes = pd.DataFrame(
        {
            "record_id": record.loc[person].to_numpy(),
            "start": start,
            "end": np.where(end >= TODAY, np.datetime64("NaT"), end),
            "program": _pick(PROGRAMS, (0.46, 0.16, 0.07, 0.12, 0.11, 0.08), count, rng),
            "referral_status": status,
            "truth": person,
        }
    ).sort_values(["start", "record_id"], ignore_index=True)
    return episodes, measure(calls, episodes)


def _treated(first: pd.DataFrame, clients: set[int], rng: np.random.Generator) -> set[int]:
    chosen: set[int] = set()
    for town in MUNICIPALITIES:
        people = first.index[first["municipality"] == town.name].to_numpy()
        able = np.array(sorted(set(people.tolist()) & clients), dtype=np.int64)
        wanted = min(round(town.treated * len(people)), len(able))
        chosen.update(rng.permutation(able)[:wanted].tolist())
    return chosen


def _days_of(months: NDArray[np.int64], rng: np.random.Generator) -> Days:
    first: Days = (FIRST_DAY.astype("datetime64[M]") + months).astype("datetime64[D]")
    return first + rng.integers(0, 28, len(months))


def measure(calls: pd.DataFrame, episodes: pd.DataFrame) -> dict[str, Any]:
    """The share of people treated within 30 days of their first call, by municipality.

    Both tables need `truth`: this is what a perfect linkage would find.
    """
    first = calls.sort_values(["day", "incident_no"]).drop_duplicates("truth")
    both = first.merge(episodes[["truth", "start"]], on="truth", how="left")
    waited = (both["start"] - both["day"]).dt.days
    within = waited.between(0, 30).to_numpy()
    found = first["truth"].isin(both.loc[within, "truth"])
    result: dict[str, Any] = {}
    for town in MUNICIPALITIES:
        here = found[first["municipality"] == town.name]
        result[town.name] = {
            "planted": town.treated,
            "people_with_call": len(here),
            "treated": int(here.sum()),
            "share": round(float(here.mean()), 4) if len(here) else None,
        }
    return result


def make_referrals(records: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Social services asked for and given."""
    again = rng.choice(4, len(records), p=(0.55, 0.27, 0.12, 0.06)) + 1
    record_id = np.repeat(records["record_id"].to_numpy(dtype=object), again)
    truth = np.repeat(records["truth"].to_numpy(), again)
    count = len(record_id)
    return pd.DataFrame(
        {
            "record_id": record_id,
            "day": FIRST_DAY + rng.integers(0, 731, count),
            "service": _pick(SERVICES, (0.18, 0.28, 0.14, 0.09, 0.10, 0.09, 0.12), count, rng),
            "status": _pick(SERVICE_STATUS, (0.58, 0.17, 0.11, 0.14), count, rng),
            "truth": truth,
        }
    ).sort_values(["day", "record_id"], ignore_index=True)


def _pick(
    values: tuple[str, ...], shares: tuple[float, ...], count: int, rng: np.random.Generator
) -> NDArray[np.object_]:
    return rng.choice(np.array(values, dtype=object), count, p=shares)
