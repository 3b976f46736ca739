"""The commands of `linkage crosswalk` that make, change, check and compare crosswalks."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from linkage.cli.common import JsonOption, show
from linkage.cli.crosswalk_documents import (
    CrosswalkArgument,
    ListOption,
    OverwriteOption,
    load_crosswalk,
    load_inventories,
    load_list,
    require_new,
)
from linkage.errors import InputError
from linkage.files import read_bounded, write_atomic

if TYPE_CHECKING:
    from linkage.release.crosswalk.documents import CodeMapping, Confidence, Crosswalk

DIFFERENT = 1
"""Exit code of diff, as of the command of that name: the crosswalks differ."""
OPEN = 0o644

OutOption = Annotated[Path, typer.Option("--out", help="File to write.")]
AgencyOption = Annotated[
    list[str] | None,
    typer.Option("--agency", help="An agency that the crosswalk does not have yet; repeat."),
]
InventoryOption = Annotated[
    list[Path] | None, typer.Option("--inventory", help="An agency's inventory; repeat.")
]


def add_editing_commands(app: typer.Typer) -> None:
    """The commands, beside the others."""
    commands: dict[str, Callable[..., None]] = {
        "list": list_,
        "new": new,
        "suggest": suggest,
        "accept": accept,
        "import": import_,
        "export": export,
        "check": check,
        "show": show_,
        "diff": diff,
    }
    for name, command in commands.items():
        app.command(name)(command)


def list_(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE.csv]", help="A table of codes; default: the bundled list."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="The list's name, such as apco.")] = "",
    version: Annotated[
        str, typer.Option("--list-version", help="The list's version, such as 2019.")
    ] = "",
    title: Annotated[str, typer.Option("--title", help="The list's title.")] = "",
    origin: Annotated[str, typer.Option("--origin", help="Where the table is from.")] = "",
    code_column: Annotated[
        str, typer.Option("--code-column", help="The table's column of codes.")
    ] = "",
    description_column: Annotated[
        str, typer.Option("--description-column", help="The table's column of descriptions.")
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", help="File to write.")] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a list of standard codes from a table, or show the bundled one.

    For APCO's incident types as NIEM publishes them, NIBRS offence codes, or any list of your own.
    The table has a column of codes and one of descriptions, and may have merged_into, the code that
    took an old one's place. The list is known by name, version and digest; a crosswalk is for
    one list.
    """
    from linkage.release.crosswalk.lists import list_from_csv
    from linkage.release.crosswalk.tables import MAX_TEXT

    if file is None:
        codes = load_list(None)
    else:
        if not name or not version or out is None:
            raise InputError("a list from a table needs --name, --list-version and --out")
        codes = list_from_csv(
            read_bounded(file, MAX_TEXT),
            name=name,
            version=version,
            title=title,
            origin=origin,
            code_column=code_column,
            description_column=description_column,
            source=file.name,
        )
    if out is not None:
        require_new(out, overwrite)
        write_atomic(out, codes.canonical, mode=OPEN)
    result = {
        "name": codes.name,
        "version": codes.version,
        "digest": codes.digest,
        "codes": [entry.model_dump(mode="json") for entry in codes.codes],
    }
    lines = [f"{codes.name} {codes.version}, {len(codes.codes)} codes", codes.digest]
    lines += [f"  {entry.code:<22} {entry.description}" for entry in codes.codes]
    show(result, as_json=as_json, text="\n".join([*lines, *([f"wrote {out}"] if out else [])]))


def new(
    name: Annotated[str, typer.Option("--name", help="The crosswalk's name.")],
    out: OutOption,
    codes: ListOption = None,
    agency: AgencyOption = None,
    inventory: InventoryOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Begin a crosswalk: its list of standard codes, its agencies, no mapping yet."""
    from linkage.release.crosswalk.editing import new_crosswalk

    require_new(out, overwrite)
    counted = [found.agency for found in load_inventories(inventory or []).values()]
    agencies = dict.fromkeys([*(agency or []), *counted])
    _write(new_crosswalk(name, load_list(codes), agencies), out, as_json)


def suggest(
    crosswalk: CrosswalkArgument,
    inventory: Annotated[
        list[Path], typer.Option("--inventory", help="An agency's inventory; repeat.")
    ],
    out: Annotated[Path, typer.Option("--out", help="File of suggestions to write, CSV.")],
    codes: ListOption = None,
    cutoff: Annotated[
        float, typer.Option("--cutoff", min=0, max=100, help="Least score of a suggestion.")
    ] = 60.0,
    most: Annotated[
        int, typer.Option("--most", min=1, max=20, help="Most suggestions for one code.")
    ] = 3,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Suggest standard codes for codes without one, by how alike their descriptions are.

    Nothing is mapped: the suggestions go to a table of their own, best first, with their scores.
    Somebody who knows the agency writes yes under "accept" where one is right; see accept.
    """
    from linkage.release.crosswalk.suggesting import suggest as find
    from linkage.release.crosswalk.suggesting import suggestions_csv

    require_new(out, overwrite)
    used = load_crosswalk(crosswalk)
    found = find(
        load_inventories(inventory), used, load_list(codes, used), cutoff=cutoff, most=most
    )
    write_atomic(out, suggestions_csv(found), mode=OPEN)
    of = {(one.agency, one.local) for one in found}
    result = {"file": str(out), "codes": len(of), "suggestions": [asdict(one) for one in found]}
    text = f"wrote {out}: {len(found)} suggestions for {len(of)} codes; none is applied"
    show(result, as_json=as_json, text=text)


def accept(
    crosswalk: CrosswalkArgument,
    suggestions: Annotated[
        Path, typer.Argument(metavar="SUGGESTIONS.csv", help="The suggestions, looked through.")
    ],
    author: Annotated[str, typer.Option("--author", help="Who decided.")],
    out: Annotated[Path, typer.Option("--out", help="The next version to write.")],
    row: Annotated[
        list[int] | None,
        typer.Option("--row", help="Accept these rows, from 1, in place of those with yes."),
    ] = None,
    date: Annotated[str, typer.Option("--date", help="When, YYYY-MM-DD; default: today.")] = "",
    confidence: Annotated[
        str, typer.Option("--confidence", help="high, medium or low, where a row gives none.")
    ] = "medium",
    codes: ListOption = None,
    agency: AgencyOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put accepted suggestions into the next version of a crosswalk."""
    from linkage.release.crosswalk.suggesting import accepted
    from linkage.release.crosswalk.tables import MAX_TEXT

    require_new(out, overwrite)
    used = load_crosswalk(crosswalk)
    mappings = accepted(
        read_bounded(suggestions, MAX_TEXT),
        used,
        author=author,
        date=_date(date),
        confidence=_confidence(confidence),
        chosen=row or [],
        source=suggestions.name,
    )
    _next(used, mappings, codes, agency, suggestions.name, out, as_json)


def import_(
    crosswalk: CrosswalkArgument,
    table: Annotated[
        Path, typer.Argument(metavar="TABLE.csv", help="All its mappings, as export writes them.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The next version to write.")],
    codes: ListOption = None,
    agency: AgencyOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the next version of a crosswalk from a table that people edited.

    The table says the whole: a mapping that is not in it is gone. With --list of another version
    the crosswalk moves over to that list.
    """
    from linkage.release.crosswalk.editing import from_csv
    from linkage.release.crosswalk.tables import MAX_TEXT

    require_new(out, overwrite)
    used = load_crosswalk(crosswalk)
    mappings = from_csv(read_bounded(table, MAX_TEXT), source=table.name)
    _next(used, mappings, codes, agency, table.name, out, as_json)


def export(
    crosswalk: CrosswalkArgument,
    out: OutOption,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a crosswalk's mappings as a table, to be edited in a spreadsheet."""
    from linkage.release.crosswalk.editing import to_csv

    require_new(out, overwrite)
    used = load_crosswalk(crosswalk)
    write_atomic(out, to_csv(used), mode=OPEN)
    result = {"file": str(out), "mappings": len(used.mappings)}
    show(result, as_json=as_json, text=f"wrote {out}: {len(used.mappings)} mappings")


def check(
    crosswalk: CrosswalkArgument,
    codes: ListOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a crosswalk against its list, and print its digest.

    Duplicates, circles, codes of another list and unknown agencies are named by entry and field,
    all at once.
    """
    from linkage.release.crosswalk.checking import require_sound

    used = load_crosswalk(crosswalk)
    require_sound(
        used,
        source=crosswalk.name,
        codes=load_list(codes, used),
        today=dt.datetime.now(tz=dt.UTC).date() + dt.timedelta(days=1),
    )
    text = f"{used.name} version {used.version}: valid\n{used.digest}"
    show(_facts(used), as_json=as_json, text=text)


def show_(
    crosswalk: CrosswalkArgument,
    agency: Annotated[str, typer.Option("--agency", help="Only this agency's codes.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show what a crosswalk says, and who decided it."""
    from linkage.release.crosswalk.editing import require_agencies

    used = load_crosswalk(crosswalk)
    if agency:
        require_agencies(used, [agency])
    shown = [entry for entry in used.mappings if agency in ("", entry.agency)]
    result = _facts(used) | {"entries": [entry.model_dump(mode="json") for entry in shown]}
    by_agency = Counter(entry.agency for entry in used.mappings)
    lines = [
        f"{used.name}, version {used.version}, {used.digest}",
        f"standard codes: {used.codes.name} {used.codes.version}, {used.codes.digest[:16]}",
        "agencies: "
        + (", ".join(f"{name} ({by_agency[name]})" for name in used.agencies) or "none"),
        *(_line(entry) for entry in shown),
    ]
    show(result, as_json=as_json, text="\n".join(lines))


def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A version.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another one.")],
    as_json: JsonOption = False,
) -> None:
    """Say what differs between two versions of a crosswalk.

    Exit codes: 0 they say the same; 1 they differ; 2 one of them cannot be read.
    """
    from linkage.release.crosswalk.editing import differences

    one, other = load_crosswalk(before), load_crosswalk(after)
    found = differences(one, other)
    result = {
        "same": not found,
        "before": one.digest,
        "after": other.digest,
        "follows": other.previous == one.digest,
        "changes": [asdict(change) for change in found],
    }
    marks = {"added": "+", "removed": "-", "changed": "~", "noted": "."}
    lines = [
        f"{marks[change.kind]} {' '.join(filter(None, (change.agency, change.local)))}:"
        f" {' -> '.join(filter(None, (change.before, change.after)))}"
        for change in found
    ]
    show(result, as_json=as_json, text="\n".join(lines) or "they say the same")
    if found:
        raise typer.Exit(DIFFERENT)


def _next(
    used: Crosswalk,
    mappings: list[CodeMapping],
    codes: str | None,
    agencies: list[str] | None,
    source: str,
    out: Path,
    as_json: bool,
) -> None:
    from linkage.release.crosswalk.editing import next_version

    made = next_version(
        used,
        mappings,
        codes=load_list(codes, used),
        agencies=agencies or [],
        source=source,
        today=dt.datetime.now(tz=dt.UTC).date() + dt.timedelta(days=1),
    )
    _write(made, out, as_json)


def _write(made: Crosswalk, out: Path, as_json: bool) -> None:
    write_atomic(out, made.canonical, mode=OPEN)
    text = f"wrote {out}: {made.name} version {made.version}, {len(made.mappings)} mappings"
    show({"file": str(out), **_facts(made)}, as_json=as_json, text=f"{text}\n{made.digest}")


def _facts(used: Crosswalk) -> dict[str, Any]:
    return {
        "name": used.name,
        "version": used.version,
        "digest": used.digest,
        "previous": used.previous,
        "list": json.loads(used.codes.model_dump_json()),
        "agencies": list(used.agencies),
        "mappings": len(used.mappings),
    }


def _line(entry: CodeMapping) -> str:
    meaning = entry.standard or f"(merged into {entry.merged_into})"
    note = f"; {entry.note}" if entry.note else ""
    return (
        f"  {entry.agency:<12} {entry.local:<14} {meaning:<24} {entry.confidence:<6}"
        f" {entry.date} {entry.author}{note}"
    )


def _date(text: str) -> dt.date:
    if not text:
        return dt.datetime.now(tz=dt.UTC).astimezone().date()
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise InputError("--date is not of the form YYYY-MM-DD") from None


def _confidence(text: str) -> Confidence:
    if text not in ("high", "medium", "low"):
        raise InputError("--confidence is high, medium or low")
    return cast("Literal['high', 'medium', 'low']", text)
