"""Homomorphism: what the differences of encodings give away.

Where a scheme carries small differences of records over to encodings, the XOR of two encodings that
differ in few tokens depends on these tokens alone: Anna and Anne give the same low-weight XOR in
every family (used against diffusion layers and folded filters, PoPETs 2026). Secrets differ, so the
XORs of view and register cannot be held against each other. But how heavy they are, and how alike
the XORs of different pairs of rows are, is the same on both sides.

So each row is described by the XORs with its nearest rows: their weights, and how alike each is to
those of a sample of other near pairs. What no secret changes is weighed as `profile` does.
"""

from __future__ import annotations

import numpy as np

from linkage.risk.mutual import match
from linkage.risk.profile import Weighing, normal
from linkage.risk.view import Floats, Rows, Trial, View, signs

PAIRS = 4
_SAMPLE = 2048
_BLOCK = 2048


def by_differences(trial: Trial, rng: np.random.Generator) -> Rows:
    """Guesses for every row of the view, nothing known."""
    once, again = (differences(side, rng) for side in trial.register.views)
    weighing = Weighing.learn(once, again)
    own = weighing((once + again) * np.float32(0.5))
    found = match(weighing(differences(trial.view, rng)), own, np.arange(len(trial.view)), rng)
    return found.nearest


def differences(view: View, rng: np.random.Generator) -> Floats:
    """(rows, features) float32 of the XORs of each row with its nearest ones, each normal."""
    words = view.words
    count = min(PAIRS, len(words) - 1)
    weights, which = view.nearest(count)
    reference = rng.choice(len(words), min(_SAMPLE, len(words)), replace=False)
    there = signs(words[reference] ^ words[which[reference, 0]])
    columns = [weights.astype(np.float32)]
    for place in range(count):
        xors = words ^ words[which[:, place]]
        columns.append(_alike(signs(xors), there, reference, which[reference, 0]))
    return normal(np.hstack(columns))


def _alike(xors: Floats, there: Floats, reference: Rows, partner: Rows) -> Floats:
    """How alike a row's XOR is to those of the sample, but for those that the row is itself in."""
    scale = np.float32(1 / max(float((there[:256] @ there[-256:].T).std()), 1e-9))
    found = np.empty((len(xors), 5), np.float32)
    for start in range(0, len(xors), _BLOCK):
        z = xors[start : start + _BLOCK] @ there.T
        z *= scale
        rows = np.arange(start, start + len(z))[:, np.newaxis]
        z[(rows == reference) | (rows == partner)] = 0
        part = found[start : start + _BLOCK]
        part[:, 0] = (z * z).mean(axis=1)
        part[:, 1] = (z * z * z).mean(axis=1)
        for place, cut in enumerate((2, 4, 8), start=2):
            part[:, place] = np.maximum(z - cut, 0).mean(axis=1)
    return found
