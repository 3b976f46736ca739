"""500 random tables with margins: after the gate, no reader can prove a hidden cell to be small.

The reader here is written anew, from the published frames alone: it takes every line of a table in
which one dimension runs over its categories and the others stand still, and asks a linear program
for the largest value of each hidden cell. It shares no code with the gate.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from linkage.release.disclosure import TOTAL, Dimension, Table, protect_tables
from linkage.release.disclosure.system import System

K = 11
TABLES = 500
BATCH = 50
QUARTERS = {f"m{month}": f"q{month // 3}" for month in range(6)}


def random_table(seed: int) -> Table:
    """One to three dimensions, now and then with a level above; few or many small cells."""
    random = np.random.default_rng(seed)
    axes = int(random.choice([1, 2, 2, 2, 2, 2, 3]))
    shape = [int(n) for n in random.integers(2, 5 if axes < 3 else 4, axes)]
    dimensions = [
        Dimension(f"d{axis}", tuple(f"c{n}" for n in range(size)))
        for axis, size in enumerate(shape)
    ]
    if axes == 2 and random.random() < 0.15:
        dimensions[0] = Dimension("d0", tuple(QUARTERS), QUARTERS)
        shape[0] = len(QUARTERS)
    values = random.gamma(0.6, random.choice([15, 40, 150]), shape).astype(np.int64)
    values[random.random(shape) < 0.2] = 0
    return Table(f"t{seed}", "things", tuple(dimensions), values)


def lines(cells: pd.DataFrame, by: list[str]) -> Iterator[tuple[int, list[int]]]:
    """Every sum that a reader of a published table knows: the whole's row, its parts' rows."""
    place = {tuple(row): n for n, row in enumerate(cells[by].itertuples(index=False))}
    for axis in range(len(by)):
        for key in place:
            if key[axis] != TOTAL:
                continue
            column = {k[axis] for k in place}
            groups = {"": column - {TOTAL}}
            if "q0" in column:
                groups = {"": {"q0", "q1"}, "q0": {"m0", "m1", "m2"}, "q1": {"m3", "m4", "m5"}}
            for whole, parts in groups.items():
                top = key if not whole else (*key[:axis], whole, *key[axis + 1 :])
                yield (
                    place[top],
                    [place[(*key[:axis], part, *key[axis + 1 :])] for part in sorted(parts)],
                )


def largest(cells: pd.DataFrame, by: list[str], wanted: np.ndarray) -> list[float]:
    """The largest value of each wanted hidden cell, for one who reads the frame."""
    count = cells["count"].to_numpy(dtype=float, na_value=np.nan)
    hidden = np.flatnonzero(np.isnan(count))
    number = {int(cell): n for n, cell in enumerate(hidden)}
    rows, right = [], []
    for whole, parts in lines(cells, by):
        row, known = np.zeros(len(hidden)), 0.0
        for cell, sign in ((whole, 1.0), *((part, -1.0) for part in parts)):
            if cell in number:
                row[number[cell]] += sign
            else:
                known -= sign * count[cell]
        if row.any():
            rows.append(row)
            right.append(known)
    found = []
    for cell in wanted:
        gain = np.zeros(len(hidden))
        gain[number[int(cell)]] = -1
        result = linprog(
            gain,
            A_eq=np.array(rows) if rows else None,
            b_eq=np.array(right) if rows else None,
            bounds=(1, None),
        )
        found.append(np.inf if result.status == 3 else -result.fun)
    return found


@pytest.mark.parametrize("start", range(0, TABLES, BATCH))
def test_no_hidden_cell_can_be_proved_small(start: int) -> None:
    for seed in range(start, start + BATCH):
        table = random_table(seed)
        protected = protect_tables([table])[0]
        cells, true = protected.cells, table.all_values.ravel()
        shown = cells["count"].to_numpy(dtype=float, na_value=np.nan)
        assert not ((shown > 0) & (shown < K)).any()
        assert (shown[true == 0] == 0).all(), "a zero is shown"
        assert np.array_equal(shown[~np.isnan(shown)], true[~np.isnan(shown)])
        small = np.flatnonzero((true > 0) & (true < K))
        by = [d.name for d in table.dimensions]
        assert all(value >= K - 1e-6 for value in largest(cells, by, small)), seed


def fewest(system: System) -> int:
    """The least number of cells that any safe suppression has: one integer program that holds,
    for each small cell, another table in which it is large and only suppressed cells differ.
    """
    small, count, far = np.flatnonzero(system.primary), len(system.value), 4.0 * K
    down = sp.diags_array((system.value - system.least).astype(float), format="csr")
    up = sp.diags_array(np.full(count, -far), format="csr")
    still, one = sp.csr_array((system.equal.shape[0], count)), sp.eye_array(count, format="csr")
    blocks, low, high = [], [], []
    for number in range(len(small)):
        for cells, move, least, most in (
            (still, system.equal, 0.0, 0.0),
            (down, one, 0.0, np.inf),
            (up, one, -np.inf, 0.0),
        ):
            empty = sp.csr_array((move.shape[0], count))
            blocks.append(
                sp.hstack([cells, *(move if n == number else empty for n in range(len(small)))])
            )
            low.append(np.full(move.shape[0], least))
            high.append(np.full(move.shape[0], most))
    chosen = np.where(system.primary, 1.0, 0.0)
    moved = np.full((len(small), count), -np.inf)
    moved[np.arange(len(small)), small] = system.need[small]
    integral = np.append(np.ones(count), np.zeros(moved.size))
    result = milp(
        integral,
        constraints=LinearConstraint(
            sp.vstack(blocks).tocsc(), np.concatenate(low), np.concatenate(high)
        ),
        bounds=Bounds(
            np.append(chosen, moved),
            np.append(np.where(system.value > 0, 1.0, 0.0), np.full(moved.size, np.inf)),
        ),
        integrality=integral,
    )
    assert result.status == 0
    return round(result.fun)


def test_few_more_cells_are_suppressed_than_the_optimum() -> None:
    ratios = []
    for seed in range(1000, 1060):
        table = random_table(seed)
        system = System.of([table], k=K)
        if 1 <= system.primary.sum() <= 6:
            ours = int(protect_tables([table])[0].suppressed.sum())
            ratios.append(ours / fewest(system))
    assert len(ratios) >= 30
    assert max(ratios) <= 1.5
    assert np.mean(ratios) <= 1.05
