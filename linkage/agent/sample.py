"""A random sample of a partner's records, one of each person, normalised as submit would.

Where a file holds people several times, one record of each is taken: whoever knows one encoding of
a person finds the others by it, and names nobody that was not known before.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from linkage.agent.source import Batch
from linkage.agent.table import RecordTable
from linkage.agreement import FieldType

Objects = npt.NDArray[np.object_]
Columns = dict[str, Objects]
Rows = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]

_NAMES = (FieldType.GIVEN_NAME, FieldType.SURNAME, FieldType.FULL_NAME)
PERSONAL = {*_NAMES, FieldType.DATE_OF_BIRTH}
"""Not middle names: most people have none on file, and would not be in the control."""
_PERSON = "\0person"


def sample(
    table: RecordTable, limit: int, rng: np.random.Generator, progress: Progress, skipped: Rows
) -> tuple[Columns, int, int]:
    """A random sample of the records in random order, one of each person.

    Every record is as likely to be read, and memory is bounded by `limit`, so many at most. Only
    records that are in the sample when their batch is read are normalised.

    Args:
        skipped: 0-based rows of the file that are not sent, ascending.

    Returns:
        Its values by reading, how many records were read, and how many are sent.

    Raises:
        SourceError: the file cannot be read as a table.
    """
    kept: Columns = {}
    lots = np.empty(0)
    seen = 0
    for batch in table.source.read(table.columns):
        sent = np.setdiff1d(np.arange(batch.count), skipped - batch.first)
        before = len(lots)
        lots = np.append(lots, rng.random(len(sent)))
        chosen = np.argsort(lots)[:limit]
        lots = lots[chosen]
        fresh = np.flatnonzero(chosen >= before)
        places = sent[chosen[fresh] - before].tolist()
        new = _read(table, {n: [column[p] for p in places] for n, column in batch.cells.items()})
        chosen[fresh] = before + np.arange(len(fresh))
        kept = {n: np.append(kept.get(n, column[:0]), column)[chosen] for n, column in new.items()}
        seen += len(sent)
        progress("read", seen, 0)
    persons = kept.pop(_PERSON)
    chosen = _one_per_person(persons)
    return {name: column[chosen] for name, column in kept.items()}, len(persons), seen


def _read(table: RecordTable, cells: Batch) -> Columns:
    """Records' values by reading, and what tells persons apart, or None.

    A file may hold persons several times.
    """
    partner, columns = table.partner, table.own(cells)
    found = np.full(len(next(iter(cells.values()))), None, np.object_)
    person = [columns[f.name].tolist() for f in table.fields if f.type in PERSONAL]
    if not partner.unique and person:
        for row, values in enumerate(zip(*person, strict=True)):
            found[row] = values if all(values) else None
    if partner.group is not None:
        unknown = set(partner.missing)
        for row, cell in enumerate(cells[partner.group]):
            found[row] = cell if cell and cell not in unknown else found[row]
    return columns | {_PERSON: found}


def _one_per_person(persons: Objects) -> Rows:
    first: dict[object, int] = {}
    for row, person in enumerate(persons.tolist()):
        first.setdefault(row if person is None else (person,), row)
    return np.fromiter(first.values(), np.int64, count=len(first))
