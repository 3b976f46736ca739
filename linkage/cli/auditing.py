"""`linkage agent audit`: attack the encodings of a file before they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.agent_options import HOME, SourceArgument
from linkage.cli.common import Bar, HomeOption, JsonOption, show
from linkage.cli.manifest import load_manifest
from linkage.errors import InputError, RiskError
from linkage.files import private_directory, write_atomic

if TYPE_CHECKING:
    from linkage.agent.finding import Audit
    from linkage.agreement import Manifest

TOO_WEAK = 10
"""Exit code: nothing is proven, and yet submit would send: too few people for a control, or an
exception."""


def add_audit_command(app: typer.Typer) -> None:
    """The command, beside the agent's others."""
    app.command()(audit)


def audit(
    file: SourceArgument,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="The project's manifest, before it is signed."),
    ] = None,
    partner: Annotated[
        str | None, typer.Option("--partner", help="Which partner of --manifest you are.")
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            help="In place of --manifest: a project that this agent signed. What is found is kept"
            " for submit.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Attack a sample of 2,000 records, as submit does.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write audit.html and audit.json here."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Repeat the same sample and choices.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            help="Threads to work on; default: all cores, and one for linear algebra, which is slow"
            " on more where other programs are busy.",
        ),
    ] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Attack this file's encodings as a curious hub would, and send nothing.

    The file is encoded as submit would, and attacked with its own records as what the attacker
    knows: the worst case. Plain Bloom filters of the same records are attacked beside it; where
    these withstand, the audit was too weak, and submit refuses the file; where too few people are
    there for them, nothing is proven, which is told. No value is shown or written.

    What is allowed stands in the manifest, under audit. Exit codes: 0 submit would send the file;
    9 it would not; 10 it would, although the audit was too weak: too few people for a control, or
    an exception.
    """
    from linkage.agent import audit as auditing
    from linkage.agent.agent import Agent
    from linkage.agent.audited import Audits, described
    from linkage.agent.source import SourceFile
    from linkage.reports.risk import risk_page

    source = SourceFile(file)
    kept: Audits | None = None
    if project is not None and manifest is None and partner is None:
        agreed, name, kept = Agent(home).audits(project)
    elif manifest is not None and partner is not None and project is None:
        agreed, name = load_manifest(manifest), partner
    else:
        raise InputError("give either --manifest and --partner, or --project")
    depth = auditing.QUICK if quick else auditing.FULL
    with Bar() as bar:
        found = auditing.audit(
            agreed,
            agreed.partner(name),
            source,
            depth,
            seed=seed,
            threads=threads,
            progress=bar,
        )
    result = described(agreed, name, found)
    lines = _text(file.name, agreed, found)
    if kept is not None:
        if kept.keep(source.digest(), depth, found):
            lines += ["", f"kept for submit; to read: {kept.page}"]
        else:
            lines += ["", f"not kept: submit goes by the audit of the whole file: {kept.page}"]
    if report is not None:
        private_directory(report)
        write_atomic(report / "audit.json", (json.dumps(result, indent=2) + "\n").encode())
        write_atomic(report / "audit.html", risk_page(result).encode())
        lines += ["", f"wrote {report / 'audit.html'} and audit.json"]
    show(result, as_json=as_json, text="\n".join(lines))
    _leave(result)


def _leave(result: dict[str, Any]) -> None:
    if result["refused"]:
        raise typer.Exit(RiskError.exit_code)
    if result["summary"]["verdict"] == "too-weak":
        raise typer.Exit(TOO_WEAK)


def _text(name: str, manifest: Manifest, found: Audit) -> list[str]:
    from linkage.agreement.audits import KINDS, SAID, Verdict

    summary = found.summary
    lines = [f"{name}: attacked {found.read} of {found.records} records; nothing was sent"]
    if found.control is not None:
        lines.append(f"control, plain Bloom filters: {found.control.rate:.1%} re-identified")
    heads = ("no known pair", "known pairs", "active hub")
    lines += ["", f"{'at most re-identified by':<34}{''.join(f'{head:>15}' for head in heads)}"]
    for one in found.findings:
        cells = []
        for kind in KINDS:
            uppers = [t.outcome.upper for t in one.tried if t.attack.kind == kind]
            cells.append(f"{max(uppers):>15.2%}" if uppers else f"{'':>15}")
        lines.append(f"{one.name:<34}{''.join(cells)}")
    allowed = "".join(f"{manifest.audit.limit(kind):>15.2%}" for kind in KINDS)
    lines.append(f"{'allowed':<34}{allowed}")
    lines += ["", f"{'named, times chance at most':<34}{''.join(f'{head:>15}' for head in heads)}"]
    for one in found.findings:
        cells = []
        for kind in KINDS:
            lifts = [t.outcome.lift for t in one.tried if t.attack.kind == kind]
            cells.append(f"{max(lifts):>15.1f}" if lifts else f"{'':>15}")
        lines.append(f"{one.name:<34}{''.join(cells)}")
    lines += [f"{skipped}: too few distinct records to attack" for skipped in found.skipped]
    lines += _static(manifest, found)
    lines.append("")
    for key, tried in found.broken.items():
        named = ", ".join(
            f"{one.attack.name} ({one.outcome.right} of {one.outcome.overlap},"
            f" {one.outcome.told} told, {one.outcome.lift:.0f} times chance)"
            for one in tried
        )
        lines.append(f"ABOVE POLICY, {key}: {named}")
    lines += [
        f"ABOVE POLICY, {one.name}: its commonest value is that of {one.repeats.most} of"
        f" {one.repeats.rows} records"
        for one in found.repeated
        if one.verdict is Verdict.BROKEN
    ]
    lines.append(f"verdict: {summary.verdict}: {SAID[summary.verdict]}")
    return lines


def _static(manifest: Manifest, found: Audit) -> list[str]:
    """What encodings give away as they lie."""
    if not found.repeated:
        return []
    heads = ("distinct", "commonest", "by counting", "popcount skew")
    lines = ["", f"{'how encodings repeat':<34}{''.join(f'{head:>15}' for head in heads)}"]
    skews = {one.name: f"{one.leakage.fill_deviation:.2f}" for one in found.findings}
    for name, one in ((each.name, each.repeats) for each in found.repeated):
        lines.append(
            f"{name:<34}{one.distinct:>15.1%}{one.commonest:>15.2%}{one.frequency_bound:>15.2%}"
            f"{skews.get(name, ''):>15}"
        )
    lines += [
        f"{'allowed':<34}{'':>15}{manifest.audit.commonest:>15.2%}",
        "distinct: encodings per record. commonest: records with the most frequent one; allowed",
        "is what may be proven of it. by counting: records that exact frequencies name. popcount",
        "skew: how much the number of bits set varies, where coins give 1.",
    ]
    if found.signature:
        lines.append(
            "all match keys of a record as a signature:"
            f" {found.signature['presence']:.1%} have a set of match keys that no other has;"
            f" {found.signature['alone']:.1%} share no encoding with another;"
            f" {found.signature['shared']:.2g} encodings of a record are another's too, on average"
        )
    return lines
