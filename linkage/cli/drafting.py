"""`linkage hub draft-manifest`: a manifest proposed from the partners' profiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linkage.cli.common import JsonOption, show
from linkage.errors import AlreadyExistsError, InputError
from linkage.files import read_bounded, write_atomic

if TYPE_CHECKING:
    from linkage.agreement.draft import Draft


def draft_manifest(
    profiles: Annotated[
        list[Path],
        typer.Argument(metavar="PROFILE...", help="The partners' profiles."),
    ],
    project: Annotated[str, typer.Option("--project", help="The project's name.")],
    title: Annotated[str, typer.Option("--title", help="The project's title, one line.")],
    out: Annotated[Path, typer.Option("--out", help="Manifest to write; never overwritten.")],
    purpose: Annotated[
        str, typer.Option("--purpose", help="What the linkage is for.")
    ] = "To be written: what the linkage is for.",
    legal_basis: Annotated[
        str, typer.Option("--legal-basis", help="The agreement or law it rests on.")
    ] = "To be written: the agreement or law that this rests on.",
    assembler: Annotated[
        str, typer.Option("--assembler", help="Name of the recipient that assembles the extract.")
    ] = "assembler",
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="YYYY-MM-DD", help="Last day; default: in a year."),
    ] = None,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme",
            help="minhash-v1, or saul-v1: finds more of the messy matches and encodes ten times as"
            " fast, and hides nothing from whom knows many of the people.",
        ),
    ] = "minhash-v1",
    as_json: JsonOption = False,
) -> None:
    """Propose fields, weights and match keys from the partners' value-free profiles.

    The rule needs no truth; what is printed says why each match key was taken. The result is a
    valid manifest without content fields, for the partners to read, change and complete. Nothing
    is sent.
    """
    from datetime import UTC, date, datetime, timedelta

    from linkage.agreement.draft import Terms
    from linkage.agreement.draft import draft_manifest as draft_from
    from linkage.agreement.draft_keys import RULES
    from linkage.agreement.profile import parse_profile
    from linkage.agreement.reading import MAX_MANIFEST_BYTES

    if out.exists():
        raise AlreadyExistsError(f"{out} is there already", remedy="Name a new file")
    if scheme not in RULES:
        raise InputError(
            "no draft can be made for that scheme", remedy=f"Give one of {', '.join(RULES)}"
        )
    try:
        day = date.fromisoformat(expires or "")
    except ValueError:
        if expires is not None:
            raise InputError("--expires is not a date YYYY-MM-DD") from None
        day = datetime.now(UTC).date() + timedelta(days=365)
    found = [
        parse_profile(read_bounded(path, MAX_MANIFEST_BYTES), source=path.name) for path in profiles
    ]
    draft = draft_from(found, Terms(project, title, purpose, legal_basis, day, assembler, scheme))
    document = draft.manifest.model_dump(mode="json", exclude_defaults=True)
    # A discriminator is no default to leave out.
    document |= {"linkage": "manifest/1", "scheme": draft.manifest.scheme.model_dump(mode="json")}
    write_atomic(out, (json.dumps(document, indent=2) + "\n").encode(), mode=0o644)
    result = {
        "file": str(out),
        "fingerprint": draft.manifest.fingerprint,
        "fields": [vars(field) for field in draft.fields],
        "match_keys": [vars(key) for key in draft.keys],
        "groups": draft.groups,
        "notes": draft.notes,
    }
    show(result, as_json=as_json, text="\n".join(_text(draft, out)))


def _text(draft: Draft, out: Path) -> list[str]:
    wide = max(16, *(len(field.name) for field in draft.fields))
    lines = [f"{'field':<{wide}}   bits  intact in a pair of files"]
    lines += [f"{f.name:<{wide}}{f.bits:>7.1f}{f.intact:>8.0%}" for f in draft.fields]
    needed = draft.keys[0].needed
    lines += [
        "",
        f"match keys, as chosen (each needs {needed:.1f} bits; chance: at least one is intact)",
        f"{'bits':>6}{'intact':>8}{'adds':>8}{'chance':>8}  fields",
    ]
    lines += [
        f"{k.bits:>6.1f}{k.intact:>8.1%}{k.gain:>8.1%}{k.chance:>8.1%}  {', '.join(k.fields)}"
        for k in draft.keys
    ]
    lines += [f"depend on each other: {', '.join(group)}" for group in draft.groups]
    lines += [*draft.notes, "", f"wrote {out}; next: linkage manifest show {out}"]
    return lines
