"""Every error that `linkage` raises on purpose.

    LinkageError
    ├── InputError                    what a person gave us is wrong
    │   ├── SourceError               a partner's file: names file, row, field
    │   ├── ManifestError             a manifest: names the setting
    │   └── InvalidRequestError       a message from outside
    ├── AgreementError                not covered by what the partners signed
    │   ├── FingerprintMismatchError
    │   ├── NotAgreedError
    │   ├── DisclosureError           what is to be published would tell of a few people
    │   └── RiskError                 encodings that fail the audit which the manifest asks for
    ├── TrustError                    keys, certificates, signatures, secrets
    │   ├── UnauthenticatedError
    │   ├── NotAuthorisedError
    │   ├── EnrolmentError
    │   ├── UntrustedKeyError
    │   ├── SignatureError
    │   ├── SealError
    │   ├── KeyCheckMismatchError
    │   ├── ContributionError         a partner's part of the project secret is not the promised one
    │   ├── EpochError                the hub's epochs go back, skip, or were rewritten
    │   ├── ReplayError               a signed header that was used or replaced before
    │   ├── QuotaError                the hub asks about rows more or less often than agreed
    │   └── LogInconsistentError      the hub's log forks, shrinks, or is not signed by its key
    ├── StateError                    right request, wrong moment
    │   ├── NotFoundError
    │   ├── AlreadyExistsError
    │   ├── NotReadyError
    │   ├── DigestMismatchError
    │   ├── TooLateError              the moment for it is over; asking again cannot succeed
    │   └── CancelledError
    ├── LimitError                    over a size or rate budget
    ├── HubUnavailableError           the hub cannot be reached
    └── InternalError                 our fault; the details are in the hub's log

- `reason` is stable: scripts and the wire rely on it.
- A message is written for the person who reads it and is safe to show: it holds no identifier,
  no secret, no cell of a file.
- `exit_code` is what the command line returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


class LinkageError(Exception):
    """Base of the tree.

    Args:
        message: what is wrong, without any value from a file or any secret.
        remedy: what the reader can do about it.
    """

    reason: ClassVar[str] = "LINKAGE_ERROR"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


class InputError(LinkageError):
    reason = "INVALID_INPUT"
    exit_code = 2


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with one place of a file.

    Attributes:
        row: 1-based line of data (the header is not counted); 0 means the whole file.
        field: column or field name, or "" for the whole row.
        message: what is wrong there, never the value itself.
        file: where it is another file than the error is about.
    """

    row: int
    field: str
    message: str
    file: str = ""


class SourceError(InputError):
    """A partner's file cannot be used.

    Args:
        file: the file's name as the user gave it.
        problems: the places; at least one.
        total: how many there are in all, where `problems` was cut short.
    """

    reason = "INVALID_SOURCE"
    shown: ClassVar[int] = 10

    def __init__(
        self,
        file: str,
        problems: Iterable[Problem],
        *,
        total: int | None = None,
        remedy: str | None = None,
    ) -> None:
        self.file = file
        self.problems = tuple(problems)
        self.total = len(self.problems) if total is None else total
        super().__init__(self._describe(), remedy=remedy)

    def _describe(self) -> str:
        lines = [
            ", ".join(
                part
                for part in (
                    p.file or self.file,
                    f"row {p.row}" if p.row else "",
                    f"field {p.field!r}" if p.field else "",
                )
                if part
            )
            + f": {p.message}"
            for p in self.problems[: self.shown]
        ]
        if self.total > len(lines):
            lines.append(f"and {self.total - len(lines)} more problems in {self.file}")
        return "\n".join(lines)


class ManifestError(InputError):
    reason = "INVALID_MANIFEST"


class InvalidRequestError(InputError):
    reason = "INVALID_REQUEST"


class AgreementError(LinkageError):
    reason = "NOT_COVERED_BY_AGREEMENT"
    exit_code = 3


class FingerprintMismatchError(AgreementError):
    reason = "MANIFEST_FINGERPRINT_MISMATCH"


class NotAgreedError(AgreementError):
    reason = "MANIFEST_NOT_SIGNED_BY_ALL"


class DisclosureError(AgreementError):
    """Something that is to be published would tell of a few people."""

    reason = "DISCLOSURE_REFUSED"


class RiskError(AgreementError):
    """Encodings fail the risk audit that the manifest asks for, and no exception covers them."""

    reason = "RISK_ABOVE_POLICY"
    exit_code = 9


class TrustError(LinkageError):
    reason = "TRUST"
    exit_code = 4


class UnauthenticatedError(TrustError):
    reason = "UNAUTHENTICATED"


class NotAuthorisedError(TrustError):
    reason = "NOT_AUTHORISED"


class EnrolmentError(TrustError):
    reason = "ENROLMENT_REFUSED"


class UntrustedKeyError(TrustError):
    """A party's keys are not those that a person compared.

    Args:
        party, shown: whose keys, and the fingerprint of those that the hub shows in their place;
            empty where none were compared yet.
    """

    reason = "UNTRUSTED_KEY"

    def __init__(
        self, message: str, *, remedy: str | None = None, party: str = "", shown: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.party = party
        self.shown = shown


class SignatureError(TrustError):
    reason = "BAD_SIGNATURE"


class SealError(TrustError):
    reason = "CANNOT_OPEN_SEAL"


class KeyCheckMismatchError(TrustError):
    reason = "KEY_CHECK_MISMATCH"


class ContributionError(TrustError):
    reason = "CONTRIBUTION_REFUSED"


class EpochError(TrustError):
    reason = "EPOCH_REFUSED"


class ReplayError(TrustError):
    reason = "REPLAYED"


class QuotaError(TrustError):
    reason = "QUOTA_BROKEN"


class LogInconsistentError(TrustError):
    """The hub's log is not the one that was seen before, or by others; evidence is kept."""

    reason = "LOG_INCONSISTENT"


class StateError(LinkageError):
    reason = "WRONG_STATE"
    exit_code = 5


class NotFoundError(StateError):
    reason = "NOT_FOUND"


class AlreadyExistsError(StateError):
    reason = "ALREADY_EXISTS"


class NotReadyError(StateError):
    """Something another party has yet to do; asking again later may succeed."""

    reason = "NOT_READY"


class DigestMismatchError(StateError):
    reason = "DIGEST_MISMATCH"


class TooLateError(StateError):
    """The moment for it is over; asking again cannot succeed."""

    reason = "TOO_LATE"


class CancelledError(StateError):
    reason = "CANCELLED"


class LimitError(LinkageError):
    reason = "LIMIT_EXCEEDED"
    exit_code = 6


class HubUnavailableError(LinkageError):
    reason = "HUB_UNAVAILABLE"
    exit_code = 7


class InternalError(LinkageError):
    reason = "INTERNAL"
    exit_code = 70


def by_reason() -> dict[str, type[LinkageError]]:
    """Every class of the tree under its stable reason."""
    found: dict[str, type[LinkageError]] = {}
    waiting: list[type[LinkageError]] = [LinkageError]
    while waiting:
        cls = waiting.pop()
        found[cls.reason] = cls
        waiting.extend(cls.__subclasses__())
    return found
