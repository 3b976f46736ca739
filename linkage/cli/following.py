"""`linkage hub run` and `linkage hub watch`: start a run, follow it, say for whom it waits."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.common import (
    Bar,
    HomeOption,
    JsonOption,
    PatienceOption,
    WaitOption,
    connect_steward,
    errors,
    patiently,
    show,
)

if TYPE_CHECKING:
    from linkage.hub.steward import Steward
    from linkage.v1 import run_pb2

PATIENCE = 30.0

ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
DetachOption = Annotated[
    bool,
    typer.Option("--detach", help="Come back when the run waits for partners; go on with watch."),
]


def add_following_commands(app: typer.Typer, home: Path) -> None:
    """The commands, beside the hub's others.

    Args:
        home: the hub's default home.
    """

    @app.command()
    def run(
        project: ProjectArgument,
        detach: DetachOption = False,
        home: HomeOption = home,
        wait: WaitOption = 0,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Match everybody's encodings, and follow the run to its end.

        Half-way the run waits until every agent has answered the comparison round (linkage agent
        answer or serve), at most as long as the manifest says; then it goes on with what is there.
        The run goes on at the hub when this command is interrupted: see watch, status and report.
        """
        from linkage.hub.steward import Steward

        with connect_steward(home, patience) as connection:
            steward = Steward(connection)
            started = patiently(lambda: steward.start_run(project), wait)
            result, text = _follow(steward, started.run, detach=detach)
            result["wire"] = vars(connection.wire)
        show(result, as_json=as_json, text=text)

    @app.command()
    def watch(
        run: RunArgument,
        detach: DetachOption = False,
        home: HomeOption = home,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Follow a run that was started before to its end."""
        from linkage.hub.steward import Steward

        with connect_steward(home, patience) as connection:
            result, text = _follow(Steward(connection), run, detach=detach)
            result["wire"] = vars(connection.wire)
        show(result, as_json=as_json, text=text)


def waiting_fields(run: run_pb2.Run) -> dict[str, Any]:
    """The same for scripts; nothing where the run does not wait."""
    if not run.HasField("deadline"):
        return {}
    until = datetime.fromtimestamp(run.deadline.seconds, UTC)
    return {"waiting_for": list(run.waiting_for), "until": until.isoformat()}


def _follow(steward: Steward, run: str, *, detach: bool) -> tuple[dict[str, Any], str]:
    from linkage.hub.steward import state_name
    from linkage.v1 import run_pb2

    with Bar() as bar:
        told: list[str] = []

        def tell(now: run_pb2.Run) -> None:
            if now.state != run_pb2.RUN_STATE_WAITING:
                bar(now.step or "match", round(now.progress * 1000), 1000)
            elif told != list(now.waiting_for) and now.waiting_for and not detach:
                told[:] = now.waiting_for
                errors.print(_what_to_do(now), markup=False)

        done = steward.watch(run, tell, through_waiting=not detach)
    if done.state == run_pb2.RUN_STATE_WAITING:
        result = {"run": run, "state": state_name(done), **waiting_fields(done)}
        return result, f"{_what_to_do(done)}\nnext: linkage hub watch {run}"
    recommended = steward.report(run)["recommended"]
    text = (
        f"run {run} succeeded\n"
        f"recommended threshold {recommended['threshold']:g}: {recommended['links']} links,"
        f" estimated precision {recommended['precision']:.3f},"
        f" recall {recommended['recall']:.3f}\n"
        f"next: linkage hub report {run}; linkage hub release {run}"
    )
    return {"run": run, "state": state_name(done), "recommended": recommended}, text


def _what_to_do(run: run_pb2.Run) -> str:
    until = datetime.fromtimestamp(run.deadline.seconds, UTC)
    return (
        f"run {run.run} waits for {', '.join(run.waiting_for)} until {until:%Y-%m-%d %H:%M UTC}\n"
        f"each runs: linkage agent answer FILE --project {run.project}"
    )
