"""The files of places that an evaluator brings: tracts with people, and distances between them.

- They are public tables, not part of an extract: census counts, centroids, travel times.
- Tract codes are text: what a spreadsheet made of them (a number, its leading 0 lost) is
  refused with the row, never repaired silently.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from linkage.errors import InputError, Problem, SourceError

_NAMES = {"geoid": "tract", "destination": "dest", "pop": "population", "longitude": "lon",
          "latitude": "lat", "name": "municipality"}  # fmt: skip
_NUMBERS = ("population", "x", "y", "lon", "lat", "cost")
MAX_ROWS = 5_000_000


def read_tracts(path: Path) -> pd.DataFrame:
    """`tract`, `population`, and `x` and `y` or `lon` and `lat`; `municipality` where given.

    Raises:
        InputError: no such file, or columns are missing.
        SourceError: rows are wrong; each is named.
    """
    table = _read(path, ("tract", "population"))
    table["population"] = table["population"].round().astype("int64")
    _once(table, ["tract"], path)
    return table


def read_distances(path: Path) -> pd.DataFrame:
    """`origin`, `dest`, `cost`; raises as `read_tracts`."""
    table = _read(path, ("origin", "dest", "cost"))
    _once(table, ["origin", "dest"], path)
    return table


def _read(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, nrows=MAX_ROWS)
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a CSV file") from error
    table.columns = [_NAMES.get(c.strip().casefold(), c.strip().casefold()) for c in table.columns]
    if missing := [name for name in needed if name not in table]:
        raise InputError(
            f"{path} has no column {', '.join(missing)}",
            remedy=f"It needs {', '.join(needed)}; its columns are {', '.join(table.columns)}",
        )
    problems = []
    for name in table.columns:
        if name in _NUMBERS:
            numbers = pd.to_numeric(table[name], errors="coerce")
            bad = numbers.isna() | (numbers < 0 if name in ("population", "cost") else False)
            problems += [Problem(int(row) + 1, name, "is no number") for row in table.index[bad]]
            table[name] = numbers
        elif name in ("tract", "origin", "dest"):
            bad = ~table[name].str.fullmatch(r"\d{11}")
            problems += [
                Problem(int(row) + 1, name, "is not a census tract of 11 digits")
                for row in table.index[bad]
            ]
    if problems:
        raise SourceError(str(path), problems[:1000], total=len(problems))
    return table


def _once(table: pd.DataFrame, columns: list[str], path: Path) -> None:
    again = table.index[table.duplicated(columns)]
    if len(again):
        problems = [Problem(int(row) + 1, columns[0], "stands there twice") for row in again[:1000]]
        raise SourceError(str(path), problems, total=len(again))
