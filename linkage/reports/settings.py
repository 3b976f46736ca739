"""The last pages of an agreement: bounds, every setting as it is signed, and the fingerprint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from linkage.agreement import Manifest
from linkage.reports.html import DataTable, Paragraph


def bounds(manifest: Manifest) -> list[Paragraph | DataTable]:
    safe, budget, whole = (
        manifest.safeguards,
        manifest.budgets.partner,
        manifest.budgets.project,
    )
    limits = [
        ("A file holds at least", f"{manifest.min_rows:,} people"),
        ("and at most", f"{manifest.max_rows:,} rows"),
        ("Rows of one person, or encoded alike, at most", f"{safe.rows_per_person:,}"),
        (
            "Rows alike in one match key, at most",
            f"{safe.commonest_share:.1%} of the file",
        ),
        ("A later round differs from the last by at least", f"{safe.min_change:,} people"),
        (
            "A release needs in common, between any two partners, at least",
            f"{safe.min_overlap:,} people",
        ),
        (
            "and in each of the two files, not linked to the other, at least",
            f"{safe.min_apart:,} people",
        ),
    ]
    limits += [
        (f"Rows of {p.name} alike in every match key, at most", f"{p.duplicates:.0%}")
        for p in manifest.partners
    ]
    rows = [
        ("Calls in a minute", f"{budget.calls_per_minute:,}", f"{whole.calls_per_minute:,}"),
        ("Uploads in a day", f"{budget.uploads_per_day:,}", f"{whole.uploads_per_day:,}"),
        ("Bytes in a day", f"{budget.bytes_per_day:,}", f"{whole.bytes_per_day:,}"),
        ("Uploads under way", f"{budget.open_uploads:,}", f"{whole.open_uploads:,}"),
        ("Runs in a day", "", f"{whole.runs_per_day:,}"),
    ]
    return [
        _disclosure(manifest),
        DataTable("Against probing and flooding", ("Bound", "Value"), limits),
        DataTable("Budgets at the hub", ("", "One partner", "All together"), rows),
    ]


def _disclosure(manifest: Manifest) -> DataTable:
    rules = manifest.disclosure
    alike = ", ".join(rules.quasi_identifiers) or "nothing"
    rows = [
        ("A count that is shown is 0 or at least", f"{rules.min_cell:,}"),
        ("Persons alike in what others may know of them, at least", f"{rules.k:,}"),
        ("Others may know of a person", alike.replace("_", " ")),
        ("Different values of what is sensitive among them, at least", f"{rules.l:,}"),
        ("What is sensitive", ", ".join(rules.sensitive) or "nothing named"),
        ("Counts are rounded to multiples of", f"{rules.rounding:,}"),
        (
            "Who must have checked an extract",
            "two of " + ", ".join(one.title or one.name for one in rules.checkers)
            if rules.two_checkers
            else "nobody",
        ),
    ]
    return DataTable("What leaves the assembler", ("Bound", "Value"), rows)


def settings(manifest: Manifest) -> DataTable:
    rows = list(_flat("", json.loads(manifest.canonical)))
    return DataTable(
        "Every setting as it is signed, those left at their defaults included",
        ("Setting", "Value"),
        rows,
    )


def _flat(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """Leaves of a document by their place; lists of plain values stay in one row."""
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict) and value:
        inner = [(f"{place}.{name}" if place else name, one) for name, one in value.items()]
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        inner = [
            (f"{place}.{one['name'] if isinstance(one, dict) and 'name' in one else n}", one)
            for n, one in enumerate(value)
        ]
    if not inner:
        yield place, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for name, one in inner:
        yield from _flat(name, one)


def signed(manifest: Manifest) -> list[Paragraph | DataTable]:
    whole = manifest.fingerprint
    groups = [whole[start : start + 4] for start in range(0, len(whole), 4)]
    return [
        Paragraph(
            "A signature is made over the fingerprint below, which stands for every word above."
            " Compare it with the other partners' by telephone: if one letter differs, it is"
            " another agreement."
        ),
        DataTable(
            "Fingerprint (SHA-256 of the canonical form, RFC 8785)",
            ("", ""),
            [
                ("to copy", whole),
                ("to read aloud", " ".join(groups[:8])),
                ("", " ".join(groups[8:])),
            ],
        ),
    ]
