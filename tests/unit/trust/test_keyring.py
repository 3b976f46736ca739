"""Keys stay with their owner, are never overwritten, and others' are trusted once compared."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from linkage.errors import AlreadyExistsError, NotFoundError, TrustError, UntrustedKeyError
from linkage.trust.contributions import new_contribution as new_secret
from linkage.trust.keyring import Keyring
from linkage.trust.signing import grouped, key_fingerprint

PRINT = "ab" * 32


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.create(tmp_path / "keys")


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_every_file_is_its_owners_alone(keyring: Keyring, tmp_path: Path) -> None:
    keyring.save_secret("prairie", PRINT, 0, new_secret())
    keyring.trust("health", PRINT)
    directory = tmp_path / "keys"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    found = _files(directory)
    assert {path.name for path in found} == {
        "signing.key",
        "sealing.key",
        "trusted.json",
        f"secret-prairie-{PRINT}-0.key",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o620])
@pytest.mark.parametrize("name", ["signing.key", "sealing.key", "trusted.json", "secret"])
def test_a_file_that_others_may_touch_is_refused(
    keyring: Keyring, tmp_path: Path, name: str, mode: int
) -> None:
    keyring.save_secret("prairie", PRINT, 0, new_secret())
    keyring.trust("health", PRINT)
    path = next(p for p in _files(tmp_path / "keys") if p.name.startswith(name))
    path.chmod(mode)
    use = {
        "signing.key": lambda: keyring.signing_key,
        "sealing.key": lambda: keyring.sealing_key,
        "trusted.json": lambda: keyring.require_trusted("health", b"\0" * 32, b""),
        "secret": lambda: keyring.secret("prairie", PRINT, 0),
    }
    with pytest.raises(TrustError, match="chmod 600") as caught:
        use[name]()
    assert not isinstance(caught.value, UntrustedKeyError)


def test_keys_are_never_overwritten(keyring: Keyring, tmp_path: Path) -> None:
    before = {p.name: p.read_bytes() for p in _files(tmp_path / "keys")}
    with pytest.raises(AlreadyExistsError):
        Keyring.create(tmp_path / "keys")
    assert {p.name: p.read_bytes() for p in _files(tmp_path / "keys")} == before


def test_a_keyring_without_keys_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        _ = Keyring(tmp_path).signing_key


@pytest.mark.parametrize("name", ["signing.key", "sealing.key"])
def test_a_damaged_key_is_refused(keyring: Keyring, tmp_path: Path, name: str) -> None:
    path = tmp_path / "keys" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TrustError, match="damaged"):
        _ = keyring.fingerprint


def test_a_secret_is_filed_under_project_manifest_and_epoch(keyring: Keyring) -> None:
    secret = new_secret()
    assert keyring.secret("prairie", PRINT, 0) is None
    keyring.save_secret("prairie", PRINT, 0, secret)
    assert keyring.secret("prairie", PRINT, 0) == secret
    assert keyring.secret("prairia", PRINT, 0) is None
    assert keyring.secret("prairie", "cd" * 32, 0) is None
    assert keyring.secret("prairie", PRINT, 1) is None


def test_a_secret_cannot_be_replaced(keyring: Keyring) -> None:
    secret = new_secret()
    keyring.save_secret("prairie", PRINT, 0, secret)
    keyring.save_secret("prairie", PRINT, 0, secret)
    with pytest.raises(TrustError, match="another project secret") as caught:
        keyring.save_secret("prairie", PRINT, 0, new_secret())
    assert keyring.secret("prairie", PRINT, 0) == secret
    assert secret.hex() not in str(caught.value)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_secret_of_another_size_is_refused(keyring: Keyring, size: int) -> None:
    with pytest.raises(TrustError, match="32 bytes"):
        keyring.save_secret("prairie", PRINT, 0, bytes(size))


def test_keys_are_trusted_once_compared(keyring: Keyring) -> None:
    signing, sealing = b"\1" * 32, b"\2" * 1216
    with pytest.raises(UntrustedKeyError, match="not trusted yet") as caught:
        keyring.require_trusted("health", signing, sealing)
    shown = key_fingerprint(signing, sealing)
    # What the hub shows is not to be copied: the person enters what it heard.
    assert shown not in str(caught.value)
    assert grouped(shown) not in str(caught.value)
    keyring.trust("health", grouped(shown).upper())
    keyring.require_trusted("health", signing, sealing)
    with pytest.raises(UntrustedKeyError):
        keyring.require_trusted("sheriff", signing, sealing)


@pytest.mark.parametrize("changed", ["signing", "sealing"])
def test_a_key_that_changed_afterwards_is_refused(keyring: Keyring, changed: str) -> None:
    keys = {"signing": b"\1" * 32, "sealing": b"\2" * 1216}
    keyring.trust("health", key_fingerprint(keys["signing"], keys["sealing"]))
    keys[changed] = b"\3" + keys[changed][1:]
    with pytest.raises(UntrustedKeyError, match="differ from those you trusted"):
        keyring.require_trusted("health", keys["signing"], keys["sealing"])


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "g" * 64, "ab" * 31 + "a\u0661"])
def test_a_malformed_fingerprint_is_refused(keyring: Keyring, text: str) -> None:
    with pytest.raises(TrustError, match="64 hexadecimal"):
        keyring.trust("health", text)
    assert keyring.trusted == {}


def test_trusting_one_party_keeps_the_others(keyring: Keyring, tmp_path: Path) -> None:
    keyring.trust("health", PRINT)
    keyring.trust("social", "cd" * 32)
    assert keyring.trusted == {"health": PRINT, "social": "cd" * 32}
    assert json.loads((tmp_path / "keys" / "trusted.json").read_bytes()) == keyring.trusted
