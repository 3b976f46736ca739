"""`linkage agent export-clks`, `submit-clks` and `clk-secret`: to and from anonlink's tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.agent_options import HOME, PATIENCE, SourceArgument
from linkage.cli.common import (
    Bar,
    HomeOption,
    JsonOption,
    PatienceOption,
    WaitOption,
    connect_member,
    patiently,
    say_warnings,
    show,
)
from linkage.cli.manifest import load_manifest
from linkage.errors import AlreadyExistsError, InputError
from linkage.files import read_private, write_atomic

if TYPE_CHECKING:
    from linkage.agent.clks import Format

OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]


class ClkFormat(StrEnum):
    """How a file holds filters."""

    JSON = "json"
    BINARY = "binary"


def add_clk_commands(app: typer.Typer) -> None:
    """The three commands, beside the agent's others."""
    app.command("export-clks")(export_clks)
    app.command("submit-clks")(submit_clks)
    app.command("clk-secret")(clk_secret)


def export_clks(
    file: SourceArgument,
    out: Annotated[Path, typer.Option("--out", help="File to write; only its owner may read it.")],
    project: Annotated[
        str | None,
        typer.Option("--project", help="A project this agent signed; its own secret is used."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="Instead of --project: a manifest, and no hub at all."),
    ] = None,
    partner: Annotated[
        str | None, typer.Option("--partner", help="With --manifest: which partner you are.")
    ] = None,
    clk_secret_file: Annotated[
        Path | None,
        typer.Option("--clk-secret-file", help="With --manifest: what clkhash is given as secret."),
    ] = None,
    form: Annotated[
        ClkFormat, typer.Option("--format", help="For anonlink's service, or its binary upload.")
    ] = ClkFormat.JSON,
    overwrite: OverwriteOption = False,
    home: HomeOption = HOME,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Write this agency's filters as a file for anonlink's tools; nothing is sent.

    Only for a manifest with a linkage schema: the filters are bit for bit those that clkhash
    0.18.3 makes from it, one per row of FILE in its order. With --project they are made with the
    secret that clk-secret writes; with --manifest and --clk-secret-file with any secret that you
    share with others already. A file with errors is refused whole, as a row left out would shift
    all rows after it.

    Published attacks re-identify such filters without any secret: give the file to nobody but
    those who may see who the records are about.

    For example: linkage agent export-clks people.csv --project county --out clks.json
    """
    from linkage.agent.agent import Agent
    from linkage.agent.clks import export
    from linkage.agent.source import SourceFile

    _require_new(out, overwrite)
    if (project is None) == (manifest is None):
        raise InputError(
            "say by which agreement to encode",
            remedy="Give --project, or --manifest with --partner and --clk-secret-file",
        )
    if manifest is None:
        with connect_member(home, patience) as connection:
            agreed, name, secret = Agent(home).clk_secret(connection, project or "")
    elif partner is None or clk_secret_file is None:
        raise InputError("--manifest needs --partner and --clk-secret-file")
    else:
        agreed, name = load_manifest(manifest), partner
        secret = _secret(clk_secret_file)
    source = SourceFile(file)
    with Bar() as bar:
        rows = export(agreed, agreed.partner(name), source, secret, out, form.value, bar)
    if project is not None:
        say_warnings(agreed)
    result = {"file": str(out), "rows": rows, "bits": agreed.scheme.bits, "format": form.value}
    size = agreed.scheme.bits // 8
    text = f"wrote {rows} filters of {agreed.scheme.bits} bits to {out}"
    if form is ClkFormat.BINARY:
        result["bytes_per_filter"] = size
        text += f"\nfor anonlink's service: Hash-Count {rows}, Hash-Size {size}"
    show(result, as_json=as_json, text=text)


def submit_clks(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that CLKS was made from.")],
    clks: Annotated[
        Path,
        typer.Argument(metavar="CLKS", help="What clkhash wrote: a filter per row of FILE."),
    ],
    project: Annotated[str, typer.Option("--project", help="The project's name.")],
    form: Annotated[
        ClkFormat | None, typer.Option("--format", help="Default: as the file begins.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Send anew what was sent before; until a run has used it."),
    ] = False,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Send filters that clkhash made, in place of submit.

    Only for a manifest with a linkage schema. The length of the filters and their number are
    checked; which secret they were made with cannot be seen, and must be the one that every
    partner used. Of FILE only the record id, the group and the strata are read: it may lack the
    identifiers. A filter of zeros or of ones only says nothing: its record is sent, and linked to
    none.

    Where the manifest compares pairs (pair_keyed) and FILE has the identifiers, answer works as
    after submit. If it has not, agree on a manifest with pair_keyed false.

    For example: linkage agent submit-clks people.csv clks.json --project county
    """
    from linkage.agent.agent import Agent

    with connect_member(home, patience) as connection, Bar() as bar:
        agent = Agent(home, progress=bar)
        given: Format | None = None if form is None else form.value
        done = patiently(
            lambda: agent.submit_clks(connection, project, file, clks, form=given, replace=replace),
            wait,
        )
        result: dict[str, Any] = {
            "project": project,
            "upload": done.upload,
            "rows": done.checked.sent,
            "without_filter": sum(done.checked.missing.values()),
            "bytes": done.size,
            "digest": done.digest,
            "audit": done.audit.model_dump(mode="json"),
            "resumed": done.repeated,
            "wire": vars(connection.wire),
        }
    lines = [f"submitted {result['rows']} records, {done.size} bytes"]
    if result["without_filter"]:
        lines.append(
            f"{result['without_filter']} of them have a filter of zeros or of ones only, and can"
            " be linked to none"
        )
    lines.append(f"receipt {done.upload}")
    show(result, as_json=as_json, text="\n".join(lines))


def clk_secret(
    project: Annotated[str, typer.Option("--project", help="A project this agent signed.")],
    out: Annotated[Path, typer.Option("--out", help="File to write; only its owner may read it.")],
    overwrite: OverwriteOption = False,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Write the secret with which clkhash makes the same filters as submit.

    64 hexadecimal digits, to be given to clkhash as text. They are derived from the project
    secret, which cannot be found from them, for this project, its linkage schema and this epoch
    alone. Whoever has them can make filters of anybody and look for them: never hand them to the
    hub's operator.
    """
    from linkage.agent.agent import Agent

    _require_new(out, overwrite)
    with connect_member(home, patience) as connection:
        agreed, _, secret = patiently(lambda: Agent(home).clk_secret(connection, project), wait)
    say_warnings(agreed)
    write_atomic(out, secret)
    show({"file": str(out)}, as_json=as_json, text=f"wrote {out}; keep it as secret as your keys")


def _require_new(out: Path, overwrite: bool) -> None:
    if out.exists() and not overwrite:
        raise AlreadyExistsError(
            f"{out} is there already", remedy="Name a new file, or give --overwrite"
        )


def _secret(path: Path) -> bytes:
    """What a file says up to its line's end."""
    data = read_private(path)
    secret = data.removesuffix(b"\n").removesuffix(b"\r")
    if not secret or b"\n" in secret:
        raise InputError(f"{path} does not hold one line, the secret")
    return secret
