"""Protect the tables of a release together, or say why that cannot be done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from linkage.errors import DisclosureError
from linkage.release.disclosure.attack import unprotected
from linkage.release.disclosure.coarsening import passing
from linkage.release.disclosure.frames import frame_of, table_of_counts, table_of_rows
from linkage.release.disclosure.rounding import rounded
from linkage.release.disclosure.suppression import Suppression, suppress
from linkage.release.disclosure.system import Needs, System, Told
from linkage.release.disclosure.tables import Counts, Key, Mask, Table

K = 11
MAX_OFFERED = 3


@dataclass(frozen=True)
class ProtectedTable:
    """A table that may be published.

    Attributes:
        suppressed: which cells are not shown, over the nodes of every dimension.
        values: every cell's count, rounded where that was asked for; only `cells` is for readers.
        log: what was done, safe to publish. It does not say how many of the suppressed cells are
            small: where all are, that would tell each of them.
    """

    table: Table
    suppressed: Mask
    values: Counts
    log: Mapping[str, Any]

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The cells to be published; see `frames.frame_of`."""
        return frame_of(self.table, self.suppressed, self.values)

    @cached_property
    def told(self) -> Told:
        """What readers have of it once it is published."""
        return Told(self.table, self.suppressed, int(self.log["k"]))

    @cached_property
    def published(self) -> dict[Key, int]:
        """What readers are told, by cell; for the ledger."""
        seen = (self.table.shown & ~self.suppressed).ravel()
        values = self.table.all_values.ravel()
        keys = self.table.keys()
        return {keys[place]: int(values[place]) for place in np.flatnonzero(seen)}

    @cached_property
    def hidden(self) -> list[Key]:
        """The cells that are suppressed; for the ledger."""
        keys = self.table.keys()
        return [keys[place] for place in np.flatnonzero(self.suppressed)]


def protect(
    frame: pd.DataFrame,
    by: Sequence[str],
    *,
    person: str | None = None,
    people: bool = False,
    k: int = K,
    rounding: int = 1,
    most: float = 1.0,
    name: str = "table",
    counted: str = "rows",
    levels: Mapping[str, Mapping[str, str]] | None = None,
    codes: Mapping[str, Sequence[str]] | None = None,
    margins: Collection[Collection[str]] | None = None,
    published: Mapping[Key, int] | None = None,
) -> ProtectedTable:
    """Count rows of data, or the people behind them, into a table that may be published.

    Args:
        by: the columns to break down by; a missing value is the category `not known`.
        person: column that says whose row it is, mostly `study_id`.
        people: count people instead of rows.
        k: the smallest count that may be shown, beside 0.
        rounding: round shown counts to multiples of this.
        most: largest share of the cells other than 0 that may be suppressed.
        levels, codes, margins: see `table_of_rows`.
        published: cells that readers know already.

    Raises:
        DisclosureError: it cannot be protected, or too much of it would be suppressed.
    """
    table = table_of_rows(
        frame,
        by,
        name=name,
        counted=counted,
        person=person,
        people=people,
        levels=levels,
        codes=codes,
        margins=margins,
    )
    return protect_tables([table], k=k, rounding=rounding, most=most, published=published)[0]


def protect_counts(
    frame: pd.DataFrame,
    by: Sequence[str],
    *,
    count: str = "count",
    people: str | None = None,
    k: int = K,
    rounding: int = 1,
    most: float = 1.0,
    name: str = "table",
    levels: Mapping[str, Mapping[str, str]] | None = None,
    codes: Mapping[str, Sequence[str]] | None = None,
    margins: Collection[Collection[str]] | None = None,
    published: Mapping[Key, int] | None = None,
) -> ProtectedTable:
    """The same for counts that were made already; see `table_of_counts`."""
    table = table_of_counts(
        frame,
        by,
        count=count,
        people=people,
        name=name,
        levels=levels,
        codes=codes,
        margins=margins,
    )
    return protect_tables([table], k=k, rounding=rounding, most=most, published=published)[0]


def protect_tables(
    tables: Sequence[Table],
    *,
    k: int = K,
    rounding: int = 1,
    most: float = 1.0,
    published: Mapping[Key, int] | None = None,
    before: Sequence[Told] = (),
    needs: Needs | None = None,
    hidden: Collection[Key] = (),
) -> list[ProtectedTable]:
    """Protect tables that are published together: what one shows gives nothing of another away.

    Args:
        before: tables that readers have; see `Told`.
        published, needs, hidden: see `System.of`.

    Raises:
        DisclosureError: they cannot be protected, or too much of one would be suppressed.
    """

    def system_of(those: Sequence[Table]) -> System:
        return System.of(those, k=k, published=published, before=before, needs=needs, hidden=hidden)

    system = system_of(tables)
    found = suppress(system)
    for number in range(len(tables)):
        faults = _faults(system, found, number, most)
        if faults:
            raise _refused(tables, number, faults, most, system_of)
    if len(found.impossible):
        raise DisclosureError(
            f"{len(found.impossible)} cells that were suppressed before could be proved to be small"
            " beside these tables, whatever is suppressed in them",
            remedy="Publish less beside what is out already: leave a table out, or a breakdown",
        )
    # The audit knows nothing of how the cells were chosen.
    left = unprotected(system, found.cells)
    if len(left):
        raise DisclosureError(f"{len(left)} suppressed cells could still be proved to be small")
    counts, adds_up = (system.value, True) if rounding == 1 else rounded(system, rounding)
    return [
        ProtectedTable(
            table,
            found.cells[system.places[number]] & table.shown,
            counts[system.places[number]],
            _log(system, found, number, table, k, rounding, adds_up),
        )
        for number, table in enumerate(tables)
    ]


def audit(tables: Sequence[ProtectedTable], *, k: int = K) -> int:
    """How many cells a reader of all these tables can prove to be small."""
    system = System.of([one.table for one in tables], k=k)
    suppressed = np.zeros(len(system.value), np.bool_)
    told = np.zeros(len(system.value), np.bool_)
    for one, places in zip(tables, system.places, strict=True):
        suppressed[places[one.suppressed]] = True
        told[places[one.table.shown & ~one.suppressed]] = True
    return len(unprotected(system, suppressed & ~told))


def _faults(system: System, found: Suppression, number: int, most: float) -> list[str]:
    here = system.places[number].ravel()
    faults = []
    impossible = np.intersect1d(found.impossible, here)
    if len(impossible):
        known = bool(system.fixed.any())
        faults.append(
            f"{len(impossible)} of its cells are small, and could be computed from what"
            + (" was published before" if known else " is shown, whatever is suppressed")
        )
    cells, suppressed = _extent(system, found, number)
    if suppressed > most * cells:
        faults.append(f"{suppressed} of its {cells} cells other than 0 would be suppressed")
    return faults


def _extent(system: System, found: Suppression, number: int) -> tuple[int, int]:
    """Shown cells other than 0, and those of them that are suppressed."""
    here = np.unique(system.places[number])
    cells = here[system.shown[here] & (system.value[here] > 0)]
    return len(cells), int(found.cells[cells].sum())


def _refused(
    tables: Sequence[Table],
    number: int,
    faults: Sequence[str],
    most: float,
    system_of: Callable[[Sequence[Table]], System],
) -> DisclosureError:
    def judge(coarser: Table) -> tuple[int, int] | None:
        tried = [*tables[:number], coarser, *tables[number + 1 :]]
        system = system_of(tried)
        found = suppress(system)
        cells, suppressed = _extent(system, found, number)
        # What shows nothing does not pass.
        if _faults(system, found, number, most) or suppressed >= cells:
            return None
        return cells, suppressed

    offers = passing(tables[number], judge)[:MAX_OFFERED]
    return DisclosureError(
        f"table {tables[number].name!r} cannot be published: {'; '.join(faults)}",
        remedy="It would pass "
        + "; or ".join(
            f"with {one.how} ({one.suppressed} of {one.cells} cells suppressed)"
            if not one.how.startswith("without")
            else f"{one.how} ({one.suppressed} of {one.cells} cells suppressed)"
            for one in offers
        )
        if offers
        else "No coarser table that was tried passes; leave it out",
    )


def _log(
    system: System,
    found: Suppression,
    number: int,
    table: Table,
    k: int,
    rounding: int,
    adds_up: bool,
) -> dict[str, Any]:
    cells, suppressed = _extent(system, found, number)
    here = np.unique(system.places[number])
    return {
        "table": table.name,
        "counted": table.counted,
        "dimensions": [d.name for d in table.dimensions],
        "k": k,
        "cells": int(system.shown[here].sum()),
        "zero": int((system.shown[here] & (system.value[here] == 0)).sum()),
        "suppressed": suppressed,
        "suppressed_share": round(suppressed / cells, 4) if cells else 0.0,
        "rounded_to": rounding,
        "sums_hold": adds_up,
    }
