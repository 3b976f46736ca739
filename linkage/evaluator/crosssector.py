"""The picture across sectors, from an extract: who is seen by whom, and when.

- Works on any extract: what a column means is read from its data dictionary.
- All counts pass the disclosure gate together, in text, table and drawing.

    cross_sector(read_extract(Path("extract"))).write(Path("reports"))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from linkage.evaluator.contacts import PERIOD, RECORD
from linkage.evaluator.output import Output
from linkage.evaluator.periods import levels
from linkage.evaluator.protection import HIDDEN, Cells, protect, text
from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.release.disclosure import UNKNOWN, ProtectedTable, Table, table_of_rows
from linkage.reports import charts
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

NAME = "cross_sector"
BY_PARTNERS, BY_MONTH = "partners", "months"
MAX_COMBINATIONS = 24
SEEN_BY, SOURCE = "seen_by", "table"
JOIN = " + "
SEVERAL = "2 or more partners"


def cross_sector(extract: Extract) -> Output:
    """The whole output.

    Raises:
        DisclosureError: its tables cannot be protected.
    """
    seen = [] if extract.people.empty else _seen_tables(extract)
    months = _rows_by_month(extract)
    protected = protect(extract, [*seen, *([months] if months else [])], totals=True)
    sections = [
        Section("Who is seen by whom", list(_seen(extract, protected[: len(seen)]))),
        Section("Activity by month", list(_activity(protected[len(seen) :]))),
        Section("How to read this", list(_reading(extract))),
    ]
    title = f"Across sectors: {extract.manifest['title']}"
    return Output(
        NAME,
        page(title, sections, subtitle=extract.subtitle),
        {f"{NAME}_{one.table.name}": one.cells for one in _written(protected)},
    )


def _written(protected: Sequence[ProtectedTable]) -> Iterator[ProtectedTable]:
    return (one for one in protected if one.table.name in (BY_PARTNERS, BY_MONTH))


# -- who is seen by whom ---------------------------------------------------------------------


def _seen_tables(extract: Extract) -> list[Table]:
    """People by exactly which partners have seen them: with a level of how many those are and, for
    each partner, one of whether it is among them.
    """
    flags = extract.people[[f"in_{name}" for name in extract.partners]].to_numpy(np.bool_)
    members = [tuple(n for n, here in zip(extract.partners, row, strict=True) if here)
               for row in flags]  # fmt: skip
    frame = pd.DataFrame(
        {STUDY_ID: extract.people[STUDY_ID], SEEN_BY: [JOIN.join(names) for names in members]}
    )
    there = sorted(set(members), key=lambda names: (len(names), names))
    by_number = {JOIN.join(names): number(len(names)) for names in there}
    by_number |= {number(n): SEVERAL for n in {len(names) for names in there} if n > 1}
    levels = {BY_PARTNERS: by_number}
    for name in extract.partners:
        inside = [names for names in there if name in names]
        others = {JOIN.join(names): elsewhere(name) for names in inside if len(names) > 1}
        # Somebody seen by this partner alone stands under it beside those.
        alone = {name: seen(name)} if (name,) in there else {}
        levels[seen(name)] = others | alone | ({elsewhere(name): seen(name)} if others else {})
    return [
        table_of_rows(
            frame,
            [SEEN_BY],
            name=name,
            counted="people",
            person=STUDY_ID,
            people=True,
            levels={SEEN_BY: parents},
            codes={SEEN_BY: [JOIN.join(names) for names in there]},
            record=STUDY_ID,
        )
        for name, parents in levels.items()
    ]


def number(partners: int) -> str:
    return f"{partners} partner{'s' if partners != 1 else ''}"


def seen(partner: str) -> str:
    return f"seen by {partner}"


def elsewhere(partner: str) -> str:
    return f"seen by {partner} and others"


def _seen(extract: Extract, protected: Sequence[ProtectedTable]) -> Iterator[Block]:
    if not protected:
        yield Paragraph("The extract holds no people.")
        return
    every = Cells(protected[0])
    yield KeyFigures(
        [
            Figure("People", text(every.count()), "as far as linkage can tell"),
            Figure("Seen by two or more partners", text(every.count(**{SEEN_BY: SEVERAL}))),
            Figure("Partners", str(len(extract.partners))),
        ]
    )
    found = [
        (tuple(code.split(JOIN)), every.count(**{SEEN_BY: code}))
        for code in protected[0].table.dimensions[0].codes
    ]
    found.sort(key=lambda pair: (-(pair[1] or 0), len(pair[0]), pair[0]))
    left_out = len(found) - MAX_COMBINATIONS
    yield charts.combinations(
        [
            {"members": members, "value": count, "label": text(count)}
            for members, count in found[:MAX_COMBINATIONS]
        ],
        extract.partners,
        title="People by the partners that have seen them",
        description="Each bar counts the people seen by exactly the partners marked below it."
        + (f" {left_out} rarer combinations are left out." if left_out > 0 else ""),
        y_title="People",
    )  # fmt: skip
    sizes = sorted({len(members) for members, _ in found})
    yield DataTable(
        "People by number of partners",
        ("Partners", "People"),
        [(str(n), text(every.count(**{SEEN_BY: number(n)}))) for n in sizes],
    )
    by_partner = {one.table.name: Cells(one) for one in protected[1:]}
    yield DataTable(
        "People by partner",
        ("Partner", "People", "of whom seen elsewhere too"),
        [
            (
                name,
                *(
                    text(by_partner[seen(name)].count(**{SEEN_BY: node}))
                    for node in (seen(name), elsewhere(name))
                ),
            )
            for name in extract.partners
        ],
        note="Numbers of few people are not shown, nor others from which they could be computed.",
    )


# -- activity by month -----------------------------------------------------------------------


def _rows_by_month(extract: Extract) -> Table | None:
    """Rows of each table by month; those of all events together are a level above, which is not
    shown here but in the central log.
    """
    parts = []
    for name in extract.personal:
        column = extract.month_column(name)
        if column is not None and len(extract.tables[name]):
            table = extract.tables[name]
            part = {STUDY_ID: table[STUDY_ID], PERIOD: table[column], RECORD: extract.records(name)}
            parts.append(pd.DataFrame(part).assign(**{SOURCE: name}))
    if not parts:
        return None
    rows = pd.concat(parts, ignore_index=True)
    events = [name for name in extract.of_kind("event") if name in set(rows[SOURCE])]
    return table_of_rows(
        rows,
        [SOURCE, PERIOD],
        name=BY_MONTH,
        counted="rows",
        person=STUDY_ID,
        levels={SOURCE: dict.fromkeys(events, "events"), PERIOD: levels(rows[PERIOD])},
        margins=[],
        finest=True,
        record=RECORD,
    )


def _activity(protected: Sequence[ProtectedTable]) -> Iterator[Block]:
    rows = [
        {
            "month": cell[PERIOD],
            "series": cell[SOURCE],
            "value": None if cell["suppressed"] else int(cell["count"]),
            "label": HIDDEN if cell["suppressed"] else f"{cell['count']:,}",
        }
        for one in protected
        for cell in one.cells.to_dict("records")
        if cell[PERIOD] != UNKNOWN and (cell["suppressed"] or cell["count"])
    ]
    if not rows:
        yield Paragraph("No table of this extract has a column of months.")
        return
    yield charts.months(
        rows,
        title="Rows by month",
        description="How many rows each table holds for each month; a gap is a month with few"
        " rows or few people.",
        y_title="Rows",
    )


# -- how to read this ------------------------------------------------------------------------


def _reading(extract: Extract) -> Iterator[Block]:
    yield Paragraph("Counts of few people are not shown, nor what would give them away.")
    measured = extract.quality.get("recommended")
    yield Paragraph(
        "People are people as far as linkage can tell. A missed link lowers every number of people"
        " seen by several partners; a false link raises them."
        + (
            f" At the recommended threshold the links have an estimated precision of"
            f" {percent(measured['precision'])} and an estimated recall of"
            f" {percent(measured['recall'])}."
            if measured
            else ""
        )
    )
