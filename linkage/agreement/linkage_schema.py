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
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from linkage.agreement.linkage_features import (
    AnyFeature,
    DoubleHash,
    Feature,
    Numeric,
    Open,
    TextFormat,
    whole,
)
from linkage.errors import ManifestError

MAX_SCHEMA_BYTES = 1 << 20
MAX_FILTER_BITS = 1 << 20
KEYS_PER_FEATURE = 2
_HKDF_BLOCKS = 255  # RFC 5869, section 2.3
_DIGEST_BYTES = {"SHA256": 32, "SHA512": 64}
_BLAKE2B_KEY_BYTES = 64


class Kdf(Open):
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


class ClkConfig(Open):
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


class LinkageSchema(Open):
    """A linkage schema. See the module's text."""

    version: Annotated[Literal[3], BeforeValidator(whole)]
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
                f" ({documented}), and folds its filters {read} times"
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
    try:
        return read_linkage_schema(document)
    except ValueError as error:
        lines = str(error).split("\n")
        raise ManifestError("\n".join(f"{source}: {line}" for line in lines)) from None


def read_linkage_schema(document: Any) -> LinkageSchema:
    """A linkage schema from the object it is as JSON.

    Raises:
        ValueError: not such a schema; one line for every place.
    """
    if isinstance(document, Mapping) and document.get("version") in (1, 2):
        raise ValueError(
            "version: only version 3 is read; convert the schema with"
            " clkhash.schema.convert_to_latest_version"
        )
    try:
        return LinkageSchema.model_validate(document)
    except ValidationError as error:
        raise ValueError("\n".join(_explain(error, document))) from None


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


def _explain(error: ValidationError, document: Any) -> Iterator[str]:
    for item in error.errors(include_url=False, include_input=False):
        place = ".".join(_place(item["loc"], document))
        text = (
            "unknown setting; remove it"
            if item["type"] == "extra_forbidden"
            else item["msg"].removeprefix("Value error, ")
        )
        yield f"{place}: {text}" if place else text


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
