"""`linkage manifest`: look at an agreement before signing it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.agreement.manifest import Manifest
from linkage.agreement.reading import MAX_MANIFEST_BYTES, parse_manifest
from linkage.cli.common import JsonOption, say_unanswered, say_warnings, show
from linkage.files import read_bounded, write_atomic

if TYPE_CHECKING:
    from linkage.agreement.difference import Change

DIFFERENT = 1
"""Exit code of diff, as of the command of that name: the manifests differ."""

app = typer.Typer(no_args_is_help=True, help="Check, read and compare manifests of projects.")

FileArgument = Annotated[Path, typer.Argument(metavar="MANIFEST", help="The manifest, JSON.")]


def load_manifest(path: Path) -> Manifest:
    """Read a manifest, and say on standard error what may be unexpected in it.

    Raises:
        InputError, ManifestError: names the file and every place in it.
    """
    manifest = parse_manifest(read_bounded(path, MAX_MANIFEST_BYTES), source=path.name)
    say_warnings(manifest)
    say_unanswered(manifest)
    return manifest


@app.command()
def check(file: FileArgument, as_json: JsonOption = False) -> None:
    """Check a manifest and print its fingerprint, which every partner signs."""
    manifest = load_manifest(file)
    result = {
        "project": manifest.project,
        "fingerprint": manifest.fingerprint,
        "warnings": list(manifest.warnings),
        "foreseen": list(manifest.foreseen),
        "unanswered": list(manifest.unanswered),
    }
    show(result, as_json=as_json, text=f"{manifest.project}: valid\n{manifest.fingerprint}")


@app.command("show")
def show_(
    file: FileArgument,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as a web page here.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", metavar="FILE", help="Write it as plain text here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say in plain language what a manifest agrees to, for those who sign it.

    Who, what, why, for how long, what leaves each agency, what each party sees, the four questions
    and their answers, every setting with its default, and at the end the fingerprint to compare.
    Printed, or written to a file that needs nothing else: to send to counsel, print and file.
    """
    from linkage.reports.agreement import agreement_page, agreement_text

    manifest = load_manifest(file)
    written = {}
    if html is not None:
        write_atomic(html, agreement_page(manifest).encode(), mode=0o644)
        written["html"] = str(html)
    if text is not None:
        write_atomic(text, f"{agreement_text(manifest)}\n".encode(), mode=0o644)
        written["text"] = str(text)
    result = {
        "project": manifest.project,
        "fingerprint": manifest.fingerprint,
        "warnings": list(manifest.warnings),
        "foreseen": list(manifest.foreseen),
        "unanswered": list(manifest.unanswered),
        "manifest": json.loads(manifest.canonical),
        **written,
    }
    said = "\n".join(f"wrote {path}" for path in written.values()) or agreement_text(manifest)
    show(result, as_json=as_json, text=said)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A manifest, JSON.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another one.")],
    as_json: JsonOption = False,
) -> None:
    """Say what differs between two manifests, setting by setting, defaults included.

    Spaces, order of settings and defaults written out are no difference. A change after which
    more may leave or less is needed is marked with an exclamation mark.

    Exit codes: 0 the same agreement; 1 they differ; 2 one of them cannot be read.
    """
    from linkage.agreement.difference import differences

    one, other = (
        parse_manifest(read_bounded(path, MAX_MANIFEST_BYTES), source=path.name)
        for path in (before, after)
    )
    changes = differences(one, other)
    result: dict[str, Any] = {
        "same": not changes,
        "before": one.fingerprint,
        "after": other.fingerprint,
        "changes": [asdict(change) for change in changes],
    }
    text = "\n".join(change_lines(changes)) or "the same agreement"
    show(result, as_json=as_json, text=text)
    if changes:
        raise typer.Exit(DIFFERENT)


def change_lines(changes: Sequence[Change]) -> list[str]:
    """What differs between two manifests, for people."""
    lines = [_line(change) for change in changes]
    if weaker := sum(change.weakens for change in changes):
        lines.append(f"{weaker} of {len(changes)} changes, marked !, weaken what protects people")
    return lines


def _line(change: Change) -> str:
    mark = "!" if change.weakens else " "
    before, after = (json.dumps(v, ensure_ascii=False) for v in (change.before, change.after))
    if change.kind == "added":
        return f"{mark} + {change.place}: {after}"
    if change.kind == "removed":
        return f"{mark} - {change.place}: {before}"
    return f"{mark} ~ {change.place}: {before} -> {after}"
