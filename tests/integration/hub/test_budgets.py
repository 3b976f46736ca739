"""Budgets of the manifest: kept by the hub, through a restart, and refused with a time."""

from __future__ import annotations

import re
import secrets
from typing import Any

import pytest

from linkage.errors import LimitError, NotFoundError
from linkage.hub.home import initialise
from linkage.hub.spending import UPLOADS, spend
from linkage.rpc.channel import connect
from linkage.store import tables
from linkage.store.sql import find_all, update
from linkage.trust.identity import PartyId, Role
from linkage.v1 import project_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub

from .conftest import Hub, make_manifest, raw, small_matrix

DAWN = r"Try again from \d{4}-\d\d-\d\d 00:00:00 UTC on"


def agreed(steward, members, **budgets: Any):
    """An active project with these budgets, `partner` and `project`."""
    manifest = make_manifest(budgets=budgets)
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].sign_manifest(manifest)
    return manifest


def over(caught: pytest.ExceptionInfo[LimitError]) -> None:
    assert caught.value.reason == "LIMIT_EXCEEDED"
    assert re.fullmatch(DAWN, caught.value.remedy or "")


def test_uploads_of_a_day_are_counted_and_repeating_one_is_free(steward, members) -> None:
    manifest = agreed(steward, members, partner={"uploads_per_day": 2})
    sheriff, data = members["sheriff"], raw(small_matrix(make_manifest()))
    first = sheriff.header(manifest, data)
    for header in (first, first, first, sheriff.header(manifest, data)):
        sheriff.create(header)
    with pytest.raises(LimitError, match="allows 2 uploads in a day for one partner") as caught:
        sheriff.create(sheriff.header(manifest, data))
    over(caught)
    # Another partner has a budget of its own.
    members["health"].create(members["health"].header(manifest, data))


def test_the_project_has_a_budget_beside_the_partners(steward, members) -> None:
    manifest = agreed(steward, members, project={"uploads_per_day": 1})
    data = raw(small_matrix(manifest))
    members["sheriff"].create(members["sheriff"].header(manifest, data))
    with pytest.raises(LimitError, match="for all its partners"):
        members["health"].create(members["health"].header(manifest, data))


def test_bytes_are_counted_as_they_come_those_of_broken_attempts_too(hub, steward, members) -> None:
    data = raw(small_matrix(make_manifest()))
    manifest = agreed(steward, members, partner={"bytes_per_day": 2 * len(data)})
    sheriff = members["sheriff"]
    for _ in range(2):
        status = sheriff.create(sheriff.header(manifest, data))
        sheriff.write(status.upload, 0, [data[:-1]])
    rows = _spending(hub, manifest.project)
    assert {row["amount"] for row in rows if row["what"] == "bytes"} == {2 * (len(data) - 1)}
    status = sheriff.create(sheriff.header(manifest, data))
    with pytest.raises(LimitError, match="bytes in a day") as caught:
        sheriff.write(status.upload, 0, [data])
    over(caught)
    assert sheriff.status(status.upload).committed_size == 0
    # What is left may still be used.
    assert sheriff.write(status.upload, 0, [data[:2]]) == 2


def test_uploads_under_way_are_bounded(steward, members) -> None:
    manifest = agreed(steward, members, project={"open_uploads": 1})
    data = raw(small_matrix(manifest))
    first = members["sheriff"].create(members["sheriff"].header(manifest, data))
    with pytest.raises(LimitError, match="allows 1 uploads under way") as caught:
        members["health"].create(members["health"].header(manifest, data))
    assert caught.value.remedy == "Finish one of them first"
    members["sheriff"].write(first.upload, 0, [data])
    with pytest.raises(LimitError):
        members["health"].create(members["health"].header(manifest, data))


def test_runs_of_a_day_are_counted(steward, members) -> None:
    manifest = agreed(steward, members, project={"runs_per_day": 1})
    for seed, name in enumerate(manifest.partner_names):
        members[name].upload(manifest, raw(small_matrix(manifest, seed)))
    steward.cancel(steward.start_run(manifest.project).run)
    with pytest.raises(LimitError, match="allows 1 runs in a day") as caught:
        steward.start_run(manifest.project)
    over(caught)


def test_calls_of_a_minute_are_counted(steward, members) -> None:
    manifest = agreed(steward, members, partner={"calls_per_minute": 20})
    sheriff = members["sheriff"]
    stub = sheriff.stub(ProjectServiceStub)
    request = project_pb2.GetProjectRequest(project=manifest.project)
    with pytest.raises(LimitError, match="calls in a minute for one party") as caught:
        for _ in range(41):
            sheriff.connection.call(stub.GetProject, request)
    assert re.fullmatch(r"Try again from .* UTC on", caught.value.remedy or "")
    # Others, and this partner's other projects, go on.
    steward.project(manifest.project)
    other = agreed(steward, members)
    request = project_pb2.GetProjectRequest(project=other.project)
    sheriff.connection.call(stub.GetProject, request)


def test_a_restart_forgets_nothing_and_a_new_day_begins_anew(tmp_path) -> None:
    """At a hub of its own, which is killed."""
    home = initialise(tmp_path / "home", name="lone", address="127.0.0.1:0", hosts=["127.0.0.1"])
    hub = Hub(home, tmp_path / "hub.log")
    hub.start()
    try:
        database = hub.database()
        manifest = make_manifest(budgets={"partner": {"uploads_per_day": 1}})
        with database.transaction() as connection:
            spend(connection, manifest, "sheriff", UPLOADS)
        hub.kill()
        hub.start()
        with database.transaction() as connection, pytest.raises(LimitError):
            spend(connection, manifest, "sheriff", UPLOADS)
        with database.transaction() as connection:
            row = find_all(connection, tables.spending)[0]
            update(connection, tables.spending, {}, day=row["day"] - 1)
        with database.transaction() as connection:
            spend(connection, manifest, "sheriff", UPLOADS)
    finally:
        hub.kill()


def test_an_outsider_that_guesses_is_stopped(tmp_path) -> None:
    """Outside of projects the hub's own bound holds, for what is not there as well."""
    home = initialise(tmp_path / "home", name="lone", address="127.0.0.1:0", hosts=["127.0.0.1"])
    settings = (home.path / "hub.json").read_text().replace("3000", "30")
    (home.path / "hub.json").write_text(settings)
    hub = Hub(home, tmp_path / "hub.log")
    hub.start()
    try:
        party = PartyId("lone", Role.STEWARD, "steward")
        with connect(hub.identity(party), patience=10) as connection:
            stub = ProjectServiceStub(connection.channel)
            outcomes = []
            for _ in range(65):
                request = project_pb2.GetProjectRequest(project=secrets.token_hex(8))
                with pytest.raises((NotFoundError, LimitError)) as caught:
                    connection.call(stub.GetProject, request)
                outcomes.append(caught.type)
            assert outcomes[0] is NotFoundError
            assert LimitError in outcomes
    finally:
        hub.kill()


def _spending(hub, project: str) -> list[Any]:
    with hub.database().transaction() as connection:
        return find_all(connection, tables.spending, project=project)
