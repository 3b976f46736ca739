"""Matching under inputs nobody would think of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.agreement.manifest import Matching, Saul
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.matching import LocalEngine, ScoredPairs, Source, link, resolve
from linkage.matching.assignment import assign
from linkage.matching.competition import compete

SCHEME = Saul(name="saul-v1", bits=1024)


@st.composite
def scored_pairs(draw: st.DrawFn, rows: int = 6) -> ScoredPairs:
    cells = draw(st.sets(st.tuples(st.integers(0, rows - 1), st.integers(0, rows - 1))))
    left, right = np.array(sorted(cells), np.int32).reshape(-1, 2).T
    weight = draw(
        st.lists(
            st.sampled_from([-3.0, 0.0, 2.0, 2.5, 9.0]), min_size=len(left), max_size=len(left)
        )
    )
    odds = np.exp2(np.array(weight, np.float64))
    return ScoredPairs(left, right, np.array(weight, np.float32), odds / (1 + odds))


def handles_of(rows: int) -> npt.NDArray[np.uint8]:
    """Distinct handles."""
    out = np.zeros((rows, 16), np.uint8)
    out[:, :8] = np.arange(rows, dtype=np.uint64)[:, None].view(np.uint8)
    return out


def source(name: str, rows: int, unique: bool) -> Source:
    layout = EncodingLayout("saul-v1", 1024, ("k",), rows, "0" * 64)
    matrix = EncodingMatrix(
        layout,
        handles_of(rows),
        handles_of(rows),
        np.empty((rows, 0), np.uint8),
        np.ones((1, rows), np.bool_),
        np.zeros((1, rows, 16), np.uint64),
    )
    return Source(name, matrix, unique)


@settings(deadline=None)
@given(scored_pairs(), st.booleans(), st.booleans())
def test_no_row_of_a_unique_file_has_two_partners(
    pairs: ScoredPairs, unique_left: bool, unique_right: bool
) -> None:
    chosen = assign(pairs, unique_left=unique_left, unique_right=unique_right)
    if unique_right:
        assert len(set(pairs.left[chosen].tolist())) == chosen.sum()
    if unique_left:
        assert len(set(pairs.right[chosen].tolist())) == chosen.sum()
    if not unique_left and not unique_right:
        assert chosen.all()


@settings(deadline=None)
@given(scored_pairs(), st.randoms(use_true_random=False))
def test_the_order_of_pairs_does_not_matter(pairs: ScoredPairs, random: object) -> None:
    order = np.array(random.sample(range(len(pairs.left)), len(pairs.left)), np.intp)  # type: ignore[attr-defined]
    other = ScoredPairs(
        pairs.left[order], pairs.right[order], pairs.weight[order], pairs.probability[order]
    )
    one = assign(pairs, unique_left=True, unique_right=True)
    assert assign(other, unique_left=True, unique_right=True).tolist() == one[order].tolist()


@settings(deadline=None)
@given(
    scored_pairs(), scored_pairs(), scored_pairs(), st.tuples(*[st.booleans()] * 3), st.floats(0, 1)
)
def test_clusters_hold_their_constraints(
    ab: ScoredPairs,
    ac: ScoredPairs,
    bc: ScoredPairs,
    unique: tuple[bool, bool, bool],
    threshold: float,
) -> None:
    sources = [source(n, 6, u) for n, u in zip("abc", unique, strict=True)]
    scored = {("a", "b"): ab, ("a", "c"): ac, ("b", "c"): bc}
    found = resolve(sources, scored, threshold)
    labels = np.concatenate([found.of[n] for n in "abc"])
    assert sorted(set(labels.tolist())) == list(range(found.count))
    for one in sources:
        if one.unique:
            assert len(set(found.of[one.partner].tolist())) == one.rows
    for (left, right), mask in found.links.items():
        pairs = scored[left, right]
        assert (found.of[left][pairs.left[mask]] == found.of[right][pairs.right[mask]]).all()
        assert (pairs.probability[mask] >= threshold).all()


@settings(deadline=None)
@given(scored_pairs(), st.booleans(), st.booleans())
def test_a_rows_probabilities_add_up_to_at_most_one(
    pairs: ScoredPairs, left_one: bool, right_one: bool
) -> None:
    odds = np.exp2(pairs.weight.astype(np.float64))
    found = compete(
        pairs.left, pairs.right, odds, left_has_one=left_one, right_has_one=right_one
    ).probability
    assert ((found >= 0) & (found <= 1)).all()
    # On cycles belief propagation is close, not exact.
    if left_one and len(found):
        assert np.bincount(pairs.left, found).max() <= 1.001
    if right_one and len(found):
        assert np.bincount(pairs.right, found).max() <= 1.001


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 12), max_size=9),
    st.lists(st.integers(0, 12), max_size=9),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_any_two_small_files_can_be_linked(
    left: list[int], right: list[int], unique: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    people = random.integers(0, 2**64, (13, 2, 16), np.uint64)

    def file(name: str, rows: list[int]) -> Source:
        presence: npt.NDArray[np.bool_] = random.random((2, len(rows))) < 0.8
        words = people[rows].transpose(1, 0, 2).copy() if rows else np.zeros((2, 0, 16), np.uint64)
        words[~presence] = 0
        layout = EncodingLayout("saul-v1", 1024, ("k", "l"), len(rows), "0" * 64)
        handles, none = handles_of(len(rows)), np.empty((len(rows), 0), np.uint8)
        return Source(name, EncodingMatrix(layout, handles, handles, none, presence, words), unique)

    linkage = link([file("a", left), file("b", right)], SCHEME, Matching(), engine=LocalEngine(1))
    assert 0 < linkage.threshold <= 1
    for pairs in linkage.scored.values():
        assert np.isfinite(pairs.weight).all()
        assert np.isfinite(pairs.probability).all()
