"""Tokens: vectorised cutting agrees with the obvious way, and keeps what errors leave alone."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.agreement import FieldType
from linkage.encoding.tokens import Vocabulary, tokenise
from linkage.errors import InputError

VECTORS = Path(__file__).parents[2] / "vectors"
spec = importlib.util.spec_from_file_location("reference", VECTORS / "saul_v1_reference.py")
assert spec is not None
assert spec.loader is not None
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


def cut(kind: FieldType, values: list[str]) -> list[list[str]]:
    vocabulary = Vocabulary()
    tokens = tokenise(kind, values, vocabulary)
    texts = [text.decode() for text in vocabulary.texts()]
    return [
        [texts[n] for n in tokens.numbers[a:b]]
        for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    ]


@pytest.mark.parametrize(
    "case", json.loads((VECTORS / "saul_v1.json").read_text("utf-8"))["tokens"]
)
def test_known_tokens(case: dict) -> None:
    assert sorted(cut(FieldType(case["type"]), [case["value"]])[0]) == case["tokens"]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
VALUES = {
    FieldType.DATE_OF_BIRTH: st.builds(
        lambda d, length: d.isoformat()[:length], st.dates(), st.sampled_from([4, 7, 10])
    ),
    FieldType.POSTCODE: st.text("a1 ", min_size=1, max_size=9) | TEXT,
    FieldType.EMAIL: st.tuples(TEXT, TEXT.filter(lambda t: "@" not in t)).map("@".join),
    FieldType.NUMBER: st.from_regex(r"\A-?[0-9]{1,30}(\.[0-9]{1,5})?\Z"),
    FieldType.ADDRESS: st.lists(
        st.sampled_from(["12b", "7", "x1", "high", "st", "é"]), min_size=1
    ).map(" ".join),
}


@pytest.mark.parametrize("kind", list(FieldType))
@given(data=st.data())
def test_tokens_are_those_of_the_reference(kind: FieldType, data: st.DataObject) -> None:
    values = data.draw(st.lists(VALUES.get(kind, TEXT), max_size=8))
    for found, value in zip(cut(kind, values), values, strict=True):
        assert Counter(found) == Counter(reference.tokens(kind.value, value))


def overlap(kind: FieldType, left: str, right: str) -> float:
    a, b = (Counter(tokens) for tokens in cut(kind, [left, right]))
    return 2 * (a & b).total() / (a.total() + b.total())


@pytest.mark.parametrize(
    ("left", "right", "least"),
    [
        ("1976-07-04", "1976-04-07", 0.8),  # day and month swapped
        ("1976-07-04", "1976-07-05", 0.8),  # one digit wrong
        ("1976-07-04", "1967-07-04", 0.7),  # two digits swapped
        ("1976-07-04", "1976-01-01", 0.4),  # only the year known
    ],
)
def test_damaged_dates_keep_tokens(left: str, right: str, least: float) -> None:
    assert overlap(FieldType.DATE_OF_BIRTH, left, right) >= least


def test_the_order_of_words_does_not_matter() -> None:
    assert overlap(FieldType.GIVEN_NAME, "mary ann", "ann mary") == 1


def test_a_phone_without_area_code_keeps_its_tokens() -> None:
    assert overlap(FieldType.PHONE, "6515550123", "5550123") > 0.8


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (FieldType.DATE_OF_BIRTH, "04/07/1976"),
        (FieldType.DATE_OF_BIRTH, "1976-07-4"),
        (FieldType.DATE_OF_BIRTH, "1976/07"),
        (FieldType.DATE_OF_BIRTH, "197x"),
        (FieldType.DATE_OF_BIRTH, "1976-O7-04"),
        (FieldType.EMAIL, "nobody"),
        (FieldType.SURNAME, "\ud800"),
        (FieldType.SURNAME, "x" * (1 << 20) + "x"),
    ],
)
def test_what_no_normaliser_gives_is_refused(kind: FieldType, value: str) -> None:
    with pytest.raises(InputError) as caught:
        cut(kind, [value])
    assert value not in str(caught.value)


def test_a_vocabulary_numbers_many_tokens_once() -> None:
    vocabulary = Vocabulary()
    codes = np.random.default_rng(1).integers(0, 1 << 60, 50_000)
    first = vocabulary.number(codes)
    assert len(vocabulary) == 50_000
    assert first.tolist() == list(range(50_000))
    assert (vocabulary.number(codes[::-1].copy()) == first[::-1]).all()
    assert len(vocabulary) == 50_000
