"""Names as people in the United States bear them, with how often.

- Surnames: frequencies of the 1990 census, split by group with the shares of the 2010 census
  (both works of the US government, public domain).
- Given names: frequencies of the 1990 census, split by group with Tzioumis, "Demographic aspects
  of first names" (2018, CC0), and a list of names given since the mid-1990s.
- Names that those lists count too rarely, among them hyphenated and non-ASCII ones, were added
  by hand with made-up frequencies.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Strings = NDArray[np.object_]

GROUPS = ("white", "black", "hispanic", "asian", "native", "mena", "pacific")

RECENT_SINCE = 1995
"""Birth year from which the newer given names are in use."""


@dataclass(frozen=True)
class NameTables:
    """The lists, each with one column of frequencies per group."""

    surnames: pd.DataFrame
    given: pd.DataFrame
    nicknames: Mapping[str, tuple[str, ...]]


@cache
def tables() -> NameTables:
    """The packaged lists, read once."""
    nicknames: dict[str, tuple[str, ...]] = {}
    for name, short in _read("nicknames.csv").to_numpy():
        nicknames[name] = (*nicknames.get(name, ()), short)
    return NameTables(_read("surnames.csv"), _read("given_names.csv"), nicknames)


def _read(name: str) -> pd.DataFrame:
    with resources.files("linkage.synthetic").joinpath("data", name).open("rb") as file:
        return pd.read_csv(file, keep_default_na=False)


def draw_surnames(groups: Strings, rng: np.random.Generator) -> Strings:
    """One surname for each group named."""
    chosen: Strings = np.empty(len(groups), dtype=object)
    for group in GROUPS:
        rows = np.flatnonzero(groups == group)
        chosen[rows] = _weighted(tables().surnames, group, len(rows), rng)
    return chosen


def draw_given(
    groups: Strings, sexes: Strings, born: NDArray[np.int64], rng: np.random.Generator
) -> Strings:
    """One given name for each person's group, sex and year of birth."""
    given = tables().given
    newer = (born >= RECENT_SINCE) & (rng.random(len(born)) < 0.6)
    chosen: Strings = np.empty(len(groups), dtype=object)
    for sex in ("F", "M"):
        for recent in (0, 1):
            names = given[(given["sex"] == sex) & (given["recent"] == recent)]
            for group in GROUPS:
                rows = np.flatnonzero((groups == group) & (sexes == sex) & (newer == recent))
                chosen[rows] = _weighted(names, group, len(rows), rng)
    return chosen


def _weighted(names: pd.DataFrame, group: str, count: int, rng: np.random.Generator) -> Any:
    weights = names[group].to_numpy(dtype=float)
    return rng.choice(names["name"].to_numpy(dtype=object), count, p=weights / weights.sum())


_ACCENTED = """
José Jesús María Ángel Ángela Andrés Ramón Raúl César Óscar Víctor Héctor Martín Joaquín Rubén
Adrián Julián Sebastián Nicolás Tomás Mónica Verónica Lucía Sofía Inés García Martínez Rodríguez
Hernández López González Pérez Sánchez Ramírez Gómez Díaz Vázquez Jiménez Gutiérrez Fernández
Méndez Guzmán Muñoz Núñez Peña Domínguez Álvarez Velázquez Suárez Chávez Ríos Mejía Ávila Durán
León Cortés Rincón
"""


def plain(text: str) -> str:
    """The ASCII letters of a text, as an old computer system keeps them."""
    replaced = text.replace("ø", "o").replace("Ø", "O")
    decomposed = unicodedata.normalize("NFKD", replaced)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


_BY_PLAIN = {plain(name): name for name in _ACCENTED.split()}


def accent(names: Strings) -> Strings:
    """The accented spelling of Spanish names that have one."""
    return np.array([_BY_PLAIN.get(name, name) for name in names], dtype=object)
