"""What a pair's weight is made of, without any value: the pieces of a waterfall.

- Each dimension weighs what the model learnt of its level; those of a group weigh together.
- What remains is what the model adds to their sum: how rare matches are among all pairs, and what
  it learnt of how often unrelated rows look as alike as these.
- The pieces add up to the match weight. What the competition of other candidates takes from it, or
  leaves, is the way from the weight to the probability.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.matching.comparison import MISSING_LEVEL

REST = "rarity of matches"
_LARGEST = 1 - 1e-12


@dataclass(frozen=True)
class Part:
    """One piece of a weight, in log2 odds; `text` says what it comes from."""

    name: str
    weight: float
    text: str


def explain(
    levels: npt.NDArray[np.uint8], summary: Mapping[str, Any], weight: float
) -> tuple[Part, ...]:
    """The pieces that add up to a pair's weight.

    Args:
        levels: (dimensions,) of the pair, in the order of the summary's `level_weights`.
        summary: what the model learnt; see `model.ScoredPairs.summary`.
        weight: the pair's.
    """
    tables: Mapping[str, Sequence[float]] = summary["level_weights"]
    found = dict(zip(tables, levels.tolist(), strict=True))
    grouped = [name for group in summary.get("groups", ()) for name in group["of"]]
    parts = [
        Part(name, _weight(tables[name], level), level_text(level, len(tables[name]) - 1))
        for name, level in found.items()
        if name not in grouped
    ]
    for group in summary.get("groups", ()):
        total = sum(_weight(tables[name], found[name]) for name in group["of"])
        known = any(found[name] != MISSING_LEVEL for name in group["of"])
        step = int(np.searchsorted(group["cuts"], total, side="right"))
        said = ", ".join(
            f"{name} {level_text(found[name], len(tables[name]) - 1)}" for name in group["of"]
        )
        parts.append(Part(" + ".join(group["of"]), group["weights"][step] if known else 0.0, said))
    rest = weight - sum(part.weight for part in parts)
    return (*parts, Part(REST, rest, "what the model adds to the sum of the above"))


def competition(weight: float, probability: float) -> float:
    """What other candidates of the two rows take from the weight, in log2 odds."""
    kept = min(max(probability, 1 - _LARGEST), _LARGEST)
    return math.log2(kept / (1 - kept)) - weight


def level_text(level: int, highest: int) -> str:
    """A level in words."""
    if level == MISSING_LEVEL:
        return "not known"
    if level == 0:
        return "unlike"
    if level >= highest:
        return "exact"
    return f"alike, {level} of {highest}"


def _weight(table: Sequence[float], level: int) -> float:
    return 0.0 if level == MISSING_LEVEL else float(table[min(level, len(table) - 1)])
