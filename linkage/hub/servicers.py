"""gRPC in, use case, gRPC out: one servicer per service, and nothing else.

Who calls is read from the verified certificate; what a message body says about it is never used.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError

from linkage.errors import InvalidRequestError
from linkage.hub import runs as run_states
from linkage.hub.keys import Enrolment, Envelopes
from linkage.hub.projects import Project, Projects
from linkage.hub.releases import Release, Releases
from linkage.hub.runs import Runs
from linkage.hub.uploads import Uploads, UploadStatus
from linkage.rpc.interceptors import certificate_of
from linkage.rpc.party import ROLES
from linkage.store.sql import Row
from linkage.trust.identity import PartyId, Role, party_of
from linkage.trust.statements import EnvelopeAddress
from linkage.v1 import enrolment_pb2 as enrolment
from linkage.v1 import project_pb2 as project
from linkage.v1 import release_pb2 as release
from linkage.v1 import run_pb2 as run
from linkage.v1 import secret_pb2 as secret
from linkage.v1 import upload_pb2 as upload
from linkage.v1.enrolment_pb2_grpc import EnrolmentServiceServicer
from linkage.v1.project_pb2_grpc import ProjectServiceServicer
from linkage.v1.release_pb2_grpc import ReleaseServiceServicer
from linkage.v1.run_pb2_grpc import RunServiceServicer
from linkage.v1.secret_pb2_grpc import SecretServiceServicer
from linkage.v1.upload_pb2_grpc import UploadServiceServicer

MAX_PAGE = 500
MAX_NAME = 128

_RUN_STATES = {
    run_states.PENDING: run.RUN_STATE_PENDING,
    run_states.RUNNING: run.RUN_STATE_RUNNING,
    run_states.SUCCEEDED: run.RUN_STATE_SUCCEEDED,
    run_states.FAILED: run.RUN_STATE_FAILED,
    run_states.CANCELLED: run.RUN_STATE_CANCELLED,
}


class Callers:
    """Base of the servicers: knows the hub's name, and so who is calling."""

    def __init__(self, hub: str) -> None:
        self._hub = hub

    def _caller(self, context: grpc.ServicerContext) -> PartyId:
        return party_of(certificate_of(context), self._hub)


class EnrolmentServicer(Callers, EnrolmentServiceServicer):
    def __init__(self, hub: str, use_cases: Enrolment) -> None:
        super().__init__(hub)
        self._use = use_cases

    def Enrol(
        self, request: enrolment.EnrolRequest, context: grpc.ServicerContext
    ) -> enrolment.EnrolResponse:
        certified = self._use.enrol(
            self._caller(context),
            token=request.token,
            request=request.certificate_request,
            signing_key=request.signing_key,
            sealing_key=request.sealing_key,
            proof=request.proof,
        )
        return enrolment.EnrolResponse(
            party=_party(
                {
                    "name": certified.party.name,
                    "role": certified.party.role,
                    "signing_key": certified.signing_key,
                    "sealing_key": certified.sealing_key,
                }
            ),
            certificate_chain=certified.chain,
            expires=_time(int(certified.expires.timestamp())),
        )

    def Renew(
        self, request: enrolment.RenewRequest, context: grpc.ServicerContext
    ) -> enrolment.RenewResponse:
        certified = self._use.renew(self._caller(context), request.certificate_request)
        return enrolment.RenewResponse(
            certificate_chain=certified.chain, expires=_time(int(certified.expires.timestamp()))
        )


class ProjectServicer(Callers, ProjectServiceServicer):
    def __init__(self, hub: str, use_cases: Projects) -> None:
        super().__init__(hub)
        self._use = use_cases

    def CreateProject(
        self, request: project.CreateProjectRequest, context: grpc.ServicerContext
    ) -> project.CreateProjectResponse:
        found = self._use.create(self._caller(context), request.manifest)
        return project.CreateProjectResponse(project=_project(found))

    def GetProject(
        self, request: project.GetProjectRequest, context: grpc.ServicerContext
    ) -> project.GetProjectResponse:
        found = self._use.get(self._caller(context), _name(request.project))
        return project.GetProjectResponse(project=_project(found))

    def ListProjects(
        self, request: project.ListProjectsRequest, context: grpc.ServicerContext
    ) -> project.ListProjectsResponse:
        size = _page_size(request.page_size)
        names = self._use.list(self._caller(context), after=_name(request.page_token), size=size)
        return project.ListProjectsResponse(
            projects=names, next_page_token=names[-1] if len(names) == size else ""
        )

    def SignManifest(
        self, request: project.SignManifestRequest, context: grpc.ServicerContext
    ) -> project.SignManifestResponse:
        found = self._use.sign(
            self._caller(context), _name(request.project), request.fingerprint, request.signature
        )
        return project.SignManifestResponse(project=_project(found))


class SecretServicer(Callers, SecretServiceServicer):
    def __init__(self, hub: str, use_cases: Envelopes) -> None:
        super().__init__(hub)
        self._use = use_cases

    def PutEnvelope(
        self, request: secret.PutEnvelopeRequest, context: grpc.ServicerContext
    ) -> secret.PutEnvelopeResponse:
        sent = request.envelope
        try:
            address = EnvelopeAddress(
                project=sent.project,
                fingerprint=sent.fingerprint,
                epoch=sent.epoch,
                sender=sent.sender,
                recipient=sent.recipient,
            )
        except ValidationError:
            raise InvalidRequestError("the envelope's address is malformed") from None
        self._use.put(self._caller(context), address, sent.sealed, sent.signature)
        return secret.PutEnvelopeResponse()

    def ListEnvelopes(
        self, request: secret.ListEnvelopesRequest, context: grpc.ServicerContext
    ) -> secret.ListEnvelopesResponse:
        rows = self._use.addressed_to(self._caller(context), _name(request.project), request.epoch)
        return secret.ListEnvelopesResponse(
            envelopes=[secret.Envelope(**dict(row)) for row in rows]
        )


class UploadServicer(Callers, UploadServiceServicer):
    def __init__(self, hub: str, use_cases: Uploads) -> None:
        super().__init__(hub)
        self._use = use_cases

    def CreateUpload(
        self, request: upload.CreateUploadRequest, context: grpc.ServicerContext
    ) -> upload.CreateUploadResponse:
        status = self._use.create(self._caller(context), request.header, request.signature)
        return upload.CreateUploadResponse(upload=_upload(status))

    def WriteUpload(
        self, requests: Iterator[upload.WriteUploadRequest], context: grpc.ServicerContext
    ) -> upload.WriteUploadResponse:
        first = next(requests, None)
        if first is None:
            raise InvalidRequestError("the stream is empty")

        def chunks() -> Iterator[bytes]:
            yield first.data
            for request in requests:
                yield request.data

        size = self._use.write(
            self._caller(context), _name(first.upload), first.write_offset, chunks()
        )
        return upload.WriteUploadResponse(committed_size=size)

    def GetUpload(
        self, request: upload.GetUploadRequest, context: grpc.ServicerContext
    ) -> upload.GetUploadResponse:
        status = self._use.status(self._caller(context), _name(request.upload))
        return upload.GetUploadResponse(upload=_upload(status))

    def FinishUpload(
        self, request: upload.FinishUploadRequest, context: grpc.ServicerContext
    ) -> upload.FinishUploadResponse:
        receipt = self._use.finish(self._caller(context), _name(request.upload))
        return upload.FinishUploadResponse(
            receipt=upload.Receipt(
                upload=receipt.id,
                header_fingerprint=receipt.header_fingerprint,
                digest=receipt.digest,
                size=receipt.size,
                received_at=_time(receipt.received_at),
            )
        )


class RunServicer(Callers, RunServiceServicer):
    def __init__(self, hub: str, use_cases: Runs) -> None:
        super().__init__(hub)
        self._use = use_cases

    def CreateRun(
        self, request: run.CreateRunRequest, context: grpc.ServicerContext
    ) -> run.CreateRunResponse:
        row = self._use.create(
            self._caller(context), _name(request.project), _request_id(request.request_id)
        )
        return run.CreateRunResponse(run=_run(row))

    def GetRun(
        self, request: run.GetRunRequest, context: grpc.ServicerContext
    ) -> run.GetRunResponse:
        return run.GetRunResponse(
            run=_run(self._use.get(self._caller(context), _name(request.run)))
        )

    def ListRuns(
        self, request: run.ListRunsRequest, context: grpc.ServicerContext
    ) -> run.ListRunsResponse:
        size = _page_size(request.page_size)
        rows = self._use.list(
            self._caller(context),
            _name(request.project),
            after=_name(request.page_token),
            size=size,
        )
        return run.ListRunsResponse(
            runs=[_run(row) for row in rows],
            next_page_token=rows[-1]["id"] if len(rows) == size else "",
        )

    def WatchRun(
        self, request: run.WatchRunRequest, context: grpc.ServicerContext
    ) -> Iterator[run.WatchRunResponse]:
        rows = self._use.watch(self._caller(context), _name(request.run), active=context.is_active)
        for row in rows:
            yield run.WatchRunResponse(run=_run(row))

    def CancelRun(
        self, request: run.CancelRunRequest, context: grpc.ServicerContext
    ) -> run.CancelRunResponse:
        row = self._use.cancel(self._caller(context), _name(request.run))
        return run.CancelRunResponse(run=_run(row))

    def GetQualityReport(
        self, request: run.GetQualityReportRequest, context: grpc.ServicerContext
    ) -> run.GetQualityReportResponse:
        report = self._use.report(self._caller(context), _name(request.run))
        return run.GetQualityReportResponse(report=report)

    def ListLinks(
        self, request: run.ListLinksRequest, context: grpc.ServicerContext
    ) -> Iterator[run.ListLinksResponse]:
        batches = self._use.links(
            self._caller(context), _name(request.run), request.min_probability
        )
        for batch in batches:
            yield run.ListLinksResponse(
                left_partner=batch.left_partner,
                right_partner=batch.right_partner,
                left_handles=batch.left_handles.tobytes(),
                right_handles=batch.right_handles.tobytes(),
                match_probability=batch.probability.tolist(),
                match_weight=batch.weight.tolist(),
            )


class ReleaseServicer(Callers, ReleaseServiceServicer):
    def __init__(self, hub: str, use_cases: Releases) -> None:
        super().__init__(hub)
        self._use = use_cases

    def CreateRelease(
        self, request: release.CreateReleaseRequest, context: grpc.ServicerContext
    ) -> release.CreateReleaseResponse:
        found = self._use.create(
            self._caller(context),
            _name(request.run),
            request.threshold if request.HasField("threshold") else None,
            _request_id(request.request_id),
        )
        return release.CreateReleaseResponse(release=_release(found))

    def GetRelease(
        self, request: release.GetReleaseRequest, context: grpc.ServicerContext
    ) -> release.GetReleaseResponse:
        found = self._use.get(self._caller(context), _name(request.release))
        return release.GetReleaseResponse(release=_release(found))

    def ListReleases(
        self, request: release.ListReleasesRequest, context: grpc.ServicerContext
    ) -> release.ListReleasesResponse:
        size = _page_size(request.page_size)
        found = self._use.list(
            self._caller(context),
            _name(request.project),
            after=_name(request.page_token),
            size=size,
        )
        return release.ListReleasesResponse(
            releases=[_release(one) for one in found],
            next_page_token=found[-1].row["id"] if len(found) == size else "",
        )

    def ApproveRelease(
        self, request: release.ApproveReleaseRequest, context: grpc.ServicerContext
    ) -> release.ApproveReleaseResponse:
        found = self._use.approve(self._caller(context), _name(request.release), request.signature)
        return release.ApproveReleaseResponse(release=_release(found))

    def DownloadIndexIds(
        self, request: release.DownloadIndexIdsRequest, context: grpc.ServicerContext
    ) -> Iterator[release.DownloadIndexIdsResponse]:
        for handles, ids in self._use.index_ids(self._caller(context), _name(request.release)):
            yield release.DownloadIndexIdsResponse(handles=handles, index_ids=ids)

    def ListParcels(
        self, request: release.ListParcelsRequest, context: grpc.ServicerContext
    ) -> release.ListParcelsResponse:
        rows = self._use.parcels(self._caller(context), _name(request.release))
        return release.ListParcelsResponse(
            parcels=[
                release.Parcel(
                    upload=row["id"],
                    partner=row["partner"],
                    header=row["header"],
                    signature=row["signature"],
                    size=row["size"],
                )
                for row in rows
            ]
        )

    def DownloadParcel(
        self, request: release.DownloadParcelRequest, context: grpc.ServicerContext
    ) -> Iterator[release.DownloadParcelResponse]:
        chunks = self._use.parcel(self._caller(context), _name(request.upload), request.read_offset)
        for chunk in chunks:
            yield release.DownloadParcelResponse(data=chunk)

    def DownloadStudyMap(
        self, request: release.DownloadStudyMapRequest, context: grpc.ServicerContext
    ) -> Iterator[release.DownloadStudyMapResponse]:
        batches = self._use.study_map(self._caller(context), _name(request.release))
        for partner, (index_ids, study_ids) in batches:
            yield release.DownloadStudyMapResponse(
                partner=partner, index_ids=index_ids, study_ids=study_ids
            )

    def AcknowledgeStudyMap(
        self, request: release.AcknowledgeStudyMapRequest, context: grpc.ServicerContext
    ) -> release.AcknowledgeStudyMapResponse:
        self._use.acknowledge(self._caller(context), _name(request.release), request.rows)
        return release.AcknowledgeStudyMapResponse()


def _name(text: str) -> str:
    if len(text) > MAX_NAME or not text.isprintable():
        raise InvalidRequestError(f"a name or token has at most {MAX_NAME} printable characters")
    return text


def _request_id(text: str) -> str:
    if not 16 <= len(text) <= 64 or not text.isalnum():
        raise InvalidRequestError("a request id is 16 to 64 letters and digits")
    return text


def _page_size(asked: int) -> int:
    return min(asked or MAX_PAGE, MAX_PAGE)


def _time(seconds: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(seconds, UTC))
    return stamp


def _party(row: Row) -> enrolment.Party:
    return enrolment.Party(
        name=row["name"],
        role=ROLES[Role(row["role"])],
        signing_key=row["signing_key"],
        sealing_key=row["sealing_key"],
    )


def _project(found: Project) -> project.Project:
    return project.Project(
        name=found.name,
        manifest=found.manifest.canonical,
        fingerprint=found.fingerprint,
        state=project.PROJECT_STATE_ACTIVE if found.active else project.PROJECT_STATE_PROPOSED,
        signatures=[
            project.ManifestSignature(
                partner=row["partner"],
                signature=row["signature"],
                signed_at=_time(row["signed_at"]),
            )
            for row in found.signatures
        ],
        parties=[_party(row) for row in found.parties],
        epoch=found.epoch,
        uploaded=found.uploaded,
    )


def _upload(status: UploadStatus) -> upload.Upload:
    return upload.Upload(
        upload=status.id,
        state=upload.UPLOAD_STATE_FINISHED if status.finished else upload.UPLOAD_STATE_OPEN,
        committed_size=status.committed_size,
        size=status.size,
    )


def _run(row: Row) -> run.Run:
    ended = row["ended_at"]
    return run.Run(
        run=row["id"],
        project=row["project"],
        state=_RUN_STATES[row["state"]],
        step=row["step"],
        progress=row["progress"],
        reason=row["reason"],
        message=row["message"],
        created_at=_time(row["created_at"]),
        ended_at=None if ended is None else _time(ended),
        fingerprint=row["fingerprint"],
        epoch=row["epoch"],
    )


def _release(found: Release) -> release.Release:
    row = found.row
    return release.Release(
        release=row["id"],
        project=row["project"],
        run=row["run"],
        threshold=row["threshold"],
        state=release.RELEASE_STATE_APPROVED if found.approved else release.RELEASE_STATE_PROPOSED,
        statement=row["statement"],
        approvals=[
            release.Approval(
                partner=a["partner"],
                signature=a["signature"],
                approved_at=_time(a["approved_at"]),
            )
            for a in found.approvals
        ],
        created_at=_time(row["created_at"]),
        contributed=found.contributed,
    )
