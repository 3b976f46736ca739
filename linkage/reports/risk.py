"""The risk audit as a page that a privacy officer can read; made of its JSON alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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

Scope = Mapping[str, Any]

NEEDS = {
    "alignment": "the hub's disk, and a register of the people in the file",
    "neighbours": "the same",
    "alignment, seeded": "also, for one in twenty people, which encoding is theirs",
    "neighbours, seeded": "the same",
    "known plaintext, tokens": "the same",
    "known plaintext, likeness": "the same",
}


def risk_page(audit: Scope) -> str:
    """The page of one audit; see `linkage.agent.audit.Audit.as_json`."""
    return page(
        "Risk audit",
        [
            Section("In short", list(_short(audit))),
            Section("What was tried", list(_tried())),
            Section("Result by match key", list(_results(audit))),
            Section("What encodings give away as they lie", [_leakage(audit)]),
            Section("What to change", list(_advice(audit))),
            Section("What this does not show", list(_limits())),
        ],
        subtitle=f"Project {audit['project']}; manifest {audit['fingerprint'][:16]}",
    )


def _short(audit: Scope) -> Iterator[Block]:
    if audit["harness_too_weak"]:
        yield Paragraph(
            "Harness too weak: plain Bloom filters of these records, which are known to be broken,"
            " withstood the attack. This audit proves nothing; do not rely on it.",
            warning=True,
        )
    elif audit["passed"]:
        yield Paragraph("No attack succeeded more often than policy allows.")
    else:
        yield Paragraph(
            "At least one attack re-identifies more people than policy allows.", warning=True
        )
    worst, policy = audit["worst"], audit["policy"]
    yield KeyFigures(
        [
            Figure(
                "Re-identified at most, nothing known",
                percent(worst["unknown"], 2),
                f"policy: {percent(policy['unknown'], 2)}",
            ),
            Figure(
                "Re-identified at most, some people known",
                percent(worst["known"], 2),
                f"policy: {percent(policy['known'], 2)}",
            ),
            Figure("Control, plain Bloom filters", percent(audit["control"]["rate"])),
            Figure("Records attacked", count(audit["rows"]), f"of {count(audit['records'])}"),
        ]
    )


def _tried() -> Iterator[Block]:
    yield Paragraph(
        "The attacker has what the hub has: the encodings. It knows the people of the file, with"
        " every value right, but not which encoding is whose. That is more than a real attacker"
        " would know. It encodes the people under a secret of its own and looks for the same"
        " pattern of likenesses in both."
    )
    yield DataTable(
        "Attacks and what an attacker would need",
        ("attack", "needs"),
        list(NEEDS.items()),
    )


def _results(audit: Scope) -> Iterator[Block]:
    rows = [
        (
            f"{finding['name']}: {outcome['attack']}",
            outcome["right"],
            outcome["overlap"],
            percent(outcome["rate"], 2),
            percent(outcome["upper"], 2),
            outcome["lift"],
        )
        for finding in audit["findings"]
        for outcome in (*finding["unknown"], *finding["known"])
    ]
    yield DataTable(
        "People re-identified",
        ("match key: attack", "right", "of", "share", "at most (95%)", "times chance"),
        rows,
        note="At most: upper bound by Clopper and Pearson.",
    )
    for name in audit["skipped"]:
        yield Paragraph(f"{name}: too few distinct records to attack; nothing is known.")


def _leakage(audit: Scope) -> DataTable:
    return DataTable(
        "Without any attack",
        ("match key", "records", "distinct", "near another", "bit skew", "bits together"),
        [
            (
                finding["name"],
                finding["leakage"]["rows"],
                percent(finding["leakage"]["distinct"]),
                percent(finding["leakage"]["near"]),
                round(finding["leakage"]["bit_skew"], 2),
                round(finding["leakage"]["co_occurrence"], 2),
            )
            for finding in audit["findings"]
        ],
        note="Equal values were taken once. Skew and bits together: 1 is what fair coins give.",
    )


def _advice(audit: Scope) -> Iterator[Block]:
    if audit["harness_too_weak"]:
        yield Paragraph("Audit more records: attacks on small files fail for want of numbers.")
    policy = audit["policy"]
    broken = [
        finding["name"]
        for finding in audit["findings"]
        if any(o["upper"] > policy["unknown"] for o in finding["unknown"])
        or any(o["upper"] > policy["known"] for o in finding["known"])
    ]
    if not broken:
        yield Paragraph("Nothing that this audit could find.")
        return
    yield Paragraph(
        f"{', '.join(broken)}: raise the scheme's hashes, take a field out of the match key, or"
        " leave the match key out; then audit again. More bits make encodings easier to attack, not"
        " harder. Do not send this file under this manifest until the partners have agreed on it.",
        warning=True,
    )


def _limits() -> Iterator[Block]:
    yield Paragraph(
        "Attacks that are not listed above were not tried; among them those on the comparison"
        " round. Within the limits means that these attacks fail, not that none can succeed. No"
        " encoding protects from a hub that colludes with a holder of the project secret."
    )
