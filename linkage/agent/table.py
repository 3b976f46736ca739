"""A partner's columns as normalised fields.

- `Table`: identifier fields of one file.
- `RecordTable`: all that a manifest makes of a partner's file; each batch comes out as the
  encodings of its records (see `variants`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.agent.aliases import AliasTable
from linkage.agent.findings import Findings
from linkage.agent.profile import FileFigures
from linkage.agent.source import Batch, Rows, SourceFile
from linkage.agent.strata import Strata
from linkage.agent.tally import Hasher
from linkage.agent.variants import Aliases, Variants, combine
from linkage.agreement import IdentifierField, Manifest, Partner
from linkage.agreement.linkage_features import Feature
from linkage.encoding import DEFAULT_DATE_FORMATS, NormalisedColumn, normalise_column
from linkage.encoding.clk_manifest import encoded_features, read_feature, says_of_type

Objects = npt.NDArray[np.object_]
Values = dict[tuple[str, int], str]
"""Cells by field and by their hash in a profile."""


class Table:
    """Columns of a partner's file that hold identifier fields."""

    def __init__(
        self, fields: Sequence[IdentifierField], partner: Partner, source: SourceFile
    ) -> None:
        self.fields = tuple(fields)
        self.partner = partner
        self.source = source
        self.columns = [partner.column_of(field.name) for field in fields]

    def normalise(
        self, field: IdentifierField, cells: Sequence[str | None], *, alone: bool = False
    ) -> NormalisedColumn:
        """Cells of a field in the one spelling of its type.

        Args:
            alone: the cells hold nothing but the field, where its own column holds whole names.
        """
        formats, missing = self._declared(field)
        part = None if alone else self.partner.full_names.get(field.name)
        return normalise_column(field, cells, date_formats=formats, missing=missing, part=part)

    def _declared(self, field: IdentifierField) -> tuple[Sequence[str], tuple[str, ...]]:
        """Date formats, and cells that mean "not known"."""
        formats = self.partner.date_formats.get(field.name, DEFAULT_DATE_FORMATS)
        return formats, self.partner.missing_of(field.name)

    def readings(
        self, field: IdentifierField, cells: Sequence[str | None], *, alone: bool = False
    ) -> dict[str, NormalisedColumn]:
        """All readings of a field's cells; the one named as the field is what is encoded."""
        return {field.name: self.normalise(field, cells, alone=alone)}

    def reveal(self, figures: FileFigures, hasher: Hasher) -> Values:
        """Read the file again for the suspects' own spelling, which no profile holds.

        Args:
            hasher: the one that the figures were made with.
        """
        wanted = {
            f.field.name: np.array([s.hash for s in f.suspects], np.uint64)
            for f in figures.fields
            if f.suspects
        }
        found: Values = {}
        for rows in self.source.read(self.columns):
            for field in self.fields:
                if field.name not in wanted:
                    continue
                cells = rows.cells[self.partner.column_of(field.name)]
                values = self.readings(field, cells)[field.name].values
                there = np.flatnonzero(values != None)  # noqa: E711 - element by element
                hashes = hasher(values[there])
                for place in np.flatnonzero(np.isin(hashes, wanted[field.name])):
                    cell = cells[there[place]]
                    found.setdefault((field.name, int(hashes[place])), cell or "")
        return found


@dataclass(frozen=True)
class RecordBatch:
    """Consecutive records.

    Attributes:
        first: 0-based row of the file that comes first.
        count: how many.
        own: by reading (see `RecordTable`), the records' values without aliases.
        variants: all their encodings' values.
        cells: the columns as they stand.
    """

    first: int
    count: int
    own: Mapping[str, NormalisedColumn]
    variants: Variants
    cells: Batch


class RecordTable(Table):
    """A partner's file, and its alias table where it has one, as the manifest describes them.

    A field has one reading, named as the field: what is encoded. Where that follows a linkage
    schema and pairs are compared too, it has a second one by its type, which `compared` names.
    """

    def __init__(
        self,
        manifest: Manifest,
        partner: Partner,
        source: SourceFile,
        aliases: SourceFile | None = None,
    ) -> None:
        used = {name for key in manifest.match_keys for name in key.fields}
        every = manifest.matching.pair_keyed
        super().__init__([f for f in manifest.fields if every or f.name in used], partner, source)
        self.manifest = manifest
        self._features: dict[str, Feature] = {}
        if manifest.linkage_schema is not None:
            self._features = {n: feature for n, (_, feature) in encoded_features(manifest).items()}
        self.strata = Strata(manifest.strata, partner)
        self.columns += [column for many in partner.aliases.values() for column in many]
        self.columns += [c for c in (partner.record_id, partner.group) if c is not None]
        self.columns += self.strata.columns
        self.aliases = (
            None if aliases is None else AliasTable(aliases, partner, self.fields, self.readings)
        )

    def compared(self, field: str) -> str:
        """The reading of a field that pairs are compared by."""
        typed = field in self._features and self.manifest.matching.pair_keyed
        return _TYPED + field if typed else field

    def covered(self, columns: Mapping[str, Objects]) -> dict[str, npt.NDArray[np.bool_]]:
        """By match key, which rows have an encoding.

        A filter of a linkage schema is made of the fields that a record has; any other encoding
        needs all fields of its match key.
        """
        together = np.any if self._features else np.all
        return {
            key.name: together([columns[f] != None for f in key.fields], axis=0)  # noqa: E711
            for key in self.manifest.match_keys
        }

    def records(self, findings: Findings | None = None, *, after: int = 0) -> Iterator[RecordBatch]:
        """Read the file, batch by batch; the alias table must be loaded.

        Args:
            findings: told what is wrong with each batch, but not where it ends.
            after: pass over batches that hold none but the first so many rows.

        Raises:
            SourceError: the file cannot be read as a table.
        """
        for rows in self.source.read(self.columns):
            if rows.first + rows.count <= after:
                continue
            problems = _Problems(rows, findings)
            own: dict[str, NormalisedColumn] = {}
            parts: list[Aliases] = []
            for field in self.fields:
                column = self.partner.column_of(field.name)
                own |= problems.of(column, self.readings(field, rows.cells[column]))
                for column in self.partner.aliases.get(field.name, ()):
                    found = self.readings(field, rows.cells[column], alone=True)
                    parts.append(_aliases(problems.of(column, found)))
            if self.aliases is not None and self.partner.record_id is not None:
                parts.append(self.aliases.of(rows.cells[self.partner.record_id]))
            variants = combine({n: c.values for n, c in own.items()}, rows.count, parts)
            yield RecordBatch(rows.first, rows.count, own, variants, rows.cells)

    def own(self, cells: Batch) -> dict[str, Objects]:
        """By reading the values of records, without aliases; of invalid cells None.

        Args:
            cells: of all columns.
        """
        found: dict[str, Objects] = {}
        for field in self.fields:
            readings = self.readings(field, cells[self.partner.column_of(field.name)])
            found |= {name: column.values for name, column in readings.items()}
        return found

    def readings(
        self, field: IdentifierField, cells: Sequence[str | None], *, alone: bool = False
    ) -> dict[str, NormalisedColumn]:
        """All readings of a field's cells."""
        if field.name not in self._features:
            return super().readings(field, cells, alone=alone)
        found = {field.name: read_feature(self._features[field.name], cells)}
        if (typed := self.compared(field.name)) != field.name:
            found[typed] = self.normalise(field, cells)
        return found

    def _declared(self, field: IdentifierField) -> tuple[Sequence[str], tuple[str, ...]]:
        formats, missing = super()._declared(field)
        if field.name not in self._features:
            return formats, missing
        # What the linkage schema says of the column need not be said again for its type.
        said, sentinels = says_of_type(self._features[field.name])
        return self.partner.date_formats.get(field.name, said), (*missing, *sentinels)


_TYPED = "\0by type: "


class _Problems:
    """Tells findings of each faulty cell of a batch once."""

    def __init__(self, rows: Rows, findings: Findings | None) -> None:
        self._findings = findings
        self._told: dict[str, npt.NDArray[np.int64]] = {}
        for fault in rows.faults:
            self._tell(fault.column, fault.rows, fault.message)

    def of(self, column: str, readings: dict[str, NormalisedColumn]) -> dict[str, NormalisedColumn]:
        for reading in readings.values():
            self._tell(column, reading.invalid, reading.reason)
        return readings

    def _tell(self, column: str, rows: npt.NDArray[np.int64], message: str) -> None:
        if self._findings is None or not len(rows):
            return
        told = self._told.get(column, np.empty(0, np.int64))
        self._findings.add(column, np.setdiff1d(rows, told), message)
        self._told[column] = np.union1d(told, rows)


def _aliases(readings: Mapping[str, NormalisedColumn]) -> Aliases:
    """What a column of aliases says."""
    there = np.any([c.values != None for c in readings.values()], axis=0)  # noqa: E711
    records = np.flatnonzero(there)
    values = {name: column.values[records] for name, column in readings.items()}
    return Aliases(records, values, np.full(len(records), -1))
