"""`linkage agent check` and `linkage agent profile`: what a file is like, and send nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from linkage.cli.agent_options import (
    AliasesOption,
    LookupOption,
    ShowValuesOption,
    SourceArgument,
)
from linkage.cli.checking_text import (
    checked_result,
    declared,
    figures_result,
    figures_text,
    verdict,
)
from linkage.cli.common import Bar, JsonOption, assignments, show
from linkage.cli.content import content_lines, content_result
from linkage.cli.describing import (
    DateFormatOption,
    FieldsFileOption,
    FieldsOption,
    MissingOption,
    PartnerOption,
    RegionOption,
    describe,
)
from linkage.cli.manifest import load_manifest
from linkage.errors import Problem, SourceError
from linkage.files import write_atomic

CLEAN_SUBSET = 8
"""Exit code of check: errors, but the other records may be sent."""


def add_check_commands(app: typer.Typer) -> None:
    """The commands, beside the agent's others."""
    app.command()(check)
    app.command()(profile)


def check(
    file: SourceArgument,
    manifest: Annotated[
        Path, typer.Option("--manifest", help="The project's manifest.", show_default=False)
    ],
    partner: Annotated[str, typer.Option("--partner", help="Which partner of it you are.")],
    aliases: AliasesOption = None,
    max_errors: Annotated[
        int,
        typer.Option("--max-errors", min=1, help="Keep and show so many errors; all are counted."),
    ] = 1000,
    errors_file: Annotated[
        Path | None,
        typer.Option("--errors", metavar="FILE.csv", help="Write them here: row, field, message."),
    ] = None,
    content: Annotated[
        list[str] | None,
        typer.Option(
            "--content",
            metavar="TABLE=FILE",
            help="Also check a content table, as contribute would; may be repeated.",
        ),
    ] = None,
    lookup: LookupOption = None,
    show_values: ShowValuesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read a file as submit would, report every error by row and field, and send nothing.

    Also shows what the file is like: what is missing, how values repeat, what may stand for
    "not known", and what each match key covers. No cell is shown, unless --show-values is given.

    With --content the tables of content are de-identified too: every cell that may not leave is
    named by row and column, and what would leave is counted by column. Tables that the identifier
    file itself holds are checked with them.

    Exit codes: 0 no errors; 8 errors, but the other records may be sent (submit --skip-invalid);
    2 nothing may be sent, as no record is left or the file cannot be read as a table, or content
    may not leave.
    """
    from linkage.agent.content_check import check_content
    from linkage.agent.profile import Profiler
    from linkage.agent.records import open_records

    agreed = load_manifest(manifest)
    records = open_records(agreed, agreed.partner(partner), file, aliases)
    profiler = Profiler(records.fields, agreed.match_keys)
    with Bar() as bar:
        found = records.examine(bar, max_problems=max_errors, profiler=profiler)
        figures = profiler.result()
        values = records.reveal(figures, profiler.hasher) if show_values else None
    if errors_file is not None:
        _write_errors(errors_file, found.problems)
    result = checked_result(found, figures_result(figures, values))
    if not found.usable or found.total:
        summary = "the file has errors" if found.total else "no record has any whole match key"
        result["error"] = _error(f"{file.name}: {summary}", found.total, found.problems)
    lines = [*verdict(file.name, found, errors_file), "", *figures_text(figures, values)]
    lines += declared(found.checked)
    code = 0
    if not found.usable:
        code = SourceError.exit_code
    elif found.total:
        code = CLEAN_SUBSET
    if content or lookup:
        tables = check_content(
            agreed,
            agreed.partner(partner),
            file,
            assignments(content or [], "--content"),
            assignments(lookup or [], "--lookup"),
        )
        result["content"] = content_result(tables)
        lines += content_lines(tables)
        if total := sum(table.total for table in tables):
            problems = [problem for table in tables for problem in table.problems]
            message = f"{file.name}: content may not leave as it is"
            result.setdefault("error", _error(message, total, problems))
            code = SourceError.exit_code
    show(result, as_json=as_json, text="\n".join(lines))
    if code:
        raise typer.Exit(code)


def _error(message: str, total: int, problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "reason": SourceError.reason,
        "message": message,
        "total": total,
        "problems": [vars(problem) for problem in problems],
    }


def profile(
    file: SourceArgument,
    fields: FieldsOption = None,
    fields_file: FieldsFileOption = None,
    partner: PartnerOption = None,
    date_format: DateFormatOption = None,
    region: RegionOption = "US",
    missing: MissingOption = None,
    share: Annotated[
        Path | None,
        typer.Option("--share", metavar="OUT.json", help="Write the value-free part here."),
    ] = None,
    show_values: ShowValuesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a file is like before there is any manifest, and send nothing.

    With --share the part without values is written as JSON: rounded counts and shares, nothing
    that rests on 1 to 10 records. Read it; it may go to the steward, who drafts a manifest from
    all partners' profiles (linkage hub draft-manifest).
    """
    from linkage.agent.profile import Profiler
    from linkage.agent.records import DescribedRecords
    from linkage.agent.source import SourceFile

    description = describe(fields, fields_file, partner, date_format or [], missing or [], region)
    records = DescribedRecords(description, SourceFile(file))
    profiler = Profiler(records.fields)
    with Bar() as bar:
        unread = records.profile(bar, profiler)
        figures = profiler.result()
        values = records.reveal(figures, profiler.hasher) if show_values else None
    lines = [f"{file.name}: {figures.rows} records; nothing was sent", ""]
    lines += [
        f"{count} cells of {name} are no dates in the declared formats; counted as missing"
        for name, count in unread.items()
    ]
    lines += figures_text(figures, values)
    profiled = figures_result(figures, values)
    result = {"rows": figures.rows, "unread": unread, "profile": profiled}
    if share is not None:
        told = figures.share(description.as_partner)
        write_atomic(share, (told.model_dump_json(indent=2) + "\n").encode(), mode=0o644)
        lines += ["", f"wrote {share}; read it before you hand it on"]
    show(result, as_json=as_json, text="\n".join(lines))


def _write_errors(path: Path, problems: Sequence[Problem]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "field", "message", "file"])
    writer.writerows((p.row or "", p.field, p.message, p.file) for p in problems)
    write_atomic(path, text.getvalue().encode())
