"""What a partner's risk audit must show, and what it says of it in the header that it signs.

- The policy stands in the manifest, so every partner signs its bounds and its exceptions. Nobody is
  excepted in any other way.
- A summary holds counts, bounds and names of attacks: no value, no row, no match key.
- Refusal rests on evidence: the lower bound of what an attack finds is above the policy's. That
  nobody was found proves little among few people, which is told and not refused, unless the policy
  is strict. A control that withstands proves that the audit is worth nothing, and refuses. See
  ADR 34.

    policy.require("sheriff", summary)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from linkage.agreement.fields import Name, Strict
from linkage.errors import InputError, RiskError

CONTROL_FLOOR = 0.95
"""An audit that breaks plain Bloom filters less often than this was too weak."""
BROKEN_SCHEMES = ("saul-v1", "clk-v1")
"""Schemes that known attacks break whatever the file is, once it has enough records (ADR 31)."""
_SURELY = 0.5
"""Of the people, whom these attacks name in any file; bounds above it may be kept."""

Kind = Literal["unknown", "known", "active"]
"""Of attackers: who know no pair, who know some, and a hub that departs from the protocol."""
KINDS: tuple[Kind, ...] = get_args(Kind)

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Rows = Annotated[int, Field(ge=0, le=100_000_000)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500)]
AttackName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9 ,()+-]{0,59}$")]
ToolVersion = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+-]{1,40}$")]
_NAME: TypeAdapter[str] = TypeAdapter(Name)


class Verdict(StrEnum):
    """What an audit shows of a file's encodings.

    `passed`: every match key was attacked, and every attack's upper bound keeps the policy.
    `not-shown`: some match key was not, or some attack's bound does not, and no attack is shown to
    break it. `too-few`: fewer distinct records than attacks say anything of.
    `too-weak`: the control withstood or had too few people, so that nothing is proven. `broken`:
    an attack finds more people than the policy allows, or the commonest value of a match key
    repeats more often, beyond chance. `untried`: filters that another program made, of a kind that
    published attacks break, and that were not attacked here.
    """

    PASSED = "passed"
    NOT_SHOWN = "not-shown"
    TOO_FEW = "too-few"
    TOO_WEAK = "too-weak"
    BROKEN = "broken"
    UNTRIED = "untried"


class Bounds(Strict):
    """Of the attack that found most: bounds of the share of people it re-identifies.

    Attributes:
        lower: one-sided at 95% over all attacks together (Bonferroni; Clopper and Pearson).
        upper: one-sided at 95% for each attack by itself.
    """

    lower: Share
    upper: Share

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if self.lower > self.upper:
            raise ValueError("the lower bound is above the upper one")
        return self


class AuditSummary(Strict):
    """What a partner says of its audit, in the signed header of its encodings.

    Attributes:
        tool: the version of `linkage` that attacked.
        verdict: what follows from the figures under the manifest's policy.
        rows: distinct records that the largest attack was made on.
        whole: whether all records of the file were read, and not a sample.
        skipped: match keys that were not attacked, as too few distinct records have them; all
            taken together count as one more.
        commonest: share of the records that are proven to bear the commonest encoding of a match
            key, of the one of which that is largest; None where fewer than 500 have any.
        control: share of people that the control attack found; None where it was not made, as it
            is not once an attack has broken the policy, nor of few people.
        attacks: which were made.
        unknown: bounds of those that know no pair; None where none was made.
        known: of those that know some.
        active: of those in which the hub departs from the protocol.
    """

    tool: ToolVersion
    verdict: Annotated[Verdict, Field(strict=False)]
    rows: Rows
    whole: bool
    skipped: Annotated[int, Field(ge=0, le=1_000)]
    commonest: Share | None = None
    control: Share | None = None
    attacks: Annotated[tuple[AttackName, ...], Field(max_length=40, strict=False)] = ()
    unknown: Bounds | None = None
    known: Bounds | None = None
    active: Bounds | None = None

    @property
    def withstood(self) -> bool:
        """Whether the control was made and did not fall: the attacks are too weak to go by."""
        return self.verdict is Verdict.TOO_WEAK and self.control is not None

    @property
    def found(self) -> dict[Kind, Bounds | None]:
        """Bounds by kind of attacker."""
        return {"unknown": self.unknown, "known": self.known, "active": self.active}


def read_summaries(shown: Iterable[tuple[str, bytes]]) -> dict[str, dict[str, Any]]:
    """What a hub shows of audits, by partner: each summary's fields as JSON has them.

    Args:
        shown: partner's name and its summary as JSON, as the hub sent them.

    Raises:
        InputError: something else than names and summaries.
    """
    found = {}
    for partner, summary in shown:
        try:
            _NAME.validate_python(partner)
            said = AuditSummary.model_validate_json(summary)
        except ValidationError:
            raise InputError(
                f"the hub shows an audit of {partner[:63]!r} that cannot be read here",
                remedy="Use the version of linkage that the hub runs; if it is the same, tell the"
                " steward: the hub departs from the protocol",
            ) from None
        found[partner] = said.model_dump(mode="json")
    return found


class AuditException(Strict):
    """A partner whose encodings may leave although its audit fails.

    Attributes:
        partner: whose; without one, every partner's.
        reason: why all partners accept it.
    """

    partner: Name | None = None
    reason: Reason


class AuditPolicy(Strict):
    """What a risk audit of each partner's encodings must show before they leave.

    Attributes:
        unknown: largest share of people that an attacker without known pairs may re-identify.
        known: the same, where the attacker knows some of the people's encodings.
        active: the same, of a hub that departs from the protocol and chooses whom it asks to be
            compared; 1 tells of it and refuses nothing, as what protects from that is not the
            scheme of encodings but that answers say little of two strangers and are few.
        commonest: largest share of records that may have the commonest value of a match key, as
            equal values have equal encodings whatever the scheme, and tell by their number whose
            they are.
        strict: refuse also what is merely not shown: too few records, too few people for a
            control, an upper bound above the policy.
        exceptions: whose encodings may leave all the same, and why.
    """

    unknown: Share = 0.005
    known: Share = 0.03
    active: Share = 1.0
    commonest: Share = 0.001
    strict: bool = False
    exceptions: Annotated[tuple[AuditException, ...], Field(max_length=64, strict=False)] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader may not expect: bounds above the default ones, and who is excepted."""
        fields = type(self).model_fields
        looser = [
            f"audit: encodings may leave although attackers who {who} re-identify up to"
            f" {limit:.3g} of the people; by default it is {fields[kind].default:.3g}"
            for kind, limit, who in (
                ("unknown", self.unknown, "know no pair"),
                ("known", self.known, "know some pairs"),
            )
            if limit > fields[kind].default
        ]
        if self.commonest > fields["commonest"].default:
            looser.append(
                "audit: encodings may leave although up to"
                f" {self.commonest:.3g} of the records share the commonest value of a match key; by"
                f" default it is {fields['commonest'].default:.3g}"
            )
        excepted = [
            f"audit: encodings of {one.partner or 'every partner'} may leave although attacks"
            f" re-identify more people than the bounds allow: {one.reason}"
            for one in self.exceptions
        ]
        return (*looser, *excepted)

    def foreseen(self, partners: Sequence[str], scheme: str) -> tuple[str, ...]:
        """What will happen at submit, as far as scheme and bounds tell."""
        held = [name for name in partners if self.exception_of(name) is None]
        # Plain filters fall to attackers who know no pair, too.
        limit = min(self.unknown, self.known) if scheme == "clk-v1" else self.known
        if scheme not in BROKEN_SCHEMES or limit >= _SURELY or not held:
            return ()
        text = (
            f"audit: attacks that know a tenth of the people name nearly all others under {scheme};"
            f" submit refuses files of 500 distinct records or more of {', '.join(held)}. Take"
            " minhash-v1, or write an exception under audit"
        )
        return (text,)

    def exception_of(self, partner: str) -> AuditException | None:
        """The exception that covers a partner, if there is one."""
        own = [one for one in self.exceptions if one.partner == partner]
        every = [one for one in self.exceptions if one.partner is None]
        return next(iter([*own, *every]), None)

    def limit(self, kind: Kind) -> float:
        """The largest share that attackers of a kind may re-identify."""
        return {"unknown": self.unknown, "known": self.known, "active": self.active}[kind]

    def verdict(
        self,
        found: Mapping[Kind, Bounds | None],
        control: float | None,
        skipped: int,
        commonest: float | None,
    ) -> Verdict:
        """What figures show under this policy: bounds by kind of attacker, and a summary's rest."""
        if commonest is not None and commonest > self.commonest:
            return Verdict.BROKEN
        held = [(bounds, self.limit(kind)) for kind, bounds in found.items() if bounds is not None]
        if not held:
            return Verdict.TOO_FEW
        if any(bounds.lower > limit for bounds, limit in held):
            return Verdict.BROKEN
        if control is None or control < CONTROL_FLOOR:
            return Verdict.TOO_WEAK
        if skipped or any(bounds.upper > limit for bounds, limit in held):
            return Verdict.NOT_SHOWN
        return Verdict.PASSED

    def refuses(self, said: AuditSummary) -> bool:
        """Whether a partner without an exception may not send what was found to be so."""
        if said.verdict in (Verdict.BROKEN, Verdict.UNTRIED) or said.withstood:
            return True
        return self.strict and said.verdict is not Verdict.PASSED

    def require(self, partner: str, summary: AuditSummary, *, detail: str = "") -> None:
        """Refuse encodings that the policy does not cover.

        Args:
            detail: more for people; without any value.

        Raises:
            RiskError: the audit fails, and no exception covers the partner.
        """
        if not self.refuses(summary) or self.exception_of(partner) is not None:
            return
        if summary.withstood:
            raise RiskError(
                f"the risk audit of {partner!r}: harness too weak: {summary.control:.1%} of the"
                " control were found, plain Bloom filters that are known to be broken, so that"
                f" nothing is proven{detail}",
                remedy="Audit the whole file with linkage agent audit FILE --project PROJECT, by"
                " which submit goes then. If the control withstands again, the fault is"
                " linkage's: tell those who gave it to you, or have an exception written into the"
                " manifest, under audit, which every partner then signs",
            )
        raise RiskError(
            f"the risk audit of {partner!r}: {SAID[summary.verdict]}{detail}",
            remedy="Change the scheme, the match keys or, where it is the round, matching (a"
            " smaller quota, or pair_keyed: false), or have an exception written into the manifest,"
            " under audit, which every partner then signs",
        )


SAID = {
    Verdict.PASSED: "passed",
    Verdict.NOT_SHOWN: "not shown to keep the policy, nor to break it",
    Verdict.TOO_FEW: "too few distinct records to tell",
    Verdict.TOO_WEAK: "the control withstood or had too few people, so that nothing is proven",
    Verdict.BROKEN: "an attack re-identifies more people, or a match key's commonest value repeats"
    " more often, than the manifest's policy allows",
    Verdict.UNTRIED: "filters made elsewhere, not attacked here; published attacks break them",
}
"""Each verdict in words."""
