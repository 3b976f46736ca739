"""What must hold of every pair-keyed encoding, whatever is encoded."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import linkage.encoding.pairlists as lists
import linkage.encoding.pairwise as module
from linkage.agreement import FieldType, IdentifierField, Manifest, parse_manifest
from linkage.answers import Answers
from linkage.encoding import normalise_column
from linkage.encoding.pairwise import PairwiseEncoder

SECRET = b"\x5a" * 32
FIELDS = {"given": "given_name", "surname": "surname", "dob": "date_of_birth", "zip": "postcode"}


def manifest(fields: dict[str, str] | None = None) -> Manifest:
    fields = FIELDS if fields is None else fields
    document = {
        "linkage": "manifest/1",
        "project": "county",
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [{"name": "a"}, {"name": "b"}],
        "recipients": [{"name": "r", "role": "assembler"}],
        "fields": [{"name": name, "type": kind} for name, kind in fields.items()],
        "match_keys": [{"name": "k", "fields": list(fields)[:1]}],
        "scheme": {"name": "saul-v1"},
    }
    return parse_manifest(json.dumps(document).encode())


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
RECORD = st.fixed_dictionaries(
    {
        "given": st.none() | TEXT,
        "surname": st.none() | TEXT,
        "dob": st.none() | st.dates().map(lambda d: d.isoformat()),
        "zip": st.none() | TEXT,
    }
)
RECORDS = st.lists(RECORD, min_size=1, max_size=12)


def ids(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16), dtype=np.uint8)


def encode(
    records: list[dict[str, str | None]],
    rows: np.ndarray,
    pair_ids: np.ndarray,
    threads: int = 1,
    fields: dict[str, str] | None = None,
) -> Answers:
    columns = {}
    for name in FIELDS if fields is None else fields:
        columns[name] = np.empty(len(records), dtype=object)
        columns[name][:] = [record[name] for record in records]
    with PairwiseEncoder(manifest(fields), SECRET, epoch=1) as encoder:
        encoder.prepare(columns)
        return encoder.encode(pair_ids, rows, context="run", threads=threads)


@settings(deadline=None, max_examples=50)
@given(records=RECORDS, data=st.data())
def test_partners_with_the_same_people_give_the_same_bits(records, data) -> None:
    """Whatever their rows' order, their pieces and threads."""
    rows = np.array(data.draw(st.lists(st.integers(0, len(records) - 1), min_size=1, max_size=20)))
    pairs = ids(len(rows), seed=data.draw(st.integers(0, 99)))
    ours = encode(records, rows, pairs)
    order = data.draw(st.permutations(range(len(records))))
    where = np.argsort(order)
    listed = np.array(data.draw(st.permutations(range(len(rows)))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_PAIRS", 3)
        patch.setattr(lists, "BLOCK_VALUES", 2)
        moved = [records[i] for i in order]
        theirs = encode(moved, where[rows][listed], pairs[listed], threads=2)
    for name in ("words", "present", "initial"):
        assert (getattr(theirs, name) == getattr(ours, name)[listed]).all()


@settings(deadline=None, max_examples=50)
@given(record=RECORD, field=st.sampled_from(list(FIELDS)), other=RECORD)
def test_one_field_changes_only_itself(record, field, other) -> None:
    changed = record | {field: other[field]}
    before = encode([record], np.array([0]), ids(1))
    after = encode([changed], np.array([0]), ids(1))
    for f, name in enumerate(FIELDS):
        if name != field or record[field] == changed[field]:
            assert (before.words[0, f] == after.words[0, f]).all()
        assert before.present[0, f] == bool(record[name])
        assert before.words[0, f].any() == bool(record[name])


@pytest.mark.parametrize("kind", list(FieldType))
@settings(deadline=None, max_examples=50)
@given(cells=st.lists(st.none() | st.text(max_size=40), min_size=1, max_size=6))
def test_whatever_is_normalised_can_be_encoded(kind: FieldType, cells: list[str | None]) -> None:
    column = normalise_column(IdentifierField(name="f", type=kind), cells)
    records = [{"f": value} for value in column.values]
    answers = encode(records, np.arange(len(cells)), ids(len(cells)), fields={"f": kind.value})
    assert answers.present[:, 0].tolist() == [value is not None for value in column.values]


def _bigrams(name: str) -> Counter[str]:
    padded = f" {name} "
    return Counter(padded[i : i + 2] for i in range(len(padded) - 1))


def _expected(a: str, b: str) -> float:
    """The share of bits in which two names should differ, by the angle between their bigrams."""
    x, y = _bigrams(a), _bigrams(b)
    norms = math.sqrt(sum(n * n for n in x.values()) * sum(n * n for n in y.values()))
    angle = math.acos(min(1.0, sum(x[t] * y[t] for t in x) / norms))
    return (1 - (1 - 2 * angle / math.pi) ** 3) / 2


def _distances(a: str, b: str, pairs: int) -> np.ndarray:
    """Of two names under many pair keys, as shares of 256 bits."""
    records = [{"n": a}, {"n": b}]
    fields = {"n": "surname"}
    left = encode(records, np.zeros(pairs, np.int64), ids(pairs), fields=fields).words[:, 0]
    right = encode(records, np.ones(pairs, np.int64), ids(pairs), fields=fields).words[:, 0]
    return np.bitwise_count(left ^ right).sum(axis=1) / 256


NAMES = [
    ("catherine", "catherine"),
    ("catherine", "katherine"),
    ("catherine", "kathryn"),
    ("jon", "john"),
    ("li", "lin"),
    ("smith", "smyth"),
    ("mary ann", "ann mary"),
    ("mary ann", "mary"),
    ("j", "james"),
    ("ng", "nguyen"),
    ("anderson", "sanderson"),
    ("garcia", "obrien"),
    ("lee", "wu"),
]


@pytest.mark.parametrize(("a", "b"), NAMES)
def test_distance_follows_the_angle_between_token_lists(a: str, b: str) -> None:
    """2,000 pairs of 256 bits: sampling error below 0.001, that of the weights near 0.01."""
    found = _distances(a, b, 2000)
    assert abs(found.mean() - _expected(a, b)) < 0.02
    # Bits are independent: the spread over pairs is that of 256 tosses.
    tosses = math.sqrt(found.mean() * (1 - found.mean()) / 256)
    assert 0.9 * tosses <= found.std() <= 1.1 * tosses


@settings(deadline=None, max_examples=30)
@given(
    a=st.text("abcdeorn", min_size=2, max_size=12), b=st.text("abcdeorn", min_size=2, max_size=12)
)
def test_distance_follows_the_angle_of_any_two_names(a: str, b: str) -> None:
    assert abs(_distances(a, b, 400).mean() - _expected(a, b)) < 0.035


def test_closer_names_have_closer_encodings() -> None:
    base = "elizabeth"
    ladder = ["elizabeth", "elisabeth", "elisabet", "lisbet", "bess"]
    means = [_distances(base, other, 500).mean() for other in ladder]
    assert means[0] == 0
    assert means == sorted(means)
    assert means[1] < 0.4
    assert means[-1] > 0.48


def test_a_record_under_two_pairs_is_two_strangers() -> None:
    """Every pair of bits, of words and of fields looks like coin tosses."""
    record = {"given": "mary ann", "surname": "obrien", "dob": "1976-07-04", "zip": "55101"}
    count = 2000
    words = encode([record], np.zeros(count, np.int64), ids(count)).words
    apart = np.bitwise_count(words[:-1] ^ words[1:]).sum(axis=2)
    assert abs(apart.mean() - 128) < 4 * 8 / math.sqrt(apart.size)
    assert 7.5 < apart.std() < 8.5
    bits = np.unpackbits(words.view(np.uint8), axis=2)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / math.sqrt(count)
    across = np.bitwise_count(words[:, 0] ^ words[:, 2]).sum(axis=1)
    assert abs(across.mean() - 128) < 4 * 8 / math.sqrt(count)


def test_pair_ids_that_differ_in_one_bit_are_strangers() -> None:
    record = {"given": "jo", "surname": "obrien", "dob": "1976-07-04", "zip": "55101"}
    pairs = np.zeros((129, 16), dtype=np.uint8)
    pairs[np.arange(128), np.arange(128) // 8] = 1 << (np.arange(128) % 8)
    words = encode([record], np.zeros(129, np.int64), pairs).words
    apart = np.bitwise_count(words[:128] ^ words[128]).sum(axis=2)
    assert abs(apart.mean() - 128) < 4 * 8 / math.sqrt(apart.size)
    assert apart.min() > 85
