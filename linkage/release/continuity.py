"""Keep linkage ids from one round to the next, and say which clusters merged or split.

- A cluster goes on under the linkage id with which it shares most records. Each former id goes to
  at most one cluster: the one with the larger share first, then the lower-numbered cluster.
- A cluster of records that were apart before is a merge; an id whose records are apart now is a
  split. Both are told id by id, so that whoever kept data under a former id can follow.
- Records that were withdrawn count for nothing.

    found = inherit(former_handles, former_ids, handles, clusters.of..., clusters.count)
    found.ids[cluster]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.release.pseudonyms import ID_BYTES, Ids, draw_ids

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Inherited:
    """Linkage ids of the present clusters, and what became of the former ones.

    Attributes:
        ids: (clusters, 16) linkage id of each cluster.
        kept: (clusters,) whether the id is a former one.
        merges: (n, 2, 16) former id, and the id of the cluster that part or all of it is in now,
            for clusters that hold records of several former ids.
        splits: (n, 2, 16) former id, and the id of a cluster that part of it is in now, for
            former ids whose records are in several clusters.
        ended: how many former ids have no record left.
    """

    ids: Ids
    kept: npt.NDArray[np.bool_]
    merges: Ids
    splits: Ids
    ended: int


def inherit(
    former_handles: Ids, former_ids: Ids, handles: Ids, clusters: Numbers, count: int
) -> Inherited:
    """Give each present cluster its linkage id.

    Args:
        former_handles, former_ids: (n, 16) row handles of the last release and their linkage ids,
            all partners together; row handles are distinct.
        handles, clusters: (m, 16) present row handles, and (m,) the number of their cluster.
        count: how many clusters there are; those without a former record get a new id.
    """
    former, number = np.unique(_void(former_ids), return_inverse=True)
    known = _void(former_handles)
    order = np.argsort(known)
    asked = _void(handles)
    place = np.searchsorted(known[order], asked)
    there = np.zeros(len(asked), np.bool_)
    inside = place < len(known)
    there[inside] = known[order][place[inside]] == asked[inside]
    of_former = number[order[place[there]]].astype(np.int64)

    # Every (former id, present cluster) that share records, and how many.
    shared, records = np.unique(of_former * max(count, 1) + clusters[there], return_counts=True)
    old, new = np.divmod(shared, max(count, 1))
    taken = np.full(count, -1, np.int64)
    free = np.ones(len(former), np.bool_)
    for link in np.lexsort((new, old, -records)):
        if free[old[link]] and taken[new[link]] < 0:
            taken[new[link]] = old[link]
            free[old[link]] = False

    ids = draw_ids(count)
    kept = taken >= 0
    ids[kept] = _bytes(former[taken[kept]])
    old_ids = _bytes(former[old])
    several_old = np.bincount(new, minlength=count)[new] > 1
    several_new = np.bincount(old, minlength=len(former))[old] > 1
    moved = np.stack([old_ids, ids[new]], axis=1)
    return Inherited(
        ids, kept, moved[several_old], moved[several_new], int(len(former) - len(np.unique(old)))
    )


def _void(ids: Ids) -> npt.NDArray[np.void]:
    return np.ascontiguousarray(ids).view(f"V{ID_BYTES}").ravel()


def _bytes(ids: npt.NDArray[np.void]) -> Ids:
    return np.ascontiguousarray(ids).view(np.uint8).reshape(-1, ID_BYTES)
