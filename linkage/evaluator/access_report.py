"""`linkage evaluator access`: who can reach services, and what is spent per head against need.

Scores come from public counts of residents and from sites: no person is in them, whoever is
near. See `access_tables` for what is counted, and `accessibility` for the scores.

    access(extract, tracts, costs).write(Path("reports"))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from linkage.evaluator.access_tables import AccessOptions, by_tract, read_sites
from linkage.evaluator.accessibility import METHODS
from linkage.evaluator.output import Output
from linkage.evaluator.protection import HIDDEN
from linkage.evaluator.reading import Extract
from linkage.reports.html import Block, DataTable, Figure, KeyFigures, Paragraph, Section, page
from linkage.reports.places import place_map, scatter

NAME = "access"
_TABLE_ROWS = 400


def access(
    extract: Extract,
    tracts: pd.DataFrame,
    costs: pd.DataFrame | None = None,
    options: AccessOptions | None = None,
    *,
    truth: Mapping[str, float] | None = None,
) -> Output:
    """The whole output.

    Args:
        tracts: `tract`, `population`, coordinates, and `municipality` where known.
        costs: `origin`, `dest`, `cost`; None takes straight lines between the coordinates.
        truth: of a rehearsal: what is given in each tract.

    Raises:
        NotFoundError: the extract has no sites, or they no tract.
        InputError: the files of places do not fit.
    """
    options = options or AccessOptions()
    sites, unit = read_sites(extract, options)
    table = by_tract(extract, tracts, sites, costs, options)
    title = f"Access and spending: {extract.manifest['title']}"
    sections = [
        Section("At a glance", list(_glance(table, unit, options))),
        Section("Where services are within reach", list(_maps(table, tracts, unit, options))),
        Section("Spending against need", list(_spending(table, unit))),
        Section("How to read this", list(_reading(options, unit))),
    ]
    shown = table.drop(columns="hidden")
    beyond = table[table["2sfca"] == 0]
    figures: dict[str, Any] = {
        "tracts": len(table),
        "supply": round(float(table["supply"].sum()), 2),
        "residents_without_reach": int(beyond["population"].sum()),
    }
    if truth is not None:
        known = table["tract"].map(truth).fillna(0.0)
        same = int(np.isclose(known, table["supply"]).sum())
        figures["recovered"] = {"inside": same, "of": len(table)}
    return Output(NAME, page(title, sections, subtitle=extract.subtitle), {NAME: shown}, figures)


# -- the page ----------------------------------------------------------------------------------


def _amount(value: Any, unit: str) -> str:
    if value is None or pd.isna(value):
        return "–"
    return f"${value:,.2f}" if unit == "dollars" else f"{value:,.4g}"


def _glance(table: pd.DataFrame, unit: str, options: AccessOptions) -> Iterator[Block]:
    people = int(table["population"].sum())
    beyond = int(table.loc[table["2sfca"] == 0, "population"].sum())
    total = float(table["supply"].sum())
    what = "Spent on services" if unit == "dollars" else "Sites"
    yield KeyFigures(
        [
            Figure("Residents", f"{people:,}", f"in {len(table):,} tracts"),
            Figure(what, f"${total:,.0f}" if unit == "dollars" else f"{total:,.0f}",
                   f"at {int(table['sites'].sum()):,} sites"),
            Figure("Per resident", _amount(total / people if people else None, unit)),
            Figure("Residents with no site in reach", f"{beyond:,}",
                   f"reach: {options.reach:g}"),
        ]
    )  # fmt: skip


def _maps(
    table: pd.DataFrame, tracts: pd.DataFrame, unit: str, options: AccessOptions
) -> Iterator[Block]:
    rows = _score_rows(table, unit)
    listing = DataTable(
        "Scores by tract",
        ("Tract", "Municipality", "Residents", "Sites", "2SFCA", "E2SFCA", "3SFCA", "RAAM",
         "Nearest site"),
        rows[:_TABLE_ROWS],
        note="2SFCA, E2SFCA and 3SFCA: what is in reach of a resident, shared with everybody else"
        " in reach; more is better. RAAM: travel and crowding; less is better."
        + (" The CSV has all tracts." if len(rows) > _TABLE_ROWS else ""),
    )  # fmt: skip
    axes = ("x", "y") if {"x", "y"} <= set(tracts) else ("lon", "lat")
    if not set(axes) <= set(tracts):
        yield listing
        return
    at = tracts[list(axes)].to_numpy(float)
    places = [
        {"name": name, "x": x, "y": y, "size": int(people), "value": float(score)}
        for name, x, y, people, score in zip(
            table["tract"], at[:, 0], at[:, 1], table["population"], table["e2sfca"], strict=True
        )
    ]
    yield place_map(
        places,
        title="What is within reach of a resident, by tract (E2SFCA)",
        description="Each circle is a tract, as large as it has residents and as dark as its"
        f" residents reach services within {options.reach:g}; crosses are tracts with a site.",
        size_title="Residents",
        colour_title=f"{unit.capitalize()} per resident",
        table=listing,
        sites=[(x, y) for (x, y), some in zip(at, table["sites"] > 0, strict=True) if some],
    )


def _score_rows(table: pd.DataFrame, unit: str) -> list[tuple[str | int, ...]]:
    return [
        (
            row.tract,
            row.municipality or "–",
            int(row.population),
            int(row.sites),
            *(_amount(row[method], unit) for method in METHODS[:3]),
            "–" if np.isnan(row.raam) else f"{row.raam:.2f}",
            "–" if np.isnan(row.nearest) else f"{row.nearest:.1f}",
        )
        for _, row in table.iterrows()
    ]


def _spending(table: pd.DataFrame, unit: str) -> Iterator[Block]:
    known = table[table["need_per_1000"].notna() & (table["population"] > 0)]
    if known.empty:
        yield Paragraph("In no tract is the number of people with an event known and not small.")
        return
    order = known["need_per_1000"].rank(method="first")
    third = pd.cut(order, 3, labels=["least need", "middle", "most need"]) if len(known) > 2 else (
        pd.Series("all tracts", index=known.index)
    )  # fmt: skip
    groups = known.groupby(third, observed=True)
    rows = [
        (
            str(name),
            len(part),
            f"{part['population'].sum():,}",
            _amount(part["supply"].sum() / part["population"].sum(), unit),
            _amount(np.average(part["e2sfca"], weights=part["population"]), unit),
        )
        for name, part in groups
    ]
    what = f"{unit.capitalize()} per resident"
    yield scatter(
        [
            {"x": x, "y": y, "series": series}
            for values, series in (("e2sfca", "within reach (E2SFCA)"),
                                   ("supply_per_resident", "in the tract itself"))
            for x, y in zip(known["need_per_1000"], known[values], strict=True)
        ],
        title="Spending and need, by tract",
        description="Each tract twice: what is spent per resident in it and within reach of it,"
        " against its people with an event per 1,000 residents.",
        x_title="People with an event per 1,000 residents",
        y_title=what,
        table=DataTable(
            "Thirds of the tracts by need",
            ("Tracts by need", "Tracts", "Residents", f"{what}, there", f"{what}, within reach"),
            rows,
            note=f"{int(table['hidden'].sum())} tracts with few people in need, and those that"
            f" would give them away, are {HIDDEN}.",
        ),
    )  # fmt: skip


def _reading(options: AccessOptions, unit: str) -> Iterator[Block]:
    yield Paragraph(
        f"Supply is {'the funded amount' if unit == 'dollars' else 'the number of sites'} by the"
        " tract in which services are given, not that of the organisation's office. Demand is"
        f" residents. A site counts for tracts within {options.reach:g}, in the unit of the"
        " distances. A tract's way to a site of its own is half of that to the nearest other tract,"
        " never 0."
    )
    yield Paragraph(
        "2SFCA: two-step floating catchment area. E2SFCA: the same, where a third of the reach"
        " counts in full, the second with 0.68, the last with 0.22 (Luo and Qi 2009). 3SFCA: sites"
        " compete for each tract's residents (Wan, Zou and Sternberg 2012). RAAM: rational agents"
        " who weigh travel against crowding (Saxon and Snow 2020). Computed by the library access."
    )
    yield Paragraph(
        "Need counts people with an event as far as linkage can tell. It is not corrected for"
        " linkage error: people are counted within partners' own tables."
    )
