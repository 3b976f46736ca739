"""Kill the hub at the worst moment: nothing is lost, and it goes on by itself.

It comes back on its port, and everybody's connections find it again.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from linkage.errors import HubUnavailableError, LinkageError
from linkage.store import tables
from linkage.store.sql import find, insert, now
from linkage.v1 import run_pb2
from linkage.v1.run_pb2_grpc import RunServiceStub

from .conftest import make_manifest, raw, small_matrix


def _patiently(act, seconds: float = 30):
    give_up = time.monotonic() + seconds
    while True:
        try:
            return act()
        except HubUnavailableError:
            assert time.monotonic() < give_up
            time.sleep(0.1)


def _run_row(project: str, fingerprint: str, uploads: bytes) -> dict:
    return {
        "id": secrets.token_hex(16),
        "project": project,
        "fingerprint": fingerprint,
        "epoch": 0,
        "state": "pending",
        "step": "",
        "progress": 0.0,
        "reason": "",
        "message": "",
        "created_at": now(),
        "ended_at": None,
        "request_id": secrets.token_hex(16),
        "uploads": uploads,
    }


def test_a_hub_killed_at_its_worst_moment_loses_nothing(
    hub, steward, steward_connection, members
) -> None:
    """One kill for both, because every start takes seconds: mid-upload and mid-run."""
    sheriff = members["sheriff"]
    manifest, open_manifest = make_manifest(), make_manifest()
    for one in (manifest, open_manifest):
        steward.propose(one)
        for name in one.partner_names:
            members[name].sign_manifest(one)
    for seed, name in enumerate(manifest.partner_names):
        members[name].upload(manifest, raw(small_matrix(manifest, seed)))
    data = raw(small_matrix(open_manifest))
    header = sheriff.header(open_manifest, data)
    upload = sheriff.create(header).upload
    half, arrived, killed = len(data) // 2, threading.Event(), threading.Event()

    def chunks():
        yield data[:half]
        arrived.set()
        killed.wait(60)
        yield data[half:]

    failures: list[Exception] = []

    def write() -> None:
        try:
            sheriff.write(upload, 0, chunks())
        except LinkageError as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    assert arrived.wait(20)
    # Until half of it is on the hub's disk.
    staged = hub.home.path / "staging" / f"{upload}.part"
    give_up = time.monotonic() + 20
    while not (staged.exists() and staged.stat().st_size > 0):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    run = steward.start_run(manifest.project).run
    stub = RunServiceStub(steward_connection.channel)
    state = run_pb2.RUN_STATE_PENDING
    while state == run_pb2.RUN_STATE_PENDING:
        assert time.monotonic() < give_up
        time.sleep(0.02)
        request = run_pb2.GetRunRequest(run=run)
        state = steward_connection.call(stub.GetRun, request).run.state
    hub.kill()
    killed.set()
    thread.join(20)
    assert [type(error) for error in failures] == [HubUnavailableError]

    # A run whose row was written, and then the hub died before the queue heard of it.
    with hub.database().transaction() as connection:
        known = find(connection, tables.run, id=run)
        assert known is not None
        forgotten = _run_row(manifest.project, manifest.fingerprint, known["uploads"])
        killed_in_time = known["state"] == "running"
        insert(connection, tables.run, **forgotten)
    hub.start()

    status = _patiently(lambda: sheriff.create(header))
    assert status.upload == upload
    assert 0 < status.committed_size <= half
    assert sheriff.write(upload, status.committed_size, [data[status.committed_size :]]) == len(
        data
    )
    assert sheriff.finish(upload).digest == hashlib.sha256(data).hexdigest()
    assert killed_in_time, "the run was over before the hub was killed"
    for one in (run, forgotten["id"]):
        done = steward.watch(one, lambda _: None)
        assert done.state == run_pb2.RUN_STATE_SUCCEEDED
        assert steward.report(one)["recommended"] is not None


def test_health_follows_the_database(hub, steward_connection) -> None:
    stub = health_pb2_grpc.HealthStub(steward_connection.channel)
    states = health_pb2.HealthCheckResponse
    watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=30)
    assert next(watching).status == states.SERVING
    path = hub.home.path / "hub.db"
    moved = path.rename(path.with_name("moved.db"))
    try:
        assert next(watching).status == states.NOT_SERVING
    finally:
        moved.rename(path)
    assert next(watching).status == states.SERVING
    watching.cancel()


def test_the_log_shows_shapes_only(hub, members) -> None:
    """Whatever the other tests did: no name of a file, no fingerprint, no token, no key."""
    text = hub.log.read_text()
    assert '"call"' in text
    assert "Traceback" not in text
    assert "internal error" not in text
    for member in members.values():
        for secret in (member.keyring.signing_public, member.keyring.fingerprint.encode()):
            assert secret.hex() not in text
            assert secret.decode("latin-1") not in text
    with pytest.raises(LinkageError):
        members["sheriff"].status("0" * 32)
