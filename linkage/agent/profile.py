"""What a file is like: counts of it, made without keeping any of its values.

- Values are told apart by 64-bit hashes (SipHash) under a key that is drawn for each profile and
  never written. In ten million distinct values two are mistaken for one with probability 3e-6.
- Exact, in bounded memory: hashes and their counts go to anonymous temporary files, which the
  system removes with the process, and are counted part by part. A field or match key takes at
  most 12 bytes of temporary space per record and a few ten megabytes of memory while counted.
- Dependence between fields is judged on a random sample of records.
- `Suspect`s name a place and a count. Only who reads the file again can tell the value.

    profiler = Profiler(fields, match_keys)
    for columns in batches:
        profiler.add(columns)
    found = profiler.result()
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from linkage.agreement import FieldType, IdentifierField, MatchKey, Partner
from linkage.agreement.profile import (
    SMALLEST_COUNT,
    Dependence,
    FieldProfile,
    Profile,
    round_count,
)
from linkage.errors import InputError

Hashes = npt.NDArray[np.uint64]
Objects = npt.NDArray[np.object_]

IN_MEMORY_BYTES = 4 << 20
PART_ENTRIES = 1 << 20
SAMPLE_ROWS = 1 << 17
LONGEST = 255
MAX_SUSPECTS = 1000
SHOWN_SUSPECTS = 5
FEWEST_ROWS = 100
"""A shorter file is not profiled for others: its figures would be about a few people."""

_ENTRY = np.dtype([("hash", "<u8"), ("count", "<u4")])


@dataclass(frozen=True)
class Spread:
    """How the values of a field, or of all fields of a match key, repeat.

    Attributes:
        rows: records that have one.
        distinct: different values.
        largest: how often the commonest stands.
        bits: collision entropy (Rényi, of order 2) of the values as they are.
        pairs: pairs of records that agree.
    """

    rows: int
    distinct: int
    largest: int
    bits: float
    pairs: int


@dataclass(frozen=True)
class Lengths:
    """Lengths of normalised values, in characters; 255 stands for that and more."""

    shortest: int
    lower_quarter: int
    median: int
    upper_quarter: int
    longest: int


@dataclass(frozen=True)
class Suspect:
    """A value that may stand for "not known".

    Attributes:
        hash: tells the value within this profile only.
        share: of the records that have the field.
        why: what makes it suspect, without naming it.
    """

    hash: int
    count: int
    share: float
    why: str


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


class Hasher:
    """Keyed hashes of values, the same within one run only."""

    def __init__(self) -> None:
        self._key = secrets.token_urlsafe(12)

    def __call__(self, values: Objects) -> Hashes:
        """64-bit hashes of texts."""
        found: Hashes = pd.util.hash_array(values, hash_key=self._key, categorize=False)
        return found


class Tally:
    """Counts how often each hash occurs."""

    def __init__(self) -> None:
        # Held open for as long as the tally lives.
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        self._entries = 0

    def add(self, hashes: Hashes, counts: npt.NDArray[np.int64] | None = None) -> None:
        """Count hashes, each once or so many times."""
        entries = np.empty(len(hashes), _ENTRY)
        entries["hash"] = hashes
        entries["count"] = 1 if counts is None else counts
        self._file.write(entries.tobytes())
        self._entries += len(hashes)

    def count(self, top: int = 0) -> tuple[Spread, list[tuple[int, int]]]:
        """How the hashes repeat, and the commonest ones with their counts."""
        rows = distinct = largest = squares = 0
        commonest: list[tuple[int, int]] = []
        for hashes, counts in self._parts():
            rows += int(counts.sum())
            distinct += len(counts)
            largest = max(largest, int(counts.max(initial=0)))
            squares += int(np.dot(counts, counts))
            if top:
                best = np.argsort(-counts, kind="stable")[:top]
                commonest += zip(hashes[best].tolist(), counts[best].tolist(), strict=True)
                commonest = sorted(commonest, key=lambda item: (-item[1], item[0]))[:top]
        bits = float(2 * np.log2(rows) - np.log2(squares)) if rows else 0.0
        return Spread(rows, distinct, largest, max(bits, 0.0), (squares - rows) // 2), commonest

    def close(self) -> None:
        self._file.close()

    def _parts(self) -> Iterator[tuple[Hashes, npt.NDArray[np.int64]]]:
        """Distinct hashes and their counts, one range of hashes after the other."""
        bits = max((self._entries - 1) // PART_ENTRIES, 0).bit_length()
        for part in range(1 << bits):
            chosen = [
                chunk if not bits else chunk[chunk["hash"] >> np.uint64(64 - bits) == part]
                for chunk in self._chunks()
            ]
            if not chosen:
                return
            entries = np.concatenate(chosen)
            order = np.argsort(entries["hash"])
            hashes, counts = entries["hash"][order], entries["count"][order].astype(np.int64)
            starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
            if len(hashes):
                yield hashes[starts], np.add.reduceat(counts, starts)

    def _chunks(self) -> Iterator[npt.NDArray[np.void]]:
        self._file.seek(0)
        while data := self._file.read(PART_ENTRIES * _ENTRY.itemsize):
            yield np.frombuffer(data, _ENTRY)


class Profiler:
    """Takes normalised columns batch by batch; see the module's text."""

    def __init__(self, fields: Sequence[IdentifierField], keys: Sequence[MatchKey] = ()) -> None:
        self.hasher = Hasher()
        self._fields = tuple(fields)
        self._keys = tuple(keys)
        self._rows = 0
        self._values = {field.name: Tally() for field in fields}
        self._lengths = {field.name: np.zeros(LONGEST + 1, np.int64) for field in fields}
        self._looks: dict[str, dict[int, int]] = {field.name: {} for field in fields}
        self._together = {key.name: Tally() for key in keys}
        self._person = _person_fields(fields)
        self._people = Tally()
        self._sample = _Sample(len(fields))

    def add(self, columns: Mapping[str, Objects]) -> None:
        """Count one batch: per field its normalised values, None where missing."""
        rows, present = {}, {}
        for field in self._fields:
            codes, distinct = pd.factorize(columns[field.name])
            counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
            hashes = self.hasher(distinct)
            self._values[field.name].add(hashes, counts)
            self._measure(field, distinct, hashes, counts)
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

    def _measure(
        self,
        field: IdentifierField,
        distinct: Objects,
        hashes: Hashes,
        counts: npt.NDArray[np.int64],
    ) -> None:
        lengths = np.fromiter(map(len, distinct), np.int64, len(distinct)).clip(max=LONGEST)
        self._lengths[field.name] += np.bincount(
            lengths, weights=counts, minlength=LONGEST + 1
        ).astype(np.int64)
        looks = self._looks[field.name]
        for place in np.flatnonzero(reads_like_placeholder(field.type, distinct)):
            name = int(hashes[place])
            if name in looks or len(looks) < MAX_SUSPECTS:
                looks[name] = looks.get(name, 0) + int(counts[place])

    def _field(self, field: IdentifierField) -> FieldFigures:
        spread, commonest = self._values[field.name].count(top=SHOWN_SUSPECTS)
        # People are born on such days too: as often as on others.
        usual = spread.rows / max(spread.distinct, 1)
        least = 3 * usual if field.type is FieldType.DATE_OF_BIRTH else 1
        found = {
            name: (count, "reads like a placeholder")
            for name, count in self._looks[field.name].items()
            if count >= least
        }
        if field.type in _SPREAD_THIN:
            for name, count in commonest:
                if count >= max(SMALLEST_COUNT, spread.rows * _TOO_COMMON):
                    found.setdefault(name, (count, "far commoner than such values are"))
        ranked = sorted(found.items(), key=lambda item: (-item[1][0], item[0]))[:SHOWN_SUSPECTS]
        return FieldFigures(
            field=field,
            missing=self._rows - spread.rows,
            spread=spread,
            lengths=_lengths(self._lengths[field.name]),
            suspects=tuple(
                Suspect(name, count, count / spread.rows, why) for name, (count, why) in ranked
            ),
        )


class _Sample:
    """Records drawn at random, as hashes of their fields."""

    def __init__(self, fields: int) -> None:
        self._rng = np.random.default_rng()
        self._draws = np.empty(0)
        self._hashes = np.empty((0, fields), np.uint64)
        self._present = np.empty((0, fields), np.bool_)

    def add(self, hashes: Hashes, present: npt.NDArray[np.bool_]) -> None:
        # Every record draws a number; those with the smallest ones stay.
        draws = np.concatenate([self._draws, self._rng.random(len(hashes))])
        kept = np.arange(len(draws))
        if len(draws) > SAMPLE_ROWS:
            kept = np.argpartition(draws, SAMPLE_ROWS)[:SAMPLE_ROWS]
        self._draws = draws[kept]
        self._hashes = np.concatenate([self._hashes, hashes])[kept]
        self._present = np.concatenate([self._present, present])[kept]

    def dependence(
        self, names: Sequence[str], person: Sequence[str]
    ) -> dict[tuple[str, str], float]:
        """Pairs of fields that agree together more often than by chance.

        Repeated records of one person agree in everything and say nothing about fields: pairs of
        records that agree in all of `person` are taken off.
        """
        found = {}
        same = [names.index(name) for name in person]
        for a, b in combinations(range(len(names)), 2):
            rows = self._hashes[self._present[:, [a, b, *same]].all(axis=1)]
            count = len(rows)
            if count < FEWEST_ROWS:
                continue
            repeated = _agreeing(_mixed([rows[:, c] for c in same])) if same else 0
            alone = [max(_agreeing(rows[:, c]) - repeated, 0) for c in (a, b)]
            together = max(_agreeing(_mixed([rows[:, a], rows[:, b]])) - repeated, 0)
            pairs = count * (count - 1) / 2
            # Too few agreeing pairs, as with two identifiers, show nothing.
            if together < _FEWEST_AGREEING or min(alone) == 0:
                continue
            shared = np.log2(together * pairs / (alone[0] * alone[1]))
            least = min(np.log2(pairs / agreeing) for agreeing in alone)
            if least > 0 and shared / least >= _TOLD_FROM:
                found[names[a], names[b]] = float(min(shared / least, 1.0))
        return found


_FEWEST_AGREEING = 100
_TOLD_FROM = 0.3
_TOO_COMMON = 0.002
_SPREAD_THIN = frozenset(
    {FieldType.DATE_OF_BIRTH, FieldType.PHONE, FieldType.NATIONAL_ID, FieldType.EMAIL}
)
_PLACEHOLDER_DATES = pa.array(
    ["1899-12-30", "1899-12-31", "1900-01-01", "1901-01-01", "1911-11-11", "1970-01-01"]
)
# fmt: off
_PLACEHOLDER_WORDS = pa.array(
    [
        "unknown", "unk", "unkn", "unknwn", "none", "null", "nil", "na", "n a", "nan",
        "not available", "missing", "not known", "not given", "not provided", "refused",
        "declined", "anonymous", "test", "testing", "dummy", "sample", "tbd", "tba", "blank",
        "empty", "nmn", "nmi", "nfn", "nln", "no name", "noname", "no first name",
        "no last name", "transient", "homeless", "no fixed address", "nfa", "unsheltered",
        "baby", "infant", "baby boy", "baby girl", "babyboy", "babygirl", "newborn", "doe",
        "john doe", "jane doe", "123456789", "1234567890", "0123456789",
    ]
)
# fmt: on
_REPEATED = "|".join(
    [f"{digit}{{4,}}" for digit in "123456789"] + ["0{3,}"] + [f"{mark}{{2,}}" for mark in "xz"]
)


def reads_like_placeholder(kind: FieldType, distinct: Objects) -> npt.NDArray[np.bool_]:
    """Which normalised values of a field of this type read as if they stood for "not known"."""
    if not len(distinct):
        return np.zeros(0, np.bool_)
    texts = pa.array(distinct, pa.string())
    if kind is FieldType.DATE_OF_BIRTH:
        found = pc.is_in(texts, _PLACEHOLDER_DATES)
    elif kind is FieldType.SEX:
        return np.zeros(len(distinct), np.bool_)
    else:
        found = pc.or_(
            pc.is_in(texts, _PLACEHOLDER_WORDS),
            pc.match_substring_regex(texts, f"^(?:{_REPEATED})$"),
        )
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


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
    return _mixed([rows[name][whole] for name in names])


def _mixed(columns: Sequence[Hashes]) -> Hashes:
    """Random 64-bit numbers into one: each times an odd number of its own, then added."""
    total = np.zeros(len(columns[0]), np.uint64)
    factor = 1
    for column in columns:
        factor = factor * 0x9E3779B97F4A7C15 % (1 << 64)
        total += column * np.uint64(factor)
    return total


def _agreeing(hashes: Hashes) -> int:
    """How many pairs have the same hash."""
    ordered = np.sort(hashes)
    edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    counts = np.diff(edges) if len(hashes) else np.zeros(0, np.int64)
    return int((counts * (counts - 1) // 2).sum())


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
