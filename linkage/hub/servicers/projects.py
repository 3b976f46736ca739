"""Projects and their manifests."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from linkage.agreement.canonical import canonical
from linkage.hub.logview import LogView
from linkage.hub.project import Account
from linkage.hub.projects import Projects
from linkage.hub.servicers.common import (
    Callers,
    name_of,
    page_size_of,
    party_message,
    request_id_of,
    stamp,
)
from linkage.hub.servicers.log import receipt_message
from linkage.store.sql import Row
from linkage.v1 import project_pb2 as project
from linkage.v1.project_pb2_grpc import ProjectServiceServicer


class ProjectServicer(Callers, ProjectServiceServicer):
    def __init__(self, hub: str, use_cases: Projects, log: LogView) -> None:
        super().__init__(hub)
        self._use = use_cases
        self._log = log

    def CreateProject(
        self, request: project.CreateProjectRequest, context: grpc.ServicerContext
    ) -> project.CreateProjectResponse:
        found = self._use.create(self._caller(context), request.manifest)
        return project.CreateProjectResponse(project=_project(found))

    def GetProject(
        self, request: project.GetProjectRequest, context: grpc.ServicerContext
    ) -> project.GetProjectResponse:
        found = self._use.account(self._caller(context), name_of(request.project))
        return project.GetProjectResponse(project=_project(found))

    def ListProjects(
        self, request: project.ListProjectsRequest, context: grpc.ServicerContext
    ) -> project.ListProjectsResponse:
        size = page_size_of(request.page_size)
        names = self._use.list(self._caller(context), after=name_of(request.page_token), size=size)
        return project.ListProjectsResponse(
            projects=names, next_page_token=names[-1] if len(names) == size else ""
        )

    def SignManifest(
        self, request: project.SignManifestRequest, context: grpc.ServicerContext
    ) -> project.SignManifestResponse:
        caller = self._caller(context)
        found = self._use.sign(
            caller, name_of(request.project), request.fingerprint, request.signature
        )
        proof = self._log.receipt("manifest.signed", request.fingerprint, caller)
        return project.SignManifestResponse(project=_project(found), log=receipt_message(proof))

    def WithdrawProposal(
        self, request: project.WithdrawProposalRequest, context: grpc.ServicerContext
    ) -> project.WithdrawProposalResponse:
        self._use.withdraw(
            self._caller(context), name_of(request.project), name_of(request.fingerprint)
        )
        return project.WithdrawProposalResponse()

    def RotateEpoch(
        self, request: project.RotateEpochRequest, context: grpc.ServicerContext
    ) -> project.RotateEpochResponse:
        found = self._use.rotate(
            self._caller(context),
            name_of(request.project),
            request.reason,
            request_id_of(request.request_id),
        )
        return project.RotateEpochResponse(project=_project(found))


def _project(account: Account) -> project.Project:
    found, proposal = account.project, account.proposal
    return project.Project(
        name=found.name,
        manifest=found.manifest.canonical,
        fingerprint=found.fingerprint,
        state=project.PROJECT_STATE_ACTIVE if found.active else project.PROJECT_STATE_PROPOSED,
        signatures=_signatures(found.signatures),
        parties=[party_message(row) for row in found.parties],
        epoch=found.epoch,
        uploaded=found.uploaded,
        committed=account.committed,
        revealed=account.revealed,
        proposal=None
        if proposal is None
        else project.Proposal(
            manifest=proposal.manifest.canonical,
            fingerprint=proposal.manifest.fingerprint,
            signatures=_signatures(proposal.signatures),
            epoch=proposal.epoch,
        ),
        epochs=[
            project.Epoch(
                epoch=row["epoch"],
                fingerprint=row["fingerprint"],
                started_at=stamp(row["started_at"]),
                reason=row["reason"],
            )
            for row in account.epochs
        ],
        audits=[
            project.Audited(partner=name, summary=canonical(said.model_dump(mode="json")))
            for name, said in sorted(account.audits.items())
        ],
    )


def _signatures(rows: Sequence[Row]) -> list[project.ManifestSignature]:
    return [
        project.ManifestSignature(
            partner=row["partner"], signature=row["signature"], signed_at=stamp(row["signed_at"])
        )
        for row in rows
    ]
