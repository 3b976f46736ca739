"""Known plaintext by the scheme's public law: predict others' bits from those of known people.

Bits are held to be as if drawn at random with the law's correlations. Then, given the known
people's bits, each bit of another's encoding has an expectation, and a row a likelihood under each
person; the evidence of all match keys adds up. The strongest attack with known pairs by far (ADR
31).

`by_law_grown` goes on from there: rows that could be hardly anybody else are taken for known and
learned from in turn.

- Time is people x known per match key. Likenesses below `_NONE` count as none: of a steep law few
  are left, and bits, the most of the work, are predicted from these alone.
- Memory: the square of the known, and rows asked x people; where all rows are looked at, known and
  promising people x bits of every match key, and 1,024 rows x promising people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_factor, cho_solve
from scipy.special import logsumexp

from linkage.risk.law import Law
from linkage.risk.view import NOBODY, Floats, Rows, Trial, bits_of

MOST_KNOWN = 10_000
"""Of more known people so many are learned from: their likenesses are held as one square."""
ROUNDS = 4
CERTAIN = float(np.log(1000))
MOST_PROMISING = 8_192
"""People who are looked for among all rows in one round: those of whom most can be predicted."""

_Telling = tuple[Rows, Floats, Floats]
"""Places of people, weights of the bits under each (people, bits), and what stands without them."""

_BLOCK = 1024
_RIDGE = 0.01
_SUREST = 0.95
_NONE = 1e-4
_SPARSE = 0.05
_WORTH_A_ROUND = 0.01


@dataclass(frozen=True)
class Evidence:
    """What the laws of all match keys say of some rows of the view.

    Attributes:
        told, persons: rows that are known, or held to be, and who of the register they are.
        asked: rows asked about.
        people: of the register, but for those who are known.
        values: (asked, people) float32, how much likelier each row is under each person than at
            random, as a logarithm.
    """

    told: Rows
    persons: Rows
    asked: Rows
    people: Rows
    values: Floats

    @classmethod
    def of(cls, trials: Sequence[Trial], told: Rows, persons: Rows, asked: Rows) -> Evidence:
        """From known rows.

        Args:
            trials: of the same rows and people, one per match key, each with a law.
            asked: none of `told`.
        """
        people = np.setdiff1d(np.arange(len(trials[0].register)), persons)
        values = np.zeros((len(asked), len(people)), np.float32)
        if values.size:
            for trial, predictor in zip(trials, _fitted(trials, told, persons), strict=True):
                _add(values, _signs(trial, asked), predictor.telling(people))
        return cls(told, persons, asked, people, values)


def by_law(evidence: Evidence, rows: int) -> Rows:
    """Guesses for the rows asked about.

    Args:
        rows: of the view.

    Returns:
        (rows,) who of the register; `NOBODY` for rows not asked about.
    """
    guess = np.full(rows, NOBODY)
    guess[evidence.told] = evidence.persons
    if evidence.values.size:
        guess[evidence.asked] = evidence.people[evidence.values.argmax(axis=1)]
    return guess


def by_law_grown(trials: Sequence[Trial], told: Rows, asked: Rows, *, rounds: int = ROUNDS) -> Rows:
    """`by_law`, with whoever is named beyond doubt taken for known, round after round.

    Ends after `rounds`, or when one adds less than a hundredth. A row is named beyond doubt where
    one person is a thousand times as likely as all others together, and the row is that person's
    best. All rows of the view are looked at, not only those asked about.
    """
    rows, persons = told, trials[0].truth[told]
    for _ in range(rounds):
        found, who = _beyond_doubt(trials, rows, persons)
        rows, persons = np.append(rows, found), np.append(persons, who)
        if len(found) < _WORTH_A_ROUND * len(rows):
            break
    evidence = Evidence.of(trials, rows, persons, np.setdiff1d(asked, rows))
    return by_law(evidence, len(trials[0].view))


@dataclass(frozen=True)
class _Predictor:
    """What one match key's known encodings tell of others'.

    Attributes:
        known: people of the register.
        weights: (known, bits).
    """

    law: Law
    known: Rows
    weights: Floats

    @classmethod
    def fit(cls, trial: Trial, rows: Rows, persons: Rows) -> _Predictor:
        law = trial.register.law
        if law is None:
            raise ValueError("a register without a law")
        gram = law(persons, persons)
        gram[np.diag_indices(len(gram))] += np.float32(_RIDGE)
        # Not centred: the law is of the bits as they are.
        weights = cho_solve(
            cho_factor(gram, overwrite_a=True), _signs(trial, rows), overwrite_b=True
        )
        return cls(law, persons, weights.astype(np.float32))

    def expected(self, people: Rows) -> Iterator[tuple[Rows, Floats]]:
        """Block by block which places of `people` anything can be told of, and their bits."""
        for start in range(0, len(people), _BLOCK):
            likeness = self.law(people[start : start + _BLOCK], self.known)
            places = np.arange(start, start + len(likeness))
            near = likeness > _NONE
            if near.mean() < _SPARSE:
                some = near.any(axis=1)
                places = places[some]
                bits = sp.csr_matrix(np.where(near, likeness, 0)[some]) @ self.weights
            else:
                bits = likeness @ self.weights
            if len(places):
                yield places, np.clip(bits, -_SUREST, _SUREST, out=bits)

    def telling(self, people: Rows) -> Iterator[_Telling]:
        """Block by block what a row's bits say of whether it is one of `people`."""
        for places, bits in self.expected(people):
            yield places, np.arctanh(bits), 0.5 * np.log1p(-bits * bits).sum(axis=1)


def _signs(trial: Trial, rows: Rows) -> Floats:
    """(rows, bits) float32, each bit of the view as -1 or 1."""
    return bits_of(trial.view.words[rows]) * 2 - 1


def _fitted(trials: Sequence[Trial], rows: Rows, persons: Rows) -> Iterator[_Predictor]:
    if len(rows) > MOST_KNOWN:
        some = np.linspace(0, len(rows) - 1, MOST_KNOWN).astype(np.int64)
        rows, persons = rows[some], persons[some]
    return (_Predictor.fit(trial, rows, persons) for trial in trials)


def _add(evidence: Floats, view: Floats, telling: Iterable[_Telling]) -> None:
    """Add to (rows, people) how much likelier each row is under each person than at random."""
    for places, weights, base in telling:
        found = view @ weights.T
        found += base
        evidence[:, places] += found


def _beyond_doubt(trials: Sequence[Trial], rows: Rows, persons: Rows) -> tuple[Rows, Rows]:
    """Further rows and who they are."""
    people = np.setdiff1d(np.arange(len(trials[0].register)), persons)
    others = np.setdiff1d(np.arange(len(trials[0].view)), rows)
    if not len(people) or not len(others):
        return rows[:0], rows[:0]
    predictors = list(_fitted(trials, rows, persons))
    # Half the sum of the squares is what evidence to expect, were a person's row at hand.
    expected = np.zeros(len(people), np.float32)
    for predictor in predictors:
        for places, bits in predictor.expected(people):
            expected[places] += 0.5 * (bits * bits).sum(axis=1)
    enough = np.log(len(people)) + CERTAIN
    order = np.argsort(-expected, kind="stable")[:MOST_PROMISING]
    promising = order[expected[order] > enough]
    if not len(promising):
        return rows[:0], rows[:0]
    chosen = people[promising]
    telling = [list(predictor.telling(chosen)) for predictor in predictors]
    best = np.empty(len(others), np.int64)
    margin = np.empty(len(others), np.float32)
    highest, holder = np.full(len(chosen), -np.inf, np.float32), np.full(len(chosen), NOBODY)
    unseen = np.log(max(1, len(people) - len(chosen)))
    for start in range(0, len(others), _BLOCK):
        part = slice(start, start + _BLOCK)
        evidence = np.zeros((len(others[part]), len(chosen)), np.float32)
        for trial, told in zip(trials, telling, strict=True):
            _add(evidence, _signs(trial, others[part]), told)
        row, tops = evidence.argmax(axis=0), evidence.max(axis=0)
        higher = tops > highest
        highest[higher], holder[higher] = tops[higher], start + row[higher]
        at = np.arange(len(evidence))
        best[part] = evidence.argmax(axis=1)
        top = evidence[at, best[part]]
        evidence[at, best[part]] = -np.inf
        margin[part] = top - np.logaddexp(logsumexp(evidence, axis=1), unseen)
    sure = (margin > CERTAIN) & (holder[best] == np.arange(len(others)))
    return others[sure], chosen[best[sure]]
