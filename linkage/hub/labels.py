"""What reviewers decided, as labels of the pairs of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.encodings import HANDLE_BYTES
from linkage.hub.reviews import DIFFERENT, MATCH, Handles
from linkage.matching import Source
from linkage.matching.sources import Rows
from linkage.store.sql import Row

UNKNOWN = -1

Labels = npt.NDArray[np.int8]


def labels_of(
    decided: Mapping[Handles, Row], left: Source, right: Source, rows_left: Rows, rows_right: Rows
) -> Labels:
    """(pairs,) 1 where the decision that counts says match, 0 where different, -1 elsewhere.

    Args:
        decided: by row handles; those between other partners are passed over.
        rows_left, rows_right: (pairs,) the persons' first rows.
    """
    labels = np.full(len(rows_left), UNKNOWN, np.int8)
    about = {
        handles: row["verdict"]
        for handles, row in decided.items()
        if (row["left_partner"], row["right_partner"]) == (left.partner, right.partner)
        and row["verdict"] in (MATCH, DIFFERENT)
    }
    if not about:
        return labels
    ones = _rows(left, [handles[0] for handles in about])
    others = _rows(right, [handles[1] for handles in about])
    pairs = zip(rows_left.tolist(), rows_right.tolist(), strict=True)
    places = {pair: n for n, pair in enumerate(pairs)}
    for one, other, verdict in zip(ones, others, about.values(), strict=True):
        pair = (min(one, other), max(one, other)) if left.partner == right.partner else (one, other)
        if pair in places:
            labels[places[pair]] = verdict == MATCH
    return labels


def review_figures(
    labels: Labels, probability: npt.NDArray[np.float64], threshold: float
) -> dict[str, Any]:
    """How many pairs are labelled, and how many the model would have judged alike."""
    known = labels != UNKNOWN
    said = labels[known] == 1
    return {
        "labelled": int(known.sum()),
        "match": int(said.sum()),
        "different": int((~said).sum()),
        "agree": int(((probability[known] >= threshold) == said).sum()),
    }


def _rows(source: Source, handles: list[bytes]) -> list[int]:
    """The persons' first rows of row handles, -1 where one is gone."""
    kind = f"V{HANDLE_BYTES}"
    every = np.ascontiguousarray(source.matrix.handles).view(kind).ravel()
    order = np.argsort(every, kind="stable")
    asked = np.frombuffer(b"".join(handles), kind)
    place = np.minimum(np.searchsorted(every, asked, sorter=order), max(len(order) - 1, 0))
    rows = order[place]
    found: list[int] = np.where(every[rows] == asked, source.persons[rows], -1).tolist()
    return found
