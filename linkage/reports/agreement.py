"""A manifest in plain language, for those who sign it: counsel, privacy officers, agency heads.

- Everything that is signed is said: first in sentences, at the end setting by setting with every
  default filled in, then the fingerprint that stands for all of it.
- What is not answered, or does not fit together, comes first.
- The same manifest gives the same bytes; text and web page are made of the same sections.

    agreement_text(manifest)
    agreement_page(manifest)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from linkage.agreement import Clk, ContentTable, Manifest, Partner
from linkage.agreement.governance import QUESTIONS, is_unwritten
from linkage.agreement.policies import policies_of, rules_of
from linkage.agreement.safeguards import PartnerReport
from linkage.reports.contents import content_tables
from linkage.reports.html import DataTable, Paragraph, Section, page
from linkage.reports.settings import bounds, settings, signed
from linkage.reports.text import as_text
from linkage.reports.visible import visible, visible_section

NOT_ANSWERED = "NOT ANSWERED"

_REPORTS = {
    PartnerReport.NONE: "nothing of how well a run went",
    PartnerReport.SUMMARY: "for each pair of partners how many links a proposed release holds, and"
    " how many of them are estimated to be right; no score and no other threshold",
    PartnerReport.FULL: "the whole quality report, with the distribution of match weights; a"
    " partner that sends a made-up file can read scores from it",
}


def agreement_page(manifest: Manifest) -> str:
    """The manifest as a self-contained web page."""
    return page(_title(manifest), agreement_sections(manifest), subtitle=_subtitle(manifest))


def agreement_text(manifest: Manifest) -> str:
    """The manifest as plain text, in lines of at most 88 characters where words allow that."""
    return as_text(_title(manifest), agreement_sections(manifest), subtitle=_subtitle(manifest))


def agreement_sections(manifest: Manifest) -> list[Section]:
    """Everything that is said about a manifest, in order."""
    return [visible_section(section) for section in _sections(manifest)]


def _sections(manifest: Manifest) -> list[Section]:
    sections = [
        Section("What and why", _why(manifest)),
        Section("Four questions", _questions(manifest)),
        Section("Who takes part", _who(manifest)),
        Section("For how long", _how_long(manifest)),
        Section("What leaves each agency", list(_leaves(manifest))),
        Section("What each party sees", [_sees(manifest)]),
        Section("Laws and rules", list(_laws(manifest))),
        Section("How records are matched", _matching(manifest)),
        Section("Bounds and budgets", bounds(manifest)),
        Section("Every setting", [settings(manifest)]),
        Section("What is signed", signed(manifest)),
    ]
    alarms = _alarms(manifest)
    return [Section("Read this first", alarms), *sections] if alarms else sections


def _title(manifest: Manifest) -> str:
    return visible(manifest.title).replace("\n", " ")


def _subtitle(manifest: Manifest) -> str:
    return (
        f"Agreement of project {manifest.project}, version {manifest.version},"
        f" in force until {manifest.expires}"
    )


def _alarms(manifest: Manifest) -> list[Paragraph]:
    found = []
    if manifest.unanswered:
        text = f"{NOT_ANSWERED}: {' '.join(manifest.unanswered)}"
        found.append(Paragraph(text, warning=True))
    found += [Paragraph(text, warning=True) for text in (*manifest.warnings, *manifest.foreseen)]
    return found


def _why(manifest: Manifest) -> list[Paragraph | DataTable]:
    names = _joined([_called(p.name, p.title) for p in manifest.partners])
    return [
        Paragraph(
            f"{names} find out which of their records are about the same person, without showing"
            " each other, or anybody else, names, birth dates, addresses or numbers. Then each"
            " contributes the content listed here, and nothing else, under random numbers."
        ),
        DataTable(
            "Purpose and legal basis",
            ("", ""),
            [("Purpose", manifest.purpose), ("Legal basis", manifest.legal_basis)],
        ),
    ]


def _questions(manifest: Manifest) -> list[Paragraph | DataTable]:
    governance = manifest.governance
    rows = [
        (question, _or_not_answered(getattr(governance, setting)))
        for setting, question in QUESTIONS.items()
    ]
    deciders = _joined(list(governance.deciders)) or "nobody is named"
    return [
        DataTable("Questions and answers", ("Question", "Answer"), rows),
        _says(f"Decided by: {deciders}."),
    ]


def _who(manifest: Manifest) -> list[Paragraph | DataTable]:
    partners = [
        (
            p.name,
            p.title,
            ", ".join(policy.tag for policy in p.policies) or "none named",
            "each person once" if p.unique else "a person may stand in several rows",
        )
        for p in manifest.partners
    ]
    recipients = [
        (
            r.name,
            r.title,
            "joins the content and makes the extract"
            if r.role == "assembler"
            else "reads the extract",
        )
        for r in manifest.recipients
    ]
    blocks: list[Paragraph | DataTable] = [
        DataTable(
            "Partners: agencies with a file",
            ("Name", "Agency", "Laws and rules", "Its file"),
            partners,
        ),
        DataTable("Recipients", ("Name", "Organisation", "What it does"), recipients),
        _says(
            "The hub compares what the partners send and is run by a steward. It never holds names,"
            " other identifiers, content in clear, or the secret that the partners encode under."
        ),
    ]
    if manifest.stewards:
        blocks.append(
            DataTable(
                "Stewards who may confirm releases",
                ("Name", "Office", "Public key"),
                [(s.name, s.title, s.key) for s in manifest.stewards],
            )
        )
    blocks.append(
        _says(
            "A release needs two different stewards before any partner is asked to approve it."
            if manifest.two_stewards
            else "One steward alone chooses the threshold and proposes a release; every partner"
            " then approves it, or not."
        )
    )
    return blocks


def _how_long(manifest: Manifest) -> list[Paragraph]:
    days = manifest.retention_days
    return [
        _says(
            f"The last day on which anything is sent, matched or released is {manifest.expires}"
            " (UTC). What follows after that needs a new version, signed by all."
        ),
        _says(
            f"Encodings, sealed parcels and keys are kept for {days:,} days at most."
            " Nothing deletes them by itself in this version of the program: the steward does."
        ),
        _says(
            "Any change of this agreement, however small, is a new version with another"
            " fingerprint, and holds only once every partner has signed it."
        ),
    ]


def _leaves(manifest: Manifest) -> Iterator[Paragraph | DataTable]:
    identifiers = ", ".join(f.name for f in manifest.fields)
    if manifest.linkage_schema is not None:
        yield _says(
            "First: one filter per record, made from its identifiers by the linkage schema below."
            " Published attacks re-identify such filters.",
            warning=True,
        )
    else:
        yield _says(
            "First, to the hub: encodings. Sets of identifiers are turned into patterns of bits"
            " under a secret that only the partners hold. The identifiers themselves do not leave."
        )
    yield _says(f"Identifiers used: {identifiers}.")
    yield DataTable(
        "Encoded together",
        ("Match key", "Identifiers"),
        [(key.name, ", ".join(key.fields)) for key in manifest.match_keys],
    )
    if manifest.matching.pair_keyed:
        yield _says(
            f"Second, to the hub, at most {manifest.matching.answer_runs} times: for"
            f" {manifest.matching.quota} records of each other partner per record, how alike the"
            " single identifiers are, under a key that is used for that pair of records alone."
        )
    for partner in manifest.partners:
        more = _more_of(partner)
        if more:
            yield _says(f"{partner.name} also sends {_joined(more)}, under random numbers.")
    yield _says(
        "Last, sealed so that only the assembler can open it, and only after every partner has"
        " approved a release: the content below."
    )
    for partner in manifest.partners:
        if not partner.content:
            yield _says(f"{partner.name} contributes no content.")
        yield from content_tables(partner)


def _more_of(partner: Partner) -> list[str]:
    more = []
    if partner.group is not None:
        more.append("which of its rows are one person")
    if partner.aliases:
        more.append(f"further values of {_joined(sorted(partner.aliases))}, encoded")
    if partner.strata:
        more.append(f"the codes of {_joined(sorted(partner.strata))} of each record")
    return more


def _sees(manifest: Manifest) -> DataTable:
    report = _REPORTS[manifest.safeguards.partner_report]
    rows = [
        (
            "Each partner",
            (
                f"its own file; the project secret; a random number for every record of its own,"
                f" linked or not; {report}"
            ),
            "any record of another partner; which of its own records are linked",
        ),
        (
            "The hub and its stewards",
            (
                "encodings under random numbers, how alike they are, how many records each partner"
                " has, which identifiers a record lacks; content only sealed"
            ),
            "names or any other identifier; content in clear; the project secret",
        ),
        (
            "The assembler",
            "the content of all partners, coarsened as listed, and which of it is about one person",
            "names or any other identifier; record numbers",
        ),
    ]
    if any(r.role == "evaluator" for r in manifest.recipients):
        rows.append(
            (
                "The evaluators",
                "the extract that the assembler makes",
                "names or any other identifier; record numbers",
            )
        )
    return DataTable("Who sees what", ("Party", "Sees", "Never sees"), rows)


def _laws(manifest: Manifest) -> Iterator[Paragraph | DataTable]:
    rules = rules_of(manifest.policy_tags)
    rows = []
    for partner in manifest.partners:
        rows += [(partner.name, *_policy(policy, rules)) for policy in partner.policies]
        for table in partner.content:
            rows += [
                (f"{partner.name}, table {table.name}", *_policy(policy, rules))
                for policy in policies_of(partner, table)
                if policy in table.policies
            ]
    if not rows:
        yield _says(
            "No source is marked as being under a law or rule such as HIPAA, 42 CFR Part 2, FERPA"
            " or CJIS. Ask whether that is so."
        )
        return
    yield DataTable(
        "Sources, and the ground on which each may be shared",
        ("Source", "Law or rule", "Ground", "Where it stands", "Document"),
        rows,
        note="What is said of a partner holds for all its tables, unless a table says otherwise.",
    )
    tags = sorted({policy.tag for _, policy in _all_policies(manifest)})
    yield DataTable(
        "What follows",
        ("Law or rule", "Name", "What it asks"),
        [(tag, rules[tag].title, " ".join(rules[tag].follows)) for tag in tags],
    )
    for text in manifest.warnings:
        yield _says(text, warning=True)


def _policy(policy: Any, rules: Mapping[str, Any]) -> tuple[str, str, str, str]:
    where = rules[policy.tag].bases.get(policy.basis or "", "")
    return policy.tag, policy.basis or "NOT NAMED", where, policy.citation


def _all_policies(manifest: Manifest) -> Iterator[tuple[ContentTable | None, Any]]:
    for partner in manifest.partners:
        yield from ((None, policy) for policy in partner.policies)
        for table in partner.content:
            yield from ((table, policy) for policy in table.policies)


def _matching(manifest: Manifest) -> list[Paragraph]:
    matching, scheme = manifest.matching, manifest.scheme
    said = [
        _says(
            f"Encodings are made with {scheme.name}, {scheme.bits:,} bits. For each record the hub"
            f" keeps the {matching.quota} most promising records of each other partner."
        )
    ]
    if isinstance(scheme, Clk):
        said.append(
            _says(
                "The partners know that published attacks re-identify such encodings (ACSAC 2024).",
                warning=True,
            )
        )
    floor = matching.threshold
    said.append(
        _says(
            "A steward chooses from which probability of a match two records are linked; there is"
            " no agreed lower bound."
            if floor is None
            else f"Two records are linked only if the estimated probability of a match is at least"
            f" {floor:g}, whatever a steward chooses."
        )
    )
    if matching.precision is not None:
        said.append(_says(f"At least {matching.precision:.0%} of the links are to be right."))
    for stratum in manifest.strata:
        said.append(
            _says(f"Quality is also reported by {stratum.name}: {', '.join(stratum.values)}.")
        )
    return said


def _says(text: str, *, warning: bool = False) -> Paragraph:
    return Paragraph(text, warning=warning)


def _or_not_answered(text: str) -> str:
    return NOT_ANSWERED if is_unwritten(text) else text


def _called(name: str, title: str) -> str:
    return f"{title} ({name})" if title else name


def _joined(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
