"""Uploads."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from linkage.errors import InvalidRequestError
from linkage.hub.logview import LogView
from linkage.hub.servicers.common import (
    Callers,
    name_of,
    stamp,
)
from linkage.hub.servicers.log import receipt_message
from linkage.hub.uploads import Uploads, UploadStatus
from linkage.v1 import upload_pb2 as upload
from linkage.v1.upload_pb2_grpc import UploadServiceServicer

# Messages without a byte bring a stream no nearer to its end.
MAX_EMPTY = 100


class UploadServicer(Callers, UploadServiceServicer):
    def __init__(self, hub: str, use_cases: Uploads, log: LogView) -> None:
        super().__init__(hub)
        self._use = use_cases
        self._log = log

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
            empty = 0
            for request in requests:
                empty += not request.data
                if empty > MAX_EMPTY:
                    raise InvalidRequestError("too many messages of the stream hold no bytes")
                yield request.data

        size = self._use.write(
            self._caller(context), name_of(first.upload), first.write_offset, chunks()
        )
        return upload.WriteUploadResponse(committed_size=size)

    def GetUpload(
        self, request: upload.GetUploadRequest, context: grpc.ServicerContext
    ) -> upload.GetUploadResponse:
        status = self._use.status(self._caller(context), name_of(request.upload))
        return upload.GetUploadResponse(upload=_upload(status))

    def FinishUpload(
        self, request: upload.FinishUploadRequest, context: grpc.ServicerContext
    ) -> upload.FinishUploadResponse:
        caller = self._caller(context)
        receipt = self._use.finish(caller, name_of(request.upload))
        return upload.FinishUploadResponse(
            receipt=upload.Receipt(
                upload=receipt.id,
                header_fingerprint=receipt.header_fingerprint,
                digest=receipt.digest,
                size=receipt.size,
                received_at=stamp(receipt.received_at),
                log=receipt_message(self._log.receipt("upload.finished", receipt.id, caller)),
            )
        )


def _upload(status: UploadStatus) -> upload.Upload:
    return upload.Upload(
        upload=status.id,
        state=upload.UPLOAD_STATE_FINISHED if status.finished else upload.UPLOAD_STATE_OPEN,
        committed_size=status.committed_size,
        size=status.size,
    )
