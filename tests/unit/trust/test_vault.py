"""A home's secret files, plain and locked: the same to who reads and writes them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from linkage.errors import TrustError
from linkage.trust import vault as module
from linkage.trust.contributions import new_contribution as new_secret
from linkage.trust.keyring import Keyring
from linkage.trust.secrets import URI_VARIABLE, Secret
from linkage.trust.vault import LOCK, MAGIC, Vault

PASSPHRASE = "correct horse battery staple"
DATA = b"-----BEGIN PRIVATE KEY-----"


def _passphrase(text: str = PASSPHRASE) -> Secret:
    return Secret(bytearray(text.encode()))


def _forget() -> None:
    """As if another process came."""
    module._wipe_all()


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PASSPHRASE", PASSPHRASE)
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    _forget()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    made = Vault(tmp_path)
    made.lock(_passphrase(), "env:THE_PASSPHRASE")
    return made


def test_a_plain_home_keeps_plain_files(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.write("authority.key", DATA)
    assert (tmp_path / "authority.key").read_bytes() == DATA == vault.read("authority.key")
    assert not vault.locked
    assert vault.unlock() == []


def test_a_locked_home_shows_nothing(vault: Vault, tmp_path: Path) -> None:
    vault.write("authority.key", DATA)
    _forget()
    assert vault.read("authority.key") == DATA
    for path in tmp_path.iterdir():
        assert b"PRIVATE" not in path.read_bytes()
        assert PASSPHRASE.encode() not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_file_is_locked_and_unlocked(tmp_path: Path) -> None:
    keyring, fingerprint = Keyring.create(tmp_path / "keys"), "ab" * 32
    keyring.save_secret("prairie", fingerprint, 0, secret := new_secret())
    before = keyring.fingerprint
    vault = Vault(tmp_path)
    names = ["keys/sealing.key", f"keys/secret-prairie-{fingerprint}-0.key", "keys/signing.key"]
    assert vault.lock(_passphrase(), "env:THE_PASSPHRASE") == names
    _forget()
    assert keyring.fingerprint == before
    assert keyring.secret("prairie", fingerprint, 0) == secret
    assert all((tmp_path / name).read_bytes().startswith(MAGIC) for name in names)
    keyring.save_secret("prairie", fingerprint, 1, secret)
    assert secret not in (tmp_path / "keys" / f"secret-prairie-{fingerprint}-1.key").read_bytes()
    assert len(vault.unlock()) == 4
    assert (tmp_path / "keys" / "signing.key").stat().st_size == 32
    assert keyring.fingerprint == before


def test_the_wrong_passphrase_opens_nothing(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.write("authority.key", DATA)
    _forget()
    monkeypatch.setenv("THE_PASSPHRASE", "correct horse battery stable")
    with pytest.raises(TrustError, match="not the passphrase"):
        vault.read("authority.key")
    monkeypatch.setenv("ANOTHER", PASSPHRASE)
    monkeypatch.setenv(URI_VARIABLE, "env:ANOTHER")
    assert vault.read("authority.key") == DATA


def test_without_a_place_for_the_passphrase_it_says_what_to_do(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.lock(_passphrase(), "fd:3")
    assert json.loads((tmp_path / LOCK).read_bytes())["passphrase"] == ""
    vault.write("authority.key", DATA)
    _forget()
    with pytest.raises(TrustError, match=URI_VARIABLE):
        vault.read("authority.key")


def test_a_new_passphrase_changes_the_lock_alone(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.write("authority.key", DATA)
    before = (tmp_path / "authority.key").read_bytes()
    _forget()
    assert vault.lock(_passphrase("another passphrase"), "env:THE_PASSPHRASE") == []
    assert (tmp_path / "authority.key").read_bytes() == before
    _forget()
    with pytest.raises(TrustError, match="not the passphrase"):
        vault.read("authority.key")
    monkeypatch.setenv("THE_PASSPHRASE", "another passphrase")
    assert vault.read("authority.key") == DATA


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="at least 12"):
        Vault(tmp_path).lock(_passphrase("elevenchars"))
    assert not Vault(tmp_path).locked


def test_files_cannot_be_swapped_altered_or_replaced(vault: Vault, tmp_path: Path) -> None:
    vault.write("authority.key", DATA)
    vault.write("log.key", b"another")
    sealed = (tmp_path / "authority.key").read_bytes()
    for changed in (
        (tmp_path / "log.key").read_bytes(),
        sealed[:-1],
        sealed[:-1] + bytes([sealed[-1] ^ 1]),
        sealed[: len(MAGIC) + 3],
    ):
        (tmp_path / "authority.key").write_bytes(changed)
        with pytest.raises(TrustError, match="was changed"):
            vault.read("authority.key")
    (tmp_path / "authority.key").write_bytes(DATA)
    with pytest.raises(TrustError, match="not locked"):
        vault.read("authority.key")


def test_a_lost_or_damaged_lock_is_told(vault: Vault, tmp_path: Path) -> None:
    vault.write("authority.key", DATA)
    lock = json.loads((tmp_path / LOCK).read_bytes())
    for change in ({"n": 1 << 30}, {"n": 2}, {"salt": "00"}, {"linkage": "lock/2"}, {"x": 1}):
        (tmp_path / LOCK).write_text(json.dumps(lock | change))
        with pytest.raises(TrustError, match="damaged"):
            vault.read("authority.key")
    (tmp_path / LOCK).unlink()
    with pytest.raises(TrustError, match="is missing"):
        vault.read("authority.key")


def test_interrupted_locking_is_gone_on_with(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.write("authority.key", DATA)
    vault.write("log.key", DATA)
    vault.lock(_passphrase(), "env:THE_PASSPHRASE")
    (tmp_path / "log.key").write_bytes(DATA)
    assert vault.lock(_passphrase(), "env:THE_PASSPHRASE") == ["log.key"]
    assert vault.read("log.key") == vault.read("authority.key") == DATA
