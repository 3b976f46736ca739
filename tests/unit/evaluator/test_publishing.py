"""An extract that is killed on the way into its place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from linkage.evaluator.placing import beside, put, recover


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.unit.evaluator.publishing",
            str(tmp_path_factory.mktemp("x")),
        ],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("start", ["none", "old"])
def test_killed_at_any_step_one_extract_is_whole(killed: dict[str, Any], start: str) -> None:
    before, steps = killed[start]["before"], killed[start]["steps"]
    *dead, last = steps
    assert all(one["code"] == -signal.SIGKILL for one in dead)
    assert last["code"] == 0
    assert len(dead) > 30
    [new] = last["end"]["whole"].values()
    old = before["whole"].get("extract")
    assert new != old
    seen = set()
    for one in dead:
        after = one["after"]
        if after["there"]:
            # Whole, and what the ledger knows.
            assert after["whole"]["extract"] in after["ledger"]
            seen.add(after["whole"]["extract"])
        elif old:
            [aside] = [path for path in after["whole"] if ".old-" in path]
            assert after["whole"][aside] == old
            seen.add("aside")
        assert after["ledger"] in (before["ledger"], [*before["ledger"], new])
        if new in after["whole"].values() and after["whole"].get("extract") == new:
            assert new in after["ledger"]
        # The same command again finishes, and leaves nothing beside.
        assert one["again"] == 0
        assert one["end"] == last["end"]
    assert last["end"]["whole"] == {"extract": new}
    assert last["end"]["beside"] == []
    assert last["end"]["ledger"] == [*before["ledger"], new]
    assert seen == ({old, new, "aside"} if old else {new})


def test_what_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "x"
    with beside(place) as work:
        (work / "file").write_text("new")
        recover(place)
        put(work, place)
    assert (place / "file").read_text() == "new"
    # Of another extract, and of nobody.
    others = [".x.new-1", ".x.y.new-abcdefgh", ".xx.old-abcdefgh"]
    for name in [*others, ".x.old-abcdefgh", ".x.new-abcdefgh"]:
        (tmp_path / name).mkdir()
    recover(place)
    assert {one.name for one in tmp_path.iterdir()} == {"x", *others}


def test_what_is_seen_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file and directory is synced before it is renamed, and the rename after."""
    synced: list[str] = []
    sync, rename = os.fsync, os.rename

    def syncing(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    def renaming(one: Path, other: Path) -> None:
        synced.append("rename")
        rename(one, other)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "rename", renaming)
    with beside(tmp_path / "x") as work:
        (work / "deep").mkdir()
        (work / "deep" / "file").write_text("a")
        put(work, tmp_path / "x")
    whole = {str(work), str(work / "deep"), str(work / "deep" / "file")}
    assert set(synced[: synced.index("rename")]) == whole
    assert synced[synced.index("rename") + 1 :] == [str(tmp_path)]
