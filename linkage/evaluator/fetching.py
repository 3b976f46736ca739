"""What the assembler fetches from the hub, and what it believes of it.

- A manifest only when every partner's signature on it holds under keys that a person compared; a
  parcel only when its sender signed exactly these bytes for this release and this recipient.
- What has arrived stays in the home: repeating after a crash goes on from there.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from linkage.agreement import Manifest, parse_manifest
from linkage.errors import AgreementError, DigestMismatchError, NotAgreedError, NotReadyError
from linkage.files import private_directory, write_atomic
from linkage.release.days import read_shifts
from linkage.release.parcels import ParcelAddress, unpack
from linkage.release.pseudonyms import ID_BYTES
from linkage.rpc.channel import Connection
from linkage.rpc.member import trusted_party
from linkage.trust.headers import ParcelHeader, parse_header
from linkage.trust.keyring import Keyring
from linkage.trust.signing import verify
from linkage.trust.statements import manifest_statement
from linkage.v1 import project_pb2, release_pb2, run_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub

StudyMap = dict[str, dict[bytes, bytes]]
DayShifts = dict[str, dict[bytes, int]]


class Fetcher:
    """Fetches for a recipient.

    Args:
        home: where its keys are, and what has been fetched.
        name: the recipient's.
    """

    def __init__(self, home: Path, name: str, keyring: Keyring, connection: Connection) -> None:
        self._home = home
        self._name = name
        self._keyring = keyring
        self._connection = connection
        self._releases = ReleaseServiceStub(connection.channel)

    def agreed(self, project: str) -> tuple[project_pb2.Project, Manifest]:
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

    def release(self, project: str, release: str | None) -> release_pb2.Release:
        """A release of a project; None takes the newest."""
        request = release_pb2.ListReleasesRequest(project=project)
        listed = self._connection.call(self._releases.ListReleases, request).releases
        mine = [r for r in listed if release in (None, r.release)]
        if not mine:
            raise NotReadyError(f"no release of project {project!r} is proposed")
        return max(mine, key=lambda r: r.created_at.ToNanoseconds())

    def parcels(self, manifest: Manifest, release: release_pb2.Release) -> list[release_pb2.Parcel]:
        """The parcels of a release, once there is one of every partner."""
        request = release_pb2.ListParcelsRequest(release=release.release)
        parcels = list(self._connection.call(self._releases.ListParcels, request).parcels)
        missing = sorted(set(manifest.partner_names) - {p.partner for p in parcels})
        if missing:
            raise NotReadyError(
                f"the parcels of {', '.join(missing)} have not arrived",
                remedy="Each of them must run: linkage agent contribute",
            )
        return parcels

    def open(
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

    def study_map(self, release: str) -> tuple[StudyMap, DayShifts]:
        """The index id → study id map, and what is added to each row's hidden days."""
        path = private_directory(self._home / "releases" / release) / "study-map.parquet"
        if not path.exists():
            request = release_pb2.DownloadStudyMapRequest(release=release)
            partners: list[str] = []
            index_ids: list[bytes] = []
            study_ids: list[bytes] = []
            raw_shifts = bytearray()
            for batch in self._connection.receive(self._releases.DownloadStudyMap, request):
                index_ids += split_ids(batch.index_ids)
                study_ids += split_ids(batch.study_ids)
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

    def quality(self, run: str) -> dict[str, object]:
        """A run's quality report."""
        stub = RunServiceStub(self._connection.channel)
        request = run_pb2.GetQualityReportRequest(run=run)
        report: dict[str, object] = json.loads(
            self._connection.call(stub.GetQualityReport, request).report
        )
        return report

    def acknowledge(self, release: str, study_ids: StudyMap) -> None:
        """Tell the hub that the map is here, so that it deletes its own."""
        rows = sum(len(ids) for ids in study_ids.values())
        request = release_pb2.AcknowledgeStudyMapRequest(release=release, rows=rows)
        self._connection.call(self._releases.AcknowledgeStudyMap, request)


def split_ids(raw: bytes) -> list[bytes]:
    """Ids that stand one after another."""
    return [raw[start : start + ID_BYTES] for start in range(0, len(raw), ID_BYTES)]
