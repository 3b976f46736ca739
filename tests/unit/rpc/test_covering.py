"""What a party refuses by itself, whatever the hub says of a release or a manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.canonical import fingerprint
from linkage.errors import (
    AgreementError,
    LinkageError,
    NotAgreedError,
    NotReadyError,
    SignatureError,
    UntrustedKeyError,
)
from linkage.rpc.covering import require_approved, require_covered, require_shown, require_signed
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign
from linkage.trust.statements import (
    ReleaseStatement,
    confirmation_statement,
    manifest_statement,
)
from linkage.v1 import enrolment_pb2, project_pb2, release_pb2

NAMES = ("a", "b", "ann", "bob")
ID = "1" * 32


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Keyring]:
    found = {name: Keyring.create(tmp_path_factory.mktemp(name) / "keys") for name in NAMES}
    found["a"].trust("b", found["b"].fingerprint)
    return found


def manifest_of(rings: dict[str, Keyring], **settings: Any) -> Manifest:
    keys = [{"name": n, "key": rings[n].signing_public.hex()} for n in ("ann", "bob")]
    document = {
        "linkage": "manifest/1",
        "project": "p",
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [{"name": "a"}, {"name": "b"}],
        "recipients": [{"name": "c", "role": "assembler"}],
        "fields": [{"name": "surname", "type": "surname"}],
        "match_keys": [{"name": "k", "fields": ["surname"]}],
        "scheme": {"name": "saul-v1"},
        "matching": {"threshold": 0.6},
        "stewards": keys,
        "two_stewards": True,
        **settings,
    }
    return parse_manifest(json.dumps(document).encode())


def release_of(
    rings: dict[str, Keyring], manifest: Manifest, *, changes: dict[str, Any] | None = None
) -> release_pb2.Release:
    """A release as an honest hub shows it, confirmed and approved by all."""
    said = ReleaseStatement(
        release=ID,
        project="p",
        run=ID,
        fingerprint=manifest.fingerprint,
        epoch=2,
        threshold=0.7,
        report="2" * 64,
        summary=fingerprint(b"{}"),
        uploads={"a": "3" * 64, "b": "4" * 64},
    ).model_copy(update=changes or {})
    return release_pb2.Release(
        release=ID,
        project="p",
        run=ID,
        threshold=said.threshold,
        statement=said.canonical,
        confirmations=[
            release_pb2.Confirmation(
                steward=n,
                signature=sign(rings[n].signing_key, confirmation_statement(said.canonical, n)),
            )
            for n in ("ann", "bob")
        ],
        approvals=[
            release_pb2.Approval(partner=n, signature=sign(rings[n].signing_key, said.canonical))
            for n in ("a", "b")
        ],
    )


def project_of(rings: dict[str, Keyring], manifest: Manifest) -> project_pb2.Project:
    return project_pb2.Project(
        name="p",
        signatures=[
            project_pb2.ManifestSignature(
                partner=n,
                signature=sign(
                    rings[n].signing_key, manifest_statement("p", manifest.fingerprint, n)
                ),
            )
            for n in ("a", "b")
        ],
        parties=[
            enrolment_pb2.Party(
                name=n,
                signing_key=rings[n].signing_public,
                sealing_key=rings[n].sealing_key.public,
            )
            for n in ("a", "b")
        ],
    )


def test_what_was_agreed_is_covered(rings) -> None:
    manifest = manifest_of(rings)
    found, shown = release_of(rings, manifest), project_of(rings, manifest)
    said = require_covered(found, manifest, {1, 2})
    require_signed(shown, manifest, rings["a"], own="a")
    require_approved(found, shown, manifest, rings["a"], own="a")
    require_shown(said, b"", b"{}")


@pytest.mark.parametrize(
    "changes",
    [
        {"release": "9" * 32},
        {"project": "q"},
        {"run": "9" * 32},
        {"fingerprint": "9" * 64},
        {"epoch": 3},
        {"threshold": 0.59},
        {"uploads": {"a": "3" * 64}},
        {"uploads": {"a": "3" * 64, "b": "4" * 64, "z": "5" * 64}},
    ],
    ids=str,
)
def test_a_statement_of_anything_else_is_refused(rings, changes: dict[str, Any]) -> None:
    manifest = manifest_of(rings)
    with pytest.raises(AgreementError):
        require_covered(release_of(rings, manifest, changes=changes), manifest, {1, 2})


def test_a_threshold_other_than_the_one_shown_is_refused(rings) -> None:
    manifest = manifest_of(rings)
    found = release_of(rings, manifest)
    found.threshold = 0.9
    with pytest.raises(AgreementError):
        require_covered(found, manifest, {2})


Spoil = Callable[[release_pb2.Release], None]


def _one_only(found: release_pb2.Release) -> None:
    del found.confirmations[1]


def _twice_the_same(found: release_pb2.Release) -> None:
    found.confirmations[1].CopyFrom(found.confirmations[0])


def _unknown(found: release_pb2.Release) -> None:
    found.confirmations[1].steward = "eve"


def _swapped(found: release_pb2.Release) -> None:
    found.confirmations[1].signature = found.confirmations[0].signature


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (_one_only, AgreementError),
        (_twice_the_same, AgreementError),
        (_unknown, AgreementError),
        (_swapped, SignatureError),
    ],
)
def test_two_different_stewards_of_the_manifest_must_have_signed(
    rings, spoil: Spoil, error: type[LinkageError]
) -> None:
    manifest = manifest_of(rings)
    found = release_of(rings, manifest)
    spoil(found)
    with pytest.raises(error):
        require_covered(found, manifest, {2})
    alone = manifest_of(rings, two_stewards=False)
    require_covered(release_of(rings, alone), alone, {2})


def test_approvals_are_checked_whatever_the_state_says(rings) -> None:
    manifest = manifest_of(rings)
    found, shown = release_of(rings, manifest), project_of(rings, manifest)
    found.state = release_pb2.RELEASE_STATE_APPROVED
    found.approvals[1].signature = found.approvals[0].signature
    with pytest.raises(SignatureError, match="'b' on the release"):
        require_approved(found, shown, manifest, rings["a"], own="a")
    del found.approvals[1]
    with pytest.raises(NotReadyError, match="not approved by b"):
        require_approved(found, shown, manifest, rings["a"], own="a")


def test_signatures_on_the_manifest_are_checked_under_compared_keys(rings, tmp_path: Path) -> None:
    manifest = manifest_of(rings)
    shown = project_of(rings, manifest)
    with pytest.raises(UntrustedKeyError):
        require_signed(shown, manifest, rings["b"], own="b")
    shown.signatures[1].signature = shown.signatures[0].signature
    with pytest.raises(SignatureError, match="'b' on the manifest"):
        require_signed(shown, manifest, rings["a"], own="a")
    forger = Keyring.create(tmp_path / "forger")
    shown.parties[1].signing_key = forger.signing_public
    with pytest.raises(UntrustedKeyError):
        require_signed(shown, manifest, rings["a"], own="a")
    del shown.signatures[1]
    with pytest.raises(NotAgreedError, match="not signed by b"):
        require_signed(shown, manifest, rings["a"], own="a")


def test_a_report_or_summary_other_than_the_one_bound_is_refused(rings) -> None:
    manifest = manifest_of(rings)
    said = require_covered(release_of(rings, manifest), manifest, {2})
    for report, summary in ((b"x", b"{}"), (b"", b""), (b"", b"{ }")):
        with pytest.raises(AgreementError):
            require_shown(said, report, summary)
