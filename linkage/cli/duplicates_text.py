"""What `linkage agent dedupe` shows: a summary without values, and some groups if asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linkage.agent.dedupe.recordset import RecordSet
    from linkage.agent.dedupe.search import Found
    from linkage.agent.table import Table

SHOWN_GROUPS = 5


def shown(table: Table, found: Found) -> list[str]:
    """The most doubtful groups with their cells."""
    from linkage.agent.dedupe.review import label, order_of, read_cells

    rows: dict[int, list[int]] = {}
    for row in order_of(found).tolist():
        rows.setdefault(int(found.group[row]), []).append(row)
    first = list(rows)[:SHOWN_GROUPS]
    columns, cells = read_cells(table, [row for group in first for row in rows[group]])
    lines = ["", "the most doubtful groups:"]
    for group in first:
        lines.append(f"  {label(group)}, probability {found.weakest[group]:.3f}")
        for row in rows[group]:
            shown = (f"{c}={cell}" for c, cell in zip(columns, cells[row], strict=True) if cell)
            lines.append(f"    row {row + 1}: {', '.join(shown)}")
    return lines


def figures(records: RecordSet, found: Found, threshold: float) -> dict[str, Any]:
    from linkage.agent.dedupe.search import EDGES

    about = found.figures
    edges = [0.0, *EDGES, 1.0]
    return {
        "threshold": threshold,
        "records": about.records,
        "pairs": about.pairs,
        "links": about.links,
        "method": about.method,
        "why": about.why,
        "probabilities": [
            {"from": low, "to": high, "pairs": pairs}
            for low, high, pairs in zip(edges, edges[1:], about.spread, strict=False)
        ],
        "precision": about.precision,
        "recall": about.recall,
        "kept_apart": len(found.apart),
        "blocks": [
            {"parts": [list(part) for part in b.parts], "pairs": b.pairs, "left_out": b.left_out}
            for b in about.blocks
        ],
        "ignored": [vars(ignored) for ignored in records.ignored],
        "unread": dict(records.unread),
    }


def figures_text(records: RecordSet, found: Found, threshold: float) -> list[str]:
    told = figures(records, found, threshold)
    how = "learned from the file" if told["method"] == "ecm" else f"fixed: {told['why']}"
    lines = [
        "",
        f"{told['records']} different records, {told['pairs']} pairs of them compared,",
        f"{told['links']} linked from match probability {threshold:g}",
        f"weights of agreement: {how}",
    ]
    if told["precision"] is not None:
        lines.append(
            f"expected: {told['precision']:.1%} of the links are right, and {told['recall']:.1%}"
            " of the compared pairs of one person are linked"
        )
    lines += ["", f"{'match probability':<20}{'pairs':>10}"]
    for part in told["probabilities"]:
        bounds = f"{part['from']:g} to {part['to']:g}"
        lines.append(f"{bounds:<20}{part['pairs']:>10}")
    notes = [
        f"{cells} cells of {name} are no dates in the declared formats: taken as not known"
        for name, cells in told["unread"].items()
    ]
    notes += [
        f"{i.field}: {i.cells} cells ({i.values} values): {i.why}; taken as not known"
        for i in records.ignored
    ]
    notes += [
        f"{block['left_out']} records share {' and '.join(name for name, _ in block['parts'])}"
        " with too many others to be compared by that"
        for block in told["blocks"]
        if block["left_out"]
    ]
    if found.apart:
        notes.append(f"{len(found.apart)} groups were kept apart from others: see their note")
    return [*lines, "", *notes] if notes else lines
