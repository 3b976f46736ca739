"""Outcomes by race and ethnicity: each category's share, and how it differs from all the others'.

- The outcome is that of a person's first event in a table; follow-up is corrected for linkage
  error, as `followup` and `linkerror` do.
- What gives few people away is marked hidden, in every line of an outcome together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from linkage.errors import NotFoundError
from linkage.evaluator import completeness as race
from linkage.evaluator.followup import grouped, watch
from linkage.evaluator.followup_tables import FOLLOWED, Options, table_pairs, timed
from linkage.evaluator.linkerror import LinkError, ModelError, Range, correct
from linkage.evaluator.protection import Cells, protect
from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.release.disclosure import Table, table_of_rows

OUTCOMES = ("outcome", "disposition", "response_level")
MAX_VALUES = 8
CATEGORY, VALUE = "race_ethnicity", "value"


@dataclass(frozen=True)
class Line:
    """One category's share of an outcome, and how it differs from that of all the others."""

    table: str
    outcome: str
    value: str
    category: str
    people: int
    part: int
    share: Range
    difference: Range
    hidden: bool = False


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
            lines = [
                Line(table, column, str(value), category, *found)
                for value in sorted(values.unique())
                for category, found in race.shares(values, races, value).items()
            ]
            if lines:
                cells = _protected(extract, table, column, values, races)
                for line in lines:
                    here, value = cells[line.category], {VALUE: line.value}
                    # The difference tells the share of the rest.
                    rest = {line.category: race.OUT}
                    if here.hidden(**rest) or here.hidden(**rest, **value):
                        yield replace(line, hidden=True)
                        continue
                    node = {line.category: race.IN}
                    yield _with(line, here.count(**node), here.count(**node, **value))


def _with(line: Line, people: int | None, part: int | None) -> Line:
    """A line with its counts as they may be shown."""
    if people is None or part is None:
        return replace(line, hidden=True)
    return replace(line, people=people, part=part)


def _protected(
    extract: Extract, table: str, column: str, values: pd.Series[Any], races: race.Races
) -> dict[str, Cells]:
    """By category, the people of it and the others, by outcome.

    A person is in each category given: beside the table of them all stands each category against
    its rest, for all but one are told by the total.
    """
    given = [races.get(str(person), frozenset()) for person in values.index]
    people = pd.DataFrame(
        {STUDY_ID: values.index, CATEGORY: given, VALUE: values.astype(str).to_numpy()}
    )
    people = people[people[CATEGORY].map(bool)]
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
        lines, tables = [], []
        for category in sorted(set(itertools.chain.from_iterable(races.values()))):
            members = {person for person, given in races.items() if category in given}
            inside = watched["person"].isin(members).map({True: race.IN, False: race.OUT})
            groups = {group.name: group for group in grouped(watched, inside)}
            if not {race.IN, race.OUT} <= set(groups):
                continue
            share, rest = (
                correct(
                    groups[name].counted,
                    error or LinkError.none(),
                    background=groups[name].background,
                ).true
                for name in (race.IN, race.OUT)
            )
            counted = groups[race.IN].counted
            # Each category against its rest: tables of the same people.
            tables.append(_followed_table(events, services, days, category, watched, inside))
            lines.append(
                Line(
                    events,
                    f"followed within {days} days",
                    services,
                    category,
                    counted.people,
                    counted.followed,
                    share,
                    race.difference(share, rest),
                )
            )
        for line, table in zip(lines, protect(extract, tables), strict=True):
            cells, node = Cells(table), {line.category: race.IN}
            if table.suppressed[table.table.shown].any():
                yield replace(line, hidden=True)
            else:
                yield _with(line, cells.count(**node), cells.count(**node, **{FOLLOWED: "yes"}))


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
