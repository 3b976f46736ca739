"""`linkage crosswalk`: what each agency's own call codes mean in standard codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.common import Bar, JsonOption, show
from linkage.cli.crosswalk_documents import (
    CrosswalkOption,
    ListOption,
    OverwriteOption,
    load_crosswalk,
    load_inventories,
    load_list,
    require_new,
)
from linkage.cli.crosswalk_editing import add_editing_commands
from linkage.files import write_atomic

if TYPE_CHECKING:
    from linkage.release.crosswalk.applying import Accounts
    from linkage.release.crosswalk.inventory import Counted
    from linkage.release.crosswalk.merging import Merged

UNMAPPED = 8
"""Exit code of apply and merge with --fail-unmapped."""
MOST_LINES = 40
OPEN = 0o644

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Say once what every agency's call codes mean, so that calls can be counted together.\n\n"
        "Each agency, on its own machine: inventory (count the codes), later apply. The steward:"
        " merge (one table of all inventories), new, suggest, accept or import (make the"
        " crosswalk), check, diff, show, export. Nothing here needs a hub, and nothing is mapped"
        " that no person decided."
    ),
)

ColumnOption = Annotated[str, typer.Option("--column", help="The column with the call's code.")]
MissingOption = Annotated[
    list[str] | None,
    typer.Option("--missing", metavar="WORD", help="A cell that means no code; repeat."),
]


@app.command()
def inventory(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The agency's calls, CSV or Parquet.")
    ],
    agency: Annotated[
        str, typer.Option("--agency", help="The agency's name, as in the crosswalk.")
    ],
    column: ColumnOption,
    description: Annotated[
        str, typer.Option("--description", help="The column with the code's meaning in words.")
    ] = "",
    threshold: Annotated[
        int, typer.Option("--threshold", help="Smaller counts are not shown.")
    ] = 11,
    name_rare: Annotated[
        bool,
        typer.Option("--name-rare", help="Name codes below the threshold, without their count."),
    ] = False,
    missing: MissingOption = None,
    out: Annotated[Path, typer.Option("--out", help="The file that may leave the agency.")] = Path(
        "inventory.json"
    ),
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Count an agency's codes, and write what of the counts it may share.

    Counts below the threshold are left out, and what would give them away. A value that looks like
    text, a date or a person's number is not named. Rare codes are shown here, on this machine,
    and are named in the file only with --name-rare: read them first, as a name typed into the
    wrong column is rare. Every row is accounted for.
    """
    from linkage.agent.mapping import codes_of
    from linkage.release.crosswalk.inventory import count_codes, make_inventory

    require_new(out, overwrite)
    counted = count_codes(codes_of(file, column, description), missing=missing or [])
    made = make_inventory(counted, agency=agency, threshold=threshold, name_rare=name_rare)
    write_atomic(out, made.canonical, mode=OPEN)
    result = {
        "file": str(out),
        "digest": made.digest,
        "rows": made.rows,
        "codes": len(made.codes),
        "codes_without_count": sum(entry.rows is None for entry in made.codes),
        "unnamed": made.unnamed,
        "rest": made.rest,
        "rare": counted.rare(threshold),
        "like_text": counted.unlike_codes(),
        "by_spreadsheet": counted.by_spreadsheet(),
    }
    show(result, as_json=as_json, text=_inventory_text(result, counted, threshold, name_rare))


def _inventory_text(
    result: dict[str, Any], counted: Counted, threshold: int, name_rare: bool
) -> str:
    lines = [
        (
            f"wrote {result['file']}: {result['rows']:,} rows,"
            f" {result['codes'] - result['codes_without_count']} codes with a count,"
            f" {result['codes_without_count']} without; {result['rest']:,} rows in no"
            " count of their own"
        )
    ]
    if rare := result["rare"]:
        said = "named without their count" if name_rare else "not named; see --name-rare"
        lines.append(f"{len(rare)} codes stand fewer than {threshold} times, {said}:")
        lines += [f"  {counted.codes[code]:>4}  {code}" for code in rare[:MOST_LINES]]
        lines += [f"  and {len(rare) - MOST_LINES} more"] if len(rare) > MOST_LINES else []
    if result["like_text"]:
        lines.append(
            f"{result['like_text']} values look like text or numbers of persons: not named"
        )
    if result["by_spreadsheet"]:
        shown = ", ".join(result["by_spreadsheet"][:5])
        lines.append(f"a spreadsheet may have made these of other codes: {shown}")
    return "\n".join(lines)


@app.command()
def merge(
    inventories: Annotated[
        list[Path], typer.Argument(metavar="INVENTORY...", help="The agencies' inventories.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory for the tables and a web page.")
    ] = None,
    crosswalk: CrosswalkOption = None,
    fail_unmapped: Annotated[
        bool, typer.Option("--fail-unmapped", help="Exit with 8 if a named code has no mapping.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Merge agencies' inventories: most used codes, and what a crosswalk covers of them.

    With --out: codes.csv (most used first), coverage.csv (by standard code), unmapped.csv,
    agencies.csv, and coverage.html with all of it. Every row of every agency is accounted for.

    Exit codes: 0; 2 an inventory is wrong; 8 with --fail-unmapped, codes are unmapped.
    """
    from linkage.cli.crosswalk_page import coverage_page, merged_files
    from linkage.release.crosswalk.merging import merge as merge_inventories

    found = load_inventories(inventories)
    used = load_crosswalk(crosswalk) if crosswalk else None
    merged = merge_inventories(found, used)
    written = []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        files = merged_files(merged)
        files["coverage.html"] = coverage_page(merged, used).encode()
        for name, data in files.items():
            write_atomic(out / name, data, mode=OPEN)
            written.append(str(out / name))
    result = {
        "total": vars(merged.total),
        "agencies": [vars(share) for share in merged.shares],
        "codes": [vars(code) for code in merged.codes],
        "coverage": [vars(covered) for covered in merged.coverage],
        "unmapped": len(merged.unmapped),
        "not_in_inventories": [list(key) for key in merged.strangers],
        "files": written,
    }
    show(result, as_json=as_json, text="\n".join(_merged_lines(merged, written)))
    if fail_unmapped and merged.unmapped:
        raise typer.Exit(UNMAPPED)


def _merged_lines(merged: Merged, written: Sequence[str]) -> list[str]:
    total = merged.total
    lines = [
        (
            f"{len(merged.shares)} agencies, {total.rows:,} rows: {total.mapped:,} mapped,"
            f" {total.unmapped:,} unmapped, {total.empty:,} without a code, {total.rest:,} in no"
            " count of their own"
        )
    ]
    lines += [
        f"  {'not shown' if code.rows is None else f'{code.rows:,}':>12}  {code.agency:<12}"
        f" {code.local:<14} {code.standard or '-':<22} {code.description}"
        for code in merged.codes[:MOST_LINES]
    ]
    if len(merged.codes) > MOST_LINES:
        lines.append(f"  and {len(merged.codes) - MOST_LINES} more codes; --out writes them all")
    if merged.unmapped:
        lines.append(f"{len(merged.unmapped)} codes have no standard code")
    if merged.strangers:
        shown = ", ".join(f"{local} of {agency}" for agency, local in merged.strangers[:5])
        lines.append(f"{len(merged.strangers)} mapped codes stand in no inventory: {shown}")
    return [*lines, *(f"wrote {file}" for file in written)]


@app.command("apply")
def apply_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Calls, CSV or Parquet.")],
    crosswalk: Annotated[Path, typer.Option("--crosswalk", metavar="FILE", help="The crosswalk.")],
    column: ColumnOption,
    out: Annotated[Path, typer.Option("--out", help="The copy with the new column.")],
    agency: Annotated[str, typer.Option("--agency", help="Whose calls they are.")] = "",
    agency_column: Annotated[
        str, typer.Option("--agency-column", help="Or else the column that says so.")
    ] = "",
    into: Annotated[str, typer.Option("--into", help="The new column.")] = "standard_code",
    digest: Annotated[
        str,
        typer.Option("--digest", help="Refuse a crosswalk whose digest does not begin with this."),
    ] = "",
    missing: MissingOption = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write the accounts here, JSON."),
    ] = None,
    fail_unmapped: Annotated[
        bool, typer.Option("--fail-unmapped", help="Exit with 8 if a code has no mapping.")
    ] = False,
    codes: ListOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a copy of a file with a column of standard codes.

    Nothing is dropped: a row whose code has no mapping keeps its local code, gets an empty standard
    code and is counted. All rows are accounted for as mapped, unmapped, without a code, or of an
    agency that the crosswalk does not know.

    Exit codes: 0; 2 a file is wrong; 8 with --fail-unmapped, codes are unmapped (the copy is
    written all the same).
    """
    from linkage.agent.mapping import map_file
    from linkage.release.crosswalk.editing import require_agencies

    require_new(out, overwrite)
    used = load_crosswalk(crosswalk, load_list(codes) if codes else None, digest=digest)
    if agency:
        require_agencies(used, [agency])
    with Bar() as bar:
        accounts = map_file(
            file, out, used, column=column, agency=agency, agency_column=agency_column,
            into=into, missing=missing or [], progress=bar,
        )  # fmt: skip
    result = {"file": str(out), "crosswalk": used.digest, "version": used.version}
    result |= accounts.as_json()
    if report is not None:
        write_atomic(report, _json(result))
    show(result, as_json=as_json, text="\n".join(_accounts_lines(accounts, out)))
    if fail_unmapped and not accounts.complete:
        raise typer.Exit(UNMAPPED)


def _accounts_lines(accounts: Accounts, out: Path) -> list[str]:
    told = accounts.as_json()
    lines = [
        (
            f"wrote {out}: {accounts.rows:,} rows = {told['mapped']:,} mapped +"
            f" {told['unmapped']:,} unmapped + {accounts.empty:,} without a code +"
            f" {accounts.strangers:,} of unknown agencies"
        )
    ]
    lines += [f"  {rows:>12,}  {code}" for code, rows in accounts.mapped.most_common()]
    named: Any = told["unmapped_codes"]
    if named:
        lines.append("unmapped, kept with their local code:")
    lines += [
        f"  {entry['rows']:>12,}  {entry['local']} of {entry['agency']}"
        for entry in named[:MOST_LINES]
    ]
    if told["unmapped_not_quoted"]:
        lines.append(f"  {told['unmapped_not_quoted']:>12,}  in values that are no codes")
    return lines


def _json(value: Any) -> bytes:
    import json

    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


add_editing_commands(app)
