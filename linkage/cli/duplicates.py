"""`linkage agent dedupe`: find the rows of a partner's own file that are one person."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from linkage.cli.agent_options import HOME, SourceArgument
from linkage.cli.common import Bar, HomeOption, JsonOption, show
from linkage.cli.describing import (
    DateFormatOption,
    FieldsFileOption,
    FieldsOption,
    MissingOption,
    RegionOption,
    describe,
)
from linkage.cli.duplicates_text import figures, figures_text, shown
from linkage.cli.manifest import load_manifest
from linkage.errors import AlreadyExistsError, InputError
from linkage.files import read_bounded, write_atomic, write_pieces

if TYPE_CHECKING:
    from linkage.agent.dedupe.recordset import RecordSet, Rows
    from linkage.agent.dedupe.search import Found
    from linkage.agent.source import SourceFile
    from linkage.agent.table import Table

DEFAULT_COLUMN = "person_group"
MAX_REVIEW_BYTES = 1 << 30


def add_dedupe_command(app: typer.Typer) -> None:
    """The command, beside the agent's others."""
    app.command()(dedupe)


def dedupe(
    file: SourceArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write a copy of FILE with the new column here."),
    ] = None,
    review: Annotated[
        Path | None,
        typer.Option("--review", metavar="OUT.csv", help="Write the groups for your staff here."),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            "--apply",
            metavar="REVIEWED.csv",
            help="Take the groups from this review instead of searching.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Search and show the summary; write nothing.")
    ] = False,
    project: Annotated[
        str | None,
        typer.Option("--project", help="A project whose manifest you signed says the columns."),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="This manifest says the columns.")
    ] = None,
    partner: Annotated[
        str | None,
        typer.Option("--partner", help="This agency's name; needed with --manifest or --fields."),
    ] = None,
    fields: FieldsOption = None,
    fields_file: FieldsFileOption = None,
    date_format: DateFormatOption = None,
    region: RegionOption = "US",
    missing: MissingOption = None,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            min=0.5,
            max=1.0,
            help="Link two rows from this match probability on; higher joins less.",
        ),
    ] = 0.8,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            help=f"The new column's name; default: the manifest's, or {DEFAULT_COLUMN}.",
        ),
    ] = None,
    replace_column: Annotated[
        bool, typer.Option("--replace-column", help="FILE has the column; put new values into it.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there already.")
    ] = False,
    show_values: Annotated[
        bool,
        typer.Option("--show-values", help="Show the first groups' cells, on this screen only."),
    ] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Find the rows of your own file that are one person, and write a column that says so.

    People are booked twice under two spellings. This finds such rows by comparing names, birth
    dates, numbers and addresses, and writes a copy of the file with a column of group labels: rows
    with the same label are one person, an empty cell is a person of its own. Name that column
    under group in the manifest, and submit the copy. Nothing is sent.

    Say what the columns are as for profile (--fields or --fields-file), or by a manifest
    (--manifest, or --project for one that you signed).

    Two steps, if your staff is to decide: --review OUT.csv lists the groups, doubtful ones first;
    set keep to no for each row that does not belong; then --apply OUT.csv --out COPY writes the
    copy from that. No cell is shown on the screen, unless --show-values is given; the review and
    the copy hold identifiers, and only you may read them.
    """
    from linkage.agent.copying import require_column, with_column
    from linkage.agent.dedupe.review import labels, sizes
    from linkage.agent.source import SourceFile

    _require_a_purpose(out, review, apply, dry_run=dry_run)
    if apply is not None and show_values:
        raise InputError("--show-values shows what a search found; with --apply there is none")
    for path in (out, review):
        if path is not None and not dry_run:
            _require_free(path, (file, apply), overwrite=overwrite)
    source = SourceFile(file)
    described = (fields, fields_file, date_format or [], missing or [], region)
    table = None
    if apply is None or manifest is not None or project is not None:
        table = _table(source, manifest, project, partner, home, described)
    name = column or (table.partner.group if table else None) or DEFAULT_COLUMN
    require_column(source, name, replace=replace_column)
    result: dict[str, Any] = {"column": name, "digest": source.digest()}
    lines: list[str] = []
    with Bar() as bar, _cleaning_up():
        if apply is not None:
            group = _decided(source, apply, result["digest"])
        elif table is not None:
            records, found = _search(table, threshold, bar)
            group = found.group
            result["search"] = figures(records, found, threshold)
            lines += figures_text(records, found, threshold)
            if review is not None and not dry_run:
                _write_review(review, table, found, result["digest"])
            if show_values:
                lines += shown(table, found)
        if out is not None and not dry_run:
            write_pieces(out, with_column(source, name, labels(group), bar))
    found_sizes = sizes(group)
    result |= {
        "rows": len(group),
        "groups": len(found_sizes),
        "grouped": sum(found_sizes),
        "largest": max(found_sizes, default=0),
    }
    written = [path for path in (out, review) if path is not None and not dry_run]
    head = (
        f"{file.name}: groups: {result['groups']}, with {result['grouped']} of {result['rows']}"
        f" rows; the largest has {result['largest']}"
    )
    lines = [
        head,
        *lines,
        "",
        *(f"wrote {path}" for path in written),
        "nothing was sent" if written else "nothing was written or sent",
    ]
    show(result, as_json=as_json, text="\n".join(lines))


def _require_a_purpose(
    out: Path | None, review: Path | None, apply: Path | None, *, dry_run: bool
) -> None:
    if apply is not None and review is not None:
        raise InputError("--apply takes the groups from a review; it writes none")
    if out is not None and review is not None and out.resolve() == review.resolve():
        raise InputError("--out and --review name the same file")
    if out is None and (apply is not None or review is None) and not dry_run:
        raise InputError(
            "nothing would be written",
            remedy="Say where to: --out COPY, or --review OUT.csv; or only look with --dry-run",
        )


def _require_free(path: Path, read: tuple[Path | None, ...], *, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a directory")
    if not path.exists():
        return
    if any(other is not None and other.exists() and path.samefile(other) for other in read):
        raise InputError(f"{path} is read by this command; write to another file")
    if not overwrite:
        raise AlreadyExistsError(
            f"{path} is there already", remedy="Name another file, or replace it with --overwrite"
        )


def _table(
    source: SourceFile,
    manifest: Path | None,
    project: str | None,
    partner: str | None,
    home: Path,
    described: tuple[str | None, Path | None, list[str], list[str], str],
) -> Table:
    """The identifier columns of the file, as a manifest or the partner itself says."""
    from linkage.agent.table import RecordTable, Table

    fields, fields_file, *_ = described
    ways = (manifest, project, fields, fields_file)
    if sum(way is not None for way in ways) != 1:
        raise InputError(
            "say what the columns are, in one way: --project, --manifest, --fields or --fields-file"
        )
    if project is not None:
        from linkage.agent.agent import Agent
        from linkage.rpc.party import Party

        agreed = Agent(home).signed_manifest(project)
        name = Party.load(home).name
        if partner not in (None, name):
            raise InputError(f"this home is {name!r}, not {partner!r}")
        return RecordTable(agreed, agreed.partner(name), source)
    if manifest is not None:
        if partner is None:
            raise InputError("--manifest needs --partner NAME as well")
        agreed = load_manifest(manifest)
        return RecordTable(agreed, agreed.partner(partner), source)
    description = describe(fields, fields_file, partner, *described[2:])
    return Table(description.identifiers, description.as_partner, source)


def _search(table: Table, threshold: float, bar: Bar) -> tuple[RecordSet, Found]:
    from linkage.agent.dedupe.recordset import read_records
    from linkage.agent.dedupe.search import find_duplicates

    records = read_records(table, bar)
    return records, find_duplicates(records, threshold, bar)


def _decided(source: SourceFile, review: Path, digest: str) -> Rows:
    """The groups of a review."""
    from linkage.agent.copying import count_rows
    from linkage.agent.dedupe.review import read_review

    data = read_bounded(review, MAX_REVIEW_BYTES)
    return read_review(data, review.name, digest, count_rows(source))


def _write_review(path: Path, table: Table, found: Found, digest: str) -> None:
    from linkage.agent.dedupe.review import order_of, read_cells, write_review

    columns, cells = read_cells(table, order_of(found).tolist())
    write_atomic(path, write_review(found, columns, cells, digest))


@contextmanager
def _cleaning_up() -> Iterator[None]:
    """Let a polite kill end the command like an interrupt, so that no half of a file stays."""

    def stop(_signal: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
