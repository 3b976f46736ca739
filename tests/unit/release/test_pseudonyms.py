from __future__ import annotations

import numpy as np
import pytest

from linkage.errors import InvalidRequestError
from linkage.release.pseudonyms import draw_ids, from_hex, to_hex


def test_ids_are_distinct_and_differ_from_call_to_call() -> None:
    ids = draw_ids(50_000)
    assert ids.shape == (50_000, 16)
    assert len(set(to_hex(ids))) == 50_000
    assert not set(to_hex(ids)) & set(to_hex(draw_ids(50_000)))


def test_a_repeated_draw_is_drawn_again() -> None:
    chunks = iter([b"A" * 16 + b"B" * 16 + b"A" * 16, b"B" * 16, b"C" * 16])
    ids = draw_ids(3, random=lambda size: next(chunks))
    assert sorted(bytes(row) for row in ids) == [b"A" * 16, b"B" * 16, b"C" * 16]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_hex_and_back(count: int) -> None:
    ids = draw_ids(count)
    assert np.array_equal(from_hex(to_hex(ids)), ids)


@pytest.mark.parametrize("text", ["", "0" * 31, "G" * 32, "A" * 32, "0" * 30 + "\n0"])
def test_what_is_not_an_id_is_refused_by_place(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="id number 2"):
        from_hex(["0" * 32, text])
