"""Hold a quality report against that of the run before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Scope = Mapping[str, Any]


def compared_with(before: Scope, now: Scope) -> dict[str, dict[str, float]]:
    """The figures of either run that can be held side by side.

    Args:
        before, now: quality reports; see `linkage.matching.quality`.
    """
    return {"before": _figures(before), "now": _figures(now)}


def _figures(report: Scope) -> dict[str, float]:
    recommended = report["recommended"]
    return {
        "rows": sum(int(partner["rows"]) for partner in report["partners"].values()),
        "estimated_matches": report["overall"]["estimated_matches"],
        **{name: recommended[name] for name in ("threshold", "links", "precision", "recall")},
    }
