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
from linkage.cli.members import add_member_commands
from linkage.cli.outputs import ExtractArgument, add_output_commands

HOME = default_home("evaluator")
PATIENCE = 30.0

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Receive what the partners agreed to release.\n\n"
        "The assembler, in order: init, enrol, trust (every partner), assemble. Whoever holds an"
        " extract: verify, report, or one by one follow-up, measures, access, disparities."
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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an extract that is there.")
    ] = False,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Open the partners' parcels and join them under study ids into an extract."""
    from linkage.evaluator.assembler import Assembler

    with (
        connect_member(home, patience) as connection,
        Bar() as bar,
    ):
        assembler = Assembler(home, connection, progress=bar)
        made = patiently(
            lambda: assembler.assemble(project, out, release=release, overwrite=overwrite), wait
        )
        wire = vars(connection.wire)
    result = {"extract": str(out), "rows": made.rows, "wire": wire}
    lines = [f"  {name:<24} {rows:>9} rows" for name, rows in made.rows.items()]
    show(result, as_json=as_json, text="\n".join([f"extract in {out}", *lines]))


@app.command()
def verify(extract: ExtractArgument, as_json: JsonOption = False) -> None:
    """Check an extract's files against its checksums."""
    from linkage.evaluator.extract import verify_extract

    files = verify_extract(extract)
    show({"files": len(files)}, as_json=as_json, text=f"{len(files)} files as they were written")


add_output_commands(app)
add_central_log_command(app)
