"""`linkage agent answer` and `linkage agent serve`: the partner's part in the comparison round."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import structlog
import typer

from linkage.cli.agent_options import HOME, PATIENCE, ProjectOption
from linkage.cli.common import (
    Bar,
    HomeOption,
    JsonOption,
    PatienceOption,
    WaitOption,
    connect_member,
    patiently,
    show,
)
from linkage.errors import LinkageError, NotReadyError

if TYPE_CHECKING:
    from linkage.agent.rounds import Answered

POLL_SECONDS = 60.0
log = structlog.get_logger()

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The identifier file that was submitted.")
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads for encoding; default: all cores.")
]
AliasesOption = Annotated[
    Path | None, typer.Option("--aliases", help="The alias table that was submitted, if any.")
]


def add_answer_commands(app: typer.Typer) -> None:
    """The two commands, beside the agent's others."""
    app.command()(answer)
    app.command()(serve)


def answer(
    file: FileArgument,
    project: ProjectOption,
    aliases: AliasesOption = None,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer the hub's comparison round once: encode single fields for single pairs of rows.

    Every list is checked before anything is encoded: it must name each of this agency's rows
    exactly as often as the manifest says. One that does not is refused as a whole. An answer that
    broke off goes on where it stopped: run the same command again. With --wait the command waits
    for the round to open; `linkage agent serve` does so for good.
    """
    from linkage.agent.agent import Agent

    with connect_member(home, patience) as connection, Bar() as b:
        agent = Agent(home, progress=b, threads=threads)

        def once() -> list[Answered]:
            found = agent.answer(connection, project, file, aliases=aliases)
            if not found:
                raise NotReadyError(
                    f"no run of project {project!r} waits for answers",
                    remedy="The steward starts one with: linkage hub run",
                )
            return found

        done = patiently(once, wait)
        result = {"answered": [vars(one) for one in done], "wire": vars(connection.wire)}
    lines = [
        f"{one.other}: {'answered before' if one.repeated else 'answered'},"
        f" {one.entries} entries (run {one.run})"
        for one in done
    ]
    show(result, as_json=as_json, text="\n".join(lines))


def serve(
    file: FileArgument,
    project: ProjectOption,
    aliases: AliasesOption = None,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=1, help="Pause between two looks.")
    ] = POLL_SECONDS,
    home: HomeOption = HOME,
    threads: ThreadsOption = None,
) -> None:
    """Answer the comparison rounds of a project as they open, until stopped.

    Does this partner's part in making the project secret too, at the start and in every new epoch.
    Looks at the hub every minute, keeps the certificate renewed on the way, and sees each time that
    the hub's log goes on from what this and the other parties saw of it. What goes wrong is
    logged once and tried again: JSON lines on standard error, LINKAGE_LOG=info to see every
    answer. Stop it with SIGTERM or Ctrl-C at any time; the next start goes on from the last
    checkpoint. deploy/systemd has a unit.
    """
    from linkage.agent.agent import Agent

    signal.signal(signal.SIGTERM, _end)
    log.info("agent serving", project=project, every=every)
    last = ""
    while True:
        try:
            with connect_member(home, every) as connection:
                agent = Agent(home, threads=threads)
                agent.share(connection, project)
                for one in agent.answer(connection, project, file, aliases=aliases):
                    if not one.repeated:
                        log.info("answered", project=project, **vars(one))
            last = ""
        except LinkageError as error:
            if str(error) != last:
                log.warning(
                    "no answer", project=project, reason=error.reason, message=error.message
                )
            last = str(error)
        time.sleep(every)


def _end(_number: int, _frame: Any) -> NoReturn:
    raise SystemExit(0)
