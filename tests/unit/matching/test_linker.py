"""Whole linkages: quality against known truth at the threshold the hub itself recommends."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from linkage.agreement.manifest import Clk, Matching, Saul
from linkage.errors import InvalidRequestError
from linkage.matching import (
    Linkage,
    LocalEngine,
    find_candidates,
    link,
    pairs_to_compare,
    resolve,
    score,
)

SAUL = Saul(name="saul-v1")
CLK = Clk(name="clk-v1", risk_acknowledged=True)


def run(left: Any, right: Any, engine: LocalEngine, scheme: Saul | Clk = SAUL) -> Linkage:
    return link([left.source("left"), right.source("right")], scheme, Matching(), engine=engine)


def f1(
    linkage: Linkage, left: Any, right: Any, links: npt.NDArray[np.bool_] | None = None
) -> float:
    pairs = linkage.scored["left", "right"]
    chosen = linkage.clusters.links["left", "right"] if links is None else links
    right_ones = left.person[pairs.left[chosen]] == right.person[pairs.right[chosen]]
    true = len(np.intersect1d(left.person, right.person))
    return float(2 * right_ones.sum() / max(chosen.sum() + true, 1))


def best_f1(linkage: Linkage, left: Any, right: Any) -> float:
    sources = [left.source("left"), right.source("right")]
    return max(
        f1(linkage, left, right, resolve(sources, linkage.scored, t).links["left", "right"])
        for t in (*np.arange(0.02, 1, 0.07), 0.99)
    )


def sample(files: Any, both: int, left: int, right: int, seed: int) -> tuple[Any, Any]:
    """`both` people in both files, the rest in one only."""
    people = np.random.default_rng(seed).permutation(5000)
    one, other = people[:left], np.r_[people[:both], people[left : left + right - both]]
    return tuple(
        file.take(np.flatnonzero(np.isin(file.person, chosen)))
        for file, chosen in zip(files, (one, other), strict=True)
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_half_overlap(febrl: Any, engine: LocalEngine, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = (file.take(np.sort(rng.permutation(5000)[:3750])) for file in febrl)
    linkage = run(left, right, engine)
    reached = f1(linkage, left, right)
    assert reached >= 0.99
    assert reached >= best_f1(linkage, left, right) - 0.005
    matches = linkage.report["overall"]["estimated_matches"]
    assert matches == pytest.approx(len(np.intersect1d(left.person, right.person)), rel=0.03)
    assert abs(linkage.report["recommended"]["f1"] - reached) < 0.015


def test_full_overlap(febrl: Any, engine: LocalEngine) -> None:
    left, right = (file.take(np.flatnonzero(file.person < 1500)) for file in febrl)
    assert f1(run(left, right, engine), left, right) >= 0.995


def test_half_overlap_with_plain_bloom_filters(febrl_clk: Any, engine: LocalEngine) -> None:
    left, right = sample(febrl_clk, 750, 1000, 1000, 3)
    linkage = run(left, right, engine, CLK)
    assert f1(linkage, left, right) >= max(0.97, best_f1(linkage, left, right) - 0.005)


def test_one_percent_overlap(febrl: Any, engine: LocalEngine) -> None:
    left, right = sample(febrl, 20, 2000, 2000, 4)
    assert f1(run(left, right, engine), left, right) >= 0.85


def test_very_different_sizes(febrl: Any, engine: LocalEngine) -> None:
    left, right = sample(febrl, 25, 50, 3000, 5)
    assert f1(run(left, right, engine), left, right) >= 0.9


@pytest.mark.parametrize("scheme", [SAUL, CLK], ids=["saul", "clk"])
def test_no_overlap_links_nobody(
    febrl: Any, febrl_clk: Any, engine: LocalEngine, scheme: Saul | Clk
) -> None:
    left, right = sample(febrl if scheme is SAUL else febrl_clk, 0, 1500, 1500, 6)
    linkage = run(left, right, engine, scheme)
    assert linkage.report["overall"]["overlap"] == "none"
    assert linkage.clusters.links["left", "right"].sum() == 0
    assert linkage.clusters.count == 3000


@pytest.mark.parametrize(("both", "rows"), [(1, 1), (3, 5), (10, 20), (0, 3)])
def test_tiny_files(febrl: Any, engine: LocalEngine, both: int, rows: int) -> None:
    left, right = sample(febrl, both, rows, rows, 7)
    linkage = run(left, right, engine)
    assert linkage.clusters.links["left", "right"].sum() == pytest.approx(both, abs=1)
    assert f1(linkage, left, right) >= 0.8 or both == 0


def test_rows_and_keys_that_nobody_covers(make: Any, engine: LocalEngine) -> None:
    presence = np.ones((3, 60), np.bool_)
    presence[2] = False
    presence[:, :5] = False
    scheme = Saul(name="saul-v1", bits=1024)
    left, right = make(range(60), presence=presence), make(range(30, 90), seed=5)
    linkage = link([left.source("left"), right.source("right")], scheme, Matching(), engine=engine)
    # In so small a file one pair of noise may pass for a match.
    assert f1(linkage, left, right) >= 0.98
    coverage = linkage.report["partners"]["left"]["match_key_coverage"]
    assert coverage == {"key0": 0.9167, "key1": 0.9167, "key2": 0.0}
    nobody = make(range(60), presence=np.zeros((3, 60), np.bool_))
    linkage = link(
        [nobody.source("left"), right.source("right")], scheme, Matching(), engine=engine
    )
    assert linkage.clusters.count == 120


def test_duplicates_within_and_between(febrl: Any, engine: LocalEngine) -> None:
    """The right file holds a third of its people twice: once as in either FEBRL file."""
    one, other = febrl
    left = other.take(np.flatnonzero(other.person < 1200))
    twice = np.flatnonzero((other.person >= 600) & (other.person < 1200))
    rows = one.take(np.flatnonzero((one.person >= 600) & (one.person < 2400)))
    more = other.take(twice[::2])
    both = type(one)(
        type(one.matrix)(
            type(one.matrix.layout)(
                "saul-v1",
                2048,
                one.matrix.layout.match_keys,
                len(rows.person) + len(more.person),
                one.matrix.layout.fingerprint,
            ),
            np.r_[rows.matrix.handles, more.matrix.handles ^ 255],
            np.r_[rows.matrix.handles, more.matrix.handles ^ 255],
            np.empty((len(rows.person) + len(more.person), 0), np.uint8),
            np.concatenate([rows.matrix.presence, more.matrix.presence], axis=1),
            np.concatenate([rows.matrix.words, more.matrix.words], axis=1),
        ),
        np.r_[rows.person, more.person],
    )
    sources = [left.source("left"), both.source("right", unique=False)]
    linkage = link(sources, SAUL, Matching(), engine=engine)
    assert set(linkage.scored) == {("left", "right"), ("right", "right")}
    cluster = np.r_[linkage.clusters.of["left"], linkage.clusters.of["right"]]
    person = np.r_[left.person, both.person]
    same = [
        {(a, b) for rows in _groups(label) for a in rows for b in rows if a < b}
        for label in (cluster, person)
    ]
    assert 2 * len(same[0] & same[1]) / (len(same[0]) + len(same[1])) >= 0.97


def _groups(label: npt.NDArray[np.int64]) -> list[list[int]]:
    order = np.argsort(label, kind="stable")
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    return [part.tolist() for part in np.split(order, cuts)]


def test_three_partners(febrl: Any, engine: LocalEngine) -> None:
    one, other = febrl
    files = {
        "a": one.take(np.flatnonzero(one.person < 800)),
        "b": other.take(np.flatnonzero((other.person >= 300) & (other.person < 1100))),
        "c": other.take(np.flatnonzero(other.person < 500)),
    }
    sources = [file.source(name) for name, file in files.items()]
    linkage = link(sources, SAUL, Matching(), engine=engine)
    assert list(linkage.scored) == [("a", "b"), ("a", "c"), ("b", "c")]
    for name, file in files.items():
        assert len(set(linkage.clusters.of[name].tolist())) == len(file.person)
    assert linkage.clusters.count == pytest.approx(1100, abs=12)
    again = link(sources, SAUL, Matching(), engine=LocalEngine(1))
    assert again.report == linkage.report
    assert all((again.clusters.of[n] == linkage.clusters.of[n]).all() for n in files)


def test_report_is_plain_and_names_no_row(febrl: Any, engine: LocalEngine) -> None:
    left, right = sample(febrl, 100, 200, 300, 8)
    linkage = run(left, right, engine)
    text = json.dumps(linkage.report, allow_nan=False)
    assert left.matrix.handles[0].tobytes().hex() not in text
    pair = linkage.report["pairs"]["left|right"]
    assert (pair["rows_left"], pair["rows_right"]) == (200, 300)
    assert sum(pair["weight_histogram"]["pairs"]) == pair["candidate_pairs"]
    links = [row["links"] for row in pair["thresholds"]]
    assert links == sorted(links, reverse=True)
    assert linkage.threshold == linkage.report["recommended"]["threshold"]


def test_a_pair_is_reported_at_the_threshold_of_all(febrl: Any, engine: LocalEngine) -> None:
    """Also where a partner pair alone would have been recommended another one."""
    left, right = sample(febrl, 150, 300, 300, 4)
    alone = febrl[0].take(np.flatnonzero(febrl[0].person >= 4900)).source("few")
    linkage = link(
        [left.source("left"), right.source("right"), alone], SAUL, Matching(), engine=engine
    )
    at = linkage.threshold
    for name, pair in linkage.report["pairs"].items():
        assert pair["at_recommended"]["threshold"] == at
        chosen = linkage.scored[tuple(name.split("|"))].probability >= at  # type: ignore[index]
        assert pair["at_recommended"]["links"] <= chosen.sum()
    few = linkage.report["pairs"]["left|few"]
    assert few["recommended"]["threshold"] > at
    links = (linkage.report["pairs"][n]["at_recommended"]["links"] for n in linkage.report["pairs"])
    assert sum(links) == linkage.report["recommended"]["links"]


def test_the_manifests_threshold_is_a_floor(febrl: Any, engine: LocalEngine) -> None:
    left, right = sample(febrl, 100, 200, 200, 9)
    sources = [left.source("left"), right.source("right")]
    linkage = link(sources, SAUL, Matching(threshold=0.997), engine=engine)
    assert linkage.threshold >= 0.997


def test_weights_never_fall_with_likeness(febrl: Any, engine: LocalEngine) -> None:
    left, right = sample(febrl, 300, 500, 500, 10)
    linkage = run(left, right, engine)
    for table in linkage.report["pairs"]["left|right"]["model"]["level_weights"].values():
        assert table == sorted(table)
    pairs = linkage.scored["left", "right"]
    assert ((pairs.probability >= 0) & (pairs.probability <= 1)).all()


def test_who_is_compared_with_whom(make: Any) -> None:
    a, b, c = (make([1]).source(n, unique=n != "b") for n in "abc")
    names = [(x.partner, y.partner) for x, y in pairs_to_compare([a, b, c])]
    assert names == [("a", "b"), ("a", "c"), ("b", "c"), ("b", "b")]
    with pytest.raises(InvalidRequestError, match="more than one upload"):
        pairs_to_compare([a, a])


def test_noise_beside_a_clear_gap_is_not_shared_out(make: Any, engine: LocalEngine) -> None:
    """Candidates that are nothing but noise, all at a few weights, become nobody's links."""
    left, right = make(range(1500), keys=6), make(range(750, 2250), keys=6, seed=2)
    scheme = Saul(name="saul-v1", bits=1024)
    linkage = link([left.source("left"), right.source("right")], scheme, Matching(), engine=engine)
    assert f1(linkage, left, right) == 1
    assert linkage.report["overall"]["estimated_matches"] == pytest.approx(750, abs=2)


def test_what_reviewers_said_teaches_and_overrides_nothing(febrl: Any, engine: LocalEngine) -> None:
    """Hundreds of pairs called different for one reason make that reason weigh less; the pairs'
    own probabilities are still the model's.
    """
    left, right = sample(febrl, 400, 800, 800, 21)
    one, other = left.source("left"), right.source("right")
    found = find_candidates(one, other, SAUL, quota=4, engine=engine)
    plain = score(one, other, found, SAUL)
    sure = plain.probability > 0.99
    assert sure.sum() > 200

    def judge(rows_left: Any, rows_right: Any) -> npt.NDArray[np.int8]:
        return np.where(sure, 0, -1).astype(np.int8)

    told = score(one, other, found, SAUL, judge=judge)
    tops = [max(t) for t in plain.summary["level_weights"].values()]
    taught = [max(t) for t in told.summary["level_weights"].values()]
    assert sum(taught) < sum(tops) - 1
    assert (told.probability[sure] > 0).all()
    silent = score(one, other, found, SAUL, judge=lambda a, b: np.full(len(a), -1, np.int8))
    assert (silent.probability == plain.probability).all()
