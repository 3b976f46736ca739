"""The transparency log."""

from __future__ import annotations

import grpc

from linkage.errors import InvalidRequestError
from linkage.hub.logview import LogProof, LogView, ShownEntry
from linkage.hub.servicers.common import Callers
from linkage.v1 import log_pb2 as pb
from linkage.v1.log_pb2_grpc import LogServiceServicer

MAX_SIZE = 1 << 53


class LogServicer(Callers, LogServiceServicer):
    def __init__(self, hub: str, use_cases: LogView) -> None:
        super().__init__(hub)
        self._use = use_cases

    def GetCheckpoint(
        self, request: pb.GetCheckpointRequest, context: grpc.ServicerContext
    ) -> pb.GetCheckpointResponse:
        found, proof = self._use.checkpoint(_size(request.since))
        return pb.GetCheckpointResponse(checkpoint=found.note, consistency=proof)

    def GetConsistencyProof(
        self, request: pb.GetConsistencyProofRequest, context: grpc.ServicerContext
    ) -> pb.GetConsistencyProofResponse:
        proof = self._use.tree.consistency(_size(request.first), _size(request.second))
        return pb.GetConsistencyProofResponse(consistency=proof)

    def GetInclusionProof(
        self, request: pb.GetInclusionProofRequest, context: grpc.ServicerContext
    ) -> pb.GetInclusionProofResponse:
        proof = self._use.tree.inclusion(_size(request.index), _size(request.size))
        return pb.GetInclusionProofResponse(inclusion=proof)

    def ListEntries(
        self, request: pb.ListEntriesRequest, context: grpc.ServicerContext
    ) -> pb.ListEntriesResponse:
        found = self._use.entries(self._caller(context), _size(request.start), request.page_size)
        return pb.ListEntriesResponse(entries=[_entry(one) for one in found])

    def PutHead(
        self, request: pb.PutHeadRequest, context: grpc.ServicerContext
    ) -> pb.PutHeadResponse:
        self._use.put_head(self._caller(context), request.statement, request.signature)
        return pb.PutHeadResponse()

    def ListHeads(
        self, request: pb.ListHeadsRequest, context: grpc.ServicerContext
    ) -> pb.ListHeadsResponse:
        return pb.ListHeadsResponse(
            heads=[
                pb.LogHead(
                    party=head.party["name"],
                    signing_key=head.party["signing_key"],
                    sealing_key=head.party["sealing_key"],
                    statement=head.statement,
                    signature=head.signature,
                )
                for head in self._use.heads(self._caller(context))
            ]
        )


def receipt_message(found: LogProof) -> pb.LogReceipt:
    return pb.LogReceipt(
        entry=_entry(found.entry), inclusion=found.inclusion, checkpoint=found.checkpoint.note
    )


def _entry(shown: ShownEntry) -> pb.LogEntry:
    opening = shown.opening
    return pb.LogEntry(
        index=shown.index,
        leaf=shown.leaf,
        salt=b"" if opening is None else opening.salt,
        entry=b"" if opening is None else opening.entry,
    )


def _size(number: int) -> int:
    if number > MAX_SIZE:
        raise InvalidRequestError("no log is that long")
    return number
