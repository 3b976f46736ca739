"""`linkage agent`: a partner's side of the protocol, run by the agency's own IT staff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from linkage.cli.common import (
    Bar,
    HomeOption,
    JsonOption,
    PatienceOption,
    WaitOption,
    assignments,
    default_home,
    patiently,
    say_waiting,
    show,
)
from linkage.cli.manifest import FileArgument, load_manifest
from linkage.cli.members import add_member_commands

HOME = default_home("agent")
PATIENCE = 30.0

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Encode and contribute this agency's records. Identifiers and keys stay in this process"
        " and its home.\n\nIn order: init, enrol, trust, sign, submit, approve, contribute."
    ),
)
add_member_commands(app, HOME)

ProjectOption = Annotated[
    str, typer.Option("--project", help="The project's name, as in its manifest.")
]
SourceArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="This agency's identifier file, CSV or Parquet.")
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads for encoding; default: all cores.")
]
ReleaseOption = Annotated[
    str | None, typer.Option("--release", help="The release's id; default: the newest.")
]


def _connect(home: Path, patience: float) -> Any:
    from linkage.rpc.party import Party

    return Party.load(home).connect(patience=patience, waiting=say_waiting)


@app.command()
def sign(
    manifest: FileArgument,
    home: HomeOption = HOME,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Agree to a manifest that you have read (see: linkage manifest show).

    The file must be the one the steward proposed to the hub; the agent compares fingerprints and
    refuses another.
    """
    from linkage.agent.agent import Agent

    agreed = load_manifest(manifest)
    with _connect(home, patience) as connection:
        project = Agent(home).sign(connection, agreed)
        signed = [s.partner for s in project.signatures]
        result = {
            "project": agreed.project,
            "fingerprint": agreed.fingerprint,
            "signed": signed,
            "wire": vars(connection.wire),
        }
    waiting = [name for name in agreed.partner_names if name not in signed]
    text = f"signed {agreed.project}\n{agreed.fingerprint}\n"
    text += f"still to sign: {', '.join(waiting)}" if waiting else "all partners have signed"
    show(result, as_json=as_json, text=text)


@app.command()
def check(
    file: SourceArgument,
    manifest: Annotated[
        Path, typer.Option("--manifest", help="The project's manifest.", show_default=False)
    ],
    partner: Annotated[str, typer.Option("--partner", help="Which partner of it you are.")],
    as_json: JsonOption = False,
) -> None:
    """Read a file as submit would, report every problem by row and field, and send nothing."""
    from linkage.agent.records import Records
    from linkage.agent.source import SourceFile

    agreed = load_manifest(manifest)
    with Bar() as bar:
        checked = Records(agreed, agreed.partner(partner), SourceFile(file)).check(bar)
    lines = [f"{file.name}: {checked.rows} records, no errors; nothing was sent", "", "missing:"]
    lines += [f"  {name:<20} {count:>9}" for name, count in checked.missing.items()]
    lines += ["", "records with all fields of a match key:"]
    lines += [f"  {name:<20} {count:>9}" for name, count in checked.covered.items()]
    show(vars(checked), as_json=as_json, text="\n".join(lines))


@app.command()
def submit(
    file: SourceArgument,
    project: ProjectOption,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Send anew what was sent before; until a run has used it."),
    ] = False,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check, encode and upload this agency's file.

    Nothing is sent if any row has an error. An upload that broke off goes on where it stopped:
    run the same command again.
    """
    from linkage.agent.agent import Agent

    with _connect(home, patience) as connection, Bar() as bar:
        agent = Agent(home, progress=bar, threads=threads)
        done = patiently(lambda: agent.submit(connection, project, file, replace=replace), wait)
        result = {
            "project": project,
            "upload": done.upload,
            "rows": done.checked.rows,
            "bytes": done.size,
            "digest": done.digest,
            "resumed": done.repeated,
            "missing": done.checked.missing,
            "covered": done.checked.covered,
            "wire": vars(connection.wire),
        }
    text = f"submitted {done.checked.rows} records, {done.size} bytes\nreceipt {done.upload}"
    show(result, as_json=as_json, text=text)


@app.command()
def status(
    home: HomeOption = HOME, patience: PatienceOption = PATIENCE, as_json: JsonOption = False
) -> None:
    """Show what each of this agency's projects waits for."""
    from linkage.agent.agent import Agent

    with _connect(home, patience) as connection:
        projects = Agent(home).status(connection)
    lines = []
    for p in projects:
        state = "active" if p["active"] else "waits for signatures"
        lines.append(f"{p['project']}: {state}; signed by {', '.join(p['signed']) or 'nobody'}")
        lines.append(f"  encodings from: {', '.join(p['uploaded']) or 'nobody'}")
        for r in p["releases"]:
            state = "approved" if r["approved"] else "waits for approval"
            lines.append(
                f"  release {r['release']}: {state}; approved by"
                f" {', '.join(r['approvals']) or 'nobody'};"
                f" parcels from {', '.join(r['contributed']) or 'nobody'}"
            )
    show({"projects": projects}, as_json=as_json, text="\n".join(lines) or "no projects yet")


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

    with _connect(home, patience) as connection:
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
    with _connect(home, patience) as connection, Bar() as bar:
        agent = Agent(home, progress=bar)
        receipt = patiently(
            lambda: agent.contribute(connection, project, file, files, release), wait
        )
        result = {
            "upload": receipt.upload,
            "bytes": receipt.size,
            "digest": receipt.digest,
            "wire": vars(connection.wire),
        }
    show(result, as_json=as_json, text=f"contributed {receipt.size} sealed bytes")
