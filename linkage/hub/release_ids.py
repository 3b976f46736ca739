"""The ids of a release: drawn once, each party told its own and nothing that joins them.

- Every cluster gets a random linkage id and a random study id; every row of every partner, linked
  or not, a random index id. None is derived from anything.
- A partner learns the index ids of its own rows, the assembler index id -> study id, until it has
  them all. Linkage ids stay at the hub.
- Every row also gets a day shift, and every cluster one: a partner learns its rows' shifts, the
  assembler the differences, so that dates stay hidden and intervals do not; see `release.days`.
- A cluster keeps the linkage id it had in a former release, as far as it is the same cluster;
  merges and splits are kept beside the release.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.hub.results import Results
from linkage.matching import Clusters, Source
from linkage.release.continuity import inherit
from linkage.release.days import SHIFT, corrections, draw_shifts
from linkage.release.pseudonyms import Ids, draw_ids

BATCH_ROWS = 50_000


class ReleaseIds:
    """The ids of every release, by its id."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def draw(
        self,
        release: str,
        sources: Sequence[Source],
        clusters: Clusters,
        former: tuple[str, Sequence[str]] | None,
    ) -> dict[str, Any]:
        """Draw every id of a release, and keep them.

        Args:
            former: the release whose linkage ids go on, and its partners.

        Returns:
            What became of the former linkage ids, as counts; empty where there are none.
        """
        linkage_ids, continuity = self._linkage_ids(release, former, sources, clusters)
        study_ids = draw_ids(clusters.count)
        person_shifts = draw_shifts(clusters.count)
        for source in sources:
            # A record with aliases has several rows, one handle, and so one index id.
            records = source.matrix.first_rows()
            cluster = clusters.of[source.partner][records]
            handles, index_ids = source.matrix.handles[records], draw_ids(len(records))
            shifts = draw_shifts(len(records))
            corrected = corrections(person_shifts[cluster], shifts)
            # Ordered by index id: the order of the upload joins nothing to nothing.
            order = np.lexsort(index_ids.T[::-1])
            self._results.save(
                _index(release, source.partner),
                {
                    "handles": handles[order],
                    "index_ids": index_ids[order],
                    "day_shifts": shifts[order],
                },
            )
            self._results.save(
                _study(release, source.partner),
                {
                    "index_ids": index_ids[order],
                    "study_ids": study_ids[cluster][order],
                    "day_shifts": corrected[order],
                },
            )
            self._results.save(
                _linkage(release, source.partner),
                {"handles": handles, "linkage_ids": linkage_ids[cluster]},
            )
        return continuity

    def of_partner(self, release: str, partner: str) -> Iterator[tuple[bytes, ...]]:
        """Row handles, index ids and day shifts of a partner's rows, in batches."""
        arrays = self._results.load(_index(release, partner))
        yield from _batches(arrays["handles"], arrays["index_ids"], _shifts(arrays))

    def study_map(self, release: str, partner: str) -> Iterator[tuple[bytes, ...]]:
        """Index ids, study ids and corrections of day shifts of a partner's rows, in batches."""
        arrays = self._results.load(_study(release, partner))
        yield from _batches(arrays["index_ids"], arrays["study_ids"], _shifts(arrays))

    def study_rows(self, release: str, partner: str) -> int:
        """How many rows of a partner the study map has."""
        return len(self._results.load(_study(release, partner))["index_ids"])

    def forget_study_map(self, release: str, partner: str) -> None:
        """Delete a partner's part of the study map, if it is there."""
        self._results.delete(_study(release, partner))

    def _linkage_ids(
        self,
        release: str,
        former: tuple[str, Sequence[str]] | None,
        sources: Sequence[Source],
        clusters: Clusters,
    ) -> tuple[Ids, dict[str, Any]]:
        """Each cluster's linkage id, a former one where it can be; what merged or split is kept
        beside the release.
        """
        before, partners = former or ("", ())
        # Whoever has left has no record here any more, and whoever has come had none.
        staying = [source.partner for source in sources if source.partner in partners]
        if not staying:
            return draw_ids(clusters.count), {}
        known = [self._results.load(_linkage(before, name)) for name in staying]
        records = [(source, source.matrix.first_rows()) for source in sources]
        found = inherit(
            np.concatenate([arrays["handles"] for arrays in known]),
            np.concatenate([arrays["linkage_ids"] for arrays in known]),
            np.concatenate([source.matrix.handles[rows] for source, rows in records]),
            np.concatenate([clusters.of[source.partner][rows] for source, rows in records]),
            clusters.count,
        )
        moved = {"merges": found.merges, "splits": found.splits}
        self._results.save(f"releases/{release}/history.npz", moved)
        return found.ids, {
            "former": before,
            "kept": int(found.kept.sum()),
            "started": int((~found.kept).sum()),
            "merged": len(np.unique(found.merges[:, 1], axis=0)),
            "split": len(np.unique(found.splits[:, 0], axis=0)),
            "ended": found.ended,
        }


def _index(release: str, partner: str) -> str:
    return f"releases/{release}/index/{partner}.npz"


def _study(release: str, partner: str) -> str:
    return f"releases/{release}/study/{partner}.npz"


def _linkage(release: str, partner: str) -> str:
    return f"releases/{release}/linkage/{partner}.npz"


def _shifts(arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Day shifts as they go over the wire; none for a release from before there were any."""
    return arrays.get("day_shifts", np.empty(0, SHIFT)).astype(SHIFT)


def _batches(*arrays: npt.NDArray[np.generic]) -> Iterator[tuple[bytes, ...]]:
    for start in range(0, len(arrays[0]), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        yield tuple(array[part].tobytes() for array in arrays)
