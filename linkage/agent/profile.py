"""What a file is like: counts of it, made without keeping any of its values.

- How values repeat is counted exactly, in bounded memory; see `tally`.
- Dependence between fields is judged on a random sample of records; see `dependence`.
- What may stand for "not known" is named by place and count; see `placeholders`.

    profiler = Profiler(fields, match_keys)
    for columns in batches:
        profiler.add(columns)
    found = profiler.result()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.agent.dependence import Sample
from linkage.agent.placeholders import SHOWN_SUSPECTS, Placeholders, Suspect
from linkage.agent.tally import Hasher, Hashes, Objects, Spread, Tally, mixed
from linkage.agreement import FieldType, IdentifierField, MatchKey, Partner
from linkage.agreement.profile import (
    SMALLEST_COUNT,
    Dependence,
    FieldProfile,
    Profile,
    round_count,
)
from linkage.errors import InputError

LONGEST = 255
FEWEST_ROWS = 100
"""A shorter file is not profiled for others: its figures would be about a few people."""


@dataclass(frozen=True)
class Lengths:
    """Lengths of normalised values, in characters; 255 stands for that and more."""

    shortest: int
    lower_quarter: int
    median: int
    upper_quarter: int
    longest: int


@dataclass(frozen=True)
class FieldFigures:
    """One field of a file."""

    field: IdentifierField
    missing: int
    spread: Spread
    lengths: Lengths
    suspects: tuple[Suspect, ...]


@dataclass(frozen=True)
class FileFigures:
    """A whole file.

    Attributes:
        keys: how the values of each match key repeat; `rows` of it is what the key covers.
        same_person: records that agree with an earlier one in all of `person_fields`.
        dependent: pairs of fields, and the share of bits that one tells of the other.
    """

    rows: int
    fields: tuple[FieldFigures, ...]
    keys: Mapping[str, Spread]
    same_person: int
    person_fields: tuple[str, ...]
    dependent: Mapping[tuple[str, str], float]

    def share(self, partner: Partner) -> Profile:
        """The part that may be told: rounded, small counts left out, no value.

        Raises:
            InputError: the file is too small to speak of it without speaking of people.
        """
        if self.rows < FEWEST_ROWS:
            raise InputError(
                f"a file of fewer than {FEWEST_ROWS} records is not profiled for others"
            )
        return Profile(
            linkage="profile/1",
            partner=partner,
            rows=round_count(self.rows),
            fields=tuple(_told(found, self.rows) for found in self.fields),
            dependent=tuple(
                Dependence(fields=names, shared=round(shared, 1))
                for names, shared in self.dependent.items()
            ),
        )


class Profiler:
    """Takes normalised columns batch by batch; see the module's text."""

    def __init__(self, fields: Sequence[IdentifierField], keys: Sequence[MatchKey] = ()) -> None:
        self.hasher = Hasher()
        self._fields = tuple(fields)
        self._keys = tuple(keys)
        self._rows = 0
        self._values = {field.name: Tally() for field in fields}
        self._lengths = {field.name: np.zeros(LONGEST + 1, np.int64) for field in fields}
        self._placeholders = {field.name: Placeholders(field.type) for field in fields}
        self._together = {key.name: Tally() for key in keys}
        self._person = _person_fields(fields)
        self._people = Tally()
        self._sample = Sample(len(fields))

    def add(self, columns: Mapping[str, Objects]) -> None:
        """Count one batch: per field its normalised values, None where missing."""
        rows, present = {}, {}
        for field in self._fields:
            codes, distinct = pd.factorize(columns[field.name])
            counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
            hashes = self.hasher(distinct)
            self._values[field.name].add(hashes, counts)
            self._placeholders[field.name].add(distinct, hashes, counts)
            self._lengths[field.name] += _histogram(distinct, counts)
            present[field.name] = codes >= 0
            rows[field.name] = np.append(hashes, np.uint64(0))[codes]
        for key in self._keys:
            self._together[key.name].add(_joined(key.fields, rows, present))
        if self._person:
            self._people.add(_joined(self._person, rows, present))
        self._rows += len(next(iter(rows.values())))
        names = [field.name for field in self._fields]
        self._sample.add(
            np.column_stack([rows[name] for name in names]),
            np.column_stack([present[name] for name in names]),
        )

    def result(self) -> FileFigures:
        """The figures of all that was added; nothing can be added afterwards."""
        people, _ = self._people.count()
        figures = FileFigures(
            rows=self._rows,
            fields=tuple(self._field(field) for field in self._fields),
            keys={name: tally.count()[0] for name, tally in self._together.items()},
            same_person=people.rows - people.distinct,
            person_fields=self._person,
            dependent=self._sample.dependence([field.name for field in self._fields], self._person),
        )
        for tally in (*self._values.values(), *self._together.values(), self._people):
            tally.close()
        return figures

    def _field(self, field: IdentifierField) -> FieldFigures:
        spread, commonest = self._values[field.name].count(top=SHOWN_SUSPECTS)
        return FieldFigures(
            field=field,
            missing=self._rows - spread.rows,
            spread=spread,
            lengths=_lengths(self._lengths[field.name]),
            suspects=self._placeholders[field.name].suspects(spread, commonest),
        )


def _person_fields(fields: Sequence[IdentifierField]) -> tuple[str, ...]:
    """The fields that tell one person from another: names and birth date, where all are there."""
    wanted = (FieldType.GIVEN_NAME, FieldType.SURNAME, FieldType.DATE_OF_BIRTH)
    found = [next((f.name for f in fields if f.type is kind), None) for kind in wanted]
    return tuple(name for name in found if name) if all(found) else ()


def _joined(
    names: Sequence[str], rows: Mapping[str, Hashes], present: Mapping[str, npt.NDArray[np.bool_]]
) -> Hashes:
    """One hash for all the given fields of each record that has them all."""
    whole = np.logical_and.reduce([present[name] for name in names])
    return mixed([rows[name][whole] for name in names])


def _histogram(distinct: Objects, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many values are how long, by length."""
    lengths = np.fromiter(map(len, distinct), np.int64, len(distinct)).clip(max=LONGEST)
    return np.bincount(lengths, weights=counts, minlength=LONGEST + 1).astype(np.int64)


def _lengths(histogram: npt.NDArray[np.int64]) -> Lengths:
    total = int(histogram.sum())
    if not total:
        return Lengths(0, 0, 0, 0, 0)
    below = np.cumsum(histogram)
    used = np.flatnonzero(histogram)
    low, middle, high = (
        int(np.searchsorted(below, max(total * share, 1))) for share in (0.25, 0.5, 0.75)
    )
    return Lengths(int(used[0]), low, middle, high, int(used[-1]))


def _told(found: FieldFigures, rows: int) -> FieldProfile:
    spread = found.spread
    missing: float | None = 1.0
    bits = 0.0
    if spread.rows >= SMALLEST_COUNT:
        small = 0 < found.missing < SMALLEST_COUNT
        missing = None if small else round(found.missing / rows, 2)
        bits = round(spread.bits, 1)
    settings = {name: getattr(found.field, name) for name in type(found.field).model_fields}
    return FieldProfile(**settings, missing=missing, bits=bits)
