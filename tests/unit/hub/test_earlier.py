"""Which runs before one count, and when asking again would tell nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkage.hub.earlier import EarlierRuns
from linkage.hub.results import Results
from linkage.hub.states import CANCELLED, FAILED
from linkage.store.blobs import Blobs
from linkage.store.sql import Database

from .conftest import MakeRun


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(Blobs(f"file://{tmp_path / 'blobs'}", cache=tmp_path / "cache"))


def report(*comparisons: str) -> dict[str, object]:
    return {"pairs": {str(n): {"comparison": how} for n, how in enumerate(comparisons)}}


def test_runs_under_the_same_manifest_and_keys_count(
    database: Database, results: Results, make_run: MakeRun
) -> None:
    make_run("older", ended_at=10)
    make_run("newer", ended_at=20)
    make_run("epoch", epoch=1, ended_at=30)
    make_run("version", fingerprint="b" * 64, ended_at=30)
    make_run("failed", state=FAILED, ended_at=30)
    make_run("cancelled", state=CANCELLED, ended_at=30)
    this = make_run("this", ended_at=40)
    earlier = EarlierRuns(database, results)
    assert [row["id"] for row in earlier.all(this)] == ["newer", "older"]
    last = earlier.last(this)
    assert last is not None
    assert last["id"] == "newer"
    alone = make_run("alone", epoch=2)
    assert earlier.last(alone) is None
    assert earlier.twin(alone) is None


@pytest.mark.parametrize(
    ("comparisons", "uploads", "same"),
    [
        (("pair_keyed", "pair_keyed"), b'{"left":"u1","right":"u2"}', True),
        (("pair_keyed", "match_keys"), b'{"left":"u1","right":"u2"}', False),
        (("pair_keyed", "pair_keyed"), b'{"left":"u1","right":"u3"}', False),
    ],
)
def test_a_twin_stands_on_the_same_uploads_and_was_compared_whole(
    database: Database,
    results: Results,
    make_run: MakeRun,
    comparisons: tuple[str, ...],
    uploads: bytes,
    same: bool,
) -> None:
    last = make_run("last")
    results.save_report("last", report(*comparisons))
    this = make_run("this", uploads=uploads, ended_at=2)
    assert EarlierRuns(database, results).twin(this) == (last if same else None)
