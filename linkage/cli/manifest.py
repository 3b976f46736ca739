"""`linkage manifest`: look at an agreement before signing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkage.agreement import Clk
from linkage.agreement.manifest import Manifest
from linkage.agreement.reading import MAX_MANIFEST_BYTES, parse_manifest
from linkage.cli.common import JsonOption, say_warnings, show
from linkage.files import read_bounded

app = typer.Typer(no_args_is_help=True, help="Check and read a project's manifest.")

FileArgument = Annotated[Path, typer.Argument(metavar="MANIFEST", help="The manifest, JSON.")]


def load_manifest(path: Path) -> Manifest:
    """Read a manifest, and say on standard error what may be unexpected in it.

    Raises:
        InputError, ManifestError: names the file and every place in it.
    """
    manifest = parse_manifest(read_bounded(path, MAX_MANIFEST_BYTES), source=path.name)
    say_warnings(manifest)
    return manifest


@app.command()
def check(file: FileArgument, as_json: JsonOption = False) -> None:
    """Check a manifest and print its fingerprint, which every partner signs."""
    manifest = load_manifest(file)
    result = {
        "project": manifest.project,
        "fingerprint": manifest.fingerprint,
        "warnings": list(manifest.warnings),
    }
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
        *_encoded(manifest),
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


def _encoded(manifest: Manifest) -> list[str]:
    keys = [f"  {key.name}: {', '.join(key.fields)}" for key in manifest.match_keys]
    if manifest.linkage_schema is None or not isinstance(manifest.scheme, Clk):
        said = "each encoded as a whole; none of the values leaves the agency"
        return [f"Match keys ({said}):", *keys]
    return [
        "One filter per record, by the linkage schema. Published attacks re-identify such filters:",
        *(
            f"  {field}: feature {manifest.scheme.feature_of(field)!r}"
            for field in manifest.match_keys[0].fields
        ),
    ]
