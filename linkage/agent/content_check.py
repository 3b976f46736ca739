"""A dry run of what would leave as content: every problem, and what each column would be like.

- Needs a manifest and files, no hub and no keys; nothing is sent or written.
- What is shown of a column are counts: no cell, and no value that leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linkage.agent.content import coarsened, own_identifiers
from linkage.agent.rowmap import RowMap
from linkage.agent.source import SourceFile
from linkage.agreement import ContentTable, Manifest, Partner
from linkage.encodings import HANDLE_BYTES
from linkage.errors import InputError, Problem, SourceError

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
    """

    name: str
    column: str
    transform: str
    filled: int
    missing: int
    distinct: int
    few: int


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
    manifest: Manifest, partner: Partner, file: Path, content: Mapping[str, Path]
) -> list[TableCheck]:
    """Check the tables whose files are given, and those that the identifier file itself holds.

    Args:
        file: the identifier file, whose records rows are about.

    Raises:
        InputError: a file is given for a table that the manifest does not have.
    """
    names = [table.name for table in partner.content]
    if unknown := sorted(set(content) - set(names)):
        raise InputError(
            f"the manifest gives {partner.name!r} no content table {unknown[0]!r}",
            remedy=f"Its tables are {', '.join(names) or 'none'}",
        )
    source = SourceFile(file)
    records = _every_record(partner, source)
    own = own_identifiers(manifest, partner, source, records)
    found = []
    for table in partner.content:
        here = table.is_personal and table.record_id is None
        if not here and table.name not in content:
            continue
        rows = SourceFile(content.get(table.name, file))
        try:
            coarse, _, _ = coarsened(table, rows, partner, records, own)
        except SourceError as error:
            found.append(
                TableCheck(table.name, table.kind, rows.name, 0, (), error.problems, error.total)
            )
        else:
            columns = _columns(table, coarse)
            found.append(TableCheck(table.name, table.kind, rows.name, coarse.num_rows, columns))
    return found


def _every_record(partner: Partner, source: SourceFile) -> RowMap:
    """As if every record were sent."""
    first = partner.record_id or source.columns[0]
    ids = [cell for batch in source.batches([first]) for cell in batch[first]]
    rows = np.arange(len(ids))
    handles = np.zeros((len(ids), HANDLE_BYTES), np.uint8)
    named: list[str | None] = [None] * len(ids) if partner.record_id is None else ids
    return RowMap(rows, handles, named, np.empty(0, np.int64), frozenset())


def _columns(table: ContentTable, coarse: pa.Table) -> tuple[ColumnCheck, ...]:
    found = []
    for field in table.fields:
        values = coarse[field.name].drop_null()
        counts = pc.value_counts(values.combine_chunks()).field("counts").to_pylist()
        found.append(
            ColumnCheck(
                field.name,
                field.column or field.name,
                field.transform.value,
                filled=len(values),
                missing=coarse.num_rows - len(values),
                distinct=len(counts),
                few=sum(1 for count in counts if count < FEW),
            )
        )
    return tuple(found)
