"""Sealing to a party's public key: HPKE (RFC 9180), ML-KEM-768 + X25519 hybrid.

- Base mode: anybody can seal, so whatever is sealed is also signed by its sender.
- `info` binds a seal to its purpose and circumstances; opened under any other it fails.
- Sealing and opening live apart: the hub imports neither the keyring nor `opening`.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite

from linkage.agreement.canonical import canonical
from linkage.errors import UntrustedKeyError

MLKEM_PUBLIC_BYTES = 1184
PUBLIC_KEY_BYTES = MLKEM_PUBLIC_BYTES + 32
SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def binding(kind: str, **circumstances: Any) -> bytes:
    """HPKE `info`: canonical JSON of the purpose and everything the seal depends on."""
    return b"linkage/v1 seal\0" + canonical({"kind": kind, **circumstances})


def seal(public_key: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Seal `plaintext` so that only the holder of the private key can open it.

    Args:
        public_key: ML-KEM-768 public key (1,184 bytes), then X25519 public key (32 bytes).
        info: from `binding`.

    Returns:
        Encapsulated key, then ciphertext.

    Raises:
        UntrustedKeyError: the public key is malformed.
    """
    return SUITE.encrypt(plaintext, _public_key(public_key), info)


def check_public_key(public_key: bytes) -> None:
    """Raises UntrustedKeyError unless `public_key` is a well-formed sealing key."""
    _public_key(public_key)


def _public_key(raw: bytes) -> MLKEM768X25519PublicKey:
    if len(raw) != PUBLIC_KEY_BYTES:
        raise UntrustedKeyError(f"a sealing key has {PUBLIC_KEY_BYTES} bytes")
    try:
        x25519 = X25519PublicKey.from_public_bytes(raw[MLKEM_PUBLIC_BYTES:])
        # A point of low order gives everybody the same secret; an exchange with it fails.
        X25519PrivateKey.generate().exchange(x25519)
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(raw[:MLKEM_PUBLIC_BYTES]), x25519
        )
    except ValueError:
        raise UntrustedKeyError("the sealing key is malformed") from None
