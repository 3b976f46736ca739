"""Run `linkage` commands as processes of their own, and measure each.

- Output and errors of every process go to a log file of its own.
- A command that fails ends the whole with its own reason and message.
- Whatever was started is ended, by its process id, when the block is left.
"""

from __future__ import annotations

import json
import os
import subprocess  # nosec B404 # our own commands, as lists of words, by no shell
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkage import errors
from linkage.errors import LinkageError

STOP_SECONDS = 30.0
READY_SECONDS = 60.0
POLL_SECONDS = 0.05
LINKAGE = (sys.executable, "-m", "linkage")


@dataclass(frozen=True)
class Step:
    """What one process took.

    Attributes:
        sent, received: bytes of its messages to and from the hub.
        peak_mib: largest resident memory, MiB.
    """

    step: str
    party: str
    seconds: float
    sent: int
    received: int
    peak_mib: float


@dataclass
class Processes:
    """Runs commands in parallel, at most `workers` at a time.

    Args:
        logs: directory of the log files.
        environment: variables beside this process's own.
    """

    logs: Path
    workers: int
    environment: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    _servers: list[tuple[str, subprocess.Popen[bytes], _Peak]] = field(default_factory=list)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, step: str, party: str, arguments: Sequence[str]) -> dict[str, Any]:
        """Run one command with --json and give its result.

        Raises:
            LinkageError: of the kind that the command reported.
        """
        start = time.perf_counter()
        log = self.logs / f"{len(self.steps):03}-{step.replace(' ', '-')}-{party}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(  # nosec B603 # see the import
                [*LINKAGE, *arguments, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=self._environment(),
            )
            assert process.stdout is not None  # noqa: S101 - narrowing for the type checker
            with _Peak(process.pid) as peak:
                out = process.stdout.read()
            code = process.wait()
        result = _last_object(out)
        wire = result.get("wire", {})
        self.steps.append(
            Step(
                step,
                party,
                round(time.perf_counter() - start, 3),
                wire.get("sent", 0),
                wire.get("received", 0),
                peak.mib,
            )
        )
        if code != 0:
            raise _failure(step, party, result, log)
        return result

    def run_all(self, step: str, commands: dict[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
        """One command per party, side by side, begun in the given order."""
        with ThreadPoolExecutor(self.workers) as pool:
            begun = {p: pool.submit(self.run, step, p, c) for p, c in commands.items()}
            return {party: future.result() for party, future in begun.items()}

    def serve(self, command: Sequence[str], ready: Path) -> Callable[[], str]:
        """Start a hub; calling the result waits until it takes calls, and gives its host:port.

        Raises:
            HubUnavailableError: (when waited for) it did not come up.
        """
        with (self.logs / "hub.log").open("wb") as log:
            process = subprocess.Popen(  # nosec B603 # see the import
                [*command, "--ready", str(ready)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
            )
        self._servers.append(("hub", process, _Peak(process.pid)))
        give_up = time.monotonic() + READY_SECONDS

        def wait() -> str:
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > give_up:
                    raise errors.HubUnavailableError(
                        "the hub did not start", remedy=f"See {self.logs / 'hub.log'}"
                    )
                time.sleep(POLL_SECONDS)
            return ready.read_text()

        return wait

    def stop(self) -> None:
        """End the servers: politely first."""
        while self._servers:
            name, process, peak = self._servers.pop()
            start = time.perf_counter()
            with peak:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            seconds = round(time.perf_counter() - start, 3)
            self.steps.append(Step("serve", name, seconds, 0, 0, peak.mib))

    def _environment(self) -> dict[str, str]:
        # Logs go to files here, so there is no reason to be quiet.
        return {**os.environ, "LINKAGE_LOG": "info", **self.environment}


class _Peak:
    """Follows a process's largest resident memory, from when it is made until the block ends.

    The kernel's account at exit would include what the parent had when it forked.
    """

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    def __enter__(self) -> _Peak:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            for line in lines:
                if line.startswith("VmHWM:"):
                    self.mib = round(int(line.split()[1]) / 1024, 1)


def _last_object(out: bytes) -> dict[str, Any]:
    lines = out.splitlines()
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _failure(step: str, party: str, result: dict[str, Any], log: Path) -> LinkageError:
    error = result.get("error", {})
    cls = errors.by_reason().get(error.get("reason", ""), errors.LinkageError)
    if cls is errors.SourceError:
        cls = errors.InputError
    message = error.get("message", f"the process failed; see {log}")
    return cls(f"{step} of {party}: {message}", remedy=error.get("remedy"))
