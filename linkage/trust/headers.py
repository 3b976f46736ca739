"""Signed headers of uploads: what exactly a partner says it is sending.

- A header is canonical JSON; the signature is over its bytes, so nothing can be reinterpreted.
- It binds project, manifest fingerprint, epoch, partner, size and digest, and expires; the nonce
  makes two headers of the same content distinct.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from linkage.agreement.audits import AuditSummary
from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Name, Strict
from linkage.answers import answer_bytes
from linkage.encodings import EncodingLayout
from linkage.errors import InvalidRequestError

MAX_HEADER_BYTES = 16_384
LIFETIME = timedelta(days=2)

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Size = Annotated[int, Field(ge=0, le=1 << 44)]


class _Header(Strict):
    project: Name
    fingerprint: Digest
    epoch: Annotated[int, Field(ge=0, le=1_000_000)]
    partner: Name
    digest: Digest
    size: Size
    nonce: Identifier
    expires: Annotated[AwareDatetime, Field(strict=False)]

    @property
    def canonical(self) -> bytes:
        return canonical(self.model_dump(mode="json"))


class EncodingsHeader(_Header):
    """Announces an encoding matrix.

    Attributes:
        round: which of the partner's encodings in this epoch they are, counted from 0.
        skipped: records that the partner left out because they had errors.
        audit: what the partner's audit of their risk found, by its own word.
        key_check: value that equals every other partner's when all hold the same project secret.
    """

    kind: Literal["encodings"] = "encodings"
    scheme: Annotated[str, StringConstraints(max_length=32)]
    bits: Annotated[int, Field(ge=64, le=4096, multiple_of=64)]
    match_keys: Annotated[tuple[Name, ...], Field(min_length=1, max_length=16, strict=False)]
    rows: Annotated[int, Field(ge=1, le=100_000_000)]
    strata: Annotated[tuple[Name, ...], Field(max_length=4, strict=False)] = ()
    round: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    skipped: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    audit: AuditSummary
    key_check: Identifier

    @property
    def layout(self) -> EncodingLayout:
        return EncodingLayout(
            self.scheme, self.bits, self.match_keys, self.rows, self.fingerprint, self.strata
        )


class AnswersHeader(_Header):
    """Announces the answers to one list of a pair-keyed comparison round.

    Attributes:
        other: the partner compared with; the sender itself for pairs within its file.
        requests: SHA-256 of the list that is answered.
        entries: of that list.
    """

    kind: Literal["answers"] = "answers"
    run: Identifier
    other: Name
    requests: Digest
    entries: Annotated[int, Field(ge=1, le=1 << 36)]
    fields: Annotated[int, Field(ge=1, le=40)]

    @model_validator(mode="after")
    def _size_fits(self) -> AnswersHeader:
        if self.size != self.entries * answer_bytes(self.fields):
            raise ValueError("the size announced is not the one its entries need")
        return self


class ParcelHeader(_Header):
    """Announces a parcel of sealed content."""

    kind: Literal["parcel"] = "parcel"
    release: Identifier
    recipient: Name


Header = EncodingsHeader | AnswersHeader | ParcelHeader
_ADAPTER: TypeAdapter[Header] = TypeAdapter(Annotated[Header, Field(discriminator="kind")])


def parse_header(data: bytes) -> Header:
    """Read a header.

    Raises:
        InvalidRequestError: too large, not of any kind, or not canonical.
    """
    if len(data) > MAX_HEADER_BYTES:
        raise InvalidRequestError(f"the upload's header is larger than {MAX_HEADER_BYTES} bytes")
    try:
        header = _ADAPTER.validate_json(data)
    except ValidationError as error:
        places = ", ".join(
            sorted({".".join(map(str, item["loc"])) or "header" for item in error.errors()})
        )
        raise InvalidRequestError(f"the upload's header is invalid at: {places}") from None
    if header.canonical != data:
        raise InvalidRequestError("the upload's header is not canonical JSON")
    return header


def new_nonce() -> str:
    return secrets.token_hex(16)


def expiry() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + LIFETIME
