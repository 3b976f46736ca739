"""Kill processes without warning; the same command again must finish the work."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

from linkage.evaluator.extract import verify_extract
from tests.e2e.house import House, manifest_of, records

PROJECT = "killed"
ROWS = 30_000
FEW = 300
SECONDS = 60.0


def test_agents_and_assembler_killed_on_the_way(house: House) -> None:
    house.agree(manifest_of(PROJECT))
    project = ("--project", PROJECT)
    north, south, bureau = (house.home(name) for name in ("north", "south", "bureau"))
    files = {
        "north": records(house.path / "killed-north.csv", 0, ROWS),
        "south": records(house.path / "killed-south.csv", FEW // 2, FEW),
    }
    submit = ("agent", "submit", str(files["north"]), *project)
    epoch = north / "projects" / PROJECT / "epoch-0"

    # While it encodes.
    _kill_when((epoch / "payload").exists, house, *submit, home=north)
    assert not (epoch / "header.json").exists()

    # While it uploads: the hub is held still so that the upload cannot end first.
    staging = house.home("hub") / "staging"
    assert house.hub is not None

    def uploading() -> bool:
        if not any(staging.glob("*.part")):
            return False
        house.hub.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
        return True

    try:
        _kill_when(uploading, house, *submit, home=north)
    finally:
        house.hub.send_signal(signal.SIGCONT)
    assert not (epoch / "receipt.bin").exists()

    sent = house.good(*submit, home=north)
    assert sent["rows"] == ROWS
    assert sent["resumed"]
    house.good("agent", "submit", str(files["south"]), *project, home=south)

    run = house.good("hub", "run", PROJECT, home=house.home("hub"))
    assert run["recommended"]["links"] > FEW * 0.9
    release = house.good("hub", "release", run["run"], home=house.home("hub"))["release"]
    for home in (north, south):
        house.good("agent", "approve", *project, home=home)
    visits = house.path / "visits.csv"
    visits.write_text("id,program\nR1,A\nR200,B\nR200,A\n")
    content = ("agent", "contribute", str(files["north"]), *project, "--content")
    house.good(*content, f"visits={visits}", home=north)
    house.good("agent", "contribute", str(files["south"]), *project, home=south)

    # Once the study map is here, and before the hub is told.
    out = house.path / "extract"
    assemble = ("evaluator", "assemble", *project, "--out", str(out))

    def has_map() -> bool:
        if not any(bureau.glob("releases/*/study-map.parquet")):
            return False
        house.hub.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
        return True

    try:
        _kill_when(has_map, house, *assemble, home=bureau)
    finally:
        house.hub.send_signal(signal.SIGCONT)
    assert not out.exists()
    rows = house.good(*assemble, home=bureau)["rows"]
    assert rows["north_visits"] == 3
    assert verify_extract(out)
    people = (out / "tables" / "people.csv").read_text().splitlines()
    assert people[0] == '"study_id","in_north","in_south","n_partners"'
    both = sum(line.endswith(",2") for line in people)
    assert FEW * 0.9 < both <= FEW
    maps = house.home("hub") / "blobs" / "releases" / release / "study"
    assert not list(maps.glob("*")), "the hub kept the study map"


def _kill_when(reached: Callable[[], bool], house: House, *arguments: str, home: Path) -> None:
    process = house.start(*arguments, home=home)
    give_up = time.monotonic() + SECONDS
    try:
        while not reached():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < give_up
            time.sleep(0.001)
    finally:
        process.kill()
        house.end(process)
    assert process.returncode == -signal.SIGKILL
