"""`minhash-v1`: keyed MinHash of conjunctions, one bit of a keyed hash of each.

Byte by byte in `docs/reference/minhash-v1.md`; why, in ADR 31 and `docs/explanation/privacy.md`.

- The fields of a match key fall into parts: all names together, each other field alone. For output
  bit j some tokens are chosen of the names and of the address, each the least in a keyed order of
  its own; of any other part all tokens count. Bit j is one bit of HalfSipHash, under a key of its
  own, of the chosen tokens' ranks and of the sum of the other parts' tokens.
- Two records agree in a bit for certain where all choices agree and the other parts are equal, else
  by a coin's toss: the correlation is the product over names and address of their tokens' Jaccard
  likeness, to the power of how many were chosen. So people who share a surname, a year or an
  address, but not the rest, are as strangers.
- Of what is chosen from multiplicity does not count; the heavier of two tokens is the likelier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, uint32

from linkage.agreement import FieldType, IdentifierField, Minhash
from linkage.encoding.prf import expand_tokens, namespace_of

DOMAIN = b"linkage/minhash-v1/token\0"
_KEY_BYTES = 8
ALL = 0
"""Of a part that must be equal: every token counts, none is chosen."""


@dataclass(frozen=True)
class MinhashScheme:
    """How `minhash-v1` uses the encoder's tables: per token some ranks of one byte for each bit.

    Attributes:
        choices: how many tokens are chosen of each part, in order of the parts' namespaces; `ALL`
            of parts that must be equal.
    """

    settings: Minhash
    choices: tuple[int, ...]

    @classmethod
    def of(cls, settings: Minhash, fields: Sequence[IdentifierField]) -> MinhashScheme:
        """The scheme for a match key of these fields."""
        found: dict[str, int] = {}
        for field in fields:
            namespace = namespace_of(field)
            found[namespace] = found.get(namespace, 0) + _choices(field.type, settings.hashes)
        return cls(settings, tuple(found[namespace] for namespace in sorted(found)))

    @property
    def row_words(self) -> int:
        return max(self.settings.bits * max(self.choices) // 8, 1)

    @property
    def parameters(self) -> str:
        return f"bits={self.settings.bits},hashes={self.settings.hashes}"

    def table_weight(self, weight: int) -> int:
        """A heavier token draws more ranks, of which the least counts."""
        return weight

    def repeats(self, weight: int) -> int:
        return 1

    def reserved_rows(self, tie_key: bytearray) -> npt.NDArray[np.uint64]:
        """What stands before the tokens: the hash keys of the bits, filled up with zeros."""
        keys = expand_tokens(DOMAIN, tie_key, [b""], 8 * _KEY_BYTES * self.settings.bits)
        rows = -(-keys.size // self.row_words)
        out = np.zeros((rows, self.row_words), np.uint64)
        out.reshape(-1)[: keys.size] = keys.reshape(-1)
        return out

    def rows(
        self, key: bytearray, tokens: list[bytes], table_weight: int
    ) -> npt.NDArray[np.uint64]:
        drawn = expand_tokens(DOMAIN, key, tokens, 64 * self.row_words * table_weight)
        ranks = drawn.view(np.uint8).reshape(len(tokens), table_weight, 8 * self.row_words)
        return np.ascontiguousarray(ranks.min(axis=1)).view(np.uint64)

    def combine(
        self,
        table: npt.NDArray[np.uint64],
        parts: npt.NDArray[np.int32],
        bounds: npt.NDArray[np.int64],
        tokens: npt.NDArray[np.int32],
        out: npt.NDArray[np.uint64],
    ) -> None:
        keys = table.reshape(-1)[: self.settings.bits].view(np.uint32)
        flat = table.reshape(-1).view(np.uint8)
        hash_rows(flat, keys, parts, np.array(self.choices, np.int32), bounds, tokens, out)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def hash_rows(
    table: npt.NDArray[np.uint8],
    keys: npt.NDArray[np.uint32],
    parts: npt.NDArray[np.int32],
    choices: npt.NDArray[np.int32],
    bounds: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.int32],
    out: npt.NDArray[np.uint64],
) -> None:
    """Encode records from their tokens' ranks.

    Args:
        table: flat uint8, of each row as many ranks as the largest of `choices` x bits, but
            eight at least.
        keys: (2 x bits,) uint32: of each bit the low and the high word of its key.
        parts: (rows,) int32, which part each row's token is of.
        choices: (parts,) int32, how many tokens of each part are chosen for each bit, or `ALL`.
        bounds: (records + 1,) int64; record i has tokens[bounds[i] : bounds[i + 1]], part after
            part; with none the record is skipped.
        tokens: int32, table rows.
        out: (records, bits / 64) uint64, overwritten where a record has tokens.
    """
    bits = np.uint64(len(keys) // 2)
    row_width = max(np.uint64(choices.max()) * bits, np.uint64(8))
    least = np.empty(row_width, np.uint8)
    state = np.empty(np.uint64(4) * bits, np.uint32)
    words = table.view(np.uint64)
    must_equal = choices.min() == ALL
    for record in range(len(out)):
        start, end = bounds[record], bounds[record + 1]
        if start == end:
            continue
        _begin(keys, bits, state)
        absorbed = 0
        total = np.uint64(0)
        while start < end:
            part = parts[tokens[start]]
            count = choices[part]
            if count == ALL:
                total += words[np.uint64(tokens[start]) * row_width // np.uint64(8)]
                start += 1
                continue
            width = np.uint64(count) * bits
            for x in range(width):
                least[x] = np.uint8(255)
            while start < end and parts[tokens[start]] == part:
                row = np.uint64(tokens[start]) * row_width
                for x in range(width):
                    least[x] = min(least[x], table[row + x])
                start += 1
            for first in range(0, count, 4):
                _absorb(least, first, min(4, count - first), bits, state)
                absorbed += 4
        if must_equal:
            for half in (total & np.uint64(0xFFFF_FFFF), total >> np.uint64(32)):
                _take_in(np.full(bits, uint32(half), np.uint32), bits, state)
            absorbed += 8
        _finish(bits, absorbed, state, out[record])


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _turned(value: uint32, by: int) -> uint32:
    return uint32((value << uint32(by)) | (value >> uint32(32 - by)))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _round(v0: uint32, v1: uint32, v2: uint32, v3: uint32) -> tuple[uint32, uint32, uint32, uint32]:
    """One round of HalfSipHash (Aumasson)."""
    v0 = uint32(v0 + v1)
    v1 = uint32(_turned(v1, 5) ^ v0)
    v0 = _turned(v0, 16)
    v2 = uint32(v2 + v3)
    v3 = uint32(_turned(v3, 8) ^ v2)
    v0 = uint32(v0 + v3)
    v3 = uint32(_turned(v3, 7) ^ v0)
    v2 = uint32(v2 + v1)
    v1 = uint32(_turned(v1, 13) ^ v2)
    v2 = _turned(v2, 16)
    return v0, v1, v2, v3


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _begin(keys: npt.NDArray[np.uint32], bits: np.uint64, state: npt.NDArray[np.uint32]) -> None:
    one, two, three = bits, np.uint64(2) * bits, np.uint64(3) * bits
    for j in range(bits):
        low, high = keys[np.uint64(2) * j], keys[np.uint64(2) * j + np.uint64(1)]
        state[j], state[one + j] = low, high
        state[two + j] = low ^ uint32(0x6C796765)
        state[three + j] = high ^ uint32(0x74656462)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _absorb(
    least: npt.NDArray[np.uint8],
    first: int,
    count: int,
    bits: np.uint64,
    state: npt.NDArray[np.uint32],
) -> None:
    """Take in one word of every bit's message: up to four ranks."""
    word = np.zeros(bits, np.uint32)
    for b in range(count):
        at = np.uint64(first + b) * bits
        shift = uint32(8 * b)
        for j in range(bits):
            word[j] |= uint32(least[at + j]) << shift
    _take_in(word, bits, state)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _take_in(word: npt.NDArray[np.uint32], bits: np.uint64, state: npt.NDArray[np.uint32]) -> None:
    """One step of every bit's hash."""
    one, two, three = bits, np.uint64(2) * bits, np.uint64(3) * bits
    for j in range(bits):
        v0, v1, v2 = state[j], state[one + j], state[two + j]
        v3 = uint32(state[three + j] ^ word[j])
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        state[j], state[one + j] = v0 ^ word[j], v1
        state[two + j], state[three + j] = v2, v3


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _finish(
    bits: np.uint64, length: int, state: npt.NDArray[np.uint32], out: npt.NDArray[np.uint64]
) -> None:
    one, two, three = bits, np.uint64(2) * bits, np.uint64(3) * bits
    last = uint32(length) << uint32(24)
    for j in range(bits):
        v0, v1, v2 = state[j], state[one + j], state[two + j]
        v3 = uint32(state[three + j] ^ last)
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0, v2 = uint32(v0 ^ last), uint32(v2 ^ uint32(0xFF))
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        state[j] = (v1 ^ v3) & uint32(1)
    for w in range(len(out)):
        packed = np.uint64(0)
        for b in range(64):
            packed |= np.uint64(state[64 * w + b]) << np.uint64(b)
        out[w] = packed


def _choices(kind: FieldType, hashes: int) -> int:
    """How many tokens are chosen of a field.

    Names are misheard, and different names are alike in few tokens. Digits are alike by chance:
    most telephones of a place share three, many birth dates half of theirs.
    """
    if kind is FieldType.FULL_NAME:
        return 2 * hashes
    if kind.is_name:
        return hashes
    return 3 * hashes if kind is FieldType.ADDRESS else ALL
