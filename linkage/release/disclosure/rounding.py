"""Controlled rounding: every shown count becomes a multiple of a base next to it.

Where it can be done by one linear program, margins still add up; that is so in tables of one and
two dimensions. Elsewhere every cell is rounded by itself, and it is said that sums may differ.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from linkage.release.disclosure.system import System
from linkage.release.disclosure.tables import Counts


def rounded(system: System, base: int) -> tuple[Counts, bool]:
    """The counts of all cells rounded, and whether sums hold."""
    low = system.value // base
    high = -(-system.value // base)
    nearest = (2 * system.value + base) // (2 * base)
    # Moving from the lower to the upper multiple costs what it adds to the distance.
    cost = (high + low) * base - 2 * system.value
    if system.equal.shape[0]:
        result = linprog(
            cost.astype(np.float64),
            A_eq=system.equal,
            b_eq=np.zeros(system.equal.shape[0]),
            bounds=np.column_stack([low, high]),
            method="highs-ds",
        )
        if result.status == 0:
            whole = np.rint(result.x).astype(np.int64)
            if not (system.equal @ whole).any() and np.abs(whole - result.x).max() < 1e-6:
                return whole * base, True
    return nearest * base, not (system.equal @ nearest).any()
