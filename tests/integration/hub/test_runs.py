"""Runs and releases: nothing starts too early, nothing leaves below what was agreed."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from linkage.errors import (
    AgreementError,
    AlreadyExistsError,
    CancelledError,
    DigestMismatchError,
    InvalidRequestError,
    KeyCheckMismatchError,
    LimitError,
    NotAgreedError,
    NotAuthorisedError,
    NotFoundError,
    NotReadyError,
    SignatureError,
    StateError,
    UntrustedKeyError,
)
from linkage.evaluator.assembler import Assembler
from linkage.store import tables
from linkage.store.sql import find, update
from linkage.trust.contributions import new_contribution as new_secret
from linkage.trust.headers import ParcelHeader, new_nonce, parse_header
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign
from linkage.v1 import release_pb2, run_pb2, upload_pb2
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub

from .conftest import (
    make_manifest,
    raw,
    seen,
    share_all,
    small_matrix,
    wait_for_end,
    write_people,
)


def _release_call(member, method: str, request):
    return member.connection.call(getattr(member.stub(ReleaseServiceStub), method), request)


def _stream(member, method: str, request) -> list:
    return list(
        member.connection.receive(getattr(member.stub(ReleaseServiceStub), method), request)
    )


def _approve(member, release):
    request = release_pb2.ApproveReleaseRequest(
        release=release.release, signature=member.signature(release.statement)
    )
    return _release_call(member, "ApproveRelease", request).release


def test_a_run_waits_for_signatures_and_uploads_by_name(steward, proposed, members) -> None:
    with pytest.raises(NotAgreedError, match="not signed by sheriff, health"):
        steward.start_run(proposed.project)
    for name in proposed.partner_names:
        members[name].sign_manifest(proposed)
    with pytest.raises(NotReadyError, match="encodings of sheriff, health"):
        steward.start_run(proposed.project)
    members["sheriff"].upload(proposed, raw(small_matrix(proposed)))
    with pytest.raises(NotReadyError, match="encodings of health have"):
        steward.start_run(proposed.project)
    data = raw(small_matrix(proposed, seed=1))
    health = members["health"]
    status = health.create(health.header(proposed, data))
    health.write(status.upload, 0, [data])
    # All bytes are there, but nobody has checked them.
    with pytest.raises(NotReadyError, match="encodings of health have"):
        steward.start_run(proposed.project)


def test_another_secret_stops_the_run(steward, members, tmp_path) -> None:
    """One agent was given another secret file; the hub sees that, and not the secret."""
    manifest = make_manifest()
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    key = (manifest.project, manifest.fingerprint, 0)
    members["health"].keyring.save_secret(*key, new_secret(), replace=True)
    for seed, name in enumerate(manifest.partner_names, 10):
        file = write_people(tmp_path / f"{name}.csv", seed=seed, rows=30)
        members[name].agent().submit(members[name].connection, manifest.project, file)
    with pytest.raises(KeyCheckMismatchError, match="sheriff / health") as caught:
        steward.start_run(manifest.project)
    assert caught.value.reason == "KEY_CHECK_MISMATCH"
    for name in manifest.partner_names:
        secret = members[name].keyring.secret(*key)
        assert secret is not None
        assert secret.hex() not in str(caught.value)
    # The way out: derive it from what was revealed once more, and send anew.
    health = members["health"]
    file = tmp_path / "health.csv"
    again = health.agent().submit(health.connection, manifest.project, file, replace=True)
    assert not again.repeated
    assert health.keyring.secret(*key) == members["sheriff"].keyring.secret(*key)
    wait_for_end(steward, steward.start_run(manifest.project).run)


def test_a_run_that_is_cancelled_stays_so(steward, active, members) -> None:
    for seed, name in enumerate(active.partner_names):
        members[name].upload(active, raw(small_matrix(active, seed)))
    run = steward.start_run(active.project).run
    assert steward.cancel(run).state == run_pb2.RUN_STATE_CANCELLED
    with pytest.raises(CancelledError):
        steward.watch(run, lambda _: None)
    with pytest.raises(NotReadyError, match="cancelled"):
        steward.report(run)
    with pytest.raises(NotReadyError, match="cancelled"):
        steward.release(run, None)
    again = steward.cancel(run)
    assert again.state == run_pb2.RUN_STATE_CANCELLED
    assert again.HasField("ended_at")


def test_a_request_id_starts_one_run_of_one_project(steward_connection, linked, active) -> None:
    stub = RunServiceStub(steward_connection.channel)
    request = run_pb2.CreateRunRequest(
        project=linked.manifest.project, request_id=secrets.token_hex(16)
    )
    first = steward_connection.call(stub.CreateRun, request).run.run
    assert steward_connection.call(stub.CreateRun, request).run.run == first
    steward_connection.call(stub.CancelRun, run_pb2.CancelRunRequest(run=first))
    other = run_pb2.CreateRunRequest(project=active.project, request_id=request.request_id)
    with pytest.raises(StateError):
        steward_connection.call(stub.CreateRun, other)
    for wrong in ("", "short", "x" * 65, "with-a-dash-inside-it"):
        with pytest.raises(InvalidRequestError):
            steward_connection.call(
                stub.CreateRun, run_pb2.CreateRunRequest(project=active.project, request_id=wrong)
            )


def test_a_finished_run_stays_finished(steward, linked) -> None:
    assert steward.cancel(linked.run).state == run_pb2.RUN_STATE_SUCCEEDED
    report = steward.report(linked.run)
    assert report["recommended"]["links"] > 40
    found = sum(len(batch.probability) for batch in steward.links(linked.run, 0.5))
    assert 60 <= found <= 100


def test_a_release_keeps_to_the_agreed_threshold(steward, linked) -> None:
    with pytest.raises(AgreementError, match=r"below 0\.6"):
        steward.release(linked.run, 0.59)
    for wrong in (0.0, -1.0, 1.5, float("nan"), float("inf")):
        with pytest.raises(InvalidRequestError):
            steward.release(linked.run, wrong)
    assert steward.release(linked.run, 1.0).threshold == 1.0


def test_a_request_id_makes_one_release_of_one_run(steward_connection, linked) -> None:
    stub = ReleaseServiceStub(steward_connection.channel)
    request = release_pb2.CreateReleaseRequest(run=linked.run, request_id=secrets.token_hex(16))
    first = steward_connection.call(stub.CreateRelease, request).release
    assert steward_connection.call(stub.CreateRelease, request).release == first


def test_nothing_leaves_before_all_have_approved(steward, linked, members) -> None:
    release = steward.release(linked.run, None)
    sheriff, health, county = (members[n] for n in ("sheriff", "health", "county"))
    found = _approve(sheriff, release)
    assert found.state == release_pb2.RELEASE_STATE_PROPOSED
    _approve(sheriff, release)
    with pytest.raises(NotReadyError):
        _stream(
            sheriff,
            "DownloadIndexIds",
            release_pb2.DownloadIndexIdsRequest(release=release.release),
        )
    with pytest.raises(NotReadyError):
        _stream(
            county, "DownloadStudyMap", release_pb2.DownloadStudyMapRequest(release=release.release)
        )
    with pytest.raises(NotReadyError):
        _release_call(
            county, "ListParcels", release_pb2.ListParcelsRequest(release=release.release)
        )
    with pytest.raises(NotReadyError):
        sheriff.agent().contribute(
            sheriff.connection, linked.manifest.project, linked.files["sheriff"], {}
        )
    assert _approve(health, release).state == release_pb2.RELEASE_STATE_APPROVED


def test_nobody_approves_for_another(steward, linked, members) -> None:
    release, other = steward.release(linked.run, None), steward.release(linked.run, None)
    sheriff, health = members["sheriff"], members["health"]
    for signature in (
        health.signature(release.statement),
        sheriff.signature(other.statement),
        bytes(64),
        b"",
    ):
        request = release_pb2.ApproveReleaseRequest(release=release.release, signature=signature)
        with pytest.raises(SignatureError):
            _release_call(sheriff, "ApproveRelease", request)


def test_index_ids_cover_every_row_and_join_to_nothing(steward, linked, members) -> None:
    """Linked or not, every row has one; in another release it has another."""
    index_ids: list[bytes] = []
    shifts: set[bytes] = set()
    for _ in range(2):
        release = steward.release(linked.run, None)
        for name in linked.manifest.partner_names:
            _approve(members[name], release)
        request = release_pb2.DownloadIndexIdsRequest(release=release.release)
        for name in linked.manifest.partner_names:
            answers = _stream(members[name], "DownloadIndexIds", request)
            ids = b"".join(answer.index_ids for answer in answers)
            handles = b"".join(answer.handles for answer in answers)
            assert len(ids) == len(handles) == 120 * 16
            parts = [ids[i : i + 16] for i in range(0, len(ids), 16)]
            assert parts == sorted(parts)
            index_ids += parts
            drawn = b"".join(answer.day_shifts for answer in answers)
            shifts |= {drawn[i : i + 4] for i in range(0, len(drawn), 4)}
    assert len(set(index_ids)) == 4 * 120
    # Drawn for rows and not for persons: those of two partners have nothing in common either.
    assert len(shifts) > 4 * 120 - 4


@pytest.fixture(scope="module")
def delivered(steward, linked, members, tmp_path_factory):
    """A release that every partner has approved and contributed to."""
    release = steward.release(linked.run, None)
    for name in linked.manifest.partner_names:
        member = members[name]
        member.agent().approve(member.connection, linked.manifest.project, release.release)
    for name in linked.manifest.partner_names:
        member = members[name]
        member.agent().contribute(
            member.connection,
            linked.manifest.project,
            linked.files[name],
            {},
            release.release,
        )
    return release.release


def _assemble(members, linked, release: str, out):
    county = members["county"]
    assembler = Assembler(county.home, county.connection)
    return assembler.assemble(linked.manifest.project, out, release=release)


def _parcel_row(hub, release: str, partner: str = "sheriff"):
    with hub.database().transaction() as connection:
        return find(connection, tables.upload, kind="parcel", release=release, partner=partner)


def test_a_parcel_signed_by_another_key_is_refused(
    hub, linked, delivered, members, tmp_path
) -> None:
    """The hub was broken into: it replaces the signature on the parcel it relays."""
    row = _parcel_row(hub, delivered)
    forged = sign(Keyring.create(tmp_path / "forger").signing_key, row["header"])
    with hub.database().transaction() as connection:
        update(connection, tables.upload, {"id": row["id"]}, signature=forged)
    try:
        with pytest.raises(SignatureError, match="'sheriff' on the parcel"):
            _assemble(members, linked, delivered, tmp_path / "out")
    finally:
        with hub.database().transaction() as connection:
            update(connection, tables.upload, {"id": row["id"]}, signature=row["signature"])
    assert not (tmp_path / "out").exists()


def test_a_key_swapped_by_the_hub_is_refused(hub, linked, delivered, members, tmp_path) -> None:
    """Signature and key fit together, but it is not the key that people compared."""
    forger, row = Keyring.create(tmp_path / "forger"), _parcel_row(hub, delivered)
    signing = members["sheriff"].keyring.signing_public
    with hub.database().transaction() as connection:
        update(connection, tables.party, {"name": "sheriff"}, signing_key=forger.signing_public)
        forged = sign(forger.signing_key, row["header"])
        update(connection, tables.upload, {"id": row["id"]}, signature=forged)
    try:
        with pytest.raises(UntrustedKeyError, match="differ from those you trusted"):
            _assemble(members, linked, delivered, tmp_path / "out")
    finally:
        with hub.database().transaction() as connection:
            update(connection, tables.party, {"name": "sheriff"}, signing_key=signing)
            update(connection, tables.upload, {"id": row["id"]}, signature=row["signature"])


def test_parcel_bytes_swapped_by_the_hub_are_refused(
    hub, linked, delivered, members, tmp_path
) -> None:
    row = _parcel_row(hub, delivered)
    path = hub.home.path / "blobs" / "uploads" / row["id"]
    data = path.read_bytes()
    try:
        for wrong in (data[:-1] + bytes([data[-1] ^ 1]), data[:-100]):
            path.write_bytes(wrong)
            with pytest.raises(DigestMismatchError):
                _assemble(members, linked, delivered, tmp_path / "out")
    finally:
        path.write_bytes(data)


def test_a_parcel_of_another_release_is_refused_by_the_assembler(
    hub, linked, delivered, members, tmp_path
) -> None:
    """The hub was broken into: it serves what a partner signed and sent for something else."""
    row, sheriff = _parcel_row(hub, delivered), members["sheriff"].keyring
    header = parse_header(row["header"])
    assert isinstance(header, ParcelHeader)
    try:
        for changes, said in (
            ({"release": "1" * 32}, "belongs to another release"),
            ({"fingerprint": "2" * 64}, "belongs to another release"),
            ({"recipient": "university"}, "is not for 'county'"),
        ):
            other = header.model_copy(update=changes).canonical
            signed = sign(sheriff.signing_key, other)
            with hub.database().transaction() as connection:
                update(connection, tables.upload, {"id": row["id"]}, header=other, signature=signed)
            with pytest.raises(AgreementError, match=said):
                _assemble(members, linked, delivered, tmp_path / "out")
    finally:
        with hub.database().transaction() as connection:
            update(
                connection,
                tables.upload,
                {"id": row["id"]},
                header=row["header"],
                signature=row["signature"],
            )


def test_a_parcel_is_read_from_any_offset_within(hub, delivered, members) -> None:
    row, county = _parcel_row(hub, delivered), members["county"]
    whole = hub.home.blobs().get(f"uploads/{row['id']}")
    for offset in (0, 1, len(whole) - 1, len(whole)):
        request = release_pb2.DownloadParcelRequest(upload=row["id"], read_offset=offset)
        answers = _stream(county, "DownloadParcel", request)
        assert b"".join(answer.data for answer in answers) == whole[offset:]
    for offset in (len(whole) + 1, (1 << 64) - 1):
        request = release_pb2.DownloadParcelRequest(upload=row["id"], read_offset=offset)
        with pytest.raises(InvalidRequestError):
            _stream(county, "DownloadParcel", request)


def test_a_stranger_cannot_tell_a_parcel_from_none(hub, delivered, members) -> None:
    errors = []
    for upload in (_parcel_row(hub, delivered)["id"], "0" * 32):
        request = release_pb2.DownloadParcelRequest(upload=upload)
        with pytest.raises(NotFoundError) as caught:
            _stream(members["stranger"], "DownloadParcel", request)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def test_the_hub_holds_no_content_in_clear(hub, linked, delivered) -> None:
    row = _parcel_row(hub, delivered)
    sealed = hub.home.blobs().get(f"uploads/{row['id']}")
    assert hashlib.sha256(sealed).hexdigest() in row["header"].decode()
    assert b"PAR1" not in sealed


def test_an_assembler_of_other_projects_gets_nothing_here(steward, members) -> None:
    """Enrolled as an assembler, named here as a reader only."""
    manifest = make_manifest(
        recipients=[
            {"name": "county", "role": "assembler"},
            {"name": "stranger", "role": "evaluator"},
        ]
    )
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].sign_manifest(manifest)
    for seed, name in enumerate(manifest.partner_names):
        members[name].upload(manifest, raw(small_matrix(manifest, seed)))
    run = steward.watch(steward.start_run(manifest.project).run, lambda _: None).run
    release = steward.release(run, 0.5)
    for name in manifest.partner_names:
        _approve(members[name], release)
    stranger = members["stranger"]
    with pytest.raises(NotAuthorisedError):
        _stream(
            stranger,
            "DownloadStudyMap",
            release_pb2.DownloadStudyMapRequest(release=release.release),
        )
    for method, request in (
        ("ListParcels", release_pb2.ListParcelsRequest),
        ("AcknowledgeStudyMap", release_pb2.AcknowledgeStudyMapRequest),
    ):
        with pytest.raises(NotAuthorisedError):
            _release_call(stranger, method, request(release=release.release))


def test_the_study_map_is_handed_over_once(hub, linked, delivered, members, tmp_path) -> None:
    """After the tests that break something: the untouched parcels open, and the map is gone."""
    county = members["county"]
    request = release_pb2.AcknowledgeStudyMapRequest(release=delivered, rows=1)
    with pytest.raises(InvalidRequestError, match="whole"):
        _release_call(county, "AcknowledgeStudyMap", request)
    extract = _assemble(members, linked, delivered, tmp_path / "out")
    assert extract.rows
    with pytest.raises(StateError, match="handed over already"):
        _stream(county, "DownloadStudyMap", release_pb2.DownloadStudyMapRequest(release=delivered))
    _release_call(county, "AcknowledgeStudyMap", request)
    assert not list((hub.home.path / "blobs" / "releases" / delivered / "study").glob("*"))
    # The assembler has its own copy and can do it again.
    assert _assemble(members, linked, delivered, tmp_path / "again").rows == extract.rows
    _require_days(tmp_path / "again")


def _require_days(extract: Path) -> None:
    """Every interval between two partners' contacts with one person is right, and no date shows."""
    people = pd.read_parquet(extract / "tables" / "people.parquet")
    found = people[["study_id", "n_partners"]]
    for name in ("sheriff", "health"):
        table = pd.read_parquet(extract / "tables" / f"{name}_contacts.parquet")
        assert str(table["day"].dtype) == "int32"
        found = found.merge(table.rename(columns={"day": name}), on="study_id", how="left")
    both = found[found["n_partners"] == 2]
    assert (both[["sheriff", "health"]].min(axis=1) == 0).all()
    between = Counter((seen(11, n) - seen(10, n)).days for n in range(80))
    # A wrong link may be among them.
    assert between <= Counter((both["health"] - both["sheriff"]).astype(int))
    assert len(both) < 90
    alone = found[found["n_partners"] == 1]
    assert (alone[["sheriff", "health"]].max(axis=1) == 0).all()


def test_a_second_parcel_is_refused(hub, delivered, members) -> None:
    sheriff = members["sheriff"]
    known = parse_header(_parcel_row(hub, delivered)["header"])
    assert isinstance(known, ParcelHeader)
    assert sheriff.create(known.canonical).state == upload_pb2.UPLOAD_STATE_FINISHED
    other = known.model_copy(update={"nonce": new_nonce()})
    with pytest.raises(AlreadyExistsError):
        sheriff.create(other.canonical)
    for changes in ({"recipient": "health"}, {"recipient": "stranger"}):
        with pytest.raises(InvalidRequestError, match="assembler"):
            sheriff.create(other.model_copy(update=changes).canonical)
    with pytest.raises(LimitError):
        sheriff.create(other.model_copy(update={"size": 1 << 40}).canonical)
