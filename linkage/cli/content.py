"""How a dry run of content is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linkage.agent.content_check import TableCheck

SHOWN = 10


def content_result(found: Sequence[TableCheck]) -> dict[str, Any]:
    """The dry run as plain values, by table."""
    return {check.table: asdict(check) for check in found}


def content_lines(found: Sequence[TableCheck]) -> list[str]:
    """The dry run as text for a terminal."""
    from linkage.agent.content_check import FEW

    lines: list[str] = []
    for check in found:
        lines += ["", f"content table {check.table} ({check.kind}) from {check.file}:"]
        if check.total:
            lines.append(f"  {check.total} problems; nothing of it could leave")
            for p in check.problems[:SHOWN]:
                row = f"row {p.row}" if p.row else "every row"
                where = f"{p.file}, {row}" if p.file else row
                lines.append(f"  {where}, {p.field or 'the whole file'}: {p.message}")
            if check.total > SHOWN:
                lines.append(f"  and {check.total - SHOWN} more")
            continue
        lines.append(f"  {check.rows} rows would leave, with these columns and nothing else:")
        wide = max(12, *(len(column.name) for column in check.columns))
        head = f"{'filled':>9}{'missing':>9}{'values':>8}{f'in < {FEW} rows':>14}"
        lines.append(f"  {'column':<{wide}}  {'transform':<10}{head}")
        lines += [
            f"  {c.name:<{wide}}  {c.transform:<10}{c.filled:>9}{c.missing:>9}{c.distinct:>8}"
            f"{c.few:>14}"
            for c in check.columns
        ]
        lines += [
            f"  {c.name}: {c.looked_up} cells were looked up; {c.unmatched} have no entry"
            f"{_rows(c.unmatched_rows, c.unmatched)}"
            for c in check.columns
            if c.looked_up
        ]
    return lines


def _rows(rows: Sequence[int], total: int) -> str:
    if not rows:
        return ""
    more = ", …" if total > SHOWN else ""
    return f" (rows {', '.join(map(str, rows[:SHOWN]))}{more})"
