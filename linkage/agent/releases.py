"""A release as this partner sees it: held against what it signed and sent, then approved.

    release = CoveredRelease.find(contact, None, approved=False)
    release.require_own_upload()
    release.keep_report()
    release.approve()

What the hub says of a release is believed only as far as its statement is covered by the manifest
that this partner signed, and carries the others' signatures.
"""

from __future__ import annotations

from dataclasses import dataclass

from linkage import files
from linkage.agent.contact import Contact
from linkage.agreement.canonical import fingerprint
from linkage.agreement.safeguards import PartnerReport
from linkage.errors import AgreementError, NotReadyError
from linkage.release.overlap import require_enough_said
from linkage.rpc.covering import require_approved, require_covered, require_shown
from linkage.trust.identity import Role
from linkage.trust.signing import sign
from linkage.trust.statements import ReleaseStatement
from linkage.v1 import release_pb2, run_pb2
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub


@dataclass(frozen=True)
class CoveredRelease:
    """A release that what this partner signed covers.

    Attributes:
        found: the release as the hub shows it.
        said: its statement.
    """

    contact: Contact
    found: release_pb2.Release
    said: ReleaseStatement

    @classmethod
    def find(cls, contact: Contact, release: str | None, *, approved: bool) -> CoveredRelease:
        """A release of the project, if it is covered.

        Args:
            release: its id; None takes the newest.
            approved: only if the hub says that every partner has approved it.

        Raises:
            NotReadyError: none is proposed, or it is not approved.
            AgreementError: it is not covered.
        """
        found = _find(contact, release)
        if approved and found.state != release_pb2.RELEASE_STATE_APPROVED:
            raise NotReadyError("the release is not approved by every partner yet")
        manifest = contact.manifest
        seen = contact.kept.agreements.seen
        epochs = {one.epoch for one in seen if one.fingerprint == manifest.fingerprint}
        return cls(contact, found, require_covered(found, manifest, epochs))

    @property
    def id(self) -> str:
        return self.said.release

    def require_own_upload(self) -> None:
        """Raises AgreementError unless the release stands on what this agent sent last."""
        receipt = self.contact.kept.encodings(self.said.epoch).receipt
        if receipt is None or self.said.uploads[self.contact.name] != receipt.header_fingerprint:
            raise AgreementError(
                "the release does not stand on the encodings that this agent sent last",
                remedy="Nothing was approved; ask the steward for a run over the present ones",
            )

    def keep_report(self) -> None:
        """Fetch the quality report that the release was decided on, and keep what is shown of it.

        Raises:
            AgreementError: another is shown, or it says too little of what the files share.
        """
        contact, manifest = self.contact, self.contact.manifest
        seen = contact.connection.call(
            RunServiceStub(contact.connection.channel).GetQualityReport,
            run_pb2.GetQualityReportRequest(run=self.found.run, release=self.id),
        )
        require_shown(self.said, seen.report, seen.summary)
        if manifest.safeguards.partner_report is not PartnerReport.NONE:
            require_enough_said(seen.summary, manifest)
        files.write_atomic(contact.kept.quality(self.id), seen.report or seen.summary)

    def approve(self) -> release_pb2.Release:
        """Sign its statement, and see that the hub's log says so.

        Raises:
            LogInconsistentError: it does not.
        """
        contact, statement = self.contact, self.found.statement
        signature = sign(contact.keyring.signing_key, statement)
        answer = contact.connection.call(
            ReleaseServiceStub(contact.connection.channel).ApproveRelease,
            release_pb2.ApproveReleaseRequest(release=self.id, signature=signature),
        )
        contact.witness.require_receipt(
            contact.connection,
            answer.log,
            "release.approved",
            name=f"release-{self.id}",
            project=contact.project,
            party=f"{Role.PARTNER}/{contact.name}",
            subject=self.id,
            statement=fingerprint(statement),
            signature=fingerprint(signature),
        )
        return answer.release

    def require_approved(self) -> None:
        """Every partner's approval; see `covering.require_approved`."""
        contact = self.contact
        require_approved(
            self.found, contact.shown, contact.manifest, contact.keyring, own=contact.name
        )


def _find(contact: Contact, release: str | None) -> release_pb2.Release:
    stub = ReleaseServiceStub(contact.connection.channel)
    request = release_pb2.ListReleasesRequest(project=contact.project)
    listed = contact.connection.call(stub.ListReleases, request).releases
    found = [one for one in listed if release in (None, one.release)]
    if not found:
        raise NotReadyError(f"no release of project {contact.project!r} is proposed")
    return max(found, key=lambda one: one.created_at.ToNanoseconds())
