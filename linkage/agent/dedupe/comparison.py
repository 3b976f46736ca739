"""Compare pairs of records feature by feature, with `recordlinkage.Compare`.

- A feature is a field, but for what moves together when somebody moves: all parts of the address
  are one feature, city and postcode another, each as alike as its most alike part.
- Where given name and surname stand in each other's place, the given name's level says so and the
  surname counts as missing.
- Two records contradict each other, and are never linked, if two of given (or full) name, birth
  date and national id are different. Exception: the national id is the same and the surname close.
- Distinct pairs of values are compared once per chunk; memory is that of `CHUNK` pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import recordlinkage

from linkage.agent.dedupe.levels import CLOSE_NAMES, COMPARE, Level, Levels, jaro_winkler
from linkage.agent.dedupe.recordset import Column, Progress, RecordSet, Rows
from linkage.agreement import FieldType

CHUNK = 1 << 18

_TOGETHER = (
    ("address", (FieldType.ADDRESS,)),
    ("city and postcode", (FieldType.CITY, FieldType.POSTCODE)),
)
_NAMES = (FieldType.GIVEN_NAME, FieldType.SURNAME, FieldType.FULL_NAME)


@dataclass(frozen=True)
class Feature:
    """What the model sees of a pair as one piece of evidence.

    Attributes:
        name: for people.
        type: field type that its weights follow.
        fields: names of the fields it is made of.
    """

    name: str
    type: FieldType
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """Pairs and their levels.

    Attributes:
        left, right: (pairs,) numbers of records.
        levels: (pairs, features) `Level`.
        contradicting: (pairs,) never to be linked.
    """

    left: Rows
    right: Rows
    levels: Levels
    contradicting: npt.NDArray[np.bool_]


class Comparer:
    """Compares records of one table."""

    def __init__(self, table: RecordSet) -> None:
        self._columns = {column.field.name: column for column in table.columns}
        self.features = _features(table)
        self._given = next(iter(table.of(FieldType.GIVEN_NAME)), None)
        self._surname = next(iter(table.of(FieldType.SURNAME)), None)
        self._identity = [
            column.field.name
            for kinds in (
                (FieldType.GIVEN_NAME, FieldType.FULL_NAME),
                (FieldType.DATE_OF_BIRTH,),
                (FieldType.NATIONAL_ID,),
            )
            for column in table.of(*kinds)[:1]
        ]
        self._codes = pd.DataFrame({name: c.codes for name, c in self._columns.items()})
        self._compare = recordlinkage.Compare()
        for name, column in self._columns.items():
            self._compare.compare_vectorized(_comparison(column), name, name, label=name)
        if self._given is not None and self._surname is not None:
            given, surname = self._given.field.name, self._surname.field.name
            self._compare.compare_vectorized(
                _exchange(self._given, self._surname),
                [given, surname],
                [given, surname],
                label="",
            )

    def __call__(self, left: Rows, right: Rows, progress: Progress | None = None) -> Compared:
        """Compare pairs of records."""
        levels = np.empty((len(left), len(self.features)), np.int8)
        contradicting = np.zeros(len(left), np.bool_)
        for start in range(0, len(left), CHUNK):
            part = slice(start, start + CHUNK)
            found = self._levels(left[part], right[part])
            for place, feature in enumerate(self.features):
                levels[part, place] = found[list(feature.fields)].max(axis=1)
            contradicting[part] = self._contradict(found)
            if progress is not None:
                progress("compare", min(start + CHUNK, len(left)), len(left))
        return Compared(left, right, levels, contradicting)

    def _levels(self, left: Rows, right: Rows) -> pd.DataFrame:
        """Levels per field."""
        pairs = pd.MultiIndex.from_arrays([left, right])
        found: pd.DataFrame = self._compare.compute(pairs, self._codes)
        if self._given is not None and self._surname is not None:
            swapped = found.pop("").to_numpy(np.bool_)
            given, surname = self._given.field.name, self._surname.field.name
            swapped &= (found[given] < Level.CLOSE) | (found[surname] < Level.CLOSE)
            found.loc[swapped, given] = int(Level.SWAPPED)
            found.loc[swapped, surname] = int(Level.MISSING)
        return found

    def _contradict(self, levels: pd.DataFrame) -> npt.NDArray[np.bool_]:
        different = np.zeros(len(levels), np.int64)
        for name in self._identity:
            worst = Level.DIFFERENT
            if self._columns[name].field.type is FieldType.FULL_NAME:
                worst = Level.ALIKE
            level = levels[name].to_numpy()
            different += (level > Level.MISSING) & (level <= worst)
        found: npt.NDArray[np.bool_] = different >= 2
        ids = [c for c in self._columns.values() if c.field.type is FieldType.NATIONAL_ID]
        if ids and self._surname is not None:
            same = levels[ids[0].field.name].to_numpy() == Level.SAME
            found &= ~(same & (levels[self._surname.field.name].to_numpy() >= Level.CLOSE))
        return found


def _features(table: RecordSet) -> tuple[Feature, ...]:
    together = {kind: (name, kinds) for name, kinds in _TOGETHER for kind in kinds}
    found: dict[object, Feature] = {}
    for column in table.columns:
        kind, name = column.field.type, column.field.name
        if kind not in together:
            found[name] = Feature(name, kind, (name,))
            continue
        shown, kinds = together[kind]
        fields = tuple(other.field.name for other in table.of(*kinds))
        found.setdefault(kinds, Feature(shown if len(fields) > 1 else name, kinds[0], fields))
    return tuple(found.values())


Comparison = Callable[["pd.Series[int]", "pd.Series[int]"], Levels]


def _comparison(column: Column) -> Comparison:
    """Compares the values of one field by their codes."""
    same = np.full(len(column.texts), Level.SAME, np.int8)
    if column.field.type in _NAMES:
        same[_rare(column)] = Level.SAME_RARE
    compare = COMPARE[column.field.type]

    def levels(left: pd.Series[int], right: pd.Series[int]) -> Levels:
        one, other = left.to_numpy(np.int64), right.to_numpy(np.int64)
        found = np.full(len(one), Level.MISSING, np.int8)
        there = (one >= 0) & (other >= 0)
        equal = there & (one == other)
        found[equal] = same[one[equal]]
        rest = there & ~equal
        # Every comparison is symmetric.
        low, high = np.minimum(one[rest], other[rest]), np.maximum(one[rest], other[rest])
        distinct, place = np.unique(low * len(column.texts) + high, return_inverse=True)
        low, high = np.divmod(distinct, max(len(column.texts), 1))
        found[rest] = compare(column.texts[low], column.texts[high])[place]
        return found

    return levels


def _rare(column: Column) -> npt.NDArray[np.bool_]:
    """The names that are not among the commonest, which make half of all chance agreements."""
    counts = np.bincount(column.codes[column.known], minlength=len(column.texts))
    order = np.argsort(-counts, kind="stable")
    pairs = np.cumsum(counts[order] * (counts[order] - 1) // 2)
    rare = np.ones(len(counts), np.bool_)
    if len(counts) and pairs[-1]:
        rarest = counts[order[np.searchsorted(pairs, pairs[-1] / 2)]]
        rare = counts < rarest
    return rare


def _exchange(given: Column, surname: Column) -> Callable[..., npt.NDArray[np.bool_]]:
    """Whether the given name of each is close to the surname of the other."""

    def exchanged(
        given_left: pd.Series[int],
        surname_left: pd.Series[int],
        given_right: pd.Series[int],
        surname_right: pd.Series[int],
    ) -> npt.NDArray[np.bool_]:
        found = _close(given, given_left, surname, surname_right)
        places = np.flatnonzero(found)
        found[places] = _close(given, given_right.iloc[places], surname, surname_left.iloc[places])
        return found

    return exchanged


def _close(
    one: Column, one_codes: pd.Series[int], other: Column, other_codes: pd.Series[int]
) -> npt.NDArray[np.bool_]:
    a, b = one_codes.to_numpy(np.int64), other_codes.to_numpy(np.int64)
    found = np.zeros(len(a), np.bool_)
    there = (a >= 0) & (b >= 0)
    distinct, place = np.unique(a[there] * len(other.texts) + b[there], return_inverse=True)
    low, high = np.divmod(distinct, max(len(other.texts), 1))
    found[there] = (jaro_winkler(one.texts[low], other.texts[high]) >= CLOSE_NAMES)[place]
    return found
