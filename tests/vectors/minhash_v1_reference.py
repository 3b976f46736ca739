"""`minhash-v1` once more, slow and obvious, from docs/reference/minhash-v1.md alone.

Shares no code with linkage.encoding: plain Python integers and the standard library. Tokens are
those of `saul-v1`, cut by its own reference.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "saul_v1_reference", Path(__file__).with_name("saul_v1_reference.py")
)
assert _spec is not None
assert _spec.loader is not None
_saul = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_saul)

CHOICES = {
    "given_name": lambda k: k,
    "middle_name": lambda k: k,
    "surname": lambda k: k,
    "full_name": lambda k: 2 * k,
    "address": lambda k: 3 * k,
}
MASK = 0xFFFFFFFF


def derive(case: dict, namespace: str) -> bytes:
    parts = [
        "linkage",
        "minhash-v1",
        f"bits={case['bits']},hashes={case['hashes']}",
        case["project"],
        str(case["epoch"]),
        case["match_key"],
        namespace,
    ]
    info = b""
    for part in parts:
        raw = part.encode("utf-8")
        info += bytes([len(raw) // 256, len(raw) % 256]) + raw
    return _saul.hkdf(bytes.fromhex(case["secret"]), info)


def expand(case: dict, namespace: str, token: str, size: int) -> bytes:
    key = derive(case, namespace)
    shake = hashlib.shake_256(b"linkage/minhash-v1/token\x00" + key + token.encode("utf-8"))
    return shake.digest(size)


def encode(case: dict) -> bytes:
    """The encoding as little-endian bytes.

    `case` has secret (hex), project, epoch, match_key, bits, hashes and fields: a list of
    {name, type, weight, value}.
    """
    bits, k = case["bits"], case["hashes"]
    choices: dict[str, int] = {}
    drawn: dict[str, list[tuple[str, int]]] = {}
    for field in case["fields"]:
        name = field["type"] in _saul.NAME_TYPES
        namespace = "names" if name else "field:" + field["name"]
        count = CHOICES.get(field["type"], lambda k: 0)(k)
        choices[namespace] = choices.get(namespace, 0) + count
        tokens = drawn.setdefault(namespace, [])
        cut = _saul.tokens(field["type"], field["value"])
        tokens += [(token, field["weight"]) for token in cut]
    size = max(bits * max(choices.values()), 8)
    messages = [b""] * bits
    total = 0
    for namespace in sorted(drawn):
        ranks = []
        for token, weight in drawn[namespace]:
            stream = expand(case, namespace, token, weight * size)
            copies = [stream[copy * size : (copy + 1) * size] for copy in range(weight)]
            ranks.append([min(column) for column in zip(*copies, strict=True)])
        count = choices[namespace]
        if count == 0:
            total += sum(int.from_bytes(bytes(rank[:8]), "little") for rank in ranks)
            continue
        for j in range(bits):
            chosen = [min(rank[i * bits + j] for rank in ranks) for i in range(count)]
            messages[j] += bytes(chosen) + bytes(-count % 4)
    if 0 in choices.values():
        suffix = (total % (1 << 64)).to_bytes(8, "little")
        messages = [message + suffix for message in messages]
    keys = expand(case, "tie-break", "", 8 * bits)
    value = 0
    for j in range(bits):
        value |= (halfsiphash(keys[8 * j : 8 * j + 8], messages[j]) & 1) << j
    if value in (0, (1 << bits) - 1):
        value ^= 1
    return value.to_bytes(bits // 8, "little")


def halfsiphash(key: bytes, message: bytes) -> int:
    """HalfSipHash-1-3 with 32 bits of output, of a message of whole words."""
    k0, k1 = int.from_bytes(key[:4], "little"), int.from_bytes(key[4:], "little")
    state = [k0, k1, 0x6C796765 ^ k0, 0x74656462 ^ k1]
    words = [int.from_bytes(message[i : i + 4], "little") for i in range(0, len(message), 4)]
    for word in [*words, len(message) % 256 << 24]:
        state[3] ^= word
        sip_round(state)
        state[0] ^= word
    state[2] ^= 0xFF
    for _ in range(3):
        sip_round(state)
    return state[1] ^ state[3]


def sip_round(v: list[int]) -> None:
    v[0] = (v[0] + v[1]) & MASK
    v[1] = turned(v[1], 5) ^ v[0]
    v[0] = turned(v[0], 16)
    v[2] = (v[2] + v[3]) & MASK
    v[3] = turned(v[3], 8) ^ v[2]
    v[0] = (v[0] + v[3]) & MASK
    v[3] = turned(v[3], 7) ^ v[0]
    v[2] = (v[2] + v[1]) & MASK
    v[1] = turned(v[1], 13) ^ v[2]
    v[2] = turned(v[2], 16)


def turned(value: int, by: int) -> int:
    return (value << by | value >> 32 - by) & MASK
