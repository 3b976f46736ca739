"""The manifest: everything the partners of a project agree to, as one signed document.

- Unknown settings are errors, never ignored.
- `Manifest.canonical` fills in every default, so what is signed is explicit and a later change
  of a default cannot change the meaning of a signature.
- A manifest is immutable; a change is a new version with a new fingerprint.

    manifest = parse_manifest(Path("manifest.json").read_bytes())
    manifest.fingerprint
"""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from linkage.agreement.audits import AuditPolicy
from linkage.agreement.budgets import Budgets
from linkage.agreement.canonical import canonical, fingerprint
from linkage.agreement.checks import distinct, subset
from linkage.agreement.clk import Clk
from linkage.agreement.content_profiles import profile_faults
from linkage.agreement.disclosure import Disclosure
from linkage.agreement.fields import (
    MAX_KEY_FIELDS,
    MAX_VARIANTS,
    FieldType,
    IdentifierField,
    MatchKey,
    Name,
    Strict,
)
from linkage.agreement.governance import Governance, is_unwritten
from linkage.agreement.linkage_schema import LinkageSchema
from linkage.agreement.parties import Partner, Recipient, StewardKey, Stratum
from linkage.agreement.policies import PolicyTag, policy_warnings, rules_of
from linkage.agreement.safeguards import Safeguards
from linkage.agreement.scheme import Matching, Minhash, Saul, Scheme
from linkage.errors import ManifestError

__all__ = [
    "Clk",
    "Manifest",
    "Matching",
    "Minhash",
    "Partner",
    "Recipient",
    "Saul",
    "Scheme",
    "Stratum",
]

Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class Manifest(Strict):
    """A project's agreement. See the module's text for the invariants."""

    linkage: Literal["manifest/1"]
    project: Name
    version: Annotated[int, Field(ge=1, le=10_000)] = 1
    title: Text
    purpose: Text
    legal_basis: Text
    governance: Governance = Field(default_factory=Governance)
    expires: Annotated[date, Field(strict=False)]
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 365
    partners: Annotated[tuple[Partner, ...], Field(min_length=2, max_length=64, strict=False)]
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1, max_length=16, strict=False)]
    fields: Annotated[tuple[IdentifierField, ...], Field(min_length=1, max_length=40, strict=False)]
    match_keys: Annotated[tuple[MatchKey, ...], Field(min_length=1, max_length=16, strict=False)]
    strata: Annotated[tuple[Stratum, ...], Field(max_length=4, strict=False)] = ()
    scheme: Scheme
    matching: Matching = Field(default_factory=Matching)
    min_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    max_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 10_000_000
    policy_tags: Annotated[tuple[PolicyTag, ...], Field(max_length=20, strict=False)] = ()
    safeguards: Safeguards = Field(default_factory=Safeguards)
    audit: AuditPolicy = Field(default_factory=AuditPolicy)
    disclosure: Disclosure = Field(default_factory=Disclosure)
    budgets: Budgets = Field(default_factory=Budgets)
    stewards: Annotated[tuple[StewardKey, ...], Field(max_length=16, strict=False)] = ()
    two_stewards: bool = False

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
        of_scheme = self.scheme.warnings if isinstance(self.scheme, Clk) else ()
        of_content = [
            f"partner {partner.name!r}, {text}"
            for partner in self.partners
            for table in partner.content
            for text in table.warnings
        ]
        of_policies = policy_warnings(self.partners, self.policy_tags)
        duplicates = sum(not partner.unique for partner in self.partners)
        of_round = self.matching.warnings(len(self.partners), duplicates)
        return (*of_scheme, *of_round, *self.audit.warnings, *of_policies, *of_content)

    @property
    def foreseen(self) -> tuple[str, ...]:
        """What will be refused under this manifest, as far as it can be foreseen."""
        return self.audit.foreseen(self.partner_names, self.scheme.name)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The questions that nobody has answered; such a manifest is signed only on demand."""
        texts = {"What is it for?": self.purpose, "On what legal basis?": self.legal_basis}
        open_ones = tuple(question for question, text in texts.items() if is_unwritten(text))
        return (*open_ones, *self.governance.unanswered)

    @property
    def partner_names(self) -> tuple[str, ...]:
        return tuple(partner.name for partner in self.partners)

    @property
    def party_names(self) -> tuple[str, ...]:
        """Partners, then recipients."""
        return (*self.partner_names, *(recipient.name for recipient in self.recipients))

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
        distinct("partners", [p.name for p in self.partners])
        distinct("recipients", [r.name for r in self.recipients])
        distinct("parties", [*self.partner_names, *(r.name for r in self.recipients)])
        distinct("fields", [f.name for f in self.fields])
        distinct("match_keys", [k.name for k in self.match_keys])
        if self.min_rows > self.max_rows:
            raise ValueError("min_rows: must not be greater than max_rows")
        if sum(r.role == "assembler" for r in self.recipients) != 1:
            raise ValueError("recipients: exactly one must have the role assembler")
        known = {f.name for f in self.fields}
        for key in self.match_keys:
            distinct(f"match key {key.name!r}: fields", list(key.fields))
            subset(f"match key {key.name!r}: fields", key.fields, known)
            subset(f"match key {key.name!r}: weights", key.weights, set(key.fields))
        if self.linkage_schema is not None and isinstance(self.scheme, Clk):
            self.scheme.require_one_key(self.match_keys)
        else:
            self._check_key_lengths()
        for partner in self.partners:
            self._check_partner(partner, known)
        self._check_matching()
        self._check_profiles()
        self._check_policies()
        self._check_stewards()
        self._check_disclosure()
        self._check_audit()
        distinct("strata", [s.name for s in self.strata])
        for stratum in self.strata:
            distinct(f"stratum {stratum.name!r}: values", list(stratum.values))
        distinct(
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
        subset("matching: dependent", together, names)
        distinct("matching: dependent: fields", together)
        person = {f.name for f in self.fields if f.type.is_name}
        for one, other in self.matching.swaps:
            subset("matching: swaps: fields that are names", (one, other), person)
            distinct("matching: swaps: fields of one pair", [one, other])
        distinct("matching: swaps", [" and ".join(sorted(pair)) for pair in self.matching.swaps])

    def _check_profiles(self) -> None:
        kinds = {field.name: field.type for field in self.fields}
        if faults := list(profile_faults(self.partners, kinds)):
            raise ValueError("\n".join(faults))

    def _check_policies(self) -> None:
        distinct("policy_tags", [*rules_of(()), *(one.tag for one in self.policy_tags)])
        known = set(rules_of(self.policy_tags))
        for partner in self.partners:
            where = f"partner {partner.name!r}"
            for place, policies in (
                (where, partner.policies),
                *((f"{where}: table {t.name!r}", t.policies) for t in partner.content),
            ):
                tags = [policy.tag for policy in policies]
                distinct(f"{place}: policies", tags)
                subset(f"{place}: policies", tags, known, what="policy tag")

    def _check_stewards(self) -> None:
        distinct("stewards", [one.name for one in self.stewards])
        distinct("stewards: keys", [one.key for one in self.stewards])
        if self.two_stewards and len(self.stewards) < 2:
            raise ValueError(
                "two_stewards: name at least two stewards, with their keys, under stewards"
            )

    def _check_disclosure(self) -> None:
        columns = {
            f"{p.name}_{t.name}": {f.name for f in t.fields}
            for p in self.partners
            for t in p.content
        }
        columns["people"] = {*(f"in_{name}" for name in self.partner_names), "n_partners"}
        for table in self.disclosure.tables:
            where = f"disclosure: table {table.name!r}"
            subset(f"{where}: of", [table.of], set(columns), what="table of the extract")
            subset(f"{where}: by", table.by, columns[table.of], what="column")
        for one in self.disclosure.sensitive:
            of, _, column = one.partition(".")
            subset("disclosure: sensitive", [column], columns.get(of, set()), what="column")

    def _check_audit(self) -> None:
        named = [one.partner for one in self.audit.exceptions]
        distinct("audit: exceptions", [name or "every partner" for name in named])
        for_whom = [name for name in named if name is not None]
        subset("audit: exceptions", for_whom, set(self.partner_names), what="partner")

    def _check_partner(self, partner: Partner, known: set[str]) -> None:
        where = f"partner {partner.name!r}"
        subset(f"{where}: columns", partner.columns, known)
        names = {f.name for f in self.fields if f.type.is_name}
        whole = {f.name for f in self.fields if f.type is FieldType.FULL_NAME}
        subset(f"{where}: full_names", partner.full_names, names - whole, what="part of a name")
        if partner.full_names and self.linkage_schema is not None:
            raise ValueError(f"{where}: full_names: a linkage schema takes cells as they stand")
        dates = {f.name for f in self.fields if f.type is FieldType.DATE_OF_BIRTH}
        subset(f"{where}: date_formats", partner.date_formats, dates)
        subset(f"{where}: missing_values", partner.missing_values, known)
        subset(f"{where}: aliases", partner.aliases, known)
        distinct(
            f"{where}: aliases: columns", [c for many in partner.aliases.values() for c in many]
        )
        if sum(map(len, partner.aliases.values())) >= MAX_VARIANTS:
            raise ValueError(f"{where}: aliases: at most {MAX_VARIANTS - 1} columns")
        subset(f"{where}: strata", partner.strata, {s.name for s in self.strata}, what="stratum")
        distinct(f"{where}: content tables", [t.name for t in partner.content])
        for table in partner.content:
            distinct(f"{where}: table {table.name!r}", [f.name for f in table.fields])
            for field in table.fields:
                place = f"{where}: table {table.name!r}: field {field.name!r}: recipients"
                distinct(place, list(field.recipients or ()))
                known_ones = {r.name for r in self.recipients}
                subset(place, field.recipients or (), known_ones, what="recipient")
            if table.record_id is not None and partner.record_id is None:
                raise ValueError(
                    f"{where}: table {table.name!r} joins by record_id, but the partner has none"
                )
