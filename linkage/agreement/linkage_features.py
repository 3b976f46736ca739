"""One feature of a clkhash linkage schema, version 3: which cells are valid, and how they count.

- Settings have clkhash's own names; what its JSON schema forbids is an error here too.
- Some objects are closed and some are open there: in an open one clkhash accepts any other setting
  and ignores it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)


def whole(value: Any) -> Any:
    """JSON knows one kind of number: 20.0 is the whole number 20."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
Draws = Annotated[Whole, Field(ge=1, le=1 << 16)]


class Closed(BaseModel):
    """An object in which clkhash's JSON schema allows no other settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Open(BaseModel):
    """An object in which clkhash accepts any other setting, and ignores it."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class TextFormat(Closed):
    type: Literal["string"]
    encoding: Literal["ascii", "utf-8", "utf-16", "utf-32"] = "utf-8"
    case: Literal["upper", "lower", "mixed"] = "mixed"
    min_length: Annotated[Whole, Field(alias="minLength", ge=0)] = 0
    max_length: Annotated[Whole, Field(alias="maxLength", ge=1)] = 1 << 62
    pattern: str | None = None
    description: str = ""

    @model_validator(mode="after")
    def _pattern_alone(self) -> TextFormat:
        if "pattern" not in self.model_fields_set:
            return self
        if self.pattern is None:
            raise ValueError("pattern is not text")
        if self.model_fields_set & {"case", "min_length", "max_length"}:
            raise ValueError("case, minLength and maxLength cannot stand beside pattern")
        return self


class NumberFormat(Closed):
    type: Literal["integer"]
    minimum: Whole | None = None
    maximum: Whole | None = None
    description: str = ""

    @field_validator("minimum", "maximum")
    @classmethod
    def _given(cls, value: int | None) -> int:
        if value is None:
            raise ValueError("null is not a whole number")
        return value


class DateFormat(Closed):
    type: Literal["date"]
    format: str
    description: str = ""


class EnumFormat(Closed):
    type: Literal["enum"]
    values: list[str]
    description: str = ""


Format = Annotated[TextFormat | NumberFormat | DateFormat | EnumFormat, Field(discriminator="type")]


class Ngrams(Open):
    type: Literal["ngram"]
    n: Annotated[int, Field(ge=1, le=100)]
    positional: bool = False


class Exact(Open):
    type: Literal["exact"]


class Numeric(Open):
    """Neighbourhoods of numbers.

    Attributes:
        interval: distance of two neighbours, times 2 x resolution x 10^fractional_precision; 0
            where that is no number, or too small.
    """

    type: Literal["numeric"]
    distance: Annotated[int | float, Field(alias="thresholdDistance", gt=0, allow_inf_nan=False)]
    resolution: Annotated[int, Field(ge=1, le=1 << 16)]
    fractional_precision: Annotated[int, Field(ge=0, le=300)] = 0

    @cached_property
    def interval(self) -> int:
        scale: int = 10**self.fractional_precision
        try:
            return round(self.distance * scale)
        except OverflowError:
            return 0


class Strategy(Closed):
    """How many positions tokens set: each of them, or all of a feature together."""

    per_token: Annotated[Draws | None, Field(alias="bitsPerToken")] = None
    per_feature: Annotated[Draws | None, Field(alias="bitsPerFeature")] = None

    @model_validator(mode="after")
    def _one(self) -> Strategy:
        if (self.per_token is None) == (self.per_feature is None):
            raise ValueError("give one of bitsPerToken and bitsPerFeature")
        return self


class BlakeHash(Open):
    type: Literal["blakeHash"] = "blakeHash"


class DoubleHash(Open):
    type: Literal["doubleHash"]
    prevent_singularity: bool = False


class MissingValue(Open):
    sentinel: str
    replace_with: Annotated[str | None, Field(alias="replaceWith")] = None

    @field_validator("replace_with")
    @classmethod
    def _given(cls, value: str | None) -> str:
        if value is None:
            raise ValueError("null is not text")
        return value

    @property
    def replacement(self) -> str:
        return self.sentinel if self.replace_with is None else self.replace_with


class Hashing(Closed):
    comparison: Annotated[Ngrams | Exact | Numeric, Field(discriminator="type")]
    strategy: Strategy
    hash: Annotated[BlakeHash | DoubleHash, Field(discriminator="type")] = BlakeHash()
    missing: Annotated[MissingValue | None, Field(alias="missingValue")] = None

    @field_validator("missing")
    @classmethod
    def _given(cls, value: MissingValue | None) -> MissingValue:
        if value is None:
            raise ValueError("null is not an object")
        return value


class Feature(Open):
    """One column that is encoded, unless `ignored`."""

    identifier: str
    format: Format
    hashing: Hashing
    ignored: bool = False
    description: str = ""


class IgnoredFeature(Closed):
    """One column that is not encoded; it counts when keys are dealt out all the same."""

    identifier: str
    ignored: Literal[True]
    description: str = ""


def _feature_kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "full" if {"format", "hashing"} & value.keys() else "bare"
    return "bare" if isinstance(value, IgnoredFeature) else "full"


AnyFeature = Annotated[
    Annotated[Feature, Tag("full")] | Annotated[IgnoredFeature, Tag("bare")],
    Discriminator(_feature_kind),
]
