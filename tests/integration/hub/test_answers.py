"""Real agents in a comparison round with a real hub."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from linkage.errors import AgreementError, SourceError
from linkage.v1 import run_pb2

from .answering import keyed_manifest, wait_until_waiting
from .conftest import share_all, wait_for_end, write_people

SECONDS = 60.0


@pytest.fixture
def submitted(steward, members, tmp_path: Path) -> dict[str, Any]:
    """Two partners' real files at the hub; the jail's may hold duplicates."""
    partners = [{"name": "sheriff", "unique": False}, {"name": "health"}]
    manifest = keyed_manifest(partners=partners)
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    files = {}
    for seed, name in enumerate(manifest.partner_names):
        files[name] = write_people(tmp_path / f"{name}.csv", seed=seed, rows=60)
        members[name].agent().submit(members[name].connection, manifest.project, files[name])
    return {"manifest": manifest, "files": files}


def answer(member, submitted, **options: Any) -> list:
    project = submitted["manifest"].project
    file = submitted["files"][member.name]
    return member.agent().answer(member.connection, project, file, **options)


def test_a_whole_round(steward, members, submitted) -> None:
    project = submitted["manifest"].project
    sheriff, health = members["sheriff"], members["health"]
    assert answer(sheriff, submitted) == []
    run = steward.start_run(project).run
    wait_until_waiting(steward, project, run)
    done = answer(sheriff, submitted)
    assert [(one.other, one.entries, one.repeated) for one in done] == [
        ("health", 240, False),
        ("sheriff", 240, False),
    ]
    assert all(one.repeated for one in answer(sheriff, submitted))
    left = sheriff.home / "projects" / project / "rounds-0" / f"round-{run}"
    assert not list(left.glob("*/payload"))
    assert not list(left.glob("*/requests"))
    answer(health, submitted)
    assert wait_for_end(steward, run).state == run_pb2.RUN_STATE_SUCCEEDED
    pairs = steward.report(run)["pairs"]
    assert {one["comparison"] for one in pairs.values()} == {"pair_keyed"}
    # 40 of 60 are the same people; in so small a file chance may add one or lose one.
    assert 38 <= pairs["sheriff|health"]["recommended"]["links"] <= 42
    assert answer(sheriff, submitted) == []
    assert not left.exists()


def test_another_file_answers_nothing(steward, members, submitted, tmp_path: Path) -> None:
    project = submitted["manifest"].project
    run = steward.start_run(project).run
    wait_until_waiting(steward, project, run)
    other = write_people(tmp_path / "other.csv", seed=9, rows=60)
    sheriff = members["sheriff"]
    with pytest.raises(SourceError, match="not the one that was submitted"):
        sheriff.agent().answer(sheriff.connection, project, other)
    steward.cancel(run)


def test_the_hub_asks_no_more_often_than_agents_answer(steward, members, tmp_path: Path) -> None:
    manifest = keyed_manifest(matching={"pair_keyed": True, "answer_runs": 1})
    submitted = {"manifest": manifest, "files": {}}
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    for seed, name in enumerate(manifest.partner_names):
        file = write_people(tmp_path / f"{name}.csv", seed=seed, rows=30)
        submitted["files"][name] = file
        members[name].agent().submit(members[name].connection, manifest.project, file)
    first = steward.start_run(manifest.project).run
    wait_until_waiting(steward, manifest.project, first)
    assert len(answer(members["health"], submitted)) == 1
    steward.cancel(first)
    second = wait_for_end(steward, steward.start_run(manifest.project).run).run
    pair = steward.report(second)["pairs"]["sheriff|health"]
    assert pair["comparison"] == "match_keys"
    assert "answered 1 run(s) of this epoch" in pair["comparison_reason"]


def test_a_run_on_the_same_uploads_asks_nothing_again(steward, members, submitted) -> None:
    project = submitted["manifest"].project
    runs = []
    for number in range(3):
        run = steward.start_run(project).run
        if not number:
            wait_until_waiting(steward, project, run)
            for name in submitted["manifest"].partner_names:
                answer(members[name], submitted)
        runs.append(wait_for_end(steward, run).run)
    first, *later = (steward.report(run) for run in runs)
    for number, again in enumerate(later):
        pair = again["pairs"]["sheriff|health"]
        assert pair["comparison"] == "pair_keyed"
        assert f"those of run {runs[number]}, whose answers count" in pair["comparison_reason"]
        assert again["recommended"] == first["recommended"]
        same = {"comparison", "asked", "estimated_matches", "candidate_pairs", "candidate_recall"}
        before = first["pairs"]["sheriff|health"]
        assert {key: pair[key] for key in same} == {key: before[key] for key in same}


def test_a_list_swapped_for_another_is_refused(hub, steward, members, submitted) -> None:
    """The hub's operator puts another list in the place of the one the agent agreed to answer."""
    project = submitted["manifest"].project
    run = steward.start_run(project).run
    wait_until_waiting(steward, project, run)
    health = members["health"]
    agreed = health.home / "projects" / project / "rounds-0" / "agreed.json"
    agreed.parent.mkdir(parents=True, exist_ok=True)
    agreed.write_text(json.dumps({run: {"sheriff": "0" * 64}}))
    with pytest.raises(AgreementError, match="second list"):
        answer(health, submitted)
    steward.cancel(run)


def test_agents_serve(hub, steward, members, submitted, tmp_path: Path) -> None:
    """Daemons answer as rounds open, and stop when they are told to."""
    project = submitted["manifest"].project
    daemons = []
    for name, file in submitted["files"].items():
        command = [sys.executable, "-m", "linkage", "agent", "serve", str(file)]
        command += ["--project", project, "--home", str(members[name].home), "--every", "1"]
        log = (tmp_path / f"{name}.log").open("wb")
        env = {**os.environ, "LINKAGE_LOG": "info"}
        daemons.append(subprocess.Popen(command, stdout=log, stderr=log, env=env))
    try:
        run = steward.start_run(project).run
        give_up = time.monotonic() + SECONDS
        while steward.runs(project)[-1].state != run_pb2.RUN_STATE_SUCCEEDED:
            assert time.monotonic() < give_up
            assert all(daemon.poll() is None for daemon in daemons)
            time.sleep(0.2)
        assert steward.report(run)["pairs"]["sheriff|health"]["comparison"] == "pair_keyed"
    finally:
        for daemon in daemons:
            daemon.send_signal(signal.SIGTERM)
        codes = [daemon.wait(timeout=30) for daemon in daemons]
    assert codes == [0, 0]
    told = (tmp_path / "health.log").read_text()
    assert '"event": "answered"' in told
    with submitted["files"]["health"].open() as file:
        for row in csv.DictReader(file):
            assert row["surname"] not in told
