"""Hubs in processes of their own, forked from one that has loaded what they need and no more."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

from linkage.cli.main import main

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["linkage.hub.main", __name__])


def serve(*arguments: str, log: Path) -> BaseProcess:
    """Start `linkage hub serve`; it ends with this process at the latest."""
    process = FORKS.Process(target=_serve, args=(arguments, log), daemon=True)
    process.start()
    return process


def _serve(arguments: tuple[str, ...], log: Path) -> None:
    with log.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    os.environ["LINKAGE_LOG"] = "info"
    sys.argv = ["linkage", "hub", "serve", *arguments]
    main()
