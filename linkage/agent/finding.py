"""What an audit found: of each attack, of each match key, and of the file.

Counts, shares and names of match keys; no value and no row. What a partner's report shows is the
JSON of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from linkage.agreement.audits import AuditSummary, Bounds, Verdict
from linkage.risk import Leakage, Outcome, Repeats
from linkage.risk.attacks import ATTACKS, Attack

FEWEST_OF_A_ROUND = 2_000
"""Of fewer people what a round lets through is shown, and keeps the verdict from *passed*, but does
not break the policy: an answer about two people of one household tells much where there are few
households, and the audit compares rows of one file, which no round does."""


@dataclass(frozen=True)
class Tried:
    """One attack on one target.

    Attributes:
        lower: the rate that it proves, at 95% over all attacks of the audit.
        limit: the policy's.
    """

    attack: Attack
    outcome: Outcome
    lower: float
    limit: float

    @property
    def judged(self) -> bool:
        """Whether it may break the policy: of few people no round does, see `FEWEST_OF_A_ROUND`."""
        return self.attack.of != "round" or self.outcome.register >= FEWEST_OF_A_ROUND

    @property
    def verdict(self) -> Verdict:
        if self.judged and self.lower > self.limit:
            return Verdict.BROKEN
        return Verdict.NOT_SHOWN if self.outcome.upper > self.limit else Verdict.PASSED

    def as_json(self) -> dict[str, Any]:
        return self.outcome.as_json() | {
            "kind": self.attack.kind,
            "lower": round(self.lower, 6),
            "judged": self.judged,
            "verdict": self.verdict.value,
        }


def bounds_of(tried: Sequence[Tried]) -> Bounds | None:
    """The largest lower bound, of what may break the policy, and the largest upper one.

    Of no attack: None.
    """
    if not tried:
        return None
    lower = max((one.lower for one in tried if one.judged), default=0.0)
    return Bounds(lower=round(lower, 6), upper=round(max(one.outcome.upper for one in tried), 6))


@dataclass(frozen=True)
class Finding:
    """What was found for one match key, or for several side by side.

    Attributes:
        common: by field, the share of values that another record has too.
        leakage: how the bits of the distinct encodings lie.
    """

    name: str
    common: dict[str, float]
    leakage: Leakage
    tried: tuple[Tried, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "common": self.common,
            "leakage": self.leakage.as_json(),
            "tried": [one.as_json() for one in self.tried],
        }


@dataclass(frozen=True)
class Repeated:
    """How often encodings repeat, of one match key or of several side by side.

    Attributes:
        lower: the share that the commonest is proven to have, at 95% over all match keys; None of
            several side by side, which nothing is held against.
        limit: the policy's.
    """

    name: str
    repeats: Repeats
    lower: float | None
    limit: float

    @property
    def verdict(self) -> Verdict:
        above = self.lower is not None and self.lower > self.limit
        return Verdict.BROKEN if above else Verdict.PASSED

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rows": self.repeats.rows,
            "values": self.repeats.values,
            "most": self.repeats.most,
            "distinct": round(self.repeats.distinct, 6),
            "commonest": round(self.repeats.commonest, 6),
            "frequency_bound": round(self.repeats.frequency_bound, 6),
            "lower": None if self.lower is None else round(self.lower, 6),
            "verdict": self.verdict.value,
        }


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        quick: whether it was a quick audit.
        summary: what goes into the upload's header.
        records: of the file that are sent; `read` of them, one per person, were attacked.
        repeated: how often encodings repeat, of every match key that 500 of those read have.
        control: the attack on plain Bloom filters; None where it was not needed, or where too few
            people are there for one.
        signature: how far a row's encodings of all match keys join into a signature.
        skipped: match keys of which too few distinct records were found to attack; see `FEWEST`.
    """

    quick: bool
    summary: AuditSummary
    records: int
    read: int
    findings: tuple[Finding, ...]
    repeated: tuple[Repeated, ...]
    control: Outcome | None
    signature: dict[str, float]
    skipped: tuple[str, ...]

    @property
    def broken(self) -> dict[str, list[Tried]]:
        """By match key, the attacks that are shown to succeed more often than policy allows."""
        found = {
            f.name: [one for one in f.tried if one.verdict is Verdict.BROKEN] for f in self.findings
        }
        return {name: tried for name, tried in found.items() if tried}

    def as_json(self) -> dict[str, Any]:
        return {
            "quick": self.quick,
            "summary": self.summary.model_dump(mode="json"),
            "records": self.records,
            "read": self.read,
            "control": None if self.control is None else self.control.as_json(),
            "attacks": [
                {
                    "name": one.name,
                    "how": one.how,
                    "needs": one.needs,
                    "kind": one.kind,
                    "of": one.of,
                }
                for one in ATTACKS
                if one.name in self.summary.attacks
            ],
            "findings": [f.as_json() for f in self.findings],
            "repeated": [one.as_json() for one in self.repeated],
            "signature": self.signature,
            "skipped": list(self.skipped),
        }
