"""The committed known answers, the slow reference and the fast encoder all agree."""

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
VECTORS = json.loads((HERE / "minhash_v1.json").read_text("utf-8"))


def _reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ref", HERE / "minhash_v1_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _reference()


def _manifest(case: dict) -> bytes:
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
            "scheme": {"name": "minhash-v1", "bits": case["bits"], "hashes": case["hashes"]},
        }
    ).encode()


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: c["name"])
def test_reference_gives_the_known_answer(case: dict) -> None:
    assert REFERENCE.encode(case).hex() == case["encoding"]


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: c["name"])
def test_encoder_gives_the_known_answer(case: dict) -> None:
    columns = {f["name"]: np.array([f["value"]], dtype=object) for f in case["fields"]}
    manifest = parse_manifest(_manifest(case))
    with Encoder(manifest, bytes.fromhex(case["secret"]), epoch=case["epoch"]) as encoder:
        encoded = encoder.encode(columns)
    assert encoded.presence.tolist() == [[True]]
    assert encoded.words.astype("<u8").tobytes().hex() == case["encoding"]


def test_every_field_type_and_parameter_has_a_vector() -> None:
    from linkage.agreement import FieldType

    cases = VECTORS["cases"]
    assert {f["type"] for c in cases for f in c["fields"]} == {t.value for t in FieldType}
    assert {c["bits"] for c in cases} == {1024, 2048, 4096}
    assert {c["hashes"] for c in cases} == {1, 2, 3, 4, 5, 6}
