"""Plan a comparison round: who is asked about which pairs, so that nobody learns anything from it.

- In every list each row stands exactly `quota` times, whatever the files, so a list tells an agent
  nothing about who matches. Within one file a single list holds both rows of every pair.
- Decoys are uniformly random pairs and claim their places first, so they are an unbiased sample of
  all pairs; a row may lose its least promising candidate to one, but at most a quarter of its
  places. (That bound is the same for every row, so it favours no pair.) A decoy that is also a
  candidate is one entry that counts as both.
- Then the candidates by falling score, while both rows have room. Then filler: what is still free
  on both sides, joined at random, no pair twice. What finds no partner gets a dummy entry under an
  id that the other side never sees.
- Pair ids are random and lists are in their order, so that a place in a list says nothing either.
- Memory is O(rows x quota).

    plan = plan_requests(left, right, candidates, random=random)
    plan.lists[0].to_bytes()
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.answers import PAIR_ID_BYTES, Requests
from linkage.matching.candidates import Candidates, claim
from linkage.matching.sources import Rows, Source

DECOYS = 100_000
_DECOY_SHARE = 4
_SMALL = 1 << 14
_ROUNDS = 8

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """Pairs that both sides are asked about.

    Attributes:
        left, right: (n,) rows; within one file left < right.
        left_place, right_place: (n,) where the pair stands in the left and the right side's list,
            which are the same list within one file.
    """

    left: Rows
    right: Rows
    left_place: Index
    right_place: Index

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True)
class Entries:
    """What the entries of a comparison's lists are, where they are not thrown away.

    Attributes:
        candidates: those of the candidate pairs that found room.
        kept: (n,) their places among `Candidates.pairs`, ascending.
        decoys: random pairs, in no order.
    """

    candidates: Asked
    kept: Index
    decoys: Asked


@dataclass(frozen=True)
class Plan:
    """One comparison's lists: the left and the right side's; a single one within one file."""

    lists: tuple[Requests, ...]
    entries: Entries


def plan_requests(
    left: Source,
    right: Source,
    candidates: Candidates,
    *,
    random: np.random.Generator,
    draw_ids: Callable[[int], bytes] = os.urandom,
) -> Plan:
    """Plan the lists of one comparison; the same partner twice means pairs within its file.

    Args:
        random: draws decoys and filler; seeded from the system, except in tests.
        draw_ids: gives so many random bytes. From a generator whose state can be worked out, ids
            would tell an agent in which order its entries were made.
    """
    within = left.partner == right.partner
    quota = candidates.quota
    used_left = np.zeros(left.rows, np.int32)
    used_right = used_left if within else np.zeros(right.rows, np.int32)

    drawn = _draw_decoys(left, right, quota, random, within=within)
    most = max(1, quota // 4)
    decoys = drawn[_claimed(drawn, np.arange(len(drawn)), most, used_left, used_right)]
    wanted = _pack(candidates.pairs.left, candidates.pairs.right)
    both = _among(wanted, decoys)
    order = np.lexsort((wanted, -candidates.pairs.score))
    order = order[~both[order]]
    kept = _claimed(wanted, order, quota, used_left, used_right) | both
    known = np.concatenate([decoys, wanted[kept & ~both]])
    filler, spare = _fill_up(
        known,
        _repeated(quota - used_left, random),
        None if within else _repeated(quota - used_right, random),
        random,
    )
    pairs = np.concatenate([known, filler])
    lists, places = _lists(pairs, spare, draw_ids)

    order = np.argsort(pairs)
    of_candidates = order[np.searchsorted(pairs, wanted[kept], sorter=order)]

    def asked(which: Index) -> Asked:
        rows_left, rows_right = _unpack(pairs[which])
        return Asked(rows_left, rows_right, places[0][which], places[1][which])

    of_decoys = np.arange(len(decoys), dtype=np.int64)
    entries = Entries(asked(of_candidates), np.flatnonzero(kept), asked(of_decoys))
    return Plan(lists, entries)


def _draw_decoys(
    left: Source, right: Source, quota: int, random: np.random.Generator, *, within: bool
) -> Index:
    """Distinct random pairs, packed, in random order: at most a quarter of the pairs asked about.

    Within one file, rows that the partner knows to be one person make no pair.
    """
    slots = left.rows // 2 * quota if within else min(left.rows, right.rows) * quota
    wanted = min(DECOYS, slots // _DECOY_SHARE)
    every = left.rows * right.rows
    if every <= _SMALL:
        rows = random.permutation(every)
        one, other = np.divmod(rows, max(right.rows, 1))
    else:
        # Twice as many as are wanted: some will be drawn twice.
        one = random.integers(0, left.rows, 2 * wanted)
        other = random.integers(0, right.rows, 2 * wanted)
    if within:
        apart = left.persons[one] != left.persons[other]
        one, other = np.minimum(one, other)[apart], np.maximum(one, other)[apart]
    packed = _pack(one, other)
    _, first = np.unique(packed, return_index=True)
    return packed[np.sort(first)[:wanted]]


def _claimed(
    packed: Index, order: Index, most: int, used_left: Rows, used_right: Rows
) -> npt.NDArray[np.bool_]:
    """Which pairs find room, one after another in the given order, where a row has `most` places.

    Args:
        used_left, used_right: how many places of each row are taken; counts up.
    """
    rows_left, rows_right = _unpack(packed)
    found = np.zeros(len(packed), np.bool_)
    claim(order, rows_left, rows_right, most, used_left, used_right, found)
    return found


def _fill_up(
    known: Index, free_left: Index, free_right: Index | None, random: np.random.Generator
) -> tuple[Index, tuple[Index, ...]]:
    """Join free places at random into pairs that are not there yet.

    Args:
        known: the pairs that are there.
        free_left, free_right: the row of each free place, shuffled; None on the right joins the
            left ones with each other.

    Returns:
        The new pairs, and per list the rows of the places that are left over.
    """
    found: list[Index] = []
    for _ in range(_ROUNDS):
        if free_right is None:
            half = len(free_left) // 2
            one, other, rest = free_left[:half], free_left[half : 2 * half], free_left[2 * half :]
            packed = _pack(np.minimum(one, other), np.maximum(one, other))
            fresh = _fresh(packed, known) & (one != other)
            free_left = np.concatenate([one[~fresh], other[~fresh], rest])
        else:
            count = min(len(free_left), len(free_right))
            packed = _pack(free_left[:count], free_right[:count])
            fresh = _fresh(packed, known)
            free_left = np.concatenate([free_left[:count][~fresh], free_left[count:]])
            free_right = np.concatenate([free_right[:count][~fresh], free_right[count:]])
            random.shuffle(free_right)
        random.shuffle(free_left)
        found.append(packed[fresh])
        known = np.concatenate([known, packed[fresh]])
        if fresh.all():
            break
    spare = (free_left,) if free_right is None else (free_left, free_right)
    return np.concatenate(found), spare


def _fresh(packed: Index, known: Index) -> npt.NDArray[np.bool_]:
    """Which pairs stand for the first time."""
    _, first = np.unique(packed, return_index=True)
    fresh = np.zeros(len(packed), np.bool_)
    fresh[first] = True
    return fresh & ~_among(packed, known)


def _among(packed: Index, known: Index) -> npt.NDArray[np.bool_]:
    if not len(known):
        return np.zeros(len(packed), np.bool_)
    ordered = np.sort(known)
    place = np.minimum(np.searchsorted(ordered, packed), len(ordered) - 1)
    found: npt.NDArray[np.bool_] = ordered[place] == packed
    return found


def _lists(
    pairs: Index, spare: tuple[Index, ...], draw_ids: Callable[[int], bytes]
) -> tuple[tuple[Requests, ...], tuple[Index, Index]]:
    """The lists in the order of their ids, and where each pair stands on either side."""
    rows_left, rows_right = (rows.astype(np.int64) for rows in _unpack(pairs))
    ids = _draw(len(pairs), draw_ids)
    if len(spare) == 1:
        every = np.concatenate([ids, ids, _draw(len(spare[0]), draw_ids)])
        one, places = _list(every, np.concatenate([rows_left, rows_right, *spare]))
        return (one,), (places[: len(pairs)], places[len(pairs) : 2 * len(pairs)])
    made = [
        _list(np.concatenate([ids, _draw(len(free), draw_ids)]), np.concatenate([rows, free]))
        for rows, free in zip((rows_left, rows_right), spare, strict=True)
    ]
    (left, places_left), (right, places_right) = made
    return (left, right), (places_left[: len(pairs)], places_right[: len(pairs)])


def _list(ids: npt.NDArray[np.uint8], rows: Index) -> tuple[Requests, Index]:
    high, low = ids.view(">u8").reshape(-1, 2).astype(np.uint64).T
    order = np.lexsort((rows, low, high))
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return Requests(ids[order], rows[order]), places


def _draw(count: int, draw_ids: Callable[[int], bytes]) -> npt.NDArray[np.uint8]:
    raw = np.frombuffer(draw_ids(count * PAIR_ID_BYTES), np.uint8)
    return raw.reshape(count, PAIR_ID_BYTES)


def _repeated(free: Rows, random: np.random.Generator) -> Index:
    """Each row as often as it has free places, shuffled."""
    rows = np.repeat(np.arange(len(free), dtype=np.int64), free)
    random.shuffle(rows)
    return rows


def _pack(left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> Index:
    return (left.astype(np.int64) << 32) | right.astype(np.int64)


def _unpack(packed: Index) -> tuple[Rows, Rows]:
    return (packed >> 32).astype(np.int32), (packed & 0xFFFF_FFFF).astype(np.int32)
