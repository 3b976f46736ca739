"""Laws and rules that travel with a source: tags on partners and on tables, and what follows.

- A tag that is not one of the built-in ones is declared in the manifest, so that a misspelt one is
  an error and never ignored.
- A tag of a partner holds for its identifier file and for every table of it.
- What follows from a tag is shown to those who sign, as text; what can be checked is a warning.
  A warning is no legal advice: the absence of one does not make anything lawful.

Sources: 45 CFR 164.506-514 (HIPAA Privacy Rule), 42 CFR Part 2 as amended in 2024 (substance use
disorder records), 34 CFR 99.30-36 (FERPA), the FBI's CJIS Security Policy and 28 CFR Part 20.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

from linkage.agreement.fields import Name, Strict

if TYPE_CHECKING:
    from linkage.agreement.content import ContentTable
    from linkage.agreement.parties import Partner

Tag = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9.-]{1,39}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=500)]

CONSENT = "consent"
DE_IDENTIFIED = "de-identified"


@dataclass(frozen=True)
class Rule:
    """A built-in tag.

    Attributes:
        title: the law's name.
        follows: what it asks of those who take part, one sentence each.
        bases: the grounds it knows, and where they stand.
    """

    title: str
    follows: tuple[str, ...]
    bases: dict[str, str]


RULES: dict[str, Rule] = {
    "HIPAA": Rule(
        "HIPAA Privacy Rule, 45 CFR Parts 160 and 164",
        (
            "No more than the minimum necessary may be used or disclosed.",
            "Disclosures without authorization are to be accounted for on request.",
        ),
        {
            "authorization": "45 CFR 164.508",
            "waiver": "45 CFR 164.512(i), by a privacy board or an IRB",
            "limited-data-set": "45 CFR 164.514(e), with a data use agreement",
            DE_IDENTIFIED: "45 CFR 164.514(a)-(b)",
            "public-health": "45 CFR 164.512(b)",
            "health-oversight": "45 CFR 164.512(d)",
            "required-by-law": "45 CFR 164.512(a)",
            "operations": "45 CFR 164.506",
        },
    ),
    "42-CFR-PART-2": Rule(
        "Confidentiality of substance use disorder patient records, 42 CFR Part 2",
        (
            "Disclosure needs the patient's consent or one of the exceptions of the rule.",
            "Whoever receives it may not use it against the patient.",
            "The notice of 42 CFR 2.32 goes with it.",
        ),
        {
            CONSENT: "42 CFR 2.31 and 2.33",
            "research": "42 CFR 2.52",
            "audit-evaluation": "42 CFR 2.53",
            "public-health-de-identified": "42 CFR 2.54",
            "medical-emergency": "42 CFR 2.51",
            "court-order": "42 CFR 2.61 to 2.67",
        },
    ),
    "FERPA": Rule(
        "Family Educational Rights and Privacy Act, 34 CFR Part 99",
        (
            "It is used for the stated purpose only, and destroyed when that is done.",
            "The school keeps a record of the disclosure.",
        ),
        {
            CONSENT: "34 CFR 99.30",
            "studies": "34 CFR 99.31(a)(6), with a written agreement",
            "audit-evaluation": "34 CFR 99.31(a)(3) and 99.35",
            "school-official": "34 CFR 99.31(a)(1)",
            DE_IDENTIFIED: "34 CFR 99.31(b)",
            "health-safety-emergency": "34 CFR 99.36",
        },
    ),
    "CJIS": Rule(
        "Criminal justice information, FBI CJIS Security Policy and 28 CFR Part 20",
        (
            "Only people who are authorised and screened may see it in clear.",
            "It is encrypted in transit and at rest.",
            "A dissemination outside the criminal justice agency is logged there.",
        ),
        {
            "criminal-justice": "28 CFR 20.33(a)(1), between criminal justice agencies",
            "management-control-agreement": "CJIS Security Policy, management control agreement",
            "research": "28 CFR 20.21(b)(4) and Part 22, with a research agreement",
            "state-law": "28 CFR 20.21(b)(2), a statute or an order of the state",
        },
    ),
}


class Policy(Strict):
    """A law or rule that a source is under, and on what ground it may be shared all the same.

    Attributes:
        tag: `HIPAA`, `42-CFR-PART-2`, `FERPA`, `CJIS`, or one declared in `policy_tags`.
        basis: the ground, such as `consent` or `research`; the rendering names those that a
            built-in tag knows.
        citation: the document or provision it stands in, for people.
    """

    tag: Tag
    basis: Name | None = None
    citation: Annotated[str, StringConstraints(max_length=500)] = ""


class PolicyTag(Strict):
    """A tag of the partners' own, such as a state's law.

    Attributes:
        tag: capital letters, digits, `.` and `-`.
        title: the law's or rule's name.
        follows: what it asks of those who take part, a sentence each.
        bases: the grounds it knows; where none is given, any is taken.
    """

    tag: Tag
    title: Line
    follows: Annotated[tuple[Line, ...], Field(max_length=10, strict=False)] = ()
    bases: Annotated[tuple[Name, ...], Field(max_length=20, strict=False)] = ()


Policies = Annotated[tuple[Policy, ...], Field(max_length=20, strict=False)]


def rules_of(declared: Iterable[PolicyTag]) -> dict[str, Rule]:
    """Every tag that may stand in a manifest."""
    own = {
        one.tag: Rule(one.title, tuple(one.follows), dict.fromkeys(one.bases, ""))
        for one in declared
    }
    return {**RULES, **own}


def policies_of(partner: Partner, table: ContentTable | None = None) -> tuple[Policy, ...]:
    """What a partner's file is under, or one of its tables: its own tags, then the partner's
    where it does not say otherwise.
    """
    own = table.policies if table is not None else ()
    said = {policy.tag for policy in own}
    return (*own, *(policy for policy in partner.policies if policy.tag not in said))


def policy_warnings(partners: Iterable[Partner], declared: Iterable[PolicyTag]) -> tuple[str, ...]:
    """What does not fit between tags, grounds and content, in words."""
    rules = rules_of(declared)
    found: list[str] = []
    for partner in partners:
        found += _ground_warnings(f"partner {partner.name!r}", partner.policies, rules)
        for table in partner.content:
            where = f"partner {partner.name!r}, table {table.name!r}"
            found += _ground_warnings(where, table.policies, rules)
            found += _content_warnings(where, partner, table)
    return tuple(found)


def _ground_warnings(
    where: str, policies: Iterable[Policy], rules: dict[str, Rule]
) -> Iterator[str]:
    for policy in policies:
        rule = rules[policy.tag]
        known = ", ".join(rule.bases)
        needs = "it needs consent or an exception" if CONSENT in rule.bases else "it needs a basis"
        if policy.basis is None:
            yield f"{where}: {policy.tag} without a legal basis; {needs}" + (
                f": {known}" if known else ""
            )
        elif rule.bases and policy.basis not in rule.bases:
            yield (
                f"{where}: {policy.tag} knows no basis {policy.basis!r}; {needs} (it knows {known})"
            )


def _content_warnings(where: str, partner: Partner, table: ContentTable) -> Iterator[str]:
    for policy in policies_of(partner, table):
        if policy.tag == "HIPAA" and policy.basis == DE_IDENTIFIED:
            months = [f.name for f in table.fields if f.transform == "month"]
            if months:
                yield (
                    f"{where}: HIPAA on the basis {DE_IDENTIFIED!r}, but {', '.join(months)} keeps"
                    " months; Safe Harbor (45 CFR 164.514(b)(2)) allows years only"
                )
