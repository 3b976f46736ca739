"""`pairwise-v1` once more, slow and obvious, from docs/reference/pairwise-v1.md alone.

Shares no code with linkage.encoding: plain Python integers and the standard library. Tokens are
those of `saul-v1`, cut by its own reference.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
from pathlib import Path

NAME_TYPES = {"given_name", "middle_name", "surname", "full_name"}

_spec = importlib.util.spec_from_file_location(
    "saul_v1_reference", Path(__file__).with_name("saul_v1_reference.py")
)
assert _spec is not None
assert _spec.loader is not None
_saul = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_saul)


def rotate(x: int, by: int) -> int:
    return (x << by | x >> (32 - by)) & 0xFFFFFFFF


def quarter_round(s: list[int], a: int, b: int, c: int, d: int) -> None:
    for x, y, z, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        s[z] = rotate(s[z] ^ s[x], by)


def chacha20_block(key: bytes, counter_and_nonce: bytes) -> bytes:
    """RFC 8439 section 2.3; the counter is the first four bytes."""
    start = b"expand 32-byte k" + key + counter_and_nonce
    before = [int.from_bytes(start[i : i + 4], "little") for i in range(0, 64, 4)]
    s = list(before)
    for _ in range(10):
        for column in range(4):
            quarter_round(s, column, column + 4, column + 8, column + 12)
        for i in range(4):
            quarter_round(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return b"".join(
        ((x + y) & 0xFFFFFFFF).to_bytes(4, "little") for x, y in zip(s, before, strict=True)
    )


def derive(case: dict, purpose: str, namespace: str) -> bytes:
    parts = ["linkage", "pairwise-v1", "bits=256,hashes=3", case["project"], str(case["epoch"])]
    info = b""
    for part in [*parts, purpose, namespace]:
        raw = part.encode("utf-8")
        info += bytes([len(raw) // 256, len(raw) % 256]) + raw
    return _saul.hkdf(bytes.fromhex(case["secret"]), info)


def pair_key(case: dict) -> bytes:
    context_key = hmac.digest(derive(case, "pair", ""), case["context"].encode("utf-8"), "sha256")
    return chacha20_block(context_key, bytes.fromhex(case["pair_id"]))[:32]


def nonce(case: dict, namespace: str, token: str) -> bytes:
    key = derive(case, "token", namespace)
    shake = hashlib.shake_256(b"linkage/pairwise-v1/token\x00" + key + token.encode("utf-8"))
    return shake.digest(12)


def order(raw: bytes) -> list[int]:
    return [int.from_bytes(raw[i : i + 4], "little") for i in (0, 4, 8)]


def weights(key: bytes, raw: bytes, k: int) -> list[int]:
    """The 256 weights of one token for hash k: -3, -1, 1 or 3."""
    stream = chacha20_block(key, bytes([k, 0, 0, 0]) + raw)
    return [2 * (byte >> shift & 3) - 3 for byte in stream for shift in (0, 2, 4, 6)]


def encode_field(case: dict, field: dict) -> bytes:
    """32 bytes; a missing value has all zeros."""
    if not field["value"]:
        return bytes(32)
    namespace = "names" if field["type"] in NAME_TYPES else "field:" + field["name"]
    nonces = sorted(
        (nonce(case, namespace, token) for token in _saul.tokens(field["type"], field["value"])),
        key=order,
    )
    key = pair_key(case)
    out = bytearray(32)
    for k in range(3):
        drawn = [weights(key, raw, k) for raw in nonces]
        for j in range(256):
            total = sum(each[j] for each in drawn) or drawn[0][j]
            if total > 0:
                out[j // 8] ^= 1 << j % 8
    return bytes(out)


def encode(case: dict) -> list[str]:
    """Each field's encoding in hex.

    `case` has secret and pair_id (hex), project, epoch, context and fields: a list of {name,
    type, value}.
    """
    return [encode_field(case, field).hex() for field in case["fields"]]


def initials(case: dict) -> list[bool]:
    return [
        field["type"] in NAME_TYPES and len(field["value"]) == 1 and ord(field["value"]) < 0x590
        for field in case["fields"]
    ]
