"""The two-steward rule: a release that the manifest says needs two different stewards.

- A confirmation is a steward's Ed25519 signature over the release's statement, under a key that
  stands in the manifest: partners check it themselves, and need not believe the hub.
- The steward who proposes confirms by it too; no steward counts twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from linkage.agreement import Manifest
from linkage.agreement.canonical import fingerprint
from linkage.errors import AgreementError, NotReadyError
from linkage.hub.log import record
from linkage.store import tables
from linkage.store.sql import Row, find, find_all, insert, now
from linkage.trust.identity import PartyId
from linkage.trust.signing import verify
from linkage.trust.statements import confirmation_statement

STEWARDS = 2


def confirmations_of(connection: sa.Connection, release: str) -> Sequence[Row]:
    return find_all(connection, tables.confirmation, order="steward", release=release)


def is_confirmed(manifest: Manifest, confirmations: Sequence[Row]) -> bool:
    """Whether as many stewards as the manifest asks for have confirmed."""
    known = {one.name for one in manifest.stewards}
    confirmed = {row["steward"] for row in confirmations} & known
    return not manifest.two_stewards or len(confirmed) >= STEWARDS


def require_confirmed(manifest: Manifest, confirmations: Sequence[Row]) -> None:
    """Raises NotReadyError unless partners may be asked to approve."""
    if not is_confirmed(manifest, confirmations):
        raise NotReadyError(
            "the release is not confirmed by two stewards yet",
            remedy="Another steward must run: linkage hub confirm",
        )


def confirm(
    connection: sa.Connection, caller: PartyId, manifest: Manifest, release: Row, signature: bytes
) -> None:
    """Record a steward's confirmation; repeating it changes nothing.

    Raises:
        AgreementError: the manifest does not name this steward.
        SignatureError: the signature does not hold under the manifest's key.
    """
    key = next((one.key for one in manifest.stewards if one.name == caller.name), None)
    if key is None:
        raise AgreementError(
            f"the manifest does not name the steward {caller.name!r} among those who confirm",
            remedy="Its stewards setting says who may",
        )
    verify(
        bytes.fromhex(key),
        signature,
        confirmation_statement(release["statement"], caller.name),
        what="the release",
        by=caller.name,
    )
    place = {"release": release["id"], "steward": caller.name}
    if find(connection, tables.confirmation, **place) is None:
        insert(connection, tables.confirmation, **place, signature=signature, confirmed_at=now())
        record(
            connection,
            "release.confirmed",
            project=release["project"],
            party=caller,
            subject=release["id"],
            statement=fingerprint(release["statement"]),
            signature=fingerprint(signature),
        )
