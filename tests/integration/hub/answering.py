"""Play the agents' part of a comparison round by hand, so that it can be played wrongly too."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.agreement import Manifest
from linkage.answers import Answers, Requests
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.hub.steward import Steward
from linkage.store import tables
from linkage.store.sql import now, update
from linkage.trust.headers import AnswersHeader, expiry, new_nonce
from linkage.v1 import comparison_pb2, run_pb2
from linkage.v1.comparison_pb2_grpc import ComparisonServiceStub

from .conftest import Hub, Member, make_manifest, raw

SECONDS = 30.0
HOURS = 5


def keyed_manifest(**changes: Any) -> Manifest:
    matching = {"pair_keyed": True, "answer_hours": HOURS, "answer_runs": 10}
    return make_manifest(**{"matching": matching, **changes})


def matrix_of(manifest: Manifest, people: Sequence[int], *, seed: int = 0) -> EncodingMatrix:
    """Made-up encodings of people; equal for one person, whatever the file."""
    keys = tuple(key.name for key in manifest.match_keys)
    scheme = manifest.scheme
    layout = EncodingLayout(scheme.name, scheme.bits, keys, len(people), manifest.fingerprint)
    words = np.stack(
        [
            np.random.default_rng(person).integers(
                1, 1 << 63, (len(keys), layout.words_per_row), dtype=np.uint64
            )
            for person in people
        ],
        axis=1,
    )
    handles = np.random.default_rng(seed).integers(0, 256, (len(people), 16), dtype=np.uint8)
    nothing = np.empty((len(people), 0), np.uint8)
    present = np.ones((len(keys), len(people)), np.bool_)
    return EncodingMatrix(layout, handles, handles, nothing, present, words)


def submit(member: Member, manifest: Manifest, people: Sequence[int]) -> None:
    seed = 1 + manifest.partner_names.index(member.name)
    data = raw(matrix_of(manifest, people, seed=seed))
    member.upload(manifest, data, rows=len(people))


def agreed(steward: Steward, members: dict[str, Member], manifest: Manifest) -> Manifest:
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].sign_manifest(manifest)
    return manifest


def state_of(steward: Steward, project: str, run: str) -> run_pb2.Run:
    return next(r for r in steward.runs(project) if r.run == run)


def wait_until_waiting(steward: Steward, project: str, run: str) -> run_pb2.Run:
    give_up = time.monotonic() + SECONDS
    while True:
        found = state_of(steward, project, run)
        if found.state == run_pb2.RUN_STATE_WAITING:
            return found
        assert found.state in {run_pb2.RUN_STATE_PENDING, run_pb2.RUN_STATE_RUNNING}, found
        assert time.monotonic() < give_up
        time.sleep(0.05)


def lists_of(member: Member, project: str) -> list[comparison_pb2.Comparison]:
    request = comparison_pb2.ListComparisonsRequest(project=project)
    stub = member.stub(ComparisonServiceStub)
    return list(member.connection.call(stub.ListComparisons, request).comparisons)


def download(member: Member, run: str, other: str, offset: int = 0) -> bytes:
    request = comparison_pb2.DownloadRequestsRequest(run=run, other=other, offset=offset)
    stub = member.stub(ComparisonServiceStub)
    chunks = member.connection.receive(stub.DownloadRequests, request)
    return b"".join(chunk.data for chunk in chunks)


def answers_to(
    requests: Requests, people: Sequence[int], fields: int, missing: npt.ArrayLike = ()
) -> Answers:
    """What rows of these people say: the same words wherever one of them stands."""
    words = np.stack(
        [
            np.random.default_rng([9, person]).integers(0, 1 << 64, (fields, 4), dtype=np.uint64)
            for person in people
        ]
    )[requests.rows]
    present = ~np.isin(requests.rows, missing)[:, np.newaxis] & np.ones((1, fields), np.bool_)
    words[~present] = 0
    nothing = np.zeros_like(present)
    return Answers(words, present, nothing, nothing.astype(np.uint8))


def header_of(
    member: Member,
    manifest: Manifest,
    asked: comparison_pb2.Comparison,
    data: bytes,
    **changes: Any,
) -> AnswersHeader:
    fields: dict[str, Any] = {
        "project": manifest.project,
        "fingerprint": manifest.fingerprint,
        "epoch": 0,
        "partner": member.name,
        "digest": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "nonce": new_nonce(),
        "expires": expiry(),
        "run": asked.run,
        "other": asked.other,
        "requests": asked.digest,
        "entries": asked.entries,
        "fields": len(manifest.fields),
    }
    return AnswersHeader(**{**fields, **changes})


def answer(
    member: Member,
    manifest: Manifest,
    asked: comparison_pb2.Comparison,
    people: Sequence[int],
    missing: npt.ArrayLike = (),
) -> Any:
    """The whole of an honest agent's part in one comparison."""
    requests = Requests.from_bytes(download(member, asked.run, asked.other))
    data = answers_to(requests, people, len(manifest.fields), missing).to_bytes()
    upload = member.create(header_of(member, manifest, asked, data)).upload
    member.write(upload, 0, [data])
    return member.finish(upload)


def pass_deadline(hub: Hub, run: str) -> None:
    """Nobody wants to wait for hours."""
    with hub.database().transaction() as connection:
        assert update(connection, tables.comparison, {"run": run}, deadline=now() - 1)


def left_behind(hub: Hub, run: str) -> list[str]:
    """Lists, plans and answers of a run that are still at the hub."""
    with hub.database().transaction() as connection:
        query = tables.upload.select().where(tables.upload.c.run == run)
        uploads = [row["id"] for row in connection.execute(query).mappings()]
    blobs, staging = hub.home.path / "blobs", hub.home.path / "staging"
    places = [*(blobs / "uploads" / u for u in uploads), *(staging / f"{u}.part" for u in uploads)]
    places += list((blobs / "runs" / run).rglob("work/*"))
    return [str(place) for place in places if place.exists()]


def wait_until_cleared(hub: Hub, run: str) -> None:
    give_up = time.monotonic() + SECONDS
    while left_behind(hub, run):
        assert time.monotonic() < give_up, left_behind(hub, run)
        time.sleep(0.05)
