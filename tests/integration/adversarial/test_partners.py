"""A partner that probes: with few people, with one person many times, or round after round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from linkage.agreement import Manifest
from linkage.encodings import EncodingMatrix
from linkage.errors import AgreementError, AlreadyExistsError, NotReadyError
from linkage.hub.steward import Steward
from linkage.v1 import release_pb2, run_pb2
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub
from tests.integration.hub.answering import agreed as agreed_by_all
from tests.integration.hub.answering import matrix_of
from tests.integration.hub.conftest import make_manifest, raw, small_matrix, wait_for_end

from .attack import Attack

SAFE = {"min_change": 10, "min_overlap": 10, "min_apart": 10}
STEWARD = "steward/steward"


def _sent(member: Any, manifest: Manifest, matrix: EncodingMatrix, **changes: Any) -> str:
    """All of an upload but its end."""
    data = raw(matrix)
    header = member.header(manifest, data, rows=matrix.layout.rows, **changes)
    upload = str(member.create(header).upload)
    member.write(upload, 0, [data])
    return upload


def _linked(steward: Steward, members: Any, manifest: Manifest, common: int, alone: int) -> str:
    people = list(range(common + 2 * alone))
    files = {
        "sheriff": people[: common + alone],
        "health": [*people[:common], *people[common + alone :]],
    }
    for name in manifest.partner_names:
        matrix = matrix_of(manifest, files[name])
        members[name].finish(_sent(members[name], manifest, matrix))
    return str(wait_for_end(steward, steward.start_run(manifest.project).run).run)


def test_a_file_of_few_people(attack: Attack, steward: Steward, members: Any) -> None:
    """Who learns the count of links of one person has learnt about that person."""
    manifest = agreed_by_all(steward, members, make_manifest(min_rows=41))
    sheriff = members["sheriff"]
    upload = _sent(sheriff, manifest, small_matrix(manifest))
    with attack.refused(AgreementError, method="FinishUpload", match="fewer than 41 people"):
        sheriff.finish(upload)


def test_a_flood_of_one_person(attack: Attack, steward: Steward, members: Any) -> None:
    """Many records that are one person attract its links, whoever they are called."""
    safe = {**SAFE, "rows_per_person": 3}
    manifest = agreed_by_all(steward, members, make_manifest(safeguards=safe))
    matrix = small_matrix(manifest)
    words = matrix.words.copy()
    words[:, :4] = words[:, :1]
    sheriff = members["sheriff"]
    upload = _sent(sheriff, manifest, replace(matrix, words=words))
    with attack.refused(AgreementError, method="FinishUpload", match="encoded alike"):
        sheriff.finish(upload)


def test_a_result_of_few_people(attack: Attack, steward: Steward, members: Any) -> None:
    """Nobody proposes it, and nobody sees it meanwhile."""
    manifest = agreed_by_all(steward, members, make_manifest(safeguards=SAFE))
    run = _linked(steward, members, manifest, common=5, alone=40)
    with attack.refused(AgreementError, method="CreateRelease", by=STEWARD, match="fewer than 10"):
        steward.release(run, 0.9)
    for name in ("sheriff", "health"):
        member = members[name]
        with attack.refused(NotReadyError, method="GetQualityReport", by=f"partner/{name}"):
            request = run_pb2.GetQualityReportRequest(run=run)
            member.connection.call(member.stub(RunServiceStub).GetQualityReport, request)


def test_a_result_that_leaves_nearly_nobody_out(
    attack: Attack, steward: Steward, members: Any
) -> None:
    """It would say of nearly everybody that they are in the other's file."""
    manifest = agreed_by_all(steward, members, make_manifest(safeguards=SAFE))
    run = _linked(steward, members, manifest, common=60, alone=5)
    with attack.refused(AgreementError, method="CreateRelease", by=STEWARD, match="unlinked"):
        steward.release(run, 0.9)


def test_rounds_that_differ_by_one_person(attack: Attack, steward: Steward, members: Any) -> None:
    """The difference of two counts would be that person's."""
    safe = {**SAFE, "min_overlap": 0}
    manifest = agreed_by_all(steward, members, make_manifest(safeguards=safe))
    _linked(steward, members, manifest, common=30, alone=20)
    sheriff = members["sheriff"]
    few = _sent(sheriff, manifest, matrix_of(manifest, [*range(50), 999]), round=1)
    with attack.refused(AgreementError, method="FinishUpload", match="fewer than 10 people"):
        sheriff.finish(few)


def test_other_encodings_once_a_run_stands_on_them(
    attack: Attack, steward: Steward, members: Any
) -> None:
    manifest = agreed_by_all(steward, members, make_manifest(safeguards=SAFE))
    _linked(steward, members, manifest, common=30, alone=20)
    sheriff = members["sheriff"]
    other = matrix_of(manifest, range(100, 150))
    with attack.refused(AlreadyExistsError, method="CreateUpload"):
        _sent(sheriff, manifest, other)


def test_a_release_that_another_has_not_approved_shows_nothing(
    attack: Attack, steward: Steward, members: Any
) -> None:
    manifest = agreed_by_all(steward, members, make_manifest(safeguards=SAFE))
    run = _linked(steward, members, manifest, common=37, alone=25)
    release = steward.release(run, 0.9)
    sheriff = members["sheriff"]
    request = release_pb2.ApproveReleaseRequest(
        release=release.release, signature=sheriff.signature(release.statement)
    )
    sheriff.connection.call(sheriff.stub(ReleaseServiceStub).ApproveRelease, request)
    with attack.refused(NotReadyError, method="DownloadIndexIds"):
        call = sheriff.stub(ReleaseServiceStub).DownloadIndexIds
        request = release_pb2.DownloadIndexIdsRequest(release=release.release)
        list(sheriff.connection.receive(call, request))
