"""What a partner may tell of its file before any manifest exists: counts, and no value.

- A `Description` says which columns hold which fields; the partner writes it.
- A `Profile` is that description with the value-free figures of the file. It holds no cell, no
  hash and no exact count: rows have two significant digits, shares two decimals, entropies one.
- What rests on 1 to 10 records is not told (`None`).
- Unknown settings are errors, and the version stands in the document.

    profile = parse_profile(Path("health.profile.json").read_bytes())
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from linkage.agreement.fields import IdentifierField, Name, Strict
from linkage.agreement.lookups import Column
from linkage.agreement.parties import Partner
from linkage.agreement.reading import MAX_MANIFEST_BYTES
from linkage.errors import InputError

SMALLEST_COUNT = 11
"""Smaller counts are not told."""

MAX_FIELDS = 40

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Bits = Annotated[float, Field(ge=0.0, le=64.0)]


class DescribedField(IdentifierField):
    """An identifier field and where the partner's file has it.

    Attributes:
        column: the file's column; the field's own name where not given.
        date_formats: strptime formats tried in order, for a date of birth.
        missing: cells of this field alone that mean "not known".
    """

    column: Column | None = None
    date_formats: Annotated[tuple[str, ...], Field(max_length=10, strict=False)] = ()
    missing: Annotated[tuple[str, ...], Field(max_length=50, strict=False)] = ()


class Description(Strict):
    """What the columns of a partner's file are.

    Attributes:
        linkage: says what kind of document this is.
        partner: the partner's name, as it is to be enrolled.
        title: the partner's name for people.
        unique: the file holds each person once.
        record_id: column naming a record; it is checked for repetitions only.
        missing: cells that mean "not known", beside empty ones.
        fields: the identifiers.
    """

    linkage: Literal["fields/1"]
    partner: Name
    title: Annotated[str, Field(max_length=200)] = ""
    unique: bool = True
    record_id: Column | None = None
    missing: Annotated[tuple[str, ...], Field(max_length=50, strict=False)] = ()
    fields: Annotated[
        tuple[DescribedField, ...], Field(min_length=1, max_length=MAX_FIELDS, strict=False)
    ]

    @model_validator(mode="after")
    def _names_differ(self) -> Description:
        _distinct([field.name for field in self.fields])
        return self

    @property
    def identifiers(self) -> tuple[IdentifierField, ...]:
        """The fields without where they are."""
        return tuple(_identifier(field) for field in self.fields)

    @property
    def as_partner(self) -> Partner:
        """The same as a manifest says it."""
        return Partner(
            name=self.partner,
            title=self.title,
            unique=self.unique,
            record_id=self.record_id,
            columns={f.name: f.column for f in self.fields if f.column is not None},
            date_formats={f.name: f.date_formats for f in self.fields if f.date_formats},
            missing=self.missing,
            missing_values={f.name: f.missing for f in self.fields if f.missing},
        )


class FieldProfile(IdentifierField):
    """The figures of one field.

    Attributes:
        missing: share of records without it; None where 1 to 10 records lack it.
        bits: collision entropy (Rényi, of order 2) of the normalised values: two records that
            have the field agree on it by chance with probability 2 to the minus bits.
    """

    missing: Share | None
    bits: Bits

    @property
    def identifier(self) -> IdentifierField:
        """The field without its figures."""
        return _identifier(self)


class Dependence(Strict):
    """Two fields that tell of each other, such as a city and its postcode.

    Attributes:
        fields: their names.
        shared: how many of the bits of the one with fewer the other one already tells, as a
            share; 0 where they are independent.
    """

    fields: Annotated[tuple[Name, Name], Field(strict=False)]
    shared: Share


class Profile(Strict):
    """The value-free figures of one partner's file, which it may hand to the steward.

    Attributes:
        linkage: says what kind of document this is.
        partner: what the manifest will say of the partner; without content.
        rows: how many records, to two significant digits.
        fields: the figures of each field.
        dependent: pairs of fields found to depend on each other.
    """

    linkage: Literal["profile/1"]
    partner: Partner
    rows: Annotated[int, Field(ge=1, le=100_000_000)]
    fields: Annotated[
        tuple[FieldProfile, ...], Field(min_length=1, max_length=MAX_FIELDS, strict=False)
    ]
    dependent: Annotated[tuple[Dependence, ...], Field(max_length=1000, strict=False)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Profile:
        names = [field.name for field in self.fields]
        _distinct(names)
        named = {name for pair in self.dependent for name in pair.fields}
        if unknown := sorted(named - set(names)):
            raise ValueError(f"dependent: {unknown[0]!r} is not one of the fields")
        return self

    def field(self, name: str) -> FieldProfile:
        return next(field for field in self.fields if field.name == name)


def round_count(count: int) -> int:
    """A count of records to two significant digits."""
    step = int(10 ** max(len(str(count)) - 2, 0))
    return round(count / step) * step


def parse_profile(data: bytes, *, source: str = "profile") -> Profile:
    """Read a profile from JSON.

    Raises:
        InputError: it is not one; names every place.
    """
    return _parse(Profile, data, source)


def parse_description(data: bytes, *, source: str = "description") -> Description:
    """Read a description from JSON.

    Raises:
        InputError: it is not one; names every place.
    """
    return _parse(Description, data, source)


T = TypeVar("T", bound=Strict)


def _parse(model: type[T], data: bytes, source: str) -> T:
    if len(data) > MAX_MANIFEST_BYTES:
        raise InputError(f"{source} is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        lines = [
            f"{source}: {'.'.join(map(str, item['loc'])) or 'document'}:"
            f" {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise InputError("\n".join(lines)) from None


def _identifier(field: IdentifierField) -> IdentifierField:
    return IdentifierField(**{name: getattr(field, name) for name in IdentifierField.model_fields})


def _distinct(names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"fields: {twice[0]!r} stands more than once")
