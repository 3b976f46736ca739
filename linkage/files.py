"""Small files that must be whole or absent, and private ones that only their owner may read."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from linkage.errors import InputError, NotFoundError, TrustError

PRIVATE = 0o600
PRIVATE_DIRECTORY = 0o700


def write_atomic(path: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """Write a file so that a reader, or a crash, sees all of it or nothing."""
    write_pieces(path, [data], mode=mode)


def write_pieces(path: Path, pieces: Iterable[bytes], *, mode: int = PRIVATE) -> None:
    """Write a file piece by piece; see `write_atomic`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """Make what was written to a file, also through a memory map, survive a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Make a rename or an unlink in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_directory(path: Path) -> Path:
    """Make a directory (and its parents) that only its owner may enter."""
    if not path.exists():
        # Made one by one: `parents=True` would leave those in between open to others.
        if path.parent != path:
            private_directory(path.parent)
        path.mkdir(exist_ok=True, mode=PRIVATE_DIRECTORY)
    return path


def read_private(path: Path) -> bytes:
    """Read a file that holds a secret.

    Raises:
        NotFoundError: there is none.
        TrustError: others than its owner may read it, or it is another user's.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFoundError(f"{path} is not there") from None
    with os.fdopen(descriptor, "rb") as file:
        # Of the file that is open, not of what may stand under its name a moment later.
        found = os.fstat(file.fileno())
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise TrustError(
                f"{path} can be read by others than its owner",
                remedy=f"Run: chmod 600 {path}; if others may have read it, make new keys",
            )
        if found.st_uid != os.geteuid():
            raise TrustError(
                f"{path} belongs to another user",
                remedy="Run this as the user whose home it is (sudo -u USER)",
            )
        return file.read()


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a small file that a person named.

    Raises:
        InputError: it is not there, cannot be read, or is larger than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'cannot be read'}") from None
    if len(data) > limit:
        raise InputError(f"{path} is larger than {limit} bytes")
    return data
