"""Weights of levels: how much commoner each is among matches (m) than among non-matches (u).

- A dimension alone in its group weighs log2(m / u) of its level; "missing" weighs nothing.
- The fields of a larger group depend on each other, so their sum is no weight: it only puts pairs
  in order. The group's weight is log2(m / u) of where that sum falls, learnt like a level.
- Match keys are several views of the same fields: their sum is tempered, which gives the right
  order but no scale (`calibration` sets it).
- u is estimated from all pairs there are: the candidates, each as far as it is no match, stand
  for themselves, and the decoys that are no candidates stand for all the rest. So few decoys do:
  what few non-matches have in common, a household for instance, is among the candidates.
- Weights never fall with likeness. What is expected of a dimension counts as a few pairs.
- Pairs of equal levels are one pattern: the work is per pattern, not per pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.matching.comparison import MISSING_LEVEL, ComparisonVectors, Dimension
from linkage.matching.sources import Floats

_EXPECTED_MATCHES = 10.0
_EXPECTED_NON_MATCHES = 4.0
_STEP = 3.0
"""Bits between two levels of a group."""

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Patterns:
    """The distinct comparison vectors of some pairs.

    Attributes:
        levels: (patterns, dimensions) uint8.
        of: (pairs,) the pattern of each pair.
    """

    levels: npt.NDArray[np.uint8]
    of: npt.NDArray[np.intp]

    @classmethod
    def find(cls, vectors: ComparisonVectors) -> Patterns:
        levels = np.ascontiguousarray(vectors.levels)
        if not len(levels):
            return cls(levels, np.empty(0, np.intp))
        code = np.zeros(len(levels), np.uint64)
        for n, dimension in enumerate(vectors.dimensions):
            states = np.uint64(len(dimension.m) + 1)
            if int(code.max()) > (1 << 63) // int(states):
                code = np.unique(code, return_inverse=True)[1].astype(np.uint64)
            code = code * states + np.minimum(levels[:, n], len(dimension.m)).astype(np.uint64)
        _, first, of = np.unique(code, return_index=True, return_inverse=True)
        return cls(levels[first], of)

    def mass(self, of_pairs: Floats) -> Floats:
        """Per pattern the sum over its pairs."""
        return np.bincount(self.of, of_pairs, minlength=len(self.levels)).astype(np.float64)


@dataclass(frozen=True)
class Sample:
    """Patterns and how many pairs of either kind each stands for.

    Attributes:
        levels: (patterns, dimensions).
        matches: (patterns,) expected matches among the candidates.
        others: (patterns,) non-matches among all pairs there are.
        seen: (patterns,) non-matches looked at, which says how much `others` is worth.
    """

    levels: npt.NDArray[np.uint8]
    matches: Floats
    others: Floats
    seen: Floats


@dataclass(frozen=True)
class Weights:
    """What was learnt.

    Attributes:
        groups: as in `ComparisonVectors`.
        tables: per dimension, (levels,) log2 weights.
        ladders: per group of several fields, where the sums of its dimensions' weights are cut
            (steps - 1,) and what each step weighs (steps,); None for a group of one, and for one
            of match keys, whose weights are tempered.
    """

    groups: Groups
    tables: tuple[Floats, ...]
    ladders: tuple[tuple[Floats, Floats] | None, ...]

    @classmethod
    def textbook(cls, dimensions: tuple[Dimension, ...], groups: Groups) -> Weights:
        """Weights from what is expected alone; a larger group's sum is tempered."""
        tables = tuple(rising(np.log2(d.m / d.u), d.m + d.u) for d in dimensions)
        ladders = tuple(_tempered(tables, group, dimensions) for group in groups)
        return cls(groups, tables, ladders)

    def parts(self, levels: npt.NDArray[np.uint8]) -> Floats:
        """(patterns, groups) what each group adds."""
        found = np.empty((len(levels), len(self.groups)))
        for place, (group, ladder) in enumerate(zip(self.groups, self.ladders, strict=True)):
            if ladder is None:
                found[:, place] = _tempered_sum(levels, self.tables, group)
                continue
            total, known = _sums(levels, self.tables, group)
            cuts, steps = ladder
            found[:, place] = np.where(
                known, steps[np.searchsorted(cuts, total, side="right")], 0.0
            )
        return found

    def __call__(self, levels: npt.NDArray[np.uint8]) -> Floats:
        """(patterns,) the sum of all parts."""
        total: Floats = self.parts(levels).sum(axis=1)
        return total

    def plain(self, dimensions: tuple[Dimension, ...]) -> dict[str, Any]:
        """As values for a report."""
        names = [dimension.name for dimension in dimensions]
        groups = []
        for group, ladder in zip(self.groups, self.ladders, strict=True):
            if ladder is not None:
                cuts, steps = (part.round(4).tolist() for part in ladder)
                groups.append({"of": [names[n] for n in group], "cuts": cuts, "weights": steps})
        return {
            "level_weights": {
                name: table.round(4).tolist()
                for name, table in zip(names, self.tables, strict=True)
            },
            "groups": groups,
        }


def alike_in_person(
    levels: npt.NDArray[np.uint8], dimensions: tuple[Dimension, ...], groups: Groups, bits: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(patterns,) whether nothing that tells persons apart is unlike, and what is alike is
    expected to weigh so many bits at least; and whether what is known could weigh so many.

    What stands in a larger group does not count: households share it, and people move.
    """
    clean = np.ones(len(levels), np.bool_)
    weight, most = np.zeros(len(levels)), np.zeros(len(levels))
    for n in (group[0] for group in groups if len(group) == 1):
        dimension = dimensions[n]
        if dimension.alike_from is not None:
            known = levels[:, n] != MISSING_LEVEL
            level = np.minimum(levels[:, n], len(dimension.m) - 1)
            expected = np.log2(dimension.m / dimension.u)
            weight += np.where(known, expected[level], 0.0)
            most += np.where(known, expected[-1], 0.0)
            clean &= ~known | (level >= dimension.alike_from)
    return clean & (weight >= bits), most >= bits


def learn(sample: Sample, dimensions: tuple[Dimension, ...], groups: Groups) -> Weights:
    """Weights from what was seen."""
    tables = tuple(
        _table(sample, sample.levels[:, n], dimension.m, dimension.u)
        for n, dimension in enumerate(dimensions)
    )
    ladders = tuple(_ladder(sample, tables, group, dimensions) for group in groups)
    return Weights(groups, tables, ladders)


def _table(
    sample: Sample, levels: npt.NDArray[np.integer[Any]], expected_m: Floats, expected_u: Floats
) -> Floats:
    """log2(m / u) by level, never falling; what is expected counts as a few pairs.

    Levels that fall are put together, each counting as much as it was seen: one that hardly
    occurs cannot lift those above it.
    """

    def count(mass: Floats) -> Floats:
        found = np.bincount(levels, mass, minlength=MISSING_LEVEL + 1)
        return found[: len(expected_m)].astype(np.float64)

    m, u, seen = count(sample.matches), count(sample.others), count(sample.seen)
    each = max(float(u.sum()) / max(float(seen.sum()), 1.0), 1.0)
    prior_m, prior_u = _EXPECTED_MATCHES * expected_m, _EXPECTED_NON_MATCHES * expected_u
    ratio = np.log2((m + prior_m) / (m.sum() + _EXPECTED_MATCHES)) - np.log2(
        (u + each * prior_u) / (u.sum() + each * _EXPECTED_NON_MATCHES)
    )
    return rising(ratio, m + prior_m + seen + prior_u)


def _sums(
    levels: npt.NDArray[np.uint8], tables: tuple[Floats, ...], group: tuple[int, ...]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The sum of a group's level weights, and whether any of its dimensions is known."""
    total, known = np.zeros(len(levels)), np.zeros(len(levels), np.bool_)
    for n in group:
        here = levels[:, n] != MISSING_LEVEL
        total += np.where(here, tables[n][np.minimum(levels[:, n], len(tables[n]) - 1)], 0.0)
        known |= here
    return total, known


def _cuts(tables: tuple[Floats, ...], group: tuple[int, ...]) -> Floats:
    low = sum(min(float(tables[n][0]), 0.0) for n in group)
    high = sum(max(float(tables[n][-1]), 0.0) for n in group)
    steps = np.arange(np.ceil(low / _STEP), np.ceil(high / _STEP))
    return np.asarray(steps * _STEP + _STEP / 2, np.float64)


def _tempered_sum(
    levels: npt.NDArray[np.uint8], tables: tuple[Floats, ...], group: tuple[int, ...]
) -> Floats:
    """Views of one and the same: what speaks for a match is divided by the root of how many are
    known; what speaks against it by their number, since one wrong field is the same failure in
    every view it is in. For a group of one, the weight itself.
    """
    for_it, against, known = np.zeros(len(levels)), np.zeros(len(levels)), np.zeros(len(levels))
    for n in group:
        here = levels[:, n] != MISSING_LEVEL
        weight = np.where(here, tables[n][np.minimum(levels[:, n], len(tables[n]) - 1)], 0.0)
        for_it += np.maximum(weight, 0)
        against += np.minimum(weight, 0)
        known += here
    known = np.maximum(known, 1)
    total: Floats = for_it / np.sqrt(known) + against / known
    return total


def _tempered(
    tables: tuple[Floats, ...], group: tuple[int, ...], dimensions: tuple[Dimension, ...]
) -> tuple[Floats, Floats] | None:
    """A ladder before anything is known: the mean of the dimensions, as if one spoke for all.

    More would take the people of one household for one person from the start.
    """
    if len(group) == 1 or any(dimensions[n].alike_from is None for n in group):
        return None
    cuts = _cuts(tables, group)
    middles = np.concatenate([cuts[:1] - _STEP / 2, cuts + _STEP / 2])
    return cuts, middles / len(group)


def _ladder(
    sample: Sample,
    tables: tuple[Floats, ...],
    group: tuple[int, ...],
    dimensions: tuple[Dimension, ...],
) -> tuple[Floats, Floats] | None:
    expected = _tempered(tables, group, dimensions)
    if expected is None:
        return None
    cuts, tempered = expected
    sums, known = _sums(sample.levels, tables, group)
    steps = np.where(known, np.searchsorted(cuts, sums, side="right"), MISSING_LEVEL)
    u = np.exp2(-tempered)
    return cuts, _table(sample, steps, np.full(len(u), 1 / len(u)), u / u.sum())


def rising(values: Floats, mass: Floats) -> Floats:
    """The closest never-falling sequence (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []
    for value, own in zip(values.tolist(), mass.tolist(), strict=True):
        pool = (value, own, 1)
        while pools and pools[-1][0] > pool[0]:
            before = pools.pop()
            total = before[1] + pool[1]
            mean = (before[0] * before[1] + pool[0] * pool[1]) / total
            pool = (mean, total, before[2] + pool[2])
        pools.append(pool)
    out: Floats = np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])
    return out
