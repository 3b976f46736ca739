"""What `linkage agent check` and `profile` show of a file: no cell of it, unless asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linkage.agent.findings import Reason
    from linkage.agent.profile import FileFigures
    from linkage.agent.records import Checked, Examined, Values

SHOWN_ERRORS = 20


def verdict(name: str, found: Examined, written: Path | None) -> list[str]:
    """Whether a file may be sent, and what is wrong with it.

    Args:
        name: the file's.
        written: where the errors were written; None shows all that were kept.
    """
    checked = found.checked
    if not found.total:
        if found.usable:
            return [f"{name}: {checked.rows} records, no errors; nothing was sent"]
        return [
            f"{name}: {checked.rows} records, none with all fields of any match key",
            "Check the column names and the missing values; nothing was sent",
        ]
    lines = [f"{name}: {found.total} errors in {checked.rows} records; nothing was sent", ""]
    lines += [reason_line(r) for r in checked.reasons]
    shown = found.problems if written is None else found.problems[:SHOWN_ERRORS]
    lines += ["", *(f"{_of(p.file)}row {p.row}, {p.field}: {p.message}" for p in shown)]
    if found.total > len(shown):
        lines.append(f"and {found.total - len(shown)} more")
    if written is not None:
        lines.append(f"wrote the first {len(found.problems)} to {written}")
    if found.usable:
        lines += [
            "",
            f"{checked.sent} records have no error: correct the others, or send these alone",
            "with submit --skip-invalid",
        ]
    else:
        lines += ["", "no record that could be sent is left"]
    return lines


def checked_result(found: Examined, profile: dict[str, Any]) -> dict[str, Any]:
    """What was counted, as plain values; `profile` as `figures_result` gives it."""
    checked = found.checked
    return {
        "rows": checked.rows,
        "missing": checked.missing,
        "covered": checked.covered,
        "usable": checked.sent if found.usable else 0,
        "sentinels": checked.sentinels,
        "aliases": checked.aliases,
        "grouped": checked.grouped,
        "unlisted": checked.unlisted,
        "reasons": [vars(reason) for reason in checked.reasons],
        "profile": profile,
    }


def _of(file: str) -> str:
    """How a line about another file than the identifier file begins."""
    return f"{file}, " if file else ""


def reason_line(reason: Reason) -> str:
    """One kind of problem, and how often it stands in a file."""
    return f"{reason.count:>9}  {_of(reason.file)}{reason.field}: {reason.message}"


def declared(checked: Checked) -> list[str]:
    """What the manifest's declarations caught."""
    caught = [f"{count} of {name}" for name, count in checked.sentinels.items() if count]
    lines = ["", f'cells that hold a declared word for "not known": {", ".join(caught) or "none"}']
    if checked.aliases:
        lines.append(f"aliases: {checked.aliases} more encodings of the same records")
    if checked.groups is not None:
        lines.append(f"groups: {checked.grouped} records are the same person as an earlier one")
    lines += [
        f"stratum {name}: {count} cells are filled and not one of its values; sent as not given"
        for name, count in checked.unlisted.items()
    ]
    return lines


def figures_result(figures: FileFigures, values: Values | None) -> dict[str, Any]:
    """The figures as plain values.

    Args:
        values: the suspects' own spelling, where it is asked for.
    """
    return {
        "fields": {
            f.field.name: {
                "missing": f.missing / figures.rows,
                "distinct": f.spread.distinct / max(f.spread.rows, 1),
                "largest": f.spread.largest,
                "bits": f.spread.bits,
                "lengths": vars(f.lengths),
                "suspects": [
                    {"count": s.count, "share": s.share, "why": s.why}
                    | ({} if values is None else {"value": values.get((f.field.name, s.hash))})
                    for s in f.suspects
                ],
            }
            for f in figures.fields
        },
        "match_keys": {
            name: {
                "covered": k.rows / figures.rows,
                "distinct": k.distinct / max(k.rows, 1),
                "largest": k.largest,
                "bits": k.bits,
            }
            for name, k in figures.keys.items()
        },
        "same_person": {"records": figures.same_person, "fields": figures.person_fields},
        "dependent": [
            {"fields": names, "shared": shared} for names, shared in figures.dependent.items()
        ],
    }


def figures_text(figures: FileFigures, values: Values | None) -> list[str]:
    """The figures as tables for a terminal."""
    wide = max([16, *(len(f.field.name) for f in figures.fields), *map(len, figures.keys)])
    head = f"{'missing':>9}{'distinct':>10}{'commonest':>11}{'bits':>7}"
    lines = [f"{'field':<{wide}}{head}  length: least, quarters, most"]
    for f in figures.fields:
        size = f.lengths
        lines.append(
            f"{f.field.name:<{wide}}{f.missing / figures.rows:>9.1%}"
            f"{f.spread.distinct / max(f.spread.rows, 1):>10.1%}{f.spread.largest:>11}"
            f"{f.spread.bits:>7.1f}  {size.shortest}, {size.lower_quarter} {size.median}"
            f" {size.upper_quarter}, {size.longest}"
        )
    if figures.keys:
        lines += ["", f"{'match key':<{wide}}{'covers':>9}{'distinct':>10}{'commonest':>11}   bits"]
        lines += [
            f"{name:<{wide}}{k.rows / figures.rows:>9.1%}"
            f"{k.distinct / max(k.rows, 1):>10.1%}{k.largest:>11}{k.bits:>7.1f}"
            for name, k in figures.keys.items()
        ]
    lines += ["", 'values that may stand for "not known" (declare them under missing):']
    suspects = [(f.field.name, s) for f in figures.fields for s in f.suspects]
    for name, s in suspects:
        value = "" if values is None else f": {values.get((name, s.hash), '')!r}"
        lines.append(f"  {name:<{wide}}{s.count:>9} ({s.share:.1%})  {s.why}{value}")
    if not suspects:
        lines.append("  none")
    if figures.person_fields:
        fields = ", ".join(figures.person_fields)
        text = f"{figures.same_person} records agree with an earlier one in {fields}"
        lines += ["", f"{text}: the same person twice?"]
    return lines
