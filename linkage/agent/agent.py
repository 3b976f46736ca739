"""A partner's part in the protocol, one method per act.

    agent = Agent(home)
    agent.sign(connection, manifest)
    agent.submit(connection, project, file)
    agent.approve(connection, project)
    agent.contribute(connection, project, file, content)

- What this agent signed, and the epochs it has seen, are kept and compared with what the hub shows
  at every act (`agreements`).
- Every act can be repeated: what was done is found again, not done twice.
- Identifiers, keys and content in clear stay in this process and this home.
- The encoder and the readers of files are imported where they are used: acts that need none of
  them, such as signing, start at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from linkage.agent.contact import Contact
from linkage.agent.exchange import Exchange, Standing
from linkage.agent.last import Last
from linkage.agent.projecthome import ProjectHome
from linkage.agent.releases import CoveredRelease
from linkage.agent.signing import require_ready, sign_manifest, version_of
from linkage.agreement import Manifest
from linkage.agreement.audits import AuditSummary
from linkage.errors import InputError
from linkage.rpc.channel import Connection
from linkage.rpc.party import Party
from linkage.trust.keyring import Keyring
from linkage.v1 import project_pb2, release_pb2

if TYPE_CHECKING:
    from linkage.agent.audited import Audits
    from linkage.agent.clks import ClkFile, Format
    from linkage.agent.parcel import Contributed
    from linkage.agent.records import Checked, Progress, Records
    from linkage.agent.rounds import Answered
    from linkage.agent.submission import Offer, Submitted


class Agent:
    """The agent of one partner.

    Args:
        home: its directory: keys, identity, and per project the signed manifest, the encodings
            and the row map.
        progress: told what is being done, how much is done, and how much there is (0: unknown).
        threads: for encoding and the audit; None uses every core, and one for linear algebra.
    """

    def __init__(
        self,
        home: Path,
        *,
        progress: Progress = lambda step, done, total: None,
        threads: int | None = None,
    ) -> None:
        self.home = home
        self.keyring = Keyring(home / "keys")
        self._progress = progress
        self._threads = threads or os.cpu_count() or 1
        self._audit_threads = threads
        self._checked: Last[Checked] = Last()
        self._clks: Last[ClkFile] = Last()

    def sign(
        self, connection: Connection, manifest: Manifest, *, despite_unanswered: bool = False
    ) -> project_pb2.Project:
        """Agree to a manifest that this partner has read, and commit to a part of its secret.

        Args:
            despite_unanswered: sign although questions are open that it must answer.

        Raises:
            FingerprintMismatchError: the hub shows another manifest for the project.
            ManifestError: this partner is not in it.
            NotAgreedError: it has expired, or does not say why it is legal, ethical, a good idea,
                and who decides.
            EpochError: a later version was in force already.
        """
        name = self._name
        require_ready(manifest, name, despite_unanswered=despite_unanswered)
        kept = self._kept(manifest.project)
        project = sign_manifest(connection, kept, self.keyring, manifest, name)
        epoch = version_of(project, manifest).epoch
        Exchange(connection, self.keyring, manifest, project, name, epoch=epoch).commit()
        return project

    def share(self, connection: Connection, project: str, *, again: bool = False) -> Standing:
        """Do this partner's part in making the project secret, as far as it can be done now.

        Args:
            again: also what was done before, as after this partner has changed its keys.

        Raises:
            NotReadyError: not all have signed.
            UntrustedKeyError: another partner's keys were never compared, or changed.
            ContributionError: a partner did not reveal what it had committed to.
        """
        contact = self._contact(connection, project)
        standing = contact.exchange.take_part(again=again)
        if (upcoming := contact.next_exchange) is not None:
            # An agent that was killed after it signed commits here.
            upcoming.commit()
        return standing

    def submit(
        self,
        connection: Connection,
        project: str,
        file: Path,
        *,
        aliases: Path | None = None,
        replace: bool = False,
        update: bool = False,
        skip_invalid: bool = False,
    ) -> Submitted:
        """Check, audit, encode and upload this partner's file.

        A process that was killed while it encoded is gone on from by the same call.

        Args:
            aliases: alias table: further values of some records, joined by record id.
            replace: send anew what was sent before, which the hub takes until a run has used
                it; the project secret is fetched anew too.
            update: send a changed file as the next round, once a run has used the last one.
                Records are known again by their record ids and keep their row handles.
            skip_invalid: leave out records with errors and send the others. How many are left
                out stands in the signed header, and why in `skipped.json` beside the receipt.

        Raises:
            SourceError: the file has errors, and nothing is to be or can be left out; nothing was
                sent.
            NotReadyError: not all have signed, or the project secret has not arrived.
            AlreadyExistsError: another file was sent before, and neither `replace` nor `update`
                is given.
            RiskError: the file's encodings fail the audit that the manifest asks for; nothing was
                sent.
            InputError: `update` where the partner has no record ids.
        """
        from linkage.agent.records import open_records
        from linkage.agent.submission import Offer

        contact = self._contact(connection, project)
        records = open_records(contact.manifest, contact.partner, file, aliases)
        if update and contact.partner.record_id is None:
            raise InputError(
                "without record ids no record can be known again",
                remedy="A manifest whose partner has a record_id allows later rounds",
            )
        return self._submit(contact, Offer(records, replace, update, skip_invalid))

    def submit_clks(
        self,
        connection: Connection,
        project: str,
        file: Path,
        clks: Path,
        *,
        form: Format | None = None,
        replace: bool = False,
    ) -> Submitted:
        """Upload filters that clkhash made in place of encodings of ours; see `submit`.

        Args:
            file: the file that they were made from, row by row; only record ids, groups and strata
                are read.
            form: how `clks` holds them, where it is not to be told by its beginning.

        Raises:
            InputError: the manifest holds no linkage schema, or the filters are not of its length.
            SourceError: not as many filters as rows, or record ids that are repeated or empty.
        """
        from linkage.agent.clks import ClkFile, ImportedRecords
        from linkage.agent.source import SourceFile
        from linkage.agent.submission import Offer

        contact = self._contact(connection, project)
        manifest, scratch = contact.manifest, contact.kept.directory
        read = self._clks.get(
            clks, lambda: ClkFile.read(clks, manifest, scratch=scratch, form=form)
        )
        records = ImportedRecords(manifest, contact.partner, SourceFile(file), read)
        return self._submit(contact, Offer(records, replace))

    def _submit(self, contact: Contact, offer: Offer) -> Submitted:
        """Check, audit, encode and upload; see `submit`."""
        from linkage.agent.submission import Submission

        exchange = contact.exchange
        # Before the file is read: nobody is to wait for this partner's part meanwhile.
        standing = exchange.take_part(renew=offer.replace)
        checked = self._checked.get(
            offer.asked(contact), lambda: offer.check(contact, self._progress)
        )
        standing.require_complete()
        submission = Submission(contact, offer, checked, exchange.secret())
        if (arrived := submission.arrived) is not None:
            return arrived
        if not submission.made_before:
            audit = self._audit(contact.manifest, offer.records, checked)
            submission.encode(audit, threads=self._threads, progress=self._progress)
        return submission.send(self._progress)

    def try_submit(
        self, project: str, file: Path, *, aliases: Path | None = None, skip_invalid: bool = False
    ) -> tuple[Checked, AuditSummary]:
        """Check and audit a file as submit would, and send nothing; the hub is not asked.

        Raises:
            SourceError, RiskError, NotFoundError: see `submit`.
        """
        from linkage.agent.records import open_records

        manifest = self.signed_manifest(project)
        records = open_records(manifest, manifest.partner(self._name), file, aliases)
        checked = records.check(self._progress, skip_invalid=skip_invalid)
        return checked, self._audit(manifest, records, checked)

    def audits(self, project: str) -> tuple[Manifest, str, Audits]:
        """The manifest that this agent signed, its name in it, and its audits under it.

        Raises:
            NotFoundError: it signed none.
        """
        manifest, name = self.signed_manifest(project), self._name
        return manifest, name, self._audits(manifest)

    def _audit(self, manifest: Manifest, records: Records, checked: Checked) -> AuditSummary:
        audits, threads = self._audits(manifest), self._audit_threads
        return audits.require_of(records, checked, self._progress, threads=threads)

    def _audits(self, manifest: Manifest) -> Audits:
        from linkage.agent.audited import Audits

        return Audits(self._kept(manifest.project).audits, manifest, self._name)

    def clk_secret(self, connection: Connection, project: str) -> tuple[Manifest, str, bytes]:
        """The manifest, this partner's name in it, and the secret to give to clkhash.

        Raises:
            InputError: the manifest holds no linkage schema.
            NotReadyError: not all have signed, or the project secret has not arrived.
        """
        from linkage.encoding.clk_manifest import clk_secret, schema_of

        contact = self._contact(connection, project)
        manifest = contact.manifest
        schema_of(manifest)
        secret = contact.exchange.secret()
        return manifest, contact.name, bytes(clk_secret(manifest, secret, contact.epoch))

    def answer(
        self, connection: Connection, project: str, file: Path, *, aliases: Path | None = None
    ) -> list[Answered]:
        """Answer what the hub asks in the pair-keyed comparison round of every waiting run.

        Args:
            file, aliases: the identifier file and the alias table that were submitted.

        Returns:
            One entry per comparison that waits, also those answered before; none where no run
            waits.

        Raises:
            AgreementError: the hub asks what this partner did not agree to; nothing was answered.
            QuotaError: a list names a row more or less often than the quota; likewise.
            LimitError: the manifest allows no further run; likewise.
            SourceError: the file is not the one that was submitted.
            NotReadyError: nothing was submitted.
        """
        from linkage.agent.rounds import Rounds

        contact = self._contact(connection, project)
        contact.require_signed()
        return Rounds(contact).answer(file, aliases, threads=self._threads, progress=self._progress)

    def approve(
        self, connection: Connection, project: str, release: str | None = None
    ) -> release_pb2.Release:
        """Approve a proposed release, after checking that the signed manifest covers it.

        Args:
            release: its id; None takes the newest.

        Raises:
            NotReadyError: no release is proposed.
            AgreementError: the release is not what this partner agreed to.
        """
        contact = self._contact(connection, project)
        contact.require_signed()
        proposed = CoveredRelease.find(contact, release, approved=False)
        proposed.require_own_upload()
        proposed.keep_report()
        return proposed.approve()

    def contribute(
        self,
        connection: Connection,
        project: str,
        file: Path,
        content: Mapping[str, Path],
        release: str | None = None,
        lookups: Mapping[str, Path] = MappingProxyType({}),
    ) -> Contributed:
        """Seal the agreed content to the assembler and post it.

        Content of records that were skipped at submit is left out and counted.

        Args:
            file: the identifier file that was submitted.
            content: file per content table; tables without one are columns of `file`.
            lookups: file per lookup that the manifest names.

        Raises:
            SourceError: content that may not leave, by row and field; nothing was sent.
            NotReadyError: the release is not approved by all.
            UntrustedKeyError: the assembler's keys were never compared.
        """
        from linkage.agent.parcel import Parcel

        contact = self._contact(connection, project)
        contact.require_signed()
        approved = CoveredRelease.find(contact, release, approved=True)
        approved.require_approved()
        parcel = Parcel(approved)
        if (arrived := parcel.arrived) is not None:
            return arrived
        parcel.pack(file, content, lookups)
        return parcel.send(self._progress)

    def status(self, connection: Connection) -> list[dict[str, Any]]:
        """What this partner's projects wait for, as plain values; see `standing.describe`."""
        from linkage.agent.standing import describe

        return describe(self.home, connection)

    def signed_manifest(self, project: str) -> Manifest:
        """The manifest of a project that this agent signed and knows to be in force.

        Raises:
            NotFoundError: it signed none.
        """
        return self._kept(project).agreements.signed

    @property
    def _name(self) -> str:
        return Party.load(self.home).name

    def _kept(self, project: str) -> ProjectHome:
        return ProjectHome(self.home, project)

    def _contact(self, connection: Connection, project: str) -> Contact:
        return Contact.make(connection, self._kept(project), self.keyring)
