"""What several of the agent's commands are told, said the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkage.cli.common import default_home

HOME = default_home("agent")
PATIENCE = 30.0

ProjectOption = Annotated[
    str, typer.Option("--project", help="The project's name, as in its manifest.")
]
SourceArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="This agency's identifier file, CSV or Parquet.")
]
ShowValuesOption = Annotated[
    bool,
    typer.Option(
        "--show-values",
        help="Show the suspected placeholders themselves, on this screen only.",
    ),
]
AliasesOption = Annotated[
    Path | None,
    typer.Option(
        "--aliases",
        metavar="FILE",
        help="Alias table: record id and further values of identifiers, CSV or Parquet.",
    ),
]
LookupOption = Annotated[
    list[str] | None,
    typer.Option(
        "--lookup",
        metavar="NAME=FILE",
        help="File of a lookup that the manifest names for content; may be repeated.",
    ),
]
