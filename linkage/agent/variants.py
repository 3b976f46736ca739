"""The encodings of a record: its own values, and one more for each alias.

- Number 0 is the record itself; aliases follow, those of columns before those of an alias table.
- An alias replaces the fields that it fills and nothing else. One that says nothing new is dropped.
- A record has at most `MAX_VARIANTS` encodings; the aliases beyond are named, and left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.agreement.fields import MAX_VARIANTS

Objects = npt.NDArray[np.object_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Aliases:
    """Other values of some records of a batch.

    Attributes:
        records: (n,) rows of the batch.
        values: by field, (n,) normalised values; None, or no such field, keeps the record's own.
        origins: (n,) rows of the alias table; -1 where there is none.
    """

    records: Rows
    values: Mapping[str, Objects]
    origins: Rows


@dataclass(frozen=True)
class Variants:
    """All encodings of a batch's records, record by record.

    Attributes:
        columns: by field, (n,) normalised values.
        records: (n,) rows of the batch, ascending.
        numbers: (n,) which encoding of its record it is, from 0.
        refused: rows of the alias table that are one alias too many.
    """

    columns: dict[str, Objects]
    records: Rows
    numbers: Rows
    refused: Rows

    def only(self, chosen: npt.NDArray[np.bool_]) -> Variants:
        """Those of some records.

        Args:
            chosen: (rows of the batch,).
        """
        if chosen.all():
            return self
        return self._where(chosen[self.records])

    def counts(self, size: int) -> npt.NDArray[np.uint8]:
        """How many encodings each of a batch's `size` records has."""
        return np.bincount(self.records, minlength=size).astype(np.uint8)

    def _where(self, kept: npt.NDArray[np.bool_], refused: Rows | None = None) -> Variants:
        return Variants(
            {name: column[kept] for name, column in self.columns.items()},
            self.records[kept],
            self.numbers[kept],
            self.refused if refused is None else refused,
        )


def combine(own: Mapping[str, Objects], size: int, parts: Sequence[Aliases]) -> Variants:
    """The variants of a batch of `size` records with values `own`."""
    nothing = np.empty(0, np.int64)
    if not any(len(part.records) for part in parts):
        return Variants(dict(own), np.arange(size), np.zeros(size, np.int64), nothing)
    records = np.concatenate([np.arange(size), *(part.records for part in parts)])
    origins = np.concatenate([np.full(size, -1), *(part.origins for part in parts)])
    order = np.argsort(records, kind="stable")
    columns = {name: _filled(name, values, parts)[order] for name, values in own.items()}
    records, origins = records[order], origins[order]
    found = Variants(columns, records, _numbers(records), nothing)
    several = np.bincount(records, minlength=size)[records] > 1
    repeated = np.zeros(len(records), np.bool_)
    frame = pd.DataFrame({name: column[several] for name, column in columns.items()})
    frame.insert(0, "", records[several], allow_duplicates=True)
    repeated[several] = frame.duplicated().to_numpy()
    found = found._where(~repeated)
    found = Variants(found.columns, found.records, _numbers(found.records), nothing)
    fit = found.numbers < MAX_VARIANTS
    refused = origins[~repeated][~fit]
    return found._where(fit, np.sort(refused[refused >= 0]))


def _filled(name: str, own: Objects, parts: Sequence[Aliases]) -> Objects:
    """The record's own values, and below them those of each part."""
    columns = [own]
    for part in parts:
        column = own[part.records]
        if name in part.values:
            there = part.values[name] != None  # noqa: E711 - element by element
            column[there] = part.values[name][there]
        columns.append(column)
    return np.concatenate(columns)


def _numbers(records: Rows) -> Rows:
    """Counts up from 0 within each record."""
    new = np.flatnonzero(np.diff(records, prepend=-1))
    return np.arange(len(records)) - np.repeat(new, np.diff(new, append=len(records)))
