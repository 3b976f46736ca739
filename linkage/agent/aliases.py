"""An alias table: a file whose rows give records of another file further values.

- Joined by record id, through a sorted index of keyed hashes; ids are compared before use.
- Held in memory, normalised: at most `MAX_BYTES` of text and some tens of bytes per row, about two
  million aliases. A larger file is refused.
- Rows with a problem are named and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linkage.agent.findings import Findings
from linkage.agent.source import Rows, SourceFile
from linkage.agent.tally import Hasher
from linkage.agent.variants import Aliases
from linkage.agreement import IdentifierField, Partner
from linkage.agreement.fields import MAX_VARIANTS
from linkage.encoding import NormalisedColumn
from linkage.errors import InputError, Problem, SourceError

MAX_BYTES = 128 << 20

Readings = Callable[[IdentifierField, Sequence[str | None]], dict[str, NormalisedColumn]]

UNKNOWN = "no record of the identifier file has this id"
NO_CELL = "no identifier is filled"
NO_ID = "the record id is empty"
TOO_MANY = f"the record has more than {MAX_VARIANTS - 1} aliases"


class AliasTable:
    """The aliases of a partner's records.

    Args:
        fields: the identifiers that are read of records.
        readings: normalises a field's cells.

    Raises:
        InputError: the partner's records have no id.
        SourceError: the columns are not the record id and identifiers.
    """

    def __init__(
        self,
        source: SourceFile,
        partner: Partner,
        fields: Sequence[IdentifierField],
        readings: Readings,
    ) -> None:
        if partner.record_id is None:
            raise InputError(
                f"the manifest gives {partner.name!r} no record_id for an alias table to join by"
            )
        self.source = source
        self._id = partner.record_id
        self._columns = {
            field: partner.column_of(field.name)
            for field in fields
            if partner.column_of(field.name) in source.columns
        }
        self._readings = readings
        self._hasher = Hasher()
        self._loaded = False
        self._require_columns([partner.column_of(field.name) for field in fields])

    def load(self, findings: Findings) -> None:
        """Read the file, unless it was read before.

        Args:
            findings: told what is wrong with it.

        Raises:
            SourceError: the file cannot be read as a table, or is too large.
        """
        if self._loaded:
            return
        parts: list[pa.Table] = []
        for rows in self.source.read([self._id, *self._columns.values()]):
            parts.append(self._batch(rows, findings))
            if sum(part.nbytes for part in parts) > MAX_BYTES:
                raise SourceError(
                    self.source.name,
                    [Problem(0, "", f"its cells take more than {MAX_BYTES >> 20} MiB")],
                    remedy="Give the commonest aliases as columns of the identifier file instead",
                )
        table = pa.concat_tables(parts)
        hashes = self._hasher(_objects(table[_ID]))
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._table = table.take(pa.array(order))
        self._rows = self._table[_ROW].to_numpy()
        self._met = np.zeros(len(order), np.bool_)
        self._loaded = True

    def of(self, ids: Sequence[str | None]) -> Aliases:
        """The aliases of a batch's records, in the order of the alias table."""
        cells = np.array([cell or "" for cell in ids], np.object_)
        hashes = self._hasher(cells)
        start = np.searchsorted(self._hashes, hashes)
        count = np.searchsorted(self._hashes, hashes, side="right") - start
        records = np.repeat(np.arange(len(cells)), count)
        within = np.arange(len(records)) - np.repeat(np.cumsum(count) - count, count)
        places = np.repeat(start, count) + within
        same = _objects(self._table[_ID].take(pa.array(places))) == cells[records]
        records, places = records[same], places[same]
        self._met[places] = True
        found = self._table.take(pa.array(places))
        names = [name for name in found.column_names if name not in (_ID, _ROW)]
        values = {name: _objects(found[name]) for name in names}
        return Aliases(records, values, self._rows[places])

    def finish(self, findings: Findings, refused: npt.NDArray[np.int64]) -> None:
        """Say what only shows once all records were read.

        Args:
            refused: rows that are one alias too many.
        """
        findings.add_later(self._id, np.sort(self._rows[~self._met]), UNKNOWN)
        findings.add_later(self._id, np.sort(refused), TOO_MANY)

    def _batch(self, rows: Rows, findings: Findings) -> pa.Table:
        """The rows without a problem."""
        bad = np.zeros(rows.count, np.bool_)

        def note(column: str, wrong: npt.NDArray[np.int64], message: str) -> None:
            # One problem per row says enough.
            findings.add(column, wrong[~bad[wrong]], message)
            bad[wrong] = True

        for fault in rows.faults:
            note(fault.column, fault.rows, fault.message)
        values: dict[str, NormalisedColumn] = {}
        for field, column in self._columns.items():
            found = self._readings(field, rows.cells[column])
            for reading in found.values():
                note(column, reading.invalid, reading.reason)
            values |= found
        ids = np.array([cell or "" for cell in rows.cells[self._id]], np.object_)
        note(self._id, np.flatnonzero(ids == ""), NO_ID)
        there = [column.values != None for column in values.values()]  # noqa: E711
        note("", np.flatnonzero(~np.any(there, axis=0)), NO_CELL)
        findings.next_batch(rows.count)
        good = ~bad
        columns: Mapping[str, pa.Array] = {
            _ID: pa.array(ids[good], pa.string()),
            _ROW: pa.array(np.flatnonzero(good) + rows.first),
            **{name: pa.array(c.values[good], pa.string()) for name, c in values.items()},
        }
        return pa.table(columns)

    def _require_columns(self, identifiers: Sequence[str]) -> None:
        self.source.require([self._id])
        other = [c for c in self.source.columns if c != self._id and c not in identifiers]
        problems = [Problem(0, c, "the column is not one of the identifiers") for c in other]
        if not self._columns:
            problems.append(Problem(0, "", "the file has no identifier beside the record id"))
        if problems:
            raise SourceError(
                self.source.name,
                problems,
                remedy=f"An alias table has {self._id!r} and any of {', '.join(identifiers)}",
            )


_ID, _ROW = "\0id", "\0row"


def _objects(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    return np.asarray(column.to_numpy(), dtype=np.object_)
