"""A hub that lies: its operator, or who broke in, changes its database behind its back.

Here the agent is the one that refuses, and what it holds dear must not have been sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkage.agreement import Manifest, parse_manifest
from linkage.errors import (
    AgreementError,
    FingerprintMismatchError,
    LinkageError,
    NotAgreedError,
    NotReadyError,
    QuotaError,
    UntrustedKeyError,
)
from linkage.hub.log import record
from linkage.hub.steward import Steward
from linkage.rpc.party import Party
from linkage.store import tables
from linkage.store.sql import find, find_all, insert, update
from linkage.trust.keyring import Keyring
from tests.integration.hub.answering import keyed_manifest, wait_until_waiting
from tests.integration.hub.conftest import Hub, Member, make_manifest, share_all, write_people

from .attack import Attack


def _signed(steward: Steward, members: dict[str, Member], manifest: Manifest) -> Manifest:
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    return manifest


@contextmanager
def _changed(hub: Hub, table: Any, key: dict[str, Any], **values: Any) -> Iterator[None]:
    """A row as the operator wants it, and afterwards as it was."""
    with hub.database().transaction() as connection:
        before = find(connection, table, **key)
        assert before is not None
        assert update(connection, table, key, **values) == 1
    try:
        yield
    finally:
        with hub.database().transaction() as connection:
            update(connection, table, key, **{name: before[name] for name in values})


def test_a_partners_public_keys_are_swapped(
    attack: Attack, hub: Hub, steward: Steward, members: Any, tmp_path: Path
) -> None:
    """With keys of its own in their place the hub would read the project secret."""
    manifest = _signed(steward, members, make_manifest())
    hubs_own = Keyring.create(tmp_path / "keys")
    keys = {
        "signing_key": hubs_own.signing_public,
        "sealing_key": hubs_own.sealing_key.public,
    }
    sheriff = members["sheriff"]
    file = write_people(tmp_path / "sheriff.csv", seed=1)
    for change in (keys, *({name: key} for name, key in keys.items())):
        differ = pytest.raises(UntrustedKeyError, match="differ from those you trusted")
        with (
            _changed(hub, tables.party, {"name": "health"}, **change),
            attack.unmoved(),
            differ,
            Party.load(sheriff.home).connect(patience=10) as connection,
        ):
            sheriff.agent().submit(connection, manifest.project, file)
    with hub.database().transaction() as connection:
        told = find_all(connection, tables.log_entry, kind="key.refused", party="partner/sheriff")
    assert len(told) == 3, "the agent keeps and reports what it was shown"


def test_a_manifest_is_altered_by_one_byte_at_the_hub(
    attack: Attack, hub: Hub, steward: Steward, members: Any, tmp_path: Path
) -> None:
    """Whoever holds the database rewrites the agreement: each agent has its own copy."""
    manifest = _signed(steward, members, make_manifest())
    altered = parse_manifest(manifest.canonical.replace(b"Testing", b"tesTing"))
    file = write_people(tmp_path / "sheriff.csv", seed=1)
    sheriff = members["sheriff"]
    key = {"name": manifest.project}
    changes: list[dict[str, Any]] = [
        {"manifest": altered.canonical},
        {"manifest": altered.canonical, "fingerprint": altered.fingerprint},
    ]
    for change in changes:
        with _changed(hub, tables.project, key, **change), attack.unmoved():
            with pytest.raises(LinkageError) as caught:
                sheriff.agent().submit(sheriff.connection, manifest.project, file)
            assert isinstance(caught.value, FingerprintMismatchError | AgreementError)


def test_a_signature_is_made_up(
    attack: Attack, hub: Hub, steward: Steward, members: Any, tmp_path: Path
) -> None:
    """The hub says that all have signed; one has not, so its part of the secret never comes."""
    manifest = make_manifest()
    steward.propose(manifest)
    sheriff = members["sheriff"]
    sheriff.agent().sign(sheriff.connection, manifest)
    forged = {"signature": bytes(64), "signed_at": 1}
    key = {"project": manifest.project, "fingerprint": manifest.fingerprint, "partner": "health"}
    with hub.database().transaction() as connection:
        insert(connection, tables.signature, **key, **forged)
    file = write_people(tmp_path / "sheriff.csv", seed=1)
    with pytest.raises((NotReadyError, NotAgreedError)):
        sheriff.agent().submit(sheriff.connection, manifest.project, file)
    assert list(steward.project(manifest.project).uploaded) == []
    with hub.database().transaction() as connection:
        assert find(connection, tables.envelope, project=manifest.project) is None
    attack.alive()


def test_pairs_beyond_the_quota(
    attack: Attack, hub: Hub, steward: Steward, members: Any, tmp_path: Path
) -> None:
    """The operator puts a list of its own in place, with a digest to match: one row too often."""
    manifest = _signed(steward, members, keyed_manifest())
    files = {}
    share_all(members, manifest)
    for seed, name in enumerate(manifest.partner_names):
        member = members[name]
        files[name] = write_people(tmp_path / f"{name}.csv", seed=seed, rows=40)
        member.agent().submit(member.connection, manifest.project, files[name])
    run = steward.start_run(manifest.project).run
    wait_until_waiting(steward, manifest.project, run)
    key = {"run": run, "partner": "sheriff", "other": "health"}
    with hub.database().transaction() as connection:
        row = find(connection, tables.comparison, **key)
    assert row is not None
    (path,) = [
        p
        for p in (hub.home.path / "blobs" / "runs" / run).rglob("*")
        if p.is_file() and hashlib.sha256(p.read_bytes()).hexdigest() == row["digest"]
    ]
    honest = path.read_bytes()
    size = len(honest) // row["entries"]
    entries = np.frombuffer(honest, np.uint8).reshape(-1, size)
    too_often = entries.copy()
    first = entries[:, 16:].view("<u4").ravel()
    place = int(np.flatnonzero(first != first[0])[0])
    too_often[place, 16:] = entries[0, 16:]
    one_more = np.concatenate([entries, entries[-1:]])
    one_more[-1, :16] = 0xFF
    sheriff = members["sheriff"]
    for forged in (too_often, one_more, entries[:-1]):
        path.write_bytes(forged.tobytes())
        digest = hashlib.sha256(forged.tobytes()).hexdigest()
        change = {"digest": digest, "entries": len(forged)}
        # And in its log as well: otherwise the agent would look no further.
        to = {"partner": "sheriff", "other": "health", "digest": digest, "entries": len(forged)}
        with hub.database().transaction() as connection:
            record(connection, "list.issued", project=manifest.project, subject=run, **to)
        broken = pytest.raises((QuotaError, AgreementError), match=r"breaks the quota|the hub asks")
        with _changed(hub, tables.comparison, key, **change), attack.unmoved(), broken:
            sheriff.agent().answer(sheriff.connection, manifest.project, files["sheriff"])
    path.write_bytes(honest)
    steward.cancel(run)
