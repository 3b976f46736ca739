"""The race and ethnicity block of a table: codes, the standard they are of, and who said them.

A row's codes must be an answer by the standard that stands beside them: MENA is none by that of
1997, and NOT_HISP none by that of 2024. A table without a column for the standard may hold codes of
another list, and is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from linkage.agreement import ContentTable
from linkage.errors import InvalidRequestError
from linkage.release.race import Collection, Standard, read

CODES, STANDARD, COLLECTION = (
    "race_ethnicity",
    "race_ethnicity_standard",
    "race_ethnicity_collection",
)


def block_faults(
    table: ContentTable, rows: pa.Table
) -> Iterator[tuple[int, npt.NDArray[np.intp], str]]:
    """The place of the field of the codes, rows from 0 that are no answer, and why.

    Args:
        rows: of the table, as they leave.
    """
    of = {field.means: place for place, field in enumerate(table.fields) if field.means}
    if CODES not in of or STANDARD not in of:
        return
    block = [
        rows[table.fields[of[term]].name].to_pylist() if term in of else [None] * rows.num_rows
        for term in (CODES, STANDARD, COLLECTION)
    ]
    answers = np.full(rows.num_rows, None, np.object_)
    answers[:] = list(zip(*block, strict=True))
    numbers, distinct = pd.factorize(answers)
    faults = np.array([_fault(*cells) for cells in distinct], np.object_)
    for text in dict.fromkeys(text for text in faults if text):
        yield of[CODES], np.flatnonzero((faults == text)[numbers]), text


def _fault(codes: str | None, standard: str | None, collection: str | None) -> str | None:
    if standard is None and not codes:
        return None
    if standard not in set(Standard):
        return f"stands beside a standard that is none of {', '.join(Standard)}"
    if collection is not None and collection not in set(Collection):
        return f"stands beside a way of collection that is none of {', '.join(Collection)}"
    try:
        read(codes or "", Standard(standard), Collection(collection or Collection.SELF))
    except InvalidRequestError as error:
        return f"is no answer by the standard of {standard}: {error.message}"
    return None
