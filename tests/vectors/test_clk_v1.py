"""Our filters are those that clkhash made of the committed cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linkage.agreement.linkage_schema import parse_linkage_schema
from linkage.encoding import Encoder
from linkage.encoding.clk_compat import encode_clks
from linkage.encoding.clk_files import clks_from_json, clks_to_json
from linkage.encoding.clk_manifest import clk_secret, encoded_features, read_feature
from tests.clk_projects import manifest_of

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


@pytest.mark.parametrize("case", VECTORS["projects"], ids=lambda c: c["name"])
def test_an_agent_makes_what_clkhash_makes_with_the_derived_secret(case: dict) -> None:
    manifest = manifest_of(case["schema"], project=case["project"], scheme={"folds": case["folds"]})
    assert manifest.match_keys[0].name == case["match_key"]
    secret, epoch = bytes.fromhex(case["project_secret"]), case["epoch"]
    assert clk_secret(manifest, secret, epoch).decode() == case["clk_secret"]
    columns = {
        name: read_feature(feature, [row[place] for row in case["rows"]]).values
        for name, (place, feature) in encoded_features(manifest).items()
    }
    with Encoder(manifest, secret, epoch=epoch) as encoder:
        found = encoder.encode(columns)
    expected = clks_from_json(json.dumps({"clks": case["clks"]}).encode(), manifest.scheme.bits)
    assert (found.words[0] == expected).all()
    assert (found.presence[0] == expected.any(axis=1)).all()


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
