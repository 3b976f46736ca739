"""Which positions of a filter a token sets, as clkhash draws them, and the kernels that set them.

- Positions are drawn once for a token, and kept until `clear` or `forget`.
- Where clkhash follows the machine's byte order, it is little here on every machine.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.agreement.linkage_features import BlakeHash, DoubleHash

_SHORTS = 32  # positions in one BLAKE2b digest

Words = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]


@dataclass
class BlakePositions:
    """Positions are the 16-bit pieces of BLAKE2b(token, key, salt = "0", "1", ...) modulo bits.

    A token's pieces are kept as far as they were ever needed; where more are needed later they
    are made anew behind all others.
    """

    key: bytearray
    bits: int
    drawn: Numbers = field(default_factory=lambda: np.zeros(0, np.int32))
    at: Codes = field(default_factory=lambda: np.zeros(0, np.int64))
    pieces: npt.NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, np.uint16))
    used: int = 0

    def clear(self) -> None:
        self.drawn, self.at = np.zeros(0, np.int32), np.zeros(0, np.int64)
        self.used = 0

    def forget(self) -> None:
        self.pieces[:] = 0
        self.clear()

    def fill(
        self, tokens: list[bytes], numbers: Numbers, draws: Numbers, offsets: Codes, out: Words
    ) -> None:
        """Set the positions of each value's tokens in its row of `out`."""
        grown = len(tokens) - len(self.drawn)
        self.drawn = np.concatenate([self.drawn, np.zeros(grown, np.int32)])
        self.at = np.concatenate([self.at, np.zeros(grown, np.int64)])
        needed = np.zeros(len(tokens), dtype=np.int32)
        np.maximum.at(needed, numbers, draws)
        short = np.flatnonzero(needed > self.drawn)
        self._draw(tokens, short, -(-needed[short].astype(np.int64) // _SHORTS))
        mask = np.uint64(self.bits - 1)
        set_pieces(self.pieces, self.at, numbers, draws, offsets, mask, out)

    def _draw(self, tokens: list[bytes], which: Codes, macs: Codes) -> None:
        key, hashed = bytes(self.key), hashlib.blake2b
        salts = [str(i).encode() for i in range(int(macs.max(initial=0)))]
        raw = b"".join(
            [
                hashed(tokens[i], key=key, salt=salts[s]).digest()
                for i, count in zip(which.tolist(), macs.tolist(), strict=True)
                for s in range(count)
            ]
        )
        made = np.frombuffer(raw, dtype="<u2")
        if self.used + len(made) > len(self.pieces):
            grown = np.zeros(max(2 * len(self.pieces), self.used + len(made)), dtype=np.uint16)
            grown[: self.used] = self.pieces[: self.used]
            self.pieces = grown
        self.pieces[self.used : self.used + len(made)] = made
        self.drawn[which] = macs * _SHORTS
        self.at[which] = self.used + (np.cumsum(macs) - macs) * _SHORTS
        self.used += len(made)


class DoublePositions:
    """Position i is (HMAC-SHA1(token) + i x HMAC-MD5(token)) modulo bits, both big-endian.

    With `prevent_singularity` a step of 0 is replaced by HMAC-MD5 of the token and a character
    U+0000, U+0001, ... until it is not 0.
    """

    def __init__(self, keys: tuple[bytearray, bytearray], bits: int, how: DoubleHash) -> None:
        self._keys = keys
        self._bits = bits
        self._singular = not how.prevent_singularity
        self.clear()

    def clear(self) -> None:
        self._starts = np.zeros(0, dtype=np.int64)
        self._steps = np.zeros(0, dtype=np.int64)

    def forget(self) -> None:
        self._starts[:] = 0
        self._steps[:] = 0
        self.clear()

    def fill(
        self, tokens: list[bytes], numbers: Numbers, draws: Numbers, offsets: Codes, out: Words
    ) -> None:
        """Set the positions of each value's tokens in its row of `out`."""
        new = tokens[len(self._starts) :]
        starts, steps = (bytes(key) for key in self._keys)
        first = self._residues([hmac.digest(starts, token, "sha1") for token in new], 5)
        second = self._residues([hmac.digest(steps, token, "md5") for token in new], 4)
        if not self._singular:
            for i in np.flatnonzero(second == 0).tolist():
                second[i] = self._step(steps, new[i])
        self._starts = np.concatenate([self._starts, first])
        self._steps = np.concatenate([self._steps, second])
        set_steps(self._starts, self._steps, numbers, draws, offsets, self._bits, out)

    def _residues(self, digests: list[bytes], parts: int) -> Codes:
        words = np.frombuffer(b"".join(digests), dtype=">u4").reshape(len(digests), parts)
        rest = np.zeros(len(digests), dtype=np.int64)
        for part in words.T.astype(np.int64):
            rest = (rest << 32 | part) % self._bits
        return rest

    def _step(self, key: bytes, token: bytes) -> int:
        step = i = 0
        while step == 0:
            digest = hmac.digest(key, token + chr(i).encode(), "md5")
            step = int.from_bytes(digest, "big") % self._bits
            i += 1
        return step


def positions(
    how: BlakeHash | DoubleHash, keys: tuple[bytearray, bytearray], bits: int
) -> BlakePositions | DoublePositions:
    """What draws positions below `bits` for tokens of a feature with these keys."""
    if isinstance(how, BlakeHash):
        return BlakePositions(keys[0], bits)
    return DoublePositions(keys, bits, how)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def set_pieces(
    pieces: npt.NDArray[np.uint16],
    at: Codes,
    numbers: Numbers,
    draws: Numbers,
    offsets: Codes,
    mask: np.uint64,
    out: Words,
) -> None:
    """Set in row v of `out` the first draws[i] pieces of token numbers[i], for all of v's i."""
    for value in range(len(out)):
        for i in range(offsets[value], offsets[value + 1]):
            start = at[numbers[i]]
            for piece in range(start, start + draws[i]):
                position = np.uint64(pieces[piece]) & mask
                out[value, position >> np.uint64(6)] |= np.uint64(1) << (position & np.uint64(63))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def set_steps(
    starts: Codes,
    steps: Codes,
    numbers: Numbers,
    draws: Numbers,
    offsets: Codes,
    bits: int,
    out: Words,
) -> None:
    """Set in row v of `out` draws[i] positions, one step from another, of each token of v."""
    for value in range(len(out)):
        for i in range(offsets[value], offsets[value + 1]):
            position, step = starts[numbers[i]], steps[numbers[i]]
            for _ in range(draws[i]):
                out[value, position >> 6] |= np.uint64(1) << np.uint64(position & 63)
                position += step
                if position >= bits:
                    position -= bits


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def union_filters(filters: Words, numbers: Codes, out: Words) -> None:
    """OR row numbers[r] of `filters` into row r of `out`."""
    for row in range(len(out)):
        number = numbers[row]
        for w in range(out.shape[1]):
            out[row, w] |= filters[number, w]
