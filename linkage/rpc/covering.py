"""Is a release one that the signed manifest covers? Asked by agents and by the assembler, each for
itself: what the hub says of a release's state is not believed.

The hub does not import this module: it leads to the keyring.
"""

from __future__ import annotations

from collections.abc import Collection

from linkage.agreement import Manifest
from linkage.agreement.canonical import fingerprint
from linkage.errors import AgreementError, NotAgreedError, NotReadyError
from linkage.rpc.member import trusted_party
from linkage.trust.keyring import Keyring
from linkage.trust.signing import verify
from linkage.trust.statements import (
    ReleaseStatement,
    confirmation_statement,
    manifest_statement,
)
from linkage.v1 import project_pb2, release_pb2

STEWARDS = 2


def require_covered(
    found: release_pb2.Release, manifest: Manifest, epochs: Collection[int]
) -> ReleaseStatement:
    """The statement of a release, if it speaks of what was agreed and of nothing else.

    Args:
        epochs: those in which the manifest was in force, as the caller has seen them.

    Raises:
        AgreementError: it belongs elsewhere, links below the agreed threshold, or stands on other
            partners' encodings; or the stewards that must confirm it have not.
    """
    said = ReleaseStatement.parse(found.statement)
    claimed = (said.release, said.project, said.run, said.fingerprint, said.threshold)
    shown = (found.release, manifest.project, found.run, manifest.fingerprint, found.threshold)
    if claimed != shown or said.epoch not in epochs:
        raise AgreementError(
            "the release's statement does not match what the hub shows, or belongs to another"
            " version of the manifest"
        )
    floor = manifest.matching.threshold
    if floor is not None and said.threshold < floor:
        raise AgreementError(f"the manifest allows no threshold below {floor}")
    if set(said.uploads) != set(manifest.partner_names):
        raise AgreementError(
            "the release does not stand on the encodings of the manifest's partners"
        )
    require_confirmed(found, manifest)
    return said


def require_confirmed(found: release_pb2.Release, manifest: Manifest) -> None:
    """Raises AgreementError unless as many stewards as the manifest asks for signed the release.

    Their keys are those in the manifest itself: whoever signed it has agreed to them.
    """
    if not manifest.two_stewards:
        return
    keys = {one.name: bytes.fromhex(one.key) for one in manifest.stewards}
    confirmed = set()
    for one in found.confirmations:
        if one.steward in keys:
            verify(
                keys[one.steward],
                one.signature,
                confirmation_statement(found.statement, one.steward),
                what="the release",
                by=one.steward,
            )
            confirmed.add(one.steward)
    if len(confirmed) < STEWARDS:
        raise AgreementError(
            "the manifest asks for two stewards, and the release is confirmed by"
            f" {', '.join(sorted(confirmed)) or 'none'}",
            remedy="Another steward must run: linkage hub confirm",
        )


def require_signed(
    shown: project_pb2.Project, manifest: Manifest, keyring: Keyring, *, own: str
) -> None:
    """Every partner's signature on the manifest, under the key that was compared.

    Raises:
        NotAgreedError: a partner has not signed.
        SignatureError, UntrustedKeyError: a signature is not its partner's.
    """
    signatures = {one.partner: one.signature for one in shown.signatures}
    for name in manifest.partner_names:
        if name not in signatures:
            raise NotAgreedError(f"the manifest is not signed by {name}")
        verify(
            _key(shown, keyring, name, own),
            signatures[name],
            manifest_statement(manifest.project, manifest.fingerprint, name),
            what="the manifest",
            by=name,
        )


def require_approved(
    found: release_pb2.Release,
    shown: project_pb2.Project,
    manifest: Manifest,
    keyring: Keyring,
    *,
    own: str,
) -> None:
    """Every partner's approval, under the key that was compared.

    Args:
        own: the caller's name; its key is in its own keyring.

    Raises:
        NotReadyError: a partner has not approved.
        SignatureError, UntrustedKeyError: an approval is not its partner's.
    """
    approvals = {one.partner: one.signature for one in found.approvals}
    missing = [name for name in manifest.partner_names if name not in approvals]
    if missing:
        raise NotReadyError(
            f"the release is not approved by {', '.join(missing)} yet",
            remedy="Each of them must run: linkage agent approve",
        )
    for name in manifest.partner_names:
        key = _key(shown, keyring, name, own)
        verify(key, approvals[name], found.statement, what="the release", by=name)


def _key(shown: project_pb2.Project, keyring: Keyring, name: str, own: str) -> bytes:
    if name == own:
        return keyring.signing_public
    return trusted_party(keyring, shown, name).signing_key


def require_shown(said: ReleaseStatement, report: bytes, summary: bytes) -> None:
    """Raises AgreementError unless report and summary are those that the statement binds.

    A report may be withheld; a summary is always there.
    """
    if (report and fingerprint(report) != said.report) or fingerprint(summary) != said.summary:
        raise AgreementError("the quality report shown is not the one to be approved")
