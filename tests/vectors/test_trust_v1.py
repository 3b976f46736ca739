"""Committed known answers, the slow reference and the code agree on what is derived and signed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.trust.contributions import commit, derive, list_digest
from linkage.trust.keyring import key_check
from linkage.trust.sealing import binding
from linkage.trust.signing import key_fingerprint, sign
from linkage.trust.statements import (
    EnvelopeAddress,
    ReleaseStatement,
    SecretPlace,
    enrolment_statement,
    manifest_statement,
)

HERE = Path(__file__).parent
VECTORS = json.loads((HERE / "trust_v1.json").read_text("utf-8"))
CASES = VECTORS["cases"]
ORDER = ("sheriff", "health", "social")
"""Of the manifest; the file has its names sorted."""


def _reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("trust_ref", HERE / "trust_v1_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _reference()
each_case = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['project']}-{c['epoch']}")


def test_the_reference_knows_rfc_5869() -> None:
    """Test case 3 of the RFC: no salt, no info."""
    okm = REFERENCE.hkdf_sha256(b"\x0b" * 22, b"", 42)
    assert okm.hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


@each_case
def test_key_check(case: dict) -> None:
    secret = bytes.fromhex(case["secret"])
    about = (case["project"], case["fingerprint"], case["epoch"])
    assert REFERENCE.key_check(secret, *about) == case["key_check"]
    assert key_check(secret, *about) == case["key_check"]


@each_case
def test_commitments_and_the_secret_made_of_contributions(case: dict) -> None:
    place = {name: case[name] for name in ("project", "fingerprint", "epoch")}
    parts = {name: bytes.fromhex(case["contributions"][name]) for name in ORDER}
    promises = [(name, REFERENCE.commitment(place, name, parts[name])) for name in ORDER]
    assert dict(promises) == case["commitments"]
    ours = [commit(SecretPlace(**place), name, parts[name]) for name in ORDER]
    assert [(one.partner, one.commitment) for one in ours] == promises
    for one in ours:
        said = case["commitment_statements"][one.partner].encode()
        assert REFERENCE.commitment_statement(place, one.partner, one.commitment) == said
        assert one.statement == said
    assert REFERENCE.commitments_digest(promises) == case["commitments_digest"]
    assert list_digest(ours) == case["commitments_digest"]
    secret = bytes.fromhex(case["project_secret"])
    assert REFERENCE.project_secret(place, promises, parts) == secret
    assert derive(ours, parts) == secret
    assert key_check(secret, *place.values()) == case["project_secret_check"]


def test_a_key_check_differs_with_everything_it_is_made_of() -> None:
    secret = bytes.fromhex(CASES[0]["secret"])
    about = ("prairie", "a" * 64, 0)
    values = {
        key_check(secret, *about),
        key_check(secret[:-1] + b"\0", *about),
        key_check(secret, "prairia", *about[1:]),
        key_check(secret, about[0], "b" * 64, 0),
        key_check(secret, *about[:2], 1),
    }
    assert len(values) == 5


@each_case
def test_manifest_statement_and_signature(case: dict) -> None:
    about = (case["project"], case["fingerprint"], "sheriff")
    said = case["manifest_statement"].encode()
    assert REFERENCE.manifest_statement(*about) == said
    assert manifest_statement(*about) == said
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["signing_key"]))
    assert sign(key, said).hex() == case["manifest_signature"]


@each_case
def test_envelope_statement_and_binding(case: dict) -> None:
    address, sealed = case["address"], bytes.fromhex(case["sealed"])
    said = case["envelope_statement"].encode()
    assert REFERENCE.envelope_statement(address, sealed) == said
    assert EnvelopeAddress(**address).statement(sealed) == said
    bound = bytes.fromhex(case["envelope_binding"])
    assert REFERENCE.envelope_binding(address) == bound
    assert binding("contribution", **address) == bound


@each_case
def test_release_statement(case: dict) -> None:
    for text, said in case["release_statements"].items():
        assert REFERENCE.release_statement(case["release"], text) == said.encode()
        made = ReleaseStatement(**case["release"], threshold=float(text))
        assert made.canonical == said.encode()


def test_enrolment_statement_and_party_fingerprint() -> None:
    known = VECTORS["enrolment"]
    parts = [bytes.fromhex(part) for part in known["parts"]]
    assert REFERENCE.enrolment_statement(*parts) == known["statement"].encode()
    assert enrolment_statement(*parts) == known["statement"].encode()
    assert REFERENCE.party_fingerprint(*parts[2:]) == known["party_fingerprint"]
    assert key_fingerprint(*parts[2:]) == known["party_fingerprint"]
