"""Publish an extract, killed without warning before each step that changes or syncs a file.

    python -m tests.unit.evaluator.publishing DIRECTORY

Runs by itself, so that what is forked has no threads. Each time a process is killed one step later
than the last, another one publishes the same extract; prints, as JSON, what stood after each.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from linkage.errors import LinkageError
from linkage.evaluator.entries import Entry
from linkage.evaluator.extract import digest_of, verify_extract, write_extract
from linkage.evaluator.ledger import Ledger
from tests.unit.evaluator.test_extract import MANIFEST, QUALITY, assembled

STEPS = ("rename", "replace", "link", "unlink", "rmdir", "mkdir", "fsync")
PROJECT = "county"


def publish(place: Path, release: str) -> None:
    """As the assembler does: into the ledger when all is written, before it is to be seen."""
    ledger, made = Ledger(place / "home", PROJECT), assembled()
    persons = ledger.persons(made) + np.uint64(len(release))

    def leave(digest: str) -> None:
        entry = Entry(release, "bureau", MANIFEST.fingerprint, digest, made.people.num_rows, {})
        ledger.add(entry, persons)

    quality = {**QUALITY, "release": release}
    out = place / "out" / "extract"
    write_extract(out, made, manifest=MANIFEST, quality=quality, overwrite=True, ready=leave)


def die_before(step: int) -> None:
    """Kill this process where it would take the step of this number, from 1."""
    left = [step]

    def dying(act: Callable[..., Any]) -> Callable[..., Any]:
        def acting(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*arguments, **options)

        return acting

    for name in STEPS:
        setattr(os, name, dying(getattr(os, name)))


def in_another_process(act: Callable[[], None]) -> int:
    """Its exit code; that of a signal is below 0."""
    child = os.fork()
    if not child:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def state(place: Path) -> dict[str, Any]:
    """What stands there: digests of whole extracts, by path, and those that the ledger knows."""
    whole = {}
    for sums in sorted((place / "out").rglob("SHA256SUMS")):
        try:
            verify_extract(sums.parent)
        except LinkageError:
            continue
        whole[sums.parent.relative_to(place / "out").as_posix()] = digest_of(sums.parent)
    return {
        "whole": whole,
        "there": (place / "out" / "extract").exists(),
        "beside": sorted(one.name for one in (place / "out").iterdir() if one.name != "extract"),
        "ledger": [
            dataclasses.asdict(e)["extract"] for e in Ledger(place / "home", PROJECT).entries()
        ],
    }


def main(directory: Path) -> None:
    found: dict[str, Any] = {}
    for start in ("none", "old"):
        base = directory / start
        (base / "out").mkdir(parents=True)
        (base / "home").mkdir()
        if start == "old":
            assert in_another_process(lambda at=base: publish(at, "r1")) == 0
        found[start] = {"before": state(base), "steps": []}
        for step in range(1, 1000):
            place = directory / f"{start}-{step}"
            shutil.copytree(base, place)

            def killed(at: Path = place, number: int = step) -> None:
                die_before(number)
                publish(at, "release 2")

            code = in_another_process(killed)
            after = state(place)
            again = in_another_process(lambda at=place: publish(at, "release 2"))
            found[start]["steps"].append(
                {"code": code, "after": after, "again": again, "end": state(place)}
            )
            shutil.rmtree(place)
            if code != -signal.SIGKILL:
                break
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
