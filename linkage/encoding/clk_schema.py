"""Read a clkhash linkage schema, version 3, as it is.

- What clkhash's own JSON schema forbids is an error here too; so is what clkhash accepts and then
  fails on when it encodes (a filter length that is no power of two under `blakeHash`, more keys
  than HKDF can give, ...).
- What clkhash accepts and silently ignores is accepted and named by `warnings`.
- `xorFolds` is what the schema documents and `xor_folds` is what clkhash 0.18 reads. A schema is
  taken as clkhash reads it; `as_documented` gives the other reading.

    schema = parse_linkage_schema(Path("schema.json").read_bytes())
    for line in schema.warnings: print(line)
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from linkage.errors import ManifestError

MAX_SCHEMA_BYTES = 1 << 20
MAX_FILTER_BITS = 1 << 20
KEYS_PER_FEATURE = 2
_HKDF_BLOCKS = 255  # RFC 5869, section 2.3
_DIGEST_BYTES = {"SHA256": 32, "SHA512": 64}
_BLAKE2B_KEY_BYTES = 64


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 20.0 is the whole number 20."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
Draws = Annotated[Whole, Field(ge=1, le=1 << 16)]


class _Closed(BaseModel):
    """An object in which clkhash's JSON schema allows no other settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Open(BaseModel):
    """An object in which clkhash accepts any other setting, and ignores it."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class Kdf(_Open):
    """How keys are derived from the secret."""

    type: Literal["HKDF"]
    hash: Literal["SHA256", "SHA512"] = "SHA256"
    salt: str | None = None
    info: str | None = None
    key_size: Annotated[int, Field(alias="keySize", ge=1)] = 64

    @field_validator("salt", "info")
    @classmethod
    def _base64(cls, value: str | None) -> str:
        if value is None:
            raise ValueError("null is not text")
        _from_base64(value)
        return value

    @property
    def salt_bytes(self) -> bytes | None:
        return None if self.salt is None else _from_base64(self.salt)

    @property
    def info_bytes(self) -> bytes | None:
        return None if self.info is None else _from_base64(self.info)


def _from_base64(text: str) -> bytes:
    """As clkhash decodes: characters outside the alphabet are skipped."""
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None


class ClkConfig(_Open):
    """What holds for the whole filter.

    Attributes:
        l: bits of a filter after folding.
        xor_folds: how often it is folded, as clkhash reads it.
        documented_folds: how often it is folded, under the documented name.
    """

    l: Annotated[int, Field(ge=1, le=MAX_FILTER_BITS)]  # noqa: E741 (clkhash's name)
    kdf: Kdf
    xor_folds: Annotated[int, Field(ge=0, le=20)] = 0
    documented_folds: Annotated[int, Field(alias="xorFolds", ge=0, le=20)] = 0


class TextFormat(_Closed):
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


class NumberFormat(_Closed):
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


class DateFormat(_Closed):
    type: Literal["date"]
    format: str
    description: str = ""


class EnumFormat(_Closed):
    type: Literal["enum"]
    values: list[str]
    description: str = ""


Format = Annotated[TextFormat | NumberFormat | DateFormat | EnumFormat, Field(discriminator="type")]


class Ngrams(_Open):
    type: Literal["ngram"]
    n: Annotated[int, Field(ge=1, le=100)]
    positional: bool = False


class Exact(_Open):
    type: Literal["exact"]


class Numeric(_Open):
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


class Strategy(_Closed):
    """How many positions tokens set: each of them, or all of a feature together."""

    per_token: Annotated[Draws | None, Field(alias="bitsPerToken")] = None
    per_feature: Annotated[Draws | None, Field(alias="bitsPerFeature")] = None

    @model_validator(mode="after")
    def _one(self) -> Strategy:
        if (self.per_token is None) == (self.per_feature is None):
            raise ValueError("give one of bitsPerToken and bitsPerFeature")
        return self


class BlakeHash(_Open):
    type: Literal["blakeHash"] = "blakeHash"


class DoubleHash(_Open):
    type: Literal["doubleHash"]
    prevent_singularity: bool = False


class MissingValue(_Open):
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


class Hashing(_Closed):
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


class Feature(_Open):
    """One column that is encoded, unless `ignored`."""

    identifier: str
    format: Format
    hashing: Hashing
    ignored: bool = False
    description: str = ""


class IgnoredFeature(_Closed):
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


class LinkageSchema(_Open):
    """A linkage schema. See the module's text."""

    version: Annotated[Literal[3], BeforeValidator(_whole)]
    config: Annotated[ClkConfig, Field(alias="clkConfig")]
    features: Annotated[list[AnyFeature], Field(min_length=1, max_length=1000)]

    @property
    def bits(self) -> int:
        """Bits of one encoding."""
        return self.config.l

    @property
    def filter_bits(self) -> int:
        """Bits of a filter before it is folded."""
        return self.config.l << self.config.xor_folds

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The columns, in order."""
        return tuple(feature.identifier for feature in self.features)

    @cached_property
    def encoded(self) -> dict[int, Feature]:
        """The features that are encoded, by column."""
        return {
            column: feature
            for column, feature in enumerate(self.features)
            if isinstance(feature, Feature) and not feature.ignored
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the schema may not expect of clkhash."""
        read, documented = self.config.xor_folds, self.config.documented_folds
        found = [f"{place} is ignored" for place in _unread(self, ())]
        if read != documented:
            found.append(
                f"clkConfig: clkhash reads xor_folds ({read}), not the documented xorFolds"
                f" ({documented}); filters are folded {read} times"
            )
        if not self.encoded:
            found.append("features: all are ignored, so every encoding is empty")
        return tuple(found)

    def as_documented(self) -> LinkageSchema:
        """The schema folded by `xorFolds`, which clkhash 0.18 does not read.

        Raises:
            ManifestError: it cannot be encoded so.
        """
        document = self.model_dump(by_alias=True, exclude_unset=True)
        document["clkConfig"]["xor_folds"] = self.config.documented_folds
        return parse_linkage_schema(document)

    @model_validator(mode="after")
    def _can_be_encoded(self) -> LinkageSchema:
        kdf, bits = self.config.kdf, self.filter_bits
        if bits > MAX_FILTER_BITS:
            raise ValueError(f"filters are longer than {MAX_FILTER_BITS} bits before folding")
        if len(self.features) * KEYS_PER_FEATURE * kdf.key_size > (
            _HKDF_BLOCKS * _DIGEST_BYTES[kdf.hash]
        ):
            raise ValueError(
                f"{len(self.features)} features with keys of {kdf.key_size} bytes are more than"
                f" HKDF with {kdf.hash} can give"
            )
        for column, feature in self.encoded.items():
            for problem in _unfit(feature, kdf, bits):
                raise ValueError(f"features.{column}.{problem}")
        return self


def _unfit(feature: Feature, kdf: Kdf, bits: int) -> Iterator[str]:
    """What clkhash accepts in a feature, and fails on when it is not ignored."""
    form, comparison, how = feature.format, feature.hashing.comparison, feature.hashing.hash
    if isinstance(form, TextFormat) and form.pattern is not None:
        try:
            re.compile(form.pattern)
        except (re.error, RecursionError, OverflowError):
            yield "format.pattern: is not a regular expression that Python knows"
    if isinstance(comparison, Numeric) and not comparison.interval:
        yield (
            "hashing.comparison: thresholdDistance and fractional_precision do not fit each other"
        )
    if isinstance(how, DoubleHash):
        if how.prevent_singularity and bits == 1:
            yield "hashing.hash: prevent_singularity has no end with 1 bit"
        return
    if "prevent_singularity" in (how.model_extra or {}):
        yield "hashing.hash: prevent_singularity is for doubleHash"
    if bits & (bits - 1):
        yield "hashing.hash: blakeHash needs filters of a power of two bits"
    if kdf.key_size > _BLAKE2B_KEY_BYTES:
        yield "hashing.hash: blakeHash takes keys of at most 64 bytes"


def _unread(value: Any, place: tuple[str | int, ...]) -> Iterator[str]:
    """Settings that nothing reads, by place."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _unread(item, (*place, number))
    if not isinstance(value, BaseModel):
        return
    for name in value.model_extra or {}:
        yield ".".join(map(str, (*place, name)))
    for name, field in type(value).model_fields.items():
        yield from _unread(getattr(value, name), (*place, field.alias or name))


def parse_linkage_schema(
    data: bytes | Mapping[str, Any], *, source: str = "linkage schema"
) -> LinkageSchema:
    """Read a linkage schema of version 3.

    Args:
        data: UTF-8 JSON, at most 1 MiB, or the object it holds.
        source: how messages name it.

    Raises:
        ManifestError: not such a schema; names every place.
    """
    document = _loaded(data, source) if isinstance(data, bytes) else data
    if isinstance(document, Mapping) and document.get("version") in (1, 2):
        raise ManifestError(
            f"{source}: version: only version 3 is read",
            remedy="Convert it with clkhash.schema.convert_to_latest_version",
        )
    try:
        return LinkageSchema.model_validate(document)
    except ValidationError as error:
        raise ManifestError(_explain(source, error, document)) from None


def _loaded(data: bytes, source: str) -> Any:
    if len(data) > MAX_SCHEMA_BYTES:
        raise ManifestError(f"{source} is larger than {MAX_SCHEMA_BYTES} bytes")
    try:
        return json.loads(data, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ManifestError(f"{source} is not valid JSON: {place}: {error.msg}") from None
    except _TwiceError as error:
        raise ManifestError(f"{source}: setting {error} is given twice in one object") from None
    except (ValueError, RecursionError):
        raise ManifestError(f"{source} is not valid JSON in UTF-8") from None


class _TwiceError(ValueError):
    pass


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceError(repr(name))
        found[name] = value
    return found


def _explain(source: str, error: ValidationError, document: Any) -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        place = ".".join(_place(item["loc"], document))
        text = (
            "unknown setting; remove it"
            if item["type"] == "extra_forbidden"
            else item["msg"].removeprefix("Value error, ")
        )
        lines.append(f"{source}: {place}: {text}" if place else f"{source}: {text}")
    return "\n".join(lines)


def _place(loc: tuple[str | int, ...], document: Any) -> Iterator[str]:
    """A place in the document: pydantic's, without the names of its alternatives."""
    at = document
    for depth, part in enumerate(loc):
        inside = (isinstance(at, Mapping) and part in at) or (
            isinstance(at, list) and isinstance(part, int) and part < len(at)
        )
        if inside:
            at = at[part]
        if inside or depth == len(loc) - 1:
            yield str(part)
