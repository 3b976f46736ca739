"""What is known of each tract: residents, need, what is spent there, and access scores.

- Services count where they are given (the site's tract), never where their organisation sits.
- Need is people with an event, by the tract of the event or, failing that, of the person;
  tracts with few such people are empty, and so many more as would give them away.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from linkage.errors import InputError, NotFoundError
from linkage.evaluator.accessibility import METHODS, scores, travel
from linkage.evaluator.protection import Cells, protect
from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.release.disclosure import Table, table_of_rows

REACH = 30.0
ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class AccessOptions:
    """What may be chosen.

    Attributes:
        reach: the largest distance at which a service counts, in the unit of the distances.
        sites: the table of sites; None takes all of them.
        service_type: count only sites of this type.
        year: count only amounts of this year; None takes the newest.
        need: the table of events that stand for need; None takes all events.
    """

    reach: float = REACH
    sites: str | None = None
    service_type: str | None = None
    year: int | None = None
    need: str | None = None


def read_sites(extract: Extract, options: AccessOptions) -> tuple[pd.DataFrame, str]:
    """`tract` and `supply` of every site that counts, and the unit of the supply."""
    names = (
        [extract.table(options.sites, "site")] if options.sites else list(extract.of_kind("site"))
    )
    if not names:
        raise NotFoundError("the extract has no table of sites (kind site)")
    found = []
    funded = all(extract.find(name, "funded_amount") for name in names)
    for name in names:
        table = extract.tables[name]
        if options.service_type is not None:
            table = table[table[extract.need(name, "service_type")] == options.service_type]
        if year := extract.find(name, "year"):
            newest = options.year if options.year is not None else table[year].max()
            table = table[table[year] == newest]
        supply = table[extract.need(name, "funded_amount")] if funded else 1.0
        place = table[extract.need(name, "tract")]
        found.append(pd.DataFrame({"tract": place, "supply": supply}, index=table.index))
    sites = pd.concat(found, ignore_index=True).dropna()
    sites["supply"] = sites["supply"].astype(float)
    if sites.empty:
        raise NotFoundError("no site of that type and year has a tract and an amount")
    return sites, "dollars" if funded else "sites"


def by_tract(
    extract: Extract,
    tracts: pd.DataFrame,
    sites: pd.DataFrame,
    costs: pd.DataFrame | None,
    options: AccessOptions,
) -> pd.DataFrame:
    """Residents, need, supply and every score, by tract; `hidden` where need may not be shown."""
    supply = sites.groupby("tract")["supply"].sum()
    if elsewhere := sorted(set(supply.index) - set(tracts["tract"])):
        raise InputError(
            f"{len(elsewhere)} tracts with sites are not in the file of tracts, such as"
            f" {elsewhere[0]}"
        )
    found = scores(tracts, supply, travel(tracts) if costs is None else costs, reach=options.reach)
    need = _need(extract, options)
    table = pd.DataFrame(
        {
            "tract": tracts["tract"],
            "municipality": tracts.get("municipality"),
            "population": tracts["population"],
            "sites": tracts["tract"].map(sites.groupby("tract").size()).fillna(0).astype(int),
            "supply": tracts["tract"].map(supply).fillna(0.0),
        }
    )
    cells = Cells(protect(extract, [_need_table(tracts, need, options)], totals=True)[0])
    people = [cells.count(tract=name) for name in tracts["tract"]]
    table["people_in_need"] = pd.array(people, dtype="Int64")
    residents = table["population"].where(table["population"] > 0)
    table["need_per_1000"] = table["people_in_need"].astype(float) * 1000 / residents
    table["supply_per_resident"] = table["supply"] / residents
    in_need = table["people_in_need"].astype(float)
    table["supply_per_person_in_need"] = table["supply"] / in_need.where(in_need > 0)
    for method in (*METHODS, "nearest"):
        table[method] = found[method].to_numpy()
    table["hidden"] = table["people_in_need"].isna()
    return table


def _need_table(tracts: pd.DataFrame, need: pd.DataFrame, options: AccessOptions) -> Table:
    # Those whose tract is not known or not in the file are part of the total, which others show.
    known = need["tract"].where(need["tract"].isin(tracts["tract"]), ELSEWHERE)
    return table_of_rows(
        need.assign(tract=known),
        ["tract"],
        name="people in need",
        counted=f"people with an event of {options.need or 'any table'}",
        person="person",
        people=True,
        record="person",
    )


def _need(extract: Extract, options: AccessOptions) -> pd.DataFrame:
    """`person` and `tract` of everybody with an event: the event's tract, or where it has none that
    of the person, missing where neither is known.
    """
    names = (
        [extract.table(options.need, "event")] if options.need else list(extract.of_kind("event"))
    )
    homes = [
        extract.tables[n].set_index(STUDY_ID)[column].dropna()
        for n in extract.of_kind("person")
        if (column := extract.find(n, "tract"))
    ]
    home = pd.concat(homes) if homes else pd.Series(dtype=object)
    home = home[~home.index.duplicated()]
    placed = []
    for name in names:
        people = extract.tables[name][STUDY_ID]
        column = extract.find(name, "tract")
        place = extract.tables[name][column] if column else pd.Series(None, index=people.index)
        placed.append(pd.DataFrame({"person": people, "tract": place.fillna(people.map(home))}))
    if not placed:
        return pd.DataFrame({"person": pd.Series(dtype=object), "tract": pd.Series(dtype=object)})
    # One place per person, the first in order of tract: a count of people, not of events.
    return pd.concat(placed).sort_values(["person", "tract"]).drop_duplicates("person")
