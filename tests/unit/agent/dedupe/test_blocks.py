from __future__ import annotations

import pytest

from linkage.agent.dedupe import blocks
from linkage.agent.dedupe.recordset import RecordSet
from tests.unit.agent.dedupe.conftest import MakeRecords, silent


def pairs(records: RecordSet) -> set[tuple[int, int]]:
    """Candidate pairs as rows of the file, where no two rows read alike."""
    assert records.rows == records.records
    row = {int(record): place for place, record in enumerate(records.record)}
    found = blocks.find_candidates(records, silent)
    return {
        tuple(sorted((row[a], row[b])))  # type: ignore[misc]
        for a, b in zip(found.left.tolist(), found.right.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Ann", "Lee", "1980-01-02"), ("Zoe", "Poe", "1980-01-02")),
        (("Ann", "Lee", "", "123-45-6780"), ("Zoe", "Poe", "", "123456780")),
        (("Ann", "Lee", "", "", "402 555 0100"), ("Zoe", "Poe", "", "", "(402) 555-0100")),
        (("Ann", "Lee", "", "", "", "7 Elm Street"), ("Zoe", "Poe", "", "", "", "7 ELM ST")),
        (("Catherine", "Smith", "1980-01-02"), ("Katherin", "Smyth", "1971-12-30")),
        (("Lee", "Ann", "1980-01-02"), ("Ann", "Lee", "1971-12-30")),
        (("Ann", "Garcia-Lopez", "1980-01-02"), ("Ann", "Lopez", "1971-12-30")),
        (("A", "Lee", "1980-01-02"), ("Ann", "Lee", "1980-11-30")),
        (("Ann", "Lee", "", "", "", "", "57801"), ("Ann", "Poe", "", "", "", "", "57801")),
        (("Ан", "Ли", "1980-01-02"), ("Ан", "Ли", "1971-12-30")),
    ],
)
def test_records_that_meet(
    make_records: MakeRecords, one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert pairs(make_records([one, ("Max", "Moritz", "1955-05-05"), other])) == {(0, 2)}


def test_each_pair_once_and_no_pair_of_strangers(make_records: MakeRecords) -> None:
    rows = [
        ("Ann", "Lee", "1980-01-02", "123456780", "4025550100"),
        ("Ann", "Lee", "1980-01-02", "123456780", "4025550199"),
        ("Bob", "Poe", "1961-02-03", "123456799", "4025550177"),
    ]
    found = blocks.find_candidates(make_records(rows), silent)
    assert (found.left.tolist(), found.right.tolist()) == ([0], [1])


def test_every_field_of_a_type_makes_a_block(make_records: MakeRecords) -> None:
    kinds = {"ssn": "national_id", "licence": "national_id"}
    rows = [("1111222", "7"), ("3333444", "7"), ("1111222", "8")]
    assert pairs(make_records(rows, kinds)) == {(0, 1), (0, 2)}


def test_blocks_of_the_fields_there_are(make_records: MakeRecords) -> None:
    kinds = {"name": "full_name", "dob": "date_of_birth"}
    rows = [("Ann Lee", "1980-01-02"), ("Lee, Anne", "1979-01-02"), ("Bob Ray", "1980-04-05")]
    found = blocks.find_candidates(make_records(rows, kinds), silent)
    assert [block.parts for block in found.blocks] == [
        (("dob", "whole"),),
        (("name", "first"), ("name", "last")),
        (("name", "first"), ("dob", "year")),
        (("name", "last"), ("dob", "year")),
    ]
    assert len(found.left) == 1


def test_a_file_without_any_field_to_block_by(make_records: MakeRecords) -> None:
    found = blocks.find_candidates(make_records([("m",), ("f",)], {"sex": "sex"}), silent)
    assert (len(found.left), found.blocks) == (0, ())


def test_a_large_block_is_narrowed(
    make_records: MakeRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "FEWEST_PAIRS", 10)
    monkeypatch.setattr(blocks, "PAIRS_PER_RECORD", 0)
    kinds = {"state": "exact", "dob": "date_of_birth"}
    rows = [("NE", f"{1950 + n // 2}-01-{n + 1:02}") for n in range(20)]
    found = blocks.find_candidates(make_records(rows, kinds), silent)
    state = next(b for b in found.blocks if b.parts[0] == ("state", "whole"))
    assert state.parts == (("state", "whole"), ("dob", "year"))
    assert (state.pairs, state.left_out) == (10, 0)


def test_groups_too_large_for_any_narrowing_are_left_out_and_counted(
    make_records: MakeRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "FEWEST_PAIRS", 10)
    monkeypatch.setattr(blocks, "PAIRS_PER_RECORD", 0)
    kinds = {"booking": "exact", "note": "number"}
    rows = [("A", str(n)) for n in range(30)] + [("B", str(n)) for n in range(4)]
    found = blocks.find_candidates(make_records(rows, kinds), silent)
    (block,) = found.blocks
    assert (block.pairs, block.left_out) == (6, 30)


def test_words_without_a_sound_stand_for_themselves() -> None:
    assert blocks.sounds_of(["meyer", "meier", "李", "7"]) == ["MYR", "MR", "李", "7"]
