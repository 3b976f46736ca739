"""Kill processes without warning; the same command again must finish the work."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linkage.agent.rowmap import places_by_row
from linkage.encodings import EncodingMatrix
from linkage.evaluator.extract import verify_extract
from linkage.trust.headers import EncodingsHeader, parse_header
from tests.e2e.house import LINKAGE, House, manifest_of, records

SMALL_PIECES = [sys.executable, str(Path(__file__).with_name("small_pieces.py"))]

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


def test_an_agent_killed_while_it_encodes_goes_on(house: House) -> None:
    """Killed while it encodes, and again while it puts what is encoded into place."""
    project, rows = "killed-encoding", 15_000
    house.agree(manifest_of(project))
    north = house.home("north")
    file = records(house.path / "encoding-north.csv", 0, rows)
    submit = ("agent", "submit", str(file), "--project", project)
    epoch = north / "projects" / project / "epoch-0"
    before: dict[str, int] = {}

    def state() -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads((epoch / "work" / "state.json").read_bytes())
        except FileNotFoundError:
            return {"rows": 0, "placed": 0}
        return found

    def encoding() -> bool:
        before.update(state())
        return 0 < before["rows"] < rows

    _kill_when(encoding, house, *submit, home=north, program=SMALL_PIECES)
    handles = _handles(epoch, rows)

    def on_its_way() -> bool:
        assert state()["rows"] >= before["rows"], "it began anew"
        return 2 < state()["placed"] < 10

    _kill_when(on_its_way, house, *submit, home=north, program=SMALL_PIECES)
    assert not (epoch / "header.json").exists()
    sent = house.end(house.start(*submit, home=north, program=SMALL_PIECES))
    assert (sent.code, sent.result["rows"]) == (0, rows), sent
    assert _handles(epoch, rows) == handles, "it began anew"
    assert not (epoch / "work").exists()

    # The same file at one go, under the same secret: every record has the same encodings.
    killed = _encodings_by_row(epoch)
    file.write_text(file.read_text() + "X1,Ann,Lee,1980-01-31\n")
    house.good(*submit, "--replace", home=north)
    assert _handles(epoch, rows) != handles
    assert np.array_equal(_encodings_by_row(epoch)[:, :rows], killed)


def _handles(epoch: Path, rows: int) -> bytes:
    with (epoch / "payload").open("rb") as file:
        return file.read(rows * 16)


def _encodings_by_row(epoch: Path) -> npt.NDArray[np.uint64]:
    """(match keys, rows, words) the encodings of an upload in the order of the file."""
    header = parse_header((epoch / "header.json").read_bytes())
    assert isinstance(header, EncodingsHeader)
    matrix = EncodingMatrix.from_buffer(np.fromfile(epoch / "payload", np.uint8), header.layout)
    matrix.validate()
    _, places = places_by_row(epoch)
    return matrix.words[:, places]


def _kill_when(
    reached: Callable[[], bool],
    house: House,
    *arguments: str,
    home: Path,
    program: Sequence[str] = LINKAGE,
) -> None:
    process = house.start(*arguments, home=home, program=program)
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
