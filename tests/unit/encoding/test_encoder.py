"""The encoder: presence, layout, refusals, and what the two schemes share."""

from __future__ import annotations

import hashlib
import hmac
from itertools import pairwise

import numpy as np
import pytest

import linkage.encoding.encoder as module
from linkage.encoding import Encoder
from linkage.encoding.lists import avoid_uniform
from linkage.encodings import HANDLE_BYTES, EncodingMatrix
from linkage.errors import InputError, StateError

SECRET = bytes(range(32))
SAUL = {"name": "saul-v1", "bits": 1024}
CLK = {"name": "clk-v1", "bits": 1024, "risk_acknowledged": True}


@pytest.fixture(params=[SAUL, CLK], ids=["saul", "clk"])
def scheme(request) -> dict:
    return request.param


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.bitwise_count(a ^ b).sum() / (64 * len(a)))


def test_a_record_lacking_a_field_has_no_encoding(make_manifest, columns, scheme) -> None:
    encoded = Encoder(make_manifest(scheme=scheme), SECRET, epoch=1).encode(columns)
    assert encoded.presence.shape == (5, 40)
    assert encoded.words.shape == (5, 40, 16)
    assert encoded.words.dtype == np.uint64
    absent = {(k, r) for k, r in zip(*np.nonzero(~encoded.presence), strict=True)}
    assert absent == {(0, 5), (0, 6), (0, 7), (4, 5), (4, 6), (4, 7), (1, 0), (2, 39)}
    assert (encoded.words.any(axis=2) == encoded.presence).all()


def test_equal_records_have_equal_encodings_and_others_do_not(
    make_manifest, columns, scheme
) -> None:
    words = Encoder(make_manifest(scheme=scheme), SECRET, epoch=1).encode(columns).words
    assert (words[3, 0] == words[3, 3]).all()
    assert (words[3, 0] != words[3, 1]).any()


def test_what_is_encoded_fills_a_valid_matrix(make_manifest, columns, scheme) -> None:
    manifest = make_manifest(scheme=scheme)
    with Encoder(manifest, SECRET, epoch=1) as encoder:
        layout, encoded = encoder.layout(40), encoder.encode(columns)
    assert layout.scheme == scheme["name"]
    assert layout.fingerprint == manifest.fingerprint
    handles = np.random.default_rng(0).integers(0, 256, (40, HANDLE_BYTES)).astype(np.uint8)
    none = np.empty((40, 0), dtype=np.uint8)
    matrix = EncodingMatrix(layout, handles, handles, none, encoded.presence, encoded.words)
    data = np.frombuffer(b"".join(matrix.sections()), dtype=np.uint8)
    read = EncodingMatrix.from_buffer(data, layout)
    read.validate()
    assert (read.words == encoded.words).all()


def test_swapped_names_meet(make_manifest, columns, scheme) -> None:
    swapped = columns | {"given": columns["surname"], "surname": columns["given"]}
    with Encoder(make_manifest(scheme=scheme), SECRET, epoch=1) as encoder:
        assert (encoder.encode(columns).words[0] == encoder.encode(swapped).words[0]).all()


def test_fields_do_not_share_tokens(make_manifest, columns) -> None:
    columns["city"] = columns["address"] = np.array(["elm"] * 40, dtype=object)
    manifest = make_manifest({"one": ["city"], "two": ["address"], "three": ["city"]})
    words = Encoder(manifest, SECRET, epoch=1).encode(columns).words[:, 0]
    for a, b in pairwise([*words, words[0]]):
        assert 0.4 < distance(a, b) < 0.6


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 2},
        {"project": "other"},
        {"secret": bytes(32)},
        {"scheme": SAUL | {"hashes": 4}},
        {"keys": {"renamed": ["given", "surname", "dob"]}},
    ],
    ids=str,
)
def test_every_part_of_the_key_matters(make_manifest, columns, change) -> None:
    def encode(secret=SECRET, epoch=1, **settings):
        with Encoder(make_manifest(**settings), secret, epoch=epoch) as encoder:
            return encoder.encode(columns).words[0, 0]

    assert 0.4 < distance(encode(), encode(**change)) < 0.6


def test_weights_pull(make_manifest, columns) -> None:
    """With more weight on the surname, records that share only it come nearer."""
    other = columns | {"ssn": columns["ssn"][::-1].copy()}

    def apart(weight: int) -> float:
        manifest = make_manifest(
            {"k": ["surname", "ssn"]}, weights={"k": {"surname": weight}}, scheme=SAUL
        )
        with Encoder(manifest, SECRET, epoch=1) as encoder:
            a, b = encoder.encode(columns).words[0], encoder.encode(other).words[0]
        return float(np.mean([distance(x, y) for x, y in zip(a, b, strict=True)]))

    assert apart(1) > apart(3) + 0.02


def test_clk_is_the_union_of_blake2b_positions(make_manifest) -> None:
    """Positions as clkhash's blakeHash draws them, written out once more."""
    manifest = make_manifest(
        {"k": ["sex", "surname"]},
        weights={"k": {"surname": 4}},
        scheme=CLK | {"bits": 512, "hashes": 10},
    )
    columns = {"sex": np.array(["f"], dtype=object), "surname": np.array(["ng"], dtype=object)}
    found = Encoder(manifest, SECRET, epoch=7).encode(columns).words[0, 0]

    def key(namespace: str) -> bytes:
        parts = ["linkage", "clk-v1", "bits=512,hashes=10", "county", "7", "k", namespace]
        info = b"".join(len(p).to_bytes(2, "big") + p.encode() for p in parts)
        return hmac.digest(hmac.digest(bytes(32), SECRET, "sha256"), info + b"\1", "sha256")

    expected = set()
    for namespace, token, draws in [
        ("field:sex", "xf", 10),
        *(("names", t, 40) for t in ("g n", "gng", "gg ")),
    ]:
        raw = b"".join(
            hashlib.blake2b(token.encode(), key=key(namespace), salt=salt).digest()
            for salt in (b"0", b"1")
        )
        expected |= {int.from_bytes(raw[2 * i : 2 * i + 2], "little") % 512 for i in range(draws)}
    bits = np.unpackbits(found.astype("<u8").view(np.uint8), bitorder="little")
    assert set(np.flatnonzero(bits).tolist()) == expected


def test_a_full_filter_is_not_all_ones(make_manifest, columns) -> None:
    columns["address"][:] = " ".join(str(i) for i in range(2000))
    manifest = make_manifest({"k": ["address"]}, scheme=CLK | {"bits": 512, "hashes": 64})
    words = Encoder(manifest, SECRET, epoch=1).encode(columns).words
    assert np.bitwise_count(words).sum(axis=2).tolist() == [[511] * 40]


def test_uniform_encodings_lose_a_bit_and_absent_ones_stay() -> None:
    ones = np.uint64(2**64 - 1)
    out = np.array([[0, 0], [ones, ones], [0, 0], [ones, 0], [0, 1]], dtype=np.uint64)
    avoid_uniform(np.array([0, 1, 2, 2, 3, 4]), out)
    assert out.tolist() == [[1, 0], [int(ones) - 1, int(ones)], [0, 0], [int(ones), 0], [0, 1]]


def test_very_long_values(make_manifest, columns, scheme) -> None:
    columns["address"][3] = "9 " + "lane " * 20_000
    with Encoder(make_manifest(scheme=scheme), SECRET, epoch=1) as encoder:
        assert encoder.encode(columns).presence[1, 3]
    columns["address"][3] = "x" * 1_000_000
    manifest = make_manifest({"k": ["address"]}, weights={"k": {"address": 8}})
    with pytest.raises(InputError, match="too long"):
        Encoder(manifest, SECRET, epoch=1).encode(columns)


def test_no_rows(make_manifest, columns, scheme) -> None:
    empty = {name: column[:0] for name, column in columns.items()}
    encoded = Encoder(make_manifest(scheme=scheme), SECRET, epoch=1).encode(empty, threads=2)
    assert encoded.presence.shape == (5, 0)
    assert encoded.words.shape == (5, 0, 16)


def test_all_missing(make_manifest, columns, scheme) -> None:
    nothing = {name: np.full(40, None, dtype=object) for name in columns}
    encoded = Encoder(make_manifest(scheme=scheme), SECRET, epoch=1).encode(nothing)
    assert not encoded.presence.any()
    assert not encoded.words.any()


def test_fields_outside_match_keys_may_be_left_out(make_manifest, columns) -> None:
    manifest = make_manifest({"k": ["surname"]})
    encoder = Encoder(manifest, SECRET, epoch=1)
    alone = encoder.encode({"surname": columns["surname"]})
    assert (alone.words == encoder.encode(columns).words).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surname": None}, "'surname' has no column"),
        ({"nickname": ["x"] * 40}, "'nickname' is not a field"),
        ({"surname": ["x"] * 39}, "same number of rows"),
        ({"surname": [42] * 40}, "'surname': a value is not text"),
        ({"dob": ["4 July 1976"] * 40}, "'dob': a value is not a normalised date"),
        ({"email": ["nobody"] * 40}, "'email': a value is not a normalised e-mail"),
        ({"surname": ["\ud800"] * 40}, "'surname': a value holds a character"),
    ],
    ids=str,
)
def test_wrong_columns_are_refused(make_manifest, columns, change, message) -> None:
    for name, values in change.items():
        if values is None:
            del columns[name]
        else:
            columns[name] = np.array(values, dtype=object)
    with pytest.raises(InputError, match=message) as caught:
        Encoder(make_manifest(), SECRET, epoch=1).encode(columns)
    assert "July" not in str(caught.value)


@pytest.mark.parametrize(("secret", "epoch"), [(b"short", 1), (bytes(33), 1), (SECRET, -1)])
def test_wrong_secret_or_epoch_is_refused(make_manifest, secret, epoch) -> None:
    with pytest.raises(InputError):
        Encoder(make_manifest(), secret, epoch=epoch)


def test_close_overwrites_keys_and_tables(make_manifest, columns, scheme) -> None:
    encoder = Encoder(make_manifest(scheme=scheme), SECRET, epoch=1)
    encoder.encode(columns)
    tables = encoder._tables
    keys = [key for table in tables for key in table._keys.values()]
    assert all(any(key) for key in keys)
    encoder.close()
    encoder.close()
    assert not any(any(key) for key in keys)
    assert not any(table.rows.any() for table in tables)
    with pytest.raises(StateError, match="closed"):
        encoder.encode(columns)


def test_dropping_large_tables_changes_nothing(make_manifest, columns, scheme, monkeypatch) -> None:
    manifest = make_manifest(scheme=scheme)
    whole = Encoder(manifest, SECRET, epoch=1).encode(columns)
    monkeypatch.setattr(module, "BLOCK_ROWS", 7)
    monkeypatch.setattr(module, "MAX_VOCABULARY", 3)
    for threads in (1, 2):
        blocks = Encoder(manifest, SECRET, epoch=1).encode(columns, threads=threads)
        assert (blocks.words == whole.words).all()
        assert (blocks.presence == whole.presence).all()
