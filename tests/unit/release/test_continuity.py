import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from linkage.release.continuity import Inherited, inherit


def ids(*numbers: int) -> np.ndarray:
    """Made-up ids that a reader can tell apart."""
    out = np.zeros((len(numbers), 16), np.uint8)
    out[:, 0] = numbers
    out[:, 15] = 1
    return out


def run(former: dict[int, int], now: dict[int, int]) -> Inherited:
    """Handle -> former linkage id, and handle -> present cluster."""
    count = max(now.values(), default=-1) + 1
    return inherit(
        ids(*former),
        ids(*former.values()),
        ids(*now),
        np.array(list(now.values()), np.int64),
        count,
    )


def pairs(moved: np.ndarray) -> list[tuple[int, int]]:
    return [(int(old[0]), int(new[0])) for old, new in moved]


def test_an_unchanged_cluster_keeps_its_id() -> None:
    found = run({1: 50, 2: 50, 3: 60}, {1: 0, 2: 0, 3: 1})
    assert found.ids[:, 0].tolist() == [50, 60]
    assert found.kept.all()
    assert not len(found.merges)
    assert not len(found.splits)
    assert found.ended == 0


def test_a_new_record_joins_under_the_old_id_and_a_new_person_gets_a_new_one() -> None:
    found = run({1: 50}, {1: 0, 9: 0, 8: 1})
    assert found.ids[0, 0] == 50
    assert found.kept.tolist() == [True, False]
    assert found.ids[1].tolist() != ids(50)[0].tolist()


def test_a_merge_goes_on_under_the_larger_share() -> None:
    found = run({1: 50, 2: 60, 3: 60}, {1: 0, 2: 0, 3: 0})
    assert found.ids[:, 0].tolist() == [60]
    assert pairs(found.merges) == [(50, 60), (60, 60)]
    assert not len(found.splits)


def test_a_split_leaves_the_id_with_the_larger_share() -> None:
    found = run({1: 50, 2: 50, 3: 50}, {1: 0, 2: 1, 3: 1})
    assert found.ids[1, 0] == 50
    assert found.kept.tolist() == [False, True]
    assert pairs(found.splits)[1] == (50, 50)
    assert len(found.splits) == 2


def test_a_withdrawn_person_ends() -> None:
    found = run({1: 50, 2: 60}, {1: 0})
    assert found.ended == 1
    assert found.ids[:, 0].tolist() == [50]


def test_the_first_round_has_nothing_to_inherit() -> None:
    found = run({}, {1: 0, 2: 1})
    assert not found.kept.any()
    assert len(np.unique(found.ids, axis=0)) == 2


def test_nobody_is_left() -> None:
    found = run({1: 50}, {})
    assert len(found.ids) == 0
    assert found.ended == 1


@given(
    former=st.dictionaries(st.integers(0, 40), st.integers(50, 70)),
    now=st.dictionaries(st.integers(0, 40), st.integers(0, 12)),
)
def test_ids_are_distinct_and_follow_records(former: dict[int, int], now: dict[int, int]) -> None:
    number = {cluster: n for n, cluster in enumerate(sorted(set(now.values())))}
    present = {handle: number[cluster] for handle, cluster in now.items()}
    found = run(former, present)
    assert len(np.unique(found.ids, axis=0)) == len(found.ids) == len(number)
    for cluster, kept in enumerate(found.kept):
        shared = {former[h] for h, c in present.items() if c == cluster and h in former}
        assert not kept or int(found.ids[cluster, 0]) in shared
        # A cluster goes without only where each of its former ids went to another.
        assert kept or shared <= {
            int(i[0]) for i, k in zip(found.ids, found.kept, strict=True) if k
        }
    for old, new in pairs(found.merges):
        cluster = found.ids[:, 0].tolist().index(new)
        assert any(c == cluster and former.get(h) == old for h, c in present.items())
