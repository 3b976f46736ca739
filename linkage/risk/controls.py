"""Encodings that are known to be broken: an audit that cannot break them is too weak.

Made in the random-oracle model: every token sets positions drawn at random, as a keyed hash would.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from linkage.risk.view import Register, Rows, Trial, View, Words

BITS = 1024
HASHES = 10


def plain_clk(
    tokens: sp.csr_matrix, rng: np.random.Generator, *, bits: int = BITS, hashes: int = HASHES
) -> Words:
    """Plain Bloom filters: the union of the positions of a record's tokens."""
    vocabulary = tokens.shape[1]
    positions = rng.integers(0, bits, vocabulary * hashes)
    of = np.repeat(np.arange(vocabulary), hashes)
    table = sp.csr_matrix((np.ones(len(of), np.float32), (of, positions)), shape=(vocabulary, bits))
    return pack((tokens @ table).toarray() > 0)


def control_trial(
    view: sp.csr_matrix, register: sp.csr_matrix, truth: Rows, rng: np.random.Generator
) -> Trial:
    """Plain CLKs of both sides' tokens, each under a secret of its own."""
    own = Register(plain_clk(register, rng), plain_clk(register, rng), register)
    return Trial(View(plain_clk(view, rng)), own, truth)


def pack(bits: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Words:
    """(rows, bits) bool as (rows, words)."""
    packed = np.packbits(bits, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64)
