"""The picture across sectors, from an extract: who is seen by whom, and when.

- Works on any extract: what a column means is read from its data dictionary.
- Counts of 1 to 10 people are not shown, in text, table or drawing (see `smallcells`).

    cross_sector_page(read_extract(Path("extract")))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.evaluator.smallcells import HIDDEN, Cell, is_small, total
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

MAX_COMBINATIONS = 24


def cross_sector_page(extract: Extract) -> str:
    """The picture as a page."""
    sections = [
        Section("Who is seen by whom", list(_seen(extract))),
        Section("Activity by month", list(_activity(extract))),
        Section("How to read this", list(_reading(extract))),
    ]
    title = f"Across sectors: {extract.manifest['title']}"
    return page(title, sections, subtitle=extract.subtitle)


# -- who is seen by whom ---------------------------------------------------------------------


@dataclass(frozen=True)
class Combination:
    """People seen by exactly these partners."""

    members: tuple[str, ...]
    people: Cell


def combinations(people: pd.DataFrame, partners: Sequence[str]) -> list[Combination]:
    """How many people each combination of partners has seen; most first, small cells last."""
    flags = [f"in_{name}" for name in partners]
    found = []
    for seen, size in people.groupby(flags, sort=False).size().items():
        inside = seen if isinstance(seen, tuple) else (seen,)
        members = tuple(n for n, here in zip(partners, inside, strict=True) if here)
        found.append(Combination(members, Cell.of(int(size))))
    return sorted(found, key=lambda c: (-(c.people.value or 0), len(c.members), c.members))


def _seen(extract: Extract) -> Iterator[Block]:
    found = combinations(extract.people, extract.partners)
    several = total(c.people for c in found if len(c.members) > 1)
    yield KeyFigures(
        [
            Figure("People", total(c.people for c in found).label, "as far as linkage can tell"),
            Figure("Seen by two or more partners", several.label),
            Figure("Partners", str(len(extract.partners))),
        ]
    )
    if not found:
        yield Paragraph("The extract holds no people.")
        return
    shown = found[:MAX_COMBINATIONS]
    left_out = len(found) - len(shown)
    yield charts.combinations(
        [
            {"members": c.members, "value": c.people.value, "label": c.people.label}
            for c in shown
        ],
        extract.partners,
        title="People by the partners that have seen them",
        description="Each bar counts the people seen by exactly the partners marked below it."
        + (f" {left_out} rarer combinations are left out." if left_out else ""),
        y_title="People",
    )  # fmt: skip
    sizes = sorted({len(c.members) for c in found})
    yield DataTable(
        "People by number of partners",
        ("Partners", "People"),
        [(str(n), total(c.people for c in found if len(c.members) == n).label) for n in sizes],
    )
    yield DataTable(
        "People by partner",
        ("Partner", "People", "of whom seen elsewhere too"),
        [
            (
                name,
                total(c.people for c in found if name in c.members).label,
                total(c.people for c in found if name in c.members and len(c.members) > 1).label,
            )
            for name in extract.partners
        ],
        note="A total that contains a small cell is a range, so that it does not give it away.",
    )


# -- activity by month -----------------------------------------------------------------------


def _activity(extract: Extract) -> Iterator[Block]:
    rows: list[dict[str, Any]] = []
    for name, table in extract.tables.items():
        column = extract.month_column(name)
        if column is None or table.empty or STUDY_ID not in table:
            continue
        by_month = table.groupby(column)[STUDY_ID].agg(["size", "nunique"])
        for month, (size, persons) in zip(by_month.index, by_month.to_numpy(), strict=True):
            cell = Cell.of(int(size))
            if cell.value is not None and is_small(int(persons)):
                rows.append({"month": month, "series": name, "value": None, "label": HIDDEN})
            else:
                rows.append(
                    {"month": month, "series": name, "value": cell.value, "label": cell.label}
                )
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
    yield Paragraph("Counts of 1 to 10 people are not shown, nor what would give them away.")
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
