"""Audit a partner's file: encode it as submit would, and attack the encodings.

- The attacker has the hub's view, and a register that holds the partner's own records without a
  mistake: the worst case of overlap and errors.
- Encodings are made under a secret drawn for the audit. The project secret is as random, so what is
  found holds for it; and the audit needs neither hub nor secret.
- Records of equal values count once: which of two equal records an encoding is, nobody can tell.
- The control, plain Bloom filters of the file's names and birth dates, must fall to the same
  attack. Where it does not, the audit says that it was too weak, and lets nothing pass.
- What is kept of the figures names no value and no row.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from linkage.agent.source import SourceFile
from linkage.agent.table import RecordTable
from linkage.agreement import (
    FieldType,
    IdentifierField,
    Manifest,
    MatchKey,
    Minhash,
    Partner,
    Saul,
)
from linkage.encoding import Encoder
from linkage.encoding.minhash import MinhashScheme
from linkage.encoding.prf import SECRET_BYTES, namespace_of
from linkage.encoding.tokens import Vocabulary, tokenise
from linkage.errors import InputError
from linkage.risk import (
    CONTROL_FLOOR,
    FEWEST,
    Choices,
    Finding,
    Law,
    Majorities,
    Outcome,
    Policy,
    Register,
    Trial,
    View,
    attack,
    control_trial,
    signature,
    unseeded,
    worst,
)

QUICK_ROWS = 2_000
CONTROL_ROWS = 10_000
TOGETHER = "all match keys together"
_MOST_WORDS = 64
"""Of all match keys side by side the leading bits, 4,096 in all: memory is bounded."""

Objects = npt.NDArray[np.object_]
Columns = dict[str, Objects]
Progress = Callable[[str, int, int], None]

_PERSONAL = {
    FieldType.GIVEN_NAME,
    FieldType.MIDDLE_NAME,
    FieldType.SURNAME,
    FieldType.FULL_NAME,
    FieldType.DATE_OF_BIRTH,
}


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        rows: records that were attacked, of `records` in the file.
        control: the attack on plain Bloom filters.
        skipped: those of which too few distinct records were found to attack; see `FEWEST`.
    """

    records: int
    rows: int
    findings: tuple[Finding, ...]
    control: Outcome
    signature: dict[str, float]
    skipped: tuple[str, ...]
    policy: Policy

    @property
    def too_weak(self) -> bool:
        """Whether the control withstood, so that the audit proves nothing."""
        return self.control.rate < CONTROL_FLOOR

    @property
    def above(self) -> dict[str, list[Outcome]]:
        """By match key, the attacks that succeed more often than policy allows."""
        found = {f.name: f.above(self.policy) for f in self.findings}
        return {name: outcomes for name, outcomes in found.items() if outcomes}

    @property
    def passed(self) -> bool:
        return bool(self.findings) and not self.too_weak and not self.above

    def as_json(self) -> dict[str, Any]:
        unknown, known = worst(self.findings)
        return {
            "passed": self.passed,
            "harness_too_weak": self.too_weak,
            "records": self.records,
            "rows": self.rows,
            "policy": vars(self.policy),
            "worst": {"unknown": round(unknown, 6), "known": round(known, 6)},
            "control": self.control.as_json(),
            "findings": [f.as_json() for f in self.findings],
            "signature": self.signature,
            "skipped": list(self.skipped),
        }


def audit(
    manifest: Manifest,
    partner: Partner,
    source: SourceFile,
    *,
    rows: int,
    policy: Policy,
    seed: int | None = None,
    progress: Progress = lambda step, done, total: None,
) -> Audit:
    """Attack the encodings of a file's records, or of a sample of them.

    Args:
        rows: attack at most so many records.
        seed: for the sample and the attacks' random choices; None draws one.

    Raises:
        InputError: the manifest holds a linkage schema, or there are too few records.
        SourceError: the file cannot be read as a table.
    """
    if manifest.linkage_schema is not None:
        raise InputError(
            "filters made by a linkage schema cannot be audited",
            remedy="Published attacks break them: plain Bloom filters are the audit's control",
        )
    rng = np.random.default_rng(seed)
    columns, records = _sample(RecordTable(manifest, partner, source), rows, rng, progress)
    tried = list(_trials(manifest, columns))
    used = [(name, trial) for name, trial in tried if len(trial.view) >= FEWEST]
    if not used:
        raise InputError(
            f"no match key has {FEWEST} distinct records in this file",
            remedy="On fewer records the attacks prove nothing; look at agent check's figures",
        )
    steps = _Steps(progress, 3 * len(used) + 1)
    steps("control")
    control = unseeded(_control(manifest.fields, columns, rng), rng)
    findings = tuple(attack(name, trial, rng, step=steps) for name, trial in used)
    with _encoder(manifest) as encoder:
        encoded = encoder.encode(columns)
    kept = {name for name, _ in used}
    return Audit(
        records=records,
        rows=len(next(iter(columns.values()))),
        findings=findings,
        control=control,
        signature=signature(encoded.presence, encoded.words),
        skipped=tuple(name for name, _ in tried if name not in kept),
        policy=policy,
    )


class _Steps:
    """Tells the progress of many small steps as one."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, text: str) -> None:
        self._progress("attack", self._done, self._total)
        self._done += 1


def _sample(
    table: RecordTable, rows: int, rng: np.random.Generator, progress: Progress
) -> tuple[Columns, int]:
    """A random sample of the records, every record as likely; memory is bounded by its size."""
    names = [field.name for field in table.fields]
    kept: Columns = {name: np.empty(0, np.object_) for name in names}
    lots = np.empty(0)
    seen = 0
    for batch in table.records():
        lots = np.append(lots, rng.random(batch.count))
        chosen = np.argsort(lots)[:rows]
        lots = lots[chosen]
        kept = {n: np.append(kept[n], batch.own[n].values)[chosen] for n in names}
        seen += batch.count
        progress("read", seen, 0)
    return kept, seen


def _trials(manifest: Manifest, columns: Columns) -> Iterator[tuple[str, Trial]]:
    """One trial per match key, and one of all match keys side by side."""
    names = [key.fields for key in manifest.match_keys]
    every = tuple(dict.fromkeys(name for fields in names for name in fields))
    asked: list[tuple[str, tuple[str, ...], slice]] = [
        (key.name, tuple(key.fields), slice(place, place + 1))
        for place, key in enumerate(manifest.match_keys)
    ]
    if len(names) > 1:
        asked.append((TOGETHER, every, slice(None)))
    for name, fields, keys in asked:
        chosen = _distinct([columns[field] for field in fields])
        people = {field: column[chosen] for field, column in columns.items()}
        sides = []
        for _ in range(3):
            with _encoder(manifest) as encoder:
                words = encoder.encode(people).words[keys]
            words = words[:, :, : max(1, _MOST_WORDS // len(words))]
            sides.append(np.ascontiguousarray(words.transpose(1, 0, 2)).reshape(len(chosen), -1))
        tokens = tokens_of([f for f in manifest.fields if f.name in fields], people)
        # View and register are in one order; no attack looks at the order of rows.
        truth = np.arange(len(chosen))
        yield name, Trial(View(sides[0]), Register(sides[1], sides[2], tokens), truth)


def _control(
    fields: Sequence[IdentifierField], columns: Columns, rng: np.random.Generator
) -> Trial:
    """Plain Bloom filters of names and birth dates."""
    personal = [field for field in fields if field.type in _PERSONAL and field.name in columns]
    if not personal:
        raise InputError("the manifest has neither names nor birth dates to make the control of")
    chosen = _distinct([columns[field.name] for field in personal])[:CONTROL_ROWS]
    tokens = tokens_of(personal, {f.name: columns[f.name][chosen] for f in personal})
    return control_trial(tokens, tokens, np.arange(len(chosen)), rng)


def _encoder(manifest: Manifest) -> Encoder:
    return Encoder(manifest, secrets.token_bytes(SECRET_BYTES), epoch=0)


def _distinct(columns: Sequence[Objects]) -> npt.NDArray[np.int64]:
    """Rows with a value in every column, the first of those with equal values."""
    first: dict[tuple[object, ...], int] = {}
    for row, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        if all(values):
            first.setdefault(values, row)
    return np.fromiter(first.values(), np.int64, count=len(first))


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
        cut = tokenise(field.type, columns[field.name].tolist(), vocabulary)
        counts = sp.csr_matrix(
            (np.ones(len(cut.numbers), np.float32), cut.numbers, cut.offsets),
            shape=(len(cut.offsets) - 1, len(vocabulary)),
        )
        parts.setdefault(namespace, []).append(counts)
    joined = []
    for namespace, many in parts.items():
        for part in many:
            part.resize(part.shape[0], len(vocabularies[namespace]))
        joined.append(sum(many[1:], start=many[0]))
    return sp.hstack(joined).tocsr()
