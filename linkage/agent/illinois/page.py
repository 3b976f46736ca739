"""The month as a page for the agency itself: what is in the file, and what became of every row.

It holds exact counts, small ones too: it is the agency's own, and not to be published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from linkage.agent.illinois.layout import Layout
from linkage.agent.illinois.report import MonthReport
from linkage.agent.illinois.settings import Settings
from linkage.reports.charts import grouped_bars
from linkage.reports.html import Block, DataTable, Figure, KeyFigures, Paragraph, Section, page

ACCOUNTS = {
    "reported": "in the month's incidents",
    "other_month": "of another month",
    "other_reason": "with another reason",
    "unknown_reason": "with a reason that the crosswalk does not know",
    "without_reason": "without a reason",
    "nobody_dispatched": "without a dispatch",
    "otherwise": "that reached the officer otherwise",
}


def month_page(
    report: MonthReport, settings: Settings, layout: Layout, statuses: Mapping[str, int]
) -> str:
    """The page.

    Args:
        statuses: how many rows of the file are new, revised, unchanged and withdrawn.
    """
    return page(
        f"Mental health crises, {report.month}",
        [
            Section("At a glance", list(_glance(report, layout))),
            Section("How they ended, and who came", list(_counts(report, layout))),
            Section("What became of every row", list(_accounts(report, statuses))),
        ],
        subtitle=f"{settings.agency} ({settings.ori}), {layout.rule}",
    )


def _glance(report: MonthReport, layout: Layout) -> Iterator[Block]:
    yield KeyFigures(
        [
            Figure("Incidents", f"{len(report.incidents):,}"),
            Figure("Still open", f"{report.pending:,}"),
            Figure("To be sent by", layout.due(report.month).isoformat()),
        ]
    )
    yield Paragraph(
        "The agency's own page: counts are exact, also those of one person. Do not publish it.",
        warning=True,
    )


def _counts(report: MonthReport, layout: Layout) -> Iterator[Block]:
    for title, listed, counts in (
        ("Incidents by outcome", layout.outcomes, report.outcomes),
        ("Incidents by who was sent", layout.levels, report.levels),
    ):
        rows: list[dict[str, Any]] = [
            {"category": one.title, "series": "Incidents", "value": counts[one.code]}
            for one in listed
        ]
        yield grouped_bars(
            rows,
            title=title,
            description="One bar for each category of the state's form"
            + ("." if counts is report.outcomes else "; an incident counts in each that was sent."),
            x_title="Category",
            y_title="Incidents",
        )


def _accounts(report: MonthReport, statuses: Mapping[str, int]) -> Iterator[Block]:
    told = vars(report.accounts)
    yield DataTable(
        "Rows of the agency's file",
        ("Rows", "Number"),
        [(text, f"{told[name]:,}") for name, text in ACCOUNTS.items()],
    )
    yield DataTable(
        "Rows of the monthly file",
        ("Beside what was sent before", "Number"),
        [(name, f"{count:,}") for name, count in statuses.items()],
    )
