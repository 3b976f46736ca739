"""The project secret, out of one contribution of every partner.

    contribution = new_contribution()
    promised = commit(place, contribution)          # everybody's are seen before any is revealed
    require_committed(promised, contribution)       # what was revealed is what was promised
    secret = derive(promises, contributions)        # in the manifest's order

- A commitment is SHA-256 over what it is for and 32 random bytes: it hides them, for nobody can try
  them all, and binds whoever made it, for nobody finds two that agree.
- Nobody chooses its bytes knowing another's: the secret is random while one partner's bytes are.
- The secret depends on every commitment that was relied upon. Partners who were shown different
  ones hold different secrets, which their key-check values show before anything is matched.

Bytes in, bytes out. Known answers: tests/vectors/trust_v1.json.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from linkage.agreement.canonical import canonical, fingerprint
from linkage.errors import ContributionError, TrustError
from linkage.trust.statements import Commitment, SecretPlace

CONTRIBUTION_BYTES = 32
SECRET_BYTES = 32


def new_contribution() -> bytes:
    return secrets.token_bytes(CONTRIBUTION_BYTES)


def commit(place: SecretPlace, partner: str, contribution: bytes) -> Commitment:
    """A partner's promise to reveal exactly these bytes, for this project, manifest and epoch.

    Raises:
        TrustError: the contribution has the wrong size.
    """
    if len(contribution) != CONTRIBUTION_BYTES:
        raise TrustError(f"a contribution has {CONTRIBUTION_BYTES} bytes")
    about = canonical({**place.model_dump(), "partner": partner})
    digest = hashlib.sha256(b"linkage/v1 contribution\0" + about + contribution).hexdigest()
    return Commitment(**place.model_dump(), partner=partner, commitment=digest)


def require_committed(promised: Commitment, contribution: bytes) -> None:
    """Raises ContributionError unless a partner revealed what it had committed to."""
    place = SecretPlace(
        project=promised.project, fingerprint=promised.fingerprint, epoch=promised.epoch
    )
    if len(contribution) != CONTRIBUTION_BYTES or not secrets.compare_digest(
        commit(place, promised.partner, contribution).commitment, promised.commitment
    ):
        raise ContributionError(
            f"{promised.partner!r} revealed another contribution to the project secret than the"
            " one it had committed to",
            remedy=f"Ask {promised.partner!r} what happened; then the steward begins a new epoch:"
            f" linkage hub rotate {promised.project}",
        )


def list_digest(commitments: Sequence[Commitment]) -> str:
    """SHA-256 over everybody's commitments in the manifest's order, 64 hex digits.

    Partners who compare it know that they were shown the same ones.
    """
    said = [{"commitment": one.commitment, "partner": one.partner} for one in commitments]
    return fingerprint(b"linkage/v1 commitments\0" + canonical(said))


def derive(commitments: Sequence[Commitment], contributions: Mapping[str, bytes]) -> bytes:
    """The project secret: HKDF-SHA256 (RFC 5869) over all contributions.

    Args:
        commitments: every partner's, in the manifest's order, of one project, manifest and epoch.
        contributions: by partner.

    Raises:
        ContributionError: one is not what was committed to.
        TrustError: one is missing, or the commitments are not of one epoch.
    """
    places = {(one.project, one.fingerprint, one.epoch) for one in commitments}
    names = [one.partner for one in commitments]
    if len(places) != 1 or len(set(names)) != len(names) or set(names) != set(contributions):
        raise TrustError("the project secret needs one contribution of every partner")
    for one in commitments:
        require_committed(one, contributions[one.partner])
    ((project, manifest, epoch),) = places
    info = b"linkage/v1 project secret\0" + canonical(
        {
            "commitments": list_digest(commitments),
            "epoch": epoch,
            "fingerprint": manifest,
            "project": project,
        }
    )
    material = b"".join(contributions[name] for name in names)
    return HKDF(hashes.SHA256(), SECRET_BYTES, salt=None, info=info).derive(material)
