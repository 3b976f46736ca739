"""How a partner says on the command line what its columns are, before there is a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.agreement.fields import FieldType
from linkage.agreement.reading import MAX_MANIFEST_BYTES
from linkage.errors import InputError
from linkage.files import read_bounded

if TYPE_CHECKING:
    from linkage.agreement.profile import Description

FieldsOption = Annotated[
    str | None,
    typer.Option(
        "--fields",
        metavar="NAME:TYPE[=COLUMN],...",
        help="What the columns are; types as in a manifest.",
    ),
]
FieldsFileOption = Annotated[
    Path | None,
    typer.Option("--fields-file", help="The same as JSON, with date formats and more."),
]
PartnerOption = Annotated[
    str | None, typer.Option("--partner", help="This agency's name; needed with --fields.")
]
DateFormatOption = Annotated[
    list[str] | None,
    typer.Option("--date-format", help="strptime format of dates of birth; may be repeated."),
]
RegionOption = Annotated[
    str, typer.Option("--region", help="Two-letter country of phones and postcodes.")
]
MissingOption = Annotated[
    list[str] | None,
    typer.Option("--missing", help='A cell that means "not known"; may be repeated.'),
]


def describe(
    fields: str | None,
    file: Path | None,
    partner: str | None,
    date_formats: list[str],
    missing: list[str],
    region: str,
) -> Description:
    """What the columns are, from a file or from options.

    Raises:
        InputError: neither, both, or something else than a description.
    """
    from linkage.agreement.profile import parse_description

    if (fields is None) == (file is None):
        raise InputError("say what the columns are, with either --fields or --fields-file")
    if file is not None:
        if partner or date_formats or missing:
            raise InputError("--fields-file says by itself what the other options say")
        return parse_description(read_bounded(file, MAX_MANIFEST_BYTES), source=file.name)
    described: list[dict[str, Any]] = []
    for word in (fields or "").split(","):
        name, colon, rest = word.strip().partition(":")
        kind, equals, column = rest.partition("=")
        if not (name and colon and kind) or (equals and not column):
            raise InputError(f"--fields: {word.strip()!r} is not of the form NAME:TYPE[=COLUMN]")
        described.append({"name": name, "type": kind, "region": region})
        if column:
            described[-1]["column"] = column
        if kind == FieldType.DATE_OF_BIRTH:
            described[-1]["date_formats"] = date_formats
    if not partner:
        raise InputError("--fields needs --partner NAME as well")
    document = {"linkage": "fields/1", "partner": partner, "missing": missing}
    return parse_description(
        json.dumps(document | {"fields": described}).encode(), source="--fields"
    )
