from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from linkage.errors import DisclosureError
from linkage.release.disclosure.rows import (
    MISSING,
    Group,
    k_anonymity,
    l_diversity,
    suppress_locally,
    t_closeness,
)


def everybody(codes: np.ndarray, *sensitive: tuple[np.ndarray, np.ndarray]) -> Group:
    return Group("the table", np.arange(len(codes)), codes, sensitive)


def smallest(codes: np.ndarray, hidden: np.ndarray) -> int:
    left = pd.DataFrame(np.where(hidden, MISSING, codes))
    return int(left.groupby(list(left.columns)).size().min())


def test_k_l_and_t_of_a_small_table() -> None:
    frame = pd.DataFrame(
        {
            "sex": ["f", "f", "f", "m", "m", None],
            "age": ["1", "1", "1", "2", "2", "2"],
            "ill": ["a", "b", "b", "a", "a", "a"],
        }
    )
    assert k_anonymity(frame, ["age"]) == 3
    assert k_anonymity(frame, ["sex", "age"]) == 1
    assert l_diversity(frame, ["age"], "ill") == 1
    # Shares of a and b: 4/6, 2/6 in all; 1/3, 2/3 and 1, 0 in the classes.
    assert t_closeness(frame, ["age"], "ill") == pytest.approx(1 / 3)
    assert (k_anonymity(frame[:0], ["age"]), t_closeness(frame[:0], ["age"], "ill")) == (0, 0.0)


def test_the_least_important_value_goes_first() -> None:
    codes = np.array(
        [[1, 1, 1]] * 5 + [[1, 1, 2]] * 2 + [[1, 1, 3]] * 2 + [[1, 2, 1]] * 3 + [[1, 2, 2]] * 3
    )
    hidden = suppress_locally(len(codes), [everybody(codes)], k=3)
    assert smallest(codes, hidden) >= 3
    assert not hidden[:, :2].any()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("k", "l"), [(3, 1), (11, 1), (5, 2)])
def test_every_class_is_large_and_diverse_in_every_group(seed: int, k: int, l: int) -> None:  # noqa: E741
    random = np.random.default_rng(seed)
    people = int(random.integers(60, 400))
    codes = np.column_stack([random.geometric(p, people) for p in (0.7, 0.4, 0.3, 0.15)])
    codes[random.random(codes.shape) < 0.05] = MISSING
    members = np.flatnonzero(random.random(people) < 0.4)
    # One table knows some persons otherwise, or not at all, in a column.
    own = codes[members].copy()
    own[random.random(own.shape) < 0.05] = MISSING
    rows = random.permutation(len(members))
    values = random.geometric(0.5, len(rows))
    groups = [everybody(codes), Group("one", members, own, [(rows, values)])]
    hidden = suppress_locally(people, groups, k=k, l=l)
    assert smallest(codes, hidden) >= k
    assert smallest(own, hidden[members]) >= k
    left = np.where(hidden[members], MISSING, own)
    frame = pd.DataFrame(left[rows], columns=list("abcd")).assign(ill=values)
    assert l_diversity(frame, list("abcd"), "ill") >= l


def test_too_few_persons_cannot_be_hidden() -> None:
    codes = np.ones((20, 2), np.int64)
    with pytest.raises(DisclosureError, match=r"table 'x' holds fewer than 11 persons") as caught:
        suppress_locally(20, [Group("table 'x'", np.arange(5), codes[:5])], k=11)
    assert "smaller k" in str(caught.value.remedy)
    alike = everybody(codes, (np.arange(20), np.ones(20, np.int64)))
    with pytest.raises(DisclosureError, match="fewer than 2 values"):
        suppress_locally(20, [alike], k=11, l=2)
