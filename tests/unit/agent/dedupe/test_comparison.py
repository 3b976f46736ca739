from __future__ import annotations

import numpy as np
import pytest

from linkage.agent.dedupe import comparison
from linkage.agent.dedupe.comparison import Comparer
from linkage.agent.dedupe.levels import Level
from tests.unit.agent.dedupe.conftest import MakeRecords, Row, silent

L = Level


def compare(make: MakeRecords, one: Row, other: Row) -> tuple[dict[str, Level], bool]:
    """The levels of two rows by feature, and whether they contradict each other."""
    records = make([one, other])
    comparer = Comparer(records)
    left, right = np.sort(records.record[:1]), records.record[1:]
    found = comparer(left, right)
    names = [feature.name for feature in comparer.features]
    shown = {name: Level(level) for name, level in zip(names, found.levels[0], strict=True)}
    return shown, bool(found.contradicting[0])


def test_missing_is_a_level_of_its_own(make_records: MakeRecords) -> None:
    levels, contradict = compare(
        make_records, ("Ann", "Lee", "", "", "4025550100"), ("Ann", "", "1980-01-02", "", "")
    )
    assert levels["given"] in (L.SAME, L.SAME_RARE)
    assert {name: level for name, level in levels.items() if name != "given"} == {
        "surname": L.MISSING,
        "dob": L.MISSING,
        "ssn": L.MISSING,
        "phone": L.MISSING,
        "address": L.MISSING,
        "postcode": L.MISSING,
    }
    assert not contradict


def test_names_in_each_other_place(make_records: MakeRecords) -> None:
    levels, contradict = compare(
        make_records, ("Ann", "Meyer", "1980-01-02"), ("Meyer", "Ann", "1971-12-30")
    )
    assert (levels["given"], levels["surname"]) == (L.SWAPPED, L.MISSING)
    assert not contradict


def test_a_name_that_is_given_name_and_surname_is_no_exchange(make_records: MakeRecords) -> None:
    levels, _ = compare(
        make_records, ("Kelly", "Kelly", "1980-01-02"), ("Kelly", "Kelly", "1971-12-30")
    )
    assert levels["given"] in (L.SAME, L.SAME_RARE)
    assert levels["surname"] in (L.SAME, L.SAME_RARE)


def test_rare_names_tell_more(make_records: MakeRecords) -> None:
    rows = [("Ann", "Smith", f"19{n}-01-02") for n in range(20, 50)]
    rows += [("Ann", "Quist", "1980-01-02"), ("Ann", "Quist", "1981-07-08")]
    records = make_records(rows)
    found = Comparer(records)(records.record[[0, 30]], records.record[[1, 31]])
    assert found.levels[:, 1].tolist() == [L.SAME, L.SAME_RARE]


def test_what_moves_together_is_one_feature(make_records: MakeRecords) -> None:
    kinds = {"street": "address", "number": "address", "town": "city", "zip": "postcode"}
    records = make_records([("Elm", "7", "Omaha", "1"), ("Oak", "7", "Omaha", "68102")], kinds)
    comparer = Comparer(records)
    assert [(f.name, f.fields) for f in comparer.features] == [
        ("address", ("street", "number")),
        ("city and postcode", ("town", "zip")),
    ]
    found = comparer(np.array([0]), np.array([1]))
    assert found.levels.tolist() == [[L.SAME, L.SAME]]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("Ann", "Lee", "1980-01-02"), ("Zoe", "Lee", "1971-12-30"), True),
        (("Ann", "Lee", "1980-01-02"), ("Zoe", "Lee", "1980-01-02"), False),
        (("Ann", "Lee", "1980-01-02"), ("Ann", "Lee", "1971-12-30"), False),
        (("Ann", "Lee", "1980-01-02", "1234"), ("Ann", "Lee", "1971-12-30", "5678"), True),
        (("Ann", "Lee", "1980-01-02", "1234"), ("Zoe", "Lee", "1980-01-02", "5678"), True),
        (("Ann", "Lee", "", "1234"), ("Ann", "Lee", "1980-01-02", "5678"), False),
        # A national id and a surname outweigh a name and a date that were both made up.
        (("Ann", "Lee", "1980-01-02", "1234"), ("Zoe", "Lee", "1971-12-30", "1234"), False),
        (("Ann", "Lee", "1980-01-02", "1234"), ("Zoe", "Poe", "1971-12-30", "1234"), True),
    ],
)
def test_contradictions(make_records: MakeRecords, one: Row, other: Row, expected: bool) -> None:
    assert compare(make_records, one, other)[1] is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("Ann Lee", "1980-01-02"), ("Zoe Lee", "1971-12-30"), True),
        (("Ann Lee", "1980-01-02"), ("Lee, Anne", "1971-12-30"), False),
    ],
)
def test_contradictions_of_full_names(
    make_records: MakeRecords, one: Row, other: Row, expected: bool
) -> None:
    def make(rows: list[Row]) -> object:
        return make_records(rows, {"name": "full_name", "dob": "date_of_birth"})

    assert compare(make, one, other)[1] is expected  # type: ignore[arg-type]


def test_pairs_are_compared_alike_in_any_chunks(
    make_records: MakeRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    rows = [
        (f"given{rng.integers(9)}", f"name{rng.integers(9)}", f"198{rng.integers(9)}-01-0{day}")
        for day in rng.integers(1, 9, 60)
    ]
    records = make_records(rows)
    left, right = np.triu_indices(records.records, 1)
    whole = Comparer(records)(left, right)
    told: list[int] = []
    monkeypatch.setattr(comparison, "CHUNK", 100)
    parts = Comparer(records)(left, right, lambda _step, done, _total: told.append(done))
    assert (whole.levels == parts.levels).all()
    assert (whole.contradicting == parts.contradicting).all()
    assert told[-1] == len(left)
    assert silent("", 0, 0) is None
