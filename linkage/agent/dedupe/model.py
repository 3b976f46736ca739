"""How probable it is that two records are one person, learned without truth.

- The Fellegi-Sunter model in `recordlinkage.ECMClassifier`: per feature and level a probability
  among pairs of one person (m) and among others (u), by EM, from the candidates that do not
  contradict each other and as many random pairs. Missing is a level of its own.
- It starts from fixed weights: m from `USUAL_M`, u as measured on random pairs of this very file.
  A pair of every level in an alike and in an unlike surrounding is added, so that no level has
  probability zero in either class.
- The odds that are told lie halfway between what was learned and the fixed weights, on a log
  scale: measured, that is better than either.
- What was learned is refused, and the fixed weights used alone, if there are fewer than
  `FEWEST_FEATURES` features or `FEWEST_PAIRS` candidates, if it did not come to numbers, if it
  calls no pair one person, or if the fixed weights give those that it does less than
  `LEAST_PLAUSIBLE` on average: then it has found something else that repeats, such as households.
- Deterministic: random pairs are drawn from a fixed seed over records sorted by content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import recordlinkage
from recordlinkage.algorithms.nb_sklearn import ECM

from linkage.agent.dedupe.comparison import Compared, Comparer, Feature
from linkage.agent.dedupe.levels import Level, Levels
from linkage.agent.dedupe.recordset import Rows
from linkage.agreement import FieldType

Floats = npt.NDArray[np.float64]

FEWEST_FEATURES = 4
FEWEST_PAIRS = 500
RANDOM_PAIRS = 50_000
TRAINED_PAIRS = 1 << 18
CALLED = 0.5
LEAST_PLAUSIBLE = 0.5
USUAL_PAIRS = 100
DUPLICATES = 0.05
"""Pairs of one person per record that the fixed weights expect beforehand."""

MOST_DUPLICATES = 2
"""Pairs of one person per record that are believed; more than that is a file like no other."""

_SEED = 20260101
_ROUNDS = 300
_TOLERANCE = 1e-5
_FIRST_SHARE = 0.1
_LEAST = 1e-5
_SUREST = 1e-12

_NAME = (0.04, 0.05, 0.11, 0.395, 0.01, 0.395)
_CODE = (0.04, 0.03, 0.03, 0.90, 0.0, 0.0)
_CONTACT = (0.35, 0.02, 0.03, 0.60, 0.0, 0.0)
_AREA = (0.25, 0.03, 0.05, 0.67, 0.0, 0.0)
_OTHER = (0.10, 0.0, 0.0, 0.90, 0.0, 0.0)
USUAL_M: dict[FieldType, tuple[float, ...]] = {
    FieldType.GIVEN_NAME: _NAME,
    FieldType.SURNAME: _NAME,
    FieldType.FULL_NAME: (0.02, 0.10, 0.17, 0.355, 0.0, 0.355),
    FieldType.MIDDLE_NAME: (0.05, 0.20, 0.10, 0.65, 0.0, 0.0),
    FieldType.DATE_OF_BIRTH: (0.02, 0.02, 0.06, 0.90, 0.0, 0.0),
    FieldType.SEX: (0.01, 0.0, 0.0, 0.99, 0.0, 0.0),
    FieldType.NATIONAL_ID: _CODE,
    FieldType.PHONE: _CONTACT,
    FieldType.EMAIL: _CONTACT,
    FieldType.ADDRESS: (0.35, 0.0, 0.10, 0.55, 0.0, 0.0),
    FieldType.CITY: _AREA,
    FieldType.POSTCODE: _AREA,
    FieldType.EXACT: _OTHER,
    FieldType.NUMBER: _OTHER,
}
"""Shares of DIFFERENT, ALIKE, CLOSE, SAME, SWAPPED and SAME_RARE among pairs of records of one
person that both have the feature: a round guess."""

_NAME_U = (0.93, 0.05, 0.01, 0.005, 0.0001, 0.005)
_AREA_U = (0.55, 0.05, 0.05, 0.35, 0.0, 0.0)
_CONTACT_U = (0.997, 0.001, 0.001, 0.001, 0.0, 0.0)
USUAL_U: dict[FieldType, tuple[float, ...]] = {
    FieldType.GIVEN_NAME: _NAME_U,
    FieldType.SURNAME: _NAME_U,
    FieldType.FULL_NAME: (0.93, 0.06, 0.01, 0.0002, 0.0, 0.0002),
    FieldType.MIDDLE_NAME: (0.85, 0.10, 0.02, 0.03, 0.0, 0.0),
    FieldType.DATE_OF_BIRTH: (0.994, 0.005, 0.001, 0.00005, 0.0, 0.0),
    FieldType.SEX: (0.5, 0.0, 0.0, 0.5, 0.0, 0.0),
    FieldType.NATIONAL_ID: (0.995, 0.004, 0.001, 0.0002, 0.0, 0.0),
    FieldType.PHONE: _CONTACT_U,
    FieldType.EMAIL: _CONTACT_U,
    FieldType.ADDRESS: (0.987, 0.0, 0.01, 0.003, 0.0, 0.0),
    FieldType.CITY: _AREA_U,
    FieldType.POSTCODE: _AREA_U,
    FieldType.EXACT: (0.7, 0.0, 0.0, 0.3, 0.0, 0.0),
    FieldType.NUMBER: (0.95, 0.0, 0.0, 0.05, 0.0, 0.0),
}
"""The same among pairs of any two persons; stands for `USUAL_PAIRS` pairs beside the measured."""


class Model(Protocol):
    """Tells match probabilities.

    Attributes:
        method: `ecm` or `fixed`.
        why: why it is `fixed`; else empty.
    """

    method: str
    why: str

    def probabilities(self, levels: Levels) -> Floats:
        """(pairs,) from (pairs, features) levels; contradictions are not its affair."""


def judge(model: Model, compared: Compared) -> Floats:
    """Match probability of each pair; 0 where the two contradict each other."""
    return np.where(compared.contradicting, 0.0, model.probabilities(compared.levels))


def fit(comparer: Comparer, candidates: Compared, records: int) -> Model:
    """The model of a file.

    Args:
        candidates: all pairs that share a block, compared.
        records: how many there are.
    """
    usable = candidates.levels[~candidates.contradicting]
    usable = usable[:: len(usable) // TRAINED_PAIRS + 1]
    others = comparer(*random_pairs(records, max(RANDOM_PAIRS, len(usable)))).levels
    fixed = FixedModel(comparer.features, others, records)
    if len(comparer.features) < FEWEST_FEATURES:
        fixed.why = f"the file has fewer than {FEWEST_FEATURES} features to compare"
        return fixed
    if len(usable) < FEWEST_PAIRS:
        fixed.why = f"fewer than {FEWEST_PAIRS} pairs of records are to be compared"
        return fixed
    learned = LearnedModel(fixed, usable, others[: len(usable)])
    called = learned.learned(usable)
    if not np.isfinite(called).all():
        fixed.why = "the model did not converge"
        return fixed
    if not (called >= CALLED).any():
        fixed.why = "no duplicates stood out to learn from"
        return fixed
    if fixed.probabilities(usable[called >= CALLED]).mean() < LEAST_PLAUSIBLE:
        fixed.why = "what repeats most in this file is not persons"
        return fixed
    return learned


def random_pairs(records: int, count: int) -> tuple[Rows, Rows]:
    """So many pairs of different records, the same every time; all of them if there are fewer."""
    if records * (records - 1) // 2 <= count:
        low, high = np.triu_indices(records, 1)
        return low.astype(np.int64), high.astype(np.int64)
    rng = np.random.default_rng(_SEED)
    one = rng.integers(0, records, count)
    other = rng.integers(0, records - 1, count)
    other += other >= one
    return np.minimum(one, other), np.maximum(one, other)


class FixedModel:
    """Usual m, measured u, and a prior of so many duplicates."""

    method = "fixed"

    def __init__(self, features: tuple[Feature, ...], others: Levels, records: int) -> None:
        self.why = ""
        self._features = features
        self._prior = np.log2(2 * DUPLICATES / max(records - 1, 1))
        self.m = _shares(features, USUAL_M, others[:0])
        self.u = _shares(features, USUAL_U, others[:0])
        # Where a file is small, its duplicates are many among its random pairs; but more than so
        # many are no duplicates.
        alike = self.probabilities(others) >= CALLED
        most = MOST_DUPLICATES * 2 / max(records - 1, 1)
        of_two = others[~alike] if alike.sum() <= most * len(others) else others
        self.m = _shares(features, USUAL_M, others[:0], missing=of_two)
        self.u = _shares(features, USUAL_U, of_two, missing=of_two)

    def probabilities(self, levels: Levels) -> Floats:
        return np.asarray(1 / (1 + 2.0 ** -self.bits(levels)))

    def bits(self, levels: Levels) -> Floats:
        """(pairs,) log2 of the odds."""
        bits = np.full(len(levels), self._prior)
        weights = np.log2(self.m) - np.log2(self.u)
        for place in range(levels.shape[1]):
            bits += weights[place, levels[:, place]]
        return bits


def _shares(
    features: tuple[Feature, ...],
    usual: Mapping[FieldType, tuple[float, ...]],
    measured: Levels,
    missing: Levels | None = None,
) -> Floats:
    """(features, levels) shares of each level, where usual ones stand for `USUAL_PAIRS` pairs."""
    found = np.empty((len(features), len(Level)))
    for place, feature in enumerate(features):
        seen = np.bincount(measured[:, place], minlength=len(Level))
        expected = np.maximum(usual[feature.type], _LEAST)
        known = seen[1:] + USUAL_PAIRS * expected / expected.sum()
        lacking = 0.5
        if missing is not None:
            lacking = (np.count_nonzero(missing[:, place] == Level.MISSING) + 1) / (
                len(missing) + 2
            )
        found[place] = np.append(lacking, known / known.sum() * (1 - lacking))
    return found


class LearnedModel:
    """`ECMClassifier` fitted to candidates and random pairs, halfway to the fixed weights."""

    method = "ecm"
    why = ""

    def __init__(self, fixed: FixedModel, candidates: Levels, others: Levels) -> None:
        levels = np.concatenate([candidates, others])
        levels = np.concatenate([levels, _one_of_each(distinct_rows(levels)[0])])
        self._fixed = fixed
        self._classifier = recordlinkage.ECMClassifier()
        self._classifier.classifier = _LevelECM(fixed)
        with np.errstate(all="ignore"):
            self._classifier.fit(pd.DataFrame(levels.astype(np.int64)))

    def probabilities(self, levels: Levels) -> Floats:
        learned = np.clip(self.learned(levels), _SUREST, 1 - _SUREST)
        bits = (np.log2(learned) - np.log2(1 - learned) + self._fixed.bits(levels)) / 2
        return np.asarray(1 / (1 + 2.0**-bits))

    def learned(self, levels: Levels) -> Floats:
        """(pairs,) match probabilities by what was learned alone."""
        if not len(levels):
            return np.empty(0)
        patterns, place = distinct_rows(levels)
        with np.errstate(all="ignore"):
            found = self._classifier.prob(pd.DataFrame(patterns.astype(np.int64)))
        return np.asarray(found, np.float64)[place]


class _LevelECM(ECM):  # type: ignore[misc]
    """The ECM kernel with more than two levels per feature, started from given shares.

    The kernel itself can do more than two, but its own start ("jaro") is for two only, and its
    other one is random.
    """

    def __init__(self, fixed: FixedModel) -> None:
        super().__init__(init="jaro", binarize=None, max_iter=_ROUNDS, atol=_TOLERANCE)
        self._fixed = fixed

    def _init_parameters_jaro(self, _levels: Any) -> tuple[Floats, Floats]:
        shares = []
        for place, binarizer in enumerate(self._binarizers):
            there = binarizer.classes_.astype(int)
            both = np.stack([self._fixed.u[place, there], self._fixed.m[place, there]])
            shares.append(both / both.sum(axis=1, keepdims=True))
        return np.log([1 - _FIRST_SHARE, _FIRST_SHARE]), np.log(np.concatenate(shares, axis=1))


def _one_of_each(levels: Levels) -> Levels:
    """Every level, once where all else is alike and once where all else is unlike."""
    alike, unlike = (
        np.array([_nearest(column, level) for column in levels.T], np.int8)
        for level in (Level.SAME, Level.DIFFERENT)
    )
    rows = []
    for place in range(levels.shape[1]):
        for level in Level:
            for around in (alike, unlike):
                rows.append(around.copy())
                rows[-1][place] = level
    return np.stack(rows)


def _nearest(column: Levels, level: Level) -> int:
    there = np.unique(column).astype(int)
    return int(there[np.argmin(np.abs(there - level))])


def distinct_rows(levels: Levels) -> tuple[Levels, Rows]:
    """The different rows, and for each row which one it is."""
    number = np.zeros(len(levels), np.int64)
    for column in levels.T:
        number = np.unique(number * len(Level) + column, return_inverse=True)[1]
    _, first, place = np.unique(number, return_index=True, return_inverse=True)
    return levels[first], place
