"""The backup of a home: encrypted to a recovery key whose private half lies in a safe.

    magic, length of the seal (4 bytes), seal of a random file key (HPKE, see `sealing`);
    then frames: length (4 bytes), AES-256-GCM under the file key; nonce: number of the frame, and
    whether it is the last, so that none is left out, moved or missing at the end.

Inside is a tar of regular files. Locked files are written in clear into it, because a backup is
also for those who lost the passphrase; encodings, which the source gives again, are left out.
"""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import ValidationError

from linkage.agreement.canonical import canonical, fingerprint
from linkage.agreement.fields import Strict
from linkage.errors import AlreadyExistsError, InputError, SealError
from linkage.files import private_directory, read_private, write_atomic
from linkage.trust.opening import SealingKey
from linkage.trust.sealing import binding, check_public_key, seal
from linkage.trust.vault import LOCK, Vault

MAGIC = b"linkage-backup/1\n"
FRAME_BYTES = 1 << 20
MAX_SEAL_BYTES = 8192
_BULKY = {"payload"}
_HUB = ("hub.json", "authority.pem", "log.vkey", "*.key", "steward/*")


class _Key(Strict):
    """A half of a recovery key."""

    linkage: Literal["recovery-key/1", "recovery-public/1"]
    key: str


def make_recovery_key(private: Path, public: Path) -> str:
    """Make a recovery key; gives the public half's fingerprint.

    Raises:
        AlreadyExistsError: a file is there already.
    """
    for path in (private, public):
        if path.exists():
            raise AlreadyExistsError(f"{path} is there already", remedy="Name another file")
    key = SealingKey.generate()
    write_atomic(private, canonical({"linkage": "recovery-key/1", "key": key.raw.hex()}))
    found = canonical({"linkage": "recovery-public/1", "key": key.public.hex()})
    write_atomic(public, found, mode=0o644)
    return _fingerprint(key.public)


def read_public(path: Path) -> tuple[bytes, str]:
    """The public half, and its fingerprint; raises InputError when it is none."""
    raw = _parse(path.read_bytes(), "recovery-public/1", path)
    check_public_key(raw)
    return raw, _fingerprint(raw)


def back_up(home: Path, public_key: bytes, out: Path) -> list[str]:
    """Write a backup of a home; gives the names of the files in it.

    Raises:
        AlreadyExistsError: `out` is there.
        TrustError: a locked file cannot be opened.
    """
    if out.exists():
        raise AlreadyExistsError(f"{out} is there already", remedy="Name another file")
    names, vault = files_of(home), Vault(home)
    if not names:
        raise InputError(f"there is nothing to back up in {home}")
    secret = set(vault.names)
    key = os.urandom(32)
    sealed = seal(public_key, key, binding("backup"))
    temporary = out.with_name(f".{out.name}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(MAGIC + struct.pack(">I", len(sealed)) + sealed)
            writer = _Writer(file, AESGCM(key))
            with tarfile.open(
                fileobj=cast("IO[bytes]", writer), mode="w|", format=tarfile.PAX_FORMAT
            ) as tar:
                for name in names:
                    _add(tar, home, name, vault.read(name) if name in secret else None)
            writer.end()
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return names


def restore(file: Path, recovery: Path, home: Path, *, dry_run: bool = False) -> list[str]:
    """Open a backup into a new home; gives the names of its files.

    Args:
        recovery: the private half's file.
        dry_run: open and check all of it, and write nothing.

    Raises:
        AlreadyExistsError: the home holds something.
        SealError: another recovery key, or the backup was cut or altered.
    """
    if home.exists() and any(home.iterdir()):
        raise AlreadyExistsError(
            f"{home} holds something already", remedy="A backup is restored to a new home only"
        )
    private = SealingKey(_parse(read_private(recovery), "recovery-key/1", recovery))
    made = home.with_name(f".{home.name}.restoring")
    if not dry_run and made.exists():
        raise AlreadyExistsError(
            f"{made} is there, of a restoring that was interrupted", remedy="Remove it first"
        )
    names: list[str] = []
    with file.open("rb") as opened:
        for name, member in _members(opened, private):
            names.append(name)
            data = member.read()
            if not dry_run:
                path = made / name
                private_directory(path.parent)
                write_atomic(path, data)
    if not dry_run:
        if home.exists():
            home.rmdir()
        made.replace(home)
    return names


def files_of(home: Path) -> list[str]:
    """What a backup of a home holds: all that cannot be made again, in order."""
    if (home / "hub.json").exists():
        found = {path for pattern in _HUB for path in home.glob(pattern)}
    else:
        found = {path for path in home.rglob("*") if path.name not in _BULKY}
    kept = (p for p in found if p.is_file() and not p.is_symlink())
    relative = (p.relative_to(home) for p in kept if p.name != LOCK)
    return sorted(str(p) for p in relative if not any(part[0] == "." for part in p.parts))


def _add(tar: tarfile.TarFile, home: Path, name: str, data: bytes | None) -> None:
    info = tarfile.TarInfo(name)
    info.mode = 0o600
    if data is not None:
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
        return
    with (home / name).open("rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        tar.addfile(info, file)


def _members(file: IO[bytes], private: SealingKey) -> Iterator[tuple[str, IO[bytes]]]:
    if file.read(len(MAGIC)) != MAGIC:
        raise InputError("this file is no backup of a home")
    (length,) = struct.unpack(">I", _exactly(file, 4))
    if length > MAX_SEAL_BYTES:
        raise InputError("this file is no backup of a home")
    try:
        key = private.open(_exactly(file, length), binding("backup"))
    except SealError:
        raise SealError(
            "this backup was not made for this recovery key", remedy="Use the right recovery key"
        ) from None
    reader = _Reader(file, AESGCM(key))
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", reader), mode="r|") as tar:
            for member in tar:
                name, path = member.name, PurePosixPath(member.name)
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or path.is_absolute() or ".." in path.parts:
                    raise InputError("the backup holds something that is no file of a home")
                yield name, content
    except tarfile.TarError:
        raise InputError("the backup holds something that is no file of a home") from None
    reader.drain()


class _Writer:
    """Cuts what is written to it into frames."""

    def __init__(self, file: IO[bytes], key: AESGCM) -> None:
        self._file, self._key = file, key
        self._buffer, self._number = bytearray(), 0

    def write(self, data: bytes) -> int:
        self._buffer += data
        while len(self._buffer) > FRAME_BYTES:
            self._frame(bytes(self._buffer[:FRAME_BYTES]), last=False)
            del self._buffer[:FRAME_BYTES]
        return len(data)

    def end(self) -> None:
        self._frame(bytes(self._buffer), last=True)

    def _frame(self, data: bytes, *, last: bool) -> None:
        sealed = self._key.encrypt(_nonce(self._number, last=last), data, None)
        self._file.write(struct.pack(">I", len(sealed)) + sealed)
        self._number += 1


class _Reader:
    """Opens frame after frame as it is read."""

    def __init__(self, file: IO[bytes], key: AESGCM) -> None:
        self._file, self._key = file, key
        self._buffer, self._number, self._ended = bytearray(), 0, False

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size and not self._ended:
            self._next()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def drain(self) -> None:
        """Make sure that the end is the end."""
        while not self._ended:
            self._next()
        if self._file.read(1):
            raise _damaged()

    def _next(self) -> None:
        (length,) = struct.unpack(">I", _exactly(self._file, 4))
        if length > FRAME_BYTES + 16:
            raise _damaged()
        sealed = _exactly(self._file, length)
        for last in (False, True):
            try:
                self._buffer += self._key.decrypt(_nonce(self._number, last=last), sealed, None)
            except InvalidTag:
                continue
            self._number, self._ended = self._number + 1, last
            return
        raise _damaged()


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise _damaged()
    return data


def _damaged() -> SealError:
    return SealError("the backup was cut or altered", remedy="Use another copy of it")


def _fingerprint(public: bytes) -> str:
    return fingerprint(b"linkage/v1 recovery key\0" + public)


def _parse(data: bytes, kind: str, path: Path) -> bytes:
    try:
        found: Any = _Key.model_validate_json(data)
        if found.linkage != kind:
            raise ValueError
        return bytes.fromhex(found.key)
    except (ValidationError, ValueError, json.JSONDecodeError):
        raise InputError(f"{path} does not hold that half of a recovery key") from None
