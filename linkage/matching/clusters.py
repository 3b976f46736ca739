"""Join links between files into clusters: one cluster, one person.

- Rows that a partner knows to be one person are in one cluster from the start.
- Links are taken from the most probable to the least. A link joins the clusters of its two
  rows, unless that would put two rows of a unique file into one cluster: then it is refused.
- Every row of every file is in exactly one cluster; a row without a link is alone in its own.
- Clusters are numbered from 0 in the order of their first row (partners as given, then rows),
  so equal input gives equal numbers. The numbers mean nothing outside one run.
- Memory is O(rows + links).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from linkage.errors import InvalidRequestError
from linkage.matching.assignment import assign
from linkage.matching.model import ScoredPairs
from linkage.matching.sources import Source

PartnerPair = tuple[str, str]


@dataclass(frozen=True)
class Clusters:
    """Which rows are one person.

    Attributes:
        of: per partner, (rows,) int64 number of each row's cluster.
        links: per partner pair, mask over its scored pairs: the links that hold.
        refused: links that the constraint of a unique file refused.
        count: number of clusters, single rows included.
    """

    of: Mapping[str, npt.NDArray[np.int64]]
    links: Mapping[PartnerPair, npt.NDArray[np.bool_]]
    refused: int
    count: int


def resolve(
    sources: Sequence[Source], scored: Mapping[PartnerPair, ScoredPairs], threshold: float
) -> Clusters:
    """Clusters over all partners from the links at or above a match probability.

    Args:
        scored: per (left partner, right partner); the same name twice means duplicates
            within that partner's file.

    Raises:
        InvalidRequestError: a partner of `scored` is not among the sources.
    """
    by_name = {source.partner: source for source in sources}
    first: dict[str, int] = {}
    total = 0
    for source in sources:
        first[source.partner] = total
        total += source.rows
    columns = [
        _links(pair, scored[pair], sources=by_name, first=first, number=number, threshold=threshold)
        for number, pair in enumerate(scored)
    ]
    one, other, probability, weight, pair_number, place = _joined(columns)

    order = np.lexsort((other, one, pair_number, -weight, -probability))
    parent = np.concatenate(
        [np.empty(0, np.int64), *(first[s.partner] + s.persons.astype(np.int64) for s in sources)]
    )
    held = np.zeros(total, np.uint64)
    for position, source in enumerate(sources):
        if source.unique:
            rows = slice(first[source.partner], first[source.partner] + source.rows)
            held[rows] = np.uint64(1) << np.uint64(position)
    accepted = np.zeros(len(order), np.bool_)
    _join(order, one, other, parent, held, accepted)

    links = {}
    for number, pair in enumerate(scored):
        mask = np.zeros(len(scored[pair].left), np.bool_)
        mask[place[accepted & (pair_number == number)]] = True
        links[pair] = mask
    labels, count = _number(_roots(parent))
    of = {
        source.partner: labels[first[source.partner] : first[source.partner] + source.rows]
        for source in sources
    }
    return Clusters(of, links, int(len(order) - accepted.sum()), count)


def _links(
    pair: PartnerPair,
    scored: ScoredPairs,
    *,
    sources: Mapping[str, Source],
    first: Mapping[str, int],
    number: int,
    threshold: float,
) -> tuple[Any, ...]:
    for name in pair:
        if name not in sources:
            raise InvalidRequestError(f"scored pairs name {name!r}, which is not a source")
    left, right = pair
    chosen = assign(
        scored,
        unique_left=sources[left].unique and left != right,
        unique_right=sources[right].unique and left != right,
    )
    index = np.flatnonzero(chosen & (scored.probability >= threshold))
    return (
        scored.left[index].astype(np.int64) + first[left],
        scored.right[index].astype(np.int64) + first[right],
        scored.probability[index],
        scored.weight[index],
        np.full(len(index), number),
        index,
    )


def _joined(columns: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    if not columns:
        return tuple(np.empty(0, np.int64) for _ in range(6))
    return tuple(np.concatenate(parts) for parts in zip(*columns, strict=True))


def _roots(parent: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    while True:
        higher = parent[parent]
        if np.array_equal(higher, parent):
            return parent
        parent = higher


def _number(roots: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    _, first, inverse = np.unique(roots, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse], len(first)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _join(
    order: npt.NDArray[np.int64],
    one: npt.NDArray[np.int64],
    other: npt.NDArray[np.int64],
    parent: npt.NDArray[np.int64],
    held: npt.NDArray[np.uint64],
    accepted: npt.NDArray[np.bool_],
) -> None:
    for n in order:
        a, b = one[n], other[n]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a == b:
            accepted[n] = True
            continue
        if held[a] & held[b]:
            continue
        low, high = min(a, b), max(a, b)
        parent[high] = low
        held[low] |= held[high]
        accepted[n] = True
