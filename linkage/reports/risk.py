"""The risk audit as a page that a privacy officer can read; made of its JSON alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from linkage.reports.html import (
    Block,
    DataTable,
    Figure,
    KeyFigures,
    Paragraph,
    Section,
    count,
    page,
    percent,
)
from linkage.reports.leakage import leakage

Scope = Mapping[str, Any]

_SHORT = {
    "passed": "Every attack is shown to find fewer people than the agreement allows.",
    "not-shown": (
        "No attack is shown to find more people than the agreement allows, nor are all shown to"
        " find fewer; or some match key was not attacked, as too few distinct records have it."
        " Among few records, that nobody was found proves little."
    ),
    "too-few": (
        "Too few distinct records to tell: attacks on so few people say nothing, and no bound can"
        " be shown."
    ),
    "too-weak": (
        "Harness too weak: plain Bloom filters of these records, which are known to be broken,"
        " withstood the attack, or too few records have the names and birth dates to make them of."
        " This audit proves nothing; do not rely on it."
    ),
    "broken": (
        "An attack re-identifies more people than the agreement allows, or the commonest value of a"
        " match key repeats more often, beyond chance."
    ),
}
_WHOLE = "Attack the whole file with linkage agent audit FILE, without --quick."
_RESULT = {"passed": "within", "not-shown": "not shown", "broken": "ABOVE"}


def risk_page(audit: Scope) -> str:
    """The page of one audit; see `linkage.agent.audited.described`."""
    return page(
        "Risk audit",
        [
            Section("In short", list(_short(audit))),
            Section("What to change", list(_advice(audit))),
            Section("What was tried", list(_tried(audit))),
            Section("Result by match key", list(_results(audit))),
            Section("What encodings give away as they lie", list(leakage(audit))),
            Section("What this does not say", list(_limits(audit))),
        ],
        subtitle=f"Partner {audit['partner']} of project {audit['project']};"
        f" scheme {audit['scheme']}; manifest {audit['fingerprint'][:16]}",
    )


def _short(audit: Scope) -> Iterator[Block]:
    summary, policy = audit["summary"], audit["policy"]
    verdict = summary["verdict"]
    yield Paragraph(_SHORT[verdict], warning=verdict != "passed")
    if audit["refused"]:
        yield Paragraph("Under the agreement this file is not sent: submit refuses.", warning=True)
    elif audit["exception"] is not None:
        yield Paragraph(
            "All partners signed an exception for this partner, so that the file may be sent"
            f" whatever the audit shows. The reason they gave: {audit['exception']}"
        )
    yield KeyFigures(
        [
            Figure(
                "Re-identified, nothing known",
                _between(summary["unknown"]),
                f"allowed: {percent(policy['unknown'], 2)}",
            ),
            Figure(
                "Re-identified, some people known",
                _between(summary["known"]),
                f"allowed: {percent(policy['known'], 2)}",
            ),
            Figure(
                "Re-identified by a hub that departs from the protocol",
                _between(summary["active"]),
                f"allowed: {percent(policy['active'], 2)}",
            ),
            Figure("Control, plain Bloom filters", percent(summary["control"])),
            Figure("Records attacked", count(summary["rows"]), f"of {count(audit['records'])}"),
            Figure("Match keys not attacked", count(summary["skipped"])),
        ]
    )


def _between(bounds: Scope | None) -> str:
    if bounds is None:
        return percent(None)
    return f"{percent(bounds['lower'], 2)} to {percent(bounds['upper'], 2)}"


def _tried(audit: Scope) -> Iterator[Block]:
    yield Paragraph(
        "The attacker has what the hub has: the encodings. It knows the people of the file, with"
        " every value right, but not which encoding is whose. That is more than a real attacker"
        " would know. It encodes the people under a secret of its own and looks for the same"
        " pattern in both. Nothing was sent anywhere, and the project secret was not used."
    )
    yield DataTable(
        "Attacks, what they do, and what an attacker would need",
        ("attack", "what it does", "needs"),
        [(one["name"], one["how"], one["needs"]) for one in audit["attacks"]],
    )
    if audit["summary"]["control"] is None and audit["attacks"]:
        yield Paragraph(
            "The audit ended at the first attack that broke the policy; linkage agent audit makes"
            " all of them."
            if audit["summary"]["verdict"] == "broken"
            else "No control was made: too few records have the names and birth dates for one."
        )


def _results(audit: Scope) -> Iterator[Block]:
    for finding in audit["findings"]:
        yield DataTable(
            f"People re-identified: {finding['name']}",
            (
                "attack",
                "told",
                "right",
                "of",
                "share",
                "at least",
                "at most",
                "times chance",
                "policy",
            ),
            [
                (
                    one["attack"],
                    one["told"],
                    one["right"],
                    one["overlap"],
                    percent(one["rate"], 2),
                    percent(one["lower"], 2),
                    percent(one["upper"], 2),
                    f"{one['lift']:.1f}",
                    _RESULT[one["verdict"]],
                )
                for one in finding["tried"]
            ],
            note="Told: of how many people the attacker knows which encoding is theirs; they are"
            " not among those it could name. Times chance: how many times more are named than by a"
            " guess at random among the people who are left. Bounds by Clopper and Pearson, 95%: at"
            " most for each attack by itself, at least for all attacks of this audit together.",
        )
    if any(not one["judged"] for finding in audit["findings"] for one in finding["tried"]):
        yield Paragraph(
            "So few people are in this file that what a comparison round lets through is shown"
            " here, but does not break the policy: answers about two people of one household tell"
            " much where there are few households. To be safe from a hub that has a list of"
            " exactly these people, agree on a smaller quota or on no comparison round"
            " (matching.pair_keyed: false)."
        )
    for name in audit["skipped"]:
        yield Paragraph(
            f"{name}: too few distinct records to attack; nothing is known but how often its"
            " encodings repeat, if that is told below."
        )


def _advice(audit: Scope) -> Iterator[Block]:
    verdict = audit["summary"]["verdict"]
    if verdict == "too-weak":
        yield Paragraph(
            "Audit more records: attacks on small files fail for want of numbers."
            if audit["summary"]["control"] is None
            else f"{_WHOLE} If the control withstands there, too, the fault is linkage's: tell"
            " those who gave it to you."
            if audit["quick"]
            else "The fault is linkage's: tell those who gave it to you."
        )
    if verdict == "not-shown":
        yield Paragraph(
            f"Nothing must be changed. To know more: {_WHOLE}"
            if audit["quick"]
            else "Nothing must be changed. This was the full audit: of these records no more can be"
            " shown."
        )
    if verdict in ("passed", "too-few"):
        yield Paragraph("Nothing that this audit could find.")
    if verdict != "broken":
        return
    broken = [
        (finding, [one for one in finding["tried"] if one["verdict"] == "broken"])
        for finding in audit["findings"]
    ]
    repeated = [one for one in audit["repeated"] if one["verdict"] == "broken"]
    if any(found for _, found in broken):
        yield Paragraph(_scheme_advice(audit["scheme"]), warning=True)
    if repeated:
        yield Paragraph(
            "Equal values have equal encodings under every scheme: only match keys whose values"
            " hardly repeat protect those who have the commonest ones.",
            warning=True,
        )
    yield DataTable(
        "Where it breaks",
        ("match key", "by", "what to do"),
        [
            (finding["name"], ", ".join(one["attack"] for one in found), _key_advice(finding))
            for finding, found in broken
            if found
        ]
        + [
            (
                one["name"],
                f"its commonest value: {count(one['most'])} of {count(one['rows'])} records",
                "add a field to this match key that tells people apart, or leave it out",
            )
            for one in repeated
        ],
    )
    rounds = {one["name"] for one in audit["attacks"] if one["of"] == "round"}
    if any(one["attack"] in rounds for _, found in broken for one in found):
        yield Paragraph(
            "Comparison round: lower matching.answer_runs or matching.quota in the manifest, so"
            " that the hub may ask about fewer pairs."
        )
    yield Paragraph(
        "Then propose the changed manifest, and audit again. If the partners accept the risk, they"
        " write an exception into the manifest, under audit, with the reason; it holds once all of"
        " them have signed that version."
    )


def _scheme_advice(scheme: str) -> str:
    if scheme == "minhash-v1":
        return (
            "Scheme: raise hashes by one, which hides more and finds fewer matches. More bits make"
            " encodings easier to attack, not harder."
        )
    return (
        f"Scheme: {scheme} falls to an attacker who knows some of the people, whatever its"
        " settings. Draft the manifest anew with minhash-v1 (linkage hub draft-manifest --scheme"
        " minhash-v1)."
    )


def _key_advice(finding: Scope) -> str:
    common = finding["common"]
    most = max(common, key=lambda name: common[name])
    if "together" in finding["name"]:
        return "agree on fewer match keys: each one tells more of the same people"
    return (
        f"leave this match key out, or put a rarer field in the place of {most}, of which"
        f" {percent(common[most], 0)} of the values are another record's too"
    )


def _limits(audit: Scope) -> Iterator[Block]:
    if not audit["summary"]["whole"]:
        yield Paragraph(
            f"A sample was attacked, {count(audit['read'])} of {count(audit['records'])} records,"
            " one of each person. Attacks that live on neighbours find less in a sample than in"
            " the whole file."
        )
    yield Paragraph(
        "Attacks that are not listed above were not tried. Within the limits means that these"
        " attacks fail, not that none can succeed. It says nothing of other partners' files, of the"
        " content that is sent later, or of what the links will tell. No encoding protects from a"
        " hub that colludes with a holder of the project secret."
    )
