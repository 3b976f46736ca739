"""Secrets by reference: a URI says where a secret is, never what it is.

    with read_secret("file:/etc/linkage/hub.passphrase") as passphrase: ...

- `file:PATH`, `env:NAME`, `fd:NUMBER`, `keyring:SERVICE/NAME`; a key-management service or a
  hardware module is one more entry in `SCHEMES`.
- A file must belong to the user (or to root) and be closed to everybody else.
- A secret is a bytearray that is wiped when its block ends. That is as far as Python goes: what a
  library, the terminal or the environment held of it before is not ours to wipe.
- No message quotes a URI that is malformed: it may be the secret itself, given in the wrong place.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from linkage.errors import InputError, NotFoundError, TrustError

MAX_SECRET_BYTES = 4096
SHORTEST_PASSPHRASE = 12
URI_VARIABLE: Final = "LINKAGE_PASSPHRASE_URI"


class Secret:
    """Bytes that are wiped at the end of a `with` block."""

    def __init__(self, data: bytearray) -> None:
        self._data = data

    @property
    def view(self) -> memoryview:
        """The bytes, not copied; of no use once the block has ended."""
        return memoryview(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __enter__(self) -> Secret:
        return self

    def __exit__(self, *_: object) -> None:
        wipe(self._data)


def wipe(data: bytearray) -> None:
    """Overwrite with zeros."""
    data[:] = bytes(len(data))


def read_secret(uri: str) -> Secret:
    """The secret that a URI points at, without the line end behind it.

    Raises:
        InputError: the URI is malformed, or of a scheme that nobody serves.
        NotFoundError: there is nothing.
        TrustError: others may read it, or it is empty or too long.
    """
    scheme, place = _parts(uri)
    data = SCHEMES[scheme](place)
    while data and data[-1] in b"\r\n":
        data.pop()
    if not 0 < len(data) <= MAX_SECRET_BYTES:
        wipe(data)
        raise TrustError(f"the secret at {scheme}:… is empty or over {MAX_SECRET_BYTES} bytes")
    return Secret(data)


def require_uri(uri: str) -> str:
    """Give the URI back; raises InputError unless it is well formed."""
    _parts(uri)
    return uri


def can_be_kept(uri: str) -> bool:
    """Whether another process finds the same secret under it later."""
    return bool(uri) and _parts(uri)[0] != "fd"


def ask(prompt: str, *, twice: bool = False) -> Secret | None:
    """Ask a person at the terminal; None where nobody sits there.

    Raises:
        InputError: two entries that should be equal differ.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    entered = getpass.getpass(f"{prompt}: ", sys.stderr)
    if twice and getpass.getpass(f"{prompt}, again: ", sys.stderr) != entered:
        raise InputError("the two passphrases differ")
    return Secret(bytearray(entered.encode()))


def _parts(uri: str) -> tuple[str, str]:
    scheme, colon, place = uri.partition(":")
    if not colon or not place or scheme not in SCHEMES:
        raise InputError(
            "this is not the URI of a secret",
            remedy=f"Say where it is, never what it is: {', '.join(FORMS)}",
        )
    return scheme, place


def _file(place: str) -> bytearray:
    path = Path(place)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFoundError(f"{path} is not there") from None
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        # systemd hands credentials over in a directory that it closes to others itself; it lets
        # the service in by an access list, which shows as a bit of the group.
        given = os.environ.get("CREDENTIALS_DIRECTORY")
        handed = given is not None and path.parent == Path(given)
        open_to = stat.S_IRWXO if handed else stat.S_IRWXG | stat.S_IRWXO
        if found.st_mode & open_to:
            raise TrustError(
                f"{path} can be read by others than its owner",
                remedy=f"Run: chmod 600 {path}; if others may have read it, choose another secret",
            )
        if found.st_uid not in (os.geteuid(), 0):
            raise TrustError(
                f"{path} belongs to another user", remedy="Run as its owner, or change its owner"
            )
        return _all_of(file.fileno())


def _environment(name: str) -> bytearray:
    value = os.environ.get(name)
    if value is None:
        raise NotFoundError(f"there is no environment variable {name}")
    return bytearray(value.encode("utf-8", "surrogateescape"))


def _descriptor(number: str) -> bytearray:
    try:
        return _all_of(int(number))
    except (ValueError, OSError):
        raise NotFoundError(
            "no open file descriptor of that number", remedy="In a shell: --passphrase fd:3 3<FILE"
        ) from None


def _keyring(place: str) -> bytearray:
    import keyring
    from keyring.errors import KeyringError

    service, slash, name = place.partition("/")
    if not slash or not service or not name:
        raise InputError("a keyring is named as keyring:SERVICE/NAME")
    try:
        value = keyring.get_password(service, name)
    except KeyringError:
        raise TrustError(
            "the system's keyring cannot be read", remedy="Is it unlocked, and is there one?"
        ) from None
    if value is None:
        raise NotFoundError(
            f"the system's keyring holds nothing under {place}",
            remedy=f"Put it there with: keyring set {service} {name}",
        )
    return bytearray(value.encode())


def _all_of(descriptor: int) -> bytearray:
    data = bytearray()
    buffer = bytearray(MAX_SECRET_BYTES + 3)
    try:
        while len(data) <= MAX_SECRET_BYTES + 2:
            count = os.readv(descriptor, [buffer])
            if not count:
                break
            data += memoryview(buffer)[:count]
    finally:
        wipe(buffer)
    return data


FORMS = ("file:PATH", "env:NAME", "fd:NUMBER", "keyring:SERVICE/NAME")
SCHEMES: dict[str, Callable[[str], bytearray]] = {
    "file": _file,
    "env": _environment,
    "fd": _descriptor,
    "keyring": _keyring,
}
"""How to read what stands behind the colon, by scheme."""
