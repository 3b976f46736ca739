"""`linkage agent crisis-report`: an Illinois agency's monthly file of crisis calls."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.common import JsonOption, show
from linkage.cli.crosswalk_documents import CrosswalkOption, load_crosswalk, require_new
from linkage.errors import InputError, NotReadyError
from linkage.files import read_bounded, write_atomic

if TYPE_CHECKING:
    from linkage.agent.illinois.files import Filing
    from linkage.agent.illinois.layout import Layout, Month
    from linkage.agent.illinois.report import MonthReport

INCOMPLETE = 8
"""Exit code: the files are written, but some reasons are not known to be crises or not."""

LayoutOption = Annotated[
    Path | None,
    typer.Option("--layout", metavar="FILE", help="The file's layout; default: the bundled draft."),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]


def add_crisis_report_commands(app: typer.Typer) -> None:
    """The commands, beside the agent's others."""
    app.command("crisis-report")(crisis_report)
    app.command("crisis-layout")(crisis_layout)


def crisis_report(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="This agency's dispatches, CSV or Parquet."),
    ],
    settings: Annotated[
        Path,
        typer.Option("--settings", metavar="FILE", help="What its columns and codes mean, JSON."),
    ],
    month: Annotated[str, typer.Option("--month", help="The month, YYYY-MM.")],
    out: Annotated[Path, typer.Option("--out", help="Directory for the files.")],
    crosswalk: CrosswalkOption = None,
    layout: LayoutOption = None,
    sent: Annotated[
        Path | None,
        typer.Option("--sent", metavar="FILE", help="The incident file sent before, to amend."),
    ] = None,
    draft: Annotated[
        bool, typer.Option("--draft", help="Write it though the month is not over.")
    ] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the month's file of dispatches to mental health crises (20 Ill. Adm. Code 1244).

    For the agency that files it, on its own machine: no hub, no names, only the columns that the
    settings name. One row per incident: level of response and outcome, also where the subject was
    not located or the call is still open. What is not reported is counted, so that every row of
    the file is accounted for. The bundled layout is a draft: hold it against the state's current
    form before you file.

    Exit codes: 0; 2 the file or the settings are wrong, nothing is written; 5 the month is not
    over; 8 written, but the crosswalk does not know some reasons.
    """
    from linkage.agent.illinois.files import filing
    from linkage.agent.illinois.report import month_report
    from linkage.agent.illinois.settings import Settings
    from linkage.agent.source import SourceFile
    from linkage.release.crosswalk.documents import MAX_BYTES, parse

    shape = _layout(layout)
    used = parse(Settings, read_bounded(settings, MAX_BYTES), settings.name)
    used.require_fit(shape, settings.name)
    wanted = _month(month)
    if not draft and dt.datetime.now().astimezone().date() <= wanted.last:
        raise NotReadyError(
            f"{wanted} is not over", remedy="Wait, or give --draft to look at what there is so far"
        )
    source = SourceFile(file)
    report = month_report(
        source.batches(list(dict.fromkeys(filter(None, used.columns.model_dump().values())))),
        settings=used,
        layout=shape,
        month=wanted,
        file=source.name,
        crosswalk=load_crosswalk(crosswalk) if crosswalk else None,
    )
    before = read_bounded(sent, MAX_BYTES) if sent else None
    made = filing(
        report,
        settings=used,
        layout=shape,
        before=before,
        source=sent.name if sent else "",
    )
    _write(made.files, out, overwrite)
    result = _result(report, made, shape, out)
    show(result, as_json=as_json, text="\n".join(_lines(result)))
    if report.accounts.unknown_reason:
        raise typer.Exit(INCOMPLETE)


def crisis_layout(
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the layout here, to be changed.")
    ] = None,
    layout: LayoutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the layout of the monthly file, and what of it is from where."""
    shape = _layout(layout)
    if out is not None:
        require_new(out, overwrite)
        write_atomic(out, shape.model_dump_json(indent=1).encode() + b"\n", mode=0o644)
    lines = [
        f"{shape.name} version {shape.version}",
        shape.rule,
        shape.basis,
        f"checked against the state's form: {shape.checked or 'no; do so before you file'}",
        "columns: " + ", ".join(column.name for column in shape.columns),
        *(f"  level   {one.text:<24} {one.title}" for one in shape.levels),
        *(f"  outcome {one.text:<24} {one.title}" for one in shape.outcomes),
    ]
    lines += [f"wrote {out}"] if out else []
    show(shape.model_dump(mode="json"), as_json=as_json, text="\n".join(lines))


def _layout(path: Path | None) -> Layout:
    from linkage.agent.illinois.layout import Layout, bundled_layout
    from linkage.release.crosswalk.documents import MAX_BYTES, parse

    if path is None:
        return bundled_layout()
    return parse(Layout, read_bounded(path, MAX_BYTES), path.name)


def _month(text: str) -> Month:
    from linkage.agent.illinois.layout import Month

    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text, re.ASCII)
    if not found or not 1900 <= int(found[1]) <= 9998:
        raise InputError("--month is not of the form YYYY-MM")
    return Month(year=int(found[1]), month=int(found[2]))


def _write(files: Mapping[str, bytes], out: Path, overwrite: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in files:
        require_new(out / name, overwrite)
    for name, data in files.items():
        write_atomic(out / name, data)


def _result(report: MonthReport, made: Filing, shape: Layout, out: Path) -> dict[str, Any]:
    warnings = []
    if shape.checked is None:
        warnings.append(
            f"the layout {shape.name} {shape.version} is a draft: hold it against the state's"
            " current form before you file"
        )
    if report.last is None or report.last.date() < report.month.last:
        last = "none" if report.last is None else report.last.date().isoformat()
        warnings.append(f"the file's last dispatch is {last}: does it hold the whole month?")
    if report.pending:
        warnings.append(
            f"{report.pending} incidents are still open; run it again later with --sent to amend"
        )
    if report.accounts.unknown_reason:
        warnings.append(
            f"{report.accounts.unknown_reason} rows have a reason that the crosswalk does not know;"
            " crises among them are not in the file"
        )
    return {
        "month": str(report.month),
        "incidents": len(report.incidents),
        "due": shape.due(report.month).isoformat(),
        "levels": {one.code: report.levels[one.code] for one in shape.levels},
        "outcomes": {one.code: report.outcomes[one.code] for one in shape.outcomes},
        "rows": report.rows,
        "accounts": vars(report.accounts),
        "statuses": dict(made.statuses),
        "layout": {"name": shape.name, "version": shape.version, "digest": shape.digest},
        "warnings": warnings,
        "files": [str(out / name) for name in made.files],
    }


def _lines(result: dict[str, Any]) -> list[str]:
    from linkage.agent.illinois.page import ACCOUNTS

    lines = [
        f"{result['month']}: {result['incidents']:,} incidents; to be sent by {result['due']}",
        f"{result['rows']:,} rows of the file:",
    ]
    lines += [
        f"  {result['accounts'][name]:>10,} {text}"
        for name, text in ACCOUNTS.items()
        if result["accounts"][name]
    ]
    lines += [f"  outcome {name:<22} {n:>7,}" for name, n in result["outcomes"].items() if n]
    if result["statuses"]["new"] != result["incidents"]:
        lines.append(", ".join(f"{n:,} {name}" for name, n in result["statuses"].items()))
    lines += [f"warning: {text}" for text in result["warnings"]]
    return [*lines, *(f"wrote {file}" for file in result["files"])]
