"""Audit a partner's file: encode it as submit would, and attack the encodings.

    found = audit(manifest, partner, SourceFile(path), QUICK)
    manifest.audit.require(partner.name, found.summary)

- The attacker has the hub's view, and a register that holds the partner's own records without a
  mistake: the worst case of overlap and errors.
- The control, plain Bloom filters of the file's names and birth dates, must fall to the same
  attack. Where it does not in three tries, or too few people have these, the audit says that it was
  too weak, and proves nothing.
- What is kept of the figures names no value and no row.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from linkage.agent.finding import Audit, Finding, Repeated, Tried, bounds_of
from linkage.agent.sample import Rows
from linkage.agent.source import SourceFile
from linkage.agent.table import RecordTable
from linkage.agent.targets import Encodings, Named
from linkage.agreement import Manifest, Partner
from linkage.agreement.audits import (
    CONTROL_FLOOR,
    KINDS,
    AuditPolicy,
    AuditSummary,
    Verdict,
)
from linkage.risk import Outcome, leakage, unseeded
from linkage.risk.attacks import ATTACKS, Attack
from linkage.risk.evidence import FEWEST, proven, proven_commonest
from linkage.risk.threads import limited

Progress = Callable[[str, int, int], None]
CONTROL_TRIES = 3
NONE_SKIPPED: Rows = np.empty(0, np.int64)


@dataclass(frozen=True)
class Depth:
    """How much is attacked.

    Attributes:
        rows: records read, at most.
        each: people whose encodings of one match key are attacked, at most.
        control: people in the control, at most.
        quick: leave attacks that take long to the match keys taken together.
    """

    rows: int
    each: int
    control: int
    quick: bool


QUICK = Depth(rows=2_000, each=2_000, control=1_000, quick=True)
FULL = Depth(rows=50_000, each=2_000, control=10_000, quick=False)


def audit(
    manifest: Manifest,
    partner: Partner,
    source: SourceFile,
    depth: Depth,
    *,
    stop: bool = False,
    seed: int | None = None,
    skipped: Rows = NONE_SKIPPED,
    threads: int | None = None,
    progress: Progress = lambda step, done, total: None,
) -> Audit:
    """Attack the encodings of a file's records, or of a sample of them.

    Args:
        stop: end at the first attack that breaks the policy.
        seed: for the sample and the attacks' random choices; None draws one. The secrets that
            encodings are made under are always drawn anew.
        skipped: 0-based rows of the file that are not sent, ascending: no part of the audit.
        threads: to work on; None uses every core, and one for linear algebra.

    Raises:
        SourceError: the file cannot be read as a table.
    """
    with limited(threads):
        encodings = Encodings(
            RecordTable(manifest, partner, source),
            depth.rows,
            np.random.default_rng(seed),
            progress,
            skipped,
            threads=threads or os.cpu_count() or 1,
        )
        return _attacked(manifest.audit, encodings, depth, stop, progress)


def _attacked(
    policy: AuditPolicy, encodings: Encodings, depth: Depth, stop: bool, progress: Progress
) -> Audit:
    rng = encodings.rng
    repeated = _repeated(policy, encodings)
    every = list(encodings.targets(depth.each))
    kept = [one for one in every if len(one.target) >= FEWEST]
    sampled = encodings.read < encodings.records
    plan = [
        (one, attack)
        for attack in ATTACKS
        for one in kept
        if attack.applies(one.target, each=one.each, quick=depth.quick, sampled=sampled)
    ]
    steps = len(plan) + 1
    tried: dict[str, list[Tried]] = {one.name: [] for one in kept}
    ended = False
    for number, (one, attack) in enumerate(plan):
        progress("attack", number, steps)
        outcome = attack(one.target)
        found = _tried(attack, outcome, policy, len(plan))
        tried[one.name].append(found)
        if stop and found.verdict is Verdict.BROKEN:
            ended = True
            break
    control = None
    if plan and not ended:
        control = _control(encodings, depth.control)
    progress("attack", steps, steps)
    findings = tuple(
        Finding(
            one.name,
            encodings.commonness(one.fields),
            leakage(one.target.trial.view.words, rng),
            tuple(tried[one.name]),
        )
        for one in kept
        if tried[one.name]
    )
    attacked = {one.name for one, _ in plan}
    skipped_keys = tuple(one.name for one in every if one.name not in attacked)
    return Audit(
        depth.quick,
        _summary(policy, encodings, kept, findings, repeated, control, skipped_keys),
        encodings.records,
        encodings.read,
        findings,
        repeated,
        control,
        encodings.signature if encodings.rows else {},
        skipped_keys,
    )


def tool_version() -> str:
    """The version of `linkage` that attacks."""
    return version("linkage")


def _control(encodings: Encodings, people: int) -> Outcome | None:
    """The best of some tries at plain Bloom filters, each under secrets of its own.

    Whether the attack finds its start is luck; of phone numbers it had none in two of 18 tries.

    Returns:
        None of few people, of whom an attack that proves nothing may well name all.
    """
    best: Outcome | None = None
    for _ in range(CONTROL_TRIES):
        plain = encodings.control(people)
        if len(plain.view) < FEWEST:
            return None
        found = unseeded(plain, encodings.rng)
        if best is None or found.rate > best.rate:
            best = found
        if best.rate >= CONTROL_FLOOR:
            break
    return best


def _repeated(policy: AuditPolicy, encodings: Encodings) -> tuple[Repeated, ...]:
    """Match keys by their repeats; several side by side repeat less, and are held to nothing."""
    found = encodings.repeats()
    keys = {name: one for name, one in found.items() if name in encodings.keys}
    proof = proven_commonest(keys)
    return tuple(
        Repeated(name, one, proof.get(name), policy.commonest) for name, one in found.items()
    )


def _tried(attack: Attack, outcome: Outcome, policy: AuditPolicy, attacks: int) -> Tried:
    return Tried(attack, outcome, proven(outcome, attacks), policy.limit(attack.kind))


def _summary(
    policy: AuditPolicy,
    encodings: Encodings,
    kept: Sequence[Named],
    findings: Sequence[Finding],
    repeated: Sequence[Repeated],
    control: Outcome | None,
    skipped: Sequence[str],
) -> AuditSummary:
    every = [one for finding in findings for one in finding.tried]
    found = {kind: bounds_of([one for one in every if one.attack.kind == kind]) for kind in KINDS}
    rate = None if control is None else round(control.rate, 6)
    proof = [round(one.lower, 6) for one in repeated if one.lower is not None]
    commonest = max(proof, default=None)
    made = {one.attack.name for one in every}
    return AuditSummary(
        tool=tool_version(),
        verdict=policy.verdict(found, rate, len(skipped), commonest),
        rows=max((len(one.target) for one in kept), default=0),
        whole=encodings.read == encodings.records,
        skipped=len(skipped),
        commonest=commonest,
        control=rate,
        attacks=tuple(attack.name for attack in ATTACKS if attack.name in made),
        **found,
    )
