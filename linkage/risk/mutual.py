"""Points of two sides that are each other's nearest.

"Nearest" is by cosine, less what either point has in common with its surroundings (Conneau and
others, 2018), so that points in the crowd are not everybody's nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.risk.threads import in_parts
from linkage.risk.unit import unit
from linkage.risk.view import Floats, Rows

Flags = npt.NDArray[np.bool_]

_BLOCK = 512
_NEIGHBOURS = 10
_SAMPLE = 1024


@dataclass(frozen=True)
class Matches:
    """For each row of the view asked for, its nearest of the register.

    Attributes:
        rows: which rows of the view.
        nearest: of the register.
        mutual: whether the row is also the nearest of its nearest, among those asked for.
        score: how near; 2 at most.
    """

    rows: Rows
    nearest: Rows
    mutual: Flags
    score: Floats

    @property
    def merit(self) -> float:
        """How well all fits: what an attacker without truth can tell a good start by."""
        return float(self.score[self.mutual].sum() / len(self.rows))


def match(view: Floats, register: Floats, rows: Rows, rng: np.random.Generator) -> Matches:
    """The nearest of the register for each of some rows of the view, block by block."""
    here, there = unit(view[rows]), unit(register)
    crowd_here = _crowding(here, there, rng)
    crowd_there = _crowding(there, here, rng)
    nearest = np.empty(len(here), np.int64)
    score = np.empty(len(here), np.float32)
    highest = Highest(len(here), len(there))

    def part(start: int, stop: int) -> None:
        likeness = here[start:stop] @ there.T
        likeness *= 2
        likeness -= crowd_there
        likeness -= crowd_here[start:stop, np.newaxis]
        own = likeness.argmax(axis=1)
        nearest[start:stop] = own
        score[start:stop] = likeness[np.arange(len(own)), own]
        highest.add(likeness, start)

    in_parts(len(here), _BLOCK, part)
    return Matches(rows, nearest, highest.of(nearest), score)


class Highest:
    """The row of the highest value in each column, of a matrix that comes in blocks of rows.

    Args:
        rows, columns: of the whole matrix.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self._rows, self._columns = rows, columns
        self._blocks: dict[int, tuple[Floats, npt.NDArray[np.int32]]] = {}

    def add(self, values: Floats, start: int) -> None:
        """Take account of some rows, from `start` on; by several threads at once."""
        best = np.full(self._columns, -np.inf, np.float32)
        row = np.zeros(self._columns, np.int32)
        _higher(values, np.int32(start), best, row)
        self._blocks[start] = best, row

    def of(self, nearest: Rows) -> Flags:
        """Whether each row is the one with the highest value in the column that it names."""
        best, row = np.full(self._columns, -np.inf, np.float32), np.zeros(self._columns, np.int32)
        for start in sorted(self._blocks):
            value, at = self._blocks[start]
            better = value > best
            best[better], row[better] = value[better], at[better]
        found: Flags = row[nearest] == np.arange(self._rows)
        return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _higher(values: Any, first: Any, best: Any, row: Any) -> None:
    # Written without a branch, so that the compiler takes many columns at a time.
    for i in range(len(values)):
        at = np.int32(first + i)
        for j in range(values.shape[1]):
            higher = values[i, j] > best[j]
            best[j] = values[i, j] if higher else best[j]
            row[j] = at if higher else row[j]


def _crowding(points: Floats, others: Floats, rng: np.random.Generator) -> Floats:
    """Mean likeness to the nearest of a sample of the others."""
    sample = others[rng.choice(len(others), min(len(others), _SAMPLE), replace=False)].T
    kept = min(_NEIGHBOURS, sample.shape[1])
    out = np.empty(len(points), np.float32)

    def part(start: int, stop: int) -> None:
        likeness = points[start:stop] @ sample
        out[start:stop] = np.partition(likeness, -kept, axis=1)[:, -kept:].mean(axis=1)

    in_parts(len(points), _BLOCK, part)
    return out
