"""The ready-made outputs of `linkage evaluator`: one command each, and `report` for all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.common import JsonOption, show

if TYPE_CHECKING:
    from linkage.evaluator.output import Output
    from linkage.evaluator.reading import Extract

ExtractArgument = Annotated[
    Path, typer.Argument(metavar="EXTRACT", help="The extract's directory.")
]
OutOption = Annotated[
    Path, typer.Option("--out", help="Directory for the web page and the CSV tables.")
]


def add_output_commands(app: typer.Typer) -> None:
    app.command("follow-up")(follow_up)
    app.command("report")(report)


def follow_up(
    extract: ExtractArgument,
    out: OutOption,
    days: Annotated[
        int, typer.Option("--days", min=0, help="A service counts that starts within so many days.")
    ] = 30,
    events: Annotated[
        str | None, typer.Option("--events", metavar="TABLE", help="The events; default: all.")
    ] = None,
    services: Annotated[
        str | None, typer.Option("--services", metavar="TABLE", help="The services; default: all.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="Group by this column of the events or of their partner's person table, by its"
            " name or by what it means; may be repeated. Default: municipality, age and sex.",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Count every event, not each person's first.")
    ] = False,
    precision: Annotated[
        float | None,
        typer.Option("--precision", help="Of the links, if known better than by the report."),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option("--recall", help="Of the links, if known better than by the report."),
    ] = None,
    model_error: Annotated[
        float,
        typer.Option(
            "--model-error",
            min=0,
            max=0.5,
            help="What the report's precision and recall may be off by beside chance (95%).",
        ),
    ] = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Who of the people with an event reaches a service within N days, and how sure that is.

    For example: of the people with a crisis call, the share that starts treatment within 30
    days, by municipality. Shares are given as seen in the linked data and as corrected for
    missed and wrong links; the corrected interval carries sampling and linkage error. Writes
    follow_up.html and follow_up.csv; groups of few people are empty there.

    Needs an event table and a service table of two partners, with days or months.
    """
    from linkage.evaluator import followup_report
    from linkage.evaluator.followup_tables import Options

    options = Options(
        events=events,
        services=services,
        days=days,
        by=tuple(by or ()),
        every=every,
        precision=precision,
        recall=recall,
        model_error=model_error,
    )
    _make(lambda read: followup_report.follow_up(read, options), extract, out, as_json)


def report(
    extract: ExtractArgument,
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Write every page and table that the extract permits, and say what it does not permit.

    Each output also has a command of its own, with choices.
    """
    from linkage.evaluator.reports import write_reports

    made = write_reports(extract, out)
    lines = [f"wrote {path}" for path in (*made.pages, *made.tables)]
    lines += [f"left out {name}: {why}" for name, why in made.left_out.items()]
    result = {
        "pages": [str(path) for path in made.pages],
        "tables": [str(path) for path in made.tables],
        "figures": made.figures,
        "left_out": made.left_out,
    }
    show(result, as_json=as_json, text="\n".join(lines))


def _make(build: Callable[[Extract], Output], extract: Path, out: Path, as_json: bool) -> None:
    from linkage.evaluator.reading import read_extract

    made = build(read_extract(extract))
    files = made.write(out)
    result: dict[str, Any] = {"files": [str(path) for path in files], **made.figures}
    show(result, as_json=as_json, text="\n".join(f"wrote {path}" for path in files))
