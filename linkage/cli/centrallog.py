"""`linkage evaluator central-log`: contacts of all agencies in one log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkage.cli.common import JsonOption
from linkage.cli.crosswalk_documents import load_crosswalk
from linkage.cli.outputs import ExtractArgument, LedgerOption, OutOption, make


def add_central_log_command(app: typer.Typer) -> None:
    """The command, beside the evaluator's others."""
    app.command("central-log")(central_log)


def central_log(
    extract: ExtractArgument,
    out: OutOption,
    crosswalk: Annotated[
        Path | None,
        typer.Option(
            "--crosswalk", metavar="FILE", help="Gives standard codes to tables of local codes."
        ),
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option("--events", metavar="TABLE", help="An event table; repeat. Default: all."),
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(
            "--period",
            help="month, quarter or year for every breakdown; default: as fine as each bears.",
        ),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("--k", help="Smallest count shown beside 0; at least the agreement's."),
    ] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count contacts by period, municipality and type, and how often people come back.

    People by number of contacts and of agencies, time to the next contact, level of response by how
    it ended. Types are standard codes; where a table has local codes only, --crosswalk gives them
    (its agencies are those that the table's column of agencies names), and codes that it does not
    map are counted as unmapped. All tables are protected together. Writes central_log.html and
    one CSV per table; what may not be shown is empty there.

    Needs an event table with months; uses the columns that mean agency, municipality,
    standard_code, local_code, response_level, outcome or disposition, and day.
    """
    from linkage.errors import InputError
    from linkage.evaluator.centrallog_report import central_log_report
    from linkage.evaluator.periods import PERIODS

    if period is not None and period not in PERIODS:
        raise InputError(f"--period is {', '.join(PERIODS[:-1])} or {PERIODS[-1]}")
    used = load_crosswalk(crosswalk) if crosswalk else None
    make(
        lambda read: central_log_report(
            read,
            crosswalk=used,
            tables=events or (),
            period=period,
            k=k,
        ),
        extract,
        out,
        ledger,
        as_json,
    )
