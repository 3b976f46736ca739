"""`linkage keys` on homes that are enrolled with a real hub: changed keys, refused keys, locks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from linkage.errors import LinkageError, UnauthenticatedError, UntrustedKeyError
from linkage.hub.steward import Steward
from linkage.rpc import member as members_module
from linkage.rpc.channel import ClientIdentity, connect
from linkage.rpc.member import enrol_member, rotate_keys, trusted_party
from linkage.rpc.party import Party
from linkage.store import tables
from linkage.store.sql import find_all, update
from linkage.trust.fingerprints import words
from linkage.trust.keyring import Keyring
from linkage.trust.vault import MAGIC

from .conftest import Hub, Member, make_manifest


def _run(*words: str, home: Path, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "linkage", *words, "--json", "--home", str(home)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )
    return {"code": done.returncode, **json.loads(done.stdout.splitlines()[-1])}


def _enrolled(hub: Hub, home: Path, name: str) -> Party:
    Keyring.create(home / "keys")
    return enrol_member(home, hub.invite(name), patience=10)


def test_keys_are_changed_and_the_project_goes_on(
    hub: Hub, steward: Steward, members: dict[str, Member], tmp_path: Path
) -> None:
    home, sheriff = tmp_path / "home", members["sheriff"]
    party = _enrolled(hub, home, "changing")
    keyring, old = Keyring(home / "keys"), party.identity
    before = keyring.fingerprint
    manifest = make_manifest(partners=[{"name": "sheriff"}, {"name": "changing"}])
    steward.propose(manifest)
    sheriff.agent().sign(sheriff.connection, manifest)
    with party.connect(patience=10) as connection:
        Member("changing", home, connection).agent().sign(connection, manifest)
    sheriff.keyring.trust("changing", before)
    done = _run("keys", "rotate", home=home)
    assert (done["code"], done["former"], done["signed"]) == (0, before, [manifest.project])
    assert done["fingerprint"] == keyring.fingerprint != before
    assert done["words"].split() == words(keyring.fingerprint)
    # The old certificate is worthless now, and the project still signed by all.
    with pytest.raises(UnauthenticatedError, match="was replaced"):
        connect(ClientIdentity(hub.address, old.authority, old.key, old.certificate), patience=2)
    shown = steward.project(manifest.project)
    assert {s.partner for s in shown.signatures} == {"sheriff", "changing"}
    # Others see who vouches for the new keys, and compare all the same.
    with pytest.raises(UntrustedKeyError, match="those you trusted signed for"):
        trusted_party(sheriff.keyring, shown, "changing")
    sheriff.keyring.trust("changing", " ".join(words(done["fingerprint"])))
    trusted_party(sheriff.keyring, shown, "changing")
    with hub.database().transaction() as connection:
        assert find_all(
            connection, tables.log_entry, kind="party.rotated", party="partner/changing"
        )


@pytest.mark.parametrize("point", ["answer", "tls", "keyring"])
def test_a_change_that_was_interrupted_is_gone_on_with(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    class KilledError(Exception):
        pass

    def kill(*_: Any, **__: Any) -> None:
        raise KilledError

    home = tmp_path / "home"
    _enrolled(hub, home, f"killed-{point}")
    before = Keyring(home / "keys").fingerprint
    with monkeypatch.context() as patch:
        if point == "answer":
            patch.setattr(members_module, "write_atomic", kill)
        elif point == "tls":
            patch.setattr(members_module.Vault, "write", _kill_at("tls.key", kill))
        else:
            patch.setattr(Keyring, "rotate", kill)
        with pytest.raises(KilledError):
            rotate_keys(home, patience=10)
    done = rotate_keys(home, patience=10)
    assert done.fingerprint == Keyring(home / "keys").fingerprint != before
    with Party.load(home).connect(patience=10):
        pass
    with hub.database().transaction() as connection:
        assert len(find_all(connection, tables.rotation, party=f"killed-{point}")) == 1


def _kill_at(name: str, kill: Any) -> Any:
    from linkage.trust.vault import Vault

    write = Vault.write

    def checked(self: Vault, to: str, data: bytes) -> None:
        if to == name:
            kill()
        write(self, to, data)

    return checked


def test_a_key_the_hub_swapped_is_refused_written_down_and_reported(
    hub: Hub, steward: Steward, members: dict[str, Member], tmp_path: Path
) -> None:
    """The hub puts keys of its own in a partner's place; a statement of the old ones it has not."""
    home = tmp_path / "home"
    party = _enrolled(hub, home, "victim")
    keyring = Keyring(home / "keys")
    manifest = make_manifest(partners=[{"name": "victim"}, {"name": "health"}])
    steward.propose(manifest)
    keyring.trust("health", members["health"].keyring.fingerprint)
    forged = Keyring.create(tmp_path / "forged" / "keys")
    with hub.database().transaction() as connection:
        true = find_all(connection, tables.party, name="health")[0]
        update(
            connection,
            tables.party,
            {"name": "health"},
            signing_key=forged.signing_public,
            sealing_key=forged.sealing_key.public,
        )
    try:
        shown = steward.project(manifest.project)
        for _ in range(2):
            refused = pytest.raises(UntrustedKeyError, match="Nothing vouches")
            with refused, party.connect(patience=10):
                trusted_party(keyring, shown, "health")
    finally:
        with hub.database().transaction() as connection:
            update(
                connection,
                tables.party,
                {"name": "health"},
                signing_key=true["signing_key"],
                sealing_key=true["sealing_key"],
            )
    [entry] = keyring.refused
    assert (entry["party"], entry["shown"]) == ("health", forged.fingerprint)
    with hub.database().transaction() as connection:
        [told] = find_all(connection, tables.log_entry, kind="key.refused", party="partner/victim")
    assert forged.fingerprint.encode() in told["entry"]
    assert _run("keys", "show", home=home)["refused"] == [entry]


def test_a_locked_home_works_where_its_passphrase_is_found(hub: Hub, tmp_path: Path) -> None:
    home = tmp_path / "home"
    _enrolled(hub, home, "locked")
    phrase = {"THE_PASSPHRASE": "correct horse battery staple"}
    lock = ("keys", "lock", "--new-passphrase", "env:THE_PASSPHRASE")
    done = _run(*lock, home=home, **phrase)
    assert done["locked"] == ["keys/sealing.key", "keys/signing.key", "tls.key"]
    assert (home / "tls.key").read_bytes().startswith(MAGIC)
    assert _run("agent", "status", home=home, **phrase)["code"] == 0
    refused = _run("agent", "status", home=home)
    assert (refused["code"], refused["error"]["reason"]) == (5, "NOT_FOUND")
    assert _run("keys", "rotate", home=home, **phrase)["code"] == 0
    assert (home / "keys" / "signing.key").read_bytes().startswith(MAGIC)
    assert _run("agent", "status", home=home, **phrase)["code"] == 0
    assert _run("keys", "unlock", home=home, **phrase)["code"] == 0
    assert _run("agent", "status", home=home)["code"] == 0


def test_a_home_that_was_lost_is_restored(hub: Hub, tmp_path: Path) -> None:
    home, new = tmp_path / "home", tmp_path / "new"
    _enrolled(hub, home, "lost")
    made = subprocess.run(
        [sys.executable, "-m", "linkage", "keys", "recovery-key", "--out", str(tmp_path / "r")],
        capture_output=True,
        check=True,
    )
    assert b"keep it offline" in made.stdout
    out = ("--out", str(tmp_path / "b"))
    assert _run("keys", "backup", "--to", str(tmp_path / "r.pub"), *out, home=home)["code"] == 0
    back = ("keys", "restore", str(tmp_path / "b"), "--key", str(tmp_path / "r"))
    assert _run(*back, home=home)["error"]["reason"] == "ALREADY_EXISTS"
    assert _run(*back, "--dry-run", home=new)["dry_run"] is True
    assert _run(*back, home=new)["code"] == 0
    with Party.load(new).connect(patience=10):
        pass


def test_a_steward_has_nothing_to_change(hub: Hub) -> None:
    with pytest.raises(LinkageError):
        rotate_keys(hub.home.path / "steward", patience=2)
