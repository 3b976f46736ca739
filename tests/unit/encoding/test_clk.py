"""Filters from a linkage schema: what is refused and how it is said; bounded tables; files.

That the filters are clkhash's is proven in tests/vectors and tests/peers.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.agreement.linkage_schema import parse_linkage_schema
from linkage.encoding import clk_compat
from linkage.encoding.clk_compat import ClkEncoder, encode_clks, fold
from linkage.encoding.clk_files import (
    blocks_from_json,
    blocks_to_json,
    clks_from_binary,
    clks_from_json,
    clks_from_numbered,
    clks_to_binary,
    clks_to_json,
    clks_to_numbered,
)
from linkage.errors import InputError, ManifestError, SourceError, StateError

SECRET = b"0123456789abcdef"
SCHEMA: dict[str, Any] = {
    "version": 3,
    "clkConfig": {"l": 128, "kdf": {"type": "HKDF"}},
    "features": [
        {"identifier": "id", "ignored": True},
        {
            "identifier": "name",
            "format": {"type": "string", "encoding": "ascii", "maxLength": 20, "case": "lower"},
            "hashing": {
                "comparison": {"type": "ngram", "n": 2},
                "strategy": {"bitsPerFeature": 30},
                "missingValue": {"sentinel": "NA"},
            },
        },
        {
            "identifier": "born",
            "format": {"type": "date", "format": "%Y-%m-%d"},
            "hashing": {
                "comparison": {"type": "ngram", "n": 1, "positional": True},
                "strategy": {"bitsPerToken": 4},
                "hash": {"type": "doubleHash"},
            },
        },
    ],
}


def changed(place: str, value: Any) -> dict[str, Any]:
    """SCHEMA with one setting given, or taken out where `value` is None."""
    document = copy.deepcopy(SCHEMA)
    *parents, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    at: Any = document
    for part in parents:
        at = at[part]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return document


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("version", 2, "version: only version 3"),
        ("version", 4, "version"),
        ("clkConfig.l", "1024", "clkConfig.l: Input should be a valid integer"),
        ("clkConfig.l", 1000, "features.1.hashing.hash: blakeHash needs filters of a power of two"),
        ("clkConfig.l", 1 << 30, "clkConfig.l"),
        ("clkConfig.xor_folds", 19, "longer than"),
        ("clkConfig.xor_folds", -1, "clkConfig.xor_folds"),
        ("clkConfig.kdf", None, "clkConfig.kdf: Field required"),
        ("clkConfig.kdf.type", "PBKDF2", "clkConfig.kdf.type"),
        ("clkConfig.kdf.salt", "x", "clkConfig.kdf.salt: is not base64"),
        ("clkConfig.kdf.keySize", 65, "keys of at most 64 bytes"),
        ("clkConfig.kdf.keySize", 2000, "more than HKDF with SHA256 can give"),
        ("features", [], "features"),
        ("features.0", {"identifier": "id", "ignored": False}, "features.0.ignored"),
        ("features.0.weight", 2, "features.0.weight: unknown setting"),
        ("features.1.format.maxlength", 2, "features.1.format.maxlength: unknown setting"),
        ("features.1.format.encoding", "latin-1", "features.1.format.encoding"),
        ("features.1.format.pattern", "a", "cannot stand beside pattern"),
        ("features.1.format.type", "text", "features.1.format"),
        ("features.1.format", {"type": "string", "pattern": "("}, "features.1.format.pattern"),
        ("features.1.hashing.weight", 1, "features.1.hashing.weight: unknown setting"),
        ("features.1.hashing.strategy", {}, "features.1.hashing.strategy: give one of"),
        ("features.1.hashing.strategy", {"k": 2}, "features.1.hashing.strategy.k: unknown"),
        ("features.1.hashing.comparison.n", 0, "features.1.hashing.comparison.n"),
        ("features.1.hashing.hash", {"type": "md5"}, "features.1.hashing.hash"),
        (
            "features.1.hashing.hash",
            {"type": "blakeHash", "prevent_singularity": True},
            "prevent_singularity is for doubleHash",
        ),
        ("features.1.hashing.missingValue", {}, "missingValue.sentinel: Field required"),
    ],
)
def test_a_wrong_schema_is_refused_by_place(place: str, value: Any, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_linkage_schema(changed(place, value), source="s.json")
    assert said in str(caught.value)
    assert str(caught.value).startswith("s.json: ")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "not valid JSON: line 1"),
        (b"\xff", "not valid JSON in UTF-8"),
        (b'{"version": 3, "version": 3}', "'version' is given twice"),
        (b"[]", "s.json"),
        (b"{}", "version: Field required"),
        (b" " * ((1 << 20) + 1), "larger than"),
    ],
)
def test_what_is_no_schema_at_all(data: bytes, said: str) -> None:
    with pytest.raises(ManifestError, match=r"s\.json") as caught:
        parse_linkage_schema(data, source="s.json")
    assert said in str(caught.value)


def test_settings_that_clkhash_ignores_are_named() -> None:
    document = changed("features.1.hashing.comparison.fractionalPrecision", 2)
    document["clkConfig"]["k"] = 20
    assert parse_linkage_schema(document).warnings == (
        "clkConfig.k is ignored",
        "features.1.hashing.comparison.fractionalPrecision is ignored",
    )
    assert parse_linkage_schema(SCHEMA).warnings == ()


def test_folds_are_read_as_clkhash_reads_them_and_said() -> None:
    read = parse_linkage_schema(changed("clkConfig.xorFolds", 2))
    assert read.filter_bits == 128
    assert "clkhash reads xor_folds (0)" in read.warnings[0]
    documented = read.as_documented()
    assert documented.filter_bits == 512
    assert documented.warnings == ()
    rows = [["1", "ng", "1976-07-04"]]
    assert encode_clks(documented, rows, SECRET).shape == (1, 2)
    assert (
        encode_clks(documented, rows, SECRET)
        == encode_clks(parse_linkage_schema(changed("clkConfig.xor_folds", 2)), rows, SECRET)
    ).all()


def test_what_is_refused_in_an_ignored_feature_is_only_its_form() -> None:
    document = changed("clkConfig.l", 1000)
    document["features"][1]["ignored"] = True
    assert parse_linkage_schema(document).encoded.keys() == {2}


BAD_ROWS: list[list[Any]] = [
    ["1", "ng", "1976-07-04"],
    ["2", "Ng", "1976-02-30"],
    ["3", "é", "1976-07-04"],
    ["4", "NA", "NA"],
    ["5", "a" * 21, "4.7.1976"],
    ["6", None, "1976-07-04"],
    ["7", "NA", "1976-7-4"],
]


def test_every_wrong_cell_is_reported_and_none_is_shown() -> None:
    with pytest.raises(SourceError) as caught:
        encode_clks(parse_linkage_schema(SCHEMA), BAD_ROWS, SECRET)
    assert [(p.row, p.field, p.message) for p in caught.value.problems] == [
        (2, "born", "is not a date in the declared format"),
        (2, "name", "is not in lower case"),
        (3, "name", "cannot be written in ascii"),
        (4, "born", "is not a date in the declared format"),
        (5, "born", "is not a date in the declared format"),
        (5, "name", "is too long"),
        (6, "name", "is not text"),
    ]
    assert "1976" not in str(caught.value)


def test_rows_of_another_length(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="row 2: has not 3 cells"):
        encode_clks(parse_linkage_schema(SCHEMA), [BAD_ROWS[0], ["2", "x"]], SECRET)


def test_problems_are_counted_but_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clk_compat, "MAX_PROBLEMS", 10)
    monkeypatch.setattr(clk_compat, "BLOCK_ROWS", 4)
    rows = [["1", "UP", "1976-07-04"]] * 50
    with pytest.raises(SourceError) as caught:
        encode_clks(parse_linkage_schema(SCHEMA), rows, SECRET)
    assert [p.row for p in caught.value.problems] == list(range(1, 11))
    assert caught.value.total == 50


def test_blocks_and_dropped_tables_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = parse_linkage_schema(SCHEMA)
    rows = [
        [str(i), f"n{i % 37} {i % 11}", f"19{i % 70 + 20}-01-{i % 28 + 1:02}"] for i in range(5000)
    ]
    whole = encode_clks(schema, rows, SECRET)
    monkeypatch.setattr(clk_compat, "BLOCK_ROWS", 97)
    monkeypatch.setattr(clk_compat, "MAX_TOKENS", 20)
    encoder = ClkEncoder(schema, SECRET)
    for feature in encoder._features.values():
        feature._max_values = 50
    assert (encoder.encode_rows(rows) == whole).all()
    assert (encoder.encode_rows(rows[:10]) == whole[:10]).all()


def test_no_rows() -> None:
    assert encode_clks(parse_linkage_schema(SCHEMA), [], SECRET).shape == (0, 2)


def test_close_overwrites_keys_and_tables() -> None:
    encoder = ClkEncoder(parse_linkage_schema(SCHEMA), SECRET)
    encoder.encode_rows(BAD_ROWS[:1])
    features = list(encoder._features.values())
    keys = [key for feature in features for key in feature._keys]
    filters = [feature._filters for feature in features]
    assert all(any(key) for key in keys)
    assert all(table.any() for table in filters)
    encoder.close()
    assert not any(any(key) for key in keys)
    assert not any(table.any() for table in filters)
    with pytest.raises(StateError):
        encoder.encode_rows(BAD_ROWS[:1])


@pytest.mark.parametrize("bits", [64, 100, 7])
def test_folding_is_xor_of_halves_again_and_again(bits: int) -> None:
    flat = np.random.default_rng(bits).integers(0, 2, (5, 8 * bits), np.uint8)
    expected = flat
    for _ in range(3):
        half = expected.shape[1] // 2
        expected = expected[:, :half] ^ expected[:, half:]

    def packed(values: np.ndarray) -> np.ndarray:
        spare = -values.shape[1] % 64
        padded = np.pad(values, ((0, 0), (0, spare)))
        return np.packbits(padded, axis=1, bitorder="little").view("<u8")

    assert (fold(packed(flat), bits, 3) == packed(expected)).all()


@pytest.mark.parametrize("bits", [64, 1024, 1001, 9])
def test_files_round_trip(bits: int) -> None:
    rng = np.random.default_rng(bits)
    flat = np.zeros((7, -(-bits // 64) * 64), np.uint8)
    flat[:, :bits] = rng.integers(0, 2, (7, bits))
    words = np.packbits(flat, axis=1, bitorder="little").view("<u8")
    expected = [np.packbits(row[:bits]).tobytes() for row in flat]
    assert clks_to_binary(words, bits) == b"".join(expected)
    assert json.loads(clks_to_json(words, bits))["clks"] == [
        base64.b64encode(row).decode() for row in expected
    ]
    numbered = clks_to_numbered(words, bits)
    assert numbered == b"".join(struct.pack(f"!I{len(r)}s", i, r) for i, r in enumerate(expected))
    assert (clks_from_binary(clks_to_binary(words, bits), bits) == words).all()
    assert (clks_from_json(clks_to_json(words, bits), bits) == words).all()
    ids = np.array([5, 4, 3, 2, 1, 0, 4_000_000_000], np.uint32)
    read, filters = clks_from_numbered(clks_to_numbered(words, bits, ids), bits)
    assert (read == ids).all()
    assert (filters == words).all()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is not JSON so"),
        (b"{", "it is not JSON so"),
        (b"[]", "it is not JSON so"),
        (b'{"clks": {}}', "it is not JSON so"),
        (b'{"clks": [1]}', "it is not JSON so"),
        (b'{"clks": []} x', "it is not JSON so"),
        (b'{"clknblocks": [["AAA=", "1"]]}', "made without blocks"),
        (b'{"clks": [' + b" " * 5000, "it is not JSON so"),
        (b'{"clks": ["AAA=",]}', "after 1 filters it goes on otherwise, or ends"),
        (b'{"clks": ["AAA=" "AAA="]}', "after 1 filters"),
        (b'{"clks": ["AAA="', "after 1 filters"),
        (b'{"clks": ["AAA="]', "after 1 filters"),
        (b'{"clks": ["AAA=", "' + b"A" * 5000, "after 1 filters"),
        (b'{"clks": ["*"]}', "filter 1 is not base64"),
        (b'{"clks": ["AAA=", "\xff\xff"]}', "filter 2 is not base64"),
        (b'{"clks": ["AA=="]}', "filter 1 is 1 bytes long, not 2"),
        (b'{"clks": ["AIA=", "AAE="]}', "filter 2 has more than 9 bits"),
    ],
)
def test_files_that_are_none(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        clks_from_json(data, 9)
    with pytest.raises(InputError, match="whole number of filters"):
        clks_from_binary(b"123", 9)
    with pytest.raises(InputError, match="whole number of filters"):
        clks_from_numbered(b"1234567", 9)
    assert len(clks_from_json(b'{"clks": []}', 9)) == 0


@settings(deadline=None)
@given(
    rows=st.integers(0, 9),
    bits=st.integers(1, 70),
    gap=st.text(" \n\t\r", max_size=3),
    size=st.integers(1, 40),
)
def test_json_may_be_cut_anywhere(rows: int, bits: int, gap: str, size: int) -> None:
    rng = np.random.default_rng(rows)
    flat = np.zeros((rows, -(-bits // 64) * 64), np.uint8)
    flat[:, :bits] = rng.integers(0, 2, (rows, bits))
    words = np.packbits(flat, axis=1, bitorder="little").view("<u8")
    blocks = [words[:2], words[2:2], words[2:]]
    whole = b"".join(blocks_to_json(blocks, bits))
    assert whole == clks_to_json(words, bits)
    spaced = re.sub(rb'([\[\]{},:])|"', lambda m: gap.encode() + m[0] + gap.encode(), whole)
    spaced = re.sub(rb'"\s*(clks|[A-Za-z0-9+/=]+)\s*"', rb'"\1"', spaced)
    assert json.loads(spaced) == json.loads(whole)
    pieces = [spaced[at : at + size] for at in range(0, len(spaced), size)]
    read = [np.empty((0, words.shape[1]), np.uint64), *blocks_from_json(pieces, bits)]
    assert (np.concatenate(read) == words).all()
