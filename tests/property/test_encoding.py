"""What must hold of every encoding, whatever is encoded."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import linkage.encoding.encoder as module
from linkage.agreement import FieldType, IdentifierField, Manifest, parse_manifest
from linkage.encoding import Encoded, Encoder, normalise_column
from linkage.encoding.names import split_full_name

SECRET = b"\x5a" * 32
FIELDS = {"given": "given_name", "surname": "surname", "dob": "date_of_birth", "zip": "postcode"}
KEYS = {"a": ["given", "surname", "dob"], "b": ["surname", "zip"], "c": ["dob", "zip"]}
SCHEMES = [
    {"name": "saul-v1", "bits": 1024},
    {"name": "clk-v1", "bits": 512, "risk_acknowledged": True},
]


def manifest(scheme: Mapping[str, object] = SCHEMES[0], **changes: object) -> Manifest:
    document = {
        "linkage": "manifest/1",
        "project": "county",
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [{"name": "a"}, {"name": "b"}],
        "recipients": [{"name": "r", "role": "assembler"}],
        "fields": [{"name": name, "type": kind} for name, kind in FIELDS.items()],
        "match_keys": [{"name": name, "fields": fields} for name, fields in KEYS.items()],
        "scheme": scheme,
    }
    return parse_manifest(json.dumps(document | changes).encode())


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
RECORD = st.fixed_dictionaries(
    {
        "given": st.none() | TEXT,
        "surname": st.none() | TEXT,
        "dob": st.none()
        | st.builds(lambda d, n: d.isoformat()[:n], st.dates(), st.sampled_from([4, 7, 10])),
        "zip": st.none() | TEXT,
    }
)
RECORDS = st.lists(RECORD, min_size=1, max_size=12)


def as_columns(records: list[dict[str, str | None]]) -> dict[str, np.ndarray]:
    found = {}
    for name in FIELDS:
        found[name] = np.empty(len(records), dtype=object)
        found[name][:] = [record[name] for record in records]
    return found


def encode(records: list[dict[str, str | None]], threads: int = 1, **changes: object) -> Encoded:
    with Encoder(manifest(**changes), SECRET, epoch=1) as encoder:
        return encoder.encode(as_columns(records), threads=threads)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s["name"])
@settings(deadline=None)
@given(records=RECORDS, data=st.data())
def test_order_chunks_and_threads_do_not_matter(scheme, records, data) -> None:
    whole = encode(records, scheme=scheme)
    order = data.draw(st.permutations(range(len(records))))
    moved = encode([records[i] for i in order], scheme=scheme)
    assert (moved.words == whole.words[:, order]).all()
    assert (moved.presence == whole.presence[:, order]).all()

    cut = data.draw(st.integers(0, len(records)))
    with Encoder(manifest(scheme), SECRET, epoch=1) as encoder:
        parts = [encoder.encode(as_columns(part)) for part in (records[:cut], records[cut:])]
    assert (np.concatenate([part.words for part in parts], axis=1) == whole.words).all()
    assert (np.concatenate([part.presence for part in parts], axis=1) == whole.presence).all()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_ROWS", 2)
        threaded = encode(records, threads=3, scheme=scheme)
    assert (threaded.words == whole.words).all()
    assert (threaded.presence == whole.presence).all()


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s["name"])
@settings(deadline=None)
@given(records=RECORDS)
def test_present_encodings_are_never_uniform(scheme, records) -> None:
    encoded = encode(records, scheme=scheme)
    ones = np.uint64(2**64 - 1)
    assert (encoded.words.any(axis=2) == encoded.presence).all()
    assert not (encoded.words == ones).all(axis=2).any()
    for k, fields in enumerate(KEYS.values()):
        whole = [all(record[name] for name in fields) for record in records]
        assert encoded.presence[k].tolist() == whole


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s["name"])
@settings(deadline=None)
@given(
    record=RECORD,
    field=st.sampled_from(["given", "surname", "zip"]),
    letter=st.sampled_from("qx7é"),
)
def test_a_change_of_one_field_changes_its_match_keys_only(scheme, record, field, letter) -> None:
    changed = record | {field: (record[field] or "") + letter}
    before, after = encode([record], scheme=scheme), encode([changed], scheme=scheme)
    for k, fields in enumerate(KEYS.values()):
        if field not in fields:
            assert (before.words[k] == after.words[k]).all()
            assert (before.presence[k] == after.presence[k]).all()


def _people(rows: int) -> list[dict[str, str | None]]:
    rng = np.random.default_rng(11)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))

    def word() -> str:
        return "".join(rng.choice(letters, rng.integers(4, 9)))

    return [
        {
            "given": word(),
            "surname": word(),
            "dob": f"{rng.integers(1920, 2020)}-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}",
            "zip": f"{rng.integers(10000, 99999)}",
        }
        for _ in range(rows)
    ]


PEOPLE = _people(400)


def _mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.bitwise_count(a ^ b).sum() / a.size / 64)


def _unrelated(a: np.ndarray, b: np.ndarray) -> None:
    """Mean and spread of the distances are those of independent fair bits (six sigma)."""
    bits = 64 * a.shape[-1]
    apart = np.bitwise_count(a ^ b).sum(axis=-1, dtype=np.int64)
    assert abs(apart.mean() - bits / 2) < 6 * np.sqrt(bits / 4 / len(apart)) * 1.5
    assert abs(apart - bits / 2).max() < 7 * np.sqrt(bits / 4)


def test_another_project_epoch_or_match_key_gives_unrelated_bits() -> None:
    words = encode(PEOPLE).words
    _unrelated(words[0], encode(PEOPLE, project="town").words[0])
    with Encoder(manifest(), SECRET, epoch=2) as encoder:
        _unrelated(words[0], encoder.encode(as_columns(PEOPLE)).words[0])
    with Encoder(manifest(), b"\x5b" * 32, epoch=1) as encoder:
        _unrelated(words[0], encoder.encode(as_columns(PEOPLE)).words[0])
    renamed = [{"name": "z", "fields": KEYS["a"]}]
    _unrelated(words[0], encode(PEOPLE, match_keys=renamed).words[0])
    more = encode(PEOPLE, scheme=SCHEMES[0] | {"hashes": 4}).words
    _unrelated(words[0], more[0])
    longer = encode(PEOPLE, scheme=SCHEMES[0] | {"bits": 2048}).words
    _unrelated(words[0], np.ascontiguousarray(longer[0, :, :16]))


def test_another_field_name_gives_unrelated_bits() -> None:
    fields = [{"name": "zip", "type": "postcode"}, {"name": "plz", "type": "postcode"}]

    def of(field: str) -> np.ndarray:
        agreed = manifest(fields=fields, match_keys=[{"name": "k", "fields": [field]}])
        values = as_columns(PEOPLE)["zip"]
        with Encoder(agreed, SECRET, epoch=1) as encoder:
            return encoder.encode({field: values}).words[0]

    _unrelated(of("zip"), of("plz"))


def test_bits_are_balanced() -> None:
    words = encode(PEOPLE, scheme=SCHEMES[0] | {"bits": 2048}).words[0]
    bits = np.unpackbits(words.view(np.uint8), axis=1)
    assert abs(bits.mean() - 0.5) < 0.02
    assert bits.mean(axis=0).min() > 0.3
    assert bits.mean(axis=0).max() < 0.7


def test_more_errors_are_farther_apart() -> None:
    def damaged(fields: list[str]) -> list[dict[str, str | None]]:
        return [
            record
            | {
                name: record[name][:2] + "q" + record[name][3:]
                if name != "dob"
                else record["dob"][:9] + str((int(record["dob"][9]) + 1) % 10)
                for name in fields
            }
            for record in PEOPLE
        ]

    scheme = SCHEMES[0] | {"bits": 2048}
    clean = encode(PEOPLE, scheme=scheme).words[0]
    apart = [
        _mean_distance(clean, encode(damaged(fields), scheme=scheme).words[0])
        for fields in ([], ["given"], ["given", "dob"], ["given", "surname", "dob"])
    ]
    assert apart[0] == 0
    assert 0.25 < apart[1] < 0.36
    assert apart == sorted(apart)
    assert apart[3] < 0.45
    shuffled = clean[np.random.default_rng(3).permutation(len(clean))]
    assert 0.48 < _mean_distance(clean, shuffled) < 0.51


FREE = st.text(max_size=40)
STABLE = [t for t in FieldType if not t.is_name and t is not FieldType.PHONE]


@pytest.mark.parametrize("kind", STABLE)
@given(cell=FREE)
def test_normalising_twice_changes_nothing(kind: FieldType, cell: str) -> None:
    field = IdentifierField(name="f", type=kind)
    once = normalise_column(field, [cell]).values[0]
    assert normalise_column(field, [once]).values[0] == once


@pytest.mark.parametrize("kind", list(FieldType))
@settings(deadline=None)
@given(cells=st.lists(st.none() | FREE, max_size=6))
def test_whatever_is_normalised_can_be_encoded(kind: FieldType, cells: list[str | None]) -> None:
    field = IdentifierField(name="f", type=kind)
    column = normalise_column(field, cells)
    assert all(value is None or value for value in column.values)
    agreed = manifest(
        fields=[{"name": "f", "type": kind.value}], match_keys=[{"name": "k", "fields": ["f"]}]
    )
    with Encoder(agreed, SECRET, epoch=1) as encoder:
        encoded = encoder.encode({"f": column.values})
    assert encoded.presence[0].tolist() == [value is not None for value in column.values]


@pytest.mark.parametrize("kind", [FieldType.SURNAME, FieldType.CITY, FieldType.ADDRESS])
@given(cell=FREE)
def test_composed_and_decomposed_text_meet(kind: FieldType, cell: str) -> None:
    field = IdentifierField(name="f", type=kind)
    forms = [unicodedata.normalize(form, cell) for form in ("NFC", "NFD")]
    assert len({str(value) for value in normalise_column(field, forms).values}) == 1


@pytest.mark.parametrize("kind", ["given_name", "middle_name", "full_name"])
@given(cell=FREE | st.lists(st.sampled_from(["Bill", "Kate", "Lee", ",", "Jr"])).map(" ".join))
def test_nicknames_only_ever_add_words(kind: str, cell: str) -> None:
    kept, more = (
        normalise_column(IdentifierField(name="f", type=FieldType(kind), nicknames=on), [cell])
        for on in (False, True)
    )
    before, after = (str(column.values[0] or "").split() for column in (kept, more))
    assert Counter(before) <= Counter(after)


@given(cell=FREE)
def test_a_full_name_is_the_words_of_its_parts(cell: str) -> None:
    parts = split_full_name(cell)
    value = normalise_column(IdentifierField(name="f", type=FieldType.FULL_NAME), [cell]).values[0]
    assert (value or "").split() == [*parts.given, *parts.middle, *parts.surname]
