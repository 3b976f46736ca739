"""Comparison rounds."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from linkage.hub.comparisons import Comparisons
from linkage.hub.logview import LogView
from linkage.hub.servicers.common import Callers, name_of, stamp
from linkage.hub.servicers.log import receipt_message
from linkage.v1 import comparison_pb2 as comparison
from linkage.v1.comparison_pb2_grpc import ComparisonServiceServicer


class ComparisonServicer(Callers, ComparisonServiceServicer):
    def __init__(self, hub: str, use_cases: Comparisons, log: LogView) -> None:
        super().__init__(hub)
        self._use = use_cases
        self._log = log

    def ListComparisons(
        self, request: comparison.ListComparisonsRequest, context: grpc.ServicerContext
    ) -> comparison.ListComparisonsResponse:
        rows = self._use.list(self._caller(context), name_of(request.project))
        return comparison.ListComparisonsResponse(
            comparisons=[
                comparison.Comparison(
                    run=row["run"],
                    project=row["project"],
                    other=row["other"],
                    entries=row["entries"],
                    digest=row["digest"],
                    upload=row["upload"],
                    epoch=row["epoch"],
                    fingerprint=row["fingerprint"],
                    answered=row["answered_at"] is not None,
                    deadline=stamp(row["deadline"]),
                    log=receipt_message(self._log.receipt_of_list(row["run"], row["digest"])),
                )
                for row in rows
            ]
        )

    def DownloadRequests(
        self, request: comparison.DownloadRequestsRequest, context: grpc.ServicerContext
    ) -> Iterator[comparison.DownloadRequestsResponse]:
        chunks = self._use.requests(
            self._caller(context), name_of(request.run), name_of(request.other), request.offset
        )
        for chunk in chunks:
            yield comparison.DownloadRequestsResponse(data=chunk)
