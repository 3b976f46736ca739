"""Prairie County: made-up people, three agencies' files about them, and the truth.

    county = County.make(people=20_000, seed=2026)
    files = write_county(county, Path("county"))

- The same number of people and seed give the same bytes.
- The true person number is in the column `truth` of every identifier file; it is in no field of
  the manifest, so it is never encoded or sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from linkage.synthetic.agencies import AGENCIES, HEALTH, SHERIFF, SOCIAL
from linkage.synthetic.agreement import demo_manifest
from linkage.synthetic.content import JAILED_MORE, make_calls, make_referrals, make_treatment
from linkage.synthetic.people import TODAY, make_people
from linkage.synthetic.places import CALL_KINDS, DEPARTMENTS
from linkage.synthetic.records import make_records, write_style
from linkage.synthetic.services import make_measures, make_sites, make_tracts, spending

_PATTERNS = ("", "s", "h", "o", "sh", "so", "ho", "sho")
_SHARES = (0.135, 0.145, 0.235, 0.255, 0.035, 0.065, 0.095, 0.035)
"""In which files a person is: s(heriff), h(ealth), s(o)cial services."""

_MOST_DUPLICATES = 4


@dataclass(frozen=True)
class CountyFiles:
    """Where a county was written.

    Attributes:
        identifiers: one CSV by partner.
        content: one CSV by partner and table, for the tables that are files of their own.
        tracts: the public table of census tracts, which is no partner's.
    """

    directory: Path
    manifest: Path
    truth: Path
    identifiers: Mapping[str, Path]
    content: Mapping[str, Mapping[str, Path]]
    tracts: Path


@dataclass(frozen=True)
class County:
    """People, the agencies' files as tables of text, and what is true about them.

    Attributes:
        people: one row per person, nothing missing or mistaken.
        identifiers: by partner, as in its own file, with the column `truth`.
        content: by partner and table.
        tracts: the public table of census tracts: residents, and where they lie.
        truth: JSON: sizes, overlaps, the planted effects and the meaning of local codes.
    """

    people: pd.DataFrame
    identifiers: Mapping[str, pd.DataFrame]
    content: Mapping[str, Mapping[str, pd.DataFrame]]
    tracts: pd.DataFrame
    truth: Mapping[str, Any]

    @classmethod
    def make(cls, people: int = 20_000, seed: int = 2026) -> County:
        """A county of so many people.

        Args:
            people: at least 100.
            seed: the same seed gives the same county.
        """
        if people < 100:
            raise ValueError("a county needs at least 100 people")
        rng = np.random.default_rng(seed)
        population = make_people(people, rng)
        member = _membership(population, rng)
        records = {
            agency.name: make_records(agency, clients, rng)
            for agency, clients in zip(
                AGENCIES,
                (
                    _booked(population[member["sheriff"]], rng),
                    population[member["health"]],
                    population[member["social"]],
                ),
                strict=True,
            )
        }
        calls = make_calls(
            records["sheriff"],
            _callers(population, member, rng),
            population.set_index("person")["town"],
            population.set_index("person")["race"],
            rng,
        )
        treatment, effect = make_treatment(records["health"], calls, rng)
        referrals = make_referrals(records["social"], rng)
        tracts = make_tracts(population)
        sites = make_sites(tracts, rng)
        measures = make_measures(people, rng)
        return cls(
            people=population,
            identifiers={a.name: write_style(a, records[a.name]) for a in AGENCIES},
            content=_content(records, calls, treatment, referrals, sites, measures),
            tracts=tracts,
            truth={"people": people, "seed": seed}
            | _truth(records)
            | {"crisis_to_treatment": _EFFECT | {"municipalities": effect}}
            | {"jailed": _JAILED | {"categories": JAILED_MORE}}
            | {"spending": spending(sites)}
            | _codes(),
        )


_EFFECT = {
    "definition": "share of the people with a call in sheriff.crisis_calls who start a health."
    "treatment episode within 30 days of their first call, by the municipality of the first call",
}

_JAILED = {
    "definition": "share of calls that end in JAIL about people of these categories of race and"
    " ethnicity, alone or in combination",
}


def _membership(people: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.Series[bool]]:
    """Who is in which file; children are in no sheriff's file."""
    counts = np.round(np.array(_SHARES) * len(people)).astype(int)
    counts[0] += len(people) - counts.sum()
    adult = people["birth"].to_numpy() < TODAY - np.timedelta64(17 * 365, "D")
    order = np.concatenate([rng.permutation(np.flatnonzero(part)) for part in (adult, ~adult)])
    booked = [at for at, pattern in enumerate(_PATTERNS) if "s" in pattern]
    rest = [at for at, pattern in enumerate(_PATTERNS) if "s" not in pattern]
    pattern = np.empty(len(people), dtype=object)
    split = int(counts[booked].sum())
    for part, patterns in ((order[:split], booked), (order[split:], rest)):
        names = np.repeat(np.array(_PATTERNS, dtype=object)[patterns], counts[patterns])
        pattern[part] = rng.permutation(names)
    letters = pd.Series(pattern, index=people.index)
    return {
        agency.name: letters.str.contains(letter)
        for agency, letter in ((SHERIFF, "s"), (HEALTH, "h"), (SOCIAL, "o"))
    }


def _booked(people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The people once for each of their bookings."""
    times = rng.choice(_MOST_DUPLICATES, len(people), p=(0.80, 0.16, 0.03, 0.01)) + 1
    return people.loc[np.repeat(people.index.to_numpy(), times)]


def _callers(
    people: pd.DataFrame, member: Mapping[str, pd.Series[bool]], rng: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    chance = np.where(member["health"], 0.75, 0.36) * member["sheriff"]
    return people["person"].to_numpy(dtype=np.int64)[rng.random(len(people)) < chance]


def _content(
    records: Mapping[str, pd.DataFrame],
    calls: pd.DataFrame,
    treatment: pd.DataFrame,
    referrals: pd.DataFrame,
    sites: pd.DataFrame,
    measures: pd.DataFrame,
) -> dict[str, dict[str, pd.DataFrame]]:
    """The content tables with the partners' own columns and date formats."""
    sheriff_id, health_id, social_id = (agency.column("record_id") for agency in AGENCIES)
    persons = records["social"][["record_id", "date_of_birth", "sex", "race", "tract"]]
    persons = persons.assign(sex=persons["sex"].replace(dict(SOCIAL.sexes)))
    return {
        "sheriff": {
            "crisis_calls": calls.assign(day=calls["day"].dt.strftime("%m/%d/%Y"))
            .drop(columns="truth")
            .rename(columns={"record_id": sheriff_id, "day": "call_date"})
        },
        "health": {
            "treatment": treatment.assign(
                start=treatment["start"].dt.strftime("%Y-%m-%d"),
                end=treatment["end"].dt.strftime("%Y-%m-%d").fillna(""),
            )
            .drop(columns="truth")
            .rename(
                columns={"record_id": health_id, "start": "episode_start", "end": "episode_end"}
            )
        },
        "social": {
            "person": persons.rename(columns={"record_id": social_id, "race": "race_ethnicity"}),
            "referrals": referrals.assign(day=referrals["day"].dt.strftime("%Y-%m-%d"))
            .drop(columns="truth")
            .rename(columns={"record_id": social_id, "day": "referral_date"}),
            "sites": sites,
            "measures": measures,
        },
    }


def _truth(records: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Sizes and overlaps."""
    persons = {name: set(table["truth"]) for name, table in records.items()}
    times = {name: table["truth"].value_counts() for name, table in records.items()}
    shared = {
        "-".join(names): set.intersection(*(persons[name] for name in names))
        for names in [*combinations(records, 2), tuple(records)]
    }
    return {
        "records": {name: len(table) for name, table in records.items()},
        "persons": {name: len(found) for name, found in persons.items()},
        "shared_persons": {names: len(found) for names, found in shared.items()},
        "true_record_pairs": {
            f"{one}-{other}": int(times[one].mul(times[other]).dropna().sum())
            for one, other in combinations(records, 2)
        }
        | {f"{one}-{one}": int((times[one] * (times[one] - 1) // 2).sum()) for one in records},
    }


def _codes() -> dict[str, Any]:
    return {
        "call_codes": {
            department: dict(zip(codes, CALL_KINDS, strict=True))
            for department, (_, codes) in DEPARTMENTS.items()
        },
        "sex_codes": {
            agency.name: {code: sex for sex, code in agency.sexes.items()} for agency in AGENCIES
        },
    }


def write_county(county: County, directory: Path) -> CountyFiles:
    """Write manifest, identifier and content files and the truth into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    files = CountyFiles(
        directory=directory,
        manifest=directory / "manifest.json",
        truth=directory / "truth.json",
        identifiers={name: directory / f"{name}.csv" for name in county.identifiers},
        content={
            name: {table: directory / f"{name}.{table}.csv" for table in tables}
            for name, tables in county.content.items()
        },
        tracts=directory / "tracts.csv",
    )
    _write_csv(county.tracts, files.tracts)
    _write_json(demo_manifest(), files.manifest)
    _write_json(county.truth, files.truth)
    for name, path in files.identifiers.items():
        _write_csv(county.identifiers[name], path)
    for name, tables in files.content.items():
        for table, path in tables.items():
            _write_csv(county.content[name][table], path)
    return files


def _write_json(value: Any, path: Path) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    path.write_bytes(text.encode())


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    path.write_bytes(table.to_csv(index=False, lineterminator="\n").encode())
