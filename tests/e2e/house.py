"""Run `linkage` commands as people would, against a hub in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LINKAGE = [sys.executable, "-m", "linkage"]
WORKER = Path(__file__).with_name("worker.py")
READY_SECONDS = 60.0


def manifest_of(project: str, **settings: Any) -> dict[str, Any]:
    code = {"name": "program", "values": ["A", "B"]}
    table = {"name": "visits", "kind": "event", "record_id": "id", "fields": [code]}
    document: dict[str, Any] = {
        "linkage": "manifest/1",
        "project": project,
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "governance": {"legal": "L", "ethical": "E", "good_idea": "G", "decision": "D"},
        "expires": "2099-01-01",
        "partners": [
            {"name": "north", "record_id": "id", "content": [table]},
            {"name": "south", "record_id": "id"},
        ],
        "recipients": [{"name": "bureau", "role": "assembler"}],
        "fields": [
            {"name": "given", "type": "given_name"},
            {"name": "surname", "type": "surname"},
            {"name": "dob", "type": "date_of_birth"},
        ],
        "match_keys": [
            {"name": "all", "fields": ["given", "surname", "dob"]},
            {"name": "surname-dob", "fields": ["surname", "dob"]},
        ],
        "scheme": {"name": "saul-v1", "bits": 1024},
        "matching": {"pair_keyed": False},
        # Small files, which are mostly of the same people.
        "min_rows": 1,
        "safeguards": {"min_change": 1, "min_overlap": 1, "min_apart": 0},
        "audit": {"exceptions": [{"reason": "People of tests are made up."}]},
    }
    return document | settings


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.result["error"]
        return found


@dataclass
class House:
    """Runs commands as people would, and keeps all that they print."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)
    hub: subprocess.Popen[bytes] | None = None
    worker: subprocess.Popen[bytes] | None = None

    def home(self, name: str) -> Path:
        return self.path / name

    def start(
        self,
        *arguments: str,
        home: Path | None = None,
        environment: Mapping[str, str] = {},
        program: Sequence[str] = LINKAGE,
    ) -> subprocess.Popen[bytes]:
        words = list(arguments)
        if home is not None:
            words += ["--home", str(home)]
        return subprocess.Popen(
            [*program, *words, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LINKAGE_LOG": "debug", **self.environment, **environment},
        )

    def end(self, process: subprocess.Popen[bytes]) -> Done:
        out, err = process.communicate(timeout=120)
        done = Done(process.returncode, out.decode(), err.decode())
        self.printed += [done.out, done.err]
        return done

    def run(
        self, *arguments: str, home: Path | None = None, environment: Mapping[str, str] = {}
    ) -> Done:
        """One command, in a process that runs one after another."""
        if self.worker is None:
            with (self.path / "worker.log").open("wb") as log:
                self.worker = subprocess.Popen(
                    [sys.executable, str(WORKER)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env={**os.environ, "LINKAGE_LOG": "debug"},
                )
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        words = [*arguments, *(["--home", str(home)] if home else []), "--json"]
        job = {"argv": words, "environment": {**self.environment, **environment}}
        self.worker.stdin.write(json.dumps(job).encode() + b"\n")
        self.worker.stdin.flush()
        done = Done(**json.loads(self.worker.stdout.readline()))
        self.printed += [done.out, done.err]
        return done

    def good(self, *arguments: str, **more: Any) -> dict[str, Any]:
        done = self.run(*arguments, **more)
        assert done.code == 0, done.out + done.err
        return done.result

    def serve(self) -> None:
        """Start the hub; a second time on the same port."""
        ready, log = self.path / "ready", self.path / "hub.log"
        ready.unlink(missing_ok=True)
        address = self.environment.get("LINKAGE_HUB", "127.0.0.1:0")
        command = ["hub", "serve", "--home", str(self.home("hub")), "--ready", str(ready)]
        with log.open("ab") as file:
            self.hub = subprocess.Popen(
                [*LINKAGE, *command, "--address", address],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, "LINKAGE_LOG": "debug"},
            )
        give_up = time.monotonic() + READY_SECONDS
        while not ready.exists():
            assert self.hub.poll() is None, log.read_text()
            assert time.monotonic() < give_up
            time.sleep(0.05)
        self.environment["LINKAGE_HUB"] = ready.read_text()

    def kill_hub(self) -> None:
        assert self.hub is not None
        self.hub.kill()
        self.hub.wait(30)

    def stop(self) -> None:
        if self.worker is not None:
            self.worker.terminate()
            self.worker.wait(30)
        if self.hub is not None:
            self.hub.send_signal(signal.SIGCONT)
            self.hub.terminate()
            self.hub.wait(30)

    def agree(self, document: dict[str, Any]) -> Path:
        """Propose a manifest; both partners sign it, and make its secret."""
        path = self.path / f"{document['project']}.json"
        path.write_text(json.dumps(document))
        self.good("hub", "propose", str(path), home=self.home("hub"))
        for name in ("north", "south"):
            self.good("agent", "sign", str(path), "--yes", home=self.home(name))
        for name in ("north", "south"):
            project = ("--project", document["project"])
            self.good("agent", "share", *project, home=self.home(name))
        return path

    def copy(self, name: str, to: str) -> Path:
        """Another home with the same identity, to be damaged."""
        return Path(shutil.copytree(self.home(name), self.home(to)))


def records(path: Path, start: int, rows: int) -> Path:
    """A file of made-up people; two files share those whose numbers they share."""
    lines = ["id,given,surname,dob"]
    for n in range(start, start + rows):
        given, surname = _word(n * 7919, 3), _word(n * 104_729 + 5, 4)
        lines.append(
            f"R{n},{given},{surname},{1930 + n % 80}-{1 + n % 12:02}-{1 + n // 12 % 28:02}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


_SYLLABLES = ["ba", "de", "ki", "lo", "mu", "ran", "sel", "tin", "vor", "zu", "har", "men"]


def _word(number: int, length: int) -> str:
    found = ""
    for _ in range(length):
        number, place = divmod(number, len(_SYLLABLES))
        found += _SYLLABLES[place]
    return found
