from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from linkage.agent.dedupe import groups
from linkage.agent.dedupe.groups import Groups, make_groups

Pairs = npt.NDArray[np.int64]


def group(
    records: int, links: dict[tuple[int, int], float], apart: set[tuple[int, int]] | None = None
) -> Groups:
    asked: set[tuple[int, int]] = set()

    def clearly(left: Pairs, right: Pairs) -> npt.NDArray[np.bool_]:
        pairs = list(zip(left.tolist(), right.tolist(), strict=True))
        assert all(a < b for a, b in pairs)
        asked.update(pairs)
        return np.array([pair in (apart or set()) for pair in pairs], np.bool_)

    ends = np.array(list(links), np.int64).reshape(-1, 2)
    return make_groups(
        records, ends[:, 0], ends[:, 1], np.array(list(links.values()), float), clearly
    )


def sets(found: Groups) -> set[frozenset[int]]:
    """The groups of two and more."""
    by: dict[int, set[int]] = {}
    for record, root in enumerate(found.group.tolist()):
        by.setdefault(root, set()).add(record)
    return {frozenset(members) for members in by.values() if len(members) > 1}


def test_links_join_and_the_weakest_that_is_needed_is_told() -> None:
    found = group(6, {(0, 1): 0.99, (1, 2): 0.9, (0, 2): 0.82, (4, 5): 0.85})
    assert sets(found) == {frozenset({0, 1, 2}), frozenset({4, 5})}
    assert sorted(found.weakest.values()) == [0.85, 0.9]
    assert set(found.weakest) == {int(found.group[0]), int(found.group[4])}
    assert not found.apart


def test_a_chain_does_not_join_what_contradicts_itself() -> None:
    # 2 is like both: an entry without a birth date, say. It goes where its link is stronger.
    links = {(0, 1): 0.99, (1, 2): 0.9, (2, 3): 0.95, (3, 4): 0.99}
    found = group(5, links, apart={(0, 3), (1, 4)})
    assert sets(found) == {frozenset({0, 1}), frozenset({2, 3, 4})}
    left, right = int(found.group[0]), int(found.group[4])
    assert found.apart == {left: {right}, right: {left}}


def test_without_a_contradiction_the_chain_is_one_person() -> None:
    found = group(5, {(0, 1): 0.99, (1, 2): 0.9, (2, 3): 0.95, (3, 4): 0.99})
    assert sets(found) == {frozenset(range(5))}


def test_a_contradiction_far_off_does_not_matter() -> None:
    found = group(4, {(0, 1): 0.99, (2, 3): 0.99}, apart={(0, 2), (0, 3), (1, 2)})
    assert sets(found) == {frozenset({0, 1}), frozenset({2, 3})}
    assert not found.apart


def test_a_row_that_was_kept_apart_alone() -> None:
    found = group(3, {(0, 1): 0.99, (1, 2): 0.9}, apart={(0, 2)})
    assert sets(found) == {frozenset({0, 1})}
    assert found.apart == {int(found.group[0]): {2}, 2: {int(found.group[0])}}


def test_no_links() -> None:
    found = group(3, {})
    assert found.group.tolist() == [0, 1, 2]
    assert (found.weakest, found.apart) == ({}, {})


def test_equal_links_are_taken_in_one_order() -> None:
    links = {(0, 1): 0.9, (1, 2): 0.9, (2, 3): 0.9, (0, 3): 0.9}
    apart = {(0, 2), (1, 3)}
    found = group(4, links, apart)
    assert sets(found) == {frozenset({0, 1}), frozenset({2, 3})}
    assert sets(group(4, dict(reversed(links.items())), apart)) == sets(found)


def test_no_group_grows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST_RECORDS", 3)
    found = group(6, {(n, n + 1): 0.99 - n / 100 for n in range(5)})
    assert sets(found) == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}
    assert len(found.apart) == 2


def test_pairs_are_asked_about_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {(n, n + 1): 0.9 for n in range(29) if n % 10 != 9}
    whole = group(30, links, apart={(0, 9), (12, 17)})
    monkeypatch.setattr(groups, "_PAIRS_AT_ONCE", 1)
    assert sets(group(30, links, apart={(0, 9), (12, 17)})) == sets(whole)
    assert len(sets(whole)) == 4
