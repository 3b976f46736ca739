"""A dry run of what would leave as content: every problem, and what each column would be like.

- Needs a manifest and files, no hub and no keys; nothing is sent or written.
- What is shown of a column are counts: no cell, and no value that leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow.compute as pc

from linkage.agent.content import Coarse, coarsened, own_identifiers, require_tables
from linkage.agent.lookups import Lookups
from linkage.agent.rowmap import RowMap
from linkage.agent.source import SourceFile
from linkage.agreement import ContentTable, Manifest, Partner
from linkage.encodings import HANDLE_BYTES
from linkage.errors import Problem, SourceError

FEW = 11


@dataclass(frozen=True)
class ColumnCheck:
    """What a column would be like.

    Attributes:
        name: in the extract.
        column: in the partner's file.
        filled, missing: rows with and without a value.
        distinct: different values; with days, different dates before they are hidden.
        few: of these, those that fewer than 11 rows have: such rows may stand out.
        looked_up: cells that were looked up in a file of the partner's own.
        unmatched: of these, those without an entry there.
        unmatched_rows: the first 1,000 rows of the table's file with such a cell, from 1.
    """

    name: str
    column: str
    transform: str
    filled: int
    missing: int
    distinct: int
    few: int
    looked_up: int = 0
    unmatched: int = 0
    unmatched_rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableCheck:
    """What would leave of a table; no columns where something may not.

    Attributes:
        problems: at most 1,000 of `total`.
    """

    table: str
    kind: str
    file: str
    rows: int
    columns: tuple[ColumnCheck, ...]
    problems: tuple[Problem, ...] = ()
    total: int = 0


def check_content(
    manifest: Manifest,
    partner: Partner,
    file: Path,
    content: Mapping[str, Path],
    lookups: Mapping[str, Path] = MappingProxyType({}),
) -> list[TableCheck]:
    """Check the tables whose files are given, and those that the identifier file itself holds.

    Args:
        file: the identifier file, whose records rows are about.
        lookups: file per lookup.

    Raises:
        InputError: a file is given for a table or lookup that the manifest does not have, or a
            table lacks its lookup.
        DigestMismatchError: a lookup file is not the one that was agreed on.
    """
    require_tables(partner, content)
    source, files = SourceFile(file), Lookups(partner, lookups)
    records = _every_record(partner, source)
    own = own_identifiers(manifest, partner, source, records)
    found = []
    for table in partner.content:
        here = table.is_personal and table.record_id is None
        if not here and table.name not in content:
            continue
        rows = SourceFile(content.get(table.name, file))
        try:
            coarse = coarsened(table, rows, partner, records, own, files)
        except SourceError as error:
            of = "" if error.file == rows.name else error.file
            problems = tuple(replace(problem, file=of) for problem in error.problems)
            found.append(
                TableCheck(table.name, table.kind, rows.name, 0, (), problems, error.total)
            )
        else:
            columns = _columns(table, coarse)
            count = coarse.table.num_rows
            found.append(TableCheck(table.name, table.kind, rows.name, count, columns))
    return found


def _every_record(partner: Partner, source: SourceFile) -> RowMap:
    """As if every record were sent."""
    first = partner.record_id or source.columns[0]
    ids = [cell for batch in source.batches([first]) for cell in batch[first]]
    rows = np.arange(len(ids))
    handles = np.zeros((len(ids), HANDLE_BYTES), np.uint8)
    named: list[str | None] = [None] * len(ids) if partner.record_id is None else ids
    return RowMap(rows, handles, named, np.empty(0, np.int64), frozenset())


def _columns(table: ContentTable, coarse: Coarse) -> tuple[ColumnCheck, ...]:
    found = []
    for field in table.fields:
        values = coarse.table[field.name].drop_null()
        looked = coarse.lookups.get(field.name)
        counts = pc.value_counts(values.combine_chunks()).field("counts").to_pylist()
        found.append(
            ColumnCheck(
                field.name,
                field.column or field.name,
                field.transform.value,
                filled=len(values),
                missing=coarse.table.num_rows - len(values),
                distinct=len(counts),
                few=sum(1 for count in counts if count < FEW),
                looked_up=looked.count.rows if looked else 0,
                unmatched=looked.count.unmatched if looked else 0,
                unmatched_rows=tuple((looked.unmatched[:1000] + 1).tolist()) if looked else (),
            )
        )
    return tuple(found)
