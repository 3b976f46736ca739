"""Keys, and the pseudo-random bits of tokens.

- One key per scheme, parameters, project, epoch, match key and namespace, by HKDF-SHA256
  (RFC 5869) from the project secret; every part is length-prefixed, so no two sets of parts give
  the same key.
- The parameters are bound too: two encodings of one value with different `hashes` under one key
  would, XORed, show a majority bare.
- Keys are held in bytearrays so that `forget` can overwrite them; nothing is cached in a module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from linkage.agreement import IdentifierField

SECRET_BYTES = 32
KEY_BYTES = 32
TIE_BREAK = "tie-break"


def namespace_of(field: IdentifierField) -> str:
    """Whose tokens a field's tokens may equal: all names share one namespace."""
    return "names" if field.type.is_name else f"field:{field.name}"


def derive_key(
    secret: bytes,
    *,
    scheme: str,
    parameters: str,
    project: str,
    epoch: int,
    match_key: str,
    namespace: str,
) -> bytearray:
    """The 32-byte key of one namespace of one match key."""
    parts = ["linkage", scheme, parameters, project, str(epoch), match_key, namespace]
    info = b"".join(len(raw).to_bytes(2, "big") + raw for raw in (p.encode() for p in parts))
    return bytearray(HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(secret))


def expand_tokens(
    domain: bytes, key: bytearray, tokens: Sequence[bytes], bits: int
) -> npt.NDArray[np.uint64]:
    """Pseudo-random bits of tokens: SHAKE-256(domain || key || token), little-endian.

    Args:
        domain: fixed per scheme.
        bits: per token, a multiple of 64.

    Returns:
        (tokens, bits / 64) uint64.
    """
    start = hashlib.shake_256(domain + key)
    drawn = []
    for token in tokens:
        state = start.copy()
        state.update(token)
        drawn.append(state.digest(bits // 8))
    words = np.frombuffer(b"".join(drawn), dtype="<u8").astype(np.uint64)
    return words.reshape(len(tokens), bits // 64)


def forget(key: bytearray) -> None:
    """Overwrite a key in place."""
    key[:] = bytes(len(key))
