"""The opening half of `sealing`; only for machines of partners and recipients."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

from linkage.errors import SealError
from linkage.trust.sealing import SUITE

SEED_BYTES = 64
PRIVATE_KEY_BYTES = SEED_BYTES + 32


@dataclass(frozen=True, repr=False)
class SealingKey:
    """A party's private sealing key.

    Attributes:
        raw: ML-KEM-768 seed (64 bytes), then X25519 private key (32 bytes).
        former: keys that this one replaced, newest first: what was sealed to them before others
            knew of the change can still be opened.
    """

    raw: bytes
    former: tuple[bytes, ...] = ()

    @classmethod
    def generate(cls) -> SealingKey:
        mlkem, x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
        return cls(mlkem.private_bytes_raw() + x25519.private_bytes_raw())

    @property
    def public(self) -> bytes:
        mlkem, x25519 = _halves(self.raw)
        return mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Open what was sealed to this key under the same `info`.

        Raises:
            SealError: sealed to another key, for another purpose, or altered.
        """
        for raw in (self.raw, *self.former):
            try:
                return SUITE.decrypt(sealed, MLKEM768X25519PrivateKey(*_halves(raw)), info)
            except (InvalidTag, ValueError):
                continue
        raise SealError(
            "the seal cannot be opened",
            remedy="It was made for another party or purpose, or altered on the way",
        )


def _halves(raw: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    return (
        MLKEM768PrivateKey.from_seed_bytes(raw[:SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(raw[SEED_BYTES:]),
    )
