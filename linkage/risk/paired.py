"""The comparison round under a hub that knows some people: it compares others with these alone.

An answer about a known person says of the other row what a register can be searched for. Each known
row stands in as many pairs as the quota says, so a hub reaches as many others as it knows people,
each with all its pairs; of the rest it learns nothing this way. It takes known people who are
unlike each other: two of one city tell little more than one.

The evidence of a law (`bylaw`) adds to that of the answers, and is all there is of the rest.

- A rate is over everybody who is not known. How many the hub reaches is part of it, as a hub that
  wants one person may choose whom (`reached`).
- Memory: rows asked about x people.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from linkage.answers import FIELD_BITS, differing
from linkage.risk.bylaw import Evidence
from linkage.risk.people import People
from linkage.risk.unit import unit_counts
from linkage.risk.view import NOBODY, Rows, Trial


def reached(told: Rows, asked: Rows, rows: int) -> Rows:
    """Those of the rows asked about, themselves at random, to whom the hub's pairs extend.

    Args:
        rows: of the view.
    """
    share = min(1.0, len(told) / max(1, rows - len(told)))
    count = round(share * len(asked))
    return asked[np.arange(count) * len(asked) // max(count, 1)]


def by_known_pairs(
    trial: Trial,
    view_fields: Sequence[sp.csr_matrix],
    register_fields: Sequence[sp.csr_matrix],
    quota: int,
    told: Rows,
    asked: Rows,
    rng: np.random.Generator,
    *,
    law: Evidence | None = None,
) -> Rows:
    """Guesses for rows that are asked about.

    Args:
        view_fields, register_fields: as in `by_round`.
        quota: how many pairs per row are asked about, all runs together.
        told: rows whose person is known.
        asked: some others, at random.
        law: of the same rows; its evidence counts, too.

    Returns:
        (rows of the view,) who of the register; `NOBODY` of whom there is no evidence.
    """
    guess = np.full(len(trial.view), NOBODY)
    if not len(told):
        return guess
    persons = trial.truth[told]
    people = np.setdiff1d(np.arange(len(trial.register)), persons)
    targets = reached(told, asked, len(trial.view))
    everybody = People(register_fields, rng)
    partners = _unlike(everybody, persons, quota, len(targets), rng)
    row = np.repeat(targets, partners.shape[1])
    other = told[partners.ravel()]
    seen = np.empty((len(row), len(view_fields)), np.int64)
    for f, field in enumerate(view_fields):
        tokens = unit_counts(field)
        cosine = np.asarray(tokens[row].multiply(tokens[other]).sum(axis=1)).ravel()
        seen[:, f] = rng.binomial(FIELD_BITS, differing(cosine))
    evidence = law.values.copy() if law else np.zeros((len(asked), len(people)), np.float32)
    places = np.searchsorted(asked, row)
    everybody.against(seen, places, persons[partners.ravel()], people, evidence)
    named = asked if law else targets
    guess[named] = people[evidence[np.searchsorted(asked, named)].argmax(axis=1)]
    return guess


def _unlike(
    people: People, persons: Rows, quota: int, targets: int, rng: np.random.Generator
) -> Rows:
    """(targets, quota): places of known people for each, of different values where there are some.

    Known people in the order of a field's values are cut into as many parts as pairs; each target
    has one of every part. The field is the one that is most often equal, of those of many values.
    """
    count = min(quota, len(persons))
    values = [np.unique(own, return_inverse=True)[1] for own in people.values[persons].T]
    telling = [
        (np.bincount(own) ** 2).sum() / len(own) ** 2 if own.max() + 1 >= 2 * count else 0.0
        for own in values
    ]
    order = np.lexsort((rng.random(len(persons)), values[int(np.argmax(telling))]))
    drawn = [rng.choice(part, targets) for part in np.array_split(order, count)]
    return np.stack(drawn, axis=1)
