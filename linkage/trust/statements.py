"""What parties sign, beside upload headers: one canonical statement per kind of act."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Name, Strict
from linkage.errors import InvalidRequestError
from linkage.trust.checkpoint import MAX_NOTE_BYTES
from linkage.trust.headers import Digest, Identifier
from linkage.trust.signing import statement


def enrolment_statement(token: bytes, request: bytes, signing: bytes, sealing: bytes) -> bytes:
    """A new party's proof that it holds its signing key."""
    return statement(
        "enrolment",
        token=_digest(token),
        request=_digest(request),
        signing_key=_digest(signing),
        sealing_key=_digest(sealing),
    )


def manifest_statement(project: str, fingerprint: str, partner: str) -> bytes:
    """A partner's agreement to a manifest."""
    return statement("manifest", project=project, fingerprint=fingerprint, partner=partner)


Epoch = Annotated[int, Field(ge=0, le=1_000_000)]


class SecretPlace(Strict):
    """Which project secret is meant: of which project, agreement and epoch."""

    project: Name
    fingerprint: Digest
    epoch: Epoch


class Commitment(SecretPlace):
    """A partner's promise about its contribution to the project secret; see `contributions`."""

    partner: Name
    commitment: Digest

    @property
    def statement(self) -> bytes:
        """What the partner signs."""
        return statement("commitment", **self.model_dump())


class EnvelopeAddress(SecretPlace):
    """Where an envelope comes from and goes to, and under which agreement."""

    sender: Name
    recipient: Name

    def statement(self, sealed: bytes) -> bytes:
        """What the sender signs."""
        return statement("envelope", **self.model_dump(), digest=_digest(sealed))


class ReleaseStatement(Strict):
    """What a partner approves.

    Attributes:
        threshold: match probability from which links are released.
        report: SHA-256 of the quality report it was decided on.
        summary: SHA-256 of what partners see of it.
        uploads: SHA-256 of the signed header of each partner's encodings that the run stood on.
    """

    kind: Literal["release"] = "release"
    release: Identifier
    project: Name
    run: Identifier
    fingerprint: Digest
    epoch: Epoch
    threshold: Annotated[float, Field(ge=0.0, le=1.0)]
    report: Digest
    summary: Digest
    uploads: dict[Name, Digest]

    @property
    def canonical(self) -> bytes:
        return canonical(self.model_dump())

    @classmethod
    def parse(cls, data: bytes) -> ReleaseStatement:
        """Raises InvalidRequestError unless `data` is a canonical statement."""
        try:
            found = cls.model_validate_json(data)
        except ValidationError:
            raise InvalidRequestError("the release's statement is malformed") from None
        if found.canonical != data:
            raise InvalidRequestError("the release's statement is not canonical JSON")
        return found


def confirmation_statement(release: bytes, steward: str) -> bytes:
    """A steward's confirmation of a release, given by its own statement."""
    return statement("confirmation", release=_digest(release), steward=steward)


def sign_off_statement(
    fingerprint: str, release: str, recipient: str, extract: str, checker: str
) -> bytes:
    """A checker's word that an extract may leave.

    Args:
        fingerprint: of the manifest.
        extract: SHA-256 of the extract's list of checksums.
    """
    return statement(
        "sign-off",
        fingerprint=fingerprint,
        release=release,
        recipient=recipient,
        extract=extract,
        checker=checker,
    )


class HeadStatement(Strict):
    """The newest checkpoint of the hub's log that a party has verified.

    Attributes:
        time: when, seconds since the epoch.
        checkpoint: the signed note.
    """

    kind: Literal["log-head"] = "log-head"
    party: Name
    time: Annotated[int, Field(ge=0, le=1 << 52)]
    checkpoint: Annotated[str, Field(max_length=MAX_NOTE_BYTES)]

    @property
    def canonical(self) -> bytes:
        return canonical(self.model_dump())

    @classmethod
    def parse(cls, data: bytes) -> HeadStatement:
        """Raises InvalidRequestError unless `data` is a canonical statement."""
        try:
            found = cls.model_validate_json(data)
        except ValidationError:
            raise InvalidRequestError("the head's statement is malformed") from None
        if found.canonical != data:
            raise InvalidRequestError("the head's statement is not canonical JSON")
        return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
