"""Epochs and versions follow each other at a real hub, and nothing of an earlier one slips in."""

from __future__ import annotations

import time

import pytest

from linkage.agent.contact import Contact
from linkage.agent.projecthome import ProjectHome
from linkage.agent.releases import CoveredRelease
from linkage.agent.rowmap import read_row_map
from linkage.errors import (
    AgreementError,
    AlreadyExistsError,
    CancelledError,
    EpochError,
    FingerprintMismatchError,
    InvalidRequestError,
    ManifestError,
    NotAgreedError,
    NotAuthorisedError,
    NotFoundError,
    NotReadyError,
    StateError,
    TooLateError,
    TrustError,
)
from linkage.store import tables
from linkage.store.sql import find_all, update
from linkage.trust.contributions import commit, derive
from linkage.trust.keyring import key_check
from linkage.trust.statements import SecretPlace
from linkage.v1 import project_pb2, release_pb2, run_pb2, secret_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from linkage.v1.run_pb2_grpc import RunServiceStub
from linkage.v1.secret_pb2_grpc import SecretServiceStub

from .conftest import make_manifest, raw, share_all, small_matrix, wait_for_end, write_people

THREE = [{"name": "sheriff"}, {"name": "health"}, {"name": "social"}]


def sign_all(members, manifest) -> None:
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)


def next_version(manifest, **changes):
    document = manifest.model_dump(mode="json") | changes
    return make_manifest(**document | {"version": manifest.version + 1})


def projects_of(member) -> list[str]:
    stub = member.stub(ProjectServiceStub)
    return list(
        member.connection.call(stub.ListProjects, project_pb2.ListProjectsRequest()).projects
    )


def shown_to(member, name: str) -> project_pb2.Project:
    request = project_pb2.GetProjectRequest(project=name)
    return member.connection.call(member.stub(ProjectServiceStub).GetProject, request).project


def test_a_new_epoch_takes_nothing_of_the_old(hub, active, steward, members) -> None:
    for seed, name in enumerate(active.partner_names):
        members[name].upload(active, raw(small_matrix(active, seed)))
    sheriff = members["sheriff"]
    data = raw(small_matrix(active, 7))
    begun = sheriff.create(sheriff.header(active, data))
    sheriff.write(begun.upload, 0, [data[:1000]])

    found = steward.rotate(active.project, "as agreed, each year")
    assert (found.epoch, list(found.uploaded)) == (1, [])
    assert [(one.epoch, one.reason) for one in found.epochs] == [
        (0, ""),
        (1, "as agreed, each year"),
    ]
    with pytest.raises(NotReadyError, match="encodings of sheriff, health"):
        steward.start_run(active.project)
    give_up = time.monotonic() + 20
    while (hub.home.path / "staging" / f"{begun.upload}.part").exists():
        assert time.monotonic() < give_up, "the bytes of what was begun are still there"
        time.sleep(0.1)
    # What was announced in the old epoch is neither gone on with nor announced again.
    with pytest.raises(TooLateError, match="epoch 1 now"):
        sheriff.write(begun.upload, 1000, [data[1000:]])
    with pytest.raises(TooLateError):
        sheriff.finish(begun.upload)
    with pytest.raises(InvalidRequestError, match="epoch 1"):
        sheriff.create(sheriff.header(active, data))
    sheriff.upload(active, data, epoch=1)
    with pytest.raises(NotReadyError, match="encodings of health have"):
        steward.start_run(active.project)


def test_agents_go_on_with_a_new_secret_and_the_same_linkage_ids(
    hub, steward, members, tmp_path
) -> None:
    partners = [{"name": "sheriff", "record_id": "id"}, {"name": "health"}]
    manifest = make_manifest(partners=partners, matching={"threshold": 0.6, "pair_keyed": False})
    steward.propose(manifest)
    sign_all(members, manifest)
    share_all(members, manifest)
    files = {}
    for seed, name in enumerate(manifest.partner_names, 20):
        files[name] = write_people(tmp_path / f"{name}.csv", seed=seed)
    lines = files["sheriff"].read_text().splitlines()
    with files["sheriff"].open("w") as file:
        file.write("id," + lines[0] + "\n")
        file.writelines(f"{number},{line}\n" for number, line in enumerate(lines[1:]))

    def linked() -> str:
        for name in manifest.partner_names:
            member = members[name]
            member.agent().submit(member.connection, manifest.project, files[name])
        return wait_for_end(steward, steward.start_run(manifest.project).run).run

    first = steward.release(linked(), 0.6)
    for name in manifest.partner_names:
        members[name].agent().approve(members[name].connection, manifest.project)
    key = (manifest.project, manifest.fingerprint)
    old = members["sheriff"].keyring.secret(*key, 0)
    assert old is not None

    steward.rotate(manifest.project, "a laptop was lost")
    sheriff, health = members["sheriff"], members["health"]
    (status,) = [
        one
        for one in sheriff.agent().status(sheriff.connection)
        if one["project"] == manifest.project
    ]
    assert "epoch 1 has begun (a laptop was lost): submit anew" in status["next"]
    with pytest.raises(NotReadyError, match="health, who has not committed"):
        sheriff.agent().submit(sheriff.connection, manifest.project, files["sheriff"])
    assert sheriff.keyring.secret(*key, 0) == old, "kept until there is a receipt in the new epoch"
    share_all(members, manifest)
    share_all(members, manifest)
    # Turned round: records are known again by their ids, not by their place.
    lines = files["sheriff"].read_text().splitlines()
    files["sheriff"].write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    run = linked()

    for name in manifest.partner_names:
        ring = members[name].keyring
        assert ring.secret(*key, 0) is None
        assert not list((members[name].home / "keys").glob(f"*-{manifest.project}-*-0.*"))
        maps = [
            read_row_map(members[name].home / "projects" / manifest.project / f"epoch-{epoch}")
            for epoch in (0, 1)
        ]
        assert {h.tobytes() for h in maps[0].handles} == {h.tobytes() for h in maps[1].handles}
    new = sheriff.keyring.secret(*key, 1)
    assert new is not None
    assert new != old
    assert new == health.keyring.secret(*key, 1)
    second = steward.release(run, 0.6)
    since = second.continuity
    assert since.former == first.release
    assert since.kept > 0.95 * (since.kept + since.started)
    # Under a new secret, and by match keys alone, pairs near the threshold change sides.
    assert since.merged + since.split <= 0.1 * since.kept
    # A release of the old epoch goes on: the agreement is the same.
    listed = [one.release for one in steward.releases(manifest.project)]
    assert set(listed) == {first.release, second.release}
    sheriff.agent().approve(sheriff.connection, manifest.project, first.release)
    kept = ProjectHome(sheriff.home, manifest.project)
    contact = Contact.make(sheriff.connection, kept, sheriff.keyring)
    for epoch, release in enumerate((first, second)):
        covered = CoveredRelease.find(contact, release.release, approved=False)
        assert covered.said.epoch == epoch
    assert key_check(new, *key, 1) != key_check(old, *key, 0)
    sent = health.agent().contribute(
        health.connection, manifest.project, files["health"], {}, release=first.release
    )
    with hub.database().transaction() as connection:
        (parcel,) = find_all(connection, tables.upload, id=sent.receipt.upload)
    assert (parcel["epoch"], parcel["release"]) == (0, first.release)
    with hub.database().transaction() as connection:
        kept = find_all(connection, tables.envelope, project=manifest.project)
    assert {row["epoch"] for row in kept} == {1}


def test_an_agent_refuses_a_hub_that_goes_back(hub, steward, members) -> None:
    manifest = make_manifest()
    steward.propose(manifest)
    sign_all(members, manifest)
    share_all(members, manifest)
    steward.rotate(manifest.project, "")
    share_all(members, manifest)
    with hub.database().transaction() as connection:
        update(connection, tables.project, {"name": manifest.project}, epoch=0)
    sheriff = members["sheriff"]
    with pytest.raises(EpochError):
        sheriff.agent().share(sheriff.connection, manifest.project)
    found = sheriff.agent().status(sheriff.connection)
    problem = next(one["problem"] for one in found if one["project"] == manifest.project)
    assert "Do not go on" in problem


def test_a_run_under_way_holds_an_epoch_up(steward, members, active) -> None:
    manifest = make_manifest(matching={"pair_keyed": True})
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].sign_manifest(manifest)
    for seed, name in enumerate(manifest.partner_names):
        members[name].upload(manifest, raw(small_matrix(manifest, seed)))
    run = steward.start_run(manifest.project).run
    steward.watch(run, lambda _: None, through_waiting=False)
    with pytest.raises(StateError, match=f"hub cancel {run}"):
        steward.rotate(manifest.project, "now")
    steward.cancel(run)
    assert steward.rotate(manifest.project, "now").epoch == 1


def test_the_same_request_begins_one_epoch(steward_connection, active) -> None:
    stub = ProjectServiceStub(steward_connection.channel)
    request = project_pb2.RotateEpochRequest(project=active.project, request_id="r" * 32)
    for _ in range(2):
        assert steward_connection.call(stub.RotateEpoch, request).project.epoch == 1
    for wrong in (
        project_pb2.RotateEpochRequest(project=active.project, request_id="short"),
        project_pb2.RotateEpochRequest(
            project=active.project, request_id="s" * 32, reason="two\nlines"
        ),
        project_pb2.RotateEpochRequest(
            project=active.project, request_id="s" * 32, reason="x" * 501
        ),
    ):
        with pytest.raises(InvalidRequestError):
            steward_connection.call(stub.RotateEpoch, wrong)


def test_nothing_begins_before_all_have_signed(steward, proposed) -> None:
    with pytest.raises(AgreementError):
        steward.rotate(proposed.project, "too early")


@pytest.fixture
def third(steward, members):
    """A running project of three, with a finished upload of each in epoch 0."""
    manifest = make_manifest(partners=THREE)
    steward.propose(manifest)
    sign_all(members, manifest)
    share_all(members, manifest)
    share_all(members, manifest)
    for seed, name in enumerate(manifest.partner_names):
        members[name].upload(manifest, raw(small_matrix(manifest, seed)))
    return manifest


def test_the_old_version_is_in_force_until_all_have_signed_the_new(steward, members, third) -> None:
    new = next_version(third, purpose="Another")
    found = steward.propose(new)
    assert (found.fingerprint, found.proposal.fingerprint) == (third.fingerprint, new.fingerprint)
    assert found.proposal.epoch == 1
    assert steward.propose(new).proposal.fingerprint == new.fingerprint
    for name in ("sheriff", "health"):
        shown = members[name].agent().sign(members[name].connection, new)
        assert (shown.epoch, shown.fingerprint) == (0, third.fingerprint)
        assert members[name].agent().share(members[name].connection, third.project).complete
    # Runs go on meanwhile under the old one.
    run = wait_for_end(steward, steward.start_run(third.project).run)
    assert (run.fingerprint, run.epoch) == (third.fingerprint, 0)
    shown = members["social"].agent().sign(members["social"].connection, new)
    assert (shown.epoch, shown.fingerprint) == (1, new.fingerprint)
    assert not shown.HasField("proposal")
    assert list(shown.uploaded) == []
    assert list(steward.project(new.project).committed) == ["health", "sheriff", "social"]
    share_all(members, new)
    share_all(members, new)
    secrets = {
        members[n].keyring.secret(new.project, new.fingerprint, 1) for n in new.partner_names
    }
    assert len(secrets) == 1
    assert members["sheriff"].agent().signed_manifest(new.project) == new
    # The run stays what it was made under; nothing new comes of it.
    assert steward.report(run.run)
    with pytest.raises(TooLateError, match="version 1"):
        steward.release(run.run, 0.9)


def test_a_new_version_ends_what_is_under_way(steward, members) -> None:
    manifest = make_manifest(matching={"pair_keyed": True})
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].sign_manifest(manifest)
    for seed, name in enumerate(manifest.partner_names):
        members[name].upload(manifest, raw(small_matrix(manifest, seed)))
    run = steward.start_run(manifest.project).run
    steward.watch(run, lambda _: None, through_waiting=False)
    new = next_version(manifest, purpose="Another")
    steward.propose(new)
    for name in new.partner_names:
        members[name].sign_manifest(new)
    with pytest.raises(CancelledError):
        steward.watch(run, lambda _: None)


def test_a_release_of_an_old_version_takes_nothing_new(steward, members, third) -> None:
    run = wait_for_end(steward, steward.start_run(third.project).run).run
    release = steward.release(run, 0.9)
    sheriff = members["sheriff"]
    approval = release_pb2.ApproveReleaseRequest(
        release=release.release, signature=sheriff.signature(release.statement)
    )
    sheriff.connection.call(sheriff.stub(ReleaseServiceStub).ApproveRelease, approval)
    new = next_version(third, purpose="Another")
    steward.propose(new)
    sign_all(members, new)
    health = members["health"]
    with pytest.raises(AgreementError, match="another version"):
        health.agent().approve(health.connection, third.project)
    stub = health.stub(ReleaseServiceStub)
    request = release_pb2.ApproveReleaseRequest(
        release=release.release, signature=health.signature(release.statement)
    )
    with pytest.raises(TooLateError, match="version 1"):
        health.connection.call(stub.ApproveRelease, request)


def test_who_comes_sees_the_proposal_alone_until_it_is_in_force(steward, members) -> None:
    manifest = make_manifest()
    steward.propose(manifest)
    sign_all(members, manifest)
    share_all(members, manifest)
    for seed, name in enumerate(manifest.partner_names):
        members[name].upload(manifest, raw(small_matrix(manifest, seed)))
    run = wait_for_end(steward, steward.start_run(manifest.project).run).run
    social = members["social"]
    assert manifest.project not in projects_of(social)
    new = next_version(manifest, partners=THREE)
    steward.propose(new)
    assert manifest.project in projects_of(social)
    shown = shown_to(social, manifest.project)
    assert (shown.fingerprint, shown.epoch, list(shown.uploaded)) == (new.fingerprint, 1, [])
    assert shown.state == project_pb2.PROJECT_STATE_PROPOSED
    assert not shown.epochs
    stub = social.stub(RunServiceStub)

    def is_shown_nothing() -> None:
        with pytest.raises(NotFoundError):
            social.connection.call(stub.GetRun, run_pb2.GetRunRequest(run=run))

    with pytest.raises(NotFoundError):
        social.connection.call(stub.ListRuns, run_pb2.ListRunsRequest(project=manifest.project))
    is_shown_nothing()
    sign_all(members, new)
    assert shown_to(social, manifest.project).state == project_pb2.PROJECT_STATE_ACTIVE
    # In force now; what was made before it came is still not its own.
    is_shown_nothing()
    found = social.connection.call(stub.ListRuns, run_pb2.ListRunsRequest(project=manifest.project))
    assert not found.runs
    share_all(members, new)
    assert social.agent().share(social.connection, new.project).complete


def test_who_leaves_is_out_and_its_secret_opens_nothing_later(hub, steward, members, third) -> None:
    social = members["social"]
    with hub.database().transaction() as connection:
        (upload,) = find_all(connection, tables.upload, project=third.project, partner="social")
    new = next_version(third, partners=THREE[:2])
    steward.propose(new)
    found = next(
        one for one in social.agent().status(social.connection) if one["project"] == third.project
    )
    assert any("takes no part" in step for step in found["next"])
    with pytest.raises(NotAuthorisedError):
        social.sign_manifest(new)
    with pytest.raises(ManifestError):
        social.agent().sign(social.connection, new)
    sign_all(members, new)
    share_all(members, new)
    share_all(members, new)

    # Out: the project is none for it, its receipts are still its own.
    assert third.project not in projects_of(social)
    for stub, method, request in (
        (ProjectServiceStub, "GetProject", project_pb2.GetProjectRequest(project=third.project)),
        (
            SecretServiceStub,
            "ListEnvelopes",
            secret_pb2.ListEnvelopesRequest(project=third.project, epoch=1),
        ),
    ):
        with pytest.raises(NotFoundError):
            social.connection.call(getattr(social.stub(stub), method), request)
    with pytest.raises(NotFoundError):
        social.upload(third, raw(small_matrix(third)))
    with pytest.raises(NotFoundError):
        social.upload(new, raw(small_matrix(new)), epoch=1)
    assert social.finish(upload["id"]).upload == upload["id"]
    gone = next(
        one for one in social.agent().status(social.connection) if one["project"] == third.project
    )
    assert "no more" in gone["next"][0]

    # No envelope is addressed to it, none of those there opens for it, and its old secret is no
    # other's new one.
    with hub.database().transaction() as connection:
        envelopes = find_all(connection, tables.envelope, project=third.project)
    assert {(row["sender"], row["recipient"], row["epoch"]) for row in envelopes} == {
        ("sheriff", "health", 1),
        ("health", "sheriff", 1),
    }
    for row in envelopes:
        for epoch in (0, 1):
            for fingerprint in (third.fingerprint, new.fingerprint):
                with pytest.raises(TrustError):
                    _open(social, row, fingerprint, epoch)
    old = social.keyring.secret(third.project, third.fingerprint, 0)
    present = members["sheriff"].keyring.secret(new.project, new.fingerprint, 1)
    assert old is not None
    assert present is not None
    assert old != present
    # Not with its own contribution in the place of the one that it does not know, either.
    place = SecretPlace(project=new.project, fingerprint=new.fingerprint, epoch=1)
    part = social.keyring.contribution(third.project, third.fingerprint, 0)
    names = new.partner_names
    guess = derive([commit(place, n, part) for n in names], dict.fromkeys(names, part))
    assert guess != present

    # Its upload of epoch 0 is matched with nothing.
    for seed, name in enumerate(new.partner_names):
        members[name].upload(new, raw(small_matrix(new, seed)), epoch=1)
    run = wait_for_end(steward, steward.start_run(new.project).run)
    assert set(steward.report(run.run)["pairs"]) == {"sheriff|health"}


def _open(member, row, fingerprint: str, epoch: int) -> bytes:
    from linkage.trust.sealing import binding

    info = binding(
        "contribution",
        project=row["project"],
        fingerprint=fingerprint,
        epoch=epoch,
        sender=row["sender"],
        recipient=member.name,
    )
    return member.keyring.sealing_key.open(row["sealed"], info)


def test_one_version_waits_at_a_time_and_only_the_next(steward, members, active) -> None:
    with pytest.raises(ManifestError, match="next one is version 2"):
        steward.propose(next_version(next_version(active)))
    with pytest.raises(ManifestError, match="next one is version 2"):
        steward.propose(make_manifest(project=active.project, purpose="Same number"))
    new = next_version(active, purpose="Another")
    steward.propose(new)
    with pytest.raises(AlreadyExistsError, match="hub retract"):
        steward.propose(next_version(active, purpose="A third"))


def test_a_proposal_can_be_withdrawn(steward, members, active) -> None:
    new = next_version(active, partners=THREE)
    steward.propose(new)
    sheriff, health, social = (members[name] for name in new.partner_names)
    for member in (sheriff, health):
        member.sign_manifest(new)
    steward.withdraw(active.project, new.fingerprint)
    assert not steward.project(active.project).HasField("proposal")
    assert active.project not in projects_of(social)
    with pytest.raises(NotFoundError):
        steward.withdraw(active.project, new.fingerprint)
    with pytest.raises(StateError, match="cannot be withdrawn"):
        steward.withdraw(active.project, active.fingerprint)
    # Proposed again, everybody signs again: the last one alone does not put it in force.
    steward.propose(new)
    social.sign_manifest(new)
    assert steward.project(active.project).fingerprint == active.fingerprint
    steward.withdraw(active.project, new.fingerprint)
    with pytest.raises(FingerprintMismatchError):
        sheriff.sign_manifest(new)


def test_a_first_manifest_can_be_withdrawn_and_corrected(steward, members, proposed) -> None:
    members["sheriff"].agent().sign(members["sheriff"].connection, proposed)
    steward.withdraw(proposed.project, proposed.fingerprint)
    assert proposed.project not in projects_of(members["sheriff"])
    corrected = make_manifest(project=proposed.project, purpose="Corrected")
    steward.propose(corrected)
    sign_all(members, corrected)
    share_all(members, corrected)
    assert members["health"].agent().share(members["health"].connection, corrected.project).complete


def test_only_a_steward_begins_and_withdraws(steward, members, active) -> None:
    sheriff = members["sheriff"]
    stub = sheriff.stub(ProjectServiceStub)
    for method, request in (
        (
            "RotateEpoch",
            project_pb2.RotateEpochRequest(project=active.project, request_id="r" * 32),
        ),
        ("WithdrawProposal", project_pb2.WithdrawProposalRequest(project=active.project)),
        ("CreateProject", project_pb2.CreateProjectRequest(manifest=active.canonical)),
    ):
        with pytest.raises(NotAuthorisedError):
            sheriff.connection.call(getattr(stub, method), request)


def test_an_expired_proposal_is_not_signed(hub, steward, members, active) -> None:
    new = next_version(active, purpose="Another")
    old = make_manifest(**new.model_dump(mode="json") | {"expires": "2001-01-01"})
    steward.propose(new)
    with hub.database().transaction() as connection:
        about = {"project": active.project, "fingerprint": new.fingerprint}
        update(
            connection,
            tables.version,
            about,
            manifest=old.canonical,
            fingerprint=old.fingerprint,
        )
    with pytest.raises(NotAgreedError, match="expired"):
        members["sheriff"].sign_manifest(old)
