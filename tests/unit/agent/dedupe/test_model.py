from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from linkage.agent.dedupe import model
from linkage.agent.dedupe.comparison import Compared, Feature
from linkage.agent.dedupe.levels import Level, Levels
from linkage.agent.dedupe.model import USUAL_M, USUAL_U, FixedModel, distinct_rows, random_pairs
from linkage.agreement import FieldType

KINDS = ("given_name", "surname", "date_of_birth", "phone", "postcode")
FEATURES = tuple(Feature(kind, FieldType(kind), (kind,)) for kind in KINDS)
SAME_PERSON = ((1, 0.05), (3, 0.15), (4, 0.8))
TWO_PERSONS = ((1, 0.9), (2, 0.07), (3, 0.01), (4, 0.02))


def draw(rng: np.random.Generator, count: int, shares: tuple[tuple[int, float], ...]) -> Levels:
    values, weights = zip(*shares, strict=True)
    found: Levels = rng.choice(values, (count, len(KINDS)), p=weights).astype(np.int8)
    found[rng.random(found.shape) < 0.1] = Level.MISSING
    return found


class FakeComparer:
    """Random pairs are of two persons."""

    features = FEATURES

    def __init__(self, levels: Levels) -> None:
        self._levels = levels

    def __call__(self, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> Compared:
        found = self._levels[: len(left)]
        return Compared(left, right, found, np.zeros(len(found), np.bool_))


def fit(candidates: Levels, others: Levels, features: int = len(KINDS)) -> model.Model:
    comparer = FakeComparer(others[:, :features])
    comparer.features = FEATURES[:features]
    pairs = np.arange(len(candidates))
    found = Compared(pairs, pairs, candidates[:, :features], np.zeros(len(pairs), np.bool_))
    return model.fit(comparer, found, 10_000)  # type: ignore[arg-type]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_it_learns_who_is_one_person(rng: np.random.Generator) -> None:
    same, two = draw(rng, 600, SAME_PERSON), draw(rng, 3000, TWO_PERSONS)
    found = fit(np.concatenate([same, two]), draw(rng, 50_000, TWO_PERSONS))
    assert (found.method, found.why) == ("ecm", "")
    assert (found.probabilities(same) > 0.8).mean() > 0.9
    assert (found.probabilities(two) > 0.8).mean() < 0.01


def test_the_same_pairs_give_the_same_probabilities(rng: np.random.Generator) -> None:
    pairs = np.concatenate([draw(rng, 600, SAME_PERSON), draw(rng, 3000, TWO_PERSONS)])
    others = draw(rng, 50_000, TWO_PERSONS)
    one, other = fit(pairs, others), fit(pairs, others)
    assert (one.probabilities(pairs) == other.probabilities(pairs)).all()


def test_few_pairs_are_not_learned_from(rng: np.random.Generator) -> None:
    found = fit(draw(rng, 499, SAME_PERSON), draw(rng, 50_000, TWO_PERSONS))
    assert found.method == "fixed"
    assert "fewer than 500 pairs" in found.why


def test_few_features_are_not_learned_from(rng: np.random.Generator) -> None:
    found = fit(draw(rng, 600, SAME_PERSON), draw(rng, 50_000, TWO_PERSONS), features=3)
    assert found.method == "fixed"
    assert "fewer than 4 features" in found.why


def test_households_are_not_taken_for_persons(rng: np.random.Generator) -> None:
    # Brothers and sisters: nothing is the same but surname, telephone and postcode.
    family = draw(rng, 2000, SAME_PERSON)
    family[:, [0, 2]] = draw(rng, 2000, TWO_PERSONS)[:, [0, 2]]
    two = draw(rng, 3000, TWO_PERSONS)
    found = fit(np.concatenate([family, two]), draw(rng, 50_000, TWO_PERSONS))
    assert found.method == "fixed"
    assert "not persons" in found.why
    assert (found.probabilities(family) > 0.8).mean() < 0.05


def test_one_pattern_alone(rng: np.random.Generator) -> None:
    strangers = np.full((600, len(KINDS)), Level.DIFFERENT, np.int8)
    found = fit(strangers, draw(rng, 50_000, TWO_PERSONS))
    assert np.isfinite(found.probabilities(strangers)).all()
    assert (found.probabilities(strangers) < 0.01).all()


def test_nothing_to_judge(rng: np.random.Generator) -> None:
    pairs = np.concatenate([draw(rng, 600, SAME_PERSON), draw(rng, 3000, TWO_PERSONS)])
    found = fit(pairs, draw(rng, 50_000, TWO_PERSONS))
    assert len(found.probabilities(pairs[:0])) == 0


def test_fixed_weights_speak_for_what_agrees(rng: np.random.Generator) -> None:
    fixed = FixedModel(FEATURES, draw(rng, 50_000, TWO_PERSONS), 10_000)
    levels = np.array(
        [
            [Level.SAME_RARE, Level.SAME_RARE, Level.SAME, Level.MISSING, Level.MISSING],
            [Level.SAME_RARE, Level.SAME_RARE, Level.CLOSE, Level.MISSING, Level.MISSING],
            [Level.SAME, Level.SAME, Level.MISSING, Level.MISSING, Level.MISSING],
            [Level.DIFFERENT, Level.SAME, Level.SAME, Level.MISSING, Level.SAME],
            [Level.MISSING] * 5,
        ],
        np.int8,
    )
    probability = fixed.probabilities(levels)
    assert probability[0] > probability[1] > probability[2] > probability[4]
    assert probability[0] > probability[3]
    # Who says nothing is not known to be anybody: 0.05 pairs of one person per record.
    assert probability[4] == pytest.approx(0.05 * 2 / 9_999, rel=0.01)


def test_a_small_file_is_not_measured_by_its_own_duplicates(rng: np.random.Generator) -> None:
    two = draw(rng, 900, TWO_PERSONS)
    same = np.full((40, len(KINDS)), Level.SAME, np.int8)
    clean = FixedModel(FEATURES, two, 44)
    mixed = FixedModel(FEATURES, np.concatenate([two, same]), 44)
    assert mixed.u == pytest.approx(clean.u, abs=0.001)


def test_what_most_rows_share_is_no_sign_of_duplicates(rng: np.random.Generator) -> None:
    alike = np.full((500, len(KINDS)), Level.SAME, np.int8)
    fixed = FixedModel(FEATURES, np.concatenate([draw(rng, 500, TWO_PERSONS), alike]), 46)
    assert (fixed.probabilities(alike) < 0.1).all()


def test_shares_are_told_for_every_type() -> None:
    for table in (USUAL_M, USUAL_U):
        assert set(table) == set(FieldType)
        for shares in table.values():
            assert len(shares) == len(Level) - 1
            assert sum(shares) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("records", [0, 1, 2, 5])
def test_all_pairs_where_there_are_few(records: int) -> None:
    left, right = random_pairs(records, 100)
    assert len(left) == records * (records - 1) // 2
    assert (left < right).all()


def test_random_pairs_are_of_different_records_and_always_the_same() -> None:
    left, right = random_pairs(1000, 5000)
    assert (left < right).all()
    assert right.max() < 1000
    assert len(left) == 5000
    again = random_pairs(1000, 5000)
    assert (left == again[0]).all()
    assert (right == again[1]).all()


def test_distinct_rows(rng: np.random.Generator) -> None:
    levels = draw(rng, 500, TWO_PERSONS)
    rows, place = distinct_rows(levels)
    assert (rows[place] == levels).all()
    assert len(np.unique(rows, axis=0)) == len(rows)
