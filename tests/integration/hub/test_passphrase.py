"""The hub's keys locked by a passphrase: init, serve and invite as a steward runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from linkage.trust.vault import MAGIC
from tests.e2e.memory import found_in_memory

PASSPHRASE = "correct horse battery staple"
LINKAGE = [sys.executable, "-m", "linkage"]


def _run(*words: str, secret: str | None = None, **environment: str) -> dict[str, Any]:
    """One command; `{fd}` in a word becomes a descriptor from which the secret can be read once."""
    reading = -1
    if secret is not None:
        reading, writing = os.pipe()
        os.write(writing, secret.encode())
        os.close(writing)
    done = subprocess.run(
        [*LINKAGE, *(word.replace("{fd}", str(reading)) for word in words), "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=[reading] if secret else [],
        env={**os.environ, **environment},
        check=False,
    )
    assert PASSPHRASE.encode() not in done.stdout + done.stderr
    return {"code": done.returncode, **json.loads(done.stdout.splitlines()[-1])}


INIT = ("hub", "init", "--name", "county", "--address", "127.0.0.1:0", "--host", "127.0.0.1")


def test_a_script_must_choose(tmp_path: Path) -> None:
    made = _run(*INIT, "--home", str(tmp_path / "hub"))
    assert made["code"] == 2
    assert "--no-passphrase" in made["error"]["remedy"]
    assert not (tmp_path / "hub").exists()
    both = ("--passphrase", "env:NOTHING", "--no-passphrase")
    assert _run(*INIT, *both, "--home", str(tmp_path / "hub"))["code"] == 2


def test_a_passphrase_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path) -> None:
    made = _run(*INIT, "--passphrase", PASSPHRASE, "--home", str(tmp_path / "hub"))
    assert made["code"] == 2
    assert made["error"]["reason"] == "INVALID_INPUT"


def test_unencrypted_only_when_asked_for(tmp_path: Path) -> None:
    home = tmp_path / "hub"
    made = _run(*INIT, "--no-passphrase", "--home", str(home))
    assert made["locked"] is False
    assert (home / "authority.key").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")


def test_a_descriptor_opens_the_hub_and_is_not_kept(tmp_path: Path) -> None:
    home, out = str(tmp_path / "hub"), ("--out", str(tmp_path))
    made = _run(*INIT, "--passphrase", "fd:{fd}", "--home", home, secret=PASSPHRASE)
    assert made["locked"] is True
    assert (tmp_path / "hub" / "authority.key").read_bytes().startswith(MAGIC)
    assert "fd:" not in (tmp_path / "hub" / "lock.json").read_text()
    invite = ("hub", "invite", "sheriff", *out, "--home", home)
    refused = _run(*invite)
    assert (refused["code"], refused["error"]["reason"]) == (4, "TRUST")
    assert "LINKAGE_PASSPHRASE_URI" in refused["error"]["remedy"]
    wrong = _run(*invite, "--passphrase", "fd:{fd}", secret="correct horse battery stable")
    assert (wrong["code"], wrong["error"]["reason"]) == (4, "TRUST")
    assert not (tmp_path / "sheriff.invite").exists()
    given = _run(*invite, LINKAGE_PASSPHRASE_URI="env:HUB", HUB=PASSPHRASE)
    assert given["code"] == 0
    assert (tmp_path / "sheriff.invite").exists()


@pytest.mark.parametrize("given", [True, False], ids=["passphrase", "nothing"])
def test_serving_needs_the_passphrase(tmp_path: Path, given: bool) -> None:
    home, ready = str(tmp_path / "hub"), tmp_path / "ready"
    assert _run(*INIT, "--passphrase", "env:HUB", "--home", home, HUB=PASSPHRASE)["code"] == 0
    process = subprocess.Popen(
        [*LINKAGE, "hub", "serve", "--home", home, "--ready", str(ready)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **({"HUB": PASSPHRASE} if given else {})},
    )
    try:
        give_up = time.monotonic() + 60
        while process.poll() is None and not ready.exists() and time.monotonic() < give_up:
            time.sleep(0.05)
        assert ready.exists() is given
        if not given:
            assert process.wait(10) == 5
    finally:
        process.kill()
        process.wait()


def test_a_serving_hub_has_no_copy_of_its_passphrase(tmp_path: Path) -> None:
    """Read from a file, stretched, wiped. That the search finds things, the home's path shows."""
    home, ready, file = str(tmp_path / "hub"), tmp_path / "ready", tmp_path / "passphrase"
    file.touch(mode=0o600)
    marker = b"7hQz-marker-passphrase-Kp2vX9wLmN4"
    file.write_bytes(marker + b"\n")
    assert _run(*INIT, "--passphrase", f"file:{file}", "--home", home)["code"] == 0
    process = subprocess.Popen(
        [*LINKAGE, "hub", "serve", "--home", home, "--ready", str(ready)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        give_up = time.monotonic() + 60
        while process.poll() is None and not ready.exists() and time.monotonic() < give_up:
            time.sleep(0.05)
        assert ready.exists()
        found, _ = found_in_memory(process.pid, [(1, marker), (2, home.encode())])
        assert found == {2}
    finally:
        process.kill()
        process.wait()
