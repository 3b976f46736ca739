"""Our filters are those that clkhash made of the committed cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linkage.agreement.linkage_schema import parse_linkage_schema
from linkage.encoding.clk_compat import encode_clks
from linkage.encoding.clk_files import clks_from_json, clks_to_json

VECTORS = json.loads((Path(__file__).parent / "clk_v1.json").read_text("utf-8"))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: c["name"])
def test_filters_are_clkhashs(case: dict) -> None:
    schema = parse_linkage_schema(case["schema"])
    words = encode_clks(schema, case["rows"], bytes.fromhex(case["secret"]))
    assert json.loads(clks_to_json(words, schema.bits)) == {"clks": case["clks"]}
    read = clks_from_json(json.dumps({"clks": case["clks"]}).encode(), schema.bits)
    assert (read == words).all()


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: c["name"])
def test_rows_do_not_depend_on_each_other(case: dict) -> None:
    schema = parse_linkage_schema(case["schema"])
    secret = bytes.fromhex(case["secret"])
    whole = encode_clks(schema, case["rows"], secret)
    turned = encode_clks(schema, case["rows"][::-1], secret)
    assert (turned[::-1] == whole).all()
    for row, words in zip(case["rows"], whole, strict=True):
        assert (encode_clks(schema, [row], secret)[0] == words).all()


def test_every_construction_has_a_vector() -> None:
    schemas = [case["schema"] for case in VECTORS["cases"]]
    features = [f for s in schemas for f in s["features"] if "hashing" in f]
    hashing = [f["hashing"] for f in features]
    assert {f["format"]["type"] for f in features} == {"string", "integer", "date", "enum"}
    assert {h["comparison"]["type"] for h in hashing} == {"ngram", "exact", "numeric"}
    assert {h.get("hash", {}).get("type") for h in hashing} == {None, "doubleHash"}
    assert any(h.get("hash", {}).get("prevent_singularity") for h in hashing)
    assert {s for h in hashing for s in h["strategy"]} == {"bitsPerToken", "bitsPerFeature"}
    assert {k for s in schemas for k in s["clkConfig"]} == {"l", "kdf", "xor_folds", "xorFolds"}
