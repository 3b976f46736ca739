"""Choose which cells to suppress, so that no small cell can be proved to be small.

Small cells are suppressed first. For each that a reader could still prove small, a linear program
finds the cheapest other table that the reader would have to hold possible, and every published
cell in which it differs is suppressed too (J. P. Kelly et al., "Cell suppression: disclosure
protection for sensitive tabular data", Networks 22, 1992). Costs are then weighed anew so that few
cells change instead of little, and what turns out not to be needed is shown again.

- Zeros are never suppressed, nor what earlier releases published.
- The result is checked by the audit, which knows nothing of how it was found.
- The same tables give the same cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from linkage.release.disclosure.attack import (
    SLACK,
    Floats,
    Proofs,
    hidden_cells,
    unprotected,
)
from linkage.release.disclosure.system import Places, System
from linkage.release.disclosure.tables import Mask

ROUNDS = 3
"""How often the costs of one program are weighed anew."""
TOGETHER = 400
"""Most cells raised by one program; tables with fewer than `FEW` are done one by one."""
FEW = 30
LARGE = 600
"""Cells from which many are looked for and raised at a time."""
EFFORT = 200_000
"""Cells times programs, spent on trying which suppressed cells can be shown after all."""


@dataclass(frozen=True)
class Suppression:
    """What is suppressed.

    Attributes:
        primary: because it is small.
        secondary: so that the others cannot be computed, or as it was suppressed before.
        impossible: small cells that no suppression protects.
    """

    primary: Mask
    secondary: Mask
    impossible: Places

    @property
    def cells(self) -> Mask:
        return self.primary | self.secondary


def suppress(system: System) -> Suppression:
    """Suppress as few cells as can be found."""
    primary = system.primary & system.shown & ~system.fixed
    suppressed, proofs = primary | system.closed, Proofs()
    # What readers know already is hidden by nothing.
    impossible = np.flatnonzero(system.primary & system.fixed).tolist()
    every = np.arange(len(system.value))
    system = replace(system, need=np.where(~np.isin(every, impossible), system.need, 0))
    while True:
        enough = FEW if len(system.value) > LARGE else 1
        waiting = unprotected(system, suppressed, proofs, enough=enough)
        if not len(waiting):
            break
        batch = _batch(system, waiting)
        move = _cheapest(system, suppressed, batch)
        while move is None and len(batch) > 1:
            batch = batch[: len(batch) // 4 or 1]
            move = _cheapest(system, suppressed, batch)
        if move is None:
            impossible.append(int(batch[0]))
            system = replace(system, need=np.where(~np.isin(every, impossible), system.need, 0))
            continue
        suppressed |= (np.abs(move) > SLACK) & ~hidden_cells(system, suppressed)
        proofs.add(move)
    if not impossible:
        suppressed = _show_again(system, suppressed, primary | system.closed, proofs)
    return Suppression(primary, suppressed & ~primary, np.array(sorted(impossible), np.int64))


def _weights(system: System) -> Floats:
    """What it costs to suppress a cell: one cell is one, and of equal ones the small, inner ones
    go first.
    """
    weights: Floats = 1 + 0.02 * np.log2(1 + system.value) + 0.1 * system.totals
    return weights


def _batch(system: System, waiting: Places) -> Places:
    """The neediest cell, or many that stand in no sum together."""
    order = waiting[np.argsort(-system.need[waiting], kind="stable")]
    if len(waiting) < FEW:
        return order[:1]
    columns = system.equal.tocsc()
    taken = np.zeros(system.equal.shape[0], np.bool_)
    chosen: list[int] = []
    for cell in order:
        rows = columns.indices[columns.indptr[cell] : columns.indptr[cell + 1]]
        if not taken[rows].any():
            taken[rows] = True
            chosen.append(int(cell))
            if len(chosen) == TOGETHER:
                break
    return np.array(chosen, np.int64)


def _cheapest(system: System, suppressed: Mask, batch: Places) -> Floats | None:
    """A table that protects the cells of a batch and differs in few published cells; None where
    there is none.
    """
    hidden = hidden_cells(system, suppressed)
    at = np.flatnonzero(hidden | ((system.value > 0) & ~system.fixed))
    free = hidden[at]
    room = (system.value - system.least)[at].astype(np.float64)
    lower = np.zeros(len(at))
    place = np.searchsorted(at, batch)
    lower[place] = system.need[batch]
    room[place] = 0
    equal, at_most = system.equal[:, at], system.at_most[:, at]
    equal = equal[np.diff(equal.indptr) > 0]
    used = np.diff(at_most.indptr) > 0
    slack = -(system.at_most @ system.value)[used]
    weights = np.where(free, 0.0, _weights(system)[at])
    bounds = np.column_stack(
        [np.append(lower, np.zeros(len(at))), np.append(np.full(len(at), np.inf), room)]
    )
    cost, best, least = weights.copy(), None, np.inf
    for _ in range(ROUNDS):
        result = linprog(
            np.concatenate([cost, cost]),
            A_eq=sp.hstack([equal, -equal], format="csc") if equal.shape[0] else None,
            b_eq=np.zeros(equal.shape[0]) if equal.shape[0] else None,
            A_ub=sp.hstack([at_most[used], -at_most[used]], format="csc") if used.any() else None,
            b_ub=slack if used.any() else None,
            bounds=bounds,
            method="highs",
        )
        if result.status != 0:
            break
        change = result.x[: len(at)] - result.x[len(at) :]
        moved = np.abs(change) > SLACK
        paid = float(weights[moved].sum())
        if paid < least - 1e-9:
            least, best = paid, change
        elif best is not None:
            break
        cost = weights / (np.abs(change) + 0.5)
    if best is None:
        return None
    move = np.zeros(len(system.value))
    move[at] = best
    return move


def _show_again(system: System, suppressed: Mask, kept: Mask, proofs: Proofs) -> Mask:
    """Show every suppressed cell again without which all others stay protected."""
    extra = np.flatnonzero(suppressed & ~kept)
    order = extra[np.argsort(-_weights(system)[extra], kind="stable")]
    start = proofs.programs
    for cell in order:
        if (proofs.programs - start) * len(system.value) > EFFORT:
            break
        fewer = suppressed.copy()
        fewer[cell] = False
        tried = proofs.still(hidden_cells(system, fewer))
        failed = unprotected(system, fewer, tried, enough=1)
        proofs.programs = tried.programs
        if not len(failed):
            suppressed, proofs = fewer, tried
    return suppressed
