"""`linkage manifest`: look at an agreement before signing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkage.agreement.manifest import MAX_MANIFEST_BYTES, Manifest, parse_manifest
from linkage.cli.common import JsonOption, show
from linkage.files import read_bounded

app = typer.Typer(no_args_is_help=True, help="Check and read a project's manifest.")

FileArgument = Annotated[Path, typer.Argument(metavar="MANIFEST", help="The manifest, JSON.")]


def load_manifest(path: Path) -> Manifest:
    """Raises InputError or ManifestError, naming the file and every place in it."""
    return parse_manifest(read_bounded(path, MAX_MANIFEST_BYTES), source=path.name)


@app.command()
def check(file: FileArgument, as_json: JsonOption = False) -> None:
    """Check a manifest and print its fingerprint, which every partner signs."""
    manifest = load_manifest(file)
    result = {"project": manifest.project, "fingerprint": manifest.fingerprint}
    show(result, as_json=as_json, text=f"{manifest.project}: valid\n{manifest.fingerprint}")


@app.command("show")
def show_(file: FileArgument) -> None:
    """Print what a manifest agrees to, in words."""
    from linkage.trust.signing import grouped

    manifest = load_manifest(file)
    lines = [
        f"{manifest.title} ({manifest.project}, version {manifest.version})",
        f"fingerprint  {grouped(manifest.fingerprint)}",
        f"purpose      {manifest.purpose}",
        f"legal basis  {manifest.legal_basis}",
        f"expires      {manifest.expires}; retention {manifest.retention_days} days",
        f"scheme       {manifest.scheme.name}, {manifest.scheme.bits} bits",
        "",
        "Match keys (each encoded as a whole; none of the values leaves the agency):",
        *(f"  {key.name}: {', '.join(key.fields)}" for key in manifest.match_keys),
        "",
        "Partners, and the content each contributes after the release:",
    ]
    for partner in manifest.partners:
        lines.append(f"  {partner.name}  {partner.title}")
        for table in partner.content:
            fields = ", ".join(f"{f.name} ({f.transform})" for f in table.fields)
            lines.append(f"    {table.name}: {fields}")
    lines += ["", "Recipients:", *(f"  {r.name} ({r.role})" for r in manifest.recipients)]
    typer.echo("\n".join(lines))
