"""Commands in processes of their own: what comes back, and what is said when one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkage.cli.processes import Processes
from linkage.errors import InputError, LinkageError


def test_commands_run_in_processes_of_their_own(tmp_path: Path) -> None:
    inits = {n: ["agent", "init", "--home", str(tmp_path / n)] for n in ("north", "south")}
    with Processes(tmp_path, workers=2) as processes:
        made = processes.run_all("init", inits)
        assert made["north"]["fingerprint"] != made["south"]["fingerprint"]
        assert {step.party for step in processes.steps} == {"north", "south"}
        assert all(step.peak_mib > 10 and step.seconds > 0 for step in processes.steps)

        with pytest.raises(InputError, match=r"sign of north: .*nothing\.json"):
            processes.run("sign", "north", ["agent", "sign", str(tmp_path / "nothing.json")])


def test_a_process_that_says_nothing_is_known_by_its_log(tmp_path: Path) -> None:
    with (
        Processes(tmp_path, workers=1) as processes,
        pytest.raises(LinkageError, match=r"failed; see .*/000-no-such-command-north\.log"),
    ):
        processes.run("no such command", "north", ["agent", "nothing"])
