"""Run `linkage`, and die without warning right after a step of making the project secret."""

from __future__ import annotations

import os
import signal
from typing import Any

from linkage.agent.exchange import Exchange
from linkage.cli.main import main
from linkage.trust.keyring import Keyring

STEPS: dict[str, tuple[Any, str]] = {
    "kept": (Keyring, "contribution"),
    "committed": (Exchange, "commit"),
    "relied": (Keyring, "rely_on"),
    "revealed": (Exchange, "_reveal"),
    "derived": (Keyring, "save_secret"),
}


def die_after(owner: Any, name: str) -> None:
    act = getattr(owner, name)

    def dying(*arguments: Any, **options: Any) -> None:
        act(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dying)


die_after(*STEPS[os.environ["DIE_AFTER"]])
main()
