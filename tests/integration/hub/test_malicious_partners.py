"""A partner that probes, floods, or asks again until a result tells: refused by the hub, and before
anything is sent by its own agent.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkage.encodings import EncodingMatrix
from linkage.errors import AgreementError, AlreadyExistsError, NotReadyError
from linkage.trust.statements import ReleaseStatement
from linkage.v1 import release_pb2, run_pb2
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub

from .answering import agreed, matrix_of
from .conftest import (
    make_manifest,
    raw,
    share_all,
    small_matrix,
    wait_for_end,
    write_people,
)
from .test_runs import _approve

SAFE = {"min_change": 10, "min_overlap": 10, "min_apart": 10}


def project(steward, members, **settings: Any):
    return agreed(steward, members, make_manifest(**settings))


def by_agents(steward, members, manifest):
    """An active project whose agents hold the secret."""
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    return manifest


def flooded(matrix: EncodingMatrix, rows: int) -> EncodingMatrix:
    words = matrix.words.copy()
    words[:, :rows] = words[:, :1]
    return replace(matrix, words=words)


def send(member, manifest, matrix: EncodingMatrix, **changes: Any):
    return member.upload(manifest, raw(matrix), rows=matrix.layout.rows, **changes)


def report(member, run: str, release: str = "") -> run_pb2.GetQualityReportResponse:
    request = run_pb2.GetQualityReportRequest(run=run, release=release)
    return member.connection.call(member.stub(RunServiceStub).GetQualityReport, request)


def linked(steward, members, manifest, *, common: int, alone: int) -> str:
    """A run over files of so many common people, and so many of each alone."""
    people = list(range(common + 2 * alone))
    files = {
        "sheriff": people[: common + alone],
        "health": [*people[:common], *people[common + alone :]],
    }
    for name in manifest.partner_names:
        send(members[name], manifest, matrix_of(manifest, files[name]))
    return wait_for_end(steward, steward.start_run(manifest.project).run).run


def test_a_probe_is_refused_and_changes_nothing(steward, members) -> None:
    manifest = project(steward, members, min_rows=41)
    with pytest.raises(AgreementError, match="fewer than 41 people"):
        members["sheriff"].upload(manifest, raw(small_matrix(manifest)))
    assert list(steward.project(manifest.project).uploaded) == []


def test_a_flood_is_refused_and_changes_nothing(steward, members) -> None:
    manifest = project(steward, members, safeguards={**SAFE, "rows_per_person": 3})
    with pytest.raises(AgreementError, match="people encoded alike in match key 'all'"):
        members["sheriff"].upload(manifest, raw(flooded(small_matrix(manifest), 4)))
    assert list(steward.project(manifest.project).uploaded) == []
    members["sheriff"].upload(manifest, raw(flooded(small_matrix(manifest), 3)))


def test_an_agent_refuses_a_probe_before_anything_is_sent(steward, members, tmp_path) -> None:
    manifest = by_agents(steward, members, make_manifest(min_rows=31))
    sheriff = members["sheriff"]
    file = write_people(tmp_path / "sheriff.csv", seed=1, rows=30)
    before = sheriff.connection.wire.sent
    with pytest.raises(AgreementError, match="fewer than 31 people") as caught:
        sheriff.agent().submit(sheriff.connection, manifest.project, file)
    assert caught.value.remedy
    assert sheriff.connection.wire.sent - before < 20_000


def test_encodings_are_sealed_as_soon_as_a_run_stands_on_them(steward, members) -> None:
    """Until then a replacement tells nothing: nobody has seen anything of a result."""
    manifest = project(steward, members)
    sheriff, health = (members[name] for name in manifest.partner_names)
    sheriff.upload(manifest, raw(small_matrix(manifest)))
    health.upload(manifest, raw(small_matrix(manifest, 1)))
    steward.cancel(steward.start_run(manifest.project).run)
    sheriff.upload(manifest, raw(small_matrix(manifest, 2)))
    run = steward.start_run(manifest.project).run
    with pytest.raises(AlreadyExistsError):
        sheriff.upload(manifest, raw(small_matrix(manifest, 3)))
    wait_for_end(steward, run)
    with pytest.raises(AlreadyExistsError):
        sheriff.upload(manifest, raw(small_matrix(manifest, 3)))


def test_a_later_round_that_differs_by_a_few_people_is_refused(steward, members) -> None:
    manifest = project(steward, members, safeguards={**SAFE, "min_overlap": 0})
    linked(steward, members, manifest, common=30, alone=20)
    sheriff = members["sheriff"]
    few = matrix_of(manifest, [*range(50), 999])
    with pytest.raises(AgreementError, match="differ from the last ones by fewer than 10 people"):
        send(sheriff, manifest, few, round=1)
    # Other handles for everybody, and one of them many times, are no change of people.
    handles = np.random.default_rng(5).integers(0, 256, (60, 16), dtype=np.uint8)
    many = matrix_of(manifest, [*range(50), *[999] * 10])
    with pytest.raises(AgreementError):
        send(sheriff, manifest, replace(many, handles=handles, groups=handles.copy()), round=1)
    send(sheriff, manifest, matrix_of(manifest, [*range(50), *range(990, 1000)]), round=1)


def test_nobody_sees_a_result_of_a_few_people(steward, members) -> None:
    manifest = project(steward, members, safeguards=SAFE)
    run = linked(steward, members, manifest, common=5, alone=40)
    with pytest.raises(AgreementError, match="fewer than 10 people of 'sheriff' and 'health'"):
        steward.release(run, 0.9)
    for name in ("sheriff", "health"):
        with pytest.raises(NotReadyError, match="no release of this run is proposed"):
            report(members[name], run)
    with pytest.raises(NotReadyError, match="approved by every partner"):
        report(members["county"], run)


def test_nobody_sees_a_result_that_leaves_nearly_nobody_out(steward, members) -> None:
    manifest = project(steward, members, safeguards=SAFE)
    run = linked(steward, members, manifest, common=60, alone=5)
    with pytest.raises(AgreementError, match="one has fewer than 10 people left unlinked"):
        steward.release(run, 0.9)


def test_partners_get_rounded_counts_of_a_proposed_release_and_no_scores(steward, members) -> None:
    manifest = project(steward, members, safeguards=SAFE)
    run = linked(steward, members, manifest, common=37, alone=25)
    release = steward.release(run, 0.9)
    sheriff, county = members["sheriff"], members["county"]
    seen = report(sheriff, run, release.release)
    assert seen.report == b""
    said = json.loads(seen.summary)
    assert said["pairs"]["sheriff|health"]["linked"] % 10 == 0
    assert set(said) == {"kind", "threshold", "pairs", "precision", "recall"}
    listed = sheriff.stub(ReleaseServiceStub).GetRelease
    found = sheriff.connection.call(
        listed, release_pb2.GetReleaseRequest(release=release.release)
    ).release
    assert not found.HasField("continuity")
    with pytest.raises(NotReadyError):
        report(county, run, release.release)
    for name in manifest.partner_names:
        _approve(members[name], release)
    assert json.loads(report(county, run).report)["recommended"]
    with pytest.raises(NotReadyError):
        report(sheriff, run, "0" * 32)


def test_a_manifest_may_show_partners_all(steward, members) -> None:
    manifest = project(steward, members, safeguards={**SAFE, "partner_report": "full"})
    run = linked(steward, members, manifest, common=37, alone=25)
    release = steward.release(run, 0.9)
    assert json.loads(report(members["sheriff"], run, release.release).report)["recommended"]


def test_an_agent_does_not_approve_what_the_hub_should_have_withheld(
    hub, steward, members, tmp_path: Path
) -> None:
    """The hub was broken into: it proposes a release with hardly anybody in common."""
    strict = make_manifest(safeguards={**SAFE, "min_overlap": 30})
    manifest = by_agents(steward, members, strict)
    for seed, name in enumerate(manifest.partner_names):
        member = members[name]
        file = write_people(tmp_path / f"{name}.csv", seed=seed)
        member.agent().submit(member.connection, manifest.project, file)
    run = wait_for_end(steward, steward.start_run(manifest.project).run).run
    release = steward.release(run, None)
    row = {"pairs": {"sheriff|health": {"linked": 10, "unlinked": [50, 50]}}}
    said = ReleaseStatement.parse(release.statement)
    forged = json.dumps(row).encode()
    blob = hub.home.path / "blobs" / "releases" / release.release / "summary.json"
    blob.write_bytes(forged)
    _restate(hub, release.release, said, forged)
    sheriff = members["sheriff"]
    with pytest.raises(AgreementError, match="fewer than 30 people"):
        sheriff.agent().approve(sheriff.connection, manifest.project)


def _restate(hub, release: str, said: ReleaseStatement, shown: bytes) -> None:
    from linkage.agreement.canonical import fingerprint
    from linkage.store import tables
    from linkage.store.sql import update

    changed = said.model_copy(update={"summary": fingerprint(shown)})
    with hub.database().transaction() as connection:
        update(connection, tables.release, {"id": release}, statement=changed.canonical)
