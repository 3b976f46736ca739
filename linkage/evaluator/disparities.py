"""Outcomes by race and ethnicity: each category's share, and how it differs from all the others'.

- The outcome is that of a person's first event in a table; follow-up is corrected for linkage
  error, as `followup` and `linkerror` do.
- What gives few people away is not shown, in every line of an outcome together; the rest is
  reckoned from the counts as they are shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from linkage.errors import NotFoundError
from linkage.evaluator import completeness as race
from linkage.evaluator.followup import Group, grouped, watch
from linkage.evaluator.followup_tables import (
    FOLLOWED,
    Counts,
    Options,
    as_shown,
    table_pairs,
    timed,
)
from linkage.evaluator.linkerror import LinkError, ModelError, Range, correct
from linkage.evaluator.protection import Cells, protect
from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.release.disclosure import Table, table_of_rows

OUTCOMES = ("outcome", "disposition", "response_level")
MAX_VALUES = 8
CATEGORY, VALUE = "race_ethnicity", "value"


@dataclass(frozen=True)
class Line:
    """One category's share of an outcome, and how it differs from that of all the others.

    Attributes:
        figures: None where they may not be shown.
    """

    table: str
    outcome: str
    value: str
    category: str
    figures: Figures | None


@dataclass(frozen=True)
class Figures:
    """What a line says, all of it reckoned from counts as they are shown: were shares those of the
    true counts, they would tell what rounding hides.
    """

    people: int
    part: int
    share: Range
    difference: Range


def outcomes(extract: Extract) -> Iterator[Line]:
    """Shares of people whose first event in a table had each outcome, by category."""
    for table in extract.of_kind("event"):
        races = race.race_of(extract, extract.partner(table))
        first = _first(extract, table)
        for means in OUTCOMES:
            column = extract.find(table, means)
            if column is None or not 2 <= first[column].nunique() <= MAX_VALUES:
                continue
            values = first.set_index(STUDY_ID)[column].dropna()
            known = values[[str(person) in races for person in values.index]]
            if known.empty:
                continue
            cells = _protected(extract, table, column, known, races)
            for value in sorted(values.unique()):
                for category, here in cells.items():
                    figures = _figures(here, category, VALUE, str(value))
                    yield Line(table, column, str(value), category, figures)


def _figures(cells: Cells, category: str, column: str, value: str) -> Figures | None:
    people, part, others, of_others = (
        cells.count(**{category: side, **more})
        for side in (race.IN, race.OUT)
        for more in ({}, {column: value})
    )
    # The difference tells the share of the rest.
    if people is None or part is None or others is None or of_others is None:
        return None
    share, rest = race.share_of(part, people), race.share_of(of_others, others)
    return Figures(people, part, share, race.difference(share, rest))


def _protected(
    extract: Extract, table: str, column: str, values: pd.Series[Any], races: race.Races
) -> dict[str, Cells]:
    """By category, the people of it and the others, by outcome.

    A person is in each category given: beside the table of them all stands each category against
    its rest, for all but one are told by the total.
    """
    given = [races[str(person)] for person in values.index]
    people = pd.DataFrame(
        {STUDY_ID: values.index, CATEGORY: given, VALUE: values.astype(str).to_numpy()}
    )
    categories = sorted(frozenset().union(*people[CATEGORY]))
    name = f"{table}, {column} by"

    def counted(rows: pd.DataFrame, by: str, codes: tuple[str, ...]) -> Table:
        return table_of_rows(
            rows,
            [by, VALUE],
            name=f"{name} {by}",
            counted=f"people by the {column} of their first row in {table}",
            codes={by: codes},
            person=STUDY_ID,
            people=True,
            record=STUDY_ID,
        )

    every = people.assign(**{CATEGORY: people[CATEGORY].map(sorted)}).explode(CATEGORY)
    tables = [counted(every, CATEGORY, ())]
    for category in categories:
        inside = [race.IN if category in those else race.OUT for those in people[CATEGORY]]
        split = people.assign(**{category: inside})
        tables.append(counted(split, category, (race.IN, race.OUT)))
    return dict(zip(categories, map(Cells, protect(extract, tables)[1:]), strict=True))


def _first(extract: Extract, table: str) -> pd.DataFrame:
    """Each person's first row."""
    source = extract.tables[table]
    time = extract.find(table, "day") or extract.month_column(table)
    if time is not None:
        source = source.sort_values(time, kind="stable")
    return source.drop_duplicates(STUDY_ID)


def followed(extract: Extract, days: int, model_error: ModelError) -> Iterator[Line]:
    """Shares of people whom a service followed, corrected for linkage error, by category."""
    try:
        pairs = table_pairs(extract, Options())
    except NotFoundError:
        return
    for events, services in pairs:
        own, other = extract.partner(events), extract.partner(services)
        error = LinkError.between(extract.quality, own, other, model_error=model_error)
        races = race.race_of(extract, own)
        first, second = timed(extract, events), timed(extract, services)
        first = first[first[STUDY_ID].isin(races.keys())]
        linked = extract.people.loc[extract.people[f"in_{other}"], STUDY_ID].tolist()
        watched = watch(first, second, days=days, linked=linked)
        sides: dict[str, dict[str | None, Group]] = {}
        tables = []
        for category in sorted(set(itertools.chain.from_iterable(races.values()))):
            members = {person for person, given in races.items() if category in given}
            inside = watched["person"].isin(members).map({True: race.IN, False: race.OUT})
            groups = {group.name: group for group in grouped(watched, inside)}
            if {race.IN, race.OUT} <= set(groups):
                sides[category] = groups
                # Each category against its rest: tables of the same people.
                tables.append(_followed_table(events, services, days, category, watched, inside))
        for (category, groups), table in zip(sides.items(), protect(extract, tables), strict=True):
            yield Line(
                events,
                f"followed within {days} days",
                services,
                category,
                _followed_figures(Cells(table), category, groups, error or LinkError.none())
                if not table.suppressed[table.table.shown].any()
                else None,
            )


def _followed_figures(
    cells: Cells, category: str, groups: Mapping[str | None, Group], error: LinkError
) -> Figures:
    seen, found = [], []
    for side in (race.IN, race.OUT):
        people = cells.count(**{category: side}) or 0
        part = cells.count(**{category: side, FOLLOWED: "yes"}) or 0
        group = as_shown(groups[side], Counts(people, people, part))
        seen.append((people, part))
        found.append(correct(group.counted, error, background=group.background).true)
    return Figures(*seen[0], found[0], race.difference(*found))


def _followed_table(
    events: str,
    services: str,
    days: int,
    category: str,
    watched: pd.DataFrame,
    inside: pd.Series[str],
) -> Table:
    answers = watched["follows"].map({True: "yes", False: "no"})
    return table_of_rows(
        watched.assign(**{category: inside, FOLLOWED: answers}),
        [category, FOLLOWED],
        name=f"{events}, then {services}, by {category}",
        counted=f"people of known race, by their first row in {events}, of whom {services} tells"
        f" for {days} days",
        person="person",
        people=True,
        record="person",
    )
