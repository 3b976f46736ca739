"""From a partner's file to an encoding matrix on disk, in bounded memory.

- Two passes: the first checks every row and counts them, so that nothing is written for a file
  with an error; the second encodes, and goes on where an earlier process was killed.
- Only where it is asked for are records with problems left out and the others encoded.
- Which row of the file is which row of the upload is written beside the matrix and never leaves
  the agent; a later round finds the same rows again by it.

    records = Records(manifest, partner, SourceFile(path))
    checked = records.check(progress)
    encoded = records.encode(checked, encoder, directory / "payload", threads=2, progress=progress)
    for columns, places in records.sent(directory):
        ...
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.agent.checking import MAX_PROBLEMS, Checked, Examined, Progress, examine
from linkage.agent.findings import Findings
from linkage.agent.matrixfile import MatrixFile
from linkage.agent.plan import Plan, draw
from linkage.agent.profile import FileFigures, Profiler
from linkage.agent.rowmap import (
    RowMap,
    SentRows,
    former_handles,
    handles_by_row,
    read_row_map,
    write_row_map,
)
from linkage.agent.source import SourceFile
from linkage.agent.table import Objects, RecordTable, Table, Values
from linkage.agent.tally import Hasher
from linkage.agreement import IdentifierField, Manifest, Partner
from linkage.agreement.profile import Description
from linkage.encoding import GivesEncodings
from linkage.encodings import EncodingLayout
from linkage.errors import Problem, SourceError
from linkage.files import private_directory

__all__ = [
    "Checked",
    "DescribedRecords",
    "EncodedFile",
    "Examined",
    "Progress",
    "Records",
    "RowMap",
    "Values",
    "can_resume",
    "checked_before",
    "forget_work",
    "open_records",
    "read_row_map",
]

WORK = "work"
ROW_MAP_BYTES = 100
"""Of a row of the upload in the row map, record id included; generous."""


@dataclass(frozen=True)
class EncodedFile:
    """An encoding matrix on disk; `digest` is its SHA-256."""

    path: Path
    layout: EncodingLayout
    digest: str


class DescribedRecords(Table):
    """A partner's file as the partner itself describes it, before there is a manifest."""

    def __init__(self, description: Description, source: SourceFile) -> None:
        super().__init__(description.identifiers, description.as_partner, source)

    def profile(self, progress: Progress, profiler: Profiler) -> dict[str, int]:
        """Give the profiler every batch; returns per column how many cells are no dates.

        Raises:
            SourceError: the file cannot be read as a table.
        """
        rows = 0
        unread: Counter[str] = Counter()
        for batch in self.source.batches(self.columns):
            columns = {
                field.name: self.normalise(field, batch[self.partner.column_of(field.name)])
                for field in self.fields
            }
            for name, column in columns.items():
                unread[self.partner.column_of(name)] += len(column.invalid)
            profiler.add({name: column.values for name, column in columns.items()})
            rows += len(batch[self.columns[0]])
            progress("profile", rows, 0)
        return dict(+unread)


class Records:
    """A partner's file, and its alias table if it has one, as the manifest describes them."""

    def __init__(
        self,
        manifest: Manifest,
        partner: Partner,
        source: SourceFile,
        aliases: SourceFile | None = None,
    ) -> None:
        self.source = source
        self._aliases = aliases
        self._table = RecordTable(manifest, partner, source, aliases)

    @property
    def filters(self) -> GivesEncodings | None:
        """What gives the records' encodings in place of an encoder; None for records of ours."""
        return None

    @property
    def fields(self) -> tuple[IdentifierField, ...]:
        """The fields that are read."""
        return self._table.fields

    def digests(self) -> dict[str, str]:
        """SHA-256 of the files, by what they are; empty where there is none."""
        aliases = "" if self._aliases is None else self._aliases.digest()
        return {"source": self.source.digest(), "aliases": aliases, "clks": ""}

    def check(self, progress: Progress, *, skip_invalid: bool = False) -> Checked:
        """Read every row, and refuse the file for all its problems at once.

        Args:
            skip_invalid: leave out the records and aliases with problems instead, if any record
                remains.

        Raises:
            SourceError: rows that cannot be understood, a repeated or empty record id, too many
                rows, or no record that can be encoded.
        """
        found = self.examine(progress)
        if found.problems and not (skip_invalid and found.usable):
            raise SourceError(
                self.source.name,
                found.problems,
                total=found.total,
                remedy="Correct these cells, or empty them where the value is not known;"
                " nothing was sent",
            )
        if not found.usable:
            raise SourceError(
                self.source.name,
                [Problem(0, "", "no record has all fields of any match key")],
                remedy="Check the column names and the missing values",
            )
        return found.checked

    def examine(
        self,
        progress: Progress,
        *,
        max_problems: int = MAX_PROBLEMS,
        profiler: Profiler | None = None,
    ) -> Examined:
        """Read every row, and count every problem; see `checking.examine`."""
        return examine(self._table, progress, max_problems=max_problems, profiler=profiler)

    def reveal(self, figures: FileFigures, hasher: Hasher) -> Values:
        """The suspects' own spelling; see `Table.reveal`."""
        return self._table.reveal(figures, hasher)

    def encode(
        self,
        checked: Checked,
        encoder: GivesEncodings,
        path: Path,
        *,
        threads: int,
        progress: Progress,
        made_from: Mapping[str, Any] | None = None,
        former: Path | None = None,
    ) -> EncodedFile:
        """Write the matrix to `path`, and its row map beside it.

        Args:
            former: directory of an earlier upload: records that were in it keep their row handles.
                They are known again by record id, or without one by their row of the same file.
            made_from: all that the encodings depend on, as JSON values. A directory where an
                earlier process was killed while it encoded the same is taken up again.

        Raises:
            SourceError: the file changed since it was checked.
            LimitError: the disk is too small.
        """
        work = private_directory(path.parent / WORK)
        digests = self.digests()
        known = {**digests, **(made_from or {})}
        layout = encoder.layout(checked.encodings)
        matrix = MatrixFile(path, work, layout)
        plan = Plan.load(work, known) if made_from is not None else None
        if plan is None or not matrix.resume():
            shutil.rmtree(work)
            private_directory(work)
            matrix = MatrixFile(path, work, layout)
            matrix.require_space(layout.rows * ROW_MAP_BYTES)
            kept = None if former is None else self._former(former, len(checked.variants))
            plan, handles, groups = draw(checked, kept)
            del kept
            plan.save(work, known)
            matrix.begin(handles, groups)
            del handles, groups
        else:
            matrix.require_space(layout.rows * ROW_MAP_BYTES)
        if not matrix.filled:
            self._encode(plan, encoder, matrix, threads, progress)
        matrix.place(lambda done: progress("arrange", done, layout.rows))
        variants, places = checked.variants, plan.places
        write_row_map(path.parent, self._ids(), variants, places, matrix.handles(), digests)
        digest = matrix.digest(lambda done: progress("hash", done, layout.size))
        return EncodedFile(path, layout, digest)

    def sent(self, directory: Path) -> Iterator[tuple[dict[str, Objects], npt.NDArray[np.int64]]]:
        """Read again what was encoded into a directory, in the file's order.

        Yields:
            By field, (n,) the values that pairs are compared by, and (n,) int64 rows of the
            upload. An alias is a row of its own.

        Raises:
            InputError: nothing was encoded there.
            SourceError: these are not the files that were encoded.
        """
        rows = SentRows(directory)
        before, now = rows.made_from(), self.digests()
        if before["source"] != now["source"]:
            raise _other(self.source.name, "the file is not the one that was submitted")
        if before["aliases"] != now["aliases"]:
            name = self.source.name if self._aliases is None else self._aliases.name
            raise _other(name, "the alias table is not the one that was submitted")
        return self._sent(rows)

    def _sent(self, rows: SentRows) -> Iterator[tuple[dict[str, Objects], npt.NDArray[np.int64]]]:
        if self._table.aliases is not None:
            self._table.aliases.load(Findings(0))
        for batch in self._table.records():
            sent = rows.before(batch.first + batch.count)
            chosen = np.zeros(batch.count, np.bool_)
            chosen[sent.rows - batch.first] = True
            found = batch.variants.only(chosen)
            if not (
                np.array_equal(found.records + batch.first, sent.rows)
                and np.array_equal(found.numbers, sent.variants)
            ):
                raise _other(
                    self.source.name, "the file gives other rows than when it was submitted"
                )
            columns = {
                field.name: found.columns[self._table.compared(field.name)]
                for field in self._table.fields
            }
            yield columns, sent.places

    def _encode(
        self,
        plan: Plan,
        encoder: GivesEncodings,
        matrix: MatrixFile,
        threads: int,
        progress: Progress,
    ) -> None:
        """Add all rows after the last checkpoint."""
        table, variants = self._table, plan.checked.variants
        if table.aliases is not None:
            table.aliases.load(Findings(0))
        names = [field.name for field in table.fields]
        for batch in table.records(after=matrix.rows):
            end = batch.first + batch.count
            counts = variants[batch.first : end].copy()
            counts[: max(matrix.rows - batch.first, 0)] = 0
            found = batch.variants.only(counts > 0)
            if not np.array_equal(found.counts(batch.count), counts):
                raise _other(self.source.name, "the file changed since it was checked")
            places = plan.first_places(batch.first, end)[found.records] + found.numbers
            codes, _ = table.strata.codes(batch.cells, batch.count)
            encoded = encoder.encode({n: found.columns[n] for n in names}, threads=threads)
            matrix.add(places, encoded, codes[found.records])
            matrix.checkpoint(end)
            progress("encode", int(variants[:end].sum(dtype=np.int64)), matrix.layout.rows)
        matrix.checkpoint(len(variants), now=True)

    def _former(
        self, directory: Path, rows: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]] | None:
        """The row handles of an earlier upload, as far as its records can be known again."""
        if self._table.partner.record_id is not None:
            return former_handles(directory, self._ids())
        same = SentRows(directory).made_from() == self.digests()
        return handles_by_row(directory, rows) if same else None

    def _ids(self) -> Iterator[Sequence[str | None]]:
        """The record ids, batch by batch; None where the partner has none."""
        name = self._table.partner.record_id
        column = name or self._table.columns[0]
        for rows in self.source.read([column]):
            yield [None] * rows.count if name is None else rows.cells[column]


def open_records(
    manifest: Manifest, partner: Partner, file: Path, aliases: Path | None = None
) -> Records:
    """The records of a partner's identifier file and, where it has one, its alias table."""
    source = SourceFile(file)
    return Records(manifest, partner, source, None if aliases is None else SourceFile(aliases))


def can_resume(directory: Path, made_from: Mapping[str, Any]) -> bool:
    """Whether a process was killed in a directory while it encoded the same."""
    return Plan.load(directory / WORK, made_from) is not None


def checked_before(directory: Path, made_from: Mapping[str, Any]) -> Checked | None:
    """What a process that was killed while it encoded had found when it checked the same."""
    plan = Plan.load(directory / WORK, made_from)
    return None if plan is None else plan.checked


def forget_work(directory: Path) -> None:
    """Delete what only a killed process would have needed."""
    shutil.rmtree(directory / WORK, ignore_errors=True)


def _other(file: str, message: str) -> SourceError:
    return SourceError(
        file,
        [Problem(0, "", message)],
        remedy="Give the same files as to submit",
    )
