"""`linkage agent sign`: show what is to be agreed to, and take no silence for a yes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from linkage.cli.agent_options import HOME, PATIENCE
from linkage.cli.common import (
    HomeOption,
    JsonOption,
    PatienceOption,
    connect_member,
    errors,
    show,
)
from linkage.cli.manifest import FileArgument, change_lines, load_manifest
from linkage.errors import InputError, NotAgreedError, NotFoundError

if TYPE_CHECKING:
    from linkage.agent.agent import Agent
    from linkage.agreement import Manifest
    from linkage.agreement.difference import Change


def add_sign_command(app: typer.Typer) -> None:
    """The command, beside the agent's others."""
    app.command()(sign)


def sign(
    manifest: FileArgument,
    yes: Annotated[
        bool, typer.Option("--yes", help="It was read, and is agreed to: show and ask nothing.")
    ] = False,
    despite_unanswered: Annotated[
        bool,
        typer.Option(
            "--despite-unanswered",
            help="Sign although it does not say why it is legal, ethical, a good idea, or who"
            " decides.",
        ),
    ] = False,
    home: HomeOption = HOME,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Agree to a manifest: it is shown in plain language, and you are asked.

    The file must be the one the steward proposed to the hub; the agent compares fingerprints and
    refuses another. It refuses one that leaves questions open, and one that has expired. With the
    signature goes a commitment to this partner's part of the project secret.

    Of a running project's next version, what changes is shown first.
    """
    from linkage.agent.agent import Agent
    from linkage.agent.signing import version_of

    agreed = load_manifest(manifest)
    agent = Agent(home)
    changes = _changes(agent, agreed)
    if changes:
        errors.print("\n".join(["what changes:", *change_lines(changes), ""]), markup=False)
    if not yes:
        _ask(agreed)
    with connect_member(home, patience) as connection:
        project = agent.sign(connection, agreed, despite_unanswered=despite_unanswered)
        signed = [one.partner for one in version_of(project, agreed).signatures]
        result = {
            "project": agreed.project,
            "fingerprint": agreed.fingerprint,
            "changes": [asdict(change) for change in changes],
            "signed": signed,
            "wire": vars(connection.wire),
        }
    waiting = [name for name in agreed.partner_names if name not in signed]
    text = f"signed {agreed.project}\n{agreed.fingerprint}\n"
    text += f"still to sign: {', '.join(waiting)}" if waiting else "all partners have signed"
    text += f"\nnext, once all have: linkage agent share --project {agreed.project}"
    show(result, as_json=as_json, text=text)


def _changes(agent: Agent, manifest: Manifest) -> Sequence[Change]:
    """What a next version changes in the manifest that this partner signed before it."""
    from linkage.agreement.difference import differences

    try:
        before = agent.signed_manifest(manifest.project)
    except NotFoundError:
        return ()
    return differences(before, manifest) if before.version < manifest.version else ()


def _ask(manifest: Manifest) -> None:
    """Show what is to be signed, and have it agreed to; on standard error.

    Raises:
        InputError: nobody is there to ask.
        NotAgreedError: the answer is no.
    """
    from linkage.reports.agreement import agreement_text

    if not sys.stdin.isatty():
        raise InputError(
            "nobody is there to be asked",
            remedy="Read it with linkage manifest show, then sign with --yes",
        )
    errors.print(agreement_text(manifest), markup=False)
    if not typer.confirm("\nDo you agree to this, for your agency?", err=True):
        raise NotAgreedError("not agreed to; nothing was signed")
