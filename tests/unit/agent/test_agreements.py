"""An agent's memory of versions and epochs: the hub can only go on, step by step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.agent.agreements import Agreements
from linkage.agreement import Manifest, parse_manifest
from linkage.errors import (
    EpochError,
    FingerprintMismatchError,
    LinkageError,
    NotAgreedError,
    NotFoundError,
    NotReadyError,
)
from linkage.v1 import project_pb2


def manifest(version: int = 1, **settings: object) -> Manifest:
    document = {
        "linkage": "manifest/1",
        "project": "prairie",
        "version": version,
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [{"name": "north"}, {"name": "south"}],
        "recipients": [{"name": "bureau", "role": "assembler"}],
        "fields": [
            {"name": "surname", "type": "surname"},
            {"name": "dob", "type": "date_of_birth"},
        ],
        "match_keys": [{"name": "all", "fields": ["surname", "dob"]}],
        "scheme": {"name": "saul-v1", "bits": 1024},
    }
    return parse_manifest(json.dumps(document | settings).encode())


ONE, TWO, THREE = (manifest(number) for number in (1, 2, 3))


def shown(*history: Manifest, **changes: object) -> project_pb2.Project:
    """A project whose epochs began under these manifests, in order."""
    present = history[-1]
    fields = {
        "name": "prairie",
        "manifest": present.canonical,
        "fingerprint": present.fingerprint,
        "state": project_pb2.PROJECT_STATE_ACTIVE,
        "epoch": len(history) - 1,
        "epochs": [
            project_pb2.Epoch(epoch=number, fingerprint=one.fingerprint)
            for number, one in enumerate(history)
        ],
    }
    return project_pb2.Project(**(fields | changes))


@pytest.fixture
def agreements(tmp_path: Path) -> Agreements:
    return _signed(tmp_path, ONE)


def _signed(place: Path, *manifests: Manifest) -> Agreements:
    made = Agreements(place / "prairie", "prairie")
    for one in manifests:
        made.keep(one)
    return made


def test_the_first_epoch(agreements: Agreements) -> None:
    assert agreements.in_force(shown(ONE)) == ONE
    assert [(one.epoch, one.version) for one in agreements.seen] == [(0, 1)]
    assert agreements.in_force(shown(ONE)) == ONE
    assert len(agreements.seen) == 1


def test_whoever_signed_nothing_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="has not signed"):
        _ = Agreements(tmp_path, "prairie").signed


def test_epochs_follow_each_other(agreements: Agreements) -> None:
    for epochs in (1, 2, 3):
        agreements.in_force(shown(*[ONE] * epochs))
    assert [one.epoch for one in agreements.seen] == [0, 1, 2]


def test_an_epoch_that_goes_back_is_refused(agreements: Agreements) -> None:
    agreements.in_force(shown(ONE, ONE, ONE))
    with pytest.raises(EpochError, match="is back in epoch 1 after epoch 2"):
        agreements.in_force(shown(ONE, ONE))


def test_an_epoch_that_skips_is_refused(agreements: Agreements) -> None:
    agreements.in_force(shown(ONE))
    gap = [project_pb2.Epoch(epoch=n, fingerprint=ONE.fingerprint) for n in (0, 2)]
    with pytest.raises(EpochError, match="skips epoch 1"):
        agreements.in_force(shown(ONE, ONE, ONE, epochs=gap))
    # Who was away while two epochs began sees both in the history, and goes on.
    agreements.in_force(shown(ONE, ONE, ONE))


@pytest.mark.parametrize(
    "epochs",
    [[], [0], [1, 2], [0, 1, 2, 7]],
    ids=["none", "old", "later", "beyond"],
)
def test_a_history_ends_with_the_present(agreements: Agreements, epochs: list[int]) -> None:
    said = [project_pb2.Epoch(epoch=n, fingerprint=ONE.fingerprint) for n in epochs]
    with pytest.raises(EpochError, match="does not end with the present"):
        agreements.in_force(shown(ONE, ONE, epochs=said))


def test_a_history_that_is_rewritten_is_refused(tmp_path: Path) -> None:
    agreements = _signed(tmp_path, ONE, TWO)
    agreements.in_force(shown(ONE))
    agreements.in_force(shown(ONE, TWO))
    with pytest.raises(EpochError, match="says of epoch 0 what it did not say before"):
        agreements.in_force(shown(TWO, TWO))


def test_a_version_is_used_once_signed_and_in_force(agreements: Agreements) -> None:
    agreements.in_force(shown(ONE))
    with pytest.raises(FingerprintMismatchError):
        agreements.in_force(shown(ONE, TWO))
    agreements.keep(TWO)
    assert agreements.in_force(shown(ONE)) == ONE
    assert agreements.signed == ONE
    assert agreements.in_force(shown(ONE, TWO)) == TWO
    assert agreements.signed == TWO
    assert agreements.version(ONE.fingerprint) == ONE


def test_a_manifest_does_not_change_within_an_epoch(tmp_path: Path) -> None:
    agreements = _signed(tmp_path, ONE)
    agreements.in_force(shown(ONE))
    agreements.keep(TWO)
    with pytest.raises(EpochError, match="epoch 0"):
        agreements.in_force(shown(TWO))


def test_an_earlier_version_does_not_come_back(tmp_path: Path) -> None:
    agreements = _signed(tmp_path, ONE)
    agreements.in_force(shown(ONE))
    agreements.keep(TWO)
    agreements.in_force(shown(ONE, TWO))
    with pytest.raises(LinkageError) as caught:
        agreements.in_force(shown(ONE, TWO, ONE))
    assert isinstance(caught.value, FingerprintMismatchError | EpochError)
    with pytest.raises(EpochError, match="version 2"):
        agreements.keep(manifest(2, purpose="Other"))
    with pytest.raises(EpochError, match="version 2"):
        agreements.keep(manifest(1, purpose="Other"))
    agreements.keep(TWO)
    agreements.keep(THREE)


def test_two_versions_signed_before_any_was_seen_in_force(tmp_path: Path) -> None:
    agreements = _signed(tmp_path, ONE, TWO)
    assert agreements.in_force(shown(ONE)) == ONE
    assert agreements.in_force(shown(ONE, TWO)) == TWO


def test_before_any_is_in_force_another_may_be_signed(agreements: Agreements) -> None:
    """The steward withdrew the first manifest, and proposed it corrected."""
    other = manifest(1, purpose="Corrected")
    agreements.keep(other)
    assert agreements.in_force(shown(other)) == other


def test_a_manifest_altered_on_the_way_is_refused(agreements: Agreements) -> None:
    altered = ONE.canonical.replace(b'"P"', b'"Q"')
    with pytest.raises(FingerprintMismatchError):
        agreements.in_force(shown(ONE, manifest=altered))


def test_one_that_not_all_signed_or_that_expired_is_not_in_force(tmp_path: Path) -> None:
    agreements = _signed(tmp_path / "a", ONE)
    with pytest.raises(NotReadyError, match="not signed by north, south"):
        agreements.in_force(shown(ONE, state=project_pb2.PROJECT_STATE_PROPOSED))
    assert agreements.seen == []
    old = manifest(expires="2001-01-01")
    agreements = _signed(tmp_path / "b", old)
    with pytest.raises(NotAgreedError, match="expired"):
        agreements.in_force(shown(old))


def test_a_name_that_is_no_fingerprint_finds_no_file(agreements: Agreements) -> None:
    for digest in ("", "../manifest", "0" * 64, "." * 64):
        assert agreements.version(digest) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=12))
def test_whatever_the_hub_says_epochs_only_rise(
    tmp_path_factory: pytest.TempPathFactory, asked: list[int]
) -> None:
    """The hub's honest history is of seven epochs; it shows any of them at any time."""
    agreements = _signed(tmp_path_factory.mktemp("home"), ONE)
    highest = -1
    for epoch in asked:
        if epoch >= highest:
            agreements.in_force(shown(*[ONE] * (epoch + 1)))
            highest = epoch
        else:
            with pytest.raises(EpochError):
                agreements.in_force(shown(*[ONE] * (epoch + 1)))
        assert agreements.seen[-1].epoch == highest
