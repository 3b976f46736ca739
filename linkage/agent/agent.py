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

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from linkage import files
from linkage.agent.agreements import Agreements, require_not_expired, require_same
from linkage.agent.exchange import Exchange, Standing
from linkage.agent.outbox import Outbox
from linkage.agreement import Manifest
from linkage.agreement.audits import AuditSummary
from linkage.agreement.canonical import canonical, fingerprint
from linkage.agreement.safeguards import PartnerReport
from linkage.errors import (
    AgreementError,
    AlreadyExistsError,
    InputError,
    NotAgreedError,
    NotReadyError,
)
from linkage.release.overlap import require_enough_said
from linkage.rpc.channel import Connection
from linkage.rpc.covering import (
    require_approved,
    require_covered,
    require_shown,
    require_signed,
)
from linkage.rpc.party import Party
from linkage.rpc.witness import Witness
from linkage.trust.headers import EncodingsHeader, ParcelHeader, expiry, new_nonce
from linkage.trust.identity import Role
from linkage.trust.keyring import Keyring, key_check
from linkage.trust.signing import sign
from linkage.trust.statements import ReleaseStatement, manifest_statement
from linkage.v1 import comparison_pb2, project_pb2, release_pb2, run_pb2, upload_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub

if TYPE_CHECKING:
    from linkage.agent.answer import Answered
    from linkage.agent.audited import Audits
    from linkage.agent.clks import ClkFile, Format
    from linkage.agent.records import Checked, EncodedFile, Progress, Records
    from linkage.agent.source import SourceFile
    from linkage.encoding import GivesEncodings


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
class Contributed:
    """The hub's receipt for a parcel.

    Attributes:
        left_out: per content table, how many rows belong to records that were skipped at submit.
        lookups: per content table and field, how many cells were looked up (`rows`), and how many
            of them had no entry (`unmatched`).
    """

    receipt: upload_pb2.Receipt
    left_out: dict[str, int]
    lookups: dict[str, dict[str, dict[str, int]]]


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
        self._checked: tuple[Mapping[str, Any], Checked] | None = None
        self._clks: tuple[Path, ClkFile] | None = None

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
        name = Party.load(self.home).name
        manifest.partner(name)
        require_not_expired(manifest)
        if manifest.unanswered and not despite_unanswered:
            raise NotAgreedError(
                f"the manifest leaves open: {' '.join(manifest.unanswered)}",
                remedy="Have them answered under governance and propose it anew; or sign it all"
                " the same with --despite-unanswered",
            )
        shown = self._shown(connection, manifest.project)
        if shown.proposal.fingerprint == manifest.fingerprint:
            require_same(manifest, shown.proposal.fingerprint, shown.proposal.manifest)
        else:
            require_same(manifest, shown.fingerprint, shown.manifest)
        said = manifest_statement(manifest.project, manifest.fingerprint, name)
        request = project_pb2.SignManifestRequest(
            project=manifest.project,
            fingerprint=manifest.fingerprint,
            signature=sign(self.keyring.signing_key, said),
        )
        self._agreements(manifest.project).keep(manifest)
        stub = ProjectServiceStub(connection.channel)
        answer = connection.call(stub.SignManifest, request)
        self._witness.require_receipt(
            connection,
            answer.log,
            "manifest.signed",
            name=f"manifest-{manifest.fingerprint}",
            project=manifest.project,
            party=f"{Role.PARTNER}/{name}",
            subject=manifest.fingerprint,
        )
        shown = answer.project
        here = shown if shown.fingerprint == manifest.fingerprint else shown.proposal
        Exchange(connection, self.keyring, manifest, shown, name, epoch=here.epoch).commit()
        return shown

    def share(self, connection: Connection, project: str, *, again: bool = False) -> Standing:
        """Do this partner's part in making the project secret, as far as it can be done now.

        Args:
            again: also what was done before, as after this partner has changed its keys.

        Raises:
            NotReadyError: not all have signed.
            UntrustedKeyError: another partner's keys were never compared, or changed.
            ContributionError: a partner did not reveal what it had committed to.
        """
        manifest, shown = self._agreed(connection, project)
        standing = self._exchange(connection, manifest, shown).take_part(again=again)
        proposal = shown.proposal
        waiting = self._agreements(project).version(proposal.fingerprint)
        signed = self._name in {one.partner for one in proposal.signatures}
        if waiting is not None and signed and proposal.epoch == shown.epoch + 1:
            # An agent that was killed after it signed commits here.
            epoch = proposal.epoch
            Exchange(connection, self.keyring, waiting, shown, self._name, epoch=epoch).commit()
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
        from linkage.agent.records import Records
        from linkage.agent.source import SourceFile

        manifest, shown = self._agreed(connection, project)
        source = SourceFile(file)
        records = Records(
            manifest,
            manifest.partner(self._name),
            source,
            None if aliases is None else SourceFile(aliases),
        )
        return self._submit(
            connection,
            manifest,
            shown,
            records,
            source=source,
            replace=replace,
            update=update,
            skip_invalid=skip_invalid,
        )

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
        from linkage.agent.clks import ClkFile, ImportedFilters, ImportedRecords
        from linkage.agent.source import SourceFile

        manifest, shown = self._agreed(connection, project)
        if self._clks is None or self._clks[0] != clks:
            scratch = self._directory(project)
            self._clks = clks, ClkFile.read(clks, manifest, scratch=scratch, form=form)
        read = self._clks[1]
        records = ImportedRecords(manifest, manifest.partner(self._name), SourceFile(file), read)
        filters = ImportedFilters(manifest, read)
        return self._submit(
            connection, manifest, shown, records, filters, source=None, replace=replace
        )

    def audits(self, project: str) -> tuple[Manifest, str, Audits]:
        """The manifest that this agent signed, its name in it, and its audits under it.

        Raises:
            NotFoundError: it signed none.
        """
        manifest, name = self.signed_manifest(project), self._name
        return manifest, name, self._audits(manifest)

    def try_submit(
        self, project: str, file: Path, *, aliases: Path | None = None, skip_invalid: bool = False
    ) -> tuple[Checked, AuditSummary]:
        """Check and audit a file as submit would, and send nothing; the hub is not asked.

        Raises:
            SourceError, RiskError, NotFoundError: see `submit`.
        """
        from linkage.agent.records import Records
        from linkage.agent.source import SourceFile

        manifest = self.signed_manifest(project)
        source = SourceFile(file)
        table = None if aliases is None else SourceFile(aliases)
        records = Records(manifest, manifest.partner(self._name), source, table)
        checked = records.check(self._progress, skip_invalid=skip_invalid)
        return checked, self._audit(manifest, source, checked, records.digests()["source"])

    def clk_secret(self, connection: Connection, project: str) -> tuple[Manifest, str, bytes]:
        """The manifest, this partner's name in it, and the secret to give to clkhash.

        Raises:
            InputError: the manifest holds no linkage schema.
            NotReadyError: not all have signed, or the project secret has not arrived.
        """
        from linkage.encoding.clk_manifest import clk_secret, schema_of

        manifest, shown = self._agreed(connection, project)
        schema_of(manifest)
        secret = self._exchange(connection, manifest, shown).secret()
        return manifest, self._name, bytes(clk_secret(manifest, secret, shown.epoch))

    def _submit(
        self,
        connection: Connection,
        manifest: Manifest,
        shown: project_pb2.Project,
        records: Records,
        filters: GivesEncodings | None = None,
        *,
        source: SourceFile | None,
        replace: bool,
        update: bool = False,
        skip_invalid: bool = False,
    ) -> Submitted:
        """Check, audit, encode and upload; see `submit`.

        Args:
            source: what is audited; None for filters that another program made.
        """
        from linkage.agent.records import can_resume, forget_work
        from linkage.agent.sending import require_fit

        project = manifest.project
        if update and manifest.partner(self._name).record_id is None:
            raise InputError(
                "without record ids no record can be known again",
                remedy="A manifest whose partner has a record_id allows later rounds",
            )
        # Before the file is read: nobody is to wait for this partner's part meanwhile.
        exchange = self._exchange(connection, manifest, shown)
        standing = exchange.take_part(renew=replace)
        digests = records.digests()
        asked = {**digests, "fingerprint": manifest.fingerprint, "skip_invalid": skip_invalid}
        sent = self._outbox(project, shown.epoch)
        next_one = Outbox(sent.directory.with_suffix(".updating" if update else ".replacing"))
        checked = self._check(records, asked, (sent, next_one))
        standing.require_complete()
        secret = exchange.secret()
        check = key_check(secret, project, manifest.fingerprint, shown.epoch)
        made_from = {**digests, "key_check": check}
        known = self._name in shown.uploaded
        if known and sent.made_from == made_from and (receipt := sent.receipt):
            return _submitted(checked, sent, receipt, repeated=True)
        if known and sent.made_from != made_from and not (replace or update):
            # What is here says which row is which at the hub: it must not be written over.
            raise AlreadyExistsError(
                f"{self._name!r} has sent its encodings already, from another file",
                remedy="Go on with the file that was sent, or send this one with --replace, or as"
                " the next round with --update once a run has used the other",
            )
        outbox = next_one if known and (replace or update) else sent
        number = sent.round + 1 if outbox is not sent and update else sent.round
        repeated = outbox.made_from == made_from and (known or outbox.live)
        if not repeated:
            audit = self._audit(manifest, source, checked, digests["source"])
            asked |= {"key_check": check, "epoch": shown.epoch, "round": number}
            if not can_resume(outbox.directory, asked):
                outbox.clear()
            round_before = outbox is not sent and update
            former = sent.directory if round_before else self._earlier(project, shown.epoch)
            encoded = self._encode(
                records, checked, manifest, secret, filters, outbox, asked, former
            )
            _keep_skipped(outbox, checked)
            last = sent if outbox is not sent and update else None
            require_fit(manifest, self._name, outbox.payload, encoded.layout, last)
            header = self._encodings_header(
                manifest, shown.epoch, encoded, audit, check, number, len(checked.skipped)
            )
            outbox.announce(header, made_from)
        forget_work(outbox.directory)
        receipt = self._send(connection, outbox, "submit")
        if outbox is not sent:
            outbox.take_the_place_of(sent)
        self.keyring.forget_epochs(project, before=shown.epoch)
        return _submitted(checked, sent, receipt, repeated=repeated)

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
        from linkage.agent import answer
        from linkage.agent.records import Records
        from linkage.agent.source import SourceFile
        from linkage.encoding.pairwise import PairwiseEncoder

        manifest, shown = self._agreed(connection, project)
        require_signed(shown, manifest, self.keyring, own=self._name)
        sent = self._outbox(project, shown.epoch)
        terms = answer.Terms.of(manifest, shown.epoch, self._name, sent)
        rounds = files.private_directory(self._directory(project) / f"rounds-{shown.epoch}")
        waiting = answer.by_run(answer.open_comparisons(connection, project))
        answer.forget_ended(rounds, waiting)
        ledger = answer.Ledger(rounds / "agreed.json")
        done: list[Answered] = []
        for run, asked in waiting.items():
            repeated = [one for one in asked if one.answered]
            done += [answer.Answered(run, one.other, one.entries, True) for one in repeated]
            if len(repeated) == len(asked):
                continue
            this = answer.Round(rounds / f"round-{run}", terms, asked)
            for comparison in asked:
                self._require_logged(connection, comparison)
            lists = this.fetch(connection)
            ledger.enter(run, {one.other: one.digest for one in lists}, most_runs=terms.most_runs)
            secret = self._exchange(connection, manifest, shown).secret()
            records = Records(
                manifest,
                manifest.partner(self._name),
                SourceFile(file),
                None if aliases is None else SourceFile(aliases),
            )
            with PairwiseEncoder(manifest, secret, epoch=shown.epoch) as encoder:
                this.encode(
                    lists,
                    encoder,
                    records.sent(sent.directory),
                    threads=self._threads,
                    progress=self._progress,
                )
            for one in lists:
                this.send(connection, one, self.keyring.signing_key, self._progress, self._witness)
                done.append(answer.Answered(run, one.other, len(one), False))
        return done

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
        manifest, shown = self._agreed(connection, project)
        require_signed(shown, manifest, self.keyring, own=self._name)
        stub = ReleaseServiceStub(connection.channel)
        found = self._find_release(connection, project, release, approved=False)
        said = self._covered(found, manifest)
        self._require_own_upload(said)
        seen = connection.call(
            RunServiceStub(connection.channel).GetQualityReport,
            run_pb2.GetQualityReportRequest(run=found.run, release=found.release),
        )
        require_shown(said, seen.report, seen.summary)
        if manifest.safeguards.partner_report is not PartnerReport.NONE:
            require_enough_said(seen.summary, manifest)
        kept = self._directory(project) / f"quality-{found.release}.json"
        files.write_atomic(kept, seen.report or seen.summary)
        request = release_pb2.ApproveReleaseRequest(
            release=found.release, signature=sign(self.keyring.signing_key, found.statement)
        )
        answer = connection.call(stub.ApproveRelease, request)
        self._witness.require_receipt(
            connection,
            answer.log,
            "release.approved",
            name=f"release-{found.release}",
            project=project,
            party=f"{Role.PARTNER}/{self._name}",
            subject=found.release,
            statement=fingerprint(found.statement),
            signature=fingerprint(request.signature),
        )
        return answer.release

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
        from linkage.agent.content import pack_content
        from linkage.agent.lookups import digests_of
        from linkage.agent.records import read_row_map
        from linkage.agent.source import SourceFile

        manifest, shown = self._agreed(connection, project)
        require_signed(shown, manifest, self.keyring, own=self._name)
        found = self._find_release(connection, project, release, approved=True)
        said = self._covered(found, manifest)
        require_approved(found, shown, manifest, self.keyring, own=self._name)
        sent = self._outbox(project, said.epoch)
        outbox = Outbox(self._directory(project) / f"parcel-{found.release}")
        if self._name in found.contributed and (receipt := outbox.receipt):
            return _contributed(outbox, receipt)
        made_from = {name: SourceFile(path).digest() for name, path in content.items()}
        made_from |= digests_of(lookups)
        if not (outbox.made_from == made_from and outbox.live):
            packed = pack_content(
                connection,
                self.keyring,
                manifest=manifest,
                project=shown,
                release=found.release,
                partner=manifest.partner(self._name),
                sent=read_row_map(sent.directory),
                file=file,
                submitted=(sent.made_from or {}).get("source", ""),
                content=content,
                lookups=lookups,
            )
            outbox.clear()
            files.write_atomic(outbox.payload, packed.parcel)
            header = ParcelHeader(
                project=project,
                fingerprint=manifest.fingerprint,
                epoch=said.epoch,
                partner=self._name,
                digest=fingerprint(packed.parcel),
                size=len(packed.parcel),
                nonce=new_nonce(),
                expires=expiry(),
                release=found.release,
                recipient=manifest.assembler,
            )
            files.write_atomic(outbox.directory / "skipped.json", canonical(packed.left_out))
            files.write_atomic(outbox.directory / "lookups.json", canonical(packed.told))
            outbox.announce(header, made_from)
        return _contributed(outbox, self._send(connection, outbox, "contribute"))

    def status(self, connection: Connection) -> list[dict[str, Any]]:
        """What this partner's projects wait for, as plain values; see `standing.describe`."""
        from linkage.agent.standing import describe

        return describe(self, connection)

    def signed_manifest(self, project: str) -> Manifest:
        """The manifest of a project that this agent signed and knows to be in force.

        Raises:
            NotFoundError: it signed none.
        """
        return self._agreements(project).signed

    def _require_logged(self, connection: Connection, asked: comparison_pb2.Comparison) -> None:
        """See that what the hub asks is in its log, so that it asked nobody in secret."""
        self._witness.require_receipt(
            connection,
            asked.log,
            "list.issued",
            name=f"list-{asked.run}-{asked.other}",
            project=asked.project,
            party="hub",
            subject=asked.run,
            partner=self._name,
            other=asked.other,
            digest=asked.digest,
        )

    @property
    def _witness(self) -> Witness:
        return Witness(self.home)

    @property
    def _name(self) -> str:
        return Party.load(self.home).name

    def _directory(self, project: str) -> Path:
        return self.home / "projects" / project

    def _shown(self, connection: Connection, project: str) -> project_pb2.Project:
        stub = ProjectServiceStub(connection.channel)
        return connection.call(
            stub.GetProject, project_pb2.GetProjectRequest(project=project)
        ).project

    def _agreed(self, connection: Connection, project: str) -> tuple[Manifest, project_pb2.Project]:
        """The manifest this agent signed, and the project as the hub shows it."""
        agreements = self._agreements(project)
        agreements.signed  # noqa: B018 - before the hub is asked: who signed nothing is told so
        shown = self._shown(connection, project)
        return agreements.in_force(shown), shown

    def _agreements(self, project: str) -> Agreements:
        return Agreements(self._directory(project), project)

    def _exchange(
        self, connection: Connection, manifest: Manifest, shown: project_pb2.Project
    ) -> Exchange:
        return Exchange(connection, self.keyring, manifest, shown, self._name)

    def _covered(self, found: release_pb2.Release, manifest: Manifest) -> ReleaseStatement:
        """A release's statement, if what this partner signed covers it.

        Raises:
            AgreementError: it does not.
        """
        seen = self._agreements(manifest.project).seen
        epochs = {one.epoch for one in seen if one.fingerprint == manifest.fingerprint}
        return require_covered(found, manifest, epochs)

    def _earlier(self, project: str, epoch: int) -> Path | None:
        """Where the upload of the latest earlier epoch is, whose row handles go on."""
        boxes = (self._outbox(project, number) for number in range(epoch - 1, -1, -1))
        return next((box.directory for box in boxes if box.receipt is not None), None)

    def _require_own_upload(self, said: ReleaseStatement) -> None:
        """Raises AgreementError unless the release stands on what this agent sent last."""
        receipt = self._outbox(said.project, said.epoch).receipt
        if receipt is None or said.uploads[self._name] != receipt.header_fingerprint:
            raise AgreementError(
                "the release does not stand on the encodings that this agent sent last",
                remedy="Nothing was approved; ask the steward for a run over the present ones",
            )

    def _outbox(self, project: str, epoch: int) -> Outbox:
        return Outbox(self._directory(project) / f"epoch-{epoch}")

    def _check(
        self, records: Records, asked: Mapping[str, Any], outboxes: tuple[Outbox, ...]
    ) -> Checked:
        """What a check of the file finds, or found before it was asked again or killed."""
        from linkage.agent.records import checked_before

        if self._checked is not None and self._checked[0] == asked:
            return self._checked[1]
        before = (checked_before(outbox.directory, asked) for outbox in outboxes)
        found = next(filter(None, before), None)
        if found is None:
            found = records.check(self._progress, skip_invalid=asked["skip_invalid"])
        self._checked = (dict(asked), found)
        return found

    def _audits(self, manifest: Manifest) -> Audits:
        from linkage.agent.audited import Audits

        return Audits(self._directory(manifest.project) / "audit", manifest, self._name)

    def _audit(
        self, manifest: Manifest, source: SourceFile | None, checked: Checked, digest: str
    ) -> AuditSummary:
        """What the audit of a file finds, or found before, if the manifest's policy covers it."""
        audits = self._audits(manifest)
        if source is None:
            return audits.require_of_filters(checked.sent)
        return audits.require(
            source, digest, checked.skipped, self._progress, threads=self._audit_threads
        )

    def _encode(
        self,
        records: Records,
        checked: Checked,
        manifest: Manifest,
        secret: bytes,
        filters: GivesEncodings | None,
        outbox: Outbox,
        made_from: Mapping[str, Any],
        former: Path | None,
    ) -> EncodedFile:
        from linkage.encoding import Encoder

        with Encoder(manifest, secret, epoch=made_from["epoch"]) as encoder:
            return records.encode(
                checked,
                filters or encoder,
                outbox.payload,
                threads=self._threads,
                progress=self._progress,
                made_from=made_from,
                former=former,
            )

    def _encodings_header(
        self,
        manifest: Manifest,
        epoch: int,
        encoded: EncodedFile,
        audit: AuditSummary,
        check: str,
        number: int,
        skipped: int,
    ) -> EncodingsHeader:
        layout = encoded.layout
        return EncodingsHeader(
            project=manifest.project,
            fingerprint=manifest.fingerprint,
            epoch=epoch,
            partner=self._name,
            digest=encoded.digest,
            size=layout.size,
            nonce=new_nonce(),
            expires=expiry(),
            scheme=layout.scheme,
            bits=layout.bits,
            match_keys=layout.match_keys,
            rows=layout.rows,
            strata=layout.strata,
            round=number,
            skipped=skipped,
            audit=audit,
            key_check=check,
        )

    def _send(self, connection: Connection, outbox: Outbox, step: str) -> upload_pb2.Receipt:
        return outbox.send(
            connection,
            self.keyring.signing_key,
            lambda sent, size: self._progress(step, sent, size),
            self._witness,
        )

    def _find_release(
        self, connection: Connection, project: str, release: str | None, *, approved: bool
    ) -> release_pb2.Release:
        stub = ReleaseServiceStub(connection.channel)
        request = release_pb2.ListReleasesRequest(project=project)
        listed = connection.call(stub.ListReleases, request).releases
        mine = [r for r in listed if release in (None, r.release)]
        if not mine:
            raise NotReadyError(f"no release of project {project!r} is proposed")
        newest = max(mine, key=lambda r: r.created_at.ToNanoseconds())
        if approved and newest.state != release_pb2.RELEASE_STATE_APPROVED:
            raise NotReadyError("the release is not approved by every partner yet")
        return newest


def _submitted(
    checked: Checked, outbox: Outbox, receipt: upload_pb2.Receipt, *, repeated: bool
) -> Submitted:
    header = outbox.header
    assert isinstance(header, EncodingsHeader)  # noqa: S101 - narrowing for the type checker
    return Submitted(checked, header.audit, receipt.size, receipt.digest, receipt.upload, repeated)


def _keep_skipped(outbox: Outbox, checked: Checked) -> None:
    """Say beside the receipt how many records were left out, and why; no row, no value."""
    kept = {
        "rows": checked.sent,
        "skipped": len(checked.skipped),
        "reasons": [vars(reason) for reason in checked.reasons],
    }
    files.write_atomic(outbox.directory / "skipped.json", canonical(kept))


def _contributed(outbox: Outbox, receipt: upload_pb2.Receipt) -> Contributed:
    kept = [outbox.directory / name for name in ("skipped.json", "lookups.json")]
    left_out, lookups = (json.loads(p.read_bytes()) if p.exists() else {} for p in kept)
    return Contributed(receipt, left_out, lookups)
