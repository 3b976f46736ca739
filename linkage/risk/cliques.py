"""The comparison round under a hub that chooses its pairs: groups of rows, all of them compared.

Pairs of different rows cannot be compared, but a register holds what the likeness of any two of its
people would be. A hub that asks about all pairs in a group of rows looks for the group of people
whose likenesses fit. Each answer tells some bits about two people; naming one of n takes log2(n).
A group with q pairs a row has q / 2 answers a row. So what protects is that answers a row are few
and coarse, not which scheme made the encodings.

Rounds follow on each other: from the run in which enough answers about a group have come together,
its rows are found one after the other, always with the best of many partial groups kept (beam
search).

- Needs the fields' tokens of the register, and the answers; no encodings and no known pair.
- Memory and time are quadratic in people. Of more than `MOST_WHOLE` groups are found along what
  their rows share (`sharing`); take a sample of groups.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from numba import njit

from linkage.answers import FIELD_BITS, differing
from linkage.risk.people import MOST_WHOLE, People
from linkage.risk.sharing import Answers, Sharers, by_shared
from linkage.risk.unit import unit_counts
from linkage.risk.view import NOBODY, Floats, Rows, Trial

Shares = npt.NDArray[np.uint8]

BEAM = 4_000
_LEVELS = 128
_LEAST = 1e-3


def by_cliques(
    trial: Trial,
    view_fields: Sequence[sp.csr_matrix],
    register_fields: Sequence[sp.csr_matrix],
    quota: int,
    groups: int,
    rng: np.random.Generator,
    *,
    across: bool = False,
    near: int = 0,
    seconds: float = np.inf,
) -> tuple[Rows, Rows]:
    """Guesses for the rows of some groups.

    Args:
        view_fields, register_fields: as in `by_round`.
        quota: how many pairs per row are asked about, all runs together.
        across: a group is `quota` rows of each of two files, compared across alone; if not, it is
            `quota` + 1 rows of one file that may hold duplicates.
        near: so many of the groups are a row and those nearest to it by the encodings, whose
            answers tell more; the others are random.
        seconds: of the processor, after which no further group is begun.

    Returns:
        (rows asked about,) which rows, and who of the register each is.
    """
    search = _along_shared if len(trial.register) > MOST_WHOLE else _among_all
    find = search(register_fields, across, rng)
    size = 2 * quota if across else quota + 1
    order = rng.permutation(len(trial.view))[: groups * size]
    rows = order[: len(order) // size * size].reshape(-1, size)
    if near:
        beside = trial.view.nearest(size - 1)[1][rows[:near, 0]]
        rows[:near] = rng.permuted(np.column_stack([rows[:near, 0], beside]), axis=1)
    tokens = [unit_counts(field) for field in view_fields]
    found: list[Rows] = []
    since = time.process_time()
    for group in rows:
        if found and time.process_time() - since > seconds:
            break
        cosines = np.stack([(field[group] @ field[group].T).toarray() for field in tokens], axis=2)
        seen = rng.binomial(FIELD_BITS, differing(cosines))
        upper = np.triu(np.ones((size, size), np.int64), 1)[:, :, np.newaxis]
        found.append(find(seen * upper + (seen * upper).transpose(1, 0, 2)))
    return rows[: len(found)].ravel(), np.concatenate(found)


def _along_shared(
    fields: Sequence[sp.csr_matrix], across: bool, rng: np.random.Generator
) -> Callable[[Rows], Rows]:
    sharers = Sharers(People(fields, rng))

    def find(seen: Rows) -> Rows:
        rows = np.arange(len(seen))
        first = 2 * rows < len(rows)
        asked = first[:, np.newaxis] != first if across else rows[:, np.newaxis] != rows
        return by_shared(Answers(seen, asked), sharers)

    return find


def _among_all(
    fields: Sequence[sp.csr_matrix], across: bool, rng: np.random.Generator
) -> Callable[[Rows], Rows]:
    shares = [_shares(field) for field in fields]
    chance = [_often(share) for share in shares]
    return lambda seen: _search(_Answers(seen, shares, chance, across))


class _Answers:
    """What a group's answers say: per pair of its rows, how well any two people would fit."""

    def __init__(
        self,
        seen: Rows,
        shares: Sequence[Shares],
        chance: Sequence[Floats],
        across: bool,
    ) -> None:
        self.rows, self._shares, self._across = len(seen), shares, across
        self.people = len(shares[0])
        self._tables = []
        levels = np.clip(np.arange(_LEVELS + 1) / _LEVELS, _LEAST, 1 - _LEAST)
        for bits, often in zip(np.moveaxis(seen, 2, 0)[..., np.newaxis], chance, strict=True):
            fit = bits * np.log(levels) + (FIELD_BITS - bits) * np.log1p(-levels)
            fit -= fit.max(axis=2, keepdims=True)
            fit -= np.log(np.exp(fit) @ often)[:, :, np.newaxis]
            self._tables.append(fit.astype(np.float32))

    def asked(self, one: int, other: int) -> bool:
        """Whether these two rows were compared."""
        return not self._across or (2 * one < self.rows) != (2 * other < self.rows)

    def fit(self, one: int, other: int, people: Rows) -> Floats:
        """(people, register): likelihood ratio of two rows' answers, against people at random."""
        found = np.zeros((len(people), self.people), np.float32)
        for table, share in zip(self._tables, self._shares, strict=True):
            _look_up(table[one, other], share, people, found)
        return found

    def telling(self, one: int, other: int) -> float:
        """How much at most the two rows' answers could say."""
        if not self.asked(one, other):
            return 0.0
        return sum(float(table[one, other].max()) for table in self._tables)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _look_up(table: Floats, shares: Shares, people: Rows, out: Floats) -> None:
    """Add to (people, register) what a table says of each share."""
    for i in range(len(people)):
        row = shares[people[i]]
        for j in range(len(row)):
            out[i, j] += table[row[j]]


def _search(answers: _Answers) -> Rows:
    """The group of people that fits best, row by row."""
    pairs = [(i, j) for i in range(answers.rows) for j in range(i)]
    first, second = max(pairs, key=lambda pair: answers.telling(*pair))
    whole = answers.fit(first, second, np.arange(answers.people))
    np.fill_diagonal(whole, -np.inf)
    best = np.argpartition(whole.ravel(), -min(BEAM, whole.size))[-BEAM:]
    beam = np.stack(np.unravel_index(best, whole.shape), axis=1)
    score, placed = whole.ravel()[best], [first, second]
    while len(placed) < answers.rows:
        left = [row for row in range(answers.rows) if row not in placed]
        row = max(left, key=lambda r: sum(answers.telling(r, other) for other in placed))
        total = np.repeat(score[:, np.newaxis], answers.people, axis=1)
        for place, other in enumerate(placed):
            if not answers.asked(other, row):
                continue
            who, where = np.unique(beam[:, place], return_inverse=True)
            total += answers.fit(other, row, who)[where]
        for place in range(len(placed)):
            total[np.arange(len(beam)), beam[:, place]] = -np.inf
        best = np.argpartition(total.ravel(), -min(BEAM, total.size))[-BEAM:]
        state, person = np.unravel_index(best, total.shape)
        beam, score = np.column_stack([beam[state], person]), total.ravel()[best]
        placed.append(row)
    guess = np.full(answers.rows, NOBODY)
    guess[placed] = beam[score.argmax()]
    return guess


def _often(shares: Shares) -> Floats:
    """How often each step stands between two people at random."""
    counts = np.bincount(shares.ravel(), minlength=_LEVELS + 1)
    return (counts / shares.size).astype(np.float32)


def _shares(field: sp.csr_matrix) -> Shares:
    """(people, people): the share of bits in which the field would differ, in 128 steps."""
    tokens = unit_counts(field)
    out = np.empty((field.shape[0],) * 2, np.uint8)
    for start in range(0, len(out), 1024):
        cosine = (tokens[start : start + 1024] @ tokens.T).toarray()
        out[start : start + 1024] = np.rint(differing(cosine) * _LEVELS).astype(np.uint8)
    return out
