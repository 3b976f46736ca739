"""Encode records: normalised columns in, one bit vector per record and match key out.

- A record's encoding depends on its own values, the manifest's scheme and match keys, the
  secret and the epoch alone: not on other rows, chunks or the number of threads.
- A record lacking a field of a match key has presence False and zero words for it; a present
  encoding is never all zeros or all ones. Under a linkage schema a record may lack fields, and has
  presence False where its filter would be all zeros or all ones.
- The secret is used on construction only; `close` overwrites the keys derived from it and the
  token tables in use, as far as Python allows. No module holds anything of an encoder.
- Memory beside the result is bounded: rows are worked on block by block, and tables of tokens
  are dropped when they grow large.

    with Encoder(manifest, secret, epoch=1) as encoder:
        encoded = encoder.encode({"surname": surnames.values, "dob": dates.values}, threads=2)
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from linkage.agreement import FieldType, Manifest, MatchKey, Minhash, Saul
from linkage.encoding.clk import ClkScheme
from linkage.encoding.clk_manifest import SchemaFilters, clk_secret
from linkage.encoding.lists import avoid_uniform, gather
from linkage.encoding.minhash import MinhashScheme
from linkage.encoding.prf import SECRET_BYTES, forget, namespace_of
from linkage.encoding.saul import MAX_TOKENS, SaulScheme
from linkage.encoding.tables import KeyTable
from linkage.encoding.tokens import Tokens, Vocabulary, tokenise
from linkage.encodings import EncodingLayout
from linkage.errors import InputError, StateError

BLOCK_ROWS = 16_384
MAX_VOCABULARY = 32_768

Objects = npt.NDArray[np.object_]
AnyScheme = SaulScheme | MinhashScheme | ClkScheme


def layout_of(manifest: Manifest, rows: int) -> EncodingLayout:
    """The encoding matrix that `rows` records of a manifest fill."""
    return EncodingLayout(
        scheme=manifest.scheme.name,
        bits=manifest.scheme.bits,
        match_keys=tuple(key.name for key in manifest.match_keys),
        rows=rows,
        fingerprint=manifest.fingerprint,
        strata=tuple(stratum.name for stratum in manifest.strata),
    )


@dataclass(frozen=True)
class Encoded:
    """The encodings of some records.

    Attributes:
        presence: (match keys, rows) bool.
        words: (match keys, rows, bits / 64) uint64; bit j of an encoding is bit j % 64 of
            word j // 64.
    """

    presence: npt.NDArray[np.bool_]
    words: npt.NDArray[np.uint64]


class GivesEncodings(Protocol):
    """What records are encoded with: an `Encoder`, or encodings made elsewhere."""

    def layout(self, rows: int) -> EncodingLayout: ...

    def encode(self, columns: Mapping[str, Objects], *, threads: int = 1) -> Encoded: ...


class Encoder:
    """Encodes under one manifest, secret and epoch. Not for use by two threads at once.

    Args:
        secret: the project secret, 32 bytes.
        epoch: which secret of the project it is; 0 or more.

    Raises:
        InputError: the secret has another length or the epoch is negative.
    """

    def __init__(self, manifest: Manifest, secret: bytes, *, epoch: int) -> None:
        if len(secret) != SECRET_BYTES:
            raise InputError(f"the project secret is not {SECRET_BYTES} bytes long")
        if epoch < 0:
            raise InputError("the epoch is negative")
        self._manifest = manifest
        used = {name for key in manifest.match_keys for name in key.fields}
        self._fields = tuple(field for field in manifest.fields if field.name in used)
        schema = manifest.linkage_schema
        self._filters = None
        if schema is not None:
            text = clk_secret(manifest, secret, epoch)
            self._filters = SchemaFilters(manifest, text)
            forget(text)
        self._tables = [
            KeyTable(manifest, key, _scheme_of(manifest, key), secret, epoch)
            for key in (manifest.match_keys if schema is None else ())
        ]
        self._vocabularies: dict[str, Vocabulary] = {}
        self._closed = False

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Overwrite keys and token tables; the encoder can't be used afterwards."""
        if self._filters is not None:
            self._filters.close()
        for table in self._tables:
            table.forget()
        self._vocabularies.clear()
        self._closed = True

    def layout(self, rows: int) -> EncodingLayout:
        """The encoding matrix that `rows` records of this manifest fill."""
        return layout_of(self._manifest, rows)

    def encode(self, columns: Mapping[str, Objects], *, threads: int = 1) -> Encoded:
        """Encode records.

        Args:
            columns: per field of the manifest (those outside every match key may be left out)
                a (rows,) object array of normalised values, None where missing. Under a linkage
                schema the cells as they stand, None where they give no token.
            threads: how many threads combine tokens; the result is the same.

        Raises:
            InputError: a column is absent, unknown, of another length, or holds what the
                normaliser does not give.
            StateError: the encoder is closed.
        """
        if self._closed:
            raise StateError("the encoder is closed")
        rows = self._checked_rows(columns)
        if self._filters is not None:
            return Encoded(*self._filters.encode(columns))
        layout = self.layout(rows)
        keys = len(layout.match_keys)
        presence = np.zeros((keys, rows), dtype=np.bool_)
        words = np.zeros((keys, rows, layout.words_per_row), dtype=np.uint64)
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(threads)) if threads > 1 else None
            queue = _Queue(pool, limit=4 * threads * keys)
            for start in range(0, rows, BLOCK_ROWS):
                block = slice(start, min(start + BLOCK_ROWS, rows))
                self._encode_block(columns, block, presence, words, queue)
            queue.finish()
        return Encoded(presence, words)

    def _checked_rows(self, columns: Mapping[str, Objects]) -> int:
        """The number of rows, where all columns agree on it."""
        known = {field.name for field in self._manifest.fields}
        for name in columns:
            if name not in known:
                raise InputError(f"column {name!r} is not a field of the manifest")
        for field in self._fields:
            if field.name not in columns:
                raise InputError(f"field {field.name!r} has no column")
        lengths = {len(column) for column in columns.values()}
        if len(lengths) > 1:
            raise InputError("the columns do not have the same number of rows")
        return lengths.pop()

    def _encode_block(
        self,
        columns: Mapping[str, Objects],
        block: slice,
        presence: npt.NDArray[np.bool_],
        words: npt.NDArray[np.uint64],
        queue: _Queue,
    ) -> None:
        if any(len(vocabulary) > MAX_VOCABULARY for vocabulary in self._vocabularies.values()):
            self._vocabularies.clear()
            for table in self._tables:
                table.clear()
        cut = {
            field.name: self._cut(field.name, field.type, namespace_of(field), columns, block)
            for field in self._fields
        }
        for k, (match_key, table) in enumerate(
            zip(self._manifest.match_keys, self._tables, strict=True)
        ):
            task = self._task(match_key, table, cut)
            presence[k, block] = (task.codes >= 0).all(axis=0)
            queue.submit(task, words[k, block])

    def _cut(
        self,
        name: str,
        kind: FieldType,
        namespace: str,
        columns: Mapping[str, Objects],
        block: slice,
    ) -> _Cut:
        """One field's values of a block: distinct ones numbered, cut into tokens."""
        index: dict[object, int] = {None: 0, "": 1}
        codes = [index.setdefault(value, len(index)) for value in columns[name][block].tolist()]
        values = list(index)[2:]
        if not all(issubclass(kind_of, str) for kind_of in set(map(type, values))):
            raise InputError(f"field {name!r}: a value is not text")
        vocabulary = self._vocabularies.setdefault(namespace, Vocabulary())
        try:
            tokens = tokenise(kind, cast(list[str], values), vocabulary)
        except InputError as error:
            raise InputError(f"field {name!r}: {error.message}") from None
        return _Cut(np.array(codes, dtype=np.int32) - 2, tokens, namespace, vocabulary)

    def _task(self, match_key: MatchKey, table: KeyTable, cut: Mapping[str, _Cut]) -> _Task:
        """What is needed to combine the tokens of one match key."""
        # Fields of one namespace stand together, as `minhash-v1` needs them.
        fields = sorted(match_key.fields, key=lambda name: cut[name].namespace)
        parts = [cut[name] for name in fields]
        weights = [match_key.weights.get(name, 1) for name in fields]
        repeats = [table.scheme.repeats(weight) for weight in weights]
        longest = sum(r * part.longest for r, part in zip(repeats, parts, strict=True))
        if longest > MAX_TOKENS:
            raise InputError(f"match key {match_key.name!r}: a record is too long to encode")
        places = [
            table.places(part.namespace, weight, part.vocabulary)[part.tokens.numbers]
            for part, weight in zip(parts, weights, strict=True)
        ]
        starts = np.cumsum([0, *(len(place) for place in places[:-1])])
        offsets = [start + part.tokens.offsets for start, part in zip(starts, parts, strict=True)]
        return _Task(
            scheme=table.scheme,
            rows=table.rows,
            parts=table.parts,
            codes=np.array([part.codes for part in parts]),
            bases=np.cumsum([0, *(len(o) for o in offsets[:-1])]).astype(np.int64),
            repeats=np.array(repeats, dtype=np.int64),
            offsets=np.concatenate(offsets).astype(np.int64),
            numbers=np.concatenate(places),
        )


def _scheme_of(manifest: Manifest, key: MatchKey) -> AnyScheme:
    settings = manifest.scheme
    if isinstance(settings, Minhash):
        return MinhashScheme.of(settings, [manifest.field(name) for name in key.fields])
    return SaulScheme(settings) if isinstance(settings, Saul) else ClkScheme(settings)


@dataclass(frozen=True)
class _Cut:
    """One field of a block: each row's value number (negative if missing), and its tokens."""

    codes: npt.NDArray[np.int32]
    tokens: Tokens
    namespace: str
    vocabulary: Vocabulary

    @property
    def longest(self) -> int:
        return int(np.diff(self.tokens.offsets).max(initial=0))


@dataclass(frozen=True)
class _Task:
    """The tokens of one match key in one block; see `gather` for shapes."""

    scheme: AnyScheme
    rows: npt.NDArray[np.uint64]
    parts: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int32]
    bases: npt.NDArray[np.int64]
    repeats: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int32]

    def run(self, out: npt.NDArray[np.uint64]) -> None:
        bounds, tokens = gather(self.codes, self.bases, self.repeats, self.offsets, self.numbers)
        self.scheme.combine(self.rows, self.parts, bounds, tokens, out)
        avoid_uniform(bounds, out)


class _Queue:
    """Runs tasks at once, or in a pool with a bounded number waiting."""

    def __init__(self, pool: Executor | None, limit: int) -> None:
        self._pool = pool
        self._limit = limit
        self._waiting: set[Future[None]] = set()

    def submit(self, task: _Task, out: npt.NDArray[np.uint64]) -> None:
        if self._pool is None:
            task.run(out)
            return
        while len(self._waiting) >= self._limit:
            self._settle(wait(self._waiting, return_when=FIRST_COMPLETED).done)
        self._waiting.add(self._pool.submit(task.run, out))

    def finish(self) -> None:
        self._settle(set(self._waiting))

    def _settle(self, done: set[Future[None]]) -> None:
        for future in done:
            future.result()
        self._waiting -= done
