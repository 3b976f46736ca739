"""`linkage evaluator checker-key`, `sign-off`, `protect`, `twin`: what may leave, and stand-ins."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from linkage.cli.common import HomeOption, JsonOption, show
from linkage.files import read_bounded, write_atomic

MAX_TABLE_BYTES = 64 << 20


def suppressed(log: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Per column of an extract, values taken away and values there were."""
    return {
        f"{one['table']}.{column}": (lost["suppressed"], lost["values"])
        for one in log["rows"]
        for column, lost in one["suppressed"].items()
        if lost["suppressed"]
    }


def add_gate_commands(app: typer.Typer, home: Path) -> None:
    """The commands, beside the evaluator's others.

    Args:
        home: the default home.
    """

    @app.command("checker-key")
    def checker_key(
        name: Annotated[str, typer.Option("--name", help="The checker's name in the manifest.")],
        home: HomeOption = home,
        as_json: JsonOption = False,
    ) -> None:
        """Print this home's public key, for a manifest's `disclosure.checkers`.

        Make the keys with init first. A checker needs no enrolment: it signs off what it is shown.
        """
        from linkage.trust.keyring import Keyring

        found = {"name": name, "key": Keyring(home / "keys").signing_public.hex()}
        show(found, as_json=as_json, text=json.dumps(found))

    @app.command("sign-off")
    def sign_off(
        extract: Annotated[Path, typer.Argument(metavar="EXTRACT", help="The extract that waits.")],
        name: Annotated[str, typer.Option("--name", help="The checker's name in the manifest.")],
        out: Annotated[Path, typer.Option("--out", help="File for the sign-off.")],
        home: HomeOption = home,
        as_json: JsonOption = False,
    ) -> None:
        """Say, as a checker, that an extract may leave; the file goes to the assembler.

        Read suppression_log.html and the tables first. The signature holds for exactly these bytes.
        """
        from linkage.evaluator.signoff import sign_off
        from linkage.trust.keyring import Keyring

        data = sign_off(extract, name, Keyring(home / "keys").signing_key)
        write_atomic(out, data, mode=0o644)
        found = json.loads(data)
        show(found, as_json=as_json, text=f"signed off extract {found['extract'][:16]} in {out}")

    @app.command()
    def twin(
        manifest: Annotated[
            Path, typer.Argument(metavar="MANIFEST", help="The manifest, signed or not.")
        ],
        out: Annotated[Path, typer.Option("--out", help="Directory to make the twin in.")],
        recipient: Annotated[
            str | None,
            typer.Option("--for", metavar="RECIPIENT", help="Whose extract; default: every field."),
        ] = None,
        stata: Annotated[
            bool, typer.Option("--stata", help="Write Stata files (.dta) too.")
        ] = False,
        overwrite: Annotated[
            bool, typer.Option("--overwrite", help="Replace a twin that is there.")
        ] = False,
        as_json: JsonOption = False,
    ) -> None:
        """Make rows of the form of an extract from the manifest alone, to write code before access.

        Types, codes and names are those of the extract to come; the rows mean nothing. It reads no
        data, so it may be given to anybody who may read the manifest.
        """
        from linkage.cli.manifest import load_manifest
        from linkage.evaluator.extract import About, write_extract
        from linkage.evaluator.twin import make_twin

        agreed = load_manifest(manifest)
        made = make_twin(agreed, recipient)
        about = About(recipient=recipient, stata=stata, made_up=True)
        write_extract(out, made, manifest=agreed, quality={}, overwrite=overwrite, about=about)
        rows = {name: table.num_rows for name, table in made.named.items()}
        lines = [f"  {name:<24} {count:>9} made-up rows" for name, count in rows.items()]
        show(
            {"twin": str(out), "rows": rows},
            as_json=as_json,
            text="\n".join([f"twin in {out}", *lines]),
        )

    @app.command()
    def protect(
        table: Annotated[
            Path,
            typer.Argument(metavar="TABLE", help="A CSV file: a row per cell, with its count."),
        ],
        by: Annotated[
            list[str], typer.Option("--by", metavar="COLUMN", help="A column it is broken down by.")
        ],
        out: Annotated[Path, typer.Option("--out", help="CSV file for what may be published.")],
        count: Annotated[str, typer.Option("--count", help="The column of counts.")] = "count",
        people: Annotated[
            str | None,
            typer.Option("--people", help="A column that says how many people a cell is of."),
        ] = None,
        k: Annotated[
            int, typer.Option("--k", min=2, max=1000, help="Smallest count that is shown, but 0.")
        ] = 11,
        rounding: Annotated[
            int, typer.Option("--rounding", min=1, max=100, help="Round to multiples of this.")
        ] = 1,
        as_json: JsonOption = False,
    ) -> None:
        """Protect a table of counts before it is published.

        Small counts are left blank, and others with them from which they could be computed;
        margins are added. Give the finest cells only, and tables that belong together as one.
        """
        import pandas as pd
        from pandas.errors import ParserError

        from linkage.errors import InputError
        from linkage.release.disclosure import protect_counts

        raw = read_bounded(table, MAX_TABLE_BYTES)
        try:
            text = dict.fromkeys(by, "string")
            frame = pd.read_csv(io.BytesIO(raw), dtype=text)  # type: ignore[arg-type]
        except (ParserError, ValueError):
            raise InputError(f"{table} is not a CSV table") from None
        protected = protect_counts(
            frame, by, count=count, people=people, k=k, rounding=rounding, name=table.stem
        )
        data = protected.cells.drop(columns="suppressed").to_csv(index=False, lineterminator="\n")
        write_atomic(out, data.encode(), mode=0o644)
        log = dict(protected.log)
        show(
            log,
            as_json=as_json,
            text=f"{log['suppressed']} of {log['cells']} cells suppressed in {out}",
        )
