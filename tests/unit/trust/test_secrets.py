"""A URI says where a secret is; the secret is read from there, guarded, and wiped."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from linkage.errors import InputError, LinkageError, NotFoundError, TrustError
from linkage.trust import secrets
from linkage.trust.secrets import MAX_SECRET_BYTES, can_be_kept, read_secret, require_uri

PASSPHRASE = "correct horse battery staple"


class _Memory(KeyringBackend):
    """A keyring that holds one entry."""

    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> str | None:
        return PASSPHRASE if (service, username) == ("linkage", "hub") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.touch(mode=0o600)
    path.write_text(PASSPHRASE + "\n")
    return path


def _by_file(file: Path, _: pytest.MonkeyPatch) -> str:
    return f"file:{file}"


def _by_env(_: Path, patch: pytest.MonkeyPatch) -> str:
    patch.setenv("HUB_PASSPHRASE", PASSPHRASE)
    return "env:HUB_PASSPHRASE"


def _by_descriptor(file: Path, _: pytest.MonkeyPatch) -> str:
    return f"fd:{os.open(file, os.O_RDONLY)}"


def _by_keyring(_: Path, patch: pytest.MonkeyPatch) -> str:
    patch.setattr(keyring.core, "_keyring_backend", _Memory())
    return "keyring:linkage/hub"


@pytest.mark.parametrize("place", [_by_file, _by_env, _by_descriptor, _by_keyring])
def test_a_secret_is_read_and_wiped(
    file: Path, monkeypatch: pytest.MonkeyPatch, place: Callable[..., str]
) -> None:
    with read_secret(place(file, monkeypatch)) as secret:
        assert bytes(secret.view) == PASSPHRASE.encode()
        kept = secret.view
    assert bytes(kept) == bytes(len(PASSPHRASE))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_file_that_others_may_touch_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(TrustError, match="others than its owner"):
        read_secret(f"file:{file}")


def test_a_file_of_another_user_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    monkeypatch.setattr(os, "fstat", _owned_by(file, 4711))
    with pytest.raises(TrustError, match="another user"):
        read_secret(f"file:{file}")


def _owned_by(file: Path, user: int) -> Callable[[int], os.stat_result]:
    found = list(file.stat())
    found[4] = user
    return lambda _: os.stat_result(found)


def test_a_credential_of_systemd_may_show_an_access_list(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    with read_secret(f"file:{file}") as secret:
        assert len(secret) == len(PASSPHRASE)
    file.chmod(0o444)
    with pytest.raises(TrustError):
        read_secret(f"file:{file}")


@pytest.mark.parametrize("content", ["", "\n", "x" * (MAX_SECRET_BYTES + 1)])
def test_an_empty_or_endless_secret_is_refused(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(TrustError, match="empty or over"):
        read_secret(f"file:{file}")


@pytest.mark.parametrize(
    "uri", ["", PASSPHRASE, "hunter2", ":x", "vault:x", "keyring:linkage", "keyring:/x"]
)
def test_what_is_no_uri_is_refused_and_not_quoted(uri: str) -> None:
    with pytest.raises(InputError) as caught:
        read_secret(uri)
    assert uri == "" or uri not in str(caught.value)


@pytest.mark.parametrize("uri", ["file:/nowhere/x", "env:NOT_SET_AT_ALL", "fd:999", "fd:three"])
def test_nothing_there_is_said(uri: str) -> None:
    with pytest.raises(NotFoundError):
        read_secret(uri)


def test_a_keyring_without_the_entry_says_how_to_put_it_there(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _by_keyring(file, monkeypatch)
    with pytest.raises(NotFoundError, match="keyring set linkage other"):
        read_secret("keyring:linkage/other")


def test_a_new_scheme_is_one_more_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(secrets.SCHEMES, "kms", lambda place: bytearray(place.encode()[::-1]))
    with read_secret("kms:abc") as secret:
        assert bytes(secret.view) == b"cba"


def test_a_descriptor_is_good_once() -> None:
    assert can_be_kept("file:/x")
    assert can_be_kept("keyring:a/b")
    assert not can_be_kept("fd:3")
    assert not can_be_kept("")
    with pytest.raises(LinkageError):
        require_uri("hunter2")
