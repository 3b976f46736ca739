"""Where social services are given and what they get, and measures that they report each month.

- The planted spending: each town's residents get so many dollars a year (`Municipality.funded`),
  given in half of its tracts.
- Every organisation has its office in the county's first tract, where nothing is given by it: who
  counts spending by offices finds all of it there.
- Reported measures hold small numbers and gaps, as the real ones do.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from linkage.synthetic.content import SERVICES
from linkage.synthetic.places import MUNICIPALITIES, TRACTS, centroids, tracts_of

YEARS = (2024, 2025)
GROUPS = ("families", "seniors", "single adults")
MEASURES = ("HEATING_AID", "HOUSED_60_DAYS", "JOB_STARTED", "DOLLARS_HEATING")
MOST_SITES = 12
ORGANIZATIONS = tuple(f"ORG{n:02d}" for n in range(1, 8))


def make_tracts(people: pd.DataFrame) -> pd.DataFrame:
    """The public table of tracts: `GEOID`, `municipality`, `population`, `x`, `y`."""
    living = people["tract"].value_counts()
    places = centroids()
    places.insert(2, "population", places["GEOID"].map(living).fillna(0).astype(int))
    return places


def make_sites(tracts: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Sites of social services with what each got in each year."""
    rows = []
    for index, town in enumerate(MUNICIPALITIES):
        if not town.funded:
            continue
        own = tracts_of(index)
        # Not in every tract, and two sites at one place now and then.
        places = rng.permutation(np.array(own, dtype=object))[: max(1, (len(own) + 1) // 2)]
        count = len(places) + len(own) // 4
        at = np.concatenate([places, rng.choice(places, count - len(places))])
        residents = int(tracts.loc[tracts["municipality"] == town.name, "population"].sum())
        for year in YEARS:
            share = rng.dirichlet(np.full(count, 4.0))
            growth = 1.0 if year == YEARS[-1] else 0.93
            amounts = np.round(share * residents * town.funded * growth, 2)
            for number, (place, amount) in enumerate(zip(at, amounts, strict=True)):
                rows.append((location(index, number), town.name, place, year, f"{amount:.2f}"))
    columns = ["location_id", "municipality", "tract", "year", "funded_amount"]
    sites = pd.DataFrame(rows, columns=columns)
    locations = sorted(set(sites["location_id"]))
    for name, choices in (("organization_id", ORGANIZATIONS), ("service_type", SERVICES)):
        chosen = rng.choice(np.array(choices, object), len(locations))
        sites[name] = sites["location_id"].map(dict(zip(locations, chosen, strict=True)))
    return sites.assign(office_tract=TRACTS[0])


def location(town: int, number: int) -> str:
    """The identifier of a town's site."""
    return f"LOC{town + 1:02d}{number + 1:02d}"


def spending(sites: pd.DataFrame) -> dict[str, float]:
    """What was spent in each tract in the last year: what the extract must give back."""
    last = sites[sites["year"] == YEARS[-1]]
    amounts = last["funded_amount"].astype(float).groupby(last["tract"]).sum()
    return {str(tract): round(float(amount), 2) for tract, amount in amounts.items()}


def make_measures(people: int, rng: np.random.Generator) -> pd.DataFrame:
    """What social services report each month; an empty value was not reported."""
    rows = []
    size = people / 20_000
    for group, scale in zip(GROUPS, (90.0, 30.0, 9.0), strict=True):
        for measure, part in zip(MEASURES, (1.0, 0.3, 0.2, 240.0), strict=True):
            for step in range(24):
                season = 1 + 0.5 * np.cos(2 * np.pi * step / 12)
                value = int(rng.poisson(scale * size * min(part, 1.0) * season))
                value = round(value * part) if part > 1 else value
                missing = rng.random() < 0.03
                rows.append(
                    (group, measure, round(scale * size * part), 2024 + step // 12,
                     f"{2024 + step // 12}-{step % 12 + 1:02d}-01", "" if missing else str(value))
                )  # fmt: skip
    columns = ["population_group", "measure", "goal", "year", "month", "value"]
    return pd.DataFrame(rows, columns=columns)
