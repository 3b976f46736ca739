"""The committed known answers, the slow reference and the fast encoder all agree."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from linkage.agreement import FieldType, parse_manifest
from linkage.encoding.pairkernel import chacha20_blocks
from linkage.encoding.pairwise import PairwiseEncoder

HERE = Path(__file__).parent
VECTORS = json.loads((HERE / "pairwise_v1.json").read_text("utf-8"))

# RFC 8439, sections 2.3.2 and A.1: key, counter, nonce, block.
COUNTING = bytes(range(32)).hex()
RFC_8439 = [
    (
        COUNTING,
        1,
        "000000090000004a00000000",
        (
            "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
            "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
        ),
    ),
    (
        "00" * 32,
        0,
        "00" * 12,
        (
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
            "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        ),
    ),
    (
        "00" * 32,
        1,
        "00" * 12,
        (
            "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
            "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
        ),
    ),
    (
        "00" * 31 + "01",
        1,
        "00" * 12,
        (
            "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
            "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"
        ),
    ),
    (
        "00ff" + "00" * 30,
        2,
        "00" * 12,
        (
            "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
            "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"
        ),
    ),
    (
        "00" * 32,
        0,
        "00" * 11 + "02",
        (
            "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
            "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"
        ),
    ),
]


def _reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ref", HERE / "pairwise_v1_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _reference()


def _blocks(key: bytes, inputs: list[bytes]) -> list[bytes]:
    """The kernel's blocks, put into its tiles of sixteen lanes and taken out again."""
    tiles = -(-len(inputs) // 16)
    lanes = np.zeros((tiles * 16, 4), np.uint32)
    lanes[: len(inputs)] = np.frombuffer(b"".join(inputs), "<u4").reshape(-1, 4)
    out = np.zeros(tiles * 256, np.uint32)
    packed = np.ascontiguousarray(lanes.reshape(tiles, 16, 4).swapaxes(1, 2)).ravel()
    chacha20_blocks(np.frombuffer(key, "<u4").astype(np.uint32), packed, tiles, out)
    blocks = out.reshape(tiles, 16, 16).swapaxes(1, 2).reshape(tiles * 16, 16)
    return [block.astype("<u4").tobytes() for block in blocks[: len(inputs)]]


@pytest.mark.parametrize(("key", "counter", "nonce", "block"), RFC_8439)
def test_chacha20_gives_the_official_answers(key, counter, nonce, block) -> None:
    given = counter.to_bytes(4, "little") + bytes.fromhex(nonce)
    assert _blocks(bytes.fromhex(key), [given])[0].hex() == block
    assert REFERENCE.chacha20_block(bytes.fromhex(key), given).hex() == block


def test_chacha20_agrees_with_openssl_in_every_lane() -> None:
    rng = np.random.default_rng(1)
    key, inputs = rng.bytes(32), [rng.bytes(16) for _ in range(53)]
    expected = [
        Cipher(ChaCha20(key, given), mode=None).encryptor().update(bytes(64)) for given in inputs
    ]
    assert _blocks(key, inputs) == expected
    assert [REFERENCE.chacha20_block(key, given) for given in inputs[:5]] == expected[:5]


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: c["name"])
def test_reference_gives_the_known_answer(case: dict) -> None:
    assert REFERENCE.encode(case) == case["encodings"]
    assert REFERENCE.initials(case) == case["initials"]


def test_reference_takes_the_known_steps() -> None:
    first, case = VECTORS["first"], VECTORS["cases"][0]
    assert REFERENCE.pair_key(case).hex() == first["pair_key"]
    assert REFERENCE.nonce(case, "names", "gma").hex() == first["nonce of gma in names"]


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: c["name"])
def test_encoder_gives_the_known_answer(case: dict) -> None:
    fields = case["fields"]
    document = {
        "linkage": "manifest/1",
        "project": case["project"],
        "title": "Vectors",
        "purpose": "Known answers",
        "legal_basis": "None needed",
        "expires": "2099-01-01",
        "partners": [{"name": "a"}, {"name": "b"}],
        "recipients": [{"name": "r", "role": "assembler"}],
        "fields": [{"name": f["name"], "type": f["type"]} for f in fields],
        "match_keys": [{"name": "k", "fields": [fields[0]["name"]]}],
        "scheme": {"name": "saul-v1"},
    }
    manifest = parse_manifest(json.dumps(document).encode())
    with PairwiseEncoder(manifest, bytes.fromhex(case["secret"]), epoch=case["epoch"]) as encoder:
        encoder.prepare({f["name"]: np.array([f["value"]], dtype=object) for f in fields})
        pair_ids = np.frombuffer(bytes.fromhex(case["pair_id"]), dtype=np.uint8).reshape(1, 16)
        answers = encoder.encode(pair_ids, np.zeros(1, dtype=np.int64), context=case["context"])
    assert answers.present[0].tolist() == [bool(f["value"]) for f in fields]
    assert answers.initial[0].tolist() == case["initials"]
    assert [words.astype("<u8").tobytes().hex() for words in answers.words[0]] == case["encodings"]


def test_every_field_type_has_a_vector() -> None:
    """Names are alike: one namespace, and letters cut as in `saul-v1`, whose vectors hold all."""
    used = {f["type"] for case in VECTORS["cases"] for f in case["fields"]}
    assert {kind.value for kind in FieldType if not kind.is_name} <= used
