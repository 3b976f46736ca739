"""Filters that leave for anonlink's tools, and filters that clkhash made, sent in place of ours.

- Row by row: the n-th filter of a file is that of the n-th record of the partner's file, which
  says the record ids, groups and strata that a file of filters lacks.
- A file of filters is read once, into an anonymous temporary file that the system removes with
  the process: memory is bounded whatever its size, and what was checked is what is sent.
- A filter that is all zeros or all ones says nothing of its record, which is then sent as one
  without an encoding.

    clks = ClkFile.read(Path("clks.json"), manifest, scratch=directory)
    records = ImportedRecords(manifest, partner, SourceFile(path), clks)
    records.encode(checked, records.filters, payload, threads=1, progress=progress)
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from linkage.agent.checking import Progress
from linkage.agent.findings import Findings
from linkage.agent.records import Records
from linkage.agent.source import SourceFile
from linkage.agent.table import Objects, RecordBatch, RecordTable
from linkage.agent.variants import combine
from linkage.agreement import FieldType, IdentifierField, Manifest, Partner
from linkage.encoding import Encoded, NormalisedColumn
from linkage.encoding.clk_files import (
    blocks_from_json,
    blocks_to_json,
    clks_from_binary,
    clks_to_binary,
    filter_bytes,
)
from linkage.encoding.clk_manifest import SchemaFilters, informative, schema_of
from linkage.encoding.encoder import layout_of
from linkage.encodings import EncodingLayout
from linkage.errors import InputError, Problem, SourceError
from linkage.files import write_pieces

Words = npt.NDArray[np.uint64]
Format = Literal["json", "binary"]

PIECE_BYTES = 1 << 20
CLK = "clk"
"""The field of an imported file: each row's number, or None where its filter says nothing."""


@dataclass(frozen=True)
class ClkFile:
    """Filters of one length, one per row of a partner's file.

    Attributes:
        name: the file's, for messages.
        digest: SHA-256 of its bytes.
        words: (rows, bits / 64) uint64.
        present: (rows,) whether the filter says anything.
        empty, full: how many are all zeros, and all ones.
    """

    name: str
    digest: str
    words: Words
    present: npt.NDArray[np.bool_]
    empty: int
    full: int

    @property
    def rows(self) -> int:
        return len(self.present)

    @classmethod
    def read(
        cls, path: Path, manifest: Manifest, *, scratch: Path, form: Format | None = None
    ) -> ClkFile:
        """Read a file of filters of the manifest's length.

        Args:
            scratch: a directory of the partner's own for the temporary file.
            form: by default JSON where the file begins like it.

        Raises:
            InputError: it cannot be read, or holds no filters, or the manifest holds no linkage
                schema.
        """
        schema_of(manifest)
        bits = manifest.scheme.bits
        sink = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - lives as long as its map
        present: list[npt.NDArray[np.bool_]] = []
        empty = 0
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                as_json = _JSON.match(file.peek(64)) is not None if form is None else form == "json"
                for words in _blocks(file, digest, bits, as_json=as_json):
                    present.append(informative(words))
                    empty += int((~words.any(axis=1)).sum())
                    sink.write(words.astype("<u8", copy=False).tobytes())
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or 'cannot be read'}") from None
        except InputError as error:
            raise InputError(f"{path.name}: {error.message}", remedy=error.remedy) from None
        if not present:
            raise InputError(f"{path.name}: the file holds no filters")
        sink.flush()
        there = np.concatenate(present)
        shape = (len(there), bits // 64)
        words = np.memmap(sink, "<u8", "r", shape=shape)
        full = len(there) - int(there.sum()) - empty
        return cls(path.name, digest.hexdigest(), words, there, empty, full)


_JSON = re.compile(rb'\s*\{\s*"')


def _blocks(file: BinaryIO, digest: hashlib._Hash, bits: int, *, as_json: bool) -> Iterator[Words]:
    size = filter_bytes(bits)
    length = PIECE_BYTES if as_json else PIECE_BYTES // size * size

    def pieces() -> Iterator[bytes]:
        while piece := file.read(length):
            digest.update(piece)
            yield piece

    if as_json:
        return blocks_from_json(pieces(), bits)
    return (clks_from_binary(piece, bits) for piece in pieces())


class ClkTable(RecordTable):
    """A partner's file whose records have their filters in another file.

    Raises:
        InputError: the partner has aliases, of which a file of filters has none.
    """

    def __init__(
        self, manifest: Manifest, partner: Partner, source: SourceFile, clks: ClkFile
    ) -> None:
        if partner.aliases:
            raise InputError(
                f"the manifest gives {partner.name!r} aliases, which a file of filters cannot have",
                remedy="Submit the identifier file itself, or agree on a manifest without aliases",
            )
        super().__init__(manifest, partner, source)
        self._clks = clks
        self.fields = (IdentifierField(name=CLK, type=FieldType.EXACT),)
        named = [partner.record_id, partner.group, *self.strata.columns]
        self.columns = [column for column in named if column is not None] or source.columns[:1]

    def covered(self, columns: Mapping[str, Objects]) -> dict[str, npt.NDArray[np.bool_]]:
        there: npt.NDArray[np.bool_] = columns[CLK] != None  # noqa: E711 - element by element
        return {key.name: there for key in self.manifest.match_keys}

    def records(self, findings: Findings | None = None, *, after: int = 0) -> Iterator[RecordBatch]:
        """Read the file, batch by batch; see `RecordTable.records`.

        Raises:
            SourceError: it cannot be read as a table, or has not as many rows as there are filters.
        """
        rows = 0
        for batch in self.source.read(self.columns):
            rows += batch.count
            if rows <= after or rows > self._clks.rows:
                continue
            numbers = np.arange(batch.first, rows).astype(np.object_)
            numbers[~self._clks.present[batch.first : rows]] = None
            column = NormalisedColumn(numbers, np.empty(0, np.int64), "")
            if findings is not None:
                for fault in batch.faults:
                    findings.add(fault.column, fault.rows, fault.message)
            variants = combine({CLK: numbers}, batch.count, [])
            yield RecordBatch(batch.first, batch.count, {CLK: column}, variants, batch.cells)
        if rows != self._clks.rows:
            raise SourceError(
                self._clks.name,
                [
                    Problem(
                        0,
                        "",
                        f"{self._clks.rows} filters, where {self.source.name} has {rows} rows",
                    )
                ],
                remedy="Give the file that the filters were made from, row by row",
            )


class ImportedFilters:
    """Gives each row the filter that was read for it, in the place of an encoder."""

    def __init__(self, manifest: Manifest, clks: ClkFile) -> None:
        self._manifest = manifest
        self._clks = clks

    def layout(self, rows: int) -> EncodingLayout:
        """See `Encoder.layout`."""
        return layout_of(self._manifest, rows)

    def encode(self, columns: Mapping[str, Objects], *, threads: int = 1) -> Encoded:
        """The filters of rows, by number; None has none."""
        del threads
        presence = columns[CLK] != None  # noqa: E711 - element by element
        words = np.zeros((len(presence), self._clks.words.shape[1]), np.uint64)
        words[presence] = self._clks.words[columns[CLK][presence].astype(np.int64)]
        return Encoded(presence[None], words[None])


class ImportedRecords(Records):
    """A partner's file and its filters, as the manifest describes them."""

    def __init__(
        self, manifest: Manifest, partner: Partner, source: SourceFile, clks: ClkFile
    ) -> None:
        super().__init__(manifest, partner, source)
        self._table = ClkTable(manifest, partner, source, clks)
        self._manifest = manifest
        self._clks = clks

    @property
    def filters(self) -> ImportedFilters:
        return ImportedFilters(self._manifest, self._clks)

    def digests(self) -> dict[str, str]:
        """SHA-256 of the files, by what they are."""
        return {**super().digests(), "clks": self._clks.digest}


def export(
    manifest: Manifest,
    partner: Partner,
    source: SourceFile,
    secret: bytes,
    out: Path,
    form: Format,
    progress: Progress,
) -> int:
    """Write the filters of a partner's file, row by row, those that say nothing too.

    Args:
        secret: what clkhash would be given, as bytes.

    Returns:
        How many there are.

    Raises:
        SourceError: the file has errors; nothing was written.
        InputError: the manifest holds no linkage schema.
    """
    schema_of(manifest)
    rows = Records(manifest, partner, source).check(progress).rows
    table = RecordTable(manifest, partner, source)
    with SchemaFilters(manifest, secret) as filters:
        blocks = _filters(table, filters, lambda done: progress("encode", done, rows))
        write_pieces(out, _in_format(blocks, manifest.scheme.bits, form))
    return rows


def _filters(
    table: RecordTable, filters: SchemaFilters, done: Callable[[int], None]
) -> Iterator[Words]:
    (key,) = table.manifest.match_keys
    for batch in table.records():
        yield filters.all_filters({name: batch.own[name].values for name in key.fields})
        done(batch.first + batch.count)


def _in_format(blocks: Iterator[Words], bits: int, form: Format) -> Iterator[bytes]:
    if form == "json":
        return blocks_to_json(blocks, bits)
    return (clks_to_binary(words, bits) for words in blocks)
