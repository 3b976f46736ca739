"""How well places reach services: floating catchments and rational agents, by census tract.

- The formulas are those of the library `access` (2SFCA, E2SFCA, 3SFCA, RAAM); here is what it
  leaves to its user: which distances, which sites, what nothing means.
- A tract's distance to itself is never 0: where it is not given, it is half the way to the
  nearest other tract. A weight that falls with distance would otherwise be without bound, and a
  site in one's own tract would always count as next door.
- A tract that reaches no site scores 0. Catchment scores are supply per resident; the RAAM score
  is a cost (congestion and travel), of which less is better, and empty where no one lives.
- The same tables give the same scores: places are handed over as numbers, since the library
  goes through sets of them.

    costs = travel(tracts)
    scores(tracts, supply, costs, reach=30.0)
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.errors import InputError, NotFoundError

METHODS = ("2sfca", "e2sfca", "3sfca", "raam")

# Luo and Qi (2009), and Wan, Zou and Sternberg (2012), as parts of the reach.
_ENHANCED = {1 / 3: 1.0, 2 / 3: 0.68, 1.0: 0.22}
_THREE_STAGE = {1 / 6: 0.962, 1 / 3: 0.704, 1 / 2: 0.377, 1.0: 0.042}
_EARTH_KM = 6371.0088

Floats = npt.NDArray[np.float64]


def travel(tracts: pd.DataFrame) -> pd.DataFrame:
    """`origin`, `dest` and `cost` for every pair of tracts, as the crow flies.

    Args:
        tracts: `tract`, and `x` and `y` in any unit, or `lon` and `lat` in degrees, which give
            kilometres.
    """
    if {"x", "y"} <= set(tracts):
        at = tracts[["x", "y"]].to_numpy(np.float64)
        cost = np.hypot(*(at[:, None, k] - at[None, :, k] for k in (0, 1)))
    elif {"lon", "lat"} <= set(tracts):
        cost = _great_circle(*(np.radians(tracts[c].to_numpy(np.float64)) for c in ("lon", "lat")))
    else:
        raise InputError("the tracts have neither x and y nor lon and lat, and no distances")
    names = tracts["tract"].to_numpy()
    return pd.DataFrame(
        {
            "origin": np.repeat(names, len(names)),
            "dest": np.tile(names, len(names)),
            "cost": cost.ravel(),
        }
    )


def without_zeros(costs: pd.DataFrame) -> pd.DataFrame:
    """The same costs with each place's own: half of that to the nearest other, if not given.

    Raises:
        InputError: a cost is negative, or 0 between two places that are not the same.
    """
    if not np.isfinite(costs["cost"]).all() or (costs["cost"] < 0).any():
        raise InputError("a distance is negative or no number")
    own = costs["origin"] == costs["dest"]
    others = costs[~own]
    if (others["cost"] == 0).any():
        row = others[others["cost"] == 0].iloc[0]
        raise InputError(
            f"the distance from {row['origin']} to {row['dest']} is 0",
            remedy="Two tracts lie nowhere at the same place; give their true distance",
        )
    nearest = others.groupby("origin")["cost"].min() / 2
    places = pd.Index(pd.unique(pd.concat([costs["origin"], costs["dest"]])))
    given = costs[own & (costs["cost"] > 0)].set_index("origin")["cost"]
    inside = given.reindex(places).fillna(nearest).fillna(1e-9)
    mine = pd.DataFrame({"origin": places, "dest": places, "cost": inside.to_numpy(np.float64)})
    return pd.concat([others, mine], ignore_index=True)


def scores(
    tracts: pd.DataFrame, supply: pd.Series[float], costs: pd.DataFrame, *, reach: float
) -> pd.DataFrame:
    """Every method's score by tract, in the order of `tracts`; columns `METHODS` and `nearest`.

    Args:
        tracts: `tract` and `population`.
        supply: by the tract in which the services are given.
        costs: `origin`, `dest`, `cost`; pairs that are not there are out of reach.
        reach: the largest cost at which a service counts, in the unit of the costs; for RAAM,
            the travel that weighs as much as average congestion.

    Raises:
        InputError: distances or reach make no sense.
    """
    if reach <= 0:
        raise InputError(f"a reach of {reach:g} reaches nothing")
    supply = supply[supply > 0].astype(np.float64)
    costs = without_zeros(costs)
    known = set(costs["dest"])
    if missing := sorted(set(map(str, supply.index)) - set(map(str, known))):
        raise InputError(
            f"{len(missing)} tracts with services have no distances, such as {missing[0]}",
            remedy="The file of tracts must hold every tract that people come from or go to",
        )
    number = {name: place for place, name in enumerate(sorted(known | set(tracts["tract"])))}
    demand = pd.DataFrame(
        {"demand": tracts["population"].to_numpy(np.int64)},
        index=pd.Index(tracts["tract"].map(number), name="geoid"),
    )
    offered = pd.DataFrame(
        {"supply": supply.to_numpy()}, index=pd.Index(supply.index.map(number), name="geoid")
    ).sort_index()
    ways = pd.DataFrame(
        {
            "origin": costs["origin"].map(number),
            "dest": costs["dest"].map(number),
            "cost": costs["cost"],
        }
    )
    ways = ways[ways["dest"].isin(offered.index)].sort_values(["origin", "dest"])
    found = _catchments(demand, offered, ways[ways["cost"] <= reach], reach)
    found["raam"] = _raam(demand, offered, ways, reach)
    found["nearest"] = ways.groupby("origin")["cost"].min().reindex(demand.index)
    found.insert(0, "tract", tracts["tract"].to_numpy())
    return found.reset_index(drop=True)


def _catchments(
    demand: pd.DataFrame, supply: pd.DataFrame, ways: pd.DataFrame, reach: float
) -> pd.DataFrame:
    fca, weights, _ = _library()
    # A site that nobody lives near enough to has no one to share it.
    reached = ways.assign(people=ways["origin"].map(demand["demand"])).groupby("dest")["people"]
    ways = ways[ways["dest"].map(reached.sum()) > 0].reset_index(drop=True)
    supply = supply[supply.index.isin(ways["dest"])]
    found = pd.DataFrame(index=demand.index)
    methods: dict[str, tuple[Any, dict[float, float] | None]] = {
        "2sfca": (fca.two_stage_fca, None),
        "e2sfca": (fca.two_stage_fca, _ENHANCED),
        "3sfca": (fca.three_stage_fca, _THREE_STAGE),
    }
    for name, (method, steps) in methods.items():
        if ways.empty:
            found[name] = 0.0
            continue
        weigh = steps and weights.step_fn({part * reach: w for part, w in steps.items()})
        score = _quietly(
            method,
            demand,
            supply,
            ways.copy(),  # the library puts columns of its own into it
            max_cost=reach,
            demand_index=True,
            supply_index=True,
            weight_fn=weigh,
        )
        found[name] = score.reindex(demand.index).fillna(0.0)
    return found


def _raam(
    demand: pd.DataFrame, supply: pd.DataFrame, ways: pd.DataFrame, reach: float
) -> pd.Series[float]:
    lived_in = demand[demand["demand"] > 0]
    ways = ways[ways["origin"].isin(lived_in.index)]
    if ways.empty:
        return pd.Series(np.nan, index=demand.index)
    lived_in = lived_in[lived_in.index.isin(ways["origin"])]
    score: pd.Series[float] = _quietly(_library()[2].raam, lived_in, supply, ways, tau=reach)
    return score.reindex(demand.index)


def _library() -> tuple[Any, Any, Any]:
    try:
        from access import fca, raam, weights
    except ImportError as error:
        raise NotFoundError(
            "the library access, which computes the scores, is not installed",
            remedy="Install linkage with it: linkage[analysis]",
        ) from error
    return fca, weights, raam


def _quietly(method: Any, *arguments: Any, **more: Any) -> Any:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return method(*arguments, **more)


def _great_circle(lon: Floats, lat: Floats) -> Floats:
    """Kilometres between all pairs of points given in radians (haversine)."""
    half = np.sin((lat[:, None] - lat[None, :]) / 2) ** 2
    half += np.cos(lat[:, None]) * np.cos(lat[None, :]) * (
        np.sin((lon[:, None] - lon[None, :]) / 2) ** 2
    )  # fmt: skip
    found: Floats = 2 * _EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))
    return found
