"""`linkage evaluator`: recipients: assemble an extract, check it, read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkage.cli.centrallog import add_central_log_command
from linkage.cli.common import (
    Bar,
    HomeOption,
    JsonOption,
    PatienceOption,
    WaitOption,
    connect_member,
    default_home,
    patiently,
    show,
)
from linkage.cli.gate import add_gate_commands, suppressed
from linkage.cli.members import add_member_commands
from linkage.cli.outputs import ExtractArgument, add_output_commands

HOME = default_home("evaluator")
PATIENCE = 30.0

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Receive what the partners agreed to release.\n\n"
        "The assembler, in order: init, enrol, trust (every partner), assemble. Checkers: init,"
        " checker-key, sign-off. Before there is an extract: twin. Whoever holds one: verify,"
        " report, or one by one follow-up, measures, access, disparities; and protect for tables to"
        " be published."
    ),
)
add_member_commands(app, HOME)


@app.command()
def assemble(
    project: Annotated[str, typer.Option("--project", help="The project's name.")],
    out: Annotated[Path, typer.Option("--out", help="Directory to make the extract in.")],
    release: Annotated[
        str | None, typer.Option("--release", help="The release's id; default: the newest.")
    ] = None,
    recipient: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="RECIPIENT",
            help="Whose extract: its fields, and study ids of its own; default: this assembler's.",
        ),
    ] = None,
    sign_offs: Annotated[
        list[Path] | None,
        typer.Option(
            "--sign-off", metavar="FILE", help="A checker's sign-off; once for each checker."
        ),
    ] = None,
    stata: Annotated[bool, typer.Option("--stata", help="Write Stata files (.dta) too.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an extract that is there.")
    ] = False,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Open the partners' parcels and join them under study ids into an extract.

    What leaves has passed the disclosure gate: persons are hidden among others, small counts are
    suppressed, and what would differ too little from an earlier extract is refused. Where the
    manifest asks for two checkers, the first call leaves the extract in HOME/releases for them, and
    one with both sign-offs finishes it.
    """
    from linkage.evaluator.assembler import Assembler
    from linkage.evaluator.signoff import read_sign_off

    given = [read_sign_off(path) for path in sign_offs or ()]
    with (
        connect_member(home, patience) as connection,
        Bar() as bar,
    ):
        assembler = Assembler(home, connection, progress=bar)
        made = patiently(
            lambda: assembler.assemble(
                project,
                out,
                release=release,
                overwrite=overwrite,
                recipient=recipient,
                sign_offs=given,
                stata=stata,
            ),
            wait,
        )
        wire = vars(connection.wire)
    result = {
        "extract": str(out),
        "rows": made.rows,
        "suppressed": suppressed(made.suppression),
        "wire": wire,
    }
    lines = [f"  {name:<24} {rows:>9} rows" for name, rows in made.rows.items()]
    lines += [
        f"  {place:<40} {lost:>9} of {values} values taken away"
        for place, (lost, values) in suppressed(made.suppression).items()
    ]
    show(result, as_json=as_json, text="\n".join([f"extract in {out}", *lines]))


@app.command()
def verify(extract: ExtractArgument, as_json: JsonOption = False) -> None:
    """Check an extract's files against its checksums."""
    from linkage.evaluator.extract import verify_extract

    files = verify_extract(extract)
    show({"files": len(files)}, as_json=as_json, text=f"{len(files)} files as they were written")


add_gate_commands(app, HOME)
add_output_commands(app)
add_central_log_command(app)
