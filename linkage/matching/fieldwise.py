"""Turn two sides' pair-keyed answers into comparison vectors: how alike are the fields.

- A level is where the likeness of the two lists of tokens, which the distance estimates, falls
  among `CUTS`; equal encodings are a level of their own. Below the least cut answers do not tell
  likeness from chance, by design. A field that either side lacks says nothing.
- A swap that the manifest declares is a dimension of its own: not swapped, or how alike the two
  fields are crosswise. Where they are clearly more alike crosswise than straight, they speak
  crosswise only. A middle name and another name need be alike one way alone, since a surname
  that became a middle name leaves nothing in return. Initials are never held crosswise.
- A name's frequency class is a dimension of its own, which speaks only where the names agree:
  P(agree, rare) = P(agree) * P(rare, given that they agree).
- The fields of a declared group depend on each other and are weighed together (see `model`).

    vectors = compare_fields(ours, theirs, manifest.fields, manifest.matching)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.agreement.fields import FieldType, IdentifierField
from linkage.agreement.manifest import Matching
from linkage.answers import FIELD_BITS, Answers, differing
from linkage.errors import InvalidRequestError
from linkage.matching.comparison import MISSING_LEVEL, ComparisonVectors, Dimension
from linkage.matching.popcount import popcount

CUTS = (0.78, 0.86, 0.93)
EXACT = len(CUTS) + 1
_NEAR = 3
_CLEARLY = 1

_REACH = (FIELD_BITS * differing(CUTS)).astype(np.int64)
"""The largest distance of each level, from the least alike."""

Levels = npt.NDArray[np.uint8]


def compare_fields(
    left: Answers, right: Answers, fields: Sequence[IdentifierField], matching: Matching
) -> ComparisonVectors:
    """Comparison vectors of pairs, from what both sides answered for them.

    Args:
        left, right: answer n of either side is of pair n; fields in the manifest's order.

    Raises:
        InvalidRequestError: the answers are not of equally many pairs or of these fields.
    """
    if left.words.shape != right.words.shape or left.words.shape[1:2] != (len(fields),):
        raise InvalidRequestError("the two sides' answers are not of the same pairs and fields")
    names = [field.name for field in fields]
    swaps = [(names.index(a), names.index(b)) for a, b in matching.swaps]
    classed = [n for n, field in enumerate(fields) if field.frequency]
    levels = np.empty((len(left), len(fields) + len(swaps) + len(classed)), np.uint8)
    _levels(left.words, right.words, left.present & right.present, _REACH, levels)
    _ignore_lone_initials(left, right, levels)
    straight = levels[:, : len(fields)].copy()
    for place, (a, b) in enumerate(swaps, start=len(fields)):
        moved = FieldType.MIDDLE_NAME in {fields[a].type, fields[b].type}
        levels[:, place], swapped = _crosswise(left, right, straight, a, b, moved=moved)
        for n in (a, b):
            levels[swapped, n] = MISSING_LEVEL
    for place, n in enumerate(classed, start=len(fields) + len(swaps)):
        levels[:, place] = _classes(left.frequency[:, n], right.frequency[:, n], levels[:, n])
    return as_vectors(levels, fields, matching)


def as_vectors(
    levels: Levels, fields: Sequence[IdentifierField], matching: Matching
) -> ComparisonVectors:
    """Levels that `compare_fields` has found before, with what their columns are."""
    names = [field.name for field in fields]
    dimensions = [
        *(_field(field) for field in fields),
        *(_swap(f"{a}~{b}") for a, b in matching.swaps),
        *(_class(f"{field.name} frequency") for field in fields if field.frequency),
    ]
    return ComparisonVectors(levels, tuple(dimensions), _groups(names, matching, len(dimensions)))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _levels(
    left: npt.NDArray[np.uint64],
    right: npt.NDArray[np.uint64],
    both: npt.NDArray[np.bool_],
    reach: npt.NDArray[np.int64],
    out: Levels,
) -> None:
    pairs, fields, words = left.shape
    for n in range(pairs):
        for f in range(fields):
            if not both[n, f]:
                out[n, f] = MISSING_LEVEL
                continue
            distance = np.int64(0)
            for w in range(words):
                distance += np.int64(popcount(left[n, f, w] ^ right[n, f, w]))
            level = 0
            while level < len(reach) and distance <= reach[level]:
                level += 1
            out[n, f] = level + 1 if distance == 0 else level


def _ignore_lone_initials(left: Answers, right: Answers, levels: Levels) -> None:
    """An initial against a whole name says nothing: their tokens hardly meet even where it fits."""
    fields = left.initial.shape[1]
    levels[:, :fields][left.initial != right.initial] = MISSING_LEVEL


def _crosswise(
    left: Answers, right: Answers, straight: Levels, a: int, b: int, *, moved: bool
) -> tuple[Levels, npt.NDArray[np.bool_]]:
    """Levels of one swap (0 not swapped, 1 near, 2 equal), and which pairs are swapped."""
    one, one_known = _across(left, right, a, b)
    other, other_known = _across(left, right, b, a)
    cross = np.maximum(one, other) if moved else np.minimum(one, other)
    known = one_known | other_known if moved else one_known & other_known
    best = np.where(straight == MISSING_LEVEL, 0, straight)[:, [a, b]].max(axis=1)
    swapped = (cross >= _CLEARLY) & (cross > best)
    found = np.where(swapped, np.where(cross == EXACT, 2, 1), 0).astype(np.uint8)
    found[~known] = MISSING_LEVEL
    return found, swapped


def _across(left: Answers, right: Answers, a: int, b: int) -> tuple[Levels, npt.NDArray[np.bool_]]:
    """How alike the left side's field a and the right side's field b are, 0 where not known."""
    known = left.present[:, a] & right.present[:, b] & ~left.initial[:, a] & ~right.initial[:, b]
    found = np.empty((len(left), 1), np.uint8)
    one, other = left.words[:, a : a + 1], right.words[:, b : b + 1]
    _levels(one, other, known[:, np.newaxis], _REACH, found)
    return np.where(known, found[:, 0], 0).astype(np.uint8), known


def _classes(left: Levels, right: Levels, agreement: Levels) -> Levels:
    """0 common, 1 medium, 2 rare, where names agree; the commoner of the two where they differ."""
    known = (left > 0) & (right > 0) & (agreement >= _NEAR) & (agreement != MISSING_LEVEL)
    return np.where(known, np.minimum(left, right) - 1, MISSING_LEVEL).astype(np.uint8)


def _groups(names: list[str], matching: Matching, count: int) -> tuple[tuple[int, ...], ...]:
    declared = [tuple(names.index(name) for name in group) for group in matching.dependent]
    grouped = {n for group in declared for n in group}
    return (*declared, *((n,) for n in range(count) if n not in grouped))


# What is expected of two records before anything is known of the files. How often two records of
# one person are at each level: names and other texts, and codes that are either equal or not.
_ALIKE = np.array([0.07, 0.04, 0.04, 0.05, 0.80])
# How often two records of different people agree exactly, by type.
_BY_CHANCE = {
    FieldType.GIVEN_NAME: 1 / 200,
    FieldType.MIDDLE_NAME: 1 / 100,
    FieldType.SURNAME: 1 / 500,
    FieldType.FULL_NAME: 1 / 50_000,
    FieldType.DATE_OF_BIRTH: 1 / 10_000,
    FieldType.SEX: 1 / 2,
    FieldType.PHONE: 1 / 50_000,
    FieldType.ADDRESS: 1 / 2_000,
    FieldType.CITY: 1 / 20,
    FieldType.POSTCODE: 1 / 100,
    FieldType.NATIONAL_ID: 1 / 200_000,
    FieldType.EMAIL: 1 / 100_000,
    FieldType.EXACT: 1 / 4,
    FieldType.NUMBER: 1 / 50,
}
# And how often they seem alike though they are not.
_BY_NOISE = 0.005


def _field(field: IdentifierField) -> Dimension:
    exact = _BY_CHANCE[field.type]
    close = min(exact, 0.01)
    u = np.array([0.0, _BY_NOISE + 2 * close, close, close, exact])
    u[0] = 1 - u.sum()
    return Dimension(field.name, _ALIKE, u, alike_from=_CLEARLY)


def _swap(name: str) -> Dimension:
    m, u = np.array([0.99, 0.003, 0.007]), np.array([0.9999, 0.00008, 0.00002])
    return Dimension(name, m, u)


def _class(name: str) -> Dimension:
    return Dimension(name, np.array([0.4, 0.3, 0.3]), np.array([0.75, 0.2, 0.05]))
