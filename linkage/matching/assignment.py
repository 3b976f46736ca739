"""Choose links among scored pairs, so that no row of a unique file has two partners.

- Greedy by weight: the most certain link first, then the next whose rows are still free. Links
  chosen at a higher threshold are always among those chosen at a lower one.
- Where a file is not unique, a row of the other side may take any number of its rows.
- Deterministic: equal weights go by probability, then by row numbers; the pairs' order does
  not matter.
- Memory is O(pairs).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.matching.model import ScoredPairs

Bools = npt.NDArray[np.bool_]
SMALLEST_PROBABILITY = 0.01


def assign(
    scored: ScoredPairs,
    *,
    unique_left: bool,
    unique_right: bool,
    smallest: float = SMALLEST_PROBABILITY,
) -> Bools:
    """Mask of the pairs that are links.

    Args:
        unique_left: each person stands once on the left, so a right row has one partner.
        unique_right: likewise.
        smallest: pairs below this probability are never links and block none.
    """
    order = np.lexsort((scored.right, scored.left, -scored.probability, -scored.weight))
    chosen = np.zeros(len(order), np.bool_)
    taken_left = np.zeros(int(scored.left.max(initial=-1)) + 1, np.bool_)
    taken_right = np.zeros(int(scored.right.max(initial=-1)) + 1, np.bool_)
    order = order[scored.probability[order] >= smallest]
    _choose(
        order,
        scored.left,
        scored.right,
        taken_left if unique_right else taken_left[:0],
        taken_right if unique_left else taken_right[:0],
        chosen,
    )
    return chosen


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _choose(
    order: npt.NDArray[np.int64],
    left: npt.NDArray[np.int32],
    right: npt.NDArray[np.int32],
    taken_left: Bools,
    taken_right: Bools,
    chosen: Bools,
) -> None:
    """An empty `taken` means that side may be taken again."""
    for n in order:
        a, b = left[n], right[n]
        if taken_left.size and taken_left[a]:
            continue
        if taken_right.size and taken_right[b]:
            continue
        if taken_left.size:
            taken_left[a] = True
        if taken_right.size:
            taken_right[b] = True
        chosen[n] = True
