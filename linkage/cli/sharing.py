"""`linkage agent share`: this partner's part in making the project secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from linkage.cli.agent_options import HOME, PATIENCE, ProjectOption
from linkage.cli.common import (
    HomeOption,
    JsonOption,
    PatienceOption,
    WaitOption,
    connect_member,
    patiently,
    show,
)

if TYPE_CHECKING:
    from linkage.agent.exchange import Standing


def add_share_command(app: typer.Typer) -> None:
    """The command, beside the agent's others."""
    app.command()(share)


def share(
    project: ProjectOption,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Do this agency's part in making the project secret, as far as it can be done now.

    Every partner gives 32 random bytes: it commits to them when it signs, and reveals them to each
    other partner, sealed, once all have committed. The hub passes on what it cannot open. submit
    and serve do the same on the way; share is for whoever wants it done before, so that nobody
    waits. Run it again at any time, and after you have changed your keys while others still wait
    for your part; with --wait it stays until the secret is complete.

    Partners who compare the digest it prints know that the hub showed them the same commitments.
    """
    from linkage.agent.agent import Agent

    with connect_member(home, patience) as connection:
        agent = Agent(home)

        def once() -> Standing:
            standing = agent.share(connection, project, again=True)
            if wait:
                standing.require_complete()
            return standing

        done = patiently(once, wait)
        result = {
            "project": project,
            "epoch": done.epoch,
            "complete": done.complete,
            "to_commit": list(done.to_commit),
            "to_reveal": list(done.to_reveal),
            "commitments": done.commitments,
            "wire": vars(connection.wire),
        }
    show(result, as_json=as_json, text=_text(done))


def _text(done: Standing) -> str:
    lines = []
    if done.complete:
        lines.append(f"the project secret of {done.project}, epoch {done.epoch}, is here")
    elif done.to_commit:
        lines.append(f"committed; still to commit: {', '.join(done.to_commit)}")
    else:
        lines.append(f"revealed to the others; still to reveal: {', '.join(done.to_reveal)}")
    if done.commitments is not None:
        lines.append(f"commitments {done.commitments}")
    if not done.complete:
        lines.append(f"each of them runs: linkage agent share --project {done.project}")
    return "\n".join(lines)
