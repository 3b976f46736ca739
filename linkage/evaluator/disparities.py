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
from linkage.evaluator.followup import count
from linkage.evaluator.followup_tables import Options, table_pairs, timed
from linkage.evaluator.linkerror import LinkError, ModelError, Range, correct
from linkage.evaluator.protection import TOTAL, hidden_groups, hidden_overlapping, smallest
from linkage.evaluator.reading import STUDY_ID, Extract

OUTCOMES = ("outcome", "disposition", "response_level")
MAX_VALUES = 8
IN, OUT = "in", "out"


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
                hidden = _hidden(values, races, smallest(extract.manifest))
                for line in lines:
                    few = hidden.T[line.category]
                    yield replace(line, hidden=bool(few[line.value]) or bool(few[TOTAL]))


def _hidden(values: pd.Series[Any], races: race.Races, k: int) -> pd.DataFrame:
    """Which cells of category by outcome may not be shown; a person is in each category given."""
    rows = [
        (person, category, str(value))
        for person, value in values.items()
        for category in races.get(str(person), ())
    ]
    frame = pd.DataFrame(rows, columns=["person", "group", "column"])
    return hidden_overlapping(frame, k=k)


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
        lines, tables = [], {}
        for category in sorted(set(itertools.chain.from_iterable(races.values()))):
            members = {person for person, given in races.items() if category in given}
            inside = first[STUDY_ID].isin(members)
            groups = {
                group.name: group
                for group in count(
                    first.assign(group=inside), second, days=days, linked=linked, by="group"
                )
            }
            if not {"True", "False"} <= set(groups):
                continue
            share, rest = (
                correct(
                    groups[name].counted,
                    error or LinkError.none(),
                    background=groups[name].background,
                ).true
                for name in ("True", "False")
            )
            counted = groups["True"].counted
            tables[category] = pd.DataFrame(
                [
                    (g.counted.followed, g.counted.people - g.counted.followed)
                    for g in (groups["True"], groups["False"])
                ],
                index=[IN, OUT],
                columns=["yes", "no"],
            )
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
        if lines:
            # Each category against its rest: tables of the same people.
            few = hidden_groups(tables, k=smallest(extract.manifest))
            yield from (replace(one, hidden=any(few[one.category].values())) for one in lines)
