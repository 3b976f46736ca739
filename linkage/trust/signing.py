"""Ed25519 signatures (RFC 8032) over canonical statements.

- What is signed is always RFC 8785 JSON with a `kind`, so that a signature made for one
  purpose cannot serve another.
- Verification raises; there is no boolean to forget.
"""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from linkage.agreement.canonical import canonical, fingerprint
from linkage.errors import SignatureError, TrustError

PUBLIC_KEY_BYTES = 32
_CONTEXT = b"linkage/v1 statement\0"


def statement(kind: str, **fields: Any) -> bytes:
    """The canonical bytes of a statement of that kind."""
    return canonical({"kind": kind, **fields})


def sign(key: Ed25519PrivateKey, data: bytes) -> bytes:
    """64-byte signature over `data`, which must be a canonical statement or header."""
    return key.sign(_CONTEXT + data)


def verify(public_key: bytes, signature: bytes, data: bytes, *, what: str, by: str) -> None:
    """Check a signature.

    Args:
        what: what was signed, for the message.
        by: the party said to have signed.

    Raises:
        SignatureError: the signature is not that party's over exactly these bytes.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _CONTEXT + data)
    except (InvalidSignature, ValueError):
        raise SignatureError(
            f"the signature of {by!r} on {what} does not hold",
            remedy="Somebody changed it on the way, or it was signed with another key",
        ) from None


def key_fingerprint(signing_key: bytes, sealing_key: bytes) -> str:
    """What two people compare out of band: SHA-256 over both public keys, 64 hex digits.

    Raises:
        TrustError: the signing key has the wrong size.
    """
    if len(signing_key) != PUBLIC_KEY_BYTES:
        raise TrustError("an Ed25519 public key has 32 bytes")
    return fingerprint(b"linkage/v1 party keys\0" + signing_key + sealing_key)


def grouped(digest: str) -> str:
    """A fingerprint in groups of four digits, for reading aloud; still one word."""
    return "-".join(digest[i : i + 4] for i in range(0, len(digest), 4))
