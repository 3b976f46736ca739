"""Run `linkage` commands as processes of their own, and measure each.

- Every command is a process of its own, forked from one that has loaded what commands need: what
  each would load anew is paid for once. That one opens nothing and holds no secret.
- Output and errors of every process go to files of its own.
- A command that fails ends the whole with its own reason and message.
- Whatever was started is ended, by its process id, when the block is left.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess  # nosec B404 # our own commands, as lists of words, by no shell
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any

from linkage import errors
from linkage.errors import LinkageError

STOP_SECONDS = 30.0
READY_SECONDS = 60.0
POLL_SECONDS = 0.05
LINKAGE = (sys.executable, "-m", "linkage")

_FORKS = multiprocessing.get_context("forkserver")
_LOADED = (
    "linkage.cli.processes",
    "linkage.cli.main",
    "linkage.cli.assessing",
    "linkage.hub.keys",
    "linkage.hub.steward",
    "linkage.agent.agent",
    "linkage.agent.parcel",
    "linkage.agent.rounds",
    "linkage.agent.submission",
    "linkage.evaluator.assembler",
    "linkage.evaluator.reports",
    "linkage.rpc.member",
)
"""What two or more of a rehearsal's commands load late; with all that these load."""


def load_early() -> None:
    """Begin to load what commands need, in a process that they are forked from.

    It ends with this one. A script that calls this needs `if __name__ == "__main__"`, as with all
    of `multiprocessing`.
    """
    _FORKS.set_forkserver_preload(list(_LOADED))
    forkserver.ensure_running()


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
    _forking: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        load_early()

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
        name = f"{len(self.steps):03}-{step}-{party}".replace(" ", "-")
        out, log = self.logs / f"{name}.json", self.logs / f"{name}.log"
        process = _FORKS.Process(
            target=_command, args=([*arguments, "--json"], self._environment(), out, log)
        )
        with self._forking:  # Starting one asks after all others, and who asks twice is misled.
            process.start()
        assert process.pid is not None  # noqa: S101 - narrowing for the type checker
        with _Peak(process.pid) as peak:
            connection.wait([process.sentinel])
        with self._forking:
            process.join()
            code = process.exitcode
            process.close()
        result = _last_object(out.read_bytes() if out.exists() else b"")
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

    def pool(self) -> ProcessPoolExecutor:
        """Processes of the same kind, for functions of ours instead of commands."""
        return ProcessPoolExecutor(self.workers, mp_context=_FORKS)

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


def _command(arguments: list[str], environment: dict[str, str], out: Path, log: Path) -> None:
    """`linkage`, with its output in two files; runs in a process of its own."""
    for number, path in enumerate((out, log), 1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["linkage", *arguments]
    from linkage.cli.main import main

    main()


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
