"""`saul-v1`: keyed SimHash with XOR amplification.

Armknecht & Schaefer, "Breaking BAD? Better Call SAUL!", PoPETs 2026; byte by byte in
`docs/reference/saul-v1.md`.

- Output bit j is the XOR over h hashes of the majority, over the record's tokens with their
  multiplicity, of one keyed bit per token. A tie-break token is added to an even number of
  tokens, so a majority always exists.
- Counts are kept bit-sliced: plane p holds bit p of the count of every output bit, and eight
  tokens at a time are added by carry-save adders, 64 counts to a word. Counting starts at
  2^k - threshold, so plane k is the majority when all are added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.agreement import Saul
from linkage.encoding.prf import expand_tokens

DOMAIN = b"linkage/saul-v1/token\0"
_TIE_ROW = 1
MAX_TOKENS = 1 << 22

_STRIDE = 4096 * 6 // 64  # words of the largest parameters
_LEVELS = 23  # planes: counts to 2^22, and one


@dataclass(frozen=True)
class SaulScheme:
    """How `saul-v1` uses the encoder's tables: one row of h x bits per token."""

    settings: Saul

    @property
    def row_words(self) -> int:
        return self.settings.bits * self.settings.hashes // 64

    @property
    def parameters(self) -> str:
        return f"bits={self.settings.bits},hashes={self.settings.hashes}"

    def table_weight(self, weight: int) -> int:
        """Rows do not depend on a field's weight."""
        return 1

    def repeats(self, weight: int) -> int:
        """A token of weight w stands w times among the record's tokens."""
        return weight

    def reserved_rows(self, tie_key: bytearray) -> npt.NDArray[np.uint64]:
        """What stands before the tokens: zeros to fill a group of eight, and the tie-break."""
        tie = expand_tokens(DOMAIN, tie_key, [b""], 64 * self.row_words)
        return np.vstack([np.zeros_like(tie), tie])

    def rows(
        self, key: bytearray, tokens: list[bytes], table_weight: int
    ) -> npt.NDArray[np.uint64]:
        return expand_tokens(DOMAIN, key, tokens, 64 * self.row_words)

    def combine(
        self,
        table: npt.NDArray[np.uint64],
        parts: object,
        bounds: npt.NDArray[np.int64],
        tokens: npt.NDArray[np.int32],
        out: npt.NDArray[np.uint64],
    ) -> None:
        majority_rows(table.reshape(-1), self.row_words, self.settings.hashes, bounds, tokens, out)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def majority_rows(  # noqa: PLR0912, PLR0915 (one loop, unrolled for the compiler)
    table: npt.NDArray[np.uint64],
    row_words: int,
    hashes: int,
    bounds: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.int32],
    out: npt.NDArray[np.uint64],
) -> None:
    """Encode records from their tokens' table rows.

    Args:
        table: flat (rows x row_words) uint64; row 0 is zero, row 1 the tie-break token.
        row_words: words of one table row, hashes x words of one encoding.
        bounds: (records + 1,) int64; record i has tokens[bounds[i] : bounds[i + 1]], with none
            the record is skipped.
        tokens: int32, table rows.
        out: (records, row_words / hashes) uint64, overwritten where a record has tokens.
    """
    # Offsets are unsigned and planes lie a constant stride apart: only then does LLVM vectorise.
    width = np.uint64(row_words)
    words = np.uint64(row_words // hashes)
    stride, stride2 = np.uint64(_STRIDE), np.uint64(2 * _STRIDE)
    carry = np.uint64(_LEVELS * _STRIDE)
    ones, zero = np.uint64(0xFFFF_FFFF_FFFF_FFFF), np.uint64(0)
    planes = np.empty((_LEVELS + 1) * _STRIDE, np.uint64)
    longest = 0
    for record in range(len(out)):
        longest = max(longest, bounds[record + 1] - bounds[record])
    chosen = np.empty(longest + 8, np.uint64)
    for record in range(len(out)):
        count = bounds[record + 1] - bounds[record]
        if count == 0:
            continue
        for i in range(count):
            chosen[i] = np.uint64(tokens[bounds[record] + i]) * width
        if count % 2 == 0:
            chosen[count] = width * np.uint64(_TIE_ROW)
            count += 1
        threshold = (count + 1) // 2
        top = 3
        while (1 << top) < threshold:
            top += 1
        for level in range(top + 1):
            start = ones if ((1 << top) - threshold) >> level & 1 else zero
            plane = np.uint64(level * _STRIDE)
            for w in range(width):
                planes[plane + w] = start
        while count % 8:
            chosen[count] = zero  # the row of zeros
            count += 1
        for group in range(0, count, 8):
            a, b, c, d = chosen[group], chosen[group + 1], chosen[group + 2], chosen[group + 3]
            e, f, g, h = chosen[group + 4], chosen[group + 5], chosen[group + 6], chosen[group + 7]
            for w in range(width):
                p, q, r = planes[w], planes[stride + w], planes[stride2 + w]
                x, y = table[a + w], table[b + w]
                u = p ^ x
                two = (p & x) | (u & y)
                p = u ^ y
                x, y = table[c + w], table[d + w]
                u = p ^ x
                two_more = (p & x) | (u & y)
                p = u ^ y
                u = q ^ two
                four = (q & two) | (u & two_more)
                q = u ^ two_more
                x, y = table[e + w], table[f + w]
                u = p ^ x
                two = (p & x) | (u & y)
                p = u ^ y
                x, y = table[g + w], table[h + w]
                u = p ^ x
                two_more = (p & x) | (u & y)
                p = u ^ y
                u = q ^ two
                four_more = (q & two) | (u & two_more)
                q = u ^ two_more
                u = r ^ four
                planes[w], planes[stride + w], planes[stride2 + w] = p, q, u ^ four_more
                planes[carry + w] = (r & four) | (u & four_more)
            for level in range(3, top + 1):
                plane = np.uint64(level * _STRIDE)
                for w in range(width):
                    c_in, p = planes[carry + w], planes[plane + w]
                    planes[plane + w] = p ^ c_in
                    planes[carry + w] = p & c_in
        plane = np.uint64(top * _STRIDE)
        for w in range(words):
            folded = planes[plane + w]
            for part in range(1, hashes):
                folded ^= planes[plane + np.uint64(part) * words + w]
            out[record, w] = folded
