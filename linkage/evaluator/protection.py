"""Which cells of a report may not be shown: the disclosure gate, asked the way reports ask.

- The smallest count that may be shown is the manifest's; 11 where it says nothing. Shown counts are
  rounded as it says.
- Tables are protected beside everything that reports of the extract showed before: see `shown`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from linkage.evaluator.reading import Extract
from linkage.evaluator.shown import protect_with_totals
from linkage.release.disclosure import TOTAL, K, ProtectedTable, Table

HIDDEN = "not shown"


def smallest(manifest: Mapping[str, Any]) -> int:
    """The smallest count, beside 0, that the manifest lets be shown."""
    rules = manifest.get("disclosure") or {}
    return int(rules.get("min_cell") or rules.get("k") or K)


def protect(
    extract: Extract, tables: Sequence[Table], *, k: int | None = None, totals: bool = False
) -> list[ProtectedTable]:
    """Protect tables of a report of an extract.

    Args:
        k: the smallest count that may be shown; None takes the agreement's.
        totals: show the total of each table, if that can be.

    Raises:
        DisclosureError: they cannot be protected.
    """
    if not tables:
        return []
    least = k or smallest(extract.manifest)
    rounding = int((extract.manifest.get("disclosure") or {}).get("rounding") or 1)
    if totals:
        return protect_with_totals(extract.shown, tables, k=least, rounding=rounding)
    return extract.shown.protect(tables, k=least, rounding=rounding)


class Cells:
    """The cells of a protected table by their nodes, totals left out."""

    def __init__(self, table: ProtectedTable) -> None:
        names = [d.name for d in table.table.dimensions]
        self._nodes = {d.name: frozenset(d.nodes) for d in table.table.dimensions}
        self._counts: dict[tuple[str, ...], int | None] = {}
        cells = table.cells
        for nodes, count in zip(cells[names].to_numpy(object), cells["count"], strict=True):
            self._counts[tuple(map(str, nodes))] = None if pd.isna(count) else int(count)

    def count(self, **nodes: str) -> int | None:
        """A count; None where it may not be shown, 0 where there is no such category."""
        if any(node not in self._nodes[name] for name, node in nodes.items()):
            return 0
        return self._counts[tuple(nodes.get(name, TOTAL) for name in self._nodes)]

    def hidden(self, **nodes: str) -> bool:
        return self.count(**nodes) is None


def text(count: int | None) -> str:
    """A count for people."""
    return HIDDEN if count is None else f"{count:,}"


__all__ = ["HIDDEN", "TOTAL", "Cells", "protect", "smallest", "text"]
