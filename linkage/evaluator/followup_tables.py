"""Follow-up read from an extract: which tables, by which groups, and what may be shown of it.

- Of several event and service tables of different partners, every pair is followed.
- Groups with few people, few followed or few not followed are hidden, and so many of the others
  as would give them away; all groupings of the same events together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from linkage.errors import NotFoundError
from linkage.evaluator.followup import DAY, MONTH, Group, grouped, unit_of, watch
from linkage.evaluator.linkerror import MEASURED, Corrected, LinkError, ModelError, correct
from linkage.evaluator.protection import Cells, protect
from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.release.disclosure import Table, table_of_rows

DAYS = 30
EVERYBODY = "everybody"
FOLLOWED = "followed by a service"
MAX_CATEGORIES = 12
MAX_PAIRS = 12
_KINDS = ("event", "service")
_USUAL = ("municipality", "age_band", "sex")

Shares = Mapping[str, Mapping[str, float]]
Truth = Mapping[tuple[str, str], Shares]


@dataclass(frozen=True)
class Options:
    """What may be chosen.

    Attributes:
        events, services: tables; None takes every one of the kind.
        by: columns to group by, of the events or of their partner's person table; empty takes
            municipality, age band and sex where the extract has them, else every short list of
            codes.
        every: count events, not people by their first.
        precision, recall: of the links, where known better than by the quality report.
    """

    events: str | None = None
    services: str | None = None
    days: int = DAYS
    by: Sequence[str] = ()
    every: bool = False
    precision: float | None = None
    recall: float | None = None
    model_error: ModelError = MEASURED


@dataclass(frozen=True)
class Counts:
    """What may be shown of a group."""

    people: int
    events: int
    followed: int


@dataclass(frozen=True)
class Row:
    """One group's figures.

    Attributes:
        group: with its counts as they are shown; of one that is not shown, with its own.
        counts: its people, events and events followed, as they may be shown (rounded, where the
            agreement asks for it); None where the group may not be shown.
    """

    by: str
    group: Group
    found: Corrected
    counts: Counts | None
    true: float | None = None

    @property
    def hidden(self) -> bool:
        return self.counts is None

    @property
    def name(self) -> str:
        return self.group.name or EVERYBODY


@dataclass(frozen=True)
class Pair:
    """An event table, a service table, and what was found."""

    events: str
    services: str
    unit: str
    error: LinkError | None
    rows: list[Row] = field(default_factory=list)

    def by(self) -> Iterator[tuple[str, list[Row]]]:
        """Rows by what they are grouped by; everybody apart."""
        rest = [row for row in self.rows if row.by]
        return ((name, list(rows)) for name, rows in itertools.groupby(rest, lambda r: r.by))


def table_pairs(extract: Extract, options: Options) -> list[tuple[str, str]]:
    """Which services to follow which events by.

    Without a choice: events and services of different partners; where there is no such pair,
    every two tables with times of different partners.
    """
    if options.events and options.services:
        return [(extract.table(options.events, *_KINDS), extract.table(options.services, *_KINDS))]
    timed = [
        name for name in extract.personal if extract.month_column(name) or extract.find(name, DAY)
    ]
    pairs = [
        (one, other)
        for one, other in itertools.permutations(timed, 2)
        if extract.partner(one) != extract.partner(other)
    ]
    typical = [p for p in pairs if [extract.kind(n) for n in p] == ["event", "service"]]
    pairs = typical or pairs
    if options.events:
        pairs = [p for p in pairs if p[0] == extract.table(options.events, *_KINDS)]
    if options.services:
        pairs = [p for p in pairs if p[1] == extract.table(options.services, *_KINDS)]
    if not pairs:
        raise NotFoundError("no two partners of this extract hold tables with days or months")
    return pairs[:MAX_PAIRS]


def timed(extract: Extract, table: str) -> pd.DataFrame:
    """A table's people and times under the names that `followup.count` knows."""
    columns = {DAY: extract.find(table, DAY), MONTH: extract.month_column(table)}
    source = extract.tables[table]
    found = {name: source[column] for name, column in columns.items() if column}
    return pd.DataFrame({STUDY_ID: source[STUDY_ID], **found})


def followed_pair(
    extract: Extract, events: str, services: str, options: Options, truth: Shares
) -> Pair:
    """What of `services` follows `events`, by every grouping that was chosen."""
    first, second = timed(extract, events), timed(extract, services)
    partner = extract.partner(services)
    linked = extract.people.loc[extract.people[f"in_{partner}"], STUDY_ID].tolist()
    error = _error(extract, extract.partner(events), partner, options)
    watched = watch(first, second, days=options.days, linked=linked, every=options.every)
    counted: dict[str, list[Group]] = {}
    by_event: dict[str, pd.Series[Any]] = {}
    for by, groups in _groupings(extract, events, options):
        found = grouped(watched, groups, every=options.every)
        if groups is None or len(found) > 2:
            counted[by] = found if groups is None else found[1:]
        if groups is not None and by in counted:
            by_event[by] = groups
    tables = [
        _table(extract, events, services, watched, by, by_event.get(by), options, people)
        for by in counted
        for people in ((False, True) if options.every else (True,))
    ]
    protected = iter(protect(extract, tables, totals=True))
    cells = {by: [Cells(next(protected)) for _ in range(1 + options.every)] for by in counted}
    rows = []
    for by, members in counted.items():
        for group in members:
            counts = _shown(cells[by], {} if group.name is None else {by: group.name})
            told = group if counts is None else as_shown(group, counts)
            of_group = _of_stratum(extract, error, by, group) or LinkError.none()
            corrected = correct(told.counted, of_group, background=told.background)
            true = truth.get(by or EVERYBODY, {}).get(group.name or EVERYBODY)
            rows.append(Row(by, told, corrected, counts, true))
    return Pair(events, services, unit_of(first, second), error, rows)


def _table(
    extract: Extract,
    events: str,
    services: str,
    watched: pd.DataFrame,
    by: str,
    groups: pd.Series[Any] | None,
    options: Options,
    people: bool,
) -> Table:
    """Of the people (or events) watched, those followed and the others, by group."""
    frame = watched.assign(**{FOLLOWED: watched["follows"].map({True: "yes", False: "no"})})
    frame["record"] = frame["person"]
    if not people:
        frame["record"] = extract.records(events).reindex(frame.index)
    if groups is not None:
        frame[by] = groups.reindex(frame.index)
    what = "people, by their first row"
    if options.every:
        what = "people, by any row" if people else "rows"
    return table_of_rows(
        frame,
        [*([by] if by else []), FOLLOWED],
        name=f"{events}, then {services}" + (f", by {by}" if by else ""),
        counted=f"{what} in {events}, of whom {services} tells for {options.days} days",
        codes={FOLLOWED: ["yes", "no"]},
        person="person",
        people=people,
        record="record",
    )


def _shown(tables: Sequence[Cells], node: Mapping[str, str]) -> Counts | None:
    """A group's counts; None if any of them may not be shown, or if there are no events.

    Args:
        tables: of events, where those are counted, and of people.
    """
    told = [
        cells.count(**node, **more)
        for cells in tables
        for more in ({}, {FOLLOWED: "yes"}, {FOLLOWED: "no"})
    ]
    if any(count is None for count in told) or not told[0]:
        return None
    counts = [count or 0 for count in told]
    return Counts(people=counts[-3], events=counts[0], followed=counts[1])


def as_shown(group: Group, counts: Counts) -> Group:
    """A group with its counts as they are shown: were shares those of the true counts, they would
    tell what rounding hides.
    """
    of = group.counted
    counted = replace(
        of,
        people=counts.people,
        followed=counts.followed,
        linked=min(of.linked, counts.people),
        events=None if of.events is None else counts.events,
    )
    return replace(group, counted=counted)


def _error(extract: Extract, one: str, other: str, options: Options) -> LinkError | None:
    if options.precision is not None or options.recall is not None:
        return LinkError.given(
            1.0 if options.precision is None else options.precision,
            1.0 if options.recall is None else options.recall,
        )
    if one == other:
        return LinkError.none()
    return LinkError.between(extract.quality, one, other, model_error=options.model_error)


def _of_stratum(
    extract: Extract, error: LinkError | None, by: str, group: Group
) -> LinkError | None:
    """A group's own linkage error, where the report has a stratum of its name."""
    cells = (extract.quality.get("strata") or {}).get(by) or {}
    name = group.name or ""
    return error and error.for_stratum(cells.get(name), f"{by} {name}")


def _groupings(
    extract: Extract, events: str, options: Options
) -> Iterator[tuple[str, pd.Series[Any] | None]]:
    """What to group by, and each event's group; everybody first."""
    yield "", None
    person = extract.tables[events][STUDY_ID]
    for source, column, name in _columns(extract, events, options.by):
        values = extract.tables[source][column]
        if source != events:
            by_person = extract.tables[source].drop_duplicates(STUDY_ID).set_index(STUDY_ID)[column]
            values = person.map(by_person)
        yield name, values


def _columns(
    extract: Extract, events: str, wanted: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """(table, column, name) to group by."""
    own = extract.partner(events)
    persons = [n for n in extract.of_kind("person") if extract.partner(n) == own and n != events]
    entries = [(t, e) for t in (events, *persons) for e in extract.columns[t]]
    if wanted:
        for name in wanted:
            fits = [(t, e) for t, e in entries if name in (e["column"], e.get("means"))]
            if not fits:
                raise NotFoundError(
                    f"neither {events!r} nor its partner's person table has a column {name!r}"
                )
            yield fits[0][0], fits[0][1]["column"], name
        return
    short = [(t, e) for t, e in entries if _is_short(extract, t, e)]
    usual = [(t, e) for t, e in short if e.get("means") in _USUAL]
    for table, entry in usual or short:
        yield table, entry["column"], entry["column"]


def _is_short(extract: Extract, table: str, entry: Mapping[str, Any]) -> bool:
    if entry["transform"] not in ("keep", "age_band", "municipality", "county", "crosswalk"):
        return False
    distinct = extract.tables[table][entry["column"]].nunique(dropna=False)
    return bool(2 <= distinct <= MAX_CATEGORIES)
