"""Uploads: what is announced arrives, whole, once, and nothing else does."""

from __future__ import annotations

import hashlib
import threading
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from linkage.agent.upload import send
from linkage.encodings import EncodingMatrix
from linkage.errors import (
    AlreadyExistsError,
    DigestMismatchError,
    FingerprintMismatchError,
    InvalidRequestError,
    LimitError,
    LinkageError,
    NotFoundError,
    NotReadyError,
    SignatureError,
    StateError,
)
from linkage.v1 import upload_pb2
from linkage.v1.upload_pb2_grpc import UploadServiceStub

from .conftest import make_manifest, raw, small_matrix, wait_for_end


@pytest.fixture
def sheriff(members):
    return members["sheriff"]


def test_a_receipt_says_what_arrived(active, sheriff, steward) -> None:
    data = raw(small_matrix(active))
    header = sheriff.header(active, data)
    status = sheriff.create(header)
    assert (status.state, status.committed_size, status.size) == (
        upload_pb2.UPLOAD_STATE_OPEN,
        0,
        len(data),
    )
    assert sheriff.write(status.upload, 0, [data[:100], b"", data[100:]]) == len(data)
    assert list(steward.project(active.project).uploaded) == []
    receipt = sheriff.finish(status.upload)
    assert receipt.digest == hashlib.sha256(data).hexdigest()
    assert receipt.header_fingerprint == hashlib.sha256(header.canonical).hexdigest()
    assert receipt.size == len(data)
    assert sheriff.finish(status.upload) == receipt
    assert sheriff.create(header).state == upload_pb2.UPLOAD_STATE_FINISHED
    assert list(steward.project(active.project).uploaded) == ["sheriff"]


def test_the_same_header_finds_the_upload_begun(active, sheriff) -> None:
    data = raw(small_matrix(active))
    header = sheriff.header(active, data)
    first = sheriff.create(header)
    sheriff.write(first.upload, 0, [data[:500]])
    again = sheriff.create(header)
    assert (again.upload, again.committed_size) == (first.upload, 500)


def test_a_new_header_gives_up_what_was_not_finished(active, sheriff) -> None:
    data = raw(small_matrix(active))
    first = sheriff.create(sheriff.header(active, data))
    sheriff.write(first.upload, 0, [data[:500]])
    second = sheriff.create(sheriff.header(active, data))
    assert second.upload != first.upload
    assert second.committed_size == 0
    with pytest.raises(NotFoundError):
        sheriff.status(first.upload)


def test_what_was_sent_may_be_replaced_and_stays_until_the_new_is_whole(
    hub, active, sheriff
) -> None:
    first = sheriff.upload(active, raw(small_matrix(active)))
    other = raw(small_matrix(active, seed=1))
    second = sheriff.create(sheriff.header(active, other)).upload
    sheriff.write(second, 0, [other[:500]])
    assert sheriff.status(first.upload).state == upload_pb2.UPLOAD_STATE_FINISHED
    sheriff.write(second, 500, [other[500:]])
    sheriff.finish(second)
    with pytest.raises(NotFoundError):
        sheriff.status(first.upload)
    assert not (hub.home.path / "blobs" / "uploads" / first.upload).exists()
    assert (hub.home.path / "blobs" / "uploads" / second).read_bytes() == other


def test_what_a_run_has_used_cannot_be_replaced(steward, active, members) -> None:
    for name in active.partner_names:
        members[name].upload(active, raw(small_matrix(active, seed=len(name))))
    late = raw(small_matrix(active, seed=9))
    begun = members["sheriff"].create(members["sheriff"].header(active, late)).upload
    members["sheriff"].write(begun, 0, [late])
    wait_for_end(steward, steward.start_run(active.project).run)
    with pytest.raises(AlreadyExistsError, match="sent its encodings already"):
        members["sheriff"].finish(begun)
    with pytest.raises(AlreadyExistsError, match="sent its encodings already"):
        members["sheriff"].create(members["sheriff"].header(active, late))


@pytest.mark.parametrize("offset", [1, 99, 101, 1 << 40, (1 << 64) - 1])
def test_a_wrong_offset_changes_nothing(active, sheriff, offset: int) -> None:
    data = raw(small_matrix(active))
    upload = sheriff.create(sheriff.header(active, data)).upload
    sheriff.write(upload, 0, [data[:100]])
    with pytest.raises(StateError, match="stands at byte 100"):
        sheriff.write(upload, offset, [data[100:]])
    with pytest.raises(StateError):
        sheriff.write(upload, 0, [data])
    assert sheriff.status(upload).committed_size == 100
    sheriff.write(upload, 100, [data[100:]])
    sheriff.finish(upload)


def test_more_bytes_than_announced_are_refused(active, sheriff) -> None:
    data = raw(small_matrix(active))
    upload = sheriff.create(sheriff.header(active, data)).upload
    with pytest.raises(LimitError):
        sheriff.write(upload, 0, [data, b"!"])
    assert sheriff.status(upload).committed_size <= len(data)
    sheriff.finish(upload)
    # Behind a finished upload nothing is written, and nothing pretends to be.
    assert sheriff.write(upload, len(data), [b"!"]) == len(data)


def test_an_empty_stream_is_refused(active, sheriff) -> None:
    with pytest.raises(InvalidRequestError, match="empty"):
        sheriff.connection.send(sheriff.stub(UploadServiceStub).WriteUpload, [])


def test_what_is_missing_is_asked_for(active, sheriff) -> None:
    data = raw(small_matrix(active))
    upload = sheriff.create(sheriff.header(active, data)).upload
    with pytest.raises(NotReadyError, match=f"{len(data)} bytes"):
        sheriff.finish(upload)
    sheriff.write(upload, 0, [data[:-1]])
    with pytest.raises(NotReadyError, match="1 bytes"):
        sheriff.finish(upload)


def test_altered_bytes_are_refused_and_the_upload_starts_over(active, sheriff) -> None:
    data = raw(small_matrix(active))
    upload = sheriff.create(sheriff.header(active, data)).upload
    altered = data[:-1] + bytes([data[-1] ^ 1])
    sheriff.write(upload, 0, [altered])
    with pytest.raises(DigestMismatchError):
        sheriff.finish(upload)
    assert sheriff.status(upload).committed_size == 0
    sheriff.write(upload, 0, [data])
    assert sheriff.finish(upload).digest == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "changes",
    [
        {"bits": 2048},
        {"scheme": "clk-v1"},
        {"scheme": ""},
        {"match_keys": ("all",)},
        {"match_keys": ("surname_dob", "all")},
        {"match_keys": ("all", "surname_dob", "third")},
        {"rows": 41},
        {"rows": 39},
        {"size": 100},
        {"size": 1 << 40},
    ],
    ids=str,
)
def test_a_layout_other_than_the_manifests_is_refused(active, sheriff, changes: dict) -> None:
    data = raw(small_matrix(active))
    with pytest.raises(InvalidRequestError):
        sheriff.create(sheriff.header(active, data, **changes))


def test_more_rows_than_agreed_are_refused(steward, members, sheriff) -> None:
    manifest = make_manifest(max_rows=39)
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].sign_manifest(manifest)
    with pytest.raises(LimitError, match="39 rows"):
        sheriff.create(sheriff.header(manifest, raw(small_matrix(manifest))))


def test_a_header_is_its_partners_own(active, sheriff) -> None:
    data = raw(small_matrix(active))
    with pytest.raises(InvalidRequestError, match="another partner"):
        sheriff.create(sheriff.header(active, data, partner="health"))


def test_a_header_is_signed_by_its_partner(active, sheriff, members) -> None:
    header = sheriff.header(active, raw(small_matrix(active)))
    other = sheriff.header(active, raw(small_matrix(active)))
    for signature in (
        members["health"].signature(header.canonical),
        sheriff.signature(other.canonical),
        bytes(64),
        b"",
    ):
        with pytest.raises(SignatureError):
            sheriff.create(header, signature)


@pytest.mark.parametrize("ago", [timedelta(seconds=2), timedelta(days=3), timedelta(days=20_000)])
def test_an_expired_header_is_refused(active, sheriff, ago: timedelta) -> None:
    expired = datetime.now(UTC).replace(microsecond=0) - ago
    with pytest.raises(InvalidRequestError, match="expired"):
        sheriff.create(sheriff.header(active, raw(small_matrix(active)), expires=expired))


def test_a_header_of_another_manifest_or_epoch_is_refused(active, sheriff) -> None:
    data = raw(small_matrix(active))
    with pytest.raises(FingerprintMismatchError):
        sheriff.create(sheriff.header(active, data, fingerprint="a" * 64))
    with pytest.raises(InvalidRequestError, match="epoch"):
        sheriff.create(sheriff.header(active, data, epoch=1))


@pytest.mark.parametrize("header", [b"", b"{}", b"x" * 20_000], ids=["empty", "object", "large"])
def test_a_malformed_header_is_refused(sheriff, header: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        sheriff.create(header)


def _without_rows(matrix: EncodingMatrix) -> None:
    matrix.words[0, 3] = 0


def _present_but_absent(matrix: EncodingMatrix) -> None:
    matrix.presence[1, 5] = False


def _all_ones(matrix: EncodingMatrix) -> None:
    matrix.words[1, 7] = np.iinfo(np.uint64).max


def _same_handle(matrix: EncodingMatrix) -> None:
    matrix.handles[2] = matrix.handles[0]


@pytest.mark.parametrize(
    "spoil", [_without_rows, _present_but_absent, _all_ones, _same_handle], ids=lambda f: f.__name__
)
def test_what_no_encoder_writes_is_refused(active, sheriff, steward, spoil) -> None:
    matrix = small_matrix(active)
    spoil(matrix)
    with pytest.raises(InvalidRequestError):
        sheriff.upload(active, raw(matrix))
    assert list(steward.project(active.project).uploaded) == []
    # The partner corrects itself and sends anew.
    sheriff.upload(active, raw(small_matrix(active)))
    assert list(steward.project(active.project).uploaded) == ["sheriff"]


def test_a_matrix_under_another_layout_is_refused(active, sheriff) -> None:
    """Announced as what it should be, but its own first bytes say otherwise."""
    matrix = small_matrix(active)
    data = raw(matrix).replace(active.fingerprint.encode(), b"f" * 64, 1)
    with pytest.raises(InvalidRequestError, match="not the one that was signed"):
        sheriff.upload(active, data)


class _CutError(Exception):
    pass


def _half_then(data: bytes, half: int, then) -> object:
    for start in range(0, half, 1000):
        yield data[start : min(start + 1000, half)]
    then()


def test_a_stream_that_was_cut_goes_on_from_the_committed_size(active, sheriff) -> None:
    data = raw(small_matrix(active))
    upload = sheriff.create(sheriff.header(active, data)).upload

    def cut() -> None:
        raise _CutError

    with pytest.raises((_CutError, LinkageError)):
        sheriff.write(upload, 0, _half_then(data, 5000, cut))
    give_up = time.monotonic() + 10
    while True:
        committed = sheriff.status(upload).committed_size
        try:
            sheriff.write(upload, committed, [data[committed:]])
            break
        except StateError:
            # The hub may not have noticed yet that the line is gone.
            assert time.monotonic() < give_up
            time.sleep(0.05)
    assert 0 <= committed <= 5000
    assert sheriff.finish(upload).digest == hashlib.sha256(data).hexdigest()


def test_of_two_writers_at_once_one_is_refused(active, sheriff) -> None:
    data = raw(small_matrix(active))
    upload = sheriff.create(sheriff.header(active, data)).upload
    writing, go_on = threading.Event(), threading.Event()

    def hold() -> object:
        yield data[:3000]
        writing.set()
        go_on.wait(20)
        yield data[3000:]

    sizes: list[int] = []
    thread = threading.Thread(target=lambda: sizes.append(sheriff.write(upload, 0, hold())))
    thread.start()
    assert writing.wait(10)
    # A second call that came before the first one's would make the first the refused one.
    time.sleep(1)
    try:
        give_up = time.monotonic() + 10
        while True:
            try:
                sheriff.write(upload, 1, [b"x"])
            except StateError as error:
                # Until the first one's bytes arrive, the offset alone is wrong.
                if "another call" in str(error):
                    break
            assert time.monotonic() < give_up
        with pytest.raises(StateError, match="another call"):
            sheriff.finish(upload)
    finally:
        go_on.set()
        thread.join(10)
    assert sizes == [len(data)]
    assert sheriff.finish(upload).digest == hashlib.sha256(data).hexdigest()


def test_the_client_sends_all_of_it_and_keeps_a_receipt(active, sheriff, tmp_path) -> None:
    data = raw(small_matrix(active))
    path = tmp_path / "encodings"
    path.write_bytes(data)
    header = sheriff.header(active, data).canonical
    told: list[tuple[int, int]] = []
    for _ in range(2):
        receipt = send(
            sheriff.connection,
            path,
            header=header,
            signature=sheriff.signature(header),
            progress=lambda done, size: told.append((done, size)),
        )
        assert receipt.digest == hashlib.sha256(data).hexdigest()
    assert told[-1] == (len(data), len(data))


def test_a_parcel_needs_an_approved_release(active, sheriff) -> None:
    from linkage.trust.headers import ParcelHeader

    fields = sheriff.header(active, b"x").model_dump()
    common = {name: fields[name] for name in ParcelHeader.model_fields if name in fields}
    header = ParcelHeader(**{**common, "kind": "parcel"}, release="0" * 32, recipient="county")
    with pytest.raises(NotFoundError):
        sheriff.create(header)
