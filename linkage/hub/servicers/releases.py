"""Releases and parcels."""

from __future__ import annotations

import json
from collections.abc import Iterator

import grpc

from linkage.agreement.safeguards import PartnerReport
from linkage.hub.handover import Handover
from linkage.hub.logview import LogView
from linkage.hub.releases import Release, Releases
from linkage.hub.servicers.common import (
    Callers,
    name_of,
    page_size_of,
    request_id_of,
    stamp,
)
from linkage.hub.servicers.log import receipt_message
from linkage.trust.identity import PartyId, Role
from linkage.v1 import release_pb2 as release
from linkage.v1.release_pb2_grpc import ReleaseServiceServicer


class ReleaseServicer(Callers, ReleaseServiceServicer):
    def __init__(self, hub: str, releases: Releases, handover: Handover, log: LogView) -> None:
        super().__init__(hub)
        self._releases = releases
        self._handover = handover
        self._log = log

    def CreateRelease(
        self, request: release.CreateReleaseRequest, context: grpc.ServicerContext
    ) -> release.CreateReleaseResponse:
        caller = self._caller(context)
        found = self._releases.create(
            caller,
            name_of(request.run),
            request.threshold if request.HasField("threshold") else None,
            request_id_of(request.request_id),
        )
        return release.CreateReleaseResponse(release=_release(found, caller))

    def GetRelease(
        self, request: release.GetReleaseRequest, context: grpc.ServicerContext
    ) -> release.GetReleaseResponse:
        caller = self._caller(context)
        found = self._releases.get(caller, name_of(request.release))
        return release.GetReleaseResponse(release=_release(found, caller))

    def ListReleases(
        self, request: release.ListReleasesRequest, context: grpc.ServicerContext
    ) -> release.ListReleasesResponse:
        size = page_size_of(request.page_size)
        caller = self._caller(context)
        found = self._releases.list(
            caller,
            name_of(request.project),
            after=name_of(request.page_token),
            size=size,
        )
        return release.ListReleasesResponse(
            releases=[_release(one, caller) for one in found],
            next_page_token=found[-1].row["id"] if len(found) == size else "",
        )

    def ConfirmRelease(
        self, request: release.ConfirmReleaseRequest, context: grpc.ServicerContext
    ) -> release.ConfirmReleaseResponse:
        caller = self._caller(context)
        found = self._releases.confirm(caller, name_of(request.release), request.signature)
        return release.ConfirmReleaseResponse(release=_release(found, caller))

    def ApproveRelease(
        self, request: release.ApproveReleaseRequest, context: grpc.ServicerContext
    ) -> release.ApproveReleaseResponse:
        caller = self._caller(context)
        found = self._releases.approve(caller, name_of(request.release), request.signature)
        proof = self._log.receipt("release.approved", found.row["id"], caller)
        return release.ApproveReleaseResponse(
            release=_release(found, caller), log=receipt_message(proof)
        )

    def DownloadIndexIds(
        self, request: release.DownloadIndexIdsRequest, context: grpc.ServicerContext
    ) -> Iterator[release.DownloadIndexIdsResponse]:
        batches = self._handover.index_ids(self._caller(context), name_of(request.release))
        for handles, ids, shifts in batches:
            yield release.DownloadIndexIdsResponse(
                handles=handles, index_ids=ids, day_shifts=shifts
            )

    def ListParcels(
        self, request: release.ListParcelsRequest, context: grpc.ServicerContext
    ) -> release.ListParcelsResponse:
        rows = self._handover.parcels(self._caller(context), name_of(request.release))
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
        chunks = self._handover.parcel(
            self._caller(context), name_of(request.upload), request.read_offset
        )
        for chunk in chunks:
            yield release.DownloadParcelResponse(data=chunk)

    def DownloadStudyMap(
        self, request: release.DownloadStudyMapRequest, context: grpc.ServicerContext
    ) -> Iterator[release.DownloadStudyMapResponse]:
        batches = self._handover.study_map(self._caller(context), name_of(request.release))
        for partner, (index_ids, study_ids, shifts) in batches:
            yield release.DownloadStudyMapResponse(
                partner=partner, index_ids=index_ids, study_ids=study_ids, day_shifts=shifts
            )

    def AcknowledgeStudyMap(
        self, request: release.AcknowledgeStudyMapRequest, context: grpc.ServicerContext
    ) -> release.AcknowledgeStudyMapResponse:
        self._handover.acknowledge(self._caller(context), name_of(request.release), request.rows)
        return release.AcknowledgeStudyMapResponse()


def _release(found: Release, caller: PartyId) -> release.Release:
    row = found.row
    # How many clusters came, went and merged since the last release tells of single people.
    whole = found.manifest.safeguards.partner_report is PartnerReport.FULL
    hidden = caller.role is Role.PARTNER and not whole
    continuity = {} if hidden else json.loads(row["continuity"])
    return release.Release(
        release=row["id"],
        project=row["project"],
        run=row["run"],
        threshold=row["threshold"],
        state=_state(found),
        statement=row["statement"],
        approvals=[
            release.Approval(
                partner=a["partner"],
                signature=a["signature"],
                approved_at=stamp(a["approved_at"]),
            )
            for a in found.approvals
        ],
        created_at=stamp(row["created_at"]),
        contributed=found.contributed,
        continuity=release.Continuity(**continuity) if continuity else None,
        confirmations=[
            release.Confirmation(
                steward=c["steward"],
                signature=c["signature"],
                confirmed_at=stamp(c["confirmed_at"]),
            )
            for c in found.confirmations
        ],
    )


def _state(found: Release) -> release.ReleaseState.ValueType:
    if found.approved:
        return release.RELEASE_STATE_APPROVED
    return release.RELEASE_STATE_PROPOSED if found.confirmed else release.RELEASE_STATE_UNCONFIRMED
