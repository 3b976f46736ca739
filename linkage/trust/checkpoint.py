"""Checkpoints: how large the log is, and the root of its tree, signed by the log's key.

    prairie/log
    42
    kIm+NGHbCE1...=

    — prairie/log 3a1wqw...=

- The form is that of C2SP tlog-checkpoint and signed-note, with an Ed25519 key: tools made for
  other transparency logs read it.
- A log's public key is one line, `name+hash+key`, and names the log; parties pin it at enrolment.
- Of signatures by other keys nothing is said; one by the pinned key must be there and hold.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linkage.errors import LogInconsistentError, TrustError
from linkage.trust.transparency import HASH_BYTES

MAX_NOTE_BYTES = 4096
_ED25519 = b"\x01"
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_NAME = re.compile(r"[^\s+]{1,128}")


@dataclass(frozen=True)
class Checkpoint:
    """What the log's key signed.

    Attributes:
        note: the signed note, as it came.
    """

    origin: str
    size: int
    root: bytes
    note: bytes

    def same_as(self, other: Checkpoint) -> bool:
        return (self.size, self.root) == (other.size, other.root)


@dataclass(frozen=True)
class LogVerifier:
    """A log's public key, and its name."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, line: str) -> LogVerifier:
        """Raises TrustError unless the line is the public key of a log."""
        name, _, rest = line.strip().partition("+")
        tag, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except ValueError:
            raw = b""
        found = cls(name, raw[1:])
        if len(raw) != 33 or raw[:1] != _ED25519 or not _NAME.fullmatch(name):
            raise TrustError("this is not the public key of a log")
        if found.tag.hex() != tag:
            raise TrustError("the public key of the log does not fit its own hash")
        return found

    @property
    def line(self) -> str:
        """The key as one line, which `parse` reads."""
        key = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self.tag.hex()}+{key}"

    @property
    def tag(self) -> bytes:
        """What a signature names its key by: 4 bytes."""
        return hashlib.sha256(f"{self.name}\n".encode() + _ED25519 + self.public).digest()[:4]

    def open(self, note: bytes) -> Checkpoint:
        """The checkpoint in a note.

        Raises:
            LogInconsistentError: it is malformed, or not signed by this key.
        """
        if len(note) > MAX_NOTE_BYTES:
            raise _not_signed(self.name)
        text, blank, signatures = note.rpartition(b"\n\n")
        text += b"\n"
        if not blank or not any(self._signed(text, line) for line in signatures.split(b"\n")):
            raise _not_signed(self.name)
        try:
            origin, size, root, *_ = text.decode().split("\n")
            decoded = base64.b64decode(root, validate=True)
        except ValueError:
            raise _not_signed(self.name) from None
        if origin != self.name or not _SIZE.fullmatch(size) or len(decoded) != HASH_BYTES:
            raise _not_signed(self.name)
        return Checkpoint(origin, int(size), decoded, note)

    def _signed(self, text: bytes, line: bytes) -> bool:
        prefix = f"— {self.name} ".encode()
        if not line.startswith(prefix):
            return False
        try:
            raw = base64.b64decode(line[len(prefix) :], validate=True)
            if raw[:4] != self.tag:
                return False
            Ed25519PublicKey.from_public_bytes(self.public).verify(raw[4:], text)
        except (InvalidSignature, ValueError):
            return False
        return True


class LogKey:
    """A log's private key."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.verifier = LogVerifier(name, key.public_key().public_bytes_raw())

    @classmethod
    def load(cls, name: str, raw: bytes) -> LogKey:
        return cls(name, Ed25519PrivateKey.from_private_bytes(raw))

    @property
    def private(self) -> bytes:
        """32 bytes, for a file that only the hub's owner may read."""
        return self._key.private_bytes_raw()

    def sign(self, size: int, root: bytes) -> Checkpoint:
        verifier = self.verifier
        text = f"{verifier.name}\n{size}\n{base64.b64encode(root).decode()}\n".encode()
        signature = base64.b64encode(verifier.tag + self._key.sign(text)).decode()
        note = text + f"\n— {verifier.name} {signature}\n".encode()
        return Checkpoint(verifier.name, size, root, note)


def log_name(hub: str) -> str:
    """The name of a hub's log."""
    return f"{hub}/log"


def _not_signed(name: str) -> LogInconsistentError:
    return LogInconsistentError(f"the checkpoint is not one that the log {name!r} signed")
