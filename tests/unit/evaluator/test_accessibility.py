from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from linkage.errors import InputError
from linkage.evaluator.accessibility import scores, travel, without_zeros

STEPS = [(1 / 3, 1.0), (2 / 3, 0.68), (1.0, 0.22)]
THREE = [(1 / 6, 0.962), (1 / 3, 0.704), (1 / 2, 0.377), (1.0, 0.042)]


def county(count: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(seed)
    tracts = pd.DataFrame(
        {
            "tract": [f"17{n:09d}" for n in range(count)],
            "population": rng.integers(0, 5000, count),
            "x": rng.uniform(0, 80, count),
            "y": rng.uniform(0, 50, count),
        }
    )
    sites = rng.choice(count, count // 4, replace=False)
    supply = pd.Series(rng.uniform(1e4, 1e6, len(sites)), index=tracts["tract"].iloc[sites])
    return tracts, supply


def by_hand(
    tracts: pd.DataFrame, supply: pd.Series, reach: float, steps: list[tuple[float, float]] | None,
    *, choose: bool = False,
) -> np.ndarray:  # fmt: skip
    """Two (or three) stages, place by place."""
    at = tracts[["x", "y"]].to_numpy()
    distance = np.hypot(*(at[:, None, k] - at[None, :, k] for k in (0, 1)))
    np.fill_diagonal(distance, np.inf)
    np.fill_diagonal(distance, distance.min(axis=1) / 2)
    places = [tracts["tract"].tolist().index(name) for name in supply.index]
    people = tracts["population"].to_numpy()

    def weight(cost: float) -> float:
        if cost > reach:
            return 0.0
        return next(w for part, w in steps if cost <= part * reach) if steps else 1.0

    weights = np.array([[weight(distance[i, j]) for j in places] for i in range(len(tracts))])
    if choose:
        total = weights.sum(axis=1, keepdims=True)
        weights = weights * np.divide(weights, total, where=total > 0, out=np.zeros_like(weights))
    asked = (weights * people[:, None]).sum(axis=0)
    ratio = np.divide(supply.to_numpy(), asked, where=asked > 0, out=np.zeros(len(asked)))
    return (weights * ratio).sum(axis=1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_catchments_agree_with_a_slow_count(seed: int) -> None:
    tracts, supply = county(24, seed)
    found = scores(tracts, supply, travel(tracts), reach=20.0)
    assert found["tract"].tolist() == tracts["tract"].tolist()
    for name, steps, choose in (("2sfca", None, False), ("e2sfca", STEPS, False),
                                ("3sfca", THREE, True)):  # fmt: skip
        expected = by_hand(tracts, supply, 20.0, steps, choose=choose)
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, err_msg=name)
    # Nothing that is given out of reach, and nothing of what is within it, is lost.
    spent = (found["2sfca"] * tracts["population"]).sum()
    assert spent == pytest.approx(supply.sum())


def test_who_lives_near_pays_less() -> None:
    tracts = pd.DataFrame(
        {"tract": ["near", "far"], "population": [1000, 1000], "x": [0.0, 40.0], "y": [0.0, 0.0]}
    )
    found = scores(tracts, pd.Series({"near": 100.0}), travel(tracts), reach=30.0)
    near, far = found["raam"]
    assert near < far
    assert found["2sfca"].tolist() == [0.1, 0.0]
    assert found["nearest"].tolist() == [20.0, 40.0]


def test_a_place_is_never_nowhere_from_itself() -> None:
    costs = pd.DataFrame(
        {"origin": ["a", "a", "b", "b"], "dest": ["a", "b", "a", "b"], "cost": [0.0, 8.0, 8.0, 3.0]}
    )
    made = without_zeros(costs).set_index(["origin", "dest"])["cost"]
    assert made["a", "a"] == 4.0
    assert made["b", "b"] == 3.0
    assert made["a", "b"] == 8.0
    alone = without_zeros(costs.head(1))
    assert alone["cost"].iloc[0] > 0
    bad = costs.assign(cost=[0.0, 0.0, 8.0, 3.0])
    with pytest.raises(InputError, match="from a to b is 0"):
        without_zeros(bad)
    with pytest.raises(InputError, match="negative"):
        without_zeros(costs.assign(cost=[0.0, -1.0, 8.0, 3.0]))


def test_what_makes_no_sense_is_refused() -> None:
    tracts, supply = county(8, 4)
    with pytest.raises(InputError, match="reaches nothing"):
        scores(tracts, supply, travel(tracts), reach=0)
    with pytest.raises(InputError, match="have no distances"):
        scores(tracts, pd.Series({"elsewhere": 1.0}), travel(tracts), reach=5)
    with pytest.raises(InputError, match="neither x and y"):
        travel(tracts[["tract", "population"]])


def test_nobody_and_nothing_score_nothing() -> None:
    tracts, supply = county(8, 5)
    nothing = scores(tracts, supply.head(0), travel(tracts), reach=30.0)
    assert (nothing[["2sfca", "e2sfca", "3sfca"]] == 0).all(axis=None)
    assert nothing["raam"].isna().all()
    empty = tracts.assign(population=0)
    nobody = scores(empty, supply, travel(empty), reach=30.0)
    assert (nobody["2sfca"] == 0).all()
    assert nobody["raam"].isna().all()


def test_degrees_give_kilometres() -> None:
    chicago_wheaton = pd.DataFrame(
        {"tract": ["c", "w"], "lon": [-87.6298, -88.1070], "lat": [41.8781, 41.8661]}
    )
    cost = travel(chicago_wheaton).set_index(["origin", "dest"])["cost"]
    assert cost["c", "w"] == pytest.approx(39.5, abs=0.3)


_PROGRAM = """
import sys
import pandas as pd
from linkage.evaluator.accessibility import scores, travel
tracts = pd.read_csv(sys.argv[1], dtype={"tract": str}, float_precision="round_trip")
supply = pd.read_csv(sys.argv[2], dtype={"tract": str}, float_precision="round_trip")
supply = supply.set_index("tract")["supply"]
scores(tracts, supply, travel(tracts), reach=25.0).to_csv(sys.argv[3])
"""


def test_another_process_gives_the_same_scores(tmp_path: Path) -> None:
    tracts, supply = county(20, 6)
    tracts.to_csv(tmp_path / "tracts.csv", index=False)
    supply.rename("supply").rename_axis("tract").to_csv(tmp_path / "supply.csv")
    scores(tracts, supply, travel(tracts), reach=25.0).to_csv(tmp_path / "here.csv")
    names = [str(tmp_path / name) for name in ("tracts.csv", "supply.csv", "there.csv")]
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    subprocess.run(
        [sys.executable, "-c", _PROGRAM, *names],
        env={**os.environ, "PYTHONHASHSEED": seed},
        check=True,
        timeout=120,
    )
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
