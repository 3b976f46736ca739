"""From a partner's records to what attacks are made on: encodings, register and tokens.

- Encodings are made under secrets drawn here. The project secret is as random, so what is found
  holds for it, and no key has to be at hand.
- Records of equal values count once: which of two equal records an encoding is, nobody can tell.
  Attacks that count repeats name values, and have them all.
- Where a file holds people several times, one record of each is taken; see `sample`.
- Of a linkage schema every record is attacked that has a filter, whichever fields it is made of; of
  any other scheme the records that have all fields of a match key.
- Aliases are left out.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from linkage.agent.sample import PERSONAL, Columns, Objects, Progress, Rows, sample
from linkage.agent.table import RecordTable
from linkage.agreement import (
    FieldType,
    IdentifierField,
    Manifest,
    MatchKey,
    Minhash,
    Saul,
)
from linkage.encoding import Encoder
from linkage.encoding.minhash import MinhashScheme
from linkage.encoding.prf import SECRET_BYTES, namespace_of
from linkage.encoding.tokens import Vocabulary, tokenise
from linkage.risk import (
    Choices,
    Law,
    Majorities,
    Register,
    Repeats,
    Trial,
    View,
    control_trial,
    first_of_equal,
    repeats,
    signature,
)
from linkage.risk.evidence import FEWEST
from linkage.risk.target import Round, Target

TOGETHER = "all match keys together"
KNOWN_SHARE = 0.1
MOST_KNOWN = 5_000
"""People whom the law's attacker knows: a tenth of the file, at most so many."""
_MOST_COUNTED = 5_000
"""Of people of whom some have equal values, so many are counted: patterns take squares of it."""
_MOST_WORDS = 64
"""Of all match keys side by side the leading bits, 4,096 in all: memory is bounded."""
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Named:
    """A target by what it is of.

    Attributes:
        name: the match key's, or that of several.
        fields: what is encoded.
        each: whether it is of one match key among several.
    """

    name: str
    fields: tuple[str, ...]
    each: bool
    target: Target


class Encodings:
    """A sample of a file's records, encoded under three secrets.

    Args:
        rows: at most so many records.
        rng: for the sample and the order of rows; attacks go on with it.
        skipped: 0-based rows of the file that are not sent, ascending.
        threads: for encoding.

    Raises:
        SourceError: the file cannot be read as a table.
    """

    def __init__(
        self,
        table: RecordTable,
        rows: int,
        rng: np.random.Generator,
        progress: Progress,
        skipped: Rows,
        *,
        threads: int,
    ) -> None:
        self._manifest = manifest = table.manifest
        self._table = table
        self.rng = rng
        self._columns, self.read, self.records = sample(table, rows, rng, progress, skipped)
        own = {field.name: self._columns[field.name] for field in table.fields}
        self._sides: list[Words] = []
        for _ in range(3):
            with Encoder(manifest, secrets.token_bytes(SECRET_BYTES), epoch=0) as encoder:
                found = encoder.encode(own, threads=threads)
            self._presence = found.presence
            self._sides.append(found.words)

    @property
    def rows(self) -> int:
        """Records in the sample, one per person."""
        return int(self._presence.shape[1])

    @property
    def keys(self) -> tuple[str, ...]:
        """The match keys' names."""
        return tuple(key.name for key in self._manifest.match_keys)

    @property
    def signature(self) -> dict[str, float]:
        """How far a row's encodings join into a signature."""
        return signature(self._presence, self._sides[0])

    def targets(self, each: int) -> Iterator[Named]:
        """One per match key, of at most `each` people, and one of all side by side.

        Of several match keys those that too many records lack are left out of the last.
        """
        keys = self._manifest.match_keys
        if len(keys) > 1:
            for place, key in enumerate(keys):
                rows = self._distinct(key.fields, [place])[:each]
                yield Named(key.name, key.fields, True, self._target([place], key.fields, rows))
        places = self._complete()
        fields = self._fields_of(places)
        rows = self._distinct(fields, places)
        target = self._target(places, fields, rows, round_too=True)
        yield Named(self._called(places), fields, False, target)

    def repeats(self) -> dict[str, Repeats]:
        """By match key, and of all side by side, how often encodings repeat.

        Of all people read, also those of equal values; of fewer than `FEWEST` nothing is said.
        """
        keys = self._manifest.match_keys
        every = {key.name: (key.fields, [place]) for place, key in enumerate(keys)}
        places = self._complete()
        every.setdefault(self._called(places), (self._fields_of(places), places))
        found = {}
        for name, (fields, of) in every.items():
            rows = self._present(fields, of)
            if len(rows) >= FEWEST:
                found[name] = repeats(np.hstack([self._sides[0][place][rows] for place in of]))
        return found

    def control(self, rows: int) -> Trial:
        """Plain Bloom filters of names and birth dates, or of all there is where there are none.

        People who lack one are not in it, unless the scheme itself takes records with gaps.
        """
        read = self._read_fields
        personal = [f for f in read if f.type in PERSONAL] or read
        chosen = self._distinct([f.name for f in personal], [])[:rows]
        tokens = self._tokens([f.name for f in personal], chosen)
        return control_trial(tokens, tokens, np.arange(len(chosen)), self.rng)

    def commonness(self, fields: Sequence[str]) -> dict[str, float]:
        """By field, the share of its values that another record has too."""
        found = {}
        for name in fields:
            values = [value for value in self._columns[name].tolist() if value]
            _, times = np.unique(np.array(values, np.str_), return_counts=True)
            found[name] = round(float(times[times > 1].sum() / max(len(values), 1)), 3)
        return found

    @property
    def _read_fields(self) -> list[IdentifierField]:
        used = {name for key in self._manifest.match_keys for name in key.fields}
        return [field for field in self._table.fields if field.name in used]

    def _target(
        self,
        places: Sequence[int],
        fields: Sequence[str],
        rows: Rows,
        *,
        round_too: bool = False,
    ) -> Target:
        order = self.rng.permutation(len(rows))
        people, truth = rows[order], np.argsort(order)
        wide = max(1, _MOST_WORDS // len(places))
        cut = [
            np.hstack([side[place][chosen, :wide] for place in places])
            for side, chosen in zip(self._sides, (rows, people, people), strict=True)
        ]
        register = Register(cut[1], cut[2], self._tokens(fields, people))
        own = []
        for place in places:
            key = self._manifest.match_keys[place]
            law = self._law(key, people)
            if law is not None:
                view, once, again = (
                    side[place][chosen]
                    for side, chosen in zip(self._sides, (rows, people, people), strict=True)
                )
                own.append(Trial(View(view), Register(once, again, register.tokens, law), truth))
        told = min(MOST_KNOWN, round(KNOWN_SHARE * self.records), len(rows) // 2)
        asked = self._round(rows) if round_too else None
        trial = Trial(View(cut[0]), register, truth)
        return Target(
            trial,
            self.rng,
            keys=own,
            asked=asked,
            told=max(told, 1),
            repeated=self._repeated(places, fields),
            plain=self._manifest.scheme.name == "clk-v1",
        )

    def _repeated(self, places: Sequence[int], fields: Sequence[str]) -> Trial | None:
        """People with equal values and all; None where each has another encoding."""
        rows = self._present(fields, places)[:_MOST_COUNTED]
        wide = max(1, _MOST_WORDS // len(places))
        view, once, again = (
            np.hstack([side[place][rows, :wide] for place in places]) for side in self._sides
        )
        if not len(rows) or repeats(view).distinct == 1.0:
            return None
        order = self.rng.permutation(len(rows))
        tokens = self._tokens(fields, rows[order])
        register = Register(once[order], again[order], tokens)
        return Trial(View(view), register, first_of_equal(tokens)[np.argsort(order)])

    def _round(self, rows: Rows) -> Round | None:
        matching = self._manifest.matching
        if not matching.pair_keyed:
            return None
        fields = []
        for field in self._table.fields:
            column = self._columns[self._table.compared(field.name)][rows]
            fields.append(_with_gaps(field.type, column))
        return Round(fields, matching.quota, matching.answer_runs)

    def _law(self, key: MatchKey, rows: Rows) -> Law | None:
        if not isinstance(self._manifest.scheme, Saul | Minhash):
            return None
        columns = {name: self._columns[name][rows] for name in key.fields}
        return law_of(self._manifest, key, columns)

    def _tokens(self, fields: Sequence[str], rows: Rows) -> sp.csr_matrix:
        """What an attacker takes for tokens; of a linkage schema's cells pairs of letters."""
        columns = {name: self._columns[name][rows] for name in fields}
        read = [self._manifest.field(name) for name in fields]
        if self._manifest.linkage_schema is not None:
            parts = [_with_gaps(FieldType.FULL_NAME, columns[f.name]) for f in read]
            return sp.hstack(parts).tocsr()
        return tokens_of(read, columns)

    def _complete(self) -> list[int]:
        """Match keys, the least covered left out until half of the records have all the others."""
        order = np.argsort(-self._presence.sum(axis=1), kind="stable").tolist()
        while len(order) > 1 and self._presence[order].all(axis=0).mean() < 0.5:
            order.pop()
        return sorted(order)

    def _fields_of(self, places: Sequence[int]) -> tuple[str, ...]:
        keys = [self._manifest.match_keys[place] for place in places]
        return tuple(dict.fromkeys(name for key in keys for name in key.fields))

    def _called(self, places: Sequence[int]) -> str:
        keys = self._manifest.match_keys
        if len(places) == len(keys):
            return TOGETHER if len(keys) > 1 else keys[0].name
        return f"{len(places)} of {len(keys)} match keys together"

    def _distinct(self, fields: Sequence[str], places: Sequence[int]) -> Rows:
        """Rows with these fields and encodings, the first of those with equal values."""
        rows = self._present(fields, places)
        columns = [self._columns[name][rows].tolist() for name in fields]
        first: dict[tuple[object, ...], int] = {}
        for row, values in zip(rows.tolist(), zip(*columns, strict=True), strict=True):
            first.setdefault(values, row)
        return np.fromiter(first.values(), np.int64, count=len(first))

    def _present(self, fields: Sequence[str], places: Sequence[int]) -> Rows:
        """Rows with these fields and encodings.

        A filter of a linkage schema is made of whatever fields a record has, so any of them does.
        """
        enough = np.all if self._manifest.linkage_schema is None else np.any
        there = [self._columns[name].astype(np.bool_) for name in fields]
        encoded = self._presence[list(places)].all(axis=0)
        return np.flatnonzero(encoded & enough(there, axis=0))


def law_of(manifest: Manifest, key: MatchKey, columns: Columns) -> Law:
    """The law of one match key's encodings under the manifest's scheme."""
    fields = [manifest.field(name) for name in key.fields]
    scheme = manifest.scheme
    if isinstance(scheme, Minhash):
        parts: dict[str, list[IdentifierField]] = {}
        for field in fields:
            parts.setdefault(namespace_of(field), []).append(field)
        choices = MinhashScheme.of(scheme, fields).choices
        return Choices([tokens_of(parts[name], columns) for name in sorted(parts)], choices)
    return Majorities(tokens_of(fields, columns), scheme.hashes if isinstance(scheme, Saul) else 1)


def tokens_of(fields: Sequence[IdentifierField], columns: Columns) -> sp.csr_matrix:
    """How often each token stands in each record, as the encodings count them."""
    vocabularies: dict[str, Vocabulary] = {}
    parts: dict[str, list[sp.csr_matrix]] = {}
    for field in fields:
        namespace = namespace_of(field)
        vocabulary = vocabularies.setdefault(namespace, Vocabulary())
        counts = _counts(field.type, columns[field.name], vocabulary)
        parts.setdefault(namespace, []).append(counts)
    joined = []
    for namespace, many in parts.items():
        for part in many:
            part.resize(part.shape[0], len(vocabularies[namespace]))
        joined.append(sum(many[1:], start=many[0]))
    return sp.hstack(joined).tocsr()


def _with_gaps(kind: FieldType, column: Objects) -> sp.csr_matrix:
    """A field's tokens, of records that may lack it: such a row is empty."""
    there = np.array([bool(value) for value in column.tolist()])
    found = _counts(kind, column[there], Vocabulary())
    lengths = np.zeros(len(column), np.int64)
    lengths[there] = np.diff(found.indptr)
    start = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_matrix((found.data, found.indices, start), shape=(len(column), found.shape[1]))


def _counts(kind: FieldType, column: Objects, vocabulary: Vocabulary) -> sp.csr_matrix:
    cut = tokenise(kind, column.tolist(), vocabulary)
    return sp.csr_matrix(
        (np.ones(len(cut.numbers), np.float32), cut.numbers, cut.offsets),
        shape=(len(cut.offsets) - 1, len(vocabulary)),
    )
