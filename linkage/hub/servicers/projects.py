"""Projects and their manifests."""

from __future__ import annotations

import grpc

from linkage.hub.projects import Project, Projects
from linkage.hub.servicers.common import (
    Callers,
    name_of,
    page_size_of,
    party_message,
    stamp,
)
from linkage.v1 import project_pb2 as project
from linkage.v1.project_pb2_grpc import ProjectServiceServicer


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
        found = self._use.get(self._caller(context), name_of(request.project))
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
        found = self._use.sign(
            self._caller(context), name_of(request.project), request.fingerprint, request.signature
        )
        return project.SignManifestResponse(project=_project(found))


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
                signed_at=stamp(row["signed_at"]),
            )
            for row in found.signatures
        ],
        parties=[party_message(row) for row in found.parties],
        epoch=found.epoch,
        uploaded=found.uploaded,
    )
