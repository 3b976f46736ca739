"""`clk-v1`: keyed Bloom filters (cryptographic long-term keys), for interoperability only.

Schnell, Bachteler & Reiher, "A novel error-tolerant anonymous linking code", 2011; positions as
clkhash's `blakeHash` draws them.

- A token sets `hashes` x its weight positions: the 16-bit little-endian pieces of
  BLAKE2b(token, key, salt = "0", "1", ...), each modulo `bits`, which is a power of two.
- Multiplicity does not count: a filter is the union of its tokens' positions.
- Published attacks re-identify such encodings, keyed or not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.agreement import Clk

_DRAWS = 32  # positions in one BLAKE2b digest


@dataclass(frozen=True)
class ClkScheme:
    """How `clk-v1` uses the encoder's tables: one row of bits per token and weight."""

    settings: Clk

    @property
    def row_words(self) -> int:
        return self.settings.bits // 64

    @property
    def parameters(self) -> str:
        return f"bits={self.settings.bits},hashes={self.settings.hashes}"

    def table_weight(self, weight: int) -> int:
        """A heavier token sets more positions, so it has another row."""
        return weight

    def repeats(self, weight: int) -> int:
        return 1

    def reserved_rows(self, tie_key: bytearray) -> npt.NDArray[np.uint64]:
        """None: a union needs no tie-break."""
        return np.zeros((0, self.row_words), dtype=np.uint64)

    def rows(
        self, key: bytearray, tokens: list[bytes], table_weight: int
    ) -> npt.NDArray[np.uint64]:
        """(tokens, bits / 64) uint64: the positions each token sets."""
        bits, draws = self.settings.bits, self.settings.hashes * table_weight
        salts = [str(i).encode() for i in range(-(-draws // _DRAWS))]
        raw = b"".join(
            hashlib.blake2b(token, key=bytes(key), salt=salt).digest()
            for token in tokens
            for salt in salts
        )
        drawn = np.frombuffer(raw, dtype="<u2").reshape(len(tokens), -1)[:, :draws] % bits
        filters = np.zeros((len(tokens), bits), dtype=np.bool_)
        filters[np.arange(len(tokens))[:, None], drawn] = True
        packed = np.packbits(filters, axis=1, bitorder="little")
        return packed.view("<u8").astype(np.uint64)

    def combine(
        self,
        table: npt.NDArray[np.uint64],
        parts: object,
        bounds: npt.NDArray[np.int64],
        tokens: npt.NDArray[np.int32],
        out: npt.NDArray[np.uint64],
    ) -> None:
        union_rows(table, bounds, tokens, out)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def union_rows(
    table: npt.NDArray[np.uint64],
    bounds: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.int32],
    out: npt.NDArray[np.uint64],
) -> None:
    """OR the table rows of each record's tokens into its row of `out`.

    Args:
        table: (rows, words) uint64.
        bounds: (records + 1,) int64; record i has tokens[bounds[i] : bounds[i + 1]].
        tokens: int32, table rows.
        out: (records, words) uint64, zero before.
    """
    for record in range(len(out)):
        for i in range(bounds[record], bounds[record + 1]):
            row = tokens[i]
            for w in range(out.shape[1]):
                out[record, w] |= table[row, w]
