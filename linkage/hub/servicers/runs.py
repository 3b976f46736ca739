"""Runs."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from linkage.hub import states
from linkage.hub.runs import Runs
from linkage.hub.servicers.common import (
    Callers,
    name_of,
    page_size_of,
    request_id_of,
    stamp,
)
from linkage.hub.showing import Showing
from linkage.store.sql import Row
from linkage.v1 import run_pb2 as run
from linkage.v1.run_pb2_grpc import RunServiceServicer

_RUN_STATES = {
    states.PENDING: run.RUN_STATE_PENDING,
    states.RUNNING: run.RUN_STATE_RUNNING,
    states.WAITING: run.RUN_STATE_WAITING,
    states.SUCCEEDED: run.RUN_STATE_SUCCEEDED,
    states.FAILED: run.RUN_STATE_FAILED,
    states.CANCELLED: run.RUN_STATE_CANCELLED,
}


class RunServicer(Callers, RunServiceServicer):
    def __init__(self, hub: str, use_cases: Runs, showing: Showing) -> None:
        super().__init__(hub)
        self._use = use_cases
        self._showing = showing

    def CreateRun(
        self, request: run.CreateRunRequest, context: grpc.ServicerContext
    ) -> run.CreateRunResponse:
        row = self._use.create(
            self._caller(context), name_of(request.project), request_id_of(request.request_id)
        )
        return run.CreateRunResponse(run=_run(row))

    def GetRun(
        self, request: run.GetRunRequest, context: grpc.ServicerContext
    ) -> run.GetRunResponse:
        return run.GetRunResponse(
            run=_run(self._use.get(self._caller(context), name_of(request.run)))
        )

    def ListRuns(
        self, request: run.ListRunsRequest, context: grpc.ServicerContext
    ) -> run.ListRunsResponse:
        size = page_size_of(request.page_size)
        rows = self._use.list(
            self._caller(context),
            name_of(request.project),
            after=name_of(request.page_token),
            size=size,
        )
        return run.ListRunsResponse(
            runs=[_run(row) for row in rows],
            next_page_token=rows[-1]["id"] if len(rows) == size else "",
        )

    def WatchRun(
        self, request: run.WatchRunRequest, context: grpc.ServicerContext
    ) -> Iterator[run.WatchRunResponse]:
        rows = self._use.watch(
            self._caller(context), name_of(request.run), active=context.is_active
        )
        for row in rows:
            yield run.WatchRunResponse(run=_run(row))

    def CancelRun(
        self, request: run.CancelRunRequest, context: grpc.ServicerContext
    ) -> run.CancelRunResponse:
        row = self._use.cancel(self._caller(context), name_of(request.run))
        return run.CancelRunResponse(run=_run(row))

    def GetQualityReport(
        self, request: run.GetQualityReportRequest, context: grpc.ServicerContext
    ) -> run.GetQualityReportResponse:
        shown = self._showing.report(
            self._caller(context), name_of(request.run), name_of(request.release)
        )
        return run.GetQualityReportResponse(report=shown.report, summary=shown.summary)

    def ListLinks(
        self, request: run.ListLinksRequest, context: grpc.ServicerContext
    ) -> Iterator[run.ListLinksResponse]:
        batches = self._use.links(
            self._caller(context), name_of(request.run), request.min_probability
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


def _run(row: Row) -> run.Run:
    ended, deadline = row["ended_at"], row["deadline"]
    return run.Run(
        run=row["id"],
        project=row["project"],
        state=_RUN_STATES[row["state"]],
        step=row["step"],
        progress=row["progress"],
        reason=row["reason"],
        message=row["message"],
        created_at=stamp(row["created_at"]),
        ended_at=None if ended is None else stamp(ended),
        fingerprint=row["fingerprint"],
        epoch=row["epoch"],
        waiting_for=row["waiting_for"],
        deadline=None if deadline is None else stamp(deadline),
    )
