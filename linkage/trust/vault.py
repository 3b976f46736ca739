"""The secret files of one home, plain or locked by a passphrase.

    vault = Vault(home)
    vault.write("authority.key", pem)
    vault.read("authority.key")

- Who writes and who reads a file does not care whether the home is locked.
- Locked: AES-256-GCM under the home's own random key, bound to the file's name; that key stands in
  `lock.json`, wrapped under one derived from the passphrase by scrypt (RFC 7914). A new passphrase
  therefore changes one file.
- In a locked home a plain file is refused: somebody else put it there.
- The passphrase is asked for once per process, and only when a secret is needed.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import Field, StringConstraints, ValidationError

from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Strict
from linkage.errors import NotFoundError, TrustError
from linkage.files import private_directory, read_private, write_atomic
from linkage.trust.secrets import (
    SHORTEST_PASSPHRASE,
    URI_VARIABLE,
    Secret,
    ask,
    can_be_kept,
    read_secret,
    wipe,
)

LOCK = "lock.json"
MAGIC = b"linkage-locked/1\n"
NONCE_BYTES = 12
_PATTERNS = ("*.key", "keys/*.key", "keys/former/*.key", "keys/next/*.key")
_open_keys: dict[str, bytearray] = {}
_opening = threading.Lock()

Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class _Lock(Strict):
    """What `lock.json` holds.

    Attributes:
        n, r, p: of scrypt; bounded, so that nobody can make a reader run out of memory.
        wrapped: nonce and wrapped key of the home, hex.
        passphrase: URI at which the passphrase is found; empty: it is given anew each time.
    """

    linkage: Literal["lock/1"] = "lock/1"
    n: Annotated[int, Field(ge=1 << 14, le=1 << 20)] = 1 << 17
    r: Annotated[int, Field(ge=8, le=16)] = 8
    p: Annotated[int, Field(ge=1, le=4)] = 1
    salt: Hex32
    wrapped: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{120}$")]
    passphrase: Annotated[str, StringConstraints(max_length=4096)] = ""

    def wrapping_key(self, passphrase: Secret) -> AESGCM:
        scrypt = Scrypt(bytes.fromhex(self.salt), 32, self.n, self.r, self.p)
        return AESGCM(scrypt.derive(passphrase.view))


class Vault:
    """The secret files of a home.

    Args:
        home: the directory; names are relative to it.
    """

    def __init__(self, home: Path) -> None:
        self._home = home

    @property
    def locked(self) -> bool:
        return (self._home / LOCK).exists()

    @property
    def names(self) -> Sequence[str]:
        """The secret files that are there."""
        found = {path for pattern in _PATTERNS for path in self._home.glob(pattern)}
        return sorted(str(path.relative_to(self._home)) for path in found)

    def exists(self, name: str) -> bool:
        return (self._home / name).exists()

    def read(self, name: str) -> bytes:
        """What a file holds.

        Raises:
            NotFoundError: it is not there.
            TrustError: others may read it, the passphrase is wrong, or the file was changed.
        """
        path = self._home / name
        data = read_private(path)
        if not self.locked:
            if data.startswith(MAGIC):
                raise TrustError(
                    f"{path} is locked, and {self._home / LOCK} is missing",
                    remedy="Restore it from the backup",
                )
            return data
        if not data.startswith(MAGIC):
            raise TrustError(
                f"{path} is not locked, although its home is",
                remedy="If you put it there, or locking was interrupted, run: linkage keys lock",
            )
        return self._unlock(name, data)

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all; locked, where the home is."""
        write_atomic(self._home / name, self._lock(name, data) if self.locked else data)

    def lock(self, passphrase: Secret, uri: str = "") -> Sequence[str]:
        """Lock the home, or give it another passphrase; safe to repeat after a crash.

        Args:
            uri: where the passphrase will be found; kept, unless it is good for one process only.

        Returns:
            The files that were plain until now.

        Raises:
            TrustError: the passphrase is too short; or the home's present one is not given.
        """
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise TrustError(f"a passphrase has at least {SHORTEST_PASSPHRASE} characters")
        key = self._key() if self.locked else bytearray(os.urandom(32))
        salt, nonce = os.urandom(16).hex(), os.urandom(NONCE_BYTES)
        made = _Lock(salt=salt, wrapped="0" * 120, passphrase=uri if can_be_kept(uri) else "")
        wrapped = nonce + made.wrapping_key(passphrase).encrypt(nonce, key, _WRAP)
        made = made.model_copy(update={"wrapped": wrapped.hex()})
        private_directory(self._home)
        write_atomic(self._home / LOCK, canonical(made.model_dump()))
        with _opening:
            _open_keys[made.wrapped] = key
        plain = [n for n in self.names if not read_private(self._home / n).startswith(MAGIC)]
        self._rewrite(plain)
        return plain

    def unlock(self) -> Sequence[str]:
        """Make the home plain again; gives the files that were locked."""
        if not self.locked:
            return []
        names = self.names
        for name in names:
            data = read_private(self._home / name)
            if data.startswith(MAGIC):
                write_atomic(self._home / name, self._unlock(name, data))
        (self._home / LOCK).unlink()
        return names

    def _rewrite(self, names: Iterable[str]) -> None:
        for name in names:
            write_atomic(self._home / name, self._lock(name, read_private(self._home / name)))

    def _lock(self, name: str, data: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return MAGIC + nonce + AESGCM(self._key()).encrypt(nonce, data, _bound(name))

    def _unlock(self, name: str, data: bytes) -> bytes:
        nonce, sealed = data[len(MAGIC) :][:NONCE_BYTES], data[len(MAGIC) + NONCE_BYTES :]
        try:
            return AESGCM(self._key()).decrypt(nonce, sealed, _bound(name))
        except (InvalidTag, ValueError):
            raise TrustError(
                f"{self._home / name} was changed, or belongs to another home",
                remedy="Restore it from the backup",
            ) from None

    def _key(self) -> bytearray:
        """The home's key; the passphrase is looked for the first time only."""
        found = self._read_lock()
        with _opening:
            if found.wrapped not in _open_keys:
                with self._passphrase(found) as passphrase:
                    wrapping = found.wrapping_key(passphrase)
                raw = bytes.fromhex(found.wrapped)
                try:
                    key = wrapping.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _WRAP)
                except InvalidTag:
                    raise TrustError(f"this is not the passphrase of {self._home}") from None
                _open_keys[found.wrapped] = bytearray(key)
            return _open_keys[found.wrapped]

    def _passphrase(self, found: _Lock) -> Secret:
        uri = os.environ.get(URI_VARIABLE) or found.passphrase
        secret = read_secret(uri) if uri else ask(f"Passphrase of {self._home}")
        if secret is None:
            raise TrustError(
                f"the keys in {self._home} are locked by a passphrase",
                remedy=f"Say where it is: {URI_VARIABLE}=file:PATH (or env:, fd:, keyring:)",
            )
        return secret

    def _read_lock(self) -> _Lock:
        try:
            return _Lock.model_validate_json(read_private(self._home / LOCK))
        except NotFoundError:
            raise TrustError(f"{self._home} is not locked") from None
        except ValidationError:
            raise TrustError(
                f"{self._home / LOCK} is damaged", remedy="Restore it from the backup"
            ) from None


_WRAP = b"linkage/v1 home key\0"


def _bound(name: str) -> bytes:
    return b"linkage/v1 locked file\0" + name.encode()


@atexit.register
def _wipe_all() -> None:
    for key in _open_keys.values():
        wipe(key)
    _open_keys.clear()
