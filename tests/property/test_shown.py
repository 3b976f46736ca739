"""Reports one after another: no cell that one hides can be proved small from all that were shown.

Random microdata is counted in several tables that have margins in common but call them by other
names: other dimensions, categories put together, a part of the people alone. The reader here is
written anew: it holds every table to be a count of one cube of people, the strongest that it may
know, and asks a linear program for the largest value of each hidden small cell.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from linkage.errors import DisclosureError
from linkage.evaluator.shown import Shown
from linkage.release.disclosure import TOTAL, ProtectedTable, protect_tables, table_of_rows

K = 11
SIZES = {"a": 3, "b": 3, "c": 4, "d": 2}
LEVELS = {"c2": "rest", "c3": "rest"}
COARSE = {"c0": "c0", "c1": "c1", **LEVELS}


def people(random: np.random.Generator) -> pd.DataFrame:
    count = int(random.integers(60, 400))
    columns = {
        name: [f"{name}{n}" for n in random.choice(size, count, p=random.dirichlet([1.0] * size))]
        for name, size in SIZES.items()
    }
    return pd.DataFrame({"person": [f"p{n}" for n in range(count)], **columns})


def asked(random: np.random.Generator) -> Iterator[tuple[list[str], str | None, bool]]:
    """Columns, the only value of "a" that is counted, and whether "c" is coarser."""
    hub = str(random.choice(["a", "b"]))
    for other in random.permutation([name for name in SIZES if name != hub])[:3]:
        yield [hub, str(other)], None, bool(random.random() < 0.3)
    yield ["b"], "a0", False
    yield [str(random.choice(["c", "d"]))], None, False


def counted(
    frame: pd.DataFrame, number: int, by: list[str], only: str | None, coarse: bool
) -> tuple[pd.DataFrame, dict[str, str]]:
    rows = frame if only is None else frame[frame["a"] == only]
    names = {name: f"{name} of table {number}" for name in by}
    if coarse:
        rows = rows.assign(c=rows["c"].map(COARSE))
    return rows.rename(columns=names), names


def reports(random: np.random.Generator, together: bool) -> tuple[pd.DataFrame, list[tuple]]:
    """What was shown: each protected table, with what it counts."""
    frame, ledger, found = people(random), Shown(), []
    for number, (by, only, coarse) in enumerate(asked(random)):
        rows, names = counted(frame, number, by, only, coarse)
        if rows.empty:
            continue
        table = table_of_rows(
            rows,
            list(names.values()),
            name=f"t{number}",
            counted=f"people {number}",
            person="person",
            people=True,
            levels={} if coarse or "c" not in by else {names["c"]: LEVELS},
            margins=None if random.random() < 0.7 else [],
            record="person",
        )
        try:
            [made] = ledger.protect([table], k=K) if together else protect_tables([table], k=K)
        except DisclosureError:
            ledger.drop()
            continue
        ledger.keep()
        found.append((made, by, only))
    return frame, found


CUBE = pd.MultiIndex.from_product(
    [[f"{name}{n}" for n in range(size)] for name, size in SIZES.items()], names=list(SIZES)
).to_frame(index=False)


def cells(made: ProtectedTable, by: list[str], only: str | None) -> Iterator[tuple]:
    """Which cells of the cube each shown or hidden cell is the sum of, and its count."""
    for row in made.cells.itertuples(index=False):
        inside = np.ones(len(CUBE), np.bool_) if only is None else (CUBE["a"] == only).to_numpy()
        for name, node in zip(by, row, strict=False):
            column = CUBE[name].map(COARSE) if name == "c" and node == "rest" else CUBE[name]
            inside &= (column == node).to_numpy() | (node == TOTAL)
        yield inside, None if row.suppressed else int(row.count)


def proved(frame: pd.DataFrame, found: list[tuple]) -> int:
    """How many hidden small cells a reader of everything can prove to be small."""
    rows = [cell for one in found for cell in cells(*one)]
    true = frame.groupby(list(SIZES)).size().reindex(pd.MultiIndex.from_frame(CUBE)).fillna(0)
    told = [(inside, count) for inside, count in rows if count is not None]
    hidden = [inside for inside, count in rows if count is None]
    if not hidden:
        return 0
    few = [inside for inside in hidden if 0 < true.to_numpy()[inside].sum() < K]
    equal, right = np.array([i for i, _ in told], float), np.array([n for _, n in told], float)
    bad = 0
    for inside in few:
        result = linprog(
            -inside.astype(float),
            A_eq=equal if told else None,
            b_eq=right if told else None,
            # A zero would have been shown.
            A_ub=-np.array(hidden, float),
            b_ub=-np.ones(len(hidden)),
            bounds=(0, None),
        )
        assert result.status in (0, 3)
        bad += result.status == 0 and -result.fun < K - 1e-6
    return bad


@pytest.mark.parametrize("start", [0, 8])
def test_no_report_undoes_another(start: int) -> None:
    hidden = 0
    for seed in range(start, start + 8):
        frame, found = reports(np.random.default_rng(seed), together=True)
        assert len(found) >= 3
        hidden += sum(int(made.suppressed.sum()) for made, *_ in found)
        assert proved(frame, found) == 0, seed
    assert hidden > 30


def test_by_themselves_they_would() -> None:
    """The reader is able: it proves cells of reports that were protected one by one."""
    assert (
        sum(proved(*reports(np.random.default_rng(seed), together=False)) for seed in range(4)) > 1
    )
