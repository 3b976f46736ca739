"""A partner's encodings on their way to the hub: checked, encoded, announced, sent.

    offer = Offer(records, update=True)
    checked = offer.check(contact, progress)
    submission = Submission(contact, offer, checked, secret)
    if not submission.made_before:
        submission.encode(audit, threads=2, progress=progress)
    submitted = submission.send(progress)

- What an earlier process did of it is found again, not done twice.
- Encodings that are to take the place of others are made beside them. What the hub has is not
  written over before the receipt for the new ones is here: it says which row is which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from linkage import files
from linkage.agent.checking import Checked, Progress
from linkage.agent.contact import Contact
from linkage.agent.outbox import Outbox
from linkage.agent.records import EncodedFile, Records, can_resume, checked_before, forget_work
from linkage.agent.sending import require_fit
from linkage.agreement.audits import AuditSummary
from linkage.agreement.canonical import canonical
from linkage.encoding import Encoder
from linkage.errors import AlreadyExistsError
from linkage.trust.headers import EncodingsHeader, expiry, new_nonce
from linkage.trust.keyring import key_check
from linkage.v1 import upload_pb2


@dataclass(frozen=True)
class Submitted:
    """What was submitted, and the hub's receipt for it.

    Attributes:
        audit: what the audit found, as the signed header says it.
    """

    checked: Checked
    audit: AuditSummary
    size: int
    digest: str
    upload: str
    repeated: bool


@dataclass(frozen=True)
class Offer:
    """What a partner wants sent, and how; see `Agent.submit`."""

    records: Records
    replace: bool = False
    update: bool = False
    skip_invalid: bool = False

    def asked(self, contact: Contact) -> dict[str, Any]:
        """All that a check of the files depends on, as JSON values."""
        return {
            **self.records.digests(),
            "fingerprint": contact.manifest.fingerprint,
            "skip_invalid": self.skip_invalid,
        }

    def check(self, contact: Contact, progress: Progress) -> Checked:
        """What a check of the files finds, or found before a process was killed.

        Raises:
            SourceError: see `Records.check`.
        """
        asked, kept = self.asked(contact), contact.kept
        outboxes = kept.encodings(contact.epoch), self.next_encodings(contact)
        before = (checked_before(outbox.directory, asked) for outbox in outboxes)
        found = next(filter(None, before), None)
        if found is None:
            found = self.records.check(progress, skip_invalid=self.skip_invalid)
        return found

    def next_encodings(self, contact: Contact) -> Outbox:
        """Where they are made if they are to take the place of others."""
        return contact.kept.next_encodings(contact.epoch, update=self.update)


class Submission:
    """Checked files, and what becomes of them in the present epoch.

    Args:
        secret: the project secret.

    Attributes:
        made_before: whether the same was announced before, and is only to be sent.

    Raises:
        AlreadyExistsError: other files were sent, and nothing is to take their place.
    """

    def __init__(self, contact: Contact, offer: Offer, checked: Checked, secret: bytes) -> None:
        manifest, epoch = contact.manifest, contact.epoch
        self._contact = contact
        self._offer = offer
        self._checked = checked
        self._secret = secret
        self._key_check = key_check(secret, contact.project, manifest.fingerprint, epoch)
        self._made_from = {**offer.records.digests(), "key_check": self._key_check}
        self._sent = contact.kept.encodings(epoch)
        self._known = contact.name in contact.shown.uploaded
        anew = self._known and (offer.replace or offer.update)
        if self._known and not anew and self._sent.made_from != self._made_from:
            # What is here says which row is which at the hub: it must not be written over.
            raise AlreadyExistsError(
                f"{contact.name!r} has sent its encodings already, from another file",
                remedy="Go on with the file that was sent, or send this one with --replace, or as"
                " the next round with --update once a run has used the other",
            )
        self._outbox = offer.next_encodings(contact) if anew else self._sent
        # The round before, which is held against the next one.
        self._last = self._sent if anew and offer.update else None
        self._round = self._sent.round if self._last is None else self._last.round + 1
        self.made_before = self._outbox.made_from == self._made_from and (
            self._known or self._outbox.live
        )

    @property
    def arrived(self) -> Submitted | None:
        """What the hub has, if it was made from the same files under the same secret."""
        if not self._known or self._sent.made_from != self._made_from:
            return None
        receipt = self._sent.receipt
        return None if receipt is None else self._submitted(receipt, repeated=True)

    def encode(self, audit: AuditSummary, *, threads: int, progress: Progress) -> None:
        """Make the encodings, or go on with them, and announce them once they are fit to be sent.

        Args:
            audit: of these files; stands in the signed header.

        Raises:
            SourceError: a file changed since it was checked.
            AgreementError, LimitError: the manifest's bounds do not cover them; see `require_fit`.
        """
        contact, outbox = self._contact, self._outbox
        manifest, epoch = contact.manifest, contact.epoch
        asked = self._offer.asked(contact)
        asked |= {"key_check": self._key_check, "epoch": epoch, "round": self._round}
        if not can_resume(outbox.directory, asked):
            outbox.clear()
        former = self._last or contact.kept.earlier_encodings(epoch)
        records = self._offer.records
        with Encoder(manifest, self._secret, epoch=epoch) as encoder:
            encoded = records.encode(
                self._checked,
                records.filters or encoder,
                outbox.payload,
                threads=threads,
                progress=progress,
                made_from=asked,
                former=None if former is None else former.directory,
            )
        self._keep_skipped()
        require_fit(manifest, contact.name, outbox.payload, encoded.layout, self._last)
        outbox.announce(self._header(encoded, audit), self._made_from)

    def send(self, progress: Progress) -> Submitted:
        """Send what was announced, and forget what only the way there needed.

        Raises:
            HubUnavailableError, LogInconsistentError: see `Outbox.send`.
        """
        contact, outbox = self._contact, self._outbox
        forget_work(outbox.directory)
        receipt = contact.send(outbox, "submit", progress)
        if outbox is not self._sent:
            outbox.take_the_place_of(self._sent)
        contact.keyring.forget_epochs(contact.project, before=contact.epoch)
        return self._submitted(receipt, repeated=self.made_before)

    def _header(self, encoded: EncodedFile, audit: AuditSummary) -> EncodingsHeader:
        contact, layout = self._contact, encoded.layout
        return EncodingsHeader(
            project=contact.project,
            fingerprint=contact.manifest.fingerprint,
            epoch=contact.epoch,
            partner=contact.name,
            digest=encoded.digest,
            size=layout.size,
            nonce=new_nonce(),
            expires=expiry(),
            scheme=layout.scheme,
            bits=layout.bits,
            match_keys=layout.match_keys,
            rows=layout.rows,
            strata=layout.strata,
            round=self._round,
            skipped=len(self._checked.skipped),
            audit=audit,
            key_check=self._key_check,
        )

    def _keep_skipped(self) -> None:
        """Say beside the receipt how many records were left out, and why; no row, no value."""
        kept = {
            "rows": self._checked.sent,
            "skipped": len(self._checked.skipped),
            "reasons": [vars(reason) for reason in self._checked.reasons],
        }
        files.write_atomic(self._outbox.directory / "skipped.json", canonical(kept))

    def _submitted(self, receipt: upload_pb2.Receipt, *, repeated: bool) -> Submitted:
        header = self._sent.header
        assert isinstance(header, EncodingsHeader)  # noqa: S101 - narrowing for the type checker
        return Submitted(
            self._checked, header.audit, receipt.size, receipt.digest, receipt.upload, repeated
        )
