"""Old keys vouch for new ones; nothing else does, and nobody is trusted for it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from linkage.errors import LinkageError, UntrustedKeyError
from linkage.trust.keyring import Keyring
from linkage.trust.rotation import Rotation, RotationStatement, vouched_for
from linkage.trust.sealing import binding, seal
from linkage.trust.signing import key_fingerprint, sign


def _public(keyring: Keyring) -> tuple[bytes, bytes]:
    return keyring.signing_public, keyring.sealing_key.public


def _rotated(old: Keyring, new: Keyring, party: str = "health", **changes: str) -> Rotation:
    fields = {"party": party, "former": old.fingerprint, "fingerprint": new.fingerprint}
    said = RotationStatement(**{**fields, **changes}).canonical
    return Rotation(said, *_public(old), sign(old.signing_key, said), sign(new.signing_key, said))


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> list[Keyring]:
    return [Keyring.create(tmp_path_factory.mktemp("ring") / "keys") for _ in range(3)]


def test_a_chain_of_changes_leads_from_the_pinned_keys(rings: list[Keyring]) -> None:
    first, second, third = rings
    chain = [_rotated(first, second), _rotated(second, third)]
    for pinned in (first, second):
        assert vouched_for("health", pinned.fingerprint, *_public(third), chain)
    assert not vouched_for("health", "ab" * 32, *_public(third), chain)
    assert not vouched_for("health", first.fingerprint, *_public(third), chain[1:])
    assert not vouched_for("health", first.fingerprint, *_public(third), chain[::-1])
    assert not vouched_for("sheriff", first.fingerprint, *_public(third), chain)
    assert not vouched_for("health", first.fingerprint, *_public(third), [])


def test_a_forged_change_vouches_for_nothing(rings: list[Keyring]) -> None:
    first, second, third = rings
    good = _rotated(first, second)
    forged = [
        replace(good, signature=good.proof),
        replace(good, proof=good.signature),
        replace(good, signing_key=third.signing_public),
        replace(good, statement=good.statement + b" "),
        replace(good, statement=b"{}"),
        _rotated(first, second, former=third.fingerprint),
        _rotated(first, second, fingerprint=third.fingerprint),
        _rotated(first, second, party="sheriff"),
    ]
    for one in forged:
        assert not vouched_for("health", first.fingerprint, *_public(second), [one])
        with pytest.raises(LinkageError):
            one.require("health", *_public(second))


def test_changed_keys_are_refused_in_either_case_and_written_down(
    rings: list[Keyring], tmp_path: Path
) -> None:
    first, second, third = rings
    mine = Keyring.create(tmp_path / "keys")
    mine.trust("health", first.fingerprint)
    with pytest.raises(UntrustedKeyError, match="those you trusted signed for"):
        mine.require_trusted("health", *_public(second), [_rotated(first, second)])
    with pytest.raises(UntrustedKeyError, match="differ from those you trusted") as caught:
        mine.require_trusted("health", *_public(third), [_rotated(first, second)])
    assert (caught.value.party, caught.value.shown) == ("health", third.fingerprint)
    with pytest.raises(UntrustedKeyError):
        mine.require_trusted("health", *_public(third))
    found = [(one["shown"], one["vouched"]) for one in mine.refused]
    assert found == [(second.fingerprint, True), (third.fingerprint, False)]
    assert (tmp_path / "keys" / "refused.jsonl").stat().st_mode & 0o77 == 0
    mine.trust("health", third.fingerprint)
    mine.require_trusted("health", *_public(third))


def test_new_keys_open_what_was_sealed_to_the_old_ones(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path / "keys")
    before, info = _public(keyring), binding("test")
    signing, sealing = keyring.prepare_rotation()
    assert keyring.prepare_rotation()[1].raw == sealing.raw
    assert _public(keyring) == before
    keyring.rotate()
    after = _public(keyring)
    assert after == (signing.public_key().public_bytes_raw(), sealing.public)
    assert key_fingerprint(*after) == keyring.fingerprint
    for public in (before[1], after[1]):
        assert keyring.sealing_key.open(seal(public, b"secret", info), info) == b"secret"
    keyring.prepare_rotation()
    keyring.rotate()
    assert keyring.sealing_key.open(seal(before[1], b"secret", info), info) == b"secret"
    assert len(keyring.sealing_key.former) == 2
