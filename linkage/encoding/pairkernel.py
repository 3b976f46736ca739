"""Kernels of `pairwise-v1`: ChaCha20 blocks side by side, and the signs of sums of tokens.

- Of every token one block of key stream for each of the hashes whose XOR a bit is.
- `chacha20_blocks` is the block function of RFC 8439; many inputs under one key are worked on in
  step, one to a vector lane.
- Compiled once and cached on disk; they release the interpreter lock and keep nothing.
- Scratch memory comes from the caller, who overwrites it: it holds pair keys and token weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint32

from linkage.answers import FIELD_BITS, FIELD_WORDS, HASHES

_LANES = 16  # inputs are filled up to this many, so that no lane is worked on alone
_BLOCK_WORDS = 16  # of key stream per token and hash: 256 weights of two bits
_RUN = 42  # tokens whose two bits add up in seven
_Words = npt.NDArray[np.uint32]
_State = tuple[uint32, ...]


class Lists(NamedTuple):
    """The tokens of prepared records.

    Attributes:
        codes: (rows, fields) int32, the number of the value; negative where missing.
        offsets: (values + 1,) int64; value v has numbers[offsets[v] : offsets[v + 1]].
        numbers: int32 token numbers.
        nonces: (tokens, 3) uint32, in ascending order, see `docs/reference/pairwise-v1.md`.
    """

    codes: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int32]
    nonces: _Words


class Scratch(NamedTuple):
    """Working memory of `encode_pairs`; it holds secrets."""

    inputs: _Words
    stream: _Words
    keys: _Words
    sums: _Words

    @classmethod
    def of(cls, pairs: int, tokens: int) -> Scratch:
        """Enough for so many pairs at once and records of so many tokens."""
        tiles = tiles_of(max(pairs, HASHES * tokens))
        return cls(
            np.zeros(tiles * 4 * _LANES, np.uint32),
            np.zeros(tiles * 16 * _LANES, np.uint32),
            np.zeros((pairs, 8), np.uint32),
            np.zeros(_BLOCK_WORDS * 22, np.uint32),
        )

    def wipe(self) -> None:
        for part in self:
            part.fill(0)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def tiles_of(count: int) -> int:
    return -(-count // _LANES)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _input(lane: int, word: int) -> np.uint64:
    """Where a word of a lane's input stands."""
    i = np.uint64(lane)
    return (i >> np.uint64(4) << np.uint64(6)) + (i & np.uint64(15)) + np.uint64(_LANES * word)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _output(lane: int, word: int) -> np.uint64:
    """Where a word of a lane's block stands."""
    i = np.uint64(lane)
    return (i >> np.uint64(4) << np.uint64(8)) + (i & np.uint64(15)) + np.uint64(_LANES * word)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _quarter(a: uint32, b: uint32, c: uint32, d: uint32) -> _State:
    a = uint32(a + b)
    d = uint32(d ^ a)
    d = uint32((d << uint32(16)) | (d >> uint32(16)))
    c = uint32(c + d)
    b = uint32(b ^ c)
    b = uint32((b << uint32(12)) | (b >> uint32(20)))
    a = uint32(a + b)
    d = uint32(d ^ a)
    d = uint32((d << uint32(8)) | (d >> uint32(24)))
    c = uint32(c + d)
    b = uint32(b ^ c)
    b = uint32((b << uint32(7)) | (b >> uint32(25)))
    return a, b, c, d


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _double_round(s: _State) -> _State:
    a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3 = s
    a0, b0, c0, d0 = _quarter(a0, b0, c0, d0)
    a1, b1, c1, d1 = _quarter(a1, b1, c1, d1)
    a2, b2, c2, d2 = _quarter(a2, b2, c2, d2)
    a3, b3, c3, d3 = _quarter(a3, b3, c3, d3)
    a0, b1, c2, d3 = _quarter(a0, b1, c2, d3)
    a1, b2, c3, d0 = _quarter(a1, b2, c3, d0)
    a2, b3, c0, d1 = _quarter(a2, b3, c0, d1)
    a3, b0, c1, d2 = _quarter(a3, b0, c1, d2)
    return a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def chacha20_blocks(key: _Words, inputs: _Words, tiles: int, out: _Words) -> None:
    """The ChaCha20 block function of many inputs under one key.

    Rounds are written out, and words of one lane lie a constant 16 apart: only then does LLVM
    vectorise.

    Args:
        key: (8,) uint32.
        inputs: (at least tiles x 4 x 16,) uint32: of each tile the 16 block counters, then the
            first, second and third words of the 16 nonces.
        out: (at least tiles x 16 x 16,) uint32: of each tile the first words of its 16 blocks,
            then the second ones, and so on.
    """
    k0, k1, k2, k3 = key[0], key[1], key[2], key[3]
    k4, k5, k6, k7 = key[4], key[5], key[6], key[7]
    c0, c1, c2, c3 = uint32(0x61707865), uint32(0x3320646E), uint32(0x79622D32), uint32(0x6B206574)
    for tile in range(tiles):
        here = inputs[64 * tile : 64 * tile + 64]
        to = out[256 * tile : 256 * tile + 256]
        for i in range(_LANES):
            i0, i1, i2, i3 = here[i], here[i + 16], here[i + 32], here[i + 48]
            s = (c0, c1, c2, c3, k0, k1, k2, k3, k4, k5, k6, k7, i0, i1, i2, i3)
            s = _double_round(_double_round(_double_round(_double_round(_double_round(s)))))
            s = _double_round(_double_round(_double_round(_double_round(_double_round(s)))))
            to[i], to[i + 16], to[i + 32], to[i + 48] = s[0] + c0, s[1] + c1, s[2] + c2, s[3] + c3
            to[i + 64], to[i + 80] = s[4] + k0, s[5] + k1
            to[i + 96], to[i + 112] = s[6] + k2, s[7] + k3
            to[i + 128], to[i + 144] = s[8] + k4, s[9] + k5
            to[i + 160], to[i + 176] = s[10] + k6, s[11] + k7
            to[i + 192], to[i + 208] = s[12] + i0, s[13] + i1
            to[i + 224], to[i + 240] = s[14] + i2, s[15] + i3


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def encode_pairs(
    root: _Words,
    pair_ids: _Words,
    rows: npt.NDArray[np.int64],
    lists: Lists,
    scratch: Scratch,
    out: npt.NDArray[np.uint64],
) -> None:
    """Encode one record for each pair, field by field, under the key of that pair.

    Args:
        root: (8,) uint32, the key from which pair keys are drawn.
        pair_ids: (pairs, 4) uint32.
        rows: (pairs,) int64, the record of each pair.
        scratch: made for as many pairs, and for the longest record.
        out: (pairs, fields, 4) uint64; untouched where a field is missing.
    """
    codes, offsets, numbers, nonces = lists
    inputs, stream, keys, sums = scratch
    pairs, fields = len(rows), codes.shape[1]
    _draw_keys(root, pair_ids, inputs, stream, keys)
    for i in range(pairs):
        lane = 0
        for f in range(fields):
            value = codes[rows[i], f]
            if value >= 0:
                for t in range(offsets[value], offsets[value + 1]):
                    for k in range(HASHES):
                        inputs[_input(lane, 0)] = k
                        for w in range(3):
                            inputs[_input(lane, w + 1)] = nonces[numbers[t], w]
                        lane += 1
        chacha20_blocks(keys[i], inputs, tiles_of(lane), stream)
        lane = 0
        for f in range(fields):
            value = codes[rows[i], f]
            if value >= 0:
                start, end = offsets[value], offsets[value + 1]
                for w in range(FIELD_WORDS):
                    out[i, f, w] = 0
                for k in range(HASHES):
                    _signs(numbers, start, end - start, stream, lane + k, sums)
                    for w in range(FIELD_WORDS):
                        out[i, f, w] ^= _packed(sums, w)
                lane += HASHES * (end - start)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _draw_keys(
    root: _Words, pair_ids: _Words, inputs: _Words, stream: _Words, keys: _Words
) -> None:
    """The first half of the block of each pair id is its key."""
    for i in range(len(pair_ids)):
        for w in range(4):
            inputs[_input(i, w)] = pair_ids[i, w]
    chacha20_blocks(root, inputs, tiles_of(len(pair_ids)), stream)
    for i in range(len(pair_ids)):
        for w in range(8):
            keys[i, w] = stream[_output(i, w)]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _signs(  # noqa: PLR0912 (loops over constant distances, written for the compiler)
    numbers: npt.NDArray[np.int32],
    first: int,
    count: int,
    stream: _Words,
    lane: int,
    work: _Words,
) -> None:
    """The 256 signs of the sums of the tokens' weights for one hash, sixteen to a word of `work`.

    Args:
        numbers: of tokens; those of the value are numbers[first : first + count].
        stream: the first token's block for this hash is lane `lane`; those of the others follow
            `HASHES` lanes apart.
        work: scratch, as long as `Scratch.of` makes it.
    """
    # One array with constant distances inside: only then does LLVM vectorise without checks.
    width, zero = np.uint64(_BLOCK_WORDS), uint32(0)
    least_one, bytewise, sums = width, np.uint64(2) * width, np.uint64(6) * width
    least = 0
    for t in range(1, count):
        if numbers[first + t] < numbers[first + least]:
            least = t
    # A weight 2u - 3 is odd: the sum of n of them is zero only where n is even, and then the
    # least token decides.
    threshold, tie = 3 * count // 2, uint32(1 - count % 2)
    one = _output(lane + HASHES * least, 0)
    for w in range(width):
        work[least_one + w] = stream[one + width * w]
    if count <= _RUN:
        _add_up(stream, lane, 0, count, work)
        bias = uint32(127 - threshold) * uint32(0x01010101)
        for w in range(width):
            work[w] = zero
        for c in range(4):
            place, shift = bytewise + width * np.uint64(c), uint32(c)
            for w in range(width):
                high = (work[least_one + w] >> (shift + shift + uint32(1))) & uint32(0x01010101)
                above = (work[place + w] + high * tie + bias) >> uint32(7)
                work[w] |= (above & uint32(0x01010101)) << shift
        for w in range(width):
            nibbles = work[w] | (work[w] >> uint32(4))
            work[w] = (nibbles & uint32(0xFF)) | ((nibbles >> uint32(8)) & uint32(0xFF00))
        return
    for i in range(np.uint64(FIELD_BITS)):
        work[sums + i] = zero
    for start in range(0, count, _RUN):
        _add_up(stream, lane, start, min(start + _RUN, count), work)
        for s in range(16):
            here, place = bytewise + width * np.uint64(s % 4), sums + width * np.uint64(s)
            shift = uint32(8 * (s // 4))
            for w in range(width):
                work[place + w] += (work[here + w] >> shift) & uint32(255)
    for w in range(width):
        work[w] = zero
    for s in range(16):
        shift, place = uint32(s), sums + width * np.uint64(s)
        for w in range(width):
            high = (work[least_one + w] >> (shift + shift + uint32(1))) & tie
            work[w] |= uint32(work[place + w] + high > threshold) << shift


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _add_up(stream: _Words, lane: int, start: int, end: int, work: _Words) -> None:
    """The two-bit numbers of some tokens, added up in the four byte-wise blocks of `work`."""
    width, low = np.uint64(_BLOCK_WORDS), uint32(0x03030303)
    first, second = np.uint64(2) * width, np.uint64(3) * width
    third, fourth = np.uint64(4) * width, np.uint64(5) * width
    for i in range(np.uint64(4) * width):
        work[first + i] = uint32(0)
    for t in range(start, end):
        one = _output(lane + HASHES * t, 0)
        for w in range(width):
            word = stream[one + width * w]
            work[first + w] += word & low
            work[second + w] += (word >> uint32(2)) & low
            work[third + w] += (word >> uint32(4)) & low
            work[fourth + w] += (word >> uint32(6)) & low


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _packed(work: _Words, w: int) -> np.uint64:
    """A word of what `_signs` left."""
    packed = np.uint64(0)
    for part in range(4):
        packed |= np.uint64(work[np.uint64(4 * w + part)]) << np.uint64(16 * part)
    return packed
