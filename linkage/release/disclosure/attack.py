"""What a reader of the published cells can prove about the hidden ones: the bounds audit.

The reader knows all published cells of all tables, every relation between cells (margins, levels,
linked tables), that zeros are published, so that a suppressed cell is at least 1, and the
threshold. What is hidden may then be any point of a polytope; a linear program finds the largest
value that a cell has in it. A cell is protected when that value reaches the threshold.

- A point of the polytope in which a cell is large enough proves that it is protected; one point
  mostly proves it for many cells, so far fewer programs are solved than there are cells.
- A cell is called unprotected only by a bound: by one relation, or by its own program's optimum.
- Bounds are those of the real relaxation. In tables of three and more dimensions a reader who
  solves integer programs may know a little more; see docs/explanation/disclosure.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from linkage.errors import InternalError
from linkage.release.disclosure.system import Places, System
from linkage.release.disclosure.tables import Mask

SLACK = 1e-6
Floats = npt.NDArray[np.float64]


@dataclass
class Proofs:
    """Other tables that a reader must hold possible, as deviations from the true one.

    Attributes:
        programs: how many programs were solved for them.
    """

    moves: list[npt.NDArray[np.float32]] = field(default_factory=list)
    programs: int = 0

    def add(self, move: Floats) -> None:
        self.moves.append(move.astype(np.float32))

    def proved(self, system: System, hidden: Mask) -> Mask:
        """Which cells those tables protect that differ in hidden cells only."""
        found = np.zeros(len(system.value), np.bool_)
        for move in self.still(hidden).moves:
            found |= move >= system.need - 1e-4
        return found

    def still(self, hidden: Mask) -> Proofs:
        """Those tables that differ in hidden cells only."""
        kept = [move for move in self.moves if not (np.abs(move[~hidden]) > SLACK).any()]
        return Proofs(kept, self.programs)


def hidden_cells(system: System, suppressed: Mask) -> Mask:
    """The cells that a reader is not told."""
    return (suppressed | ~system.shown) & ~system.fixed


def unprotected(
    system: System, suppressed: Mask, proofs: Proofs | None = None, *, enough: int | None = None
) -> Places:
    """Cells that a reader can prove to be small.

    Args:
        proofs: what is known already; more are added.
        enough: stop when that many are found, or some by looking at single sums; None finds all.
    """
    proofs = Proofs() if proofs is None else proofs
    hidden = hidden_cells(system, suppressed)
    open_cells = system.primary & ~hidden
    left = system.primary & hidden & ~proofs.proved(system, hidden)
    failed = open_cells | (left & _pinned(system, hidden))
    if enough is not None and failed.any():
        return np.flatnonzero(failed)
    program = _Program(system, hidden)
    waiting = np.flatnonzero(left & ~failed)
    alone = len(waiting) == 1
    while len(waiting):
        # A joint program that raises none is followed by one for the first cell alone.
        move = program.raise_one(int(waiting[0])) if alone else program.raise_together(waiting)
        proofs.programs += 1
        reached = move[waiting] >= system.need[waiting] - SLACK
        if reached.any():
            proofs.add(move)
        if alone and not reached[0]:
            failed[waiting[0]] = reached[0] = True
            if enough is not None and failed.sum() >= enough:
                break
        waiting = waiting[~reached]
        alone = not reached.any() or len(waiting) == 1
    return np.flatnonzero(failed)


def interval(system: System, suppressed: Mask, cell: int) -> tuple[float, float]:
    """The least and the largest value that a cell can have for a reader, one program each."""
    hidden = hidden_cells(system, suppressed)
    if not hidden[cell]:
        return float(system.value[cell]), float(system.value[cell])
    program = _Program(system, hidden)
    low, high = program.extreme(cell, -1), program.extreme(cell, 1)
    return float(system.value[cell]) + low, float(system.value[cell]) + high


def _pinned(system: System, hidden: Mask) -> Mask:
    """Cells that a single sum bounds too low: no program is needed for them."""
    room = np.where(hidden, system.value - system.least, 0).astype(np.float64)
    positive, negative = system.equal.maximum(0), (-system.equal).maximum(0)
    found = np.zeros(len(system.value), np.bool_)
    if not system.equal.shape[0]:
        return found
    whole_hidden = positive @ hidden.astype(np.float64) > 0
    parts_hidden = negative @ hidden.astype(np.float64)
    parts_room = negative @ room
    coordinates = system.equal.tocoo()
    row, column, sign = coordinates.row, coordinates.col, coordinates.data
    # A part can rise by what its siblings can fall, if the whole is published.
    part = (sign < 0) & hidden[column] & ~whole_hidden[row]
    bound = parts_room[row] - room[column]
    low = part & (bound < system.need[column] - SLACK)
    # A whole of which every part is published is published.
    alone = (sign > 0) & hidden[column] & (parts_hidden[row] == 0)
    found[column[low | alone]] = True
    return found & system.primary


class _Program:
    """Linear programs over the deviations of hidden cells from their true values."""

    def __init__(self, system: System, hidden: Mask) -> None:
        self._system = system
        self._at = np.flatnonzero(hidden)
        self._place = np.full(len(hidden), -1)
        self._place[self._at] = np.arange(len(self._at))
        equal, at_most = system.equal[:, self._at], system.at_most[:, self._at]
        used = np.diff(equal.indptr) > 0
        self._equal = equal[used] if used.any() else None
        used = np.diff(at_most.indptr) > 0
        self._at_most = at_most[used] if used.any() else None
        self._slack = -(system.at_most @ system.value)[used]
        low = (system.least - system.value)[self._at].astype(np.float64)
        need = system.need[self._at]
        self._free = np.column_stack([low, np.full(len(low), np.inf)])
        # Higher than needed proves nothing more, and takes from others.
        self._capped = np.column_stack([low, np.where(need > 0, need, np.inf)])

    def raise_together(self, cells: Places) -> Floats:
        gain = np.zeros(len(self._at))
        gain[self._place[cells]] = 1 / self._system.need[cells]
        return self._solve(gain, self._capped)

    def raise_one(self, cell: int) -> Floats:
        gain = np.zeros(len(self._at))
        gain[self._place[cell]] = 1.0
        bounds = self._free.copy()
        bounds[self._place[cell], 1] = self._system.need[cell]
        return self._solve(gain, bounds)

    def extreme(self, cell: int, sign: int) -> float:
        gain = np.zeros(len(self._at))
        gain[self._place[cell]] = sign
        result = self._linprog(gain, self._free)
        if result.status == 3:
            return sign * np.inf
        return float(self._checked(result)[self._place[cell]])

    def _solve(self, gain: Floats, bounds: Floats) -> Floats:
        move = np.zeros(len(self._system.value))
        move[self._at] = self._checked(self._linprog(gain, bounds))
        return move

    def _linprog(self, gain: Floats, bounds: Floats) -> Any:
        return linprog(
            -gain,
            A_eq=self._equal,
            b_eq=None if self._equal is None else np.zeros(self._equal.shape[0]),
            A_ub=self._at_most,
            b_ub=None if self._at_most is None else self._slack,
            bounds=bounds,
            method="highs",
        )

    @staticmethod
    def _checked(result: Any) -> Floats:
        if result.status != 0:
            # The true table is always a solution, so the solver gave up.
            raise InternalError("the bounds audit did not come to an end")
        found: Floats = result.x
        return found
