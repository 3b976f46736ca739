"""The manifest: everything the partners of a project agree to, as one signed document.

- Unknown settings are errors, never ignored.
- `Manifest.canonical` fills in every default, so what is signed is explicit and a later change
  of a default cannot change the meaning of a signature.
- A manifest is immutable; a change is a new version with a new fingerprint.

    manifest = parse_manifest(Path("manifest.json").read_bytes())
    manifest.fingerprint
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from linkage.agreement.canonical import canonical, fingerprint
from linkage.agreement.clk import Clk as Clk  # noqa: PLC0414 - for those who import it here
from linkage.agreement.fields import (
    MAX_KEY_FIELDS,
    MAX_VARIANTS,
    FieldType,
    IdentifierField,
    MatchKey,
    Name,
    Strict,
)
from linkage.agreement.linkage_schema import LinkageSchema
from linkage.errors import ManifestError

MAX_MANIFEST_BYTES = 1 << 20

Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Column = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Saul(Strict):
    """Keyed SimHash with XOR amplification; the default scheme.

    Attributes:
        bits: length of one encoding.
        hashes: majorities XORed into one bit (h); more hides more and matches less.
    """

    name: Literal["saul-v1"]
    bits: Literal[1024, 2048, 4096] = 2048
    hashes: Annotated[int, Field(ge=2, le=6)] = 3


Scheme = Annotated[Saul | Clk, Field(discriminator="name")]


class Matching(Strict):
    """How the hub matches.

    Attributes:
        quota: most promising rows of each other partner kept per row (q).
        threshold: links below this match probability are never released; None leaves the
            choice to the steward, starting from the hub's recommendation.
        precision: aim for an estimated precision of at least this; None for the best F1.
        pair_keyed: compare candidates field by field under pair keys, for which every agent
            answers a second round; if not, the match keys' distances are all there is.
        answer_hours: how long the hub waits for those answers before it does without them.
        answer_runs: how many runs an agent answers in one epoch; more would let a curious hub
            learn more about every row, run by run.
        dependent: groups of fields that depend on each other, such as city and postcode; a
            group counts as one piece of evidence.
        swaps: two name fields that may stand in each other's place.
    """

    quota: Annotated[int, Field(ge=1, le=32)] = 4
    threshold: Annotated[float, Field(ge=0.01, le=1.0)] | None = None
    precision: Annotated[float, Field(ge=0.5, lt=1.0)] | None = None
    pair_keyed: bool = True
    answer_hours: Annotated[int, Field(ge=1, le=2160)] = 72
    answer_runs: Annotated[int, Field(ge=1, le=1000)] = 10
    dependent: Annotated[
        tuple[Annotated[tuple[Name, ...], Field(min_length=2, max_length=8, strict=False)], ...],
        Field(max_length=8, strict=False),
    ] = ()
    swaps: Annotated[
        tuple[Annotated[tuple[Name, Name], Field(strict=False)], ...],
        Field(max_length=4, strict=False),
    ] = ()


class Transform(StrEnum):
    """What happens to a content field before it leaves the agent."""

    KEEP = "keep"
    YEAR = "year"
    MONTH = "month"
    AGE_BAND = "age_band"
    ZIP3 = "zip3"


RESERVED = frozenset({"index_id", "study_id"})
_NEEDED: dict[Transform, tuple[str, ...]] = {
    Transform.YEAR: ("year",),
    Transform.MONTH: ("year", "month"),
    Transform.AGE_BAND: ("year", "month", "day"),
}
_PROBES = (datetime(1987, 11, 23, tzinfo=UTC), datetime(2001, 2, 3, tzinfo=UTC))


def _tells(declared: str, parts: tuple[str, ...]) -> bool:
    """Whether dates written in a format give these parts back."""
    try:
        found = [datetime.strptime(probe.strftime(declared), declared) for probe in _PROBES]
    except (ValueError, re.error):
        return False
    return all(
        getattr(read, part) == getattr(probe, part)
        for read, probe in zip(found, _PROBES, strict=True)
        for part in parts
    )


class ContentField(Strict):
    """One content field a partner may send, and how it is coarsened first.

    Attributes:
        column: the partner's column; the field's own name where not given.
        values: the only codes allowed with `keep`; None allows any short code, and refuses
            free text.
        reference: for `age_band`, the date (YYYY-MM-DD) at which age is counted.
    """

    name: Name
    column: Column | None = None
    transform: Annotated[Transform, Field(strict=False)] = Transform.KEEP
    values: Annotated[tuple[Column, ...], Field(max_length=5000, strict=False)] | None = None
    date_format: Annotated[str, StringConstraints(max_length=40)] = "%Y-%m-%d"
    reference: Annotated[date, Field(strict=False)] | None = None
    description: Annotated[str, StringConstraints(max_length=1000)] = ""

    @model_validator(mode="after")
    def _reference_given(self) -> ContentField:
        if self.transform is Transform.AGE_BAND and self.reference is None:
            raise ValueError("age_band needs a reference date")
        return self

    @model_validator(mode="after")
    def _name_is_free(self) -> ContentField:
        if self.name in RESERVED:
            raise ValueError(f"{self.name!r} is a column that the release makes itself")
        return self

    @model_validator(mode="after")
    def _format_tells_enough(self) -> ContentField:
        parts = _NEEDED.get(self.transform, ())
        if parts and not _tells(self.date_format, parts):
            raise ValueError(
                f"date_format {self.date_format!r} is not a strptime format that tells"
                f" {', '.join(parts)}, which the transform {self.transform} needs"
            )
        return self


class ContentTable(Strict):
    """One table of content.

    Attributes:
        kind: which of the minimal models the rows follow.
        record_id: column that joins the rows to the partner's identifier file; it never
            leaves the agent. None means that the table is the identifier file itself.
    """

    name: Name
    kind: Literal["person", "event", "service", "site", "measure"]
    record_id: Column | None = None
    fields: Annotated[tuple[ContentField, ...], Field(min_length=1, max_length=200, strict=False)]


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


class Manifest(Strict):
    """A project's agreement. See the module's text for the invariants."""

    linkage: Literal["manifest/1"]
    project: Name
    version: Annotated[int, Field(ge=1, le=10_000)] = 1
    title: Text
    purpose: Text
    legal_basis: Text
    expires: Annotated[date, Field(strict=False)]
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 365
    partners: Annotated[tuple[Partner, ...], Field(min_length=2, max_length=64, strict=False)]
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1, max_length=16, strict=False)]
    fields: Annotated[tuple[IdentifierField, ...], Field(min_length=1, max_length=40, strict=False)]
    match_keys: Annotated[tuple[MatchKey, ...], Field(min_length=1, max_length=16, strict=False)]
    strata: Annotated[tuple[Stratum, ...], Field(max_length=4, strict=False)] = ()
    scheme: Scheme
    matching: Matching = Field(default_factory=Matching)
    max_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 10_000_000

    @cached_property
    def canonical(self) -> bytes:
        """RFC 8785 bytes with every default filled in: what is signed."""
        return canonical(self.model_dump(mode="json"))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of `canonical`, 64 hex digits."""
        return fingerprint(self.canonical)

    @property
    def linkage_schema(self) -> LinkageSchema | None:
        """The clkhash linkage schema that records are encoded by, as it is to be read."""
        return self.scheme.parsed if isinstance(self.scheme, Clk) else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader may not expect of what is written here."""
        return self.scheme.warnings if isinstance(self.scheme, Clk) else ()

    @property
    def partner_names(self) -> tuple[str, ...]:
        return tuple(partner.name for partner in self.partners)

    @property
    def originator(self) -> str:
        """The partner that makes the project secret: the first one named."""
        return self.partners[0].name

    @property
    def assembler(self) -> str:
        """The one recipient that opens parcels."""
        return next(r.name for r in self.recipients if r.role == "assembler")

    def partner(self, name: str) -> Partner:
        """The partner of that name.

        Raises:
            ManifestError: there is none.
        """
        for partner in self.partners:
            if partner.name == name:
                return partner
        raise ManifestError(
            f"the manifest of project {self.project!r} has no partner {name!r}",
            remedy=f"Its partners are {', '.join(self.partner_names)}",
        )

    def field(self, name: str) -> IdentifierField:
        return next(field for field in self.fields if field.name == name)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        _distinct("partners", [p.name for p in self.partners])
        _distinct("recipients", [r.name for r in self.recipients])
        _distinct("parties", [*self.partner_names, *(r.name for r in self.recipients)])
        _distinct("fields", [f.name for f in self.fields])
        _distinct("match_keys", [k.name for k in self.match_keys])
        if sum(r.role == "assembler" for r in self.recipients) != 1:
            raise ValueError("recipients: exactly one must have the role assembler")
        known = {f.name for f in self.fields}
        for key in self.match_keys:
            _distinct(f"match key {key.name!r}: fields", list(key.fields))
            _subset(f"match key {key.name!r}: fields", key.fields, known)
            _subset(f"match key {key.name!r}: weights", key.weights, set(key.fields))
        if self.linkage_schema is not None and isinstance(self.scheme, Clk):
            self.scheme.require_one_key(self.match_keys)
        else:
            self._check_key_lengths()
        for partner in self.partners:
            self._check_partner(partner, known)
        self._check_matching()
        _distinct("strata", [s.name for s in self.strata])
        for stratum in self.strata:
            _distinct(f"stratum {stratum.name!r}: values", list(stratum.values))
        _distinct(
            "tables of the extract (partner_table)",
            [f"{p.name}_{t.name}" for p in self.partners for t in p.content],
        )
        return self

    def _check_key_lengths(self) -> None:
        for key in self.match_keys:
            if len(key.fields) > MAX_KEY_FIELDS:
                raise ValueError(f"match key {key.name!r}: has more than {MAX_KEY_FIELDS} fields")

    def _check_matching(self) -> None:
        names = {f.name for f in self.fields}
        together = [name for group in self.matching.dependent for name in group]
        _subset("matching: dependent", together, names)
        _distinct("matching: dependent: fields", together)
        person = {f.name for f in self.fields if f.type.is_name}
        for one, other in self.matching.swaps:
            _subset("matching: swaps: fields that are names", (one, other), person)
            _distinct("matching: swaps: fields of one pair", [one, other])
        _distinct("matching: swaps", [" and ".join(sorted(pair)) for pair in self.matching.swaps])

    def _check_partner(self, partner: Partner, known: set[str]) -> None:
        where = f"partner {partner.name!r}"
        _subset(f"{where}: columns", partner.columns, known)
        names = {f.name for f in self.fields if f.type.is_name}
        whole = {f.name for f in self.fields if f.type is FieldType.FULL_NAME}
        _subset(f"{where}: full_names", partner.full_names, names - whole, what="part of a name")
        if partner.full_names and self.linkage_schema is not None:
            raise ValueError(f"{where}: full_names: a linkage schema takes cells as they stand")
        dates = {f.name for f in self.fields if f.type is FieldType.DATE_OF_BIRTH}
        _subset(f"{where}: date_formats", partner.date_formats, dates)
        _subset(f"{where}: missing_values", partner.missing_values, known)
        _subset(f"{where}: aliases", partner.aliases, known)
        _distinct(
            f"{where}: aliases: columns", [c for many in partner.aliases.values() for c in many]
        )
        if sum(map(len, partner.aliases.values())) >= MAX_VARIANTS:
            raise ValueError(f"{where}: aliases: at most {MAX_VARIANTS - 1} columns")
        _subset(f"{where}: strata", partner.strata, {s.name for s in self.strata}, what="stratum")
        _distinct(f"{where}: content tables", [t.name for t in partner.content])
        for table in partner.content:
            _distinct(f"{where}: table {table.name!r}", [f.name for f in table.fields])
            if table.record_id is not None and partner.record_id is None:
                raise ValueError(
                    f"{where}: table {table.name!r} joins by record_id, but the partner has none"
                )


def _distinct(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what}: {', '.join(map(repr, twice))} stands more than once")


def _subset(where: str, names: Any, known: set[str], *, what: str = "field") -> None:
    missing = sorted(set(names) - known)
    if missing:
        raise ValueError(
            f"{where}: {', '.join(map(repr, missing))} is not a declared {what}"
            f" (declared: {', '.join(sorted(known)) or 'none'})"
        )


def parse_manifest(data: bytes, *, source: str = "manifest") -> Manifest:
    """Read a manifest from JSON.

    Args:
        data: UTF-8 JSON, at most 1 MiB.
        source: how messages name it.

    Raises:
        ManifestError: not JSON, a duplicate or unknown setting, or a wrong value; names every
            place and what to do.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{source} is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        document = json.loads(data, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ManifestError(f"{source} is not valid JSON: {place}: {error.msg}") from None
    except (ValueError, RecursionError):
        # Not UTF-8, a number of thousands of digits, or nested without end.
        raise ManifestError(f"{source} is not valid JSON in UTF-8") from None
    except ManifestError as error:
        raise ManifestError(f"{source}: {error.message}", remedy=error.remedy) from None
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        raise ManifestError(_explain(source, error)) from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ManifestError(
                f"setting {name!r} is given twice in one object", remedy="Keep one of them"
            )
        found[name] = value
    return found


_MODELS: dict[str, type[Strict]] = {
    "partners": Partner,
    "content": ContentTable,
    "recipients": Recipient,
    "strata": Stratum,
    "fields": IdentifierField,
    "match_keys": MatchKey,
    "matching": Matching,
    "saul-v1": Saul,
    "clk-v1": Clk,
}


def _settings_at(place: Sequence[str | int]) -> list[str]:
    """The settings that an object at a place of the manifest may have."""
    names = [part for part in place if isinstance(part, str)]
    if "content" in names and names[-1] == "fields":
        return list(ContentField.model_fields)
    return list((_MODELS.get(names[-1], Manifest) if names else Manifest).model_fields)


def _explain(source: str, error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        if item["type"] == "default_factory_not_called":
            continue  # follows from another one
        place = ".".join(str(part) for part in item["loc"]) or "manifest"
        if item["type"] == "extra_forbidden":
            setting = str(item["loc"][-1])
            close = difflib.get_close_matches(setting, _settings_at(item["loc"][:-1]), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "; remove it"
            lines.append(f"{source}: {place}: unknown setting{hint}")
        else:
            texts = item["msg"].removeprefix("Value error, ").split("\n")
            lines += [f"{source}: {place}: {text}" for text in texts]
    return "\n".join(lines)
