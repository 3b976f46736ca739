"""A backup opens with its recovery key alone, whole, into a new home."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from linkage.errors import AlreadyExistsError, InputError, SealError, TrustError
from linkage.trust import vault as vaults
from linkage.trust.backup import (
    FRAME_BYTES,
    MAGIC,
    _Writer,
    back_up,
    make_recovery_key,
    read_public,
    restore,
)
from linkage.trust.keyring import Keyring
from linkage.trust.sealing import binding, seal
from linkage.trust.secrets import Secret
from linkage.trust.vault import Vault


class Place:
    """A home with keys, a row map and encodings, and a recovery key."""

    def __init__(self, path: Path) -> None:
        self.path, self.home = path, path / "home"
        self.keyring = Keyring.create(self.home / "keys")
        self.keyring.save_secret("prairie", "ab" * 32, 0, os.urandom(32))
        self.keyring.trust("health", "cd" * 32)
        epoch = self.home / "projects" / "prairie" / "epoch-0"
        epoch.mkdir(parents=True)
        (epoch / "rows.parquet").write_bytes(os.urandom(3 * FRAME_BYTES + 7))
        (epoch / "payload").write_bytes(b"encodings")
        (self.home / "party.json").write_text("{}")
        self.key, self.public = path / "recovery", path / "recovery.pub"
        self.fingerprint = make_recovery_key(self.key, self.public)
        self.file = path / "home.backup"

    def back_up(self) -> list[str]:
        return back_up(self.home, read_public(self.public)[0], self.file)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def _files(home: Path) -> dict[str, bytes]:
    return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}


def test_all_but_encodings_come_back(place: Place) -> None:
    names = place.back_up()
    kept = {n: d for n, d in _files(place.home).items() if not n.endswith("payload")}
    assert names == sorted(kept)
    data = place.file.read_bytes()
    assert not any(content in data for content in kept.values() if len(content) > 8)
    new = place.path / "new"
    assert restore(place.file, place.key, new, dry_run=True) == names
    assert not new.exists()
    assert restore(place.file, place.key, new) == names
    assert _files(new) == kept
    assert Keyring(new / "keys").fingerprint == place.keyring.fingerprint
    assert {p.stat().st_mode & 0o77 for p in new.rglob("*")} == {0}


def test_a_locked_home_is_restored_without_its_passphrase(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _files(place.home)
    monkeypatch.setenv("THE_PASSPHRASE", "correct horse battery staple")
    with Secret(bytearray(b"correct horse battery staple")) as secret:
        Vault(place.home).lock(secret, "env:THE_PASSPHRASE")
    assert "lock.json" not in place.back_up()
    monkeypatch.delenv("THE_PASSPHRASE")
    vaults._wipe_all()
    restore(place.file, place.key, place.path / "new")
    found = _files(place.path / "new")
    assert found == {n: d for n, d in before.items() if not n.endswith("payload")}


def test_nothing_is_overwritten(place: Place) -> None:
    place.back_up()
    with pytest.raises(AlreadyExistsError):
        place.back_up()
    with pytest.raises(AlreadyExistsError, match="new home only"):
        restore(place.file, place.key, place.home)
    with pytest.raises(AlreadyExistsError):
        make_recovery_key(place.key, place.path / "other.pub")


def test_another_recovery_key_opens_nothing(place: Place) -> None:
    place.back_up()
    make_recovery_key(place.path / "other", place.path / "other.pub")
    with pytest.raises(SealError, match="not made for this recovery key"):
        restore(place.file, place.path / "other", place.path / "new")
    with pytest.raises(InputError):
        read_public(place.key)
    place.public.chmod(0o600)
    with pytest.raises(InputError, match="that half"):
        restore(place.file, place.public, place.path / "new")
    place.key.chmod(0o644)
    with pytest.raises(TrustError, match="others than its owner"):
        restore(place.file, place.key, place.path / "new")


def test_a_backup_that_was_cut_altered_or_reordered_is_refused(place: Place) -> None:
    place.back_up()
    whole = place.file.read_bytes()
    frame = FRAME_BYTES + 16 + 4
    (length,) = struct.unpack(">I", whole[len(MAGIC) :][:4])
    start = len(MAGIC) + 4 + length
    body = whole[start:]
    for changed in (
        whole[:-1],
        whole[: start + frame],
        whole + b"x",
        whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:],
        whole[:start] + body[frame : 2 * frame] + body[:frame] + body[2 * frame :],
        whole[:start] + struct.pack(">I", 1 << 31) + body[4:],
    ):
        place.file.write_bytes(changed)
        with pytest.raises(SealError):
            restore(place.file, place.key, place.path / "new", dry_run=True)
    for changed in (b"", b"PK", MAGIC + struct.pack(">I", 1 << 31)):
        place.file.write_bytes(changed)
        with pytest.raises((InputError, SealError)):
            restore(place.file, place.key, place.path / "new", dry_run=True)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "keys/../../evil", "link"])
def test_a_made_up_backup_writes_nowhere_else(place: Place, name: str) -> None:
    """The public half is no secret: anybody can make a backup for it."""
    key, public = os.urandom(32), read_public(place.public)[0]
    sealed = seal(public, key, binding("backup"))
    out = io.BytesIO()
    out.write(MAGIC + struct.pack(">I", len(sealed)) + sealed)
    writer = _Writer(out, AESGCM(key))
    with tarfile.open(fileobj=writer, mode="w|") as tar:  # type: ignore[call-overload]
        info = tarfile.TarInfo(name)
        if name == "link":
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info, io.BytesIO(b""))
    writer.end()
    place.file.write_bytes(out.getvalue())
    with pytest.raises((InputError, KeyError)):
        restore(place.file, place.key, place.path / "new")
    assert not (place.path / "evil").exists()
    assert not (place.path / "new").exists()


def test_a_hubs_home_is_backed_up_without_its_database(tmp_path: Path) -> None:
    home = tmp_path / "hub"
    (home / "steward").mkdir(parents=True)
    for name in ("hub.json", "authority.pem", "authority.key", "hub.db", "steward/tls.key"):
        (home / name).touch(mode=0o600)
    make_recovery_key(tmp_path / "r", tmp_path / "r.pub")
    names = back_up(home, read_public(tmp_path / "r.pub")[0], tmp_path / "backup")
    assert names == ["authority.key", "authority.pem", "hub.json", "steward/tls.key"]
    assert json.loads((tmp_path / "r.pub").read_text())["linkage"] == "recovery-public/1"
