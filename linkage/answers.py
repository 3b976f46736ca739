"""The pair-keyed comparison round as bytes: what the hub asks, and what an agent answers.

    requests   entries x 20 bytes: pair id (16 bytes), row number in the upload (uint32)
    answers    entries x fields x 33 bytes: for each entry, in the order of the requests,
               fields x 4 uint64 words, then fields x 1 flag byte

- Everything is little-endian. Entries ascend by pair id, byte by byte, so that a repeated one
  stands beside its twin; pair ids are random, so that the order says nothing.
- In a list between two files an id stands once. Within one file the two rows of a pair stand under
  one id, the smaller first; an id that stands once is a dummy.
- The number of entries and fields alone fixes both sizes.

    requests = Requests.from_bytes(data)
    answers = Answers.from_bytes(data, fields=8)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from linkage.errors import InvalidRequestError, QuotaError

PAIR_ID_BYTES = 16
REQUEST_BYTES = PAIR_ID_BYTES + 4
FIELD_BITS = 256
FIELD_WORDS = FIELD_BITS // 64
HASHES = 3
"""Majorities whose XOR is one bit of a field."""
FIELD_BYTES = 8 * FIELD_WORDS + 1

_REQUEST = np.dtype([("pair_id", "u1", PAIR_ID_BYTES), ("row", "<u4")])
_PRESENT, _INITIAL, _FREQUENCY_SHIFT = 1, 2, 2
_ALL_FLAGS = _PRESENT | _INITIAL | (3 << _FREQUENCY_SHIFT)


def differing(cosine: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The share of bits in which two answers about one pair differ, in expectation.

    Args:
        cosine: of the two values' lists of tokens, taken as vectors of token counts.

    A majority of both sides differs by the angle over pi (Charikar 2002, "Similarity estimation
    techniques from rounding algorithms"); correlations of independent bits multiply under XOR.
    """
    correlation = 1 - 2 * np.arccos(np.clip(cosine, -1, 1)) / np.pi
    found: npt.NDArray[np.float64] = (1 - correlation**HASHES) / 2
    return found


@dataclass(frozen=True)
class Requests:
    """Which rows an agent is to encode for which pairs.

    Attributes:
        pair_ids: (entries, 16) uint8, ascending.
        rows: (entries,) int64 row numbers in the agent's upload.
    """

    pair_ids: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def to_bytes(self) -> bytes:
        out = np.empty(len(self), _REQUEST)
        out["pair_id"], out["row"] = self.pair_ids, self.rows
        return out.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Requests:
        """Raises InvalidRequestError when the size is that of no whole number of entries."""
        if len(data) % REQUEST_BYTES:
            raise InvalidRequestError(f"requests are not {REQUEST_BYTES} bytes each")
        found = np.frombuffer(data, _REQUEST)
        return cls(np.ascontiguousarray(found["pair_id"]), found["row"].astype(np.int64))


def verify_quota(requests: Requests, rows: int, *, quota: int, within: bool) -> None:
    """Refuse a list that asks about any row more or less often than was agreed.

    Args:
        rows: of the upload that the list is about.
        within: the list holds pairs of rows of that one upload.

    Raises:
        QuotaError: the list has not exactly `quota` entries for each row, names a row that is not
            there, repeats a pair, or is not in order.
    """
    asked, ids = requests.rows, requests.pair_ids.reshape(-1, PAIR_ID_BYTES)
    if len(asked) != rows * quota or len(ids) != len(asked):
        _refuse(f"it has {len(asked)} entries, not {quota} for each of {rows} rows")
    if len(asked) and not 0 <= int(asked.min()) <= int(asked.max()) < rows:
        _refuse("it names a row that is not in the upload")
    if (np.bincount(asked, minlength=rows) != quota).any():
        _refuse(f"a row does not stand exactly {quota} times")
    high, low = np.ascontiguousarray(ids).view(">u8").reshape(-1, 2).T
    same = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    if not (same | (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] > low[:-1]))).all():
        _refuse("its pairs are not in ascending order")
    if not within and same.any():
        _refuse("a pair stands more than once")
    if (same[1:] & same[:-1]).any():
        _refuse("a pair stands more than twice")
    if (asked[1:][same] <= asked[:-1][same]).any():
        _refuse("a pair is of a row with itself, or its rows are not in order")


def _refuse(why: str) -> NoReturn:
    raise QuotaError(
        f"the hub's list of pairs breaks the quota: {why}",
        remedy="Nothing was answered. Tell the steward and the other partners",
    )


@dataclass(frozen=True)
class Answers:
    """One side of some pairs, field by field in the manifest's order.

    Attributes:
        words: (pairs, fields, 4) uint64; bit j of a field is bit j % 64 of word j // 64.
        present: (pairs, fields) bool.
        initial: (pairs, fields) bool; a name of a single letter.
        frequency: (pairs, fields) uint8: 0 not said, 1 common, 2 medium, 3 rare.
    """

    words: npt.NDArray[np.uint64]
    present: npt.NDArray[np.bool_]
    initial: npt.NDArray[np.bool_]
    frequency: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.words)

    def take(self, index: npt.NDArray[np.intp] | slice) -> Answers:
        """The answers chosen by an index."""
        return Answers(
            self.words[index], self.present[index], self.initial[index], self.frequency[index]
        )

    @staticmethod
    def joined(parts: Sequence[Answers]) -> Answers:
        """Several answers, one after another."""
        return Answers(
            np.concatenate([part.words for part in parts]),
            np.concatenate([part.present for part in parts]),
            np.concatenate([part.initial for part in parts]),
            np.concatenate([part.frequency for part in parts]),
        )

    def to_bytes(self) -> bytes:
        out = np.empty(len(self), _answer(self.words.shape[1]))
        out["words"] = self.words
        out["flags"] = (
            self.present * np.uint8(_PRESENT)
            | self.initial * np.uint8(_INITIAL)
            | self.frequency << np.uint8(_FREQUENCY_SHIFT)
        )
        return out.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, *, fields: int) -> Answers:
        """Read answers.

        Raises:
            InvalidRequestError: a size of no whole number of answers, an unknown flag, or a
                missing field that is not all zeros.
        """
        dtype = _answer(fields)
        if len(data) % dtype.itemsize:
            raise InvalidRequestError(f"answers are not {dtype.itemsize} bytes each")
        found = np.frombuffer(data, dtype)
        flags = found["flags"]
        present = (flags & _PRESENT).astype(np.bool_)
        words = found["words"].astype(np.uint64)
        if (flags & ~np.uint8(_ALL_FLAGS)).any():
            raise InvalidRequestError("an answer has an unknown flag")
        if flags[~present].any() or words[~present].any():
            raise InvalidRequestError("an answer says something of a missing field")
        return cls(
            words,
            present,
            (flags & _INITIAL).astype(np.bool_),
            (flags >> np.uint8(_FREQUENCY_SHIFT)) & np.uint8(3),
        )


def answer_bytes(fields: int) -> int:
    """Bytes of one answer."""
    return fields * FIELD_BYTES


def _answer(fields: int) -> np.dtype[np.void]:
    return np.dtype([("words", "<u8", (fields, FIELD_WORDS)), ("flags", "u1", (fields,))])
