"""Link two files in this process as agents and hub do, and hold the result against the truth.

Everything is the real thing but the wire: profiles, drafted manifest, normalising, hardened
encodings, candidate search, slots, pair-keyed answers under fresh random pair ids, model, quality
report, clusters at the recommended threshold. Truth is used for the score alone. The same seed
gives the same figures: secret and pair ids are drawn from it, too, as they never are elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.agent.profile import Profiler
from linkage.agreement import IdentifierField, Manifest
from linkage.agreement.draft import Terms, draft_manifest
from linkage.agreement.draft_keys import Rule
from linkage.agreement.manifest import Partner
from linkage.answers import Answers, Requests
from linkage.encoding import DEFAULT_DATE_FORMATS, Encoder, normalise_column
from linkage.encoding.pairwise import PairwiseEncoder
from linkage.encodings import EncodingMatrix
from linkage.matching import (
    Candidates,
    LocalEngine,
    ScoredPairs,
    Source,
    compare_answers,
    find_candidates,
    pairs_to_compare,
    quality_report,
    resolve,
    score,
    score_compared,
)
from linkage.matching.requests import plan_requests

TERMS = Terms("quality", "Quality", "Measure", "None needed", date(2099, 1, 1), "assembler")
SECRET = bytes(range(32))

Columns = Mapping[str, npt.NDArray[np.object_]]


@dataclass(frozen=True)
class Case:
    """Files to link.

    Attributes:
        files: per partner a table of text cells; the column `truth` says who a row is.
        types: field type of each column that is an identifier.
        duplicates: partners whose file may hold a person twice.
        date_formats: of dates of birth, per partner.
    """

    name: str
    files: Mapping[str, pd.DataFrame]
    types: Mapping[str, str]
    duplicates: frozenset[str] = frozenset()
    date_formats: Mapping[str, Sequence[str]] = field(default_factory=dict)
    region: str = "US"
    note: str = ""

    @property
    def fields(self) -> tuple[IdentifierField, ...]:
        return tuple(
            IdentifierField(name=name, type=kind, region=self.region)
            for name, kind in self.types.items()
        )


@dataclass(frozen=True)
class Outcome:
    """A linkage and how good it is.

    Attributes:
        at: true figures at the recommended threshold; `best` at the best one.
        estimated: what the hub's own report says at the recommended threshold.
    """

    manifest: Manifest
    report: dict[str, Any]
    scored: Mapping[tuple[str, str], ScoredPairs]
    candidates: Mapping[tuple[str, str], Candidates]
    candidate_recall: float
    at: dict[str, float]
    best: dict[str, float]
    estimated: dict[str, float]
    seconds: float


def normalised(case: Case, partner: str) -> Columns:
    """The identifiers of one file; what is no date is missing, as an agent told to go on has it."""
    table = case.files[partner]
    return {
        one.name: normalise_column(
            one,
            [cell if isinstance(cell, str) else None for cell in table[one.name]],
            date_formats=case.date_formats.get(partner, DEFAULT_DATE_FORMATS),
        ).values
        for one in case.fields
    }


def drafted(
    case: Case,
    columns: Mapping[str, Columns],
    *,
    scheme: str = TERMS.scheme,
    rule: Rule | None = None,
    **matching: Any,
) -> Manifest:
    """The manifest that `draft-manifest` proposes from profiles, with nothing else changed.

    Args:
        scheme: to draft for.
        rule: for match keys; None takes the scheme's own.
    """
    profiles = []
    for partner, found in columns.items():
        profiler = Profiler(case.fields)
        profiler.add(found)
        described = Partner(name=partner, unique=partner not in case.duplicates)
        profiles.append(profiler.result().share(described))
    manifest = draft_manifest(profiles, replace(TERMS, scheme=scheme), rule).manifest
    return manifest.model_copy(update={"matching": manifest.matching.model_copy(update=matching)})


def source(
    manifest: Manifest, partner: str, columns: Columns, rng: np.random.Generator, *, unique: bool
) -> Source:
    with Encoder(manifest, SECRET, epoch=1) as encoder:
        rows = len(next(iter(columns.values())))
        layout = encoder.layout(rows)
        encoded = encoder.encode(columns, threads=2)
    handles = rng.integers(0, 256, (rows, 16), dtype=np.uint8)
    matrix = EncodingMatrix(
        layout,
        handles,
        handles,
        np.zeros((rows, len(layout.strata)), np.uint8),
        encoded.presence,
        encoded.words,
    )
    return Source(partner, matrix, unique)


def answered(encoder: PairwiseEncoder, requests: Requests) -> Answers:
    """What an agent answers to its list; within one file both rows of a pair stand in it."""
    again = np.zeros(len(requests), np.bool_)
    again[1:] = (requests.pair_ids[1:] == requests.pair_ids[:-1]).all(axis=1)
    order = np.argsort(again, kind="stable")
    parts = []
    for which in (~again, again):
        ids, rows = requests.pair_ids[which], requests.rows[which]
        parts.append(encoder.encode(ids, rows, context="run", threads=2))
    return Answers.joined(parts).take(np.argsort(order))


def round_of(
    left: Source,
    right: Source,
    found: Candidates,
    encoders: Mapping[str, PairwiseEncoder],
    manifest: Manifest,
    rng: np.random.Generator,
) -> tuple[Candidates, ScoredPairs]:
    """A comparison round: the candidates that found room, and their scores."""
    plan = plan_requests(left, right, found, random=rng, draw_ids=rng.bytes)
    told = [
        answered(encoders[side.partner], requests)
        for side, requests in zip((left, right), plan.lists, strict=False)
    ]
    sides = (told[0].take, told[-1].take)
    compared = compare_answers(plan.entries, sides, manifest)
    scored = score_compared(left, right, found, compared, manifest)
    return replace(found, pairs=found.pairs.take(plan.entries.kept)), scored


def linked(
    case: Case,
    *,
    seed: int = 0,
    pair_keyed: bool = True,
    manifest: Manifest | None = None,
    **matching: Any,
) -> Outcome:
    """Link a case by its drafted manifest and score it."""
    rng = np.random.default_rng(seed)
    columns = {partner: normalised(case, partner) for partner in case.files}
    manifest = manifest or drafted(case, columns, **matching)
    start = time.perf_counter()
    known = {one.name for one in manifest.fields}
    columns = {p: {n: v for n, v in c.items() if n in known} for p, c in columns.items()}
    sources = [
        source(manifest, p, columns[p], rng, unique=p not in case.duplicates) for p in case.files
    ]
    found: dict[tuple[str, str], Candidates] = {}
    scored: dict[tuple[str, str], ScoredPairs] = {}
    encoders = {}
    for partner in case.files:
        encoders[partner] = PairwiseEncoder(manifest, SECRET, epoch=1)
        encoders[partner].prepare(columns[partner])
    for left, right in pairs_to_compare(sources):
        names = (left.partner, right.partner)
        every = find_candidates(
            left, right, manifest.scheme, quota=manifest.matching.quota, engine=LocalEngine(2)
        )
        if not pair_keyed:
            found[names], scored[names] = every, score(left, right, every, manifest.scheme)
            continue
        found[names], scored[names] = round_of(left, right, every, encoders, manifest, rng)
    report = quality_report(
        sources,
        found,
        scored,
        floor=manifest.matching.threshold,
        precision=manifest.matching.precision,
    )
    recommended = report["recommended"]
    truth = {p: table["truth"].to_numpy() for p, table in case.files.items()}
    tried = {t: figures(sources, scored, truth, t) for t in (*np.arange(0.05, 1, 0.05), 0.98, 0.99)}
    at = figures(sources, scored, truth, float(recommended["threshold"]))
    return Outcome(
        manifest=manifest,
        report=report,
        scored=scored,
        candidates=found,
        candidate_recall=_recall(found, truth),
        at=at,
        best=max([at, *tried.values()], key=lambda row: row["f1"]),
        estimated=recommended,
        seconds=time.perf_counter() - start,
    )


def figures(
    sources: Sequence[Source],
    scored: Mapping[tuple[str, str], ScoredPairs],
    truth: Mapping[str, npt.NDArray[Any]],
    threshold: float,
) -> dict[str, float]:
    """Precision, recall and F1 over the pairs of all comparisons: rows of one cluster."""
    clusters = resolve(sources, scored, threshold)
    linked = matching = both = 0
    for left, right in scored:
        frame = [
            pd.DataFrame({"cluster": clusters.of[name], "truth": truth[name]})
            for name in (left, right)
        ]
        counts = [
            pairs_alike(*frame, on, same=left == right)
            for on in (["cluster"], ["truth"], ["cluster", "truth"])
        ]
        linked, matching, both = (
            total + n for total, n in zip((linked, matching, both), counts, strict=True)
        )
    precision = both / linked if linked else 1.0
    recall = both / matching if matching else 1.0
    f1 = 2 * both / (linked + matching) if linked + matching else 1.0
    return {
        "threshold": threshold,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "links": linked,
        "matches": matching,
    }


def pairs_alike(one: pd.DataFrame, other: pd.DataFrame, on: list[str], *, same: bool) -> int:
    """Pairs of rows that agree on some columns; `same`: pairs within one table."""
    counts = one.groupby(on).size()
    if same:
        return int((counts * (counts - 1) // 2).sum())
    return int((counts * other.groupby(on).size()).dropna().sum())


def _recall(
    found: Mapping[tuple[str, str], Candidates], truth: Mapping[str, npt.NDArray[Any]]
) -> float:
    right_ones = true = 0
    for (left, right), one in found.items():
        pairs = one.pairs
        right_ones += int((truth[left][pairs.left] == truth[right][pairs.right]).sum())
        frames = [pd.DataFrame({"truth": truth[name]}) for name in (left, right)]
        true += pairs_alike(*frames, ["truth"], same=left == right)
    return right_ones / max(true, 1)
