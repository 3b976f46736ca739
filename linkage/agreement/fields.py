"""Identifier fields and match keys: what the partners agree to encode.

- A field has a type, which fixes how it is normalised and tokenised.
- A match key is a named set of fields encoded together. A record that lacks one of its fields
  has no encoding for that match key.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_VARIANTS = 16
"""Most encodings of one record, its aliases included."""
MAX_KEY_FIELDS = 6
"""Most fields of a match key; that of a linkage schema may have as many as the schema needs."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


class Strict(BaseModel):
    """Base of every agreed value: immutable, and an unknown setting is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FieldType(StrEnum):
    """How a field's values are normalised and cut into tokens."""

    GIVEN_NAME = "given_name"
    MIDDLE_NAME = "middle_name"
    SURNAME = "surname"
    FULL_NAME = "full_name"
    DATE_OF_BIRTH = "date_of_birth"
    SEX = "sex"
    PHONE = "phone"
    ADDRESS = "address"
    CITY = "city"
    POSTCODE = "postcode"
    NATIONAL_ID = "national_id"
    EMAIL = "email"
    EXACT = "exact"
    NUMBER = "number"

    @property
    def is_name(self) -> bool:
        """Whether the field is part of a person's name.

        Names share one token namespace inside a match key, so that a given name found as a
        surname still meets.
        """
        return self in (
            FieldType.GIVEN_NAME,
            FieldType.MIDDLE_NAME,
            FieldType.SURNAME,
            FieldType.FULL_NAME,
        )


class IdentifierField(Strict):
    """One identifier that every partner may hold.

    Attributes:
        name: used in match keys and, unless a partner maps it, as the column's name.
        type: normaliser and tokeniser.
        region: ISO 3166 two-letter country of phone numbers without a prefix, postcodes and
            national ids.
        transliterate: write Latin letters such as ø, ł and æ as o, l and ae in names, addresses
            and cities; other scripts are left alone.
        nicknames: add the tokens of the names that a nickname stands for; given, middle and
            full names only.
        latest_short_year: the last year that two digits can mean in a date of birth; by default
            the year in which the file is encoded.
        frequency: say in a pair-keyed answer whether a name is common, medium or rare, so that
            agreeing on a rare one weighs more.
    """

    name: Name
    type: Annotated[FieldType, Field(strict=False)]
    region: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "US"
    transliterate: bool = True
    nicknames: bool = False
    latest_short_year: Annotated[int, Field(ge=1950, le=2099)] | None = None
    frequency: bool = False

    @model_validator(mode="after")
    def _settings_fit_the_type(self) -> IdentifierField:
        if self.nicknames and (not self.type.is_name or self.type is FieldType.SURNAME):
            raise ValueError("nicknames: only a given, middle or full name has them")
        if self.latest_short_year is not None and self.type is not FieldType.DATE_OF_BIRTH:
            raise ValueError("latest_short_year: only a date of birth has it")
        if self.frequency and not self.type.is_name:
            raise ValueError("frequency: only a name has it")
        return self


class MatchKey(Strict):
    """A named set of fields encoded together (a term of the UK Office for National Statistics).

    Attributes:
        weights: how many times each token of a field counts; 1 where not given.
    """

    name: Name
    fields: Annotated[tuple[Name, ...], Field(min_length=1, max_length=40, strict=False)]
    weights: dict[Name, Annotated[int, Field(ge=1, le=8)]] = Field(default_factory=dict)
