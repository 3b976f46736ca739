"""Kill the hub while it plans a comparison round, waits for it, and judges it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

from tests.e2e.house import House, manifest_of, records

FOUND = "blobs/runs/*/*.candidates.npz"
PROJECT = "round"
ROWS, COMMON = 2_000, 1_500
SECONDS = 60.0


def test_a_hub_killed_all_along_a_round(house: House) -> None:
    house.agree(manifest_of(PROJECT, matching={"pair_keyed": True}))
    hub, project = house.home("hub"), ("--project", PROJECT)
    files = {
        "north": str(records(house.path / "round-north.csv", 0, ROWS)),
        "south": str(records(house.path / "round-south.csv", ROWS - COMMON, ROWS)),
    }
    for name, file in files.items():
        house.good("agent", "submit", file, *project, home=house.home(name))

    # While it plans: the candidates are there, the lists are not open.
    # Earlier runs of the house keep theirs.
    earlier = set(hub.glob(FOUND))
    started = house.start("hub", "run", PROJECT, "--detach", home=hub)
    _kill_hub_when(house, lambda: set(hub.glob(FOUND)) > earlier)
    assert _state(house)[1] == "running"
    house.serve()
    done = house.end(started)
    assert done.code == 0, done
    run = done.result["run"]
    assert done.result["waiting_for"] == ["north", "south"]

    # While it waits; and half of the answers must survive it.
    house.good("agent", "answer", files["north"], *project, home=house.home("north"))
    house.kill_hub()
    house.serve()
    runs = {
        r["run"]: r for p in house.good("hub", "status", home=hub)["projects"] for r in p["runs"]
    }
    assert runs[run]["state"] == "waiting"
    assert runs[run]["waiting_for"] == ["south"]

    # While it judges.
    answering = house.start("agent", "answer", files["south"], *project, home=house.home("south"))
    _kill_hub_when(house, lambda: _state(house) == (run, "running"))
    assert _state(house) == (run, "running")
    house.serve()
    assert house.end(answering).code == 0
    done = house.run("hub", "watch", run, home=hub)
    assert done.code == 0, done
    assert done.result["recommended"]["links"] > 0.9 * COMMON
    report = house.good("hub", "report", run, home=hub)
    assert report["pairs"]["north|south"]["comparison"] == "pair_keyed"
    _wait_until(lambda: not any(hub.glob(f"blobs/runs/{run}/work/*")))
    with closing(_database(house)) as connection:
        answers = connection.execute("SELECT id FROM upload WHERE run = ?", (run,)).fetchall()
    assert len(answers) == 2
    _wait_until(lambda: not any((hub / "blobs/uploads" / name).exists() for (name,) in answers))


def _kill_hub_when(house: House, reached: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < give_up
        time.sleep(0.001)
    house.kill_hub()


def _state(house: House) -> tuple[str, str]:
    """The newest run's id and state, read behind the hub's back."""
    with closing(_database(house)) as connection:
        query = "SELECT id, state FROM run WHERE project = ? ORDER BY created_at DESC LIMIT 1"
        found = connection.execute(query, (PROJECT,)).fetchone()
    return (str(found[0]), str(found[1])) if found else ("", "")


def _database(house: House) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{house.home('hub') / 'hub.db'}?mode=ro", uri=True)


def _wait_until(reached: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < give_up
        time.sleep(0.05)
