"""Identifier fields and match keys: what the partners agree to encode.

- A field has a type, which fixes how it is normalised and tokenised.
- A match key is a named set of fields encoded together. A record that lacks one of its fields
  has no encoding for that match key.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


class Strict(BaseModel):
    """Base of every agreed value: immutable, and an unknown setting is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FieldType(StrEnum):
    """How a field's values are normalised and cut into tokens."""

    GIVEN_NAME = "given_name"
    MIDDLE_NAME = "middle_name"
    SURNAME = "surname"
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
        return self in (FieldType.GIVEN_NAME, FieldType.MIDDLE_NAME, FieldType.SURNAME)


class IdentifierField(Strict):
    """One identifier that every partner may hold.

    Attributes:
        name: used in match keys and, unless a partner maps it, as the column's name.
        type: normaliser and tokeniser.
        region: ISO 3166 two-letter country of phone numbers and postcodes without a prefix.
    """

    name: Name
    type: Annotated[FieldType, Field(strict=False)]
    region: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "US"


class MatchKey(Strict):
    """A named set of fields encoded together (a term of the UK Office for National Statistics).

    Attributes:
        weights: how many times each token of a field counts; 1 where not given.
    """

    name: Name
    fields: Annotated[tuple[Name, ...], Field(min_length=1, max_length=6, strict=False)]
    weights: dict[Name, Annotated[int, Field(ge=1, le=8)]] = Field(default_factory=dict)
