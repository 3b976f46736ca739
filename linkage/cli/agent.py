"""`linkage agent`: a partner's side of the protocol, run by the agency's own IT staff."""

from __future__ import annotations

from typing import Annotated

import typer

from linkage.cli.agent_options import (
    HOME,
    PATIENCE,
    AliasesOption,
    LookupOption,
    ProjectOption,
    SourceArgument,
)
from linkage.cli.agent_text import contributed_lines, standing_lines, submitted_lines
from linkage.cli.answering import add_answer_commands
from linkage.cli.auditing import add_audit_command
from linkage.cli.checking import add_check_commands
from linkage.cli.clk import add_clk_commands
from linkage.cli.common import (
    Bar,
    HomeOption,
    JsonOption,
    PatienceOption,
    WaitOption,
    assignments,
    audit_lines,
    connect_member,
    patiently,
    show,
)
from linkage.cli.crisis_report import add_crisis_report_commands
from linkage.cli.duplicates import add_dedupe_command
from linkage.cli.members import add_member_commands
from linkage.cli.sharing import add_share_command
from linkage.cli.signing import add_sign_command
from linkage.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Encode and contribute this agency's records. Identifiers and keys stay in this process"
        " and its home.\n\nIn order: init, enrol, trust, sign, share, submit, answer, approve,"
        " contribute."
    ),
)
add_member_commands(app, HOME)
add_clk_commands(app)
add_answer_commands(app)
add_crisis_report_commands(app)
add_dedupe_command(app)
add_share_command(app)
add_audit_command(app)
add_sign_command(app)
add_check_commands(app)

ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        help="Threads for encoding and the audit; default: all cores, and one for the audit's"
        " linear algebra.",
    ),
]
ReleaseOption = Annotated[
    str | None, typer.Option("--release", help="The release's id; default: the newest.")
]


@app.command()
def submit(
    file: SourceArgument,
    project: ProjectOption,
    aliases: AliasesOption = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Send anew what was sent before; until a run has used it."),
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Send a changed file as the next round, after a run has used the last one.",
        ),
    ] = False,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out records with errors; send the rest.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check and audit the file, and send nothing."),
    ] = False,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check, audit, encode and upload this agency's file.

    Nothing is sent if any row has an error, unless --skip-invalid is given: then the hub is told
    how many records were left out, and skipped.json beside the receipt says why. An upload that
    broke off goes on where it stopped: run the same command again.

    Before anything is sent, the file's encodings are attacked as by linkage agent audit --quick,
    once per file. Where an attack finds more people than the manifest allows, nothing is sent
    (exit code 9), unless the manifest holds an exception for this partner. What was found goes
    into the signed header, without any value; in full it stays in the home.

    With --update records are known again by their record ids: unchanged ones are not compared
    anew, and linkage ids go on.
    """
    from linkage.agent.agent import Agent

    if dry_run:
        with Bar() as bar:
            checked, audit = Agent(home, progress=bar, threads=threads).try_submit(
                project, file, aliases=aliases, skip_invalid=skip_invalid
            )
        said = audit.model_dump(mode="json")
        result = {"project": project, "rows": checked.sent, "audit": said, "sent": False}
        lines = [
            f"{checked.sent} records would be sent; nothing was",
            *audit_lines({"this file": said}),
        ]
        show(result, as_json=as_json, text="\n".join(lines))
        return
    if replace and update:
        raise InputError("--replace sends a round anew, --update begins the next: take one")
    with connect_member(home, patience) as connection, Bar() as bar:
        agent = Agent(home, progress=bar, threads=threads)
        done = patiently(
            lambda: agent.submit(
                connection,
                project,
                file,
                aliases=aliases,
                replace=replace,
                update=update,
                skip_invalid=skip_invalid,
            ),
            wait,
        )
        result = {
            "project": project,
            "upload": done.upload,
            "rows": done.checked.sent,
            "aliases": done.checked.aliases,
            "grouped": done.checked.grouped,
            "skipped": len(done.checked.skipped),
            "reasons": [vars(reason) for reason in done.checked.reasons],
            "bytes": done.size,
            "digest": done.digest,
            "resumed": done.repeated,
            "missing": done.checked.missing,
            "covered": done.checked.covered,
            "audit": done.audit.model_dump(mode="json"),
            "wire": vars(connection.wire),
        }
    show(result, as_json=as_json, text="\n".join(submitted_lines(done)))


@app.command()
def status(
    home: HomeOption = HOME, patience: PatienceOption = PATIENCE, as_json: JsonOption = False
) -> None:
    """Show what each of this agency's projects waits for."""
    from linkage.agent.agent import Agent

    with connect_member(home, patience) as connection:
        projects = Agent(home).status(connection)
    text = "\n".join(standing_lines(projects)) or "no projects yet"
    show({"projects": projects}, as_json=as_json, text=text)


@app.command()
def approve(
    project: ProjectOption,
    release: ReleaseOption = None,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Approve a proposed release of the links this agency takes part in.

    The agent checks that the manifest it signed covers the release, and keeps the quality report
    the release was decided on in its home.
    """
    from linkage.agent.agent import Agent

    with connect_member(home, patience) as connection:
        agent = Agent(home)
        found = patiently(lambda: agent.approve(connection, project, release), wait)
        result = {
            "release": found.release,
            "threshold": found.threshold,
            "approvals": [a.partner for a in found.approvals],
            "wire": vars(connection.wire),
        }
    text = f"approved release {found.release}: links from match probability {found.threshold:g}"
    show(result, as_json=as_json, text=text)


@app.command()
def contribute(
    file: SourceArgument,
    project: ProjectOption,
    content: Annotated[
        list[str] | None,
        typer.Option(
            "--content", metavar="TABLE=FILE", help="File of a content table; may be repeated."
        ),
    ] = None,
    lookup: LookupOption = None,
    release: ReleaseOption = None,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Coarsen the agreed content, seal it to the assembler, and post it.

    Only the fields that the manifest lists leave, each under its transform. One cell that may not
    leave stops the whole parcel.
    """
    from linkage.agent.agent import Agent

    files = assignments(content or [], "--content")
    lookups = assignments(lookup or [], "--lookup")
    with connect_member(home, patience) as connection, Bar() as bar:
        agent = Agent(home, progress=bar)
        done = patiently(
            lambda: agent.contribute(connection, project, file, files, release, lookups), wait
        )
        receipt = done.receipt
        result = {
            "left_out": done.left_out,
            "lookups": done.lookups,
            "upload": receipt.upload,
            "bytes": receipt.size,
            "digest": receipt.digest,
            "wire": vars(connection.wire),
        }
    show(result, as_json=as_json, text="\n".join(contributed_lines(done)))
