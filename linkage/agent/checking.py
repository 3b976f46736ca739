"""Examine a partner's file: every row read, every problem counted, nothing written.

Memory is bounded by the problems kept and some tens of bytes per record, however many are wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from linkage.agent.findings import Findings, Reason
from linkage.agent.profile import Profiler
from linkage.agent.repeats import Repeats
from linkage.agent.strata import filled
from linkage.agent.table import RecordBatch, RecordTable
from linkage.errors import Problem, SourceError

MAX_PROBLEMS = 1000
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Checked:
    """A file that may be encoded, whole or but for its skipped records.

    Attributes:
        missing: per field, how many records lack it.
        covered: per match key, how many records have all of its fields.
        reasons: what is wrong with the records and aliases that are left out, and how often.
        sentinels: per field, how many cells hold a declared value for "not known".
        variants: (rows,) uint8 encodings of each record; 0 where it is left out.
        groups: (rows,) uint32 the first row of each record's group; None without groups.
        grouped: how many of the records sent are the same person as an earlier one of them.
        unlisted: per stratum that the partner has a column for, how many cells hold none of its
            values.
    """

    missing: dict[str, int]
    covered: dict[str, int]
    reasons: tuple[Reason, ...]
    sentinels: dict[str, int]
    variants: npt.NDArray[np.uint8]
    groups: npt.NDArray[np.uint32] | None
    grouped: int
    unlisted: dict[str, int]

    @property
    def rows(self) -> int:
        """How many records."""
        return len(self.variants)

    @cached_property
    def skipped(self) -> npt.NDArray[np.int64]:
        """0-based rows that are left out, ascending."""
        return np.flatnonzero(self.variants == 0)

    @cached_property
    def sent(self) -> int:
        """How many records are encoded."""
        return int(np.count_nonzero(self.variants))

    @cached_property
    def encodings(self) -> int:
        """How many rows they fill, one for each alias beside the record's own."""
        return int(self.variants.sum(dtype=np.int64))

    @property
    def aliases(self) -> int:
        """How many encodings are of aliases."""
        return self.encodings - self.sent


@dataclass(frozen=True)
class Examined:
    """All that a dry run finds.

    Attributes:
        checked: what could be sent, the records with problems skipped.
        problems: the first problems, in the order of the file; those of an alias table last.
        total: how many there are in all.
        usable: at least one record without a problem has all fields of a match key.
    """

    checked: Checked
    problems: tuple[Problem, ...]
    total: int
    usable: bool


def examine(
    table: RecordTable,
    progress: Progress,
    *,
    max_problems: int = MAX_PROBLEMS,
    profiler: Profiler | None = None,
) -> Examined:
    """Read every row, and count every problem.

    Args:
        max_problems: so many are kept, the first ones; the others are counted.
        profiler: given every batch.

    Raises:
        SourceError: a file cannot be read as a table, or has too many rows.
    """
    found = Findings(max_problems)
    of_aliases = Findings(max_problems, "" if table.aliases is None else table.aliases.source.name)
    if table.aliases is not None:
        table.aliases.load(of_aliases)
    tally = _Tally(table)
    for batch in table.records(found):
        tally.add(batch, found)
        found.next_batch(batch.count)
        if profiler is not None:
            profiler.add({name: column.values for name, column in batch.own.items()})
        progress("check", found.rows, 0)
        _require_few(table, tally.encodings)
    tally.finish(found)
    if table.aliases is not None:
        table.aliases.finish(of_aliases, tally.refused)
    good = ~found.bad()
    variants, groups = np.concatenate(tally.variants), tally.first_of_group()
    variants[~good] = 0
    checked = Checked(
        missing=dict(tally.missing),
        covered=dict(tally.covered),
        reasons=tuple(found.reasons + of_aliases.reasons),
        sentinels=dict(tally.sentinels),
        variants=variants,
        groups=groups,
        grouped=0 if groups is None else int(good.sum()) - len(np.unique(groups[good])),
        unlisted=tally.unlisted,
    )
    return Examined(
        checked,
        tuple((found.problems + of_aliases.problems)[:max_problems]),
        found.total + of_aliases.total,
        bool((np.concatenate(tally.has_key) & good).any()),
    )


def _require_few(table: RecordTable, encodings: int) -> None:
    most = table.manifest.max_rows
    if encodings > most:
        raise SourceError(
            table.source.name,
            [Problem(0, "", f"more rows than the manifest's {most}, aliases counted")],
            remedy="Send fewer rows, or agree on a manifest with a larger max_rows",
        )


class _Tally:
    """Counts what a file holds, batch by batch."""

    def __init__(self, table: RecordTable) -> None:
        self.encodings = 0
        self.missing = Counter({field.name: 0 for field in table.fields})
        self.sentinels = Counter(self.missing)
        self.covered = Counter({key.name: 0 for key in table.manifest.match_keys})
        self.variants: list[npt.NDArray[np.uint8]] = []
        self.has_key: list[npt.NDArray[np.bool_]] = []
        self._table = table
        self._refused: list[npt.NDArray[np.int64]] = []
        self._unlisted = np.zeros(len(table.strata.names), np.int64)
        self._ids, self._groups = Repeats(), Repeats()

    def add(self, batch: RecordBatch, found: Findings) -> None:
        partner = self._table.partner
        for field in self._table.fields:
            column = batch.own[field.name]
            self.missing[field.name] += int((column.values == None).sum())  # noqa: E711
            self.sentinels[field.name] += column.sentinels
        variants = batch.variants
        has_key = np.zeros(batch.count, np.bool_)
        for key, there in self._table.covered(variants.columns).items():
            self.covered[key] += int((there & (variants.numbers == 0)).sum())
            has_key[variants.records[there]] = True
        self.has_key.append(has_key)
        self.variants.append(variants.counts(batch.count))
        self.encodings += len(variants.records)
        if len(variants.refused):
            self._refused.append(variants.refused)
        if partner.record_id is not None:
            empty = self._ids.add(batch.cells[partner.record_id])
            found.add(partner.record_id, empty, "the record id is empty")
        if partner.group is not None:
            self._groups.add(filled(batch.cells[partner.group], partner.missing))
        self._unlisted += self._table.strata.codes(batch.cells, batch.count)[1]

    def finish(self, found: Findings) -> None:
        """Name the record ids that stand twice.

        The earlier one is no problem of its own, but is as unfit to be sent as the later: content
        that joins by the id could belong to either.
        """
        if self._table.partner.record_id is not None:
            rows, first = self._ids.found()
            message = "the record id is that of {}"
            found.add_later(self._table.partner.record_id, rows, message, first)

    @property
    def refused(self) -> npt.NDArray[np.int64]:
        return np.concatenate([np.empty(0, np.int64), *self._refused])

    @property
    def unlisted(self) -> dict[str, int]:
        names = self._table.strata.names
        counts = dict(zip(names, self._unlisted.tolist(), strict=True))
        return {name: counts[name] for name in names if name in self._table.partner.strata}

    def first_of_group(self) -> npt.NDArray[np.uint32] | None:
        if self._table.partner.group is None:
            return None
        rows, first = self._groups.found()
        groups = np.arange(sum(map(len, self.variants)), dtype=np.uint32)
        groups[rows] = first
        return groups
