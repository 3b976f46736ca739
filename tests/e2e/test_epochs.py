"""Secrets, epochs and versions by the commands that people give, also when these are killed."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

from linkage.agreement import parse_manifest
from linkage.trust.keyring import Keyring
from tests.e2e.house import House, manifest_of, records

DYING = [sys.executable, str(Path(__file__).with_name("dying.py"))]
BOTH = ("north", "south")


def _write(house: House, project: str, **settings: object) -> Path:
    path = house.path / f"{project}-{settings.get('version', 1)}.json"
    path.write_text(json.dumps(manifest_of(project, **settings)))
    return path


def _sign(house: House, path: Path, *names: str) -> dict:
    for name in names:
        done = house.good("agent", "sign", str(path), "--yes", home=house.home(name))
    return done


def _killed(house: House, step: str, *arguments: str, home: Path) -> None:
    process = house.start(*arguments, home=home, program=DYING, environment={"DIE_AFTER": step})
    done = house.end(process)
    assert done.code == -signal.SIGKILL, done


def test_agents_killed_at_every_step_of_making_a_secret(house: House) -> None:
    project = "killed-sharing"
    option = ("--project", project)
    path = _write(house, project)
    key = (project, parse_manifest(path.read_bytes()).fingerprint, 0)
    north, south = (house.home(name) for name in BOTH)
    ring = Keyring(north / "keys")
    house.good("hub", "propose", str(path), home=house.home("hub"))
    _sign(house, path, "south")
    sign = ("agent", "sign", str(path), "--yes")
    share = ("agent", "share", *option)

    _killed(house, "kept", *sign, home=north)
    kept = ring.contribution(*key)
    shown = _status(house, project)
    assert (shown["signed"], shown["committed"]) == (["north", "south"], ["south"])
    _killed(house, "committed", *share, home=north)
    assert _status(house, project)["committed"] == ["north", "south"]
    _killed(house, "relied", *share, home=north)
    assert _status(house, project)["revealed"] == []
    assert house.good(*share, home=south)["to_reveal"] == ["north"]
    _killed(house, "revealed", *share, home=north)
    assert _status(house, project)["revealed"] == ["north", "south"]
    assert ring.secret(*key) is None
    _killed(house, "derived", *share, home=north)
    assert house.good(*share, home=north)["complete"]
    assert house.good(*share, home=south)["complete"]

    assert ring.contribution(*key) == kept
    secrets = {Keyring(home / "keys").secret(*key) for home in (north, south)}
    assert len(secrets) == 1
    for name in BOTH:
        file = records(house.path / f"{name}-{project}.csv", 0, 60)
        house.good("agent", "submit", str(file), *option, home=house.home(name))
    run = house.good("hub", "run", project, home=house.home("hub"))
    assert run["state"] == "succeeded"


def _status(house: House, project: str) -> dict:
    shown = house.good("hub", "status", home=house.home("hub"))
    return next(one for one in shown["projects"] if one["project"] == project)


def test_submit_makes_the_secret_and_waits_for_the_others(house: House) -> None:
    project = "together"
    path = _write(house, project)
    house.good("hub", "propose", str(path), home=house.home("hub"))
    _sign(house, path, *BOTH)
    files = {name: records(house.path / f"{name}-together.csv", 0, 60) for name in BOTH}
    words = ("--project", project)
    done = house.run("agent", "submit", str(files["north"]), *words, home=house.home("north"))
    assert (done.code, done.error["reason"]) == (5, "NOT_READY")
    assert "waits for south, who has not revealed its part yet" in done.error["message"]
    assert "linkage agent share --project together" in done.error["remedy"]
    waiting = house.start(
        "agent", "submit", str(files["north"]), *words, "--wait", "60", home=house.home("north")
    )
    house.good("agent", "submit", str(files["south"]), *words, home=house.home("south"))
    sent = house.end(waiting)
    assert sent.code == 0, sent

    # A new epoch: everybody is told, and submits again.
    dry = ("hub", "rotate", project, "--reason", "a test", "--dry-run")
    assert house.good(*dry, home=house.home("hub"))["epoch"] == 1
    assert _status(house, project)["epoch"] == 0
    assert house.good(*dry[:-1], home=house.home("hub"))["epoch"] == 1
    status = house.good("agent", "status", home=house.home("north"))["projects"]
    mine = next(one for one in status if one["project"] == project)
    assert mine["next"][0] == "epoch 1 has begun (a test): submit anew"
    done = house.run("hub", "run", project, home=house.home("hub"))
    assert (done.code, done.error["reason"]) == (5, "NOT_READY")
    waiting = house.start(
        "agent", "submit", str(files["north"]), *words, "--wait", "60", home=house.home("north")
    )
    give_up = time.monotonic() + 60
    while _status(house, project)["committed"] != ["north"]:
        assert time.monotonic() < give_up
    house.good(
        "agent", "submit", str(files["south"]), *words, "--wait", "60", home=house.home("south")
    )
    sent = house.end(waiting)
    assert sent.code == 0, sent
    assert "waiting: the project secret of 'together' (epoch 1) waits for south" in sent.err
    assert house.good("hub", "run", project, home=house.home("hub"))["state"] == "succeeded"
    keys = list((house.home("north") / "keys").glob(f"*-{project}-*"))
    assert {path.name.rpartition("-")[2].partition(".")[0] for path in keys} == {"1"}


def test_the_next_version_of_a_manifest(house: House) -> None:
    project = "versions"
    first = house.agree(manifest_of(project))
    second = _write(house, project, version=2, purpose="Another purpose")
    hub = house.home("hub")
    proposed = house.good("hub", "propose", str(second), home=hub)
    assert proposed["begins_epoch"] == 1
    status = house.good("agent", "status", home=house.home("north"))["projects"]
    mine = next(one for one in status if one["project"] == project)
    assert mine["proposal"]["version"] == 2
    assert "version 2 of the manifest is proposed" in mine["next"][0]
    third = _write(house, project, version=3)
    done = house.run("hub", "propose", str(third), home=hub)
    assert done.error["reason"] == "ALREADY_EXISTS"
    assert house.good("hub", "retract", project, home=hub)["project"] == project
    done = house.run("hub", "retract", project, home=hub)
    assert (done.code, done.error["reason"]) == (5, "NOT_FOUND")
    house.good("hub", "propose", str(second), home=hub)
    signed = _sign(house, second, "north")
    assert {change["place"] for change in signed["changes"]} == {"purpose", "version"}
    assert "what changes:" in house.printed[-1]
    assert _status(house, project)["epoch"] == 0
    house.good("agent", "share", "--project", project, home=house.home("north"))
    _sign(house, second, "south")
    assert _status(house, project)["epoch"] == 1
    for name in (*BOTH, "north"):
        done = house.good("agent", "share", "--project", project, home=house.home(name))
    assert done["complete"]
    kept = house.home("north") / "projects" / project
    assert parse_manifest((kept / "manifest.json").read_bytes()).version == 2
    assert len(list((kept / "versions").iterdir())) == 2
    done = house.run("agent", "sign", str(first), "--yes", home=house.home("north"))
    assert done.code in (3, 4), done
