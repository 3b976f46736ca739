"""Of each hardened scheme: committed known answers, slow reference and fast encoder all agree."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from linkage.agreement import parse_manifest
from linkage.encoding import Encoder

HERE = Path(__file__).parent
HASHES = {"saul-v1": {2, 3, 4, 5, 6}, "minhash-v1": {1, 2, 3, 4, 5, 6}}
"""By scheme, every setting that a manifest may hold."""


def _file(scheme: str, ending: str) -> Path:
    return HERE / f"{scheme.replace('-', '_')}{ending}"


def _reference(scheme: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ref", _file(scheme, "_reference.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VECTORS = {scheme: json.loads(_file(scheme, ".json").read_text("utf-8")) for scheme in HASHES}
REFERENCES = {scheme: _reference(scheme) for scheme in HASHES}
CASES = [
    pytest.param(scheme, case, id=f"{scheme}-{case['name']}")
    for scheme, found in VECTORS.items()
    for case in found["cases"]
]


def _manifest(scheme: str, case: dict) -> bytes:
    fields = case["fields"]
    return json.dumps(
        {
            "linkage": "manifest/1",
            "project": case["project"],
            "title": "Vectors",
            "purpose": "Known answers",
            "legal_basis": "None needed",
            "expires": "2099-01-01",
            "partners": [{"name": "a"}, {"name": "b"}],
            "recipients": [{"name": "r", "role": "assembler"}],
            "fields": [{"name": f["name"], "type": f["type"]} for f in fields],
            "match_keys": [
                {
                    "name": case["match_key"],
                    "fields": [f["name"] for f in fields],
                    "weights": {f["name"]: f["weight"] for f in fields},
                }
            ],
            "scheme": {"name": scheme, "bits": case["bits"], "hashes": case["hashes"]},
        }
    ).encode()


@pytest.mark.parametrize(("scheme", "case"), CASES)
def test_reference_gives_the_known_answer(scheme: str, case: dict) -> None:
    assert REFERENCES[scheme].encode(case).hex() == case["encoding"]


@pytest.mark.parametrize(("scheme", "case"), CASES)
def test_encoder_gives_the_known_answer(scheme: str, case: dict) -> None:
    columns = {f["name"]: np.array([f["value"]], dtype=object) for f in case["fields"]}
    manifest = parse_manifest(_manifest(scheme, case))
    with Encoder(manifest, bytes.fromhex(case["secret"]), epoch=case["epoch"]) as encoder:
        encoded = encoder.encode(columns)
    assert encoded.presence.tolist() == [[True]]
    assert encoded.words.astype("<u8").tobytes().hex() == case["encoding"]


TOKENS = VECTORS["saul-v1"]["tokens"]


@pytest.mark.parametrize("case", TOKENS, ids=lambda c: f"{c['type']}-{c['value']}")
def test_reference_cuts_the_known_tokens(case: dict) -> None:
    found = REFERENCES["saul-v1"].tokens(case["type"], case["value"])
    assert sorted(found) == case["tokens"]


@pytest.mark.parametrize("scheme", HASHES)
def test_every_field_type_and_parameter_has_a_vector(scheme: str) -> None:
    from linkage.agreement import FieldType

    cases = VECTORS[scheme]["cases"]
    assert {f["type"] for c in cases for f in c["fields"]} == {t.value for t in FieldType}
    assert {c["bits"] for c in cases} == {1024, 2048, 4096}
    assert {c["hashes"] for c in cases} == HASHES[scheme]
