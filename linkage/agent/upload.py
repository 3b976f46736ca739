"""Send a file to the hub so that a broken line, or a killed process, costs only what was on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from linkage.errors import HubUnavailableError, LinkageError, StateError
from linkage.rpc.channel import Connection
from linkage.v1 import upload_pb2 as pb
from linkage.v1.upload_pb2_grpc import UploadServiceStub

CHUNK_BYTES = 1 << 20
ATTEMPTS = 8
LONGEST_PAUSE = 10.0


def send(
    connection: Connection,
    path: Path,
    *,
    header: bytes,
    signature: bytes,
    progress: Callable[[int, int], None],
) -> pb.Receipt:
    """Announce, stream from wherever the hub stands, finish.

    Args:
        header, signature: the signed header of exactly the bytes at `path`.
        progress: told bytes sent and bytes in all.

    Raises:
        HubUnavailableError: the line broke again and again without getting any further.
    """
    stub = UploadServiceStub(connection.channel)
    request = pb.CreateUploadRequest(header=header, signature=signature)
    status = connection.call(stub.CreateUpload, request).upload
    failures, furthest = 0, status.committed_size
    while status.state == pb.UPLOAD_STATE_OPEN and status.committed_size < status.size:
        before = status.committed_size
        try:
            if failures:
                # Ask first: what the broken stream left at the hub is not known here.
                asked = pb.GetUploadRequest(upload=status.upload)
                status = connection.call(stub.GetUpload, asked).upload
                before = status.committed_size
            told = partial(_told, progress, status.size)
            connection.send(stub.WriteUpload, _messages(path, status.upload, before, told))
            status = connection.call(
                stub.GetUpload, pb.GetUploadRequest(upload=status.upload)
            ).upload
        except (HubUnavailableError, StateError) as error:
            failures = 1 if before > furthest else failures + 1
            furthest = max(furthest, before)
            if failures >= ATTEMPTS:
                raise error from None
            time.sleep(min(0.2 * 2**failures, LONGEST_PAUSE))
    progress(status.size, status.size)
    answer = connection.call(
        stub.FinishUpload, pb.FinishUploadRequest(upload=status.upload), seconds=1800
    )
    if answer.receipt.size != path.stat().st_size:
        raise LinkageError("the hub's receipt is for another size")
    return answer.receipt


def _told(progress: Callable[[int, int], None], size: int, sent: int) -> None:
    progress(sent, size)


def _messages(
    path: Path, upload: str, offset: int, sent: Callable[[int], None]
) -> Iterator[pb.WriteUploadRequest]:
    with path.open("rb") as file:
        file.seek(offset)
        first = True
        while (data := file.read(CHUNK_BYTES)) or first:
            if first:
                yield pb.WriteUploadRequest(upload=upload, write_offset=offset, data=data)
            else:
                yield pb.WriteUploadRequest(data=data)
            first = False
            offset += len(data)
            sent(offset)
