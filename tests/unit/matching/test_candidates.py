"""Candidates: who is kept, who is refused, and that nothing depends on threads or tiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from linkage.agreement.manifest import Clk, Saul
from linkage.errors import CancelledError, FingerprintMismatchError, InvalidRequestError
from linkage.matching import LocalEngine, candidates, find_candidates
from linkage.matching.candidates import Candidates, z_cut_for
from linkage.matching.looks import chance_dropped, choose_look
from linkage.matching.sources import MISSING

SCHEME = Saul(name="saul-v1", bits=1024)


def find(left: Any, right: Any, engine: LocalEngine, **settings: Any) -> Candidates:
    return find_candidates(left, right, SCHEME, **{"quota": 4, "engine": engine, **settings})


def columns(found: Candidates) -> list[Any]:
    pairs = found.pairs
    return [pairs.left.tolist(), pairs.right.tolist(), pairs.distances.tolist()]


def test_finds_partners_and_nobody_else_twice(make: Any, engine: LocalEngine) -> None:
    left, right = make(range(100), seed=1), make(range(50, 150), seed=2)
    found = find(left.source("a"), right.source("b"), engine)
    pairs = found.pairs
    true = left.person[pairs.left] == right.person[pairs.right]
    assert true.sum() == 50
    assert pairs.score[true].min() > 3 * pairs.score[~true].max()
    assert (np.diff((pairs.left.astype(np.int64) << 32) | pairs.right) > 0).all()
    assert found.compared == 3 * 100 * 100
    assert found.look_bits == 1024
    assert found.look_loss == 0


def test_same_answer_for_any_threads_and_tiles(
    febrl: Any, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = (file.take(np.arange(700)) for file in febrl)
    scheme = Saul(name="saul-v1")
    settings = {"quota": 3}
    one = find_candidates(left.source("a"), right.source("b"), scheme, engine=engine, **settings)
    monkeypatch.setattr(candidates, "TILE_LEFT", 96)
    monkeypatch.setattr(candidates, "TILE_RIGHT", 130)
    for threads in (1, 3):
        other = find_candidates(
            left.source("a"),
            right.source("b"),
            scheme,
            engine=LocalEngine(threads),
            **settings,
        )
        assert columns(other) == columns(one)
        assert (other.compared, other.survived) == (one.compared, one.survived)
        assert other.decoys.left.tolist() == one.decoys.left.tolist()


def test_quota_holds_on_both_sides(make: Any, engine: LocalEngine) -> None:
    left, right = make([1] * 30, flips=0.05), make([1] * 20, flips=0.05, seed=3)
    pairs = find(left.source("a"), right.source("b"), engine, quota=2).pairs
    assert np.bincount(pairs.left).max() <= 2
    assert np.bincount(pairs.right).max() <= 2


def test_within_one_file_only_pairs_in_order(make: Any, engine: LocalEngine) -> None:
    file = make([1, 2, 3, 1, 2, 4])
    source = file.source("a", unique=False)
    pairs = find(source, source, engine).pairs
    promising = pairs.score > 10
    assert list(zip(pairs.left[promising], pairs.right[promising], strict=True)) == [(0, 3), (1, 4)]
    assert (pairs.left < pairs.right).all()


def test_missing_keys_count_neither_for_nor_against(make: Any, engine: LocalEngine) -> None:
    presence = np.ones((3, 4), np.bool_)
    presence[1, 0] = presence[:, 3] = False
    left, right = make(range(4), presence=presence), make(range(4), seed=4)
    found = find(left.source("a"), right.source("b"), engine)
    pairs = found.pairs
    assert 3 not in pairs.left.tolist()
    first = pairs.distances[(pairs.left == 0) & (pairs.right == 0)][0]
    assert (first == MISSING).tolist() == [False, True, False]
    assert found.compared == (3 + 2 + 3) * 4


def test_dice_scheme(febrl_clk: Any, engine: LocalEngine) -> None:
    scheme = Clk(name="clk-v1", risk_acknowledged=True)
    left, right = (file.take(np.arange(1000)) for file in febrl_clk)
    found = find_candidates(left.source("a"), right.source("b"), scheme, quota=4, engine=engine)
    true = left.person[found.pairs.left] == right.person[found.pairs.right]
    assert true.sum() >= 0.99 * len(np.intersect1d(left.person, right.person))
    a, b = found.pairs.left[0], found.pairs.right[0]
    one, other = (file.matrix.words[0] for file in (left, right))
    dice = (
        2 * np.bitwise_count(one[a] & other[b]).sum() / np.bitwise_count([one[a], other[b]]).sum()
    )
    if found.pairs.distances[0, 0] != MISSING:
        assert abs(found.pairs.distances[0, 0] - (1 - dice) * 1024) <= 1


def test_empty_and_tiny_files(make: Any, engine: LocalEngine) -> None:
    none, one = make([]), make([5])
    assert len(find(none.source("a"), one.source("b"), engine).pairs) == 0
    assert len(find(one.source("a"), make([5], seed=9).source("b"), engine).pairs) == 1
    alone = one.source("a", unique=False)
    assert len(find(alone, alone, engine).pairs) == 0


def test_z_cut_grows_with_the_file() -> None:
    assert z_cut_for(0) == z_cut_for(5_000) == 3
    assert math.isclose(z_cut_for(1_000_000), 6)
    assert z_cut_for(10**9) == 7


def test_large_files_take_a_first_look(
    febrl: Any, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "z_cut_for", lambda _: 6.0)
    left, right = (file.take(np.arange(2000)) for file in febrl)
    scheme = Saul(name="saul-v1")
    quick = find_candidates(left.source("a"), right.source("b"), scheme, quota=4, engine=engine)
    assert 256 <= quick.look_bits <= 1024
    assert 0 < quick.look_loss < candidates.LOOK_LOSS
    assert quick.survived <= quick.looked < 0.05 * quick.compared
    whole = find_candidates(
        left.source("a"), right.source("b"), scheme, quota=4, look_loss=0.0, engine=engine
    )
    assert (whole.look_bits, whole.look_loss) == (2048, 0)
    assert whole.looked == whole.compared == quick.compared
    assert (1 - candidates.LOOK_LOSS) * whole.survived <= quick.survived <= whole.survived


def test_the_first_look_loses_what_is_reported(
    make: Any, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People whose only encoding is damaged so far that looks do lose some of them."""
    monkeypatch.setattr(candidates, "z_cut_for", lambda _: 6.0)
    people, settings = range(1500), {"keys": 1, "bits": 2048, "flips": 0.24}
    left = make(people, seed=1, **settings).source("a")
    right = make(people, seed=2, **settings).source("b")
    scheme = Saul(name="saul-v1")
    distances = np.bitwise_count(left.matrix.words[0] ^ right.matrix.words[0]).sum(axis=1)
    cut = int(1024 - 6 * math.sqrt(512))
    look = choose_look(2048, cut, loss=candidates.LOOK_LOSS)
    assert look is not None
    near = distances[distances <= cut]
    expected = np.array([chance_dropped(2048, int(d), look) for d in near])
    found = find_candidates(left, right, scheme, quota=4, engine=engine)
    lost = len(near) - (found.pairs.left == found.pairs.right).sum()
    deviation = math.sqrt((expected * (1 - expected)).sum())
    assert abs(lost - expected.sum()) < 4 * deviation
    assert expected.max() <= candidates.LOOK_LOSS
    assert abs(found.look_loss - expected.mean()) < 0.2 * expected.mean()


def test_refuses_what_cannot_be_compared(make: Any, engine: LocalEngine) -> None:
    left, right = make([1]).source("a"), make([1], bits=2048).source("b")
    with pytest.raises(InvalidRequestError, match="2048 bits"):
        find(left, right, engine)
    with pytest.raises(InvalidRequestError, match="different match keys"):
        find(left, make([1], keys=2).source("b"), engine)
    other = make([1])
    object.__setattr__(other.matrix.layout, "fingerprint", "1" * 64)
    with pytest.raises(FingerprintMismatchError):
        find(left, other.source("b"), engine)


def test_progress_and_cancelling(make: Any, engine: LocalEngine) -> None:
    left, right = make([1, 2]).source("a"), make([1, 2]).source("b")
    seen: list[float] = []
    find(left, right, engine, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    with pytest.raises(CancelledError):
        find(left, right, engine, cancelled=lambda: True)
