"""`linkage agent audit`: attack the encodings of a file before they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linkage.cli.common import Bar, JsonOption, show
from linkage.cli.manifest import load_manifest
from linkage.files import private_directory, write_atomic

if TYPE_CHECKING:
    from linkage.agent.audit import Audit

ABOVE_POLICY = 9
"""Exit code: an attack succeeds more often than policy allows."""
TOO_WEAK = 10
"""Exit code: the harness did not break what is known to be broken."""


def add_audit_command(app: typer.Typer) -> None:
    """The command, beside the agent's others."""
    app.command()(audit)


def audit(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="This agency's identifier file, CSV or Parquet.")
    ],
    manifest: Annotated[
        Path, typer.Option("--manifest", help="The project's manifest.", show_default=False)
    ],
    partner: Annotated[str, typer.Option("--partner", help="Which partner of it you are.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Attack a sample of 2,000 records.")
    ] = False,
    rows: Annotated[
        int,
        typer.Option("--rows", min=500, max=50_000, help="Attack at most so many records."),
    ] = 10_000,
    limit: Annotated[
        float,
        typer.Option(
            "--limit",
            min=0,
            max=1,
            help="Largest share of people that attackers without known pairs may re-identify.",
        ),
    ] = 0.005,
    known_limit: Annotated[
        float,
        typer.Option("--known-limit", min=0, max=1, help="The same, with one in twenty known."),
    ] = 0.03,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write audit.html and audit.json here."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Repeat the same sample and choices.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Attack this file's encodings as a curious hub would, and send nothing.

    The file is encoded as submit would, and attacked with its own records as what the attacker
    knows: the worst case. Plain Bloom filters of the same records are attacked beside it; where
    these withstand, the audit was too weak and proves nothing. No value is shown or written.

    Exit codes: 0 within the limits; 9 an attack succeeds more often; 10 harness too weak.
    """
    from linkage.agent import audit as auditing
    from linkage.agent.source import SourceFile
    from linkage.reports.risk import risk_page
    from linkage.risk import Policy

    agreed = load_manifest(manifest)
    with Bar() as bar:
        found = auditing.audit(
            agreed,
            agreed.partner(partner),
            SourceFile(file),
            rows=auditing.QUICK_ROWS if quick else rows,
            policy=Policy(unknown=limit, known=known_limit),
            seed=seed,
            progress=bar,
        )
    result = {"project": agreed.project, "fingerprint": agreed.fingerprint} | found.as_json()
    lines = _text(file.name, found)
    if report is not None:
        private_directory(report)
        write_atomic(report / "audit.json", (json.dumps(result, indent=2) + "\n").encode())
        write_atomic(report / "audit.html", risk_page(result).encode())
        lines += ["", f"wrote {report / 'audit.html'} and audit.json"]
    show(result, as_json=as_json, text="\n".join(lines))
    if found.too_weak:
        raise typer.Exit(TOO_WEAK)
    if not found.passed:
        raise typer.Exit(ABOVE_POLICY)


def _text(name: str, found: Audit) -> list[str]:
    lines = [
        f"{name}: attacked {found.rows} of {found.records} records; nothing was sent",
        f"control, plain Bloom filters: {found.control.rate:.1%} re-identified",
        "",
        f"{'at most re-identified by':<30}{'no known pair':>15}{'known pairs':>15}",
    ]
    for one in found.findings:
        bounds = [max(o.upper for o in outcomes) for outcomes in (one.unknown, one.known)]
        lines.append(f"{one.name:<30}{bounds[0]:>15.2%}{bounds[1]:>15.2%}")
    lines += [f"{skipped}: too few distinct records to attack" for skipped in found.skipped]
    lines.append("")
    if found.too_weak:
        lines.append("HARNESS TOO WEAK: the control was not broken; this audit proves nothing")
    for key, outcomes in found.above.items():
        named = ", ".join(f"{o.attack} ({o.right} of {o.overlap})" for o in outcomes)
        lines.append(f"ABOVE POLICY, {key}: {named}")
    if found.passed:
        lines.append("within policy")
    return lines
