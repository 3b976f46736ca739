"""Ids of a release: who learns which, and which stay from one release to the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.errors import NotFoundError
from linkage.hub import release_ids
from linkage.hub.release_ids import ReleaseIds
from linkage.hub.results import Results
from linkage.matching import Clusters, Source
from linkage.release.days import SHIFT
from linkage.store.blobs import Blobs


def source(partner: str, numbers: list[int]) -> Source:
    """Rows whose handles are 16 times their number."""
    rows = len(numbers)
    handles = np.repeat(np.array(numbers, np.uint8), 16).reshape(rows, 16)
    layout = EncodingLayout("saul-v1", 64, ("key",), rows, "0" * 64)
    none = np.empty((rows, 0), np.uint8)
    there, words = np.ones((1, rows), np.bool_), np.zeros((1, rows, 1), np.uint64)
    return Source(partner, EncodingMatrix(layout, handles, handles, none, there, words), True)


def clusters(count: int, **of: list[int]) -> Clusters:
    return Clusters({name: np.array(found) for name, found in of.items()}, {}, 0, count)


@pytest.fixture
def ids(tmp_path: Path) -> ReleaseIds:
    return ReleaseIds(Results(Blobs(f"file://{tmp_path / 'blobs'}", cache=tmp_path / "cache")))


FILES = [source("left", [1, 2, 3]), source("right", [7, 8, 8])]
"""The two last rows on the right are one record under two names."""
FIRST = clusters(4, left=[0, 1, 2], right=[0, 3, 3])


def taken(batches: list[tuple[bytes, ...]], column: int, width: int) -> list[bytes]:
    whole = b"".join(batch[column] for batch in batches)
    return [whole[start : start + width] for start in range(0, len(whole), width)]


def test_each_party_learns_its_own(ids: ReleaseIds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_ids, "BATCH_ROWS", 2)
    assert ids.draw("r", FILES, FIRST, None) == {}
    study, shifted = {}, {}
    for partner, handles in (("left", [1, 2, 3]), ("right", [7, 8])):
        own, of_study = list(ids.of_partner("r", partner)), list(ids.study_map("r", partner))
        assert ids.study_rows("r", partner) == len(handles)
        assert len(own) == (len(handles) + 1) // 2
        index_ids = taken(own, 1, 16)
        assert sorted(index_ids) == index_ids == taken(of_study, 0, 16)
        row_shifts, corrections = (
            np.frombuffer(b"".join(batch[2] for batch in found), SHIFT) for found in (own, of_study)
        )
        told = [handle[0] for handle in taken(own, 0, 16)]
        assert sorted(told) == handles
        study |= dict(zip(told, taken(of_study, 1, 16), strict=True))
        shifted |= dict(zip(told, row_shifts + corrections, strict=True))
    assert study[1] == study[7]
    assert len(set(study.values())) == 4
    # A row's shift and its correction make the person's shift.
    assert shifted[1] == shifted[7]
    assert len(set(shifted.values())) == 4


def test_linkage_ids_go_on_with_the_partners_that_stay(ids: ReleaseIds) -> None:
    ids.draw("first", FILES, FIRST, None)
    joined = clusters(3, left=[0, 1, 1], right=[0, 2, 2])
    assert ids.draw("second", FILES, joined, ("first", ["left", "right"])) == {
        "former": "first",
        "kept": 3,
        "started": 0,
        "merged": 1,
        "split": 0,
        "ended": 0,
    }
    others = [source("new", [1])]
    assert ids.draw("third", others, clusters(1, new=[0]), ("second", ["left", "right"])) == {}


def test_a_study_map_is_forgotten_and_index_ids_stay(ids: ReleaseIds) -> None:
    ids.draw("r", FILES, FIRST, None)
    for _ in range(2):
        ids.forget_study_map("r", "left")
    with pytest.raises(NotFoundError):
        ids.study_rows("r", "left")
    assert ids.study_rows("r", "right") == 2
    assert len(list(ids.of_partner("r", "left"))) == 1
