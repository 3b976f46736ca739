"""The assembler: opens the parcels of a release and joins them into an extract.

- It believes a manifest only when every partner's signature on it holds under keys that a person
  compared, and a parcel only when its sender signed exactly these bytes for this release.
- What leaves has passed the disclosure gate, stands in the release ledger, and bears study ids that
  no other recipient has; where the manifest asks for it, two checkers have signed it off.
- The study map is on this disk, whole, before the hub is told to delete its own.
- Repeating an assembly after a crash goes on from what is here.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.canonical import canonical
from linkage.errors import (
    AgreementError,
    DigestMismatchError,
    InputError,
    NotAgreedError,
    NotReadyError,
    StateError,
)
from linkage.evaluator.extract import About, write_extract
from linkage.evaluator.ledger import Ledger, entry_of
from linkage.evaluator.signoff import SignOff, require_signed_off
from linkage.files import private_directory, write_atomic
from linkage.release.assemble import Assembled, assemble
from linkage.release.days import read_shifts
from linkage.release.gate import gate
from linkage.release.lookups import lookup_provenance
from linkage.release.parcels import ParcelAddress, unpack
from linkage.release.pseudonyms import ID_BYTES, draw_ids
from linkage.rpc.channel import Connection
from linkage.rpc.covering import require_approved, require_covered
from linkage.rpc.member import trusted_party
from linkage.rpc.party import Party
from linkage.rpc.witness import Witness
from linkage.trust.headers import ParcelHeader, parse_header
from linkage.trust.keyring import Keyring
from linkage.trust.signing import verify
from linkage.trust.statements import manifest_statement
from linkage.v1 import project_pb2, release_pb2, run_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub

Progress = Callable[[str, int, int], None]
StudyMap = dict[str, dict[bytes, bytes]]
DayShifts = dict[str, dict[bytes, int]]


@dataclass(frozen=True)
class Extract:
    """What an assembly left: the directory, its files, rows per table, and the gate's log."""

    directory: Path
    files: list[Path]
    rows: dict[str, int]
    suppression: dict[str, Any]


class Assembler:
    """The recipient that opens parcels.

    Args:
        home: keys, identity and, per release, what has been fetched.
    """

    def __init__(
        self,
        home: Path,
        connection: Connection,
        *,
        progress: Progress = lambda step, done, total: None,
    ) -> None:
        self._home = home
        self._name = Party.load(home).name
        self._keyring = Keyring(home / "keys")
        self._connection = connection
        self._releases = ReleaseServiceStub(connection.channel)
        self._progress = progress

    def assemble(
        self,
        project: str,
        directory: Path,
        *,
        release: str | None = None,
        overwrite: bool = False,
        recipient: str | None = None,
        sign_offs: Sequence[SignOff] = (),
        stata: bool = False,
    ) -> Extract:
        """Fetch, open and join everything of a release into an extract.

        Args:
            release: its id; None takes the newest.
            recipient: whose extract, one of the manifest's recipients; None makes the assembler's.
            sign_offs: the checkers', where the manifest asks for them.
            stata: write Stata files too.

        Raises:
            NotReadyError: a partner's parcel is missing, or the release is not approved.
            StateError: the extract waits for checkers, in the home.
            DisclosureError: the gate cannot let it pass.
            AgreementError: the manifest does not cover the release.
            TrustError: a key was never compared, or a signature or seal does not hold.
        """
        shown, manifest = self._agreed(project)
        recipient = self._recipient(manifest, recipient)
        found = self._release(project, release)
        require_covered(found, manifest, {shown.epoch})
        require_approved(found, shown, manifest, self._keyring, own=self._name)
        parcels = self._parcels(manifest, found)
        tables: dict[tuple[str, str], pa.Table] = {}
        for number, parcel in enumerate(parcels):
            self._progress("open parcels", number, len(parcels))
            for name, table in self._open(shown, manifest, found, parcel).items():
                tables[parcel.partner, name] = table
        study_ids, day_shifts = self._study_map(found.release)
        # Before the extract stands: a crash after it would leave the map at the hub for good.
        self._acknowledge(found.release, study_ids)
        own_ids = self._own_ids(found.release, recipient, study_ids)
        lookups = lookup_provenance(manifest, tables, recipient)
        assembled = assemble(manifest, tables, own_ids, day_shifts, recipient=recipient)
        del tables, study_ids, own_ids, day_shifts
        ledger = Ledger(self._home, project)
        self._progress("check disclosure", 0, 1)
        gated = gate(
            manifest,
            assembled,
            published=ledger.published(found.release, recipient),
            hidden=ledger.hidden(found.release, recipient),
        )
        del assembled
        persons = ledger.persons(gated.assembled)
        rules = manifest.disclosure
        ledger.require_apart(found.release, recipient, persons, rules.k)
        self._progress("check disclosure", 1, 1)
        about = About(
            recipient=recipient,
            counts=gated.counts,
            suppression=gated.log,
            provenance=self._provenance(manifest, found, recipient, parcels) | {"lookups": lookups},
            stata=stata,
        )
        quality = self._quality(found.run)

        def leave(digest: str) -> None:
            require_signed_off(manifest, found.release, recipient, digest, sign_offs)
            entry = entry_of(
                gated.assembled,
                gated.counts,
                release=found.release,
                recipient=recipient,
                manifest=manifest.fingerprint,
                extract=digest,
            )
            # Before the extract is to be seen.
            ledger.add(entry, persons)

        if rules.two_checkers and not sign_offs:
            waiting = self._home / "releases" / found.release / f"unchecked-{recipient}"
            write_extract(
                waiting,
                gated.assembled,
                manifest=manifest,
                quality=quality,
                overwrite=True,
                about=about,
            )
            raise StateError(
                f"the extract waits in {waiting} for two checkers",
                remedy="Two of "
                + ", ".join(one.name for one in rules.checkers)
                + " read it and run: linkage evaluator sign-off; then assemble with their files",
            )
        written = write_extract(
            directory,
            gated.assembled,
            manifest=manifest,
            quality=quality,
            overwrite=overwrite,
            about=about,
            ready=leave,
        )
        return Extract(directory, written, _rows(gated.assembled), gated.log)

    def _recipient(self, manifest: Manifest, recipient: str | None) -> str:
        names = [one.name for one in manifest.recipients]
        if (recipient or self._name) not in names:
            raise InputError(
                f"the manifest names no recipient {recipient or self._name!r}",
                remedy=f"Its recipients are {', '.join(names)}",
            )
        return recipient or self._name

    def _own_ids(self, release: str, recipient: str, study_ids: StudyMap) -> StudyMap:
        """The study map with ids that this recipient alone gets: random, and drawn once."""
        path = self._home / "releases" / release / f"study-{recipient}.parquet"
        if not path.exists():
            known = sorted({study for ids in study_ids.values() for study in ids.values()})
            drawn = draw_ids(len(known)).tobytes()
            kind = pa.binary(ID_BYTES)
            table = pa.table(
                {
                    "study_id": pa.array(known, kind),
                    "own_id": pa.array(_split(drawn), kind),
                }
            )
            sink = io.BytesIO()
            pq.write_table(table, sink)
            write_atomic(path, sink.getvalue())
        table = pq.read_table(path)
        own = dict(zip(table["study_id"].to_pylist(), table["own_id"].to_pylist(), strict=True))
        return {
            partner: {index: own[study] for index, study in ids.items()}
            for partner, ids in study_ids.items()
        }

    def _provenance(
        self,
        manifest: Manifest,
        release: release_pb2.Release,
        recipient: str,
        parcels: Sequence[release_pb2.Parcel],
    ) -> dict[str, Any]:
        """Where an extract comes from; as it was when it was first made."""
        path = self._home / "releases" / release.release / f"provenance-{recipient}.json"
        if not path.exists():
            last = Witness(self._home).last
            said = {
                "linkage": "provenance/1",
                "project": manifest.project,
                "manifest": manifest.fingerprint,
                "release": release.release,
                "run": release.run,
                "threshold": release.threshold,
                "recipient": recipient,
                "parcels": {one.partner: hashlib.sha256(one.header).hexdigest() for one in parcels},
                "log_checkpoint": last.note.decode("utf-8") if last else None,
            }
            write_atomic(path, canonical(said))
        found: dict[str, Any] = json.loads(path.read_bytes())
        # What made these very bytes.
        return found | {
            "software": {
                name: version(name) for name in ("linkage", "numpy", "pandas", "pyarrow", "scipy")
            }
        }

    def _agreed(self, project: str) -> tuple[project_pb2.Project, Manifest]:
        """The project, and its manifest once every partner's signature holds."""
        stub = ProjectServiceStub(self._connection.channel)
        request = project_pb2.GetProjectRequest(project=project)
        shown = self._connection.call(stub.GetProject, request).project
        manifest = parse_manifest(shown.manifest)
        signatures = {s.partner: s.signature for s in shown.signatures}
        for name in manifest.partner_names:
            if name not in signatures:
                raise NotAgreedError(f"the manifest is not signed by {name}")
            verify(
                trusted_party(self._keyring, shown, name).signing_key,
                signatures[name],
                manifest_statement(project, manifest.fingerprint, name),
                what="the manifest",
                by=name,
            )
        return shown, manifest

    def _release(self, project: str, release: str | None) -> release_pb2.Release:
        request = release_pb2.ListReleasesRequest(project=project)
        listed = self._connection.call(self._releases.ListReleases, request).releases
        mine = [r for r in listed if release in (None, r.release)]
        if not mine:
            raise NotReadyError(f"no release of project {project!r} is proposed")
        return max(mine, key=lambda r: r.created_at.ToNanoseconds())

    def _parcels(
        self, manifest: Manifest, release: release_pb2.Release
    ) -> list[release_pb2.Parcel]:
        request = release_pb2.ListParcelsRequest(release=release.release)
        parcels = list(self._connection.call(self._releases.ListParcels, request).parcels)
        missing = sorted(set(manifest.partner_names) - {p.partner for p in parcels})
        if missing:
            raise NotReadyError(
                f"the parcels of {', '.join(missing)} have not arrived",
                remedy="Each of them must run: linkage agent contribute",
            )
        return parcels

    def _open(
        self,
        shown: project_pb2.Project,
        manifest: Manifest,
        release: release_pb2.Release,
        parcel: release_pb2.Parcel,
    ) -> dict[str, pa.Table]:
        """A parcel's tables, after every check that its signed header allows."""
        sender = trusted_party(self._keyring, shown, parcel.partner)
        what = "the parcel"
        verify(sender.signing_key, parcel.signature, parcel.header, what=what, by=sender.name)
        header = parse_header(parcel.header)
        expected = (manifest.project, manifest.fingerprint, release.release, sender.name)
        if not isinstance(header, ParcelHeader) or header.recipient != self._name:
            raise AgreementError(f"the parcel of {sender.name!r} is not for {self._name!r}")
        if (header.project, header.fingerprint, header.release, header.partner) != expected:
            raise AgreementError(f"the parcel of {sender.name!r} belongs to another release")
        raw = self._fetch(release.release, parcel, header)
        address = ParcelAddress(
            manifest.project, manifest.fingerprint, release.release, sender.name, self._name
        )
        return unpack(raw, address, self._keyring.sealing_key.open)

    def _fetch(self, release: str, parcel: release_pb2.Parcel, header: ParcelHeader) -> bytes:
        """The parcel's sealed bytes, going on from what an earlier attempt left."""
        path = private_directory(self._home / "releases" / release) / f"{parcel.partner}.parcel"
        with path.open("ab") as file:
            request = release_pb2.DownloadParcelRequest(
                upload=parcel.upload, read_offset=file.tell()
            )
            for answer in self._connection.receive(self._releases.DownloadParcel, request):
                file.write(answer.data)
                if file.tell() > header.size:
                    break
        raw = path.read_bytes()
        if len(raw) != header.size or hashlib.sha256(raw).hexdigest() != header.digest:
            path.unlink()
            raise DigestMismatchError(
                f"the parcel of {parcel.partner!r} did not arrive as it was signed",
                remedy="Try again; if it happens again, tell the steward",
            )
        return raw

    def _study_map(self, release: str) -> tuple[StudyMap, DayShifts]:
        """The index id → study id map, and what is added to each row's hidden days."""
        path = private_directory(self._home / "releases" / release) / "study-map.parquet"
        if not path.exists():
            request = release_pb2.DownloadStudyMapRequest(release=release)
            partners: list[str] = []
            index_ids: list[bytes] = []
            study_ids: list[bytes] = []
            raw_shifts = bytearray()
            for batch in self._connection.receive(self._releases.DownloadStudyMap, request):
                index_ids += _split(batch.index_ids)
                study_ids += _split(batch.study_ids)
                raw_shifts += batch.day_shifts
                partners += [batch.partner] * (len(batch.index_ids) // ID_BYTES)
            kind = pa.binary(ID_BYTES)
            table = pa.table(
                {
                    "partner": pa.array(partners, pa.string()),
                    "index_id": pa.array(index_ids, kind),
                    "study_id": pa.array(study_ids, kind),
                    "day_shift": pa.array(read_shifts(bytes(raw_shifts), len(index_ids))),
                }
            )
            sink = io.BytesIO()
            pq.write_table(table, sink)
            write_atomic(path, sink.getvalue())
        found: StudyMap = {}
        shifts: DayShifts = {}
        table = pq.read_table(path)
        for partner, index_id, study_id, shift in zip(
            *(table[name].to_pylist() for name in table.column_names), strict=True
        ):
            found.setdefault(partner, {})[index_id] = study_id
            shifts.setdefault(partner, {})[index_id] = shift
        return found, shifts

    def _quality(self, run: str) -> dict[str, object]:
        stub = RunServiceStub(self._connection.channel)
        request = run_pb2.GetQualityReportRequest(run=run)
        report: dict[str, object] = json.loads(
            self._connection.call(stub.GetQualityReport, request).report
        )
        return report

    def _acknowledge(self, release: str, study_ids: StudyMap) -> None:
        rows = sum(len(ids) for ids in study_ids.values())
        request = release_pb2.AcknowledgeStudyMapRequest(release=release, rows=rows)
        self._connection.call(self._releases.AcknowledgeStudyMap, request)


def _split(raw: bytes) -> list[bytes]:
    return [raw[start : start + ID_BYTES] for start in range(0, len(raw), ID_BYTES)]


def _rows(assembled: Assembled) -> dict[str, int]:
    return {name: table.num_rows for name, table in assembled.named.items()}
