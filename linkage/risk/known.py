"""Known plaintext: from people whose encodings are known, learn to tell others' encodings.

- By tokens: ridge regression from token counts to bits. It breaks what is near linear in tokens, as
  Bloom filters are.
- By likeness: kernel ridge regression, with likeness as the attacker's own encodings show it.
  Whatever the scheme, bits of people who are like each other are as alike as their encodings; of
  bits that are otherwise random this is the best linear prediction there is.

With the exact likeness that the scheme's public law gives, and the evidence of all match keys:
`bylaw`.

Each row of the view then gets the person whose predicted bits fit best.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from linkage.risk.view import NOBODY, Floats, Rows, Trial, signs

_BLOCK = 1024
_RIDGE = 0.3


def by_tokens(trial: Trial, told: Rows) -> Rows:
    """Guesses for every row of the view, from the tokens' influence on bits."""
    tokens = trial.register.tokens.astype(np.float32)
    known = tokens[trial.truth[told]]
    mean = np.asarray(known.mean(axis=0), np.float32)
    centred = known.toarray() - mean
    gram = centred @ centred.T
    influence = centred.T @ _solved(gram, signs(trial.view.words)[told])
    return fit(trial, told, lambda part: (tokens[part].toarray() - mean) @ influence)


def by_likeness(trial: Trial, told: Rows) -> Rows:
    """Guesses for every row of the view, from how alike the register's people are."""
    points = signs(trial.register.wide)
    known = points[trial.truth[told]]
    weights = _solved(known @ known.T, signs(trial.view.words)[told])
    return fit(trial, told, lambda part: points[part] @ (known.T @ weights))


def _solved(gram: Floats, bits: Floats) -> Floats:
    """The ridge solution for all bits at once."""
    size = float(np.trace(gram)) / len(gram)
    ridge = np.eye(len(gram), dtype=np.float32) * np.float32(_RIDGE * size + 1e-6)
    factor = cho_factor(gram + ridge)
    solved: Floats = cho_solve(factor, bits).astype(np.float32)
    return solved


def fit(trial: Trial, told: Rows, predict: Callable[[Rows], Floats]) -> Rows:
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
