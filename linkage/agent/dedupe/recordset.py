"""A partner's file as it is searched for duplicates: distinct records of coded, normalised values.

- Values are normalised exactly as for encoding. Each field keeps its distinct texts once; records
  hold their numbers.
- Rows alike in every field are one record here. Records are sorted by content, so that nothing
  that follows depends on the order of the file.
- A value that cannot tell people apart is taken as not known, and counted:
  a birth date, telephone, national id, e-mail or postal address that stands with far more
  different surnames than such values usually do (of a date the year is kept), and a name or
  address that reads like a placeholder.
- Memory: 4 bytes per row and field, and each distinct text once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.agent.placeholders import reads_like_placeholder
from linkage.agent.table import Table
from linkage.agreement import FieldType, IdentifierField
from linkage.encoding import NormalisedColumn
from linkage.errors import LimitError

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]
Progress = Callable[[str, int, int], None]

MAX_ROWS = 2_000_000
FEWEST_SURNAMES = 20
TIMES_USUAL = 10

_TELLING = (
    FieldType.DATE_OF_BIRTH,
    FieldType.PHONE,
    FieldType.NATIONAL_ID,
    FieldType.EMAIL,
    FieldType.ADDRESS,
)
_WORDS = (
    FieldType.GIVEN_NAME,
    FieldType.MIDDLE_NAME,
    FieldType.SURNAME,
    FieldType.FULL_NAME,
    FieldType.ADDRESS,
)
_YEAR = len("1980")


@dataclass(frozen=True)
class Column:
    """One field of all records.

    Attributes:
        texts: (distinct,) normalised values, ascending.
        codes: (records,) place in `texts`; -1 where the value is not known.
    """

    field: IdentifierField
    texts: Objects
    codes: Codes

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(records,) whether the record has the field."""
        return self.codes >= 0


@dataclass(frozen=True)
class Ignored:
    """Values of a field that were taken as not known.

    Attributes:
        values: how many different ones.
        cells: in how many rows they stand.
        why: what is wrong with them.
    """

    field: str
    values: int
    cells: int
    why: str


@dataclass(frozen=True)
class RecordSet:
    """The distinct records of a file.

    Attributes:
        columns: the fields, in the order of the description.
        record: (rows,) which record each row of the file is.
        unread: per field, how many cells are no dates in the declared formats.
        ignored: what was taken as not known.
    """

    columns: tuple[Column, ...]
    record: Rows
    unread: Mapping[str, int]
    ignored: tuple[Ignored, ...]

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return len(self.record)

    @property
    def records(self) -> int:
        """Distinct records."""
        return len(self.columns[0].codes)

    def of(self, *kinds: FieldType) -> list[Column]:
        """The columns of these types."""
        return [column for column in self.columns if column.field.type in kinds]


def read_records(table: Table, progress: Progress) -> RecordSet:
    """Read the identifier columns of a file.

    Raises:
        SourceError: the file cannot be read.
        LimitError: more than 2,000,000 rows.
    """
    books = [_Book(field) for field in table.fields]
    column_of = table.partner.column_of
    rows = 0
    for batch in table.source.batches([column_of(field.name) for field in table.fields]):
        for book in books:
            cells = batch[column_of(book.field.name)]
            book.add(table.normalise(book.field, cells))
        rows += len(cells)
        progress("read", rows, 0)
        if rows > MAX_ROWS:
            raise LimitError(
                f"the file has more than {MAX_ROWS} rows",
                remedy="Search it in parts that share no person, such as by year of birth",
            )
    ignored: list[Ignored] = []
    columns = [_without_placeholders(book.column(), ignored) for book in books]
    surnames = _surnames(columns)
    columns = [_without_common(column, surnames, ignored) for column in columns]
    order = np.lexsort([column.codes for column in reversed(columns)])
    new = np.zeros(rows, np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= np.diff(column.codes[order]) != 0
    record = np.empty(rows, np.int64)
    record[order] = np.cumsum(new) - 1
    chosen = order[new]
    return RecordSet(
        tuple(Column(c.field, c.texts, c.codes[chosen]) for c in columns),
        record,
        {book.field.name: book.unread for book in books if book.unread},
        tuple(ignored),
    )


class _Book:
    """Numbers the distinct values of one field as they come."""

    def __init__(self, field: IdentifierField) -> None:
        self.field = field
        self.unread = 0
        self._numbers: dict[str, int] = {}
        self._codes: list[Codes] = []

    def add(self, column: NormalisedColumn) -> None:
        codes, distinct = pd.factorize(column.values)
        numbers = self._numbers
        known = [numbers.setdefault(text, len(numbers)) for text in distinct]
        self._codes.append(np.array([*known, -1], np.int32)[codes])
        self.unread += len(column.invalid)

    def column(self) -> Column:
        texts = np.array(list(self._numbers), dtype=np.object_)
        order = np.argsort(texts)
        place = np.full(len(texts) + 1, -1, np.int32)
        place[order] = np.arange(len(texts))
        codes = np.concatenate([np.empty(0, np.int32), *self._codes])
        return Column(self.field, texts[order], place[codes])


def _without_placeholders(column: Column, ignored: list[Ignored]) -> Column:
    if column.field.type not in _WORDS:
        return column
    bad = reads_like_placeholder(column.field.type, column.texts)
    return _without(column, bad, "reads like a placeholder", ignored)


def _surnames(columns: Sequence[Column]) -> Rows | None:
    """Per row a number of its surname, or of its whole name; None where the file has neither."""
    for kind in (FieldType.SURNAME, FieldType.FULL_NAME):
        for column in columns:
            if column.field.type is kind:
                return column.codes.astype(np.int64)
    return None


def _without_common(column: Column, surnames: Rows | None, ignored: list[Ignored]) -> Column:
    kind = column.field.type
    if kind not in _TELLING or not len(column.texts):
        return column
    rows = np.arange(len(column.codes)) if surnames is None else surnames
    there = column.known & (rows >= 0)
    width = int(rows.max(initial=0)) + 1
    together = np.unique(column.codes[there].astype(np.int64) * width + rows[there])
    names = np.bincount(together // width, minlength=len(column.texts))
    usual = (names.sum() - names) / max(len(names) - 1, 1)
    bad = names >= np.maximum(FEWEST_SURNAMES, TIMES_USUAL * usual)
    if kind is not FieldType.DATE_OF_BIRTH:
        return _without(column, bad, "stands with too many different surnames", ignored)
    bad &= np.array([len(text) > _YEAR for text in column.texts], np.bool_)
    return _years_of(column, bad, ignored)


def _without(
    column: Column, bad: npt.NDArray[np.bool_], why: str, ignored: list[Ignored]
) -> Column:
    if not bad.any():
        return column
    lost = np.append(bad, False)[column.codes]
    ignored.append(Ignored(column.field.name, int(bad.sum()), int(lost.sum()), why))
    return Column(column.field, column.texts, np.where(lost, -1, column.codes).astype(np.int32))


def _years_of(column: Column, bad: npt.NDArray[np.bool_], ignored: list[Ignored]) -> Column:
    """Keep only the year of some dates."""
    if not bad.any():
        return column
    cells = int(np.append(bad, False)[column.codes].sum())
    why = "stands with too many different surnames; its year is kept"
    ignored.append(Ignored(column.field.name, int(bad.sum()), cells, why))
    shown = np.array(
        [text[:_YEAR] if lost else text for text, lost in zip(column.texts, bad, strict=True)],
        dtype=np.object_,
    )
    texts, place = np.unique(shown, return_inverse=True)
    codes = np.append(place, -1)[column.codes].astype(np.int32)
    return Column(column.field, texts, codes)
