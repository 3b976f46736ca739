"""The scheme `clk-v1` as a manifest declares it, with or without a clkhash linkage schema.

- The schema stays the object that was given: the canonical form holds its content and nothing
  else. How it is read is `parsed`.
- What partners sign must be unambiguous: a schema that cannot be written as canonical JSON, names
  one feature twice, or does not fit the fields of the one match key is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from linkage.agreement.canonical import unsignable
from linkage.agreement.fields import MatchKey, Name, Strict
from linkage.agreement.linkage_schema import LinkageSchema, read_linkage_schema
from linkage.errors import ManifestError

MAX_BITS = 4096
WORD_BITS = 64
_OWN_BITS = (512, 1024, 2048, 4096)
_OWN_HASHES = 10


def _bits(said: dict[str, Any]) -> int:
    schema = said.get("linkage_schema")
    return 1024 if schema is None else read_linkage_schema(schema).bits


def _hashes(said: dict[str, Any]) -> int:
    return _OWN_HASHES if said.get("linkage_schema") is None else 0


class Clk(Strict):
    """Keyed Bloom filters (cryptographic long-term keys), for interoperability only.

    Attributes:
        linkage_schema: a clkhash linkage schema of version 3, as it is. Each record then has one
            filter, bit for bit clkhash's, and the manifest has one match key, whose fields are
            the features that the schema does not ignore. Without a schema every match key has a
            filter of its own, made from its fields as their types say.
        features: the identifier of the feature that a field is, where it is not the field's name.
        folds: a linkage schema is folded as often as its `xor_folds` say, which `clkhash` reads,
            or its `xorFolds`, which are `documented`.
        bits: length of one filter; by default 1024, or `l` of the linkage schema.
        hashes: bits set per token; by default 10, and 0 with a linkage schema, which says it for
            each feature.
        risk_acknowledged: the partners know that published attacks re-identify such
            encodings (ACSAC 2024); without it the manifest is refused.
    """

    name: Literal["clk-v1"]
    linkage_schema: dict[str, Any] | None = None
    features: dict[Name, str] = Field(default_factory=dict)
    folds: Literal["clkhash", "documented"] = "clkhash"
    bits: Annotated[int, Field(ge=64, le=4096)] = Field(default_factory=_bits)
    hashes: Annotated[int, Field(ge=0, le=64)] = Field(default_factory=_hashes)
    risk_acknowledged: bool = False

    @cached_property
    def parsed(self) -> LinkageSchema | None:
        """The linkage schema, to be folded as `folds` says."""
        if self.linkage_schema is None:
            return None
        schema = read_linkage_schema(self.linkage_schema)
        return schema if self.folds == "clkhash" else schema.as_documented()

    def feature_of(self, field: str) -> str:
        """The identifier of the feature that a field is."""
        return self.features.get(field, field)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a partner may not expect of the linkage schema."""
        if self.linkage_schema is None:
            return ()
        schema = read_linkage_schema(self.linkage_schema)
        found = [f"linkage schema: {text}" for text in schema.warnings]
        if self.folds == "documented" and schema.config.documented_folds != schema.config.xor_folds:
            found.append("folds is documented: the filters are not those that clkhash makes")
        return tuple(found)

    def require_one_key(self, keys: Sequence[MatchKey]) -> None:
        """Check that there is one match key, whose fields are the schema's encoded features.

        Raises:
            ValueError: it is not so.
        """
        if len(keys) != 1:
            raise ValueError(
                "match_keys: a linkage schema gives one filter per record; name one match key,"
                " with the fields that the schema's features are"
            )
        (key,) = keys
        if set(key.weights.values()) - {1}:
            raise ValueError(
                f"match key {key.name!r}: weights: the linkage schema says what a feature counts"
            )
        if idle := sorted(set(self.features) - set(key.fields)):
            raise ValueError(
                f"scheme: features: {', '.join(map(repr, idle))} is not a field of match key"
                f" {key.name!r}"
            )
        wanted = [] if self.parsed is None else [f.identifier for f in self.parsed.encoded.values()]
        named = [self.feature_of(field) for field in key.fields]
        if unknown := [f for f in key.fields if self.feature_of(f) not in wanted]:
            raise ValueError(
                f"match key {key.name!r}: {', '.join(map(repr, unknown))} is no feature that the"
                f" linkage schema encodes ({', '.join(map(repr, wanted)) or 'it encodes none'});"
                " say under scheme, features which one it is"
            )
        if lacking := [identifier for identifier in wanted if identifier not in named]:
            raise ValueError(
                f"match key {key.name!r}: no field is the linkage schema's feature"
                f" {', '.join(map(repr, lacking))}"
            )
        if len(set(named)) < len(named):
            raise ValueError(f"match key {key.name!r}: two fields are the same feature")

    @field_validator("linkage_schema")
    @classmethod
    def _can_be_signed_and_stored(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is None:
            return None
        if problem := unsignable(value):
            raise ValueError(problem)
        schema = read_linkage_schema(value)
        if not schema.encoded:
            raise ValueError("features: all are ignored, so nothing would be encoded")
        identifiers = [feature.identifier for feature in schema.encoded.values()]
        if twice := sorted({i for i in identifiers if identifiers.count(i) > 1}):
            raise ValueError(f"features: {', '.join(map(repr, twice))} is encoded more than once")
        if schema.bits % WORD_BITS or schema.bits > MAX_BITS:
            raise ValueError(
                f"clkConfig.l: is {schema.bits}, but the hub compares filters of a multiple of"
                f" {WORD_BITS} bits, at most {MAX_BITS}. Agree on such a length, as 1024, and make"
                " the filters anew: those of another length cannot be converted"
            )
        return value

    @model_validator(mode="after")
    def _acknowledged(self) -> Clk:
        if not self.risk_acknowledged:
            raise ValueError(
                "clk-v1 can be re-identified by published attacks; set risk_acknowledged to "
                "true to use it all the same, or use saul-v1"
            )
        return self

    @model_validator(mode="after")
    def _settings_fit_the_schema(self) -> Clk:
        try:
            schema = self.parsed
        except ManifestError as error:
            raise ValueError(f"folds: {error.message}") from None
        if schema is None:
            if self.bits not in _OWN_BITS:
                raise ValueError(f"bits: is none of {', '.join(map(str, _OWN_BITS))}")
            if not self.hashes:
                raise ValueError("hashes: is 0, so nothing would be encoded")
            if self.features or self.folds != "clkhash":
                raise ValueError("features and folds are for a linkage_schema, which is not given")
        else:
            if self.bits != schema.bits:
                raise ValueError(
                    f"bits: is {self.bits}, where l of the linkage schema is {schema.bits}; leave"
                    " it out"
                )
            if self.hashes:
                raise ValueError("hashes: the linkage schema says it by feature; leave it out")
        return self
