"""Rounding: every shown count becomes the multiple of a base that is next to it.

It depends on the count alone, so that a cell reads the same in every table, report and release:
of one that is shown as 40 and as 45, the count would be known to lie between. Margins are rounded
by themselves; whether they still add up is said.
"""

from __future__ import annotations

from linkage.release.disclosure.system import System
from linkage.release.disclosure.tables import Counts


def rounded(system: System, base: int) -> tuple[Counts, bool]:
    """The counts of all cells rounded, and whether sums hold."""
    nearest = (2 * system.value + base) // (2 * base)
    return nearest * base, not (system.equal @ nearest).any()
