"""Encodings that are known to be broken: an audit that cannot break them is too weak.

Made in the random-oracle model: every token sets positions drawn at random, as a keyed hash would.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from linkage.risk.alignment import Sides, align
from linkage.risk.outcome import Outcome, judge
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


def unseeded(trial: Trial, rng: np.random.Generator) -> Outcome:
    """The strongest attack that knows no pair; what controls are held to."""
    guess = align(Sides.of(trial.view, trial.register, rng), rng)
    return judge("alignment", trial, guess)


def pack(bits: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Words:
    """(rows, bits) bool as (rows, words)."""
    packed = np.packbits(bits, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64)


def folded(filters: Words) -> Words:
    """XOR-folding: the first half of a filter XORed with the second (Schnell and Borgs, 2016)."""
    half = filters.shape[1] // 2
    return filters[:, :half] ^ filters[:, half:]


def rule_90(filters: Words) -> Words:
    """Each bit becomes the XOR of its two neighbours (Schnell and Borgs, 2018)."""
    bits = unpack(filters)
    return pack(np.roll(bits, 1, axis=1) ^ np.roll(bits, -1, axis=1))


def balanced(filters: Words, rng: np.random.Generator) -> Words:
    """A filter beside its complement, bits in a secret order (Schnell and Borgs, 2016)."""
    bits = unpack(filters)
    both = np.hstack([bits, ~bits])
    return pack(both[:, rng.permutation(both.shape[1])])


def flipped(filters: Words, rng: np.random.Generator, share: float = 0.1) -> Words:
    """Every bit flipped with this probability, anew for every record."""
    bits = unpack(filters)
    return pack(bits ^ (rng.random(bits.shape) < share))


def diffused(filters: Words, rng: np.random.Generator, terms: int = 4) -> Words:
    """Every bit the XOR of some secret ones (Armknecht, Heng and Schnell, 2023)."""
    bits = unpack(filters)
    out = np.zeros_like(bits)
    for _ in range(terms):
        out ^= bits[:, rng.permutation(bits.shape[1])]
    return pack(out)


HARDENINGS: dict[str, Callable[[Words, np.random.Generator], Words]] = {
    "folded": lambda filters, rng: folded(filters),
    "rule_90": lambda filters, rng: rule_90(filters),
    "balanced": balanced,
    "flipped": flipped,
    "diffused": diffused,
}


def hardened_trial(
    name: str,
    view: sp.csr_matrix,
    register: sp.csr_matrix,
    truth: Rows,
    rng: np.random.Generator,
) -> Trial:
    """Plain filters hardened in one of the ways that were broken, each under its own secret."""
    made = [HARDENINGS[name](plain_clk(side, rng), rng) for side in (view, register, register)]
    return Trial(View(made[0]), Register(made[1], made[2], register), truth)


def unpack(words: Words) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """(rows, words) as (rows, bits) bool."""
    raw = np.ascontiguousarray(words).view(np.uint8).reshape(len(words), -1)
    return np.unpackbits(raw, axis=1, bitorder="little").astype(np.bool_)
