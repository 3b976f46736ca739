"""The people of the county: households with names, birth dates, addresses and telephones.

- Members of a household share address and mostly surname; some are twins, and some sons bear
  their father's whole name (Sr and Jr): the pairs that a linkage must keep apart.
- Each person also has an earlier address, telephone and surname, which an agency that met the
  person long ago may still hold.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from linkage.synthetic.names import GROUPS, Strings, accent, draw_given, draw_surnames
from linkage.synthetic.places import MUNICIPALITIES, draw_dwellings, draw_phones, draw_towns

TODAY = np.datetime64("2026-01-01", "D")

RACE_CODES = {
    "white": "WHITE",
    "black": "BLACK",
    "hispanic": "HISP",
    "asian": "ASIAN",
    "native": "AIAN",
    "mena": "MENA",
    "pacific": "NHPI",
}
"""The seven minimum categories of OMB Statistical Policy Directive 15 (2024)."""

_SIZES = (0.27, 0.33, 0.16, 0.14, 0.07, 0.03)


def make_people(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """The population, one row per person; `person` is the true person number."""
    people = _households(count, rng)
    _name(people, rng)
    _juniors(people, rng)
    _settle(people, rng)
    people["ssn4"] = [f"{n:04d}" for n in rng.integers(1, 10_000, count)]
    people["race"] = _race(people["group"].to_numpy(dtype=object), rng)
    return people


def _households(count: int, rng: np.random.Generator) -> pd.DataFrame:
    sizes = rng.choice(len(_SIZES), count, p=_SIZES) + 1
    homes = int(np.searchsorted(np.cumsum(sizes), count)) + 1
    household = np.repeat(np.arange(homes), sizes[:homes])[:count]
    starts = np.flatnonzero(np.diff(household, prepend=-1))
    place = np.arange(count) - starts[household]

    town = draw_towns(homes, rng)
    mixes = np.array([m.groups for m in MUNICIPALITIES]).cumsum(axis=1)
    mixes /= mixes[:, -1:]
    group = (rng.random(homes)[:, None] > mixes[town]).sum(axis=1)

    head_age = np.where(
        sizes[:homes] >= 3, rng.uniform(24, 60, homes), rng.triangular(18, 32, 94, homes)
    )
    couple = (rng.random(homes) < 0.72)[household] & (place == 1)
    lodger = (place >= 2) & (rng.random(count) < 0.05)
    child = (place >= 1) & ~couple & ~lodger
    age = head_age[household]
    age = np.where(couple, np.clip(age + rng.normal(0, 4, count), 18, 95), age)
    age = np.where(lodger, rng.uniform(18, 70, count), age)
    youngest_parent = np.maximum(head_age[household] - 18, 0.5)
    oldest = np.clip(head_age[household] - 44, 0, None)
    age = np.where(child, rng.uniform(np.minimum(oldest, youngest_parent), youngest_parent), age)
    birth = TODAY - (age * 365.2425).astype("timedelta64[D]") - rng.integers(1, 30, count)

    twin = child & np.roll(child, 1) & (place >= 2) & (rng.random(count) < 0.04)
    birth[twin] = birth[np.flatnonzero(twin) - 1]
    sex = np.where(rng.random(count) < 0.5, "F", "M").astype(object)
    opposite = np.where(sex[starts[household]] == "F", "M", "F")
    sex[couple] = np.where(rng.random(count) < 0.97, opposite, sex)[couple]
    partner = np.where(
        rng.random(count) < 0.85, group[household], rng.permutation(group)[household]
    )
    own = np.where(couple | lodger, partner, group[household])
    return pd.DataFrame(
        {
            "person": np.arange(1, count + 1),
            "household": household,
            "place": place,
            "couple": couple,
            "child": child,
            "lodger": lodger,
            "twin": twin,
            "group": np.array(GROUPS, dtype=object)[own],
            "sex": sex,
            "birth": birth,
            "town": town[household],
        }
    )


def _name(people: pd.DataFrame, rng: np.random.Generator) -> None:
    count = len(people)
    group = people["group"].to_numpy(dtype=object)
    sex = people["sex"].to_numpy(dtype=object)
    born = people["birth"].dt.year.to_numpy(dtype=np.int64)
    head = np.flatnonzero(people["place"] == 0)[people["household"]]

    own = draw_surnames(group, rng)
    second = draw_surnames(group, rng)
    joined = np.array(["-", " "], dtype=object)[rng.integers(0, 2, count)]
    double = (group == "hispanic") & (rng.random(count) < 0.3)
    own = np.where(double, own + joined + second, own)
    couple, child = people["couple"].to_numpy(), people["child"].to_numpy()
    choice = rng.random(count)
    takes = (couple & (sex == "F") & (choice < 0.68)) | (child & (choice < 0.88))
    hyphen = couple & (sex == "F") & (choice >= 0.68) & (choice < 0.74)
    surname = np.where(takes, own[head], np.where(hyphen, own + "-" + own[head], own))
    twins = np.flatnonzero(people["twin"])
    surname[twins] = surname[twins - 1]
    former = np.where(couple & (takes | hyphen), own, surname)
    divorced = (sex == "F") & ~couple & ~child & (born < 2000) & (rng.random(count) < 0.15)
    former = np.where(divorced, draw_surnames(group, rng), former)

    given = draw_given(group, sex, born, rng)
    middle = draw_given(group, sex, np.minimum(born, 1990), rng)
    short = np.array([name[0] for name in middle], dtype=object)
    kind = rng.random(count)
    middle = np.where((kind < 0.12) | (middle == given), "", np.where(kind < 0.18, short, middle))
    accented = (group == "hispanic") & (rng.random(count) < 0.4)
    for name, values in (("given", given), ("middle", middle), ("surname", surname)):
        people[name] = np.where(accented, accent(values), values)
    people["former"] = np.where(former == surname, people["surname"], former)
    people["suffix"] = ""


def _juniors(people: pd.DataFrame, rng: np.random.Generator) -> None:
    """Give some sons all of their father's name."""
    men = people["sex"] == "M"
    fathers = people[men & (people["place"] == 0)].set_index("household")
    sons = people[men & people["child"] & ~people["twin"]].drop_duplicates("household")
    sons = sons[sons["household"].isin(fathers.index)]
    sons = sons[rng.random(len(sons)) < 0.09]
    father = fathers.loc[sons["household"]]
    for column in ("given", "middle", "surname", "former"):
        people.loc[sons.index, column] = father[column].to_numpy()
    people.loc[sons.index, "suffix"] = "Jr"
    people.loc[father["person"].to_numpy() - 1, "suffix"] = "Sr"


def _settle(people: pd.DataFrame, rng: np.random.Generator) -> None:
    count = len(people)
    homes = np.flatnonzero(people["place"] == 0)
    household = people["household"].to_numpy()
    dwellings = draw_dwellings(people["town"].to_numpy()[homes], rng)
    moved_within = rng.random(len(homes)) < 0.6
    earlier_town = np.where(
        moved_within, people["town"].to_numpy()[homes], draw_towns(len(homes), rng)
    )
    earlier = draw_dwellings(earlier_town, rng)
    for column in dwellings:
        people[column] = dwellings[column].to_numpy(dtype=object)[household]
        people[f"{column}_before"] = earlier[column].to_numpy(dtype=object)[household]

    phones = np.array(draw_phones(count + 2 * len(homes), rng), dtype=object)
    mobile, landline, old = np.split(phones, [count, count + len(homes)])
    adult = people["birth"].to_numpy() < TODAY - np.timedelta64(15 * 365, "D")
    has_mobile = adult & (rng.random(count) < 0.8)
    people["phone"] = np.where(has_mobile, mobile, landline[household])
    people["phone_before"] = np.where(
        has_mobile & (rng.random(count) < 0.5), landline[household], old[household]
    )


def _race(groups: Strings, rng: np.random.Generator) -> list[str]:
    second = rng.choice(np.array(GROUPS, dtype=object), len(groups))
    chance = rng.random(len(groups))
    chosen = []
    for group, other, luck in zip(groups, second, chance, strict=True):
        codes = {RACE_CODES[group]}
        if group == "hispanic" and luck < 0.4:
            codes.add("WHITE")
        elif luck > 0.95:
            codes.add(RACE_CODES[other])
        chosen.append("|".join(sorted(codes)))
    return chosen
