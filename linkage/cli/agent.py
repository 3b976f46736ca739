"""`linkage agent`: a partner's side of the protocol, run by the agency's own IT staff."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.answering import add_answer_commands
from linkage.cli.auditing import add_audit_command
from linkage.cli.clk import add_clk_commands
from linkage.cli.common import (
    Bar,
    HomeOption,
    JsonOption,
    PatienceOption,
    WaitOption,
    assignments,
    audit_lines,
    connect_member,
    default_home,
    errors,
    patiently,
    show,
)
from linkage.cli.content import content_lines, content_result
from linkage.cli.crisis_report import add_crisis_report_commands
from linkage.cli.describing import (
    DateFormatOption,
    FieldsFileOption,
    FieldsOption,
    MissingOption,
    PartnerOption,
    RegionOption,
    describe,
)
from linkage.cli.duplicates import add_dedupe_command
from linkage.cli.manifest import FileArgument, change_lines, load_manifest
from linkage.cli.members import add_member_commands
from linkage.cli.sharing import add_share_command
from linkage.errors import InputError, NotAgreedError, NotFoundError, Problem, SourceError
from linkage.files import write_atomic

if TYPE_CHECKING:
    from linkage.agent.agent import Agent
    from linkage.agent.findings import Reason
    from linkage.agent.profile import FileFigures
    from linkage.agent.records import Checked, Examined, Values
    from linkage.agreement import Manifest
    from linkage.agreement.difference import Change

SHOWN_ERRORS = 20
HOME = default_home("agent")
PATIENCE = 30.0

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Encode and contribute this agency's records. Identifiers and keys stay in this process"
        " and its home.\n\nIn order: init, enrol, trust, sign, share, submit, answer, approve,"
        " contribute."
    ),
)
add_member_commands(app, HOME)
add_clk_commands(app)
add_answer_commands(app)
add_crisis_report_commands(app)
add_dedupe_command(app)
add_share_command(app)
add_audit_command(app)

ProjectOption = Annotated[
    str, typer.Option("--project", help="The project's name, as in its manifest.")
]
SourceArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="This agency's identifier file, CSV or Parquet.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        help="Threads for encoding and the audit; default: all cores, and one for the audit's"
        " linear algebra.",
    ),
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
CLEAN_SUBSET = 8
"""Exit code of check: errors, but the other records may be sent."""

ReleaseOption = Annotated[
    str | None, typer.Option("--release", help="The release's id; default: the newest.")
]


@app.command()
def sign(
    manifest: FileArgument,
    yes: Annotated[
        bool, typer.Option("--yes", help="It was read, and is agreed to: show and ask nothing.")
    ] = False,
    despite_unanswered: Annotated[
        bool,
        typer.Option(
            "--despite-unanswered",
            help="Sign although it does not say why it is legal, ethical, a good idea, or who"
            " decides.",
        ),
    ] = False,
    home: HomeOption = HOME,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Agree to a manifest: it is shown in plain language, and you are asked.

    The file must be the one the steward proposed to the hub; the agent compares fingerprints and
    refuses another. It refuses one that leaves questions open, and one that has expired. With the
    signature goes a commitment to this partner's part of the project secret.

    Of a running project's next version, what changes is shown first.
    """
    from linkage.agent.agent import Agent

    agreed = load_manifest(manifest)
    agent = Agent(home)
    changes = _changes(agent, agreed)
    if changes:
        errors.print("\n".join(["what changes:", *change_lines(changes), ""]), markup=False)
    if not yes:
        _ask(agreed)
    with connect_member(home, patience) as connection:
        project = agent.sign(connection, agreed, despite_unanswered=despite_unanswered)
        here = project if project.fingerprint == agreed.fingerprint else project.proposal
        signed = [s.partner for s in here.signatures]
        result = {
            "project": agreed.project,
            "fingerprint": agreed.fingerprint,
            "changes": [asdict(change) for change in changes],
            "signed": signed,
            "wire": vars(connection.wire),
        }
    waiting = [name for name in agreed.partner_names if name not in signed]
    text = f"signed {agreed.project}\n{agreed.fingerprint}\n"
    text += f"still to sign: {', '.join(waiting)}" if waiting else "all partners have signed"
    text += f"\nnext, once all have: linkage agent share --project {agreed.project}"
    show(result, as_json=as_json, text=text)


def _changes(agent: Agent, manifest: Manifest) -> Sequence[Change]:
    """What a next version changes in the manifest that this partner signed before it."""
    from linkage.agreement.difference import differences

    try:
        before = agent.signed_manifest(manifest.project)
    except NotFoundError:
        return ()
    return differences(before, manifest) if before.version < manifest.version else ()


def _ask(manifest: Manifest) -> None:
    """Show what is to be signed, and have it agreed to; on standard error.

    Raises:
        InputError: nobody is there to ask.
        NotAgreedError: the answer is no.
    """
    from linkage.reports.agreement import agreement_text

    if not sys.stdin.isatty():
        raise InputError(
            "nobody is there to be asked",
            remedy="Read it with linkage manifest show, then sign with --yes",
        )
    errors.print(agreement_text(manifest), markup=False)
    if not typer.confirm("\nDo you agree to this, for your agency?", err=True):
        raise NotAgreedError("not agreed to; nothing was signed")


@app.command()
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
    from linkage.agent.records import Records
    from linkage.agent.source import SourceFile

    agreed = load_manifest(manifest)
    table = None if aliases is None else SourceFile(aliases)
    records = Records(agreed, agreed.partner(partner), SourceFile(file), table)
    profiler = Profiler(records.fields, agreed.match_keys)
    with Bar() as bar:
        found = records.examine(bar, max_problems=max_errors, profiler=profiler)
        figures = profiler.result()
        values = records.reveal(figures, profiler.hasher) if show_values else None
    if errors_file is not None:
        _write_errors(errors_file, found.problems)
    checked = found.checked
    result: dict[str, Any] = {
        "rows": checked.rows,
        "missing": checked.missing,
        "covered": checked.covered,
        "usable": checked.sent if found.usable else 0,
        "sentinels": checked.sentinels,
        "aliases": checked.aliases,
        "grouped": checked.grouped,
        "unlisted": checked.unlisted,
        "reasons": [vars(reason) for reason in checked.reasons],
        "profile": _figures(figures, values),
    }
    if not found.usable or found.total:
        summary = "the file has errors" if found.total else "no record has any whole match key"
        result["error"] = {
            "reason": "INVALID_SOURCE",
            "message": f"{file.name}: {summary}",
            "total": found.total,
            "problems": [vars(problem) for problem in found.problems],
        }
    lines = [*_verdict(file.name, found, errors_file), "", *_figures_text(figures, values)]
    lines += _declared(checked)
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
            problems = [vars(problem) for table in tables for problem in table.problems]
            message = f"{file.name}: content may not leave as it is"
            result.setdefault(
                "error",
                {
                    "reason": SourceError.reason,
                    "message": message,
                    "total": total,
                    "problems": problems,
                },
            )
            show(result, as_json=as_json, text="\n".join(lines))
            raise typer.Exit(SourceError.exit_code)
    show(result, as_json=as_json, text="\n".join(lines))
    if found.total or not found.usable:
        raise typer.Exit(CLEAN_SUBSET if found.usable else SourceError.exit_code)


@app.command()
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
    lines += _figures_text(figures, values)
    result = {"rows": figures.rows, "unread": unread, "profile": _figures(figures, values)}
    if share is not None:
        told = figures.share(description.as_partner)
        write_atomic(share, (told.model_dump_json(indent=2) + "\n").encode(), mode=0o644)
        lines += ["", f"wrote {share}; read it before you hand it on"]
    show(result, as_json=as_json, text="\n".join(lines))


@app.command()
def submit(
    file: SourceArgument,
    project: ProjectOption,
    aliases: AliasesOption = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Send anew what was sent before; until a run has used it."),
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Send a changed file as the next round, after a run has used the last one.",
        ),
    ] = False,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out records with errors; send the rest.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check and audit the file, and send nothing."),
    ] = False,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check, audit, encode and upload this agency's file.

    Nothing is sent if any row has an error, unless --skip-invalid is given: then the hub is told
    how many records were left out, and skipped.json beside the receipt says why. An upload that
    broke off goes on where it stopped: run the same command again.

    Before anything is sent, the file's encodings are attacked as by linkage agent audit --quick,
    once per file. Where an attack finds more people than the manifest allows, nothing is sent
    (exit code 9), unless the manifest holds an exception for this partner. What was found goes
    into the signed header, without any value; in full it stays in the home.

    With --update records are known again by their record ids: unchanged ones are not compared
    anew, and linkage ids go on.
    """
    from linkage.agent.agent import Agent

    if dry_run:
        with Bar() as bar:
            checked, audit = Agent(home, progress=bar, threads=threads).try_submit(
                project, file, aliases=aliases, skip_invalid=skip_invalid
            )
        said = audit.model_dump(mode="json")
        result = {"project": project, "rows": checked.sent, "audit": said, "sent": False}
        lines = [
            f"{checked.sent} records would be sent; nothing was",
            *audit_lines({"this file": said}),
        ]
        show(result, as_json=as_json, text="\n".join(lines))
        return
    if replace and update:
        raise InputError("--replace sends a round anew, --update begins the next: take one")
    with connect_member(home, patience) as connection, Bar() as bar:
        agent = Agent(home, progress=bar, threads=threads)
        done = patiently(
            lambda: agent.submit(
                connection,
                project,
                file,
                aliases=aliases,
                replace=replace,
                update=update,
                skip_invalid=skip_invalid,
            ),
            wait,
        )
        skipped = len(done.checked.skipped)
        result = {
            "project": project,
            "upload": done.upload,
            "rows": done.checked.sent,
            "aliases": done.checked.aliases,
            "grouped": done.checked.grouped,
            "skipped": skipped,
            "reasons": [vars(reason) for reason in done.checked.reasons],
            "bytes": done.size,
            "digest": done.digest,
            "resumed": done.repeated,
            "missing": done.checked.missing,
            "covered": done.checked.covered,
            "audit": done.audit.model_dump(mode="json"),
            "wire": vars(connection.wire),
        }
    lines = [f"submitted {done.checked.sent} records, {done.size} bytes"]
    if done.checked.aliases:
        lines.append(f"with {done.checked.aliases} aliases")
    if done.checked.reasons:
        lines.append(f"left out {skipped} records, and aliases, with errors:")
        lines += [_reason(r) for r in done.checked.reasons]
    lines += audit_lines({"this file": result["audit"]})
    lines.append(f"receipt {done.upload}")
    show(result, as_json=as_json, text="\n".join(lines))


@app.command()
def status(
    home: HomeOption = HOME, patience: PatienceOption = PATIENCE, as_json: JsonOption = False
) -> None:
    """Show what each of this agency's projects waits for."""
    from linkage.agent.agent import Agent

    with connect_member(home, patience) as connection:
        projects = Agent(home).status(connection)
    lines = []
    for p in projects:
        lines += _project_lines(p)
        for r in p["releases"]:
            state = "approved" if r["approved"] else "waits for approval"
            lines.append(
                f"  release {r['release']}: {state}; approved by"
                f" {', '.join(r['approvals']) or 'nobody'};"
                f" parcels from {', '.join(r['contributed']) or 'nobody'}"
            )
    show({"projects": projects}, as_json=as_json, text="\n".join(lines) or "no projects yet")


def _project_lines(project: dict[str, Any]) -> list[str]:
    names = {
        what: ", ".join(project.get(what, [])) or "nobody"
        for what in ("signed", "committed", "revealed", "uploaded")
    }
    lines = []
    if "epoch" in project:
        state = "active" if project["active"] else "waits for signatures"
        lines.append(
            f"{project['project']}: version {project['version']}, epoch {project['epoch']},"
            f" {state}; signed by {names['signed']}"
        )
        lines.append(
            f"  project secret: committed {names['committed']}; revealed {names['revealed']}"
        )
        lines.append(f"  encodings from: {names['uploaded']}")
        lines += audit_lines(project["audits"])
    else:
        lines.append(f"{project['project']}: ended for this partner")
    if proposal := project.get("proposal"):
        signed = ", ".join(proposal["signed"]) or "nobody"
        lines.append(f"  version {proposal['version']} is proposed; signed by {signed}")
    if project["problem"]:
        lines.append(f"  REFUSED: {project['problem']}")
    lines += [f"  next: {step}" for step in project["next"]]
    return lines


@app.command()
def approve(
    project: ProjectOption,
    release: ReleaseOption = None,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Approve a proposed release of the links this agency takes part in.

    The agent checks that the manifest it signed covers the release, and keeps the quality report
    the release was decided on in its home.
    """
    from linkage.agent.agent import Agent

    with connect_member(home, patience) as connection:
        agent = Agent(home)
        found = patiently(lambda: agent.approve(connection, project, release), wait)
        result = {
            "release": found.release,
            "threshold": found.threshold,
            "approvals": [a.partner for a in found.approvals],
            "wire": vars(connection.wire),
        }
    text = f"approved release {found.release}: links from match probability {found.threshold:g}"
    show(result, as_json=as_json, text=text)


@app.command()
def contribute(
    file: SourceArgument,
    project: ProjectOption,
    content: Annotated[
        list[str] | None,
        typer.Option(
            "--content", metavar="TABLE=FILE", help="File of a content table; may be repeated."
        ),
    ] = None,
    lookup: LookupOption = None,
    release: ReleaseOption = None,
    home: HomeOption = HOME,
    wait: WaitOption = 0,
    patience: PatienceOption = PATIENCE,
    as_json: JsonOption = False,
) -> None:
    """Coarsen the agreed content, seal it to the assembler, and post it.

    Only the fields that the manifest lists leave, each under its transform. One cell that may not
    leave stops the whole parcel.
    """
    from linkage.agent.agent import Agent

    files = assignments(content or [], "--content")
    lookups = assignments(lookup or [], "--lookup")
    with connect_member(home, patience) as connection, Bar() as bar:
        agent = Agent(home, progress=bar)
        done = patiently(
            lambda: agent.contribute(connection, project, file, files, release, lookups), wait
        )
        receipt = done.receipt
        result = {
            "left_out": done.left_out,
            "lookups": done.lookups,
            "upload": receipt.upload,
            "bytes": receipt.size,
            "digest": receipt.digest,
            "wire": vars(connection.wire),
        }
    lines = [f"contributed {receipt.size} sealed bytes"]
    lines += [
        f"left out {count} rows of {table}: their records were skipped at submit"
        for table, count in done.left_out.items()
    ]
    lines += [
        f"{table}.{field}: {count['rows']} cells were looked up; {count['unmatched']} have no entry"
        for table, fields in done.lookups.items()
        for field, count in fields.items()
    ]
    show(result, as_json=as_json, text="\n".join(lines))


def _write_errors(path: Path, problems: Sequence[Problem]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "field", "message", "file"])
    writer.writerows((p.row or "", p.field, p.message, p.file) for p in problems)
    write_atomic(path, text.getvalue().encode())


def _verdict(name: str, found: Examined, written: Path | None) -> list[str]:
    checked = found.checked
    if not found.total:
        if found.usable:
            return [f"{name}: {checked.rows} records, no errors; nothing was sent"]
        return [
            f"{name}: {checked.rows} records, none with all fields of any match key",
            "Check the column names and the missing values; nothing was sent",
        ]
    lines = [f"{name}: {found.total} errors in {checked.rows} records; nothing was sent", ""]
    lines += [_reason(r) for r in checked.reasons]
    shown = found.problems if written is None else found.problems[:SHOWN_ERRORS]
    lines += ["", *(f"{_of(p.file)}row {p.row}, {p.field}: {p.message}" for p in shown)]
    if found.total > len(shown):
        lines.append(f"and {found.total - len(shown)} more")
    if written is not None:
        lines.append(f"wrote the first {len(found.problems)} to {written}")
    if found.usable:
        lines += [
            "",
            f"{checked.sent} records have no error: correct the others, or send these alone",
            "with submit --skip-invalid",
        ]
    else:
        lines += ["", "no record that could be sent is left"]
    return lines


def _of(file: str) -> str:
    """How a line about another file than the identifier file begins."""
    return f"{file}, " if file else ""


def _reason(reason: Reason) -> str:
    return f"{reason.count:>9}  {_of(reason.file)}{reason.field}: {reason.message}"


def _declared(checked: Checked) -> list[str]:
    """What the manifest's declarations caught."""
    caught = [f"{count} of {name}" for name, count in checked.sentinels.items() if count]
    lines = ["", f'cells that hold a declared word for "not known": {", ".join(caught) or "none"}']
    if checked.aliases:
        lines.append(f"aliases: {checked.aliases} more encodings of the same records")
    if checked.groups is not None:
        lines.append(f"groups: {checked.grouped} records are the same person as an earlier one")
    lines += [
        f"stratum {name}: {count} cells are filled and not one of its values; sent as not given"
        for name, count in checked.unlisted.items()
    ]
    return lines


def _figures(figures: FileFigures, values: Values | None) -> dict[str, Any]:
    return {
        "fields": {
            f.field.name: {
                "missing": f.missing / figures.rows,
                "distinct": f.spread.distinct / max(f.spread.rows, 1),
                "largest": f.spread.largest,
                "bits": f.spread.bits,
                "lengths": vars(f.lengths),
                "suspects": [
                    {"count": s.count, "share": s.share, "why": s.why}
                    | ({} if values is None else {"value": values.get((f.field.name, s.hash))})
                    for s in f.suspects
                ],
            }
            for f in figures.fields
        },
        "match_keys": {
            name: {
                "covered": k.rows / figures.rows,
                "distinct": k.distinct / max(k.rows, 1),
                "largest": k.largest,
                "bits": k.bits,
            }
            for name, k in figures.keys.items()
        },
        "same_person": {"records": figures.same_person, "fields": figures.person_fields},
        "dependent": [
            {"fields": names, "shared": shared} for names, shared in figures.dependent.items()
        ],
    }


def _figures_text(figures: FileFigures, values: Values | None) -> list[str]:
    """The figures as tables for a terminal."""
    wide = max([16, *(len(f.field.name) for f in figures.fields), *map(len, figures.keys)])
    head = f"{'missing':>9}{'distinct':>10}{'commonest':>11}{'bits':>7}"
    lines = [f"{'field':<{wide}}{head}  length: least, quarters, most"]
    for f in figures.fields:
        size = f.lengths
        lines.append(
            f"{f.field.name:<{wide}}{f.missing / figures.rows:>9.1%}"
            f"{f.spread.distinct / max(f.spread.rows, 1):>10.1%}{f.spread.largest:>11}"
            f"{f.spread.bits:>7.1f}  {size.shortest}, {size.lower_quarter} {size.median}"
            f" {size.upper_quarter}, {size.longest}"
        )
    if figures.keys:
        lines += ["", f"{'match key':<{wide}}{'covers':>9}{'distinct':>10}{'commonest':>11}   bits"]
        lines += [
            f"{name:<{wide}}{k.rows / figures.rows:>9.1%}"
            f"{k.distinct / max(k.rows, 1):>10.1%}{k.largest:>11}{k.bits:>7.1f}"
            for name, k in figures.keys.items()
        ]
    lines += ["", 'values that may stand for "not known" (declare them under missing):']
    suspects = [(f.field.name, s) for f in figures.fields for s in f.suspects]
    for name, s in suspects:
        value = "" if values is None else f": {values.get((name, s.hash), '')!r}"
        lines.append(f"  {name:<{wide}}{s.count:>9} ({s.share:.1%})  {s.why}{value}")
    if not suspects:
        lines.append("  none")
    if figures.person_fields:
        fields = ", ".join(figures.person_fields)
        text = f"{figures.same_person} records agree with an earlier one in {fields}"
        lines += ["", f"{text}: the same person twice?"]
    return lines
