"""Probes and floods are refused by what is encoded, whatever handles are given to it."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.agreement import Manifest, parse_manifest
from linkage.bounds import changed_people, require_bounds, require_change
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.errors import AgreementError

KEYS = ("one", "two", "three")
BITS = 128


def manifest_of(*, unique: bool = True, **settings: Any) -> Manifest:
    document = {
        "linkage": "manifest/1",
        "project": "p",
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [{"name": "a", "unique": unique}, {"name": "b"}],
        "recipients": [{"name": "c", "role": "assembler"}],
        "fields": [{"name": "surname", "type": "surname"}],
        "match_keys": [{"name": name, "fields": ["surname"]} for name in KEYS],
        "scheme": {"name": "saul-v1"},
        "min_rows": 1,
        "safeguards": {"rows_per_person": 3, "commonest_share": 0.5, "min_change": 5},
        **settings,
    }
    return parse_manifest(json.dumps(document).encode())


def matrix_of(rows: int, seed: int = 0) -> EncodingMatrix:
    """As many different people."""
    draw = np.random.default_rng(seed)
    layout = EncodingLayout("saul-v1", BITS, KEYS, rows, "0" * 64)
    handles = draw.integers(0, 256, (rows, 16), dtype=np.uint8)
    return EncodingMatrix(
        layout,
        handles,
        handles.copy(),
        np.empty((rows, 0), np.uint8),
        np.ones((len(KEYS), rows), np.bool_),
        draw.integers(1, 1 << 63, (len(KEYS), rows, BITS // 64), dtype=np.uint64),
    )


def refusal(matrix: EncodingMatrix, manifest: Manifest) -> str:
    with pytest.raises(AgreementError) as caught:
        require_bounds(matrix, manifest, "a")
    assert caught.value.reason == "NOT_COVERED_BY_AGREEMENT"
    return caught.value.message


def test_a_file_of_different_people_is_taken() -> None:
    require_bounds(matrix_of(40), manifest_of(min_rows=40), "a")


def test_a_probe_of_few_people_is_refused() -> None:
    assert "fewer than 10 people" in refusal(matrix_of(9), manifest_of(min_rows=10))


def test_aliases_and_rows_of_one_person_do_not_fill_a_probe() -> None:
    matrix = matrix_of(30)
    matrix.groups[:] = matrix.groups[0]
    manifest = manifest_of(min_rows=2, safeguards={"rows_per_person": 100})
    assert "fewer than 2 people" in refusal(matrix, manifest)


def test_rows_without_any_encoding_do_not_fill_a_probe() -> None:
    matrix = matrix_of(30)
    matrix.presence[:, 1:] = False
    matrix.words[:, 1:] = 0
    assert "fewer than 10 people" in refusal(matrix, manifest_of(min_rows=10))


def test_too_many_rows_of_one_group() -> None:
    matrix = matrix_of(40)
    matrix.groups[:4] = matrix.groups[0]
    assert "more than 3 rows of one person" in refusal(matrix, manifest_of())


def test_a_flood_under_other_handles_is_seen_in_what_is_encoded() -> None:
    matrix = matrix_of(100)
    matrix.words[:, :4] = matrix.words[:, :1]
    assert "more than 3 people encoded all alike" in refusal(matrix, manifest_of())


def test_a_flood_in_one_match_key_is_seen_though_the_others_differ() -> None:
    matrix = matrix_of(100)
    matrix.words[1, :51] = matrix.words[1, 0]
    assert "match key 'two'" in refusal(matrix, manifest_of())
    matrix.words[1, 50] += np.uint64(1)
    require_bounds(matrix, manifest_of(), "a")


@pytest.mark.parametrize(("unique", "pairs", "refused"), [(True, 10, False), (True, 11, True)])
def test_a_share_of_people_alike(unique: bool, pairs: int, refused: bool) -> None:
    matrix = matrix_of(100)
    matrix.words[:, 50 : 50 + pairs] = matrix.words[:, :pairs]
    if refused:
        assert "more than 10% of the people" in refusal(matrix, manifest_of(unique=unique))
    else:
        require_bounds(matrix, manifest_of(unique=unique), "a")


def test_a_file_that_is_not_unique_may_repeat_people() -> None:
    matrix = matrix_of(99)
    for start in (0, 1, 2):
        matrix.words[:, start::3] = matrix.words[:, 0::3]
    require_bounds(matrix, manifest_of(unique=False), "a")


def test_rows_of_one_person_may_be_alike() -> None:
    """Aliases leave the keys without the aliased field as they are."""
    matrix = matrix_of(90)
    for start in (1, 2):
        matrix.groups[start::3] = matrix.groups[0::3]
        matrix.words[:, start::3] = matrix.words[:, 0::3]
    require_bounds(matrix, manifest_of(), "a")


@given(st.integers(0, 20), st.integers(0, 20), st.booleans())
def test_changed_people_are_those_new_or_gone(new: int, gone: int, shuffled: bool) -> None:
    before, after = matrix_of(60), matrix_of(60 - gone + new, seed=1)
    kept = 60 - gone
    after.words[:, :kept] = before.words[:, :kept]
    if shuffled:
        order = np.random.default_rng(2).permutation(after.layout.rows)
        after.words[:] = after.words[:, order]
    assert changed_people(before, after) == max(new, gone)


def test_a_small_step_is_refused_under_whatever_handles() -> None:
    before, after = matrix_of(60), matrix_of(60, seed=1)
    after.words[:, :56] = before.words[:, :56]
    with pytest.raises(AgreementError, match="differ from the last ones by fewer than 5 people"):
        require_change(before, after, manifest_of(), "a")
    with pytest.raises(AgreementError):
        require_change(before, before, manifest_of(), "a")
    after.words[:, 55] += np.uint64(1)
    require_change(before, after, manifest_of(), "a")


def test_many_rows_of_one_new_person_are_one_change() -> None:
    before, after = matrix_of(60), matrix_of(70, seed=1)
    after.words[:, :60] = before.words
    after.groups[60:] = after.groups[60]
    assert changed_people(before, after) == 1


def test_memory_grows_with_rows_only() -> None:
    rows = 200_000
    matrix = matrix_of(rows)
    tracemalloc.start()
    require_bounds(matrix, manifest_of(), "a")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120 * rows
