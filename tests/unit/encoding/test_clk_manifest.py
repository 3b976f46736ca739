"""A manifest's linkage schema at work: cells read as it says, filters as the library makes them."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from linkage.agreement import parse_manifest
from linkage.encoding import Encoder
from linkage.encoding.clk_compat import encode_clks
from linkage.encoding.clk_formats import expected
from linkage.encoding.clk_manifest import (
    clk_secret,
    encoded_features,
    read_feature,
    says_of_type,
    schema_of,
)
from linkage.errors import InputError, SourceError, StateError
from tests.clk_projects import SCHEMA, document_of, manifest_of

SECRET = bytes(range(32))
ROWS = [
    ["1", "mary ann", "1976/07/04", "Ely"],
    ["2", "", "NA", ""],
    ["3", "o'brien", "NA", "St Paul"],
    ["4", "", "2001/02/03", ""],
]


def columns_of(manifest: Any, rows: list[list[str]]) -> dict[str, Any]:
    return {
        name: read_feature(feature, [row[place] for row in rows]).values
        for name, (place, feature) in encoded_features(manifest).items()
    }


def test_filters_are_those_of_the_schema_and_the_derived_secret() -> None:
    manifest = manifest_of()
    with Encoder(manifest, SECRET, epoch=2) as encoder:
        found = encoder.encode(columns_of(manifest, ROWS), threads=2)
        layout = encoder.layout(4)
    assert manifest.linkage_schema is not None
    expected_words = encode_clks(
        manifest.linkage_schema, ROWS, bytes(clk_secret(manifest, SECRET, 2))
    )
    assert (found.words[0] == expected_words).all()
    assert found.presence.tolist() == [[True, False, True, True]]
    assert (layout.bits, layout.match_keys) == (1024, ("clk",))


def test_each_project_epoch_schema_and_reading_has_a_secret_of_its_own() -> None:
    folded = copy.deepcopy(SCHEMA)
    folded["clkConfig"]["xorFolds"] = 1
    manifests = [
        manifest_of(),
        manifest_of(project="other"),
        manifest_of(folded),
        manifest_of(folded, scheme={"folds": "documented"}),
    ]
    found = [bytes(clk_secret(m, SECRET, epoch)) for m in manifests for epoch in (0, 1)]
    found.append(bytes(clk_secret(manifests[0], bytes(32), 0)))
    assert len(set(found)) == len(found)
    assert all(len(bytes.fromhex(text.decode())) == 32 for text in found)


def test_folding_as_documented_is_not_what_clkhash_reads() -> None:
    schema = copy.deepcopy(SCHEMA)
    schema["clkConfig"] |= {"l": 256, "xorFolds": 2}
    for folds, sizes in (("clkhash", 256), ("documented", 1024)):
        manifest = manifest_of(schema, scheme={"folds": folds})
        assert manifest.linkage_schema is not None
        assert manifest.linkage_schema.filter_bits == sizes
        by_field = {f"f{place}": None for place in (1, 2, 3)}
        columns = columns_of(manifest, ROWS)
        assert columns.keys() == by_field.keys()
        with Encoder(manifest, SECRET, epoch=0) as encoder:
            words = encoder.encode(columns).words
        assert words.shape == (1, 4, 4)
        secret = bytes(clk_secret(manifest, SECRET, 0))
        assert (words[0] == encode_clks(manifest.linkage_schema, ROWS, secret)).all()


def test_a_filter_that_says_nothing_is_absent() -> None:
    schema = copy.deepcopy(SCHEMA)
    schema["clkConfig"]["l"] = 64
    schema["features"][1]["hashing"]["strategy"] = {"bitsPerFeature": 2000}
    manifest = manifest_of(schema)
    with Encoder(manifest, SECRET, epoch=0) as encoder:
        found = encoder.encode(columns_of(manifest, ROWS))
    # 2,000 draws of 64 positions leave none free; 160 leave some.
    assert found.presence.tolist() == [[False, False, False, True]]
    assert not found.words[0, :3].any()
    assert found.words[0, 3].any()


def test_cells_are_taken_as_they_stand() -> None:
    name, dob, city = (feature for _, feature in encoded_features(manifest_of()).values())
    read = read_feature(name, ["  mary", "Mary", None, "", "x" * 41, "mary"])
    assert read.values.tolist() == ["  mary", None, None, None, None, "mary"]
    assert read.invalid.tolist() == [1, 4]
    assert read.reason == (
        "not text in lower case of 0 to 40 characters, as the linkage schema's feature"
        " 'NAME freetext' says"
    )
    read = read_feature(dob, ["NA", "1976/7/4", "na", "1976/02/30", "NA"])
    assert read.values.tolist() == [None, "1976/7/4", None, None, None]
    assert read.invalid.tolist() == [2, 3]
    assert read.sentinels == 2
    assert read_feature(city, []).values.shape == (0,)


def test_an_empty_cell_may_be_refused_or_replaced() -> None:
    hashing = {"comparison": {"type": "exact"}, "strategy": {"bitsPerToken": 5}}
    whole = {"identifier": "w", "format": {"type": "integer"}, "hashing": hashing}
    replaced = {"sentinel": "", "replaceWith": "0"}
    schema = copy.deepcopy(SCHEMA)
    schema["features"] = [
        whole,
        {**whole, "identifier": "r", "hashing": {**hashing, "missingValue": replaced}},
    ]
    strict, lenient = (feature for _, feature in encoded_features(manifest_of(schema)).values())
    assert read_feature(strict, ["1", None, ""]).invalid.tolist() == [1, 2]
    read = read_feature(lenient, ["1", None, ""])
    assert read.values.tolist() == ["1", "", ""]
    assert len(read.invalid) == read.sentinels == 0


@pytest.mark.parametrize(
    ("form", "comparison", "said"),
    [
        ({"type": "string", "encoding": "ascii"}, "exact", "text of 0 or more characters in ascii"),
        ({"type": "string", "pattern": "[0-9]+"}, "exact", "text of the declared pattern"),
        ({"type": "integer", "minimum": 3}, "exact", "a whole number from 3,"),
        ({"type": "integer", "maximum": 9}, "exact", "a whole number up to 9,"),
        ({"type": "date", "format": "%d %b %y"}, "exact", "a date of the format %d %b %y,"),
        ({"type": "enum", "values": ["Zq1"]}, "exact", "one of the declared values,"),
        ({"type": "string"}, "numeric", "text of 0 or more characters that is a number,"),
    ],
)
def test_what_a_cell_should_have_been(form: dict[str, Any], comparison: str, said: str) -> None:
    how: dict[str, Any] = {"type": comparison}
    if comparison == "numeric":
        how |= {"thresholdDistance": 5, "resolution": 1 << 16}
    schema = copy.deepcopy(SCHEMA)
    schema["features"] = [
        {
            "identifier": "v",
            "format": form,
            "hashing": {"comparison": how, "strategy": {"bitsPerToken": 5}},
        }
    ]
    ((_, feature),) = encoded_features(manifest_of(schema)).values()
    assert f"not {said}" in expected(feature)
    assert "Zq" not in expected(feature)
    if comparison == "numeric":
        assert read_feature(feature, ["12", "1.5", "nan", "x", "1e999"]).invalid.tolist() == [
            2,
            3,
            4,
        ]


def test_what_the_schema_says_need_not_be_said_of_the_type() -> None:
    name, dob, _ = (feature for _, feature in encoded_features(manifest_of()).values())
    assert says_of_type(dob) == (("%Y/%m/%d",), ("NA",))
    assert "%Y-%m-%d" in says_of_type(name)[0]


def test_what_no_reading_gives_is_refused() -> None:
    manifest = manifest_of()
    columns = columns_of(manifest, ROWS)
    with Encoder(manifest, SECRET, epoch=0) as encoder:
        with pytest.raises(InputError, match="'city' has no column"):
            encoder.encode({"name": columns["name"], "dob": columns["dob"]})
        wrong = columns | {"name": np.array(["ok", "UP", None, "x"], dtype=object)}
        with pytest.raises(SourceError, match="is not in lower case"):
            encoder.encode(wrong)
    with pytest.raises(StateError):
        encoder.encode(columns)


def test_no_rows() -> None:
    manifest = manifest_of()
    with Encoder(manifest, SECRET, epoch=0) as encoder:
        found = encoder.encode(columns_of(manifest, []))
    assert found.words.shape == (1, 0, 16)


def test_a_manifest_without_a_schema_has_no_clks_to_exchange() -> None:
    document = document_of() | {"scheme": {"name": "clk-v1", "risk_acknowledged": True}}
    plain = parse_manifest(json.dumps(document).encode())
    with pytest.raises(InputError, match="holds no linkage schema"):
        schema_of(plain)
    with pytest.raises(InputError, match="holds no linkage schema"):
        clk_secret(plain, SECRET, 0)
