"""Secrets, key checks, statements, fingerprints again: slow, obvious, no code of `linkage`.

HKDF is spelled out with `hmac` (RFC 5869); canonical JSON of what we sign (ASCII strings, small
whole numbers, and thresholds given as text) needs no more than sorted keys and no spaces.
"""

from __future__ import annotations

import hashlib
import hmac


def canonical(value: dict | list | str | int) -> bytes:
    """RFC 8785 for objects and lists of ASCII strings and integers."""
    if isinstance(value, list):
        return b"[" + b",".join(canonical(item) for item in value) + b"]"
    if isinstance(value, dict):
        members = [canonical(name) + b":" + canonical(value[name]) for name in sorted(value)]
        return b"{" + b",".join(members) + b"}"
    if isinstance(value, str):
        assert all(0x20 <= ord(c) < 0x7F and c not in '"\\' for c in value)
        return b'"' + value.encode("ascii") + b'"'
    assert type(value) is int
    return str(value).encode("ascii")


def hkdf_sha256(secret: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869: extract with an all-zero salt, then expand block by block."""
    key = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    out, block, counter = b"", b"", 1
    while len(out) < size:
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
        counter += 1
    return out[:size]


def key_check(secret: bytes, project: str, fingerprint: str, epoch: int) -> str:
    info = b"linkage/v1 key check" + b"\x00"
    info += canonical({"project": project, "fingerprint": fingerprint, "epoch": epoch})
    return hkdf_sha256(secret, info, 16).hex()


def commitment(place: dict, partner: str, contribution: bytes) -> str:
    """`place` names project, fingerprint and epoch."""
    return sha256(
        b"linkage/v1 contribution\x00" + canonical({**place, "partner": partner}) + contribution
    )


def commitment_statement(place: dict, partner: str, digest: str) -> bytes:
    return canonical({"kind": "commitment", **place, "partner": partner, "commitment": digest})


def commitments_digest(promises: list) -> str:
    """`promises` are pairs of partner and commitment, in the manifest's order."""
    said = [{"partner": partner, "commitment": digest} for partner, digest in promises]
    return sha256(b"linkage/v1 commitments\x00" + canonical(said))


def project_secret(place: dict, promises: list, contributions: dict) -> bytes:
    material = b""
    for partner, digest in promises:
        assert commitment(place, partner, contributions[partner]) == digest
        material += contributions[partner]
    info = canonical({**place, "commitments": commitments_digest(promises)})
    return hkdf_sha256(material, b"linkage/v1 project secret\x00" + info, 32)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def manifest_statement(project: str, fingerprint: str, partner: str) -> bytes:
    return canonical(
        {"kind": "manifest", "project": project, "fingerprint": fingerprint, "partner": partner}
    )


def envelope_statement(address: dict, sealed: bytes) -> bytes:
    return canonical({"kind": "envelope", "digest": sha256(sealed), **address})


def envelope_binding(address: dict) -> bytes:
    return b"linkage/v1 seal" + b"\x00" + canonical({"kind": "contribution", **address})


def enrolment_statement(token: bytes, request: bytes, signing: bytes, sealing: bytes) -> bytes:
    return canonical(
        {
            "kind": "enrolment",
            "token": sha256(token),
            "request": sha256(request),
            "signing_key": sha256(signing),
            "sealing_key": sha256(sealing),
        }
    )


def release_statement(fields: dict, threshold: str) -> bytes:
    """`threshold` is the number's shortest form, as ECMAScript writes it."""
    with_place = canonical({"kind": "release", **fields, "threshold": "@"})
    return with_place.replace(b'"@"', threshold.encode("ascii"))


def party_fingerprint(signing: bytes, sealing: bytes) -> str:
    return sha256(b"linkage/v1 party keys" + b"\x00" + signing + sealing)


def signed_bytes(data: bytes) -> bytes:
    """What the Ed25519 signature is really over."""
    return b"linkage/v1 statement" + b"\x00" + data
