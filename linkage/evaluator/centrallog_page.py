"""The page of the central log: what its protected tables show, and how to read it."""

from __future__ import annotations

from collections.abc import Iterator

from linkage.evaluator.centrallog import CentralLog, shown
from linkage.evaluator.contacts import AGENCY, PERIOD, TOWN, TYPE, UNMAPPED
from linkage.evaluator.periods import Period
from linkage.evaluator.protection import Cells, text
from linkage.evaluator.reading import Extract
from linkage.release.codes import code_fault
from linkage.release.crosswalk.documents import Crosswalk
from linkage.release.disclosure import TOTAL
from linkage.reports import charts
from linkage.reports.grids import tiles
from linkage.reports.html import (
    Block,
    DataTable,
    Figure,
    KeyFigures,
    Paragraph,
    Section,
    page,
    percent,
)

MOST_LINES = 6
MOST_COLUMNS = 14
MOST_ROWS = 60
ALL = "all"


def central_log_page(extract: Extract, log: CentralLog, crosswalk: Crosswalk | None, k: int) -> str:
    """The page.

    Args:
        k: the smallest count that is shown, beside 0.
    """
    sections = [
        Section("At a glance", list(_glance(log))),
        Section("Contacts over time", list(_over_time(log))),
        Section("Contacts by municipality", list(_places(log))),
        Section("Repeat contacts", list(_repeats(log))),
    ]
    if "responses" in log.tables:
        sections.append(Section("Response and how it ended", list(_responses(log))))
    sections.append(Section("How to read this", list(_reading(extract, log, crosswalk, k))))
    return page(
        f"Central log: {extract.manifest['title']}",
        [section for section in sections if section.blocks],
        subtitle=extract.subtitle,
    )


def one_cell(log: CentralLog, table: str, **nodes: str) -> int | None:
    """One cell: the total, but for the nodes named; None where it is suppressed."""
    return Cells(log.tables[table]).count(**nodes)


def seen_by_several(log: CentralLog) -> int | None:
    """People seen by two agencies and more, where every part of that is shown."""
    parts = [one_cell(log, "repeats", agencies=name) for name in ("2", "3", "4 and more")]
    return None if None in parts else sum(part or 0 for part in parts)


def _named(node: str) -> str:
    return ALL if node == TOTAL else node


def _glance(log: CentralLog) -> Iterator[Block]:
    months = log.contacts.rows[PERIOD].dropna()
    span = f"{months.min()} to {months.max()}" if len(months) else "not known"
    yield KeyFigures(
        [
            Figure("Contacts", text(one_cell(log, next(iter(log.periods)))), span),
            Figure("People", text(one_cell(log, "repeats")), "as far as linkage can tell"),
            Figure("People seen by two agencies and more", text(seen_by_several(log))),
            Figure("Agencies", str(log.contacts.rows[AGENCY].nunique())),
        ]
    )
    accounts = log.contacts.accounts
    if accounts is not None and not accounts.complete:
        # Names only: how often each stands is for the protected tables to say, or not.
        local = sorted(
            f"{code} of {agency}" for agency, code in accounts.unmapped if code_fault(code) is None
        )
        yield Paragraph(
            f"{len(accounts.unmapped)} local codes have no standard code; their contacts are"
            f" counted as {UNMAPPED}: {', '.join(local[:40])}"
            + (f" and {len(local) - 40} more" if len(local) > 40 else ""),
            warning=True,
        )
    if log.contacts.by == "local":
        yield Paragraph(
            "Types are every agency's own codes, which cannot be compared: a crosswalk makes"
            " standard codes of them.",
            warning=True,
        )


def _over_time(log: CentralLog) -> Iterator[Block]:
    name = next((n for n in ("by_type", "by_municipality", "contacts") if n in log.tables), "")
    period = log.periods[name]
    cells = list(shown(log.tables[name]))
    by = {"by_type": TYPE, "by_municipality": TOWN}.get(name)
    cells = [cell for cell in cells if _is(cell[PERIOD], period)]
    rows = [
        {
            "month": cell[PERIOD],
            "series": ALL if by is None else _named(cell[by]),
            "value": cell["count"],
            "label": text(cell["count"]),
        }
        for cell in cells
    ]
    drawn = _largest(log, name, by)[:MOST_LINES] if by else []
    yield charts.months(
        [row for row in rows if row["series"] in (ALL, *drawn)],
        title=f"Contacts by {period}" + (f" and {by}" if by else ""),
        description="How many contacts there were; a gap is a number that may not be shown."
        + (f" The {len(drawn)} most frequent are drawn; the table of all is a file." if by else ""),
        y_title="Contacts",
        x_title=period.capitalize(),
    )


def _is(node: str, period: Period) -> bool:
    """Whether a node of the tree of periods is one of this length."""
    length = "year" if len(node) == 4 else "quarter" if node[5:6] == "Q" else "month"
    return node != TOTAL and length == period


def _largest(log: CentralLog, table: str, by: str | None) -> list[str]:
    """Categories by what is shown of their totals, most first."""
    totals = {
        str(cell[str(by)]): cell["count"] or 0
        for cell in shown(log.tables[table])
        if cell[PERIOD] == TOTAL and cell[str(by)] != TOTAL
    }
    return sorted(totals, key=lambda name: (-totals[name], name))


def _places(log: CentralLog) -> Iterator[Block]:
    if "contacts" in log.tables and TOWN in log.tables["contacts"].cells:
        towns, types = _largest_of(log, TOWN), _largest_of(log, TYPE)
        counts = {
            (cell[TOWN], cell[TYPE]): cell["count"]
            for cell in shown(log.tables["contacts"])
            if cell[PERIOD] == TOTAL
        }
        columns = [*types[: MOST_COLUMNS - 1], TOTAL]
        yield tiles(
            [
                {
                    "down": town,
                    "across": _named(kind),
                    "value": counts[town, kind],
                    "label": "–" if counts[town, kind] is None else f"{counts[town, kind]:,}",
                }
                for town in towns[:MOST_ROWS]
                for kind in columns
                if (town, kind) in counts
            ],
            title="Contacts by municipality and type",
            description="A tile is the darker, the more contacts; – is not shown.",
            down_title="Municipality",
            across_title="Type",
        )
    if "by_municipality" in log.tables:
        yield _cross(log, "by_municipality", TOWN, "Contacts by municipality and period")


def _largest_of(log: CentralLog, by: str) -> list[str]:
    other = TYPE if by == TOWN else TOWN
    totals = {
        str(cell[by]): cell["count"] or 0
        for cell in shown(log.tables["contacts"])
        if cell[PERIOD] == TOTAL and cell[other] == TOTAL and cell[by] != TOTAL
    }
    return sorted(totals, key=lambda name: (-totals[name], name))


def _cross(log: CentralLog, table: str, by: str, caption: str) -> DataTable:
    """One row per category, one column per period and the total."""
    period = log.periods[table]
    cells = {(cell[by], cell[PERIOD]): cell["count"] for cell in shown(log.tables[table])}
    periods = [node for node in log.tables[table].table.dimensions[0].codes if _is(node, period)]
    rows = [
        (
            _named(name),
            *(text(cells.get((name, node), 0)) for node in (*periods, TOTAL)),
        )
        for name in (*_largest(log, table, by)[:MOST_ROWS], TOTAL)
    ]
    return DataTable(caption, (by.capitalize(), *periods, ALL), rows)


def _repeats(log: CentralLog) -> Iterator[Block]:
    table = log.tables["repeats"]
    contacts_, agencies = table.table.dimensions
    cells = {(c["contacts"], c["agencies"]): c["count"] for c in shown(table)}
    yield charts.grouped_bars(
        [
            {
                "category": name,
                "series": "people",
                "value": cells[name, TOTAL],
                "label": text(cells[name, TOTAL]),
            }
            for name in contacts_.codes
        ],
        title="People by number of contacts",
        description="How many people had so many contacts in the whole time.",
        x_title="Contacts",
        y_title="People",
    )
    yield DataTable(
        "People by contacts and by agencies that they had them with",
        ("Contacts", *(f"{name} agencies" for name in agencies.codes), ALL),
        [
            (
                _named(name),
                *(text(cells[name, a]) for a in (*agencies.codes, TOTAL)),
            )
            for name in (*contacts_.codes, TOTAL)
        ],
    )
    if "intervals" in log.tables:
        gaps = log.tables["intervals"]
        found = {(c["next_contact"], c["next_agency"]): c["count"] for c in shown(gaps)}
        bands, whose = gaps.table.dimensions
        yield charts.grouped_bars(
            [
                {
                    "category": band,
                    "series": f"with {other}" if other != "the same" else "with the same",
                    "value": found[band, other],
                    "label": text(found[band, other]),
                }
                for band in bands.codes
                for other in whose.codes
            ],
            title="Time to the next contact",
            description="From each contact of a person to that person's next one, by whether it"
            " was with the same agency.",
            x_title="Later by",
            y_title="Next contacts",
        )


def _responses(log: CentralLog) -> Iterator[Block]:
    table = log.tables["responses"]
    names = [d.name for d in table.table.dimensions]
    if len(names) == 1:
        rows = [(_named(cell[names[0]]), text(cell["count"])) for cell in shown(table)]
        yield DataTable("Contacts", (names[0].capitalize(), "Contacts"), rows)
        return
    cells = {(c["level"], c["ending"]): c["count"] for c in shown(table)}
    levels, endings = (dimension.nodes for dimension in table.table.dimensions)
    yield DataTable(
        "Contacts by level of response and how they ended",
        ("Ended", *(ALL if level == TOTAL else f"level {level}" for level in levels)),
        [(_named(end), *(text(cells[level, end]) for level in levels)) for end in endings],
        note="Not the monthly file that an agency owes its state: that is of one agency's own"
        " dispatches, linked or not.",
    )


def _reading(
    extract: Extract, log: CentralLog, crosswalk: Crosswalk | None, k: int
) -> Iterator[Block]:
    yield Paragraph(
        f"Counts of 1 to {k - 1}, and those of fewer than {k} people, are not shown, nor what would"
        " give them away; 0 is shown. In the files such cells are empty. All tables here were"
        " protected together, and beside what other reports of this extract showed before."
    )
    yield Paragraph(
        "A contact is a row of an event table. Breakdowns are as fine in time as their cells bear: "
        + "; ".join(f"{name.replace('_', ' ')} by {period}" for name, period in log.periods.items())
        + "."
    )
    how = {
        "standard": "the standard codes that agencies gave",
        "crosswalk": "standard codes by a crosswalk from local ones",
        "local": "each agency's own codes",
        "none": "not known: no column means a code",
    }[log.contacts.by]
    named = (
        f" ({crosswalk.name}, version {crosswalk.version}, {crosswalk.digest[:16]})"
        if crosswalk is not None
        else ""
    )
    yield Paragraph(f"Types are {how}{named}.")
    measured = extract.quality.get("recommended")
    yield Paragraph(
        "People are people as far as linkage can tell. A missed link makes two people of one, and"
        " so lowers repeat contacts and contacts across agencies; a wrong link raises them. These"
        " counts are not corrected for that."
        + (
            f" At the recommended threshold the links have an estimated precision of"
            f" {percent(measured['precision'])} and an estimated recall of"
            f" {percent(measured['recall'])}."
            if measured
            else ""
        )
    )
    if "intervals" in log.tables and not log.contacts.days:
        yield Paragraph(
            "Times between contacts are in calendar months, as the extract has no days; which of"
            " two contacts of one month came first is not known."
        )
