"""Who takes part: agencies with files, and recipients of what comes out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from linkage.agreement.checks import distinct
from linkage.agreement.content import ContentTable
from linkage.agreement.content_profiles import ContentProfile
from linkage.agreement.fields import Name, Strict
from linkage.agreement.lookups import Column, Lookup, require_fitting
from linkage.agreement.policies import Policies

PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Partner(Strict):
    """An agency with a file.

    Attributes:
        unique: the file holds each person once, rows of one group counted as one; links to it are
            one to one.
        record_id: column naming a record inside the agency; never encoded or sent.
        columns: the file's column for a field, where it has another name.
        full_names: name fields whose column holds a whole name, and the part of it that the field
            is; several fields may share such a column.
        date_formats: strptime formats tried in order for a date field.
        missing: cells that mean "not known", beside empty ones; compared without case.
        missing_values: the same for one field only, so that a word may be a name elsewhere.
        group: column that says which rows are one person, as `agent dedupe` writes it; an empty
            cell is a person of its own. Sent as random group handles.
        aliases: further columns that hold other values of a field, such as a maiden name; each
            filled one gives the record one more encoding.
        strata: the column of each permitted stratum.
        content: what it contributes after the release.
        lookups: files of its own in which cells of its content are looked up.
        policies: laws and rules that its file, and all its tables, are under.
        profile: what the rows of its content tables have to be; see [content](content.md#profiles).
        duplicates: the share of its rows that may be encoded like another one in every match key;
            by default 0.1, and 0.95 where the file is not unique.
    """

    name: Name
    title: Annotated[str, StringConstraints(max_length=200)] = ""
    unique: bool = True
    record_id: Column | None = None
    columns: dict[Name, Column] = Field(default_factory=dict)
    full_names: dict[Name, Literal["given", "middle", "surname"]] = Field(default_factory=dict)
    date_formats: dict[
        Name, Annotated[tuple[str, ...], Field(min_length=1, max_length=10, strict=False)]
    ] = Field(default_factory=dict)
    missing: Annotated[tuple[str, ...], Field(max_length=50, strict=False)] = ()
    missing_values: dict[
        Name, Annotated[tuple[str, ...], Field(min_length=1, max_length=50, strict=False)]
    ] = Field(default_factory=dict)
    group: Column | None = None
    aliases: dict[
        Name, Annotated[tuple[Column, ...], Field(min_length=1, max_length=8, strict=False)]
    ] = Field(default_factory=dict)
    strata: dict[Name, Column] = Field(default_factory=dict)
    content: Annotated[tuple[ContentTable, ...], Field(max_length=20, strict=False)] = ()
    lookups: Annotated[tuple[Lookup, ...], Field(max_length=20, strict=False)] = ()
    policies: Policies = ()
    profile: Annotated[ContentProfile, Field(strict=False)] | None = None
    duplicates: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        default_factory=lambda given: 0.1 if given.get("unique", True) else 0.95
    )

    @model_validator(mode="after")
    def _lookups_are_there(self) -> Partner:
        distinct("lookups", [one.name for one in self.lookups])
        for table in self.content:
            for field in table.fields:
                try:
                    require_fitting(self.lookups, field)
                except ValueError as error:
                    where = f"content table {table.name!r}: field {field.name!r}"
                    raise ValueError(f"{where}: {error}") from None
        return self

    def column_of(self, field: str) -> str:
        """The file's column that holds a field."""
        return self.columns.get(field, field)

    def missing_of(self, field: str) -> tuple[str, ...]:
        """The cells of a field that mean "not known"."""
        return self.missing + self.missing_values.get(field, ())


class Stratum(Strict):
    """A coarse code by which the quality report may be broken down, such as race or sex.

    The hub gets it per row handle: declare it only where the law allows that. Cells of few rows
    are suppressed in the report.

    Attributes:
        values: the codes there are; anything else counts as not given.
    """

    name: Name
    values: Annotated[tuple[Column, ...], Field(min_length=1, max_length=50, strict=False)]


class Recipient(Strict):
    """Who may receive what comes out.

    Attributes:
        role: `assembler` opens parcels and makes the extract; `evaluator` reads it.
    """

    name: Name
    title: Annotated[str, StringConstraints(max_length=200)] = ""
    role: Literal["assembler", "evaluator"]


class StewardKey(Strict):
    """A steward who may confirm releases.

    Attributes:
        name: as enrolled at the hub.
        key: its Ed25519 public key, 64 hex digits, as `linkage hub steward-key` prints it.
    """

    name: Name
    title: Annotated[str, StringConstraints(max_length=200)] = ""
    key: PublicKey
