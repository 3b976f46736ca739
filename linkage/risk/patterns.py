"""Frequency and pattern mining: cryptanalysis of plain filters, without any known pair.

Where equal values have equal encodings, the commonest encodings are those of the commonest values.
Bits that go together with a token in these are its pattern. Patterns name further values, which
make patterns sharper. After Christen, Schnell, Vatsalan and Ranbaduge, "Efficient cryptanalysis of
Bloom filters for privacy-preserving record linkage" (PAKDD 2017), and Christen, Vidanage, Ranbaduge
and Schnell, "Pattern-mining based cryptanalysis" (PAKDD 2018). Patterns are learned by ridge
regression here, which forgives wrong pairs: a start by frequencies has many.

- Needs the register's tokens alone: no encoding of the attacker's own, no law, no known pair.
- Names values: of people with equal tokens the first in the register. A trial's truth must say the
  same (`first_of_equal`).
- Frequencies are tried wherever encodings repeat; of near-unique match keys there is little to
  count. Patterns are those of plain filters, and tried on `clk-v1` alone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_factor, cho_solve

from linkage.risk.unit import unit
from linkage.risk.view import NOBODY, Floats, Rows, Trial, Words, bits_of

ROUNDS = 8
STARTS = (10, 30)
MOST = 3_000
"""From so many pairs patterns are learned at most."""
_GROWTH = 2
_FREQUENCY = 0.1
_RIDGE = 0.1
_BLOCK = 1024


def by_frequency(trial: Trial) -> Rows:
    """Guesses for every row of the view: the encoding and the value of equal rank by frequency."""
    codes, which, counts = _encodings(trial.view.words)
    people, often = _values(trial)
    rank = np.full(len(codes), NOBODY)
    shared = min(len(codes), len(people))
    rank[_commonest(counts)[:shared]] = people[_commonest(often)[:shared]]
    return np.asarray(rank[which], np.int64)


def by_patterns(trial: Trial) -> Rows:
    """Guesses for every row of the view, from bits that go together.

    The commonest encodings are held for the commonest values at first; from then on the pairs that
    fit best are, twice as many in every round.
    """
    codes, which, counts = _encodings(trial.view.words)
    people, often = _values(trial)
    bits = bits_of(trial.view.words[codes])
    tokens = (trial.register.tokens[people] > 0).astype(np.float32)
    tried = [_grown(bits, tokens, counts, often, first) for first in STARTS]
    best, _ = max(tried, key=lambda one: one[1])
    return np.asarray(people[best][which], np.int64)


def _grown(
    bits: Floats, tokens: sp.csr_matrix, counts: Rows, often: Rows, first: int
) -> tuple[Rows, float]:
    """Which value fits each encoding in the end, and how well all do: one-to-one and alike."""
    size = min(first, len(counts), len(often))
    matched = _commonest(counts)[:size], _commonest(often)[:size]
    for _ in range(ROUNDS):
        best, score = _Patterns.of(bits, tokens, *matched).best(bits, tokens)
        # Frequencies have their say again: common encodings are those of common values.
        apart = np.abs(np.log(counts) - np.log(often[best]))
        size = min(size * _GROWTH, len(counts))
        chosen = np.argsort(_FREQUENCY * apart - score, kind="stable")[:size]
        matched = chosen, best[chosen]
    best, score = _Patterns.of(bits, tokens, *matched).best(bits, tokens)
    return best, float(score.mean()) * len(np.unique(best)) / len(best)


def first_of_equal(tokens: sp.csr_matrix) -> Rows:
    """For each record the first of those with equal tokens."""
    first: dict[bytes, int] = {}
    tokens = tokens.tocsr(copy=True)
    tokens.sum_duplicates()
    found = np.empty(tokens.shape[0], np.int64)
    for row, (start, stop) in enumerate(itertools.pairwise(tokens.indptr)):
        key = tokens.indices[start:stop].tobytes() + tokens.data[start:stop].tobytes()
        found[row] = first.setdefault(key, row)
    return found


def _encodings(words: Words) -> tuple[Rows, Rows, Rows]:
    """A row of each encoding, which of them every row has, and how many have it."""
    whole = np.ascontiguousarray(words).view(f"V{8 * words.shape[1]}").ravel()
    _, first, which, counts = np.unique(
        whole, return_index=True, return_inverse=True, return_counts=True
    )
    return first, which, counts


def _values(trial: Trial) -> tuple[Rows, Rows]:
    """The first person with each value, and how many have it."""
    people, often = np.unique(first_of_equal(trial.register.tokens), return_counts=True)
    return people, often


def _commonest(counts: Rows) -> Rows:
    return np.argsort(-counts, kind="stable")


@dataclass(frozen=True)
class _Patterns:
    """What bits each token brings: ridge regression on pairs that are held to be right.

    Attributes:
        weights: (tokens, bits).
        mean: (tokens,), how often each token stands in a value.
        middle: (bits,), how often each bit is set.
    """

    weights: Floats
    mean: Floats
    middle: Floats

    @classmethod
    def of(cls, bits: Floats, tokens: sp.csr_matrix, codes: Rows, values: Rows) -> _Patterns:
        here = tokens[values[:MOST]].toarray()
        mean = here.mean(axis=0)
        here -= mean
        there = bits[codes[:MOST]]
        middle = there.mean(axis=0)
        gram = here @ here.T
        ridge = _RIDGE * np.trace(gram) / len(gram) + 1e-6
        gram[np.diag_indices(len(gram))] += np.float32(ridge)
        weights = here.T @ cho_solve(cho_factor(gram), there - middle)
        return cls(weights.astype(np.float32), mean, middle)

    def best(self, bits: Floats, tokens: sp.csr_matrix) -> tuple[Rows, Floats]:
        """For each encoding the value whose bits it resembles most, and how much; 1 at most."""
        best = np.zeros(len(bits), np.int64)
        score = np.full(len(bits), -1, np.float32)
        given = unit(bits - self.middle)
        for start in range(0, tokens.shape[0], _BLOCK):
            part = tokens[start : start + _BLOCK].toarray()
            alike = given @ unit((part - self.mean) @ self.weights).T
            top = alike.argmax(axis=1)
            value = alike[np.arange(len(bits)), top]
            better = value > score
            best[better], score[better] = top[better] + start, value[better]
        return best, score
