"""What the reports of an extract have shown: the ledger that keeps one from undoing another.

- Every table of counts passes `Shown.protect`. It is protected together with all tables that were
  shown before and share a cell with it, directly or through others: the cells that those show are
  known, and no small cell that they hide may be proved small. A cell that they hid for the sake
  of a small one may be shown where that one stays in doubt without it.
- Two tables share a cell where they count the same rows or people, whatever they call it.
- A table that was shown before comes out as it was: the same report twice is the same bytes.
- Of another extract of the project (a later release, another recipient's) cells are compared by
  name: a count that differs by few from any that was shown is suppressed; one that is as it was
  shown is known; and a cell that was hidden is hidden, for it was what kept another from being
  told, which may count what it did.
- `keep` writes what a report showed to the ledger, before the report is to be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from linkage.agreement.canonical import canonical, fingerprint
from linkage.errors import DisclosureError, StateError
from linkage.evaluator.chain import Chain, Said
from linkage.release.disclosure import Dimension, ProtectedTable, Table, Told, protect_tables
from linkage.release.disclosure.system import Needs
from linkage.release.disclosure.tables import Key, Mask

Cells = frozenset[Any]


class Shown:
    """The ledger of one extract's reports.

    Args:
        path: of the file, for all extracts of a project; None keeps nothing beyond this process.
        extract: the digest of the extract.
        told: tables that its readers have beside the reports.

    Raises:
        DigestMismatchError: the file is not what was written.
    """

    def __init__(
        self, path: Path | None = None, extract: str = "", told: Sequence[Told] = ()
    ) -> None:
        self._extract = extract
        self._chain = path and Chain(
            path,
            f"the ledger {path}",
            "Restore it from a backup; without it, reports may undo what earlier ones hid",
        )
        self._told = list(told)
        self._tables: dict[str, ProtectedTable] = {}
        self._elsewhere: dict[Key, set[int]] = {}
        self._hidden_elsewhere: set[Key] = set()
        self._waiting: list[ProtectedTable] = []
        lines = self._chain.read(_reported) if self._chain else []
        self._known = len(lines)
        for of, tables in lines:
            self._recall(of, tables)

    def protect(
        self,
        tables: Sequence[Table],
        *,
        k: int,
        rounding: int = 1,
        published: Mapping[Key, int] | None = None,
    ) -> list[ProtectedTable]:
        """Protect tables of a report beside everything that was shown.

        Args:
            published: cells to show whatever it costs others.

        Raises:
            DisclosureError: they cannot be protected.
        """
        names = [_name(table, k, rounding) for table in tables]
        new = {n: t for n, t in zip(names, tables, strict=True) if n not in self._tables}
        if new:
            fresh = list(new.values())
            before = self._beside(fresh)
            found = protect_tables(
                fresh,
                k=k,
                rounding=rounding,
                published=self._known_now(fresh, published or {}),
                before=before,
                needs=self._needs(fresh, before, k),
                hidden=self._hidden_elsewhere,
            )
            self._tables.update(zip(new, found, strict=True))
            self._waiting += found
        return [self._tables[name] for name in names]

    def keep(self) -> None:
        """Write down for good what was protected: it is to be shown.

        Raises:
            StateError: another report was kept meanwhile, which this one knows nothing of.
        """
        made, self._waiting = self._waiting, []
        if not self._chain or not made:
            return

        def say(lines: list[Said]) -> Said:
            if len(lines) != self._known:
                raise StateError(
                    "another report was made in the meantime", remedy="Make this one again"
                )
            tables = [_plain(one) for one in made]
            return {"linkage": "shown/1", "extract": self._extract, "tables": tables}

        self._chain.append(say)
        self._known += 1

    def drop(self) -> None:
        """Forget what was protected and is not to be shown."""
        gone = {id(one) for one in self._waiting}
        self._tables = {n: one for n, one in self._tables.items() if id(one) not in gone}
        self._waiting = []

    def _recall(self, extract: str, tables: Mapping[str, ProtectedTable]) -> None:
        if extract == self._extract:
            self._tables.update(tables)
            return
        for one in tables.values():
            for key, count in one.published.items():
                self._elsewhere.setdefault(key, set()).add(count)
            self._hidden_elsewhere.update(one.hidden)

    def _beside(self, tables: Sequence[Table]) -> list[Told]:
        """What shares a cell with the tables, or with what does."""
        reach = frozenset[Any]().union(*map(_cells, tables))
        waiting = [(one, _cells(one.table)) for one in self._told]
        waiting += [(one.told, _cells(one.table)) for one in self._tables.values()]
        chosen: list[Told] = []
        while True:
            near = [pair for pair in waiting if not reach.isdisjoint(pair[1])]
            waiting = [pair for pair in waiting if reach.isdisjoint(pair[1])]
            if not near:
                return chosen
            chosen += [one for one, _ in near]
            reach = reach.union(*(cells for _, cells in near))

    def _known_now(self, tables: Sequence[Table], asked: Mapping[Key, int]) -> dict[Key, int]:
        """Cells to show that no other extract's reports hid, and those that count what they showed:
        these are known.
        """
        known = {key: n for key, n in asked.items() if key not in self._hidden_elsewhere}
        for table in tables if self._elsewhere else ():
            for key, count in zip(table.keys(), table.all_values.ravel().tolist(), strict=True):
                if count in self._elsewhere.get(key, ()):
                    known[key] = count
        return known

    def _needs(self, tables: Sequence[Table], before: Sequence[Told], k: int) -> Needs:
        """Cells that few people, or few rows, tell from what any other extract's reports showed:
        those of new tables, and those that tables beside them hide.
        """
        if not self._elsewhere:
            return {}
        found: dict[tuple[Key, int], int] = {}
        told = frozenset[Any]().union(*(_cells(one.table, ~one.suppressed) for one in before))
        every = [(table, True) for table in tables] + [(one.table, False) for one in before]
        for table, new in every:
            names = table.keys() if table.sets is None else table.sets.ravel().tolist()
            values = table.all_values.ravel().tolist()
            for key, name, count in zip(table.keys(), names, values, strict=True):
                apart = [abs(count - was) for was in self._elsewhere.get(key, ())]
                few = [one for one in apart if 0 < one < k]
                # What is out can be hidden no more; a new table that would say it again is refused.
                if few and (new or name not in told):
                    found[key, count] = k + max(few)
        return found


def protect_with_totals(
    ledger: Shown, tables: Sequence[Table], *, k: int, rounding: int
) -> list[ProtectedTable]:
    """Protect tables with the totals of everything shown, if that can be: they are what everybody
    asks for first.
    """
    with_total = (table for table in tables if table.shown.flat[-1])
    totals: dict[Key, int] = {
        (table.counted, ()): int(table.all_values.flat[-1]) for table in with_total
    }
    told = {key: count for key, count in totals.items() if count >= k}
    try:
        return ledger.protect(tables, k=k, rounding=rounding, published=told)
    except DisclosureError:
        return ledger.protect(tables, k=k, rounding=rounding)


def _cells(table: Table, shown: Mask | None = None) -> Cells:
    """What tells the cells of a table that are not 0, or those of them that are shown."""
    there = table.all_values.ravel() > 0
    if shown is not None:
        there &= (table.shown & shown).ravel()
    if table.sets is not None:
        return frozenset(table.sets.ravel()[there].tolist())
    keys = table.keys()
    return frozenset(keys[place] for place in np.flatnonzero(there))


def _name(table: Table, k: int, rounding: int) -> str:
    """Stands for a table and how it is protected."""
    return fingerprint(canonical([_plain_table(table), k, rounding]))


def _plain_table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "counted": table.counted,
        "dimensions": [
            {
                "name": one.name,
                "codes": list(one.codes),
                "parents": dict(one.parents),
                "overlapping": one.overlapping,
            }
            for one in table.dimensions
        ],
        "values": table.values.ravel().tolist(),
        "people": None if table.people is None else table.people.ravel().tolist(),
        "margins": None if table.margins is None else sorted(sorted(m) for m in table.margins),
        "finest": table.finest,
        # Larger than JSON's numbers may be.
        "sets": None if table.sets is None else table.sets.astype("<u8").tobytes().hex(),
    }


def _plain(one: ProtectedTable) -> dict[str, Any]:
    return {
        "table": _plain_table(one.table),
        "suppressed": np.flatnonzero(one.suppressed).tolist(),
        "values": one.values.ravel().tolist(),
        "log": dict(one.log),
    }


def _reported(said: Said) -> tuple[str, dict[str, ProtectedTable]]:
    """What a line says: of which extract, and the tables that a report showed, by `_name`."""
    tables = [protected_of(one) for one in said["tables"]]
    names = [_name(one.table, int(one.log["k"]), int(one.log["rounded_to"])) for one in tables]
    return str(said["extract"]), dict(zip(names, tables, strict=True))


def protected_of(said: Mapping[str, Any]) -> ProtectedTable:
    """A table as it stands in the ledger."""
    table = _table(said["table"])
    suppressed = np.zeros(table.shape, np.bool_)
    suppressed.flat[said["suppressed"]] = True
    values = np.array(said["values"], np.int64).reshape(table.shape)
    return ProtectedTable(table, suppressed, values, dict(said["log"]))


def _table(said: Mapping[str, Any]) -> Table:
    dimensions = tuple(
        Dimension(one["name"], tuple(one["codes"]), one["parents"], one["overlapping"])
        for one in said["dimensions"]
    )
    inner = [len(d.nodes if d.overlapping else d.codes) for d in dimensions]
    shape = [len(d.nodes) for d in dimensions]
    people, margins, sets = said["people"], said["margins"], said["sets"]
    return Table(
        said["name"],
        said["counted"],
        dimensions,
        np.array(said["values"], np.int64).reshape(inner),
        None if people is None else np.array(people, np.int64).reshape(shape),
        None if margins is None else frozenset(map(frozenset, margins)),
        said["finest"],
        None if sets is None else np.frombuffer(bytes.fromhex(sets), "<u8").reshape(shape),
    )
