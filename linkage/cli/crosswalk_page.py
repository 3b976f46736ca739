"""What merged inventories look like: tables for a spreadsheet, and a page to read."""

from __future__ import annotations

from linkage.release.crosswalk.documents import Crosswalk
from linkage.release.crosswalk.merging import Merged, MergedCode, Share
from linkage.release.crosswalk.tables import write_table
from linkage.reports import charts
from linkage.reports.html import (
    Block,
    DataTable,
    Figure,
    KeyFigures,
    Paragraph,
    Section,
    count,
    page,
    percent,
)

NOT_SHOWN = "not shown"
MOST_BARS = 30
MOST_ROWS = 2000


def merged_files(merged: Merged) -> dict[str, bytes]:
    """The tables as CSV, by the name of their file."""
    code = ("rank", "agency", "local", "description", "rows", "standard")
    ranked = [{"rank": n, **vars(one)} for n, one in enumerate(merged.codes, 1)]
    covered = ("standard", "agencies", "codes", "rows", "hidden")
    share = ("agency", "rows", "mapped", "unmapped", "empty", "rest")
    return {
        "codes.csv": write_table(code, ranked),
        "unmapped.csv": write_table(code, [one for one in ranked if one["standard"] is None]),
        "coverage.csv": write_table(covered, map(vars, merged.coverage)),
        "agencies.csv": write_table(
            share, map(vars, (*merged.shares, _named(merged.total)))
        ),
    }  # fmt: skip


def coverage_page(merged: Merged, crosswalk: Crosswalk | None) -> str:
    """The merged inventories as a page that needs nothing else."""
    total = merged.total
    figures = [
        Figure("Agencies", count(len(merged.shares))),
        Figure("Rows", count(total.rows)),
        Figure("Mapped", percent(total.mapped / total.rows if total.rows else None)),
        Figure("Codes without a standard code", count(len(merged.unmapped))),
    ]
    overview: list[Block] = [
        KeyFigures(figures),
        Paragraph(
            "Rows = mapped + unmapped + without a code + not shown. Not shown are rows whose code"
            " has no count of its own, being rare in its agency or not named by it."
        ),
        DataTable(
            "Every row of every agency",
            ("Agency", "Rows", "Mapped", "Unmapped", "Without a code", "Not shown"),
            [_cells(share) for share in (*merged.shares, _named(total))],
        ),
    ]
    sections = [Section("Coverage", overview)]
    if merged.coverage:
        bars = [
            {"category": one.standard, "series": "rows", "value": one.rows}
            for one in merged.coverage[:MOST_BARS]
        ]
        chart = charts.grouped_bars(
            bars,
            title="Rows by standard code",
            description="Rows of local codes that are mapped and whose count is shown.",
            x_title="Standard code",
            y_title="Rows",
        )
        table = DataTable(
            "What stands under each standard code",
            ("Standard code", "Rows", "Agencies", "Local codes", "of these without a count"),
            [(c.standard, c.rows, c.agencies, c.codes, c.hidden) for c in merged.coverage],
        )
        sections.append(Section("Standard codes", [chart, table]))
    if merged.unmapped:
        sections.append(
            Section("Codes without a standard code", [_table("Unmapped", merged.unmapped)])
        )
    sections.append(Section("All codes, most used first", [_table("Codes", merged.codes)]))
    subtitle = ""
    if crosswalk is not None:
        subtitle = f"{crosswalk.name}, version {crosswalk.version}, {crosswalk.digest[:16]}"
    return page("Call codes of all agencies", sections, subtitle=subtitle)


def _table(caption: str, codes: tuple[MergedCode, ...]) -> DataTable:
    left = len(codes) - MOST_ROWS
    return DataTable(
        caption,
        ("Local code", "Agency", "Description", "Rows", "Standard code"),
        [
            (
                one.local,
                one.agency,
                one.description,
                NOT_SHOWN if one.rows is None else one.rows,
                one.standard,
            )
            for one in codes[:MOST_ROWS]
        ],
        note=f"{left:,} more are in the table of codes." if left > 0 else "",
    )


def _named(total: Share) -> Share:
    from dataclasses import replace

    return replace(total, agency="all")


def _cells(share: Share) -> tuple[str, int, int, int, int, int]:
    return (share.agency, share.rows, share.mapped, share.unmapped, share.empty, share.rest)
