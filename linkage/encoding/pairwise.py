"""`pairwise-v1`: encode the fields of one record for one pair, so that only this pair compares.

Byte by byte in `docs/reference/pairwise-v1.md`.

- A field's encoding depends on its own value, the project, secret and epoch, the context and the
  pair id alone: not on other fields, rows, chunks or the number of threads.
- Encodings of one pair compare: a bit is the XOR of three majorities, so the correlation of two
  values is the cube of 1 - 2 angle / pi between their lists of tokens. What is half alike is as
  strangers: an answer says little of two people who are not one (ADR 38). Encodings of two pairs,
  even of one record, are independent.
- A missing field is present False and has zero words.
- The secret is used on construction only; `close` overwrites keys and tokens, as far as Python
  allows.

    with PairwiseEncoder(manifest, secret, epoch=1) as encoder:
        encoder.prepare({"surname": surnames.values, "dob": dates.values})
        answers = encoder.encode(pair_ids, rows, context="run 7f3a: corrections, housing")
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.agreement import Manifest
from linkage.answers import FIELD_BITS, FIELD_WORDS, HASHES, PAIR_ID_BYTES, Answers
from linkage.encoding.pairkernel import Scratch, encode_pairs
from linkage.encoding.pairlists import Prepared, prepare
from linkage.encoding.prf import SECRET_BYTES, derive_key, forget, namespace_of
from linkage.errors import InputError, InvalidRequestError, StateError

SCHEME = "pairwise-v1"
BLOCK_PAIRS = 4096

Objects = npt.NDArray[np.object_]
Bools = npt.NDArray[np.bool_]


class PairwiseEncoder:
    """Encodes records for single pairs. Not for use by two threads at once.

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

        def derived(purpose: str, namespace: str) -> bytearray:
            return derive_key(
                secret,
                scheme=SCHEME,
                parameters=f"bits={FIELD_BITS},hashes={HASHES}",
                project=manifest.project,
                epoch=epoch,
                match_key=purpose,
                namespace=namespace,
            )

        self._fields = manifest.fields
        self._token_keys = {
            namespace: derived("token", namespace)
            for namespace in sorted({namespace_of(field) for field in manifest.fields})
        }
        self._pair_key = derived("pair", "")
        self._prepared: Prepared | None = None
        self._closed = False

    def __enter__(self) -> PairwiseEncoder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Overwrite keys and tokens; the encoder can't be used afterwards."""
        for key in (self._pair_key, *self._token_keys.values()):
            forget(key)
        self._drop()
        self._closed = True

    def _drop(self) -> None:
        if self._prepared is not None:
            self._prepared.wipe()
        self._prepared = None

    def prepare(self, columns: Mapping[str, Objects]) -> None:
        """Cut records into tokens, instead of any prepared before.

        Args:
            columns: per field of the manifest a (rows,) object array of normalised values,
                None where missing.

        Raises:
            InputError: a column is absent, unknown, of another length, or holds what the
                normaliser does not give.
            StateError: the encoder is closed.
        """
        if self._closed:
            raise StateError("the encoder is closed")
        self._drop()
        self._prepared = prepare(self._fields, self._token_keys, columns)

    def encode(
        self,
        pair_ids: npt.NDArray[np.uint8],
        rows: npt.NDArray[np.int64],
        *,
        context: str,
        threads: int = 1,
    ) -> Answers:
        """Encode one record for each pair.

        A caller that answers a list in pieces must see itself that no pair id stands in two.

        Args:
            pair_ids: (pairs, 16) uint8, all different.
            rows: (pairs,) int64, which of the prepared records stands in each pair.
            context: what the pair ids belong to, agreed by both sides: the run and the two
                partners. The same ids in another context give independent bits.
            threads: how many threads work; the result is the same.

        Raises:
            InputError: there is no context.
            InvalidRequestError: pair ids or rows of another shape, repeated or unknown.
            StateError: the encoder is closed or has no records.
        """
        if self._closed:
            raise StateError("the encoder is closed")
        prepared = self._prepared
        if prepared is None:
            raise StateError("no records are prepared")
        if not context:
            raise InputError("pair ids need a context")
        _check(pair_ids, rows, len(prepared.lengths))
        ids = np.ascontiguousarray(pair_ids).view("<u4").astype(np.uint32)
        raw = hmac.digest(self._pair_key, context.encode(), "sha256")
        root = np.frombuffer(raw, dtype="<u4").astype(np.uint32)
        words = np.zeros((len(rows), len(self._fields), FIELD_WORDS), dtype=np.uint64)

        def work(start: int) -> None:
            block = slice(start, start + BLOCK_PAIRS)
            longest = int(prepared.lengths[rows[block]].max())
            scratch = Scratch.of(len(rows[block]), longest)
            try:
                encode_pairs(root, ids[block], rows[block], prepared.lists, scratch, words[block])
            finally:
                scratch.wipe()

        try:
            starts = range(0, len(rows), BLOCK_PAIRS)
            if threads > 1:
                with ThreadPoolExecutor(threads) as pool:
                    list(pool.map(work, starts))
            else:
                for start in starts:
                    work(start)
        finally:
            root.fill(0)
        codes = prepared.lists.codes[rows]
        present = codes >= 0
        initial = np.zeros_like(present)
        initial[present] = prepared.initial[codes[present]]
        frequency = np.zeros(present.shape, dtype=np.uint8)
        frequency[present] = prepared.frequency[codes[present]]
        return Answers(words, present, initial, frequency)


def _check(pair_ids: npt.NDArray[Any], rows: npt.NDArray[Any], known: int) -> None:
    """Refuse pairs that are not well formed, repeated, or of rows that are not there."""
    if pair_ids.dtype != np.uint8 or pair_ids.shape[1:] != (PAIR_ID_BYTES,):
        raise InvalidRequestError(f"pair ids are not {PAIR_ID_BYTES} bytes each")
    if rows.dtype != np.int64 or rows.shape != pair_ids.shape[:1]:
        raise InvalidRequestError("pair ids and rows are not equally many")
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < known:
        raise InvalidRequestError("a pair names a row that is not there")
    halves = np.ascontiguousarray(pair_ids).view(np.uint64)
    if len(np.unique(halves[:, 0])) < len(rows) and len(np.unique(halves, axis=0)) < len(rows):
        raise InvalidRequestError("a pair id is repeated")
