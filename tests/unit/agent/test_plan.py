from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from linkage.agent.checking import Checked
from linkage.agent.findings import Reason
from linkage.agent.plan import Plan, draw, sorted_order
from linkage.agent.rowmap import SentRows, places_by_row, read_row_map, write_row_map

VARIANTS = [1, 3, 0, 2, 1, 0, 1]


def checked(groups: list[int] | None = None) -> Checked:
    return Checked(
        missing={"dob": 1},
        covered={"all": 4},
        reasons=(Reason("dob", "not a date", 2), Reason("id", "unknown", 1, "aliases.csv")),
        sentinels={"dob": 0},
        variants=np.array(VARIANTS, np.uint8),
        groups=None if groups is None else np.array(groups, np.uint32),
        grouped=1,
        unlisted={"race": 3},
    )


def texts(ids: npt.NDArray[np.uint8]) -> list[bytes]:
    return [row.tobytes() for row in ids]


def test_ids_are_ordered_as_bytes() -> None:
    ids = np.random.default_rng(1).integers(0, 3, (500, 16), np.uint8)
    assert texts(ids[sorted_order(ids)]) == sorted(texts(ids))


def test_rows_of_a_record_stand_together_under_its_handle_and_group() -> None:
    plan, handles, groups = draw(checked([0, 1, 1, 0, 4, 5, 1]))
    assert texts(handles) == sorted(texts(handles))
    assert len(set(texts(handles))) == 5
    of = {}
    for row, first in zip([0, 1, 3, 4, 6], plan.places.tolist(), strict=True):
        here = slice(first, first + VARIANTS[row])
        assert len({*texts(handles[here])}) == len({*texts(groups[here])}) == 1
        of[row] = texts(groups[here])[0]
    assert of[0] == of[3]
    # The second row's group holds a record that is left out.
    assert of[1] == of[6]
    assert len(set(of.values())) == 3
    assert plan.first_places(0, 7)[[2, 5]].tolist() == [0, 0]
    assert plan.first_places(3, 5).tolist() == plan.places[2:4].tolist()


def test_every_plan_is_another_one() -> None:
    many = checked()
    drawn = {tuple(draw(many)[0].places.tolist()) for _ in range(40)}
    assert len(drawn) > 10


def test_a_plan_is_found_again_for_the_same_work_only(tmp_path: Path) -> None:
    plan, _, _ = draw(checked())
    assert Plan.load(tmp_path, {}) is None
    plan.save(tmp_path, {"source": "abc", "epoch": 0})
    for known in ({"source": "abd"}, {"source": "abc", "epoch": 1}, {"aliases": "x"}):
        assert Plan.load(tmp_path, known) is None
    found = Plan.load(tmp_path, {"source": "abc"})
    assert found is not None
    assert found.places.tolist() == plan.places.tolist()
    again = found.checked
    assert (again.rows, again.sent, again.encodings, again.skipped.tolist()) == (7, 5, 8, [2, 5])
    for name in ("missing", "covered", "reasons", "sentinels", "grouped", "unlisted"):
        assert getattr(again, name) == getattr(plan.checked, name)
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_a_row_map_is_read_whole_and_piece_by_piece(tmp_path: Path) -> None:
    plan, handles, _ = draw(checked())
    ids = [f"R{row}" for row in range(7)]
    write_row_map(
        tmp_path,
        iter([ids[:3], ids[3:4], ids[4:]]),
        plan.checked.variants,
        plan.places,
        handles,
        {"source": "abc", "aliases": ""},
    )
    known = read_row_map(tmp_path)
    assert known.rows.tolist() == [0, 1, 3, 4, 6]
    assert known.record_ids == ["R0", "R1", "R3", "R4", "R6"]
    assert texts(known.handles) == texts(handles[plan.places])
    assert known.skipped_rows.tolist() == [2, 5]
    assert known.skipped_ids == {"R2", "R5"}
    rows, places = places_by_row(tmp_path)
    assert rows.tolist() == [0, 1, 1, 1, 3, 3, 4, 6]
    assert sorted(places.tolist()) == list(range(8))
    reader = SentRows(tmp_path)
    assert reader.made_from() == {"source": "abc", "aliases": ""}
    seen = [reader.before(row) for row in (0, 1, 3, 6, 9)]
    assert [part.rows.tolist() for part in seen] == [[], [0], [1, 1, 1], [3, 3, 4], [6]]
    assert [part.variants.tolist() for part in seen] == [[], [0], [0, 1, 2], [0, 1, 0], [0]]
    assert np.concatenate([part.places for part in seen]).tolist() == places.tolist()
