from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from linkage.agent.variants import Aliases, combine
from linkage.agreement.fields import MAX_VARIANTS


def objects(*values: str | None) -> Any:
    return np.array([*values, None], np.object_)[:-1]


def numbers(*values: int) -> Any:
    return np.array(values, np.int64)


def rows(found: Any) -> list[tuple[Any, ...]]:
    return list(
        zip(
            found.records.tolist(),
            found.numbers.tolist(),
            *(column.tolist() for column in found.columns.values()),
            strict=True,
        )
    )


OWN = {"given": objects("ann", "bo", None), "surname": objects("lee", "ray", "fox")}


def test_records_without_aliases_are_themselves() -> None:
    found = combine(OWN, 3, [])
    assert rows(found) == [(0, 0, "ann", "lee"), (1, 0, "bo", "ray"), (2, 0, None, "fox")]
    assert found.counts(3).tolist() == [1, 1, 1]


def test_an_alias_replaces_what_it_fills_and_keeps_the_rest() -> None:
    maiden = Aliases(numbers(0, 2), {"surname": objects("may", "hall")}, numbers(-1, -1))
    table = Aliases(
        numbers(0, 1),
        {"given": objects(None, "bob"), "surname": objects("poe", "roy")},
        numbers(8, 4),
    )
    assert rows(combine(OWN, 3, [maiden, table])) == [
        (0, 0, "ann", "lee"),
        (0, 1, "ann", "may"),
        (0, 2, "ann", "poe"),
        (1, 0, "bo", "ray"),
        (1, 1, "bob", "roy"),
        (2, 0, None, "fox"),
        (2, 1, None, "hall"),
    ]


def test_an_alias_that_says_nothing_new_is_dropped() -> None:
    same = Aliases(
        numbers(0, 0, 0, 1), {"surname": objects("lee", "may", "may", "may")}, numbers(0, 1, 2, 3)
    )
    found = combine(OWN, 3, [same])
    assert [row[:2] for row in rows(found)] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]


def test_aliases_beyond_the_most_are_named_and_left_out() -> None:
    many = [f"name{n}" for n in range(MAX_VARIANTS + 2)]
    table = Aliases(np.full(len(many), 1), {"surname": objects(*many)}, np.arange(len(many)) + 100)
    found = combine(OWN, 3, [table])
    assert found.counts(3).tolist() == [1, MAX_VARIANTS, 1]
    assert found.refused.tolist() == [115, 116, 117]


@given(
    own=st.lists(st.sampled_from([None, "a", "b"]), min_size=1, max_size=6),
    aliases=st.lists(
        st.tuples(
            st.integers(0, 5), st.sampled_from([None, *"abcd"]), st.sampled_from([None, *"xy"])
        ),
        max_size=60,
    ),
)
def test_every_record_has_each_of_its_spellings_once(
    own: list[str | None], aliases: list[tuple[int, str | None, str | None]]
) -> None:
    size = len(own)
    mine = [(record % size, one, other) for record, one, other in aliases]
    columns = {"one": objects(*own), "other": objects(*["z"] * size)}
    part = Aliases(
        numbers(*(m[0] for m in mine)),
        {"one": objects(*(m[1] for m in mine)), "other": objects(*(m[2] for m in mine))},
        np.arange(len(mine)),
    )
    found = combine(columns, size, [part])
    expected = []
    for record in range(size):
        spellings = [(own[record], "z")]
        spellings += [(o or own[record], p or "z") for r, o, p in mine if r == record]
        kept = list(dict.fromkeys(spellings))[:MAX_VARIANTS]
        expected += [(record, number, *spelling) for number, spelling in enumerate(kept)]
    assert rows(found) == expected
