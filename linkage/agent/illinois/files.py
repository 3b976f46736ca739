"""The monthly file, its summary, and amendments of what was sent before.

- `crisis-calls-<ORI>-<month>.csv`: one row per incident, columns as the layout says.
- `crisis-calls-<ORI>-<month>-summary.csv`: incidents by level and outcome, all of them, also the
  categories that nobody is in; the only lines of a month without incidents are zeros.
- `crisis-calls-<ORI>-<month>.html`: the same with charts, for the agency itself.
- The same rows give the same bytes.
- Given the file that was sent before, each row says whether it is new, revised or unchanged, and
  what must be taken back is there as withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from linkage.agent.illinois.layout import Coded, Layout
from linkage.agent.illinois.page import month_page
from linkage.agent.illinois.report import Incident, MonthReport
from linkage.agent.illinois.settings import Settings
from linkage.errors import InputError, Problem, SourceError
from linkage.release.crosswalk.tables import Row, read_table, write_table

NEW, REVISED, UNCHANGED, WITHDRAWN = "new", "revised", "unchanged", "withdrawn"
YES, NO = "Y", "N"


@dataclass(frozen=True)
class Filing:
    """What is to be sent.

    Attributes:
        files: name → bytes.
        statuses: how many rows are new, revised, unchanged, withdrawn.
    """

    files: Mapping[str, bytes]
    statuses: Mapping[str, int]


def filing(
    report: MonthReport,
    *,
    settings: Settings,
    layout: Layout,
    before: bytes | None = None,
    source: str = "the file sent before",
) -> Filing:
    """The files of a month.

    Args:
        before: the incident file that was sent before for this month.

    Raises:
        InputError, SourceError: that file is another agency's, month's or layout's.
    """
    sent = _sent(before, settings, layout, report, source) if before is not None else {}
    rows = list(_rows(report, settings, layout, sent))
    stem = f"crisis-calls-{settings.ori}-{report.month}"
    names = [column.name for column in layout.columns]
    written = [
        {column.name: values[_key(column.holds, column.code)] for column in layout.columns}
        for values in rows
    ]
    found = [values["status"] for values in rows]
    statuses = {name: found.count(name) for name in (NEW, REVISED, UNCHANGED, WITHDRAWN)}
    return Filing(
        {
            f"{stem}.csv": write_table(names, written),
            f"{stem}-summary.csv": _summary(report, settings, layout),
            f"{stem}.html": month_page(report, settings, layout, statuses).encode(),
        },
        statuses,
    )


def _key(holds: str, code: str | None) -> str:
    return holds if code is None else f"{holds}:{code}"


def _rows(
    report: MonthReport, settings: Settings, layout: Layout, sent: Mapping[str, Row]
) -> Iterator[dict[str, str]]:
    known = dict(sent)
    for incident in report.incidents:
        values = _values(incident, report, settings, layout)
        old = known.pop(incident.number, None)
        if old is not None:
            values["status"] = UNCHANGED if _same(values, old, layout) else REVISED
        yield values
    for number in sorted(known):
        old = known[number]
        values = {_key(c.holds, c.code): old.get(c.name, "") for c in layout.columns}
        yield {**values, "status": WITHDRAWN}


def _values(
    incident: Incident, report: MonthReport, settings: Settings, layout: Layout
) -> dict[str, str]:
    texts = {level.code: level.text for level in layout.levels}
    return {
        "ori": settings.ori,
        "agency": settings.agency,
        "year": f"{report.month.year:04d}",
        "month": f"{report.month.month:02d}",
        "incident": incident.number,
        "date": incident.dispatched.date().isoformat(),
        "time": incident.dispatched.strftime("%H:%M"),
        "levels": ";".join(texts[code] for code in incident.levels),
        **{f"level:{code}": YES if code in incident.levels else NO for code in texts},
        "outcome": layout.outcome_text(incident.outcome),
        "status": NEW,
    }


def _same(values: Mapping[str, str], old: Row, layout: Layout) -> bool:
    return all(
        values[_key(column.holds, column.code)] == old.get(column.name, "")
        for column in layout.columns
        if column.holds != "status"
    )


def _sent(
    data: bytes, settings: Settings, layout: Layout, report: MonthReport, source: str
) -> dict[str, Row]:
    by = {column.holds: column.name for column in layout.columns}
    if not {"incident", "ori", "year", "month", "status"} <= set(by):
        raise InputError(
            "amendments need a layout with columns for agency, month, incident and status",
            remedy="Add them to the layout, if the state's form has them",
        )
    rows = read_table(data, source=source, required=[column.name for column in layout.columns])
    wanted = {
        by["ori"]: settings.ori,
        by["year"]: f"{report.month.year:04d}",
        by["month"]: f"{report.month.month:02d}",
    }
    found: dict[str, Row] = {}
    problems = []
    for place, row in enumerate(rows, 1):
        if not any(row.values()):
            continue
        number = row[by["incident"]]
        problems += [
            Problem(place, name, "is another agency's or another month's")
            for name, value in wanted.items()
            if row[name] != value
        ]
        if not number or number in found:
            problems.append(Problem(place, by["incident"], "is empty, or stands twice"))
        if row[by["status"]] != WITHDRAWN:
            found[number] = row
    if problems:
        raise SourceError(
            source,
            problems[:1000],
            total=len(problems),
            remedy="Give the incident file that was sent for this month",
        )
    return found


def _summary(report: MonthReport, settings: Settings, layout: Layout) -> bytes:
    levels, outcomes = report.levels, report.outcomes
    lines = [("total", "", "Incidents", len(report.incidents))]
    lines += [("level", *_named(one), levels[one.code]) for one in layout.levels]
    lines += [("outcome", *_named(one), outcomes[one.code]) for one in layout.outcomes]
    columns = ("ori", "month", "measure", "code", "title", "incidents")
    return write_table(
        columns,
        (
            dict(zip(columns, (settings.ori, str(report.month), *line), strict=True))
            for line in lines
        ),
    )


def _named(one: Coded) -> tuple[str, str]:
    return one.text, one.title
