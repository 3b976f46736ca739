"""Known plaintext: from people whose encodings are known, learn to tell others' encodings.

- By tokens: ridge regression from token counts to bits. It breaks what is near linear in tokens, as
  Bloom filters are.
- By likeness: kernel ridge regression, with likeness as the attacker's own encodings show it.
  Whatever the scheme, bits of people who are like each other are as alike as their encodings; of
  bits that are otherwise random this is the best linear prediction there is.

- By the law: the same with the exact likeness that the scheme's public law gives, from the records
  themselves, and with the evidence of all match keys added up. The strongest by far; see ADR 31.

Each row of the view then gets the person whose predicted bits fit best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from linkage.risk.view import NOBODY, Floats, Rows, Trial, signs

_BLOCK = 1024
_RIDGE = 0.3
_LAW_RIDGE = 0.01
_SUREST = 0.95
MOST_KNOWN = 5_000
"""Of more known people so many are learned from: their likenesses are held as one square."""


def by_tokens(trial: Trial, told: Rows) -> Rows:
    """Guesses for every row of the view, from the tokens' influence on bits."""
    tokens = trial.register.tokens.astype(np.float32)
    known = tokens[trial.truth[told]]
    mean = np.asarray(known.mean(axis=0), np.float32)
    centred = known.toarray() - mean
    gram = centred @ centred.T
    influence = centred.T @ _solved(gram, _bits_of(trial, told))
    return _fit(trial, told, lambda part: (tokens[part].toarray() - mean) @ influence)


def by_likeness(trial: Trial, told: Rows) -> Rows:
    """Guesses for every row of the view, from how alike the register's people are."""
    points = signs(trial.register.wide)
    known = points[trial.truth[told]]
    weights = _solved(known @ known.T, _bits_of(trial, told))
    return _fit(trial, told, lambda part: points[part] @ (known.T @ weights))


def by_law(trials: Sequence[Trial], told: Rows, asked: Rows) -> Rows:
    """Guesses for some rows of the view, from the laws of all match keys.

    Bits are held to be as if drawn at random with the law's correlations. Then, given the known
    people's bits, each bit of another's encoding has an expectation, and a row a likelihood under
    each person.

    Args:
        trials: of the same rows and people, one per match key, each with a law.
        asked: which rows; none of `told`.
    """
    first = trials[0]
    people = np.setdiff1d(np.arange(len(first.register)), first.truth[told])
    told = told[:: -(-len(told) // MOST_KNOWN)]
    evidence = np.zeros((len(asked), len(people)), np.float32)
    for trial in trials:
        law = trial.register.law
        if law is None:
            raise ValueError("a register without a law")
        persons = trial.truth[told]
        gram = law(persons, persons)
        gram[np.diag_indices(len(gram))] += np.float32(_LAW_RIDGE)
        # Not centred: the law is of the bits as they are.
        weights = cho_solve(cho_factor(gram, overwrite_a=True), _plain_signs(trial, told))
        view = _plain_signs(trial, asked)
        for start in range(0, len(people), _BLOCK):
            expected = law(people[start : start + _BLOCK], persons) @ weights.astype(np.float32)
            np.clip(expected, -_SUREST, _SUREST, out=expected)
            part = evidence[:, start : start + _BLOCK]
            part += view @ np.arctanh(expected).T
            part += 0.5 * np.log1p(-expected * expected).sum(axis=1)
    guess = np.full(len(first.view), NOBODY)
    guess[asked] = people[evidence.argmax(axis=1)]
    guess[told] = first.truth[told]
    return guess


def _plain_signs(trial: Trial, rows: Rows) -> Floats:
    raw = np.ascontiguousarray(trial.view.words[rows]).view(np.uint8).reshape(len(rows), -1)
    bits = np.unpackbits(raw, axis=1, bitorder="little").astype(np.float32)
    return bits * 2 - 1


def _bits_of(trial: Trial, told: Rows) -> Floats:
    return signs(trial.view.words)[told]


def _solved(gram: Floats, bits: Floats) -> Floats:
    """The ridge solution for all bits at once."""
    size = float(np.trace(gram)) / len(gram)
    ridge = np.eye(len(gram), dtype=np.float32) * np.float32(_RIDGE * size + 1e-6)
    factor = cho_factor(gram + ridge)
    solved: Floats = cho_solve(factor, bits).astype(np.float32)
    return solved


def _fit(trial: Trial, told: Rows, predict: Callable[[Rows], Floats]) -> Rows:
    """For each row of the view the unknown person whose predicted bits it resembles most."""
    open_rows = np.setdiff1d(np.arange(len(trial.view)), told)
    people = np.setdiff1d(np.arange(len(trial.register)), trial.truth[told])
    view = signs(trial.view.words)[open_rows]
    best = np.full(len(open_rows), -np.inf, np.float32)
    who = np.full(len(open_rows), NOBODY)
    for start in range(0, len(people), _BLOCK):
        part = people[start : start + _BLOCK]
        predicted = predict(part)
        predicted /= np.linalg.norm(predicted, axis=1, keepdims=True) + 1e-9
        fit = view @ predicted.T
        top = fit.argmax(axis=1)
        value = fit[np.arange(len(fit)), top]
        better = value > best
        best[better], who[better] = value[better], part[top[better]]
    guess = np.full(len(trial.view), NOBODY)
    guess[open_rows], guess[told] = who, trial.truth[told]
    return guess
