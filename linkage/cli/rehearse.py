"""`linkage rehearse`: try the system on your own files before trusting it."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from linkage.cli.common import JsonOption, assignments, errors, show
from linkage.cli.crosswalk_documents import CrosswalkOption
from linkage.cli.manifest import FileArgument, load_manifest
from linkage.cli.outputs import TractsOption
from linkage.errors import AlreadyExistsError, InputError


def rehearse(
    manifest: FileArgument,
    partner: Annotated[
        list[str],
        typer.Option("--partner", metavar="NAME=FILE", help="A partner's identifier file."),
    ],
    truth: Annotated[
        str | None,
        typer.Option(
            "--truth",
            metavar="COLUMN",
            help="Column that says who is who; read after the run, never encoded or sent.",
        ),
    ] = None,
    content: Annotated[
        list[str] | None,
        typer.Option(
            "--content", metavar="NAME.TABLE=FILE", help="File of a partner's content table."
        ),
    ] = None,
    lookup: Annotated[
        list[str] | None,
        typer.Option(
            "--lookup", metavar="NAME.LOOKUP=FILE", help="File of a partner's lookup for content."
        ),
    ] = None,
    tracts: TractsOption = None,
    crosswalk: CrosswalkOption = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keep everything here: extract, reports, logs."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the entire protocol on your files, and score the links against a truth column.

    A hub and one agent per partner run as processes of their own on this machine, over mutual
    TLS, in a temporary directory. Nothing leaves the machine.
    """
    from linkage.cli.rehearsal import Rehearsal

    agreed = load_manifest(manifest)
    files = assignments(partner, "--partner")
    tables = _of_partners(content or [], "--content", "NAME.TABLE=FILE")
    lookups = _of_partners(lookup or [], "--lookup", "NAME.LOOKUP=FILE")
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise AlreadyExistsError(f"{keep} is not empty", remedy="Name a new directory")
    start = time.perf_counter()
    with ExitStack() as stack:
        directory = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rehearsal = stack.enter_context(
            Rehearsal(
                agreed,
                files,
                directory,
                content=tables,
                lookups=lookups,
                truth=truth,
                tracts=tracts,
                crosswalk=crosswalk,
                say=lambda line: errors.print(f"  {line}", markup=False),
            )
        )
        result = rehearsal.run()
        result["total_seconds"] = round(time.perf_counter() - start, 1)
        if keep is None:
            result.pop("reports")
    show(result, as_json=as_json, text=summary(result))


def summary(result: dict[str, Any]) -> str:
    """What a person wants to know of a rehearsal, in a few lines."""
    at = result["estimated"]["threshold"]
    lines = [
        "",
        f"{result['project']}, records: "
        + ", ".join(f"{name} {rows:,}" for name, rows in result["rows"].items()),
        f"threshold recommended by the hub: match probability {at:g}",
        "",
        f"{'':<22}{'links':>8}{'precision':>20}{'recall':>20}{'F1':>9}{'best F1':>9}",
        f"{'':<22}{'':>8}{'true (estimated)':>20}{'true (estimated)':>20}",
        _line("all", result),
        *(_line(name.replace("|", " - "), pair) for name, pair in result["pairs"].items()),
        "",
        ", ".join(
            (
                f"{result['total_seconds']:.0f} s",
                f"{_megabytes(result, 'submit')} of encodings sent",
                f"{_megabytes(result, 'answer')} of answers",
                f"largest process {max(result['peak_mib'].values()):.0f} MiB",
            )
        ),
    ]
    return "\n".join(lines)


def _megabytes(result: dict[str, Any], step: str) -> str:
    return f"{result['bytes_sent'].get(step, 0) / 1e6:.1f} MB"


def _line(name: str, figures: dict[str, Any]) -> str:
    estimated, true, best = (figures.get(k) for k in ("estimated", "recommended", "best"))

    def pair(what: str) -> str:
        left = f"{true[what]:.3f} " if true else ""
        return f"{left}({estimated[what]:.3f})" if estimated else left

    links = (true or estimated or {}).get("links", 0)
    f1, best_f1 = (f"{x['f1']:.3f}" if x else "" for x in (true, best))
    return f"{name:<22}{links:>8}{pair('precision'):>20}{pair('recall'):>20}{f1:>9}{best_f1:>9}"


def _of_partners(values: list[str], option: str, form: str) -> dict[tuple[str, str], Path]:
    found = {}
    for name, path in assignments(values, option).items():
        owner, dot, of = name.partition(".")
        if not dot:
            raise InputError(f"{option} {name!r} is not of the form {form}")
        found[owner, of] = path
    return found
