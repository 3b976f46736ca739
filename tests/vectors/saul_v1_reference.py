"""`saul-v1` once more, slow and obvious, from docs/reference/saul-v1.md alone.

Shares no code with linkage.encoding: plain Python integers and the standard library.
"""

from __future__ import annotations

import hashlib
import hmac

NAME_TYPES = {"given_name", "middle_name", "surname", "full_name"}
BIGRAM_TYPES = NAME_TYPES | {"city"}


def tokens(kind: str, value: str) -> list[str]:  # noqa: PLR0911 (one per type)
    """The tokens of one normalised value."""
    if kind in BIGRAM_TYPES:
        return bigrams(value)
    if kind == "address":
        return bigrams(value) + ["w" + w for w in value.split(" ") if w[:1] in set("0123456789")]
    if kind == "email":
        at = value.rindex("@")
        return [*bigrams(value[:at]), "w" + value[at + 1 :]]
    if kind in {"sex", "exact"}:
        return ["x" + value]
    if kind == "postcode":
        blank = value.find(" ", 1, len(value) - 1)
        outward, inward = (value[:blank], value[blank + 1 :]) if blank > 0 else (value, "")
        return from_left(outward) + from_right(inward)
    if kind == "national_id":
        return [*from_right(value), "l" + value[-4:]]
    if kind == "phone":
        return from_right(value)
    if kind == "date_of_birth":
        year, *rest = value.split("-")
        return from_left(year + "".join(rest)) + ["y" + year] + ["u" + part for part in rest]
    if kind == "number":
        sign = ["i0:-"] if value.startswith("-") else []
        whole, _, fraction = value.removeprefix("-").partition(".")
        return (
            sign
            + [f"i{power}:{d}" for power, d in enumerate(reversed(whole))]
            + [f"f{place}:{d}" for place, d in enumerate(fraction, start=1)]
        )
    raise ValueError(kind)


def from_left(value: str) -> list[str]:
    return [f"p{place}:{c}" for place, c in enumerate(value)]


def from_right(value: str) -> list[str]:
    return [f"r{place}:{c}" for place, c in enumerate(reversed(value))]


def bigrams(value: str) -> list[str]:
    padded = f" {value} "
    return ["g" + padded[i : i + 2] for i in range(len(padded) - 1)]


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt, one block of output."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def derive(case: dict, namespace: str) -> bytes:
    parts = [
        "linkage",
        "saul-v1",
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
    return hkdf(bytes.fromhex(case["secret"]), info)


def token_bits(case: dict, namespace: str, token: str) -> int:
    """Bit j of the result is bit j of the token."""
    key = derive(case, namespace)
    shake = hashlib.shake_256(b"linkage/saul-v1/token\x00" + key + token.encode("utf-8"))
    return int.from_bytes(shake.digest(case["bits"] * case["hashes"] // 8), "little")


def encode(case: dict) -> bytes:
    """The encoding as little-endian bytes.

    `case` has secret (hex), project, epoch, match_key, bits, hashes and fields: a list of
    {name, type, weight, value}.
    """
    drawn = []
    for field in case["fields"]:
        namespace = "names" if field["type"] in NAME_TYPES else "field:" + field["name"]
        for token in tokens(field["type"], field["value"]):
            drawn += [token_bits(case, namespace, token)] * field["weight"]
    if len(drawn) % 2 == 0:
        drawn.append(token_bits(case, "tie-break", ""))
    bits, hashes = case["bits"], case["hashes"]
    encoding = [0] * bits
    for j in range(bits * hashes):
        ones = sum(token >> j & 1 for token in drawn)
        if 2 * ones > len(drawn):
            encoding[j % bits] ^= 1
    if len(set(encoding)) == 1:
        encoding[0] ^= 1
    out = bytearray(bits // 8)
    for j, bit in enumerate(encoding):
        out[j // 8] |= bit << (j % 8)
    return bytes(out)
