"""Link two files in this process as agents and hub do, and hold the result against the truth.

Everything is the real thing but the wire: profiles, drafted manifest, normalising, hardened
encodings, candidate search, slots, pair-keyed answers under fresh random pair ids, model, quality
report, clusters at the recommended threshold. Truth is used for the score alone.
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
from linkage.agreement.manifest import Matching, Partner
from linkage.answers import Answers
from linkage.encoding import DEFAULT_DATE_FORMATS, Encoder, normalise_column
from linkage.encoding.pairwise import PAIR_ID_BYTES, PairwiseEncoder
from linkage.encodings import EncodingMatrix
from linkage.matching import (
    Candidates,
    LocalEngine,
    Pairs,
    ScoredPairs,
    Source,
    find_candidates,
    pairs_to_compare,
    quality_report,
    resolve,
    score,
    score_pairs,
)
from linkage.matching.fieldwise import compare_fields
from linkage.matching.measure import measure, rescore

TERMS = Terms("quality", "Quality", "Measure", "None needed", date(2099, 1, 1), "assembler")
SECRET = bytes(range(32))
LARGEST_DECOYS = 100_000

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


def drafted(case: Case, columns: Mapping[str, Columns], **matching: Any) -> Manifest:
    """The manifest that `draft-manifest` proposes from profiles, with nothing else changed."""
    profiles = []
    for partner, found in columns.items():
        profiler = Profiler(case.fields)
        profiler.add(found)
        described = Partner(name=partner, unique=partner not in case.duplicates)
        profiles.append(profiler.result().share(described))
    manifest = draft_manifest(profiles, TERMS).manifest
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


def within_slots(
    left: Source, right: Source, found: Candidates, rng: np.random.Generator
) -> Candidates:
    """What a round in which every row stands `quota` times can compare.

    Decoys first, as many as a quarter of the slots: every pair of rows is as likely as any other,
    but no row has two, so that no row's candidates are crowded out. Then candidates by score.
    """
    triangle = left.partner == right.partner
    decoys = draw_decoys(left.rows, right.rows, found.quota, rng, triangle=triangle)
    used_left = np.bincount(decoys[:, 0], minlength=left.rows)
    used_right = np.bincount(decoys[:, 1], minlength=right.rows)
    if triangle:
        used_left = used_right = used_left + used_right
    pairs = found.pairs
    held = set(map(tuple, decoys.tolist()))
    kept = np.zeros(len(pairs), np.bool_)
    for n in np.lexsort((pairs.right, pairs.left, -pairs.score)).tolist():
        a, b = int(pairs.left[n]), int(pairs.right[n])
        if (a, b) in held:
            kept[n] = True
        elif used_left[a] < found.quota and used_right[b] < found.quota:
            used_left[a] += 1
            used_right[b] += 1
            kept[n] = True
    one, other = (np.ascontiguousarray(decoys[:, side]) for side in (0, 1))
    measured = measure(left, right, one, other, dice=False)
    return replace(found, pairs=pairs.take(kept), decoys=rescore(measured, found.null))


def draw_decoys(
    rows_left: int, rows_right: int, quota: int, rng: np.random.Generator, *, triangle: bool
) -> npt.NDArray[np.int32]:
    """(decoys, 2) random pairs sorted by rows, no row in more than one."""
    if triangle:
        shuffled = rng.permutation(rows_left)[: rows_left // 2 * 2].reshape(-1, 2)
        pairs = np.sort(shuffled, axis=1)
    else:
        count = min(rows_left, rows_right)
        pairs = np.stack(
            [rng.permutation(rows_left)[:count], rng.permutation(rows_right)[:count]], axis=1
        )
    pairs = pairs[: min(LARGEST_DECOYS, max(quota * len(pairs) // 4, 1))]
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int32)


def answers(encoder: PairwiseEncoder, ids: Any, rows: Any, context: str) -> Answers:
    told = encoder.encode(ids, rows.astype(np.int64), context=context, threads=2)
    frequency = getattr(told, "frequency", np.zeros(told.present.shape, np.uint8))
    return Answers(told.words, told.present, told.initial, frequency)


def compare_pairs(
    manifest: Manifest,
    one: PairwiseEncoder,
    other: PairwiseEncoder,
    pairs: Pairs,
    rng: np.random.Generator,
) -> Any:
    """Comparison vectors from both sides' answers under fresh pair ids."""
    ids = rng.integers(0, 256, (len(pairs), PAIR_ID_BYTES), dtype=np.uint8)
    return compare_fields(
        answers(one, ids, pairs.left, "run"),
        answers(other, ids, pairs.right, "run"),
        manifest.fields,
        manifest.matching,
    )


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
        one, other = encoders[left.partner], encoders[right.partner]
        found[names] = chosen = within_slots(left, right, every, rng)
        scored[names] = score_pairs(
            chosen,
            compare_pairs(manifest, one, other, chosen.pairs, rng),
            compare_pairs(manifest, one, other, chosen.decoys, rng),
            rows_left=left.rows,
            rows_right=right.rows,
            unique_left=left.unique,
            unique_right=right.unique,
            same_file=left.partner == right.partner,
        )
    report = quality_report(sources, found, scored, floor=manifest.matching.threshold)
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
        counts = [_pairs(*frame, on, same=left == right) for on in (["cluster"], ["truth"], ["cluster", "truth"])]
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


def _pairs(one: pd.DataFrame, other: pd.DataFrame, on: list[str], *, same: bool) -> int:
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
        true += _pairs(*frames, ["truth"], same=left == right)
    return right_ones / max(true, 1)


__all__ = ["Case", "Matching", "Outcome", "drafted", "figures", "linked", "normalised"]
