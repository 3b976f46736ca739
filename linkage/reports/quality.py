"""The linkage-quality report for a steward, as a page.

- Reads what `linkage.matching.quality` documents; a part that is not there is left out, a part
  that is there but cannot be read is an error.
- Estimated and true figures are never mixed: the true ones, known in a rehearsal only, stand
  beside the estimated ones and say so.

The true figures have the shape of the estimated ones:

    truth["overall"], truth["pairs"]["left|right"]    each with any of
        matches        number of true matches
        thresholds     [{threshold, precision, recall, ...}]
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from linkage.errors import InvalidRequestError
from linkage.reports import charts
from linkage.reports.breakdown import breakdown
from linkage.reports.html import (
    NOT_KNOWN,
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

MAX_HISTOGRAMS = 12
LOOK_LOSS_WORTH_SAYING = 0.005
_APART = 0.05

Scope = Mapping[str, Any]


def quality_page(
    quality: Mapping[str, Any],
    truth: Mapping[str, Any] | None = None,
    *,
    threshold: float | None = None,
    title: str = "Linkage quality",
) -> str:
    """The report as a page.

    Args:
        truth: true figures of a rehearsal; see the module's text.
        threshold: the one the steward has set; the recommended one where not given.

    Raises:
        InvalidRequestError: the quality report lacks what every one has.
    """
    overall, recommended = _required(quality)
    truth = truth or {}
    at = float(recommended["threshold"] if threshold is None else threshold)
    sections = [
        Section("In short", list(_short(overall, recommended, truth.get("overall", {}), at))),
        Section("Precision and recall", list(_measures(overall, truth.get("overall", {}), at))),
        Section("Pairs of partners", list(_pairs(quality, truth, at))),
        *breakdown(quality),
        Section("Match weights", list(_weights(quality, at))),
        Section("What the files held", list(_files(quality))),
        Section("How to read this", list(_reading(bool(truth)))),
    ]
    subtitle = (
        "Rehearsal: true figures are known and stand beside the estimated ones."
        if truth
        else "Estimated without knowing the truth."
    )
    return page(title, [s for s in sections if s.blocks], subtitle=subtitle)


def figures_at(scope: Scope, threshold: float | None) -> dict[str, Any] | None:
    """Precision and recall at a threshold: those of the nearest one listed not above it.

    None where nothing close is listed.
    """
    if threshold is None:
        return None
    chosen = (scope.get("recommended"), scope.get("at_recommended"))
    rows = [*(scope.get("thresholds") or []), *filter(None, chosen)]
    near = [row for row in rows if -1e-9 <= threshold - row["threshold"] <= _APART + 1e-9]
    if not near:
        return None
    found = max(near, key=lambda row: row["threshold"])
    names = ("threshold", "precision", "recall", "links")
    intervals = ("precision_interval", "recall_interval")
    return {
        **{name: float(found[name]) for name in names if name in found},
        **{name: found[name] for name in intervals if name in found},
    }


def _required(quality: Mapping[str, Any]) -> tuple[Scope, Scope]:
    for name, inner in (
        ("recommended", ("threshold", "links", "precision", "recall")),
        ("overall", ("thresholds",)),
    ):
        part = quality.get(name)
        if not isinstance(part, Mapping):
            raise InvalidRequestError(f"the quality report has no part {name!r}")
        for key in inner:
            if key not in part:
                raise InvalidRequestError(f"the quality report's part {name!r} has no {key!r}")
    recommended: Scope = quality["recommended"]
    return {**quality["overall"], "recommended": recommended}, recommended


def _short(overall: Scope, recommended: Scope, truth: Scope, at: float) -> Iterator[Block]:
    estimated, true = figures_at(overall, at), figures_at(truth, at)
    best = float(recommended["threshold"])
    yield KeyFigures(
        [
            Figure(
                "Links",
                _number(estimated.get("links") if estimated else None),
                f"at threshold {estimated['threshold']:g}" if estimated else "",
            ),
            _figure("Precision", "precision", estimated, true),
            _figure("Recall", "recall", estimated, true),
            Figure(
                "Threshold", f"{at:g}", "as recommended" if at == best else f"recommended: {best:g}"
            ),
            Figure(
                "Expected matches",
                _number(overall.get("estimated_matches")),
                f"true: {count(truth['matches'])}" if "matches" in truth else "",
            ),
        ]
    )
    if overall.get("overlap") == "none":
        yield Paragraph(
            "There is no sign that anyone is in more than one file. Whatever is linked here is"
            " probably chance; do not release it without looking at the pairs.",
            warning=True,
        )
    elif overall.get("overlap") == "weak":
        yield Paragraph(
            "There is little sign that anyone is in more than one file. The estimates below rest"
            " on few certain pairs.",
            warning=True,
        )


def _figure(
    label: str, name: str, estimated: Mapping[str, Any] | None, true: Mapping[str, Any] | None
) -> Figure:
    between = (estimated or {}).get(f"{name}_interval")
    note = f"estimated, {percent(between[0])} to {percent(between[1])}" if between else "estimated"
    if true:
        note += f"; true: {percent(true[name])}"
    return Figure(label, percent(estimated[name]) if estimated else NOT_KNOWN, note)


def _measures(overall: Scope, truth: Scope, at: float) -> Iterator[Block]:
    points = [
        {"threshold": row["threshold"], "measure": name, "source": source, "value": row[name]}
        for source, scope in (("estimated", overall), ("true", truth))
        for row in scope.get("thresholds") or []
        for name in ("precision", "recall")
    ]
    if points:
        yield charts.curves(
            points,
            title="Precision and recall at every threshold",
            description="A higher threshold keeps fewer links, and surer ones: precision rises and"
            " recall falls." + (" Dashed: true figures." if truth else ""),
            threshold=at,
        )


def _pairs(quality: Mapping[str, Any], truth: Mapping[str, Any], at: float) -> Iterator[Block]:
    pairs: Mapping[str, Scope] = quality.get("pairs") or {}
    if not pairs:
        return
    true_pairs: Mapping[str, Scope] = truth.get("pairs") or {}
    columns = ["Pair", "Rows", "Candidates", "Expected matches", "Links", "Precision", "Recall"]
    columns += ["True precision", "True recall"] if true_pairs else []
    rows = []
    bars = []
    for key, scope in pairs.items():
        estimated, true = figures_at(scope, at), figures_at(true_pairs.get(key, {}), at)
        name = _pair_name(key)
        cells = [
            name,
            f"{_number(scope.get('rows_left'))} × {_number(scope.get('rows_right'))}",
            _number(scope.get("candidate_pairs")),
            _number(scope.get("estimated_matches")),
            _number(estimated.get("links") if estimated else None),
            *(percent(estimated[m] if estimated else None) for m in ("precision", "recall")),
        ]
        if true_pairs:
            cells += [percent(true[m] if true else None) for m in ("precision", "recall")]
        rows.append(cells)
        for source, found in (("estimated", estimated), ("true", true)):
            if found:
                bars += [
                    {"category": name, "series": f"{m}, {source}", "value": found[m]}
                    for m in ("precision", "recall")
                ]
    note = f"Precision and recall at threshold {at:g}."
    yield DataTable("Links by pair of partners", columns, rows, note=note)
    if bars:
        yield charts.grouped_bars(
            bars,
            title="Precision and recall by pair of partners",
            description=f"At threshold {at:g}.",
            x_title="Pair",
            y_title="Share",
            share=True,
        )
    for key, scope in pairs.items():
        if scope.get("overlap") == "none":
            yield Paragraph(f"{_pair_name(key)}: no sign of anyone in both files.", warning=True)
        loss = scope.get("look_loss")
        if loss is not None and loss > LOOK_LOSS_WORTH_SAYING:
            yield Paragraph(
                f"{_pair_name(key)}: the search may have missed {percent(loss)} of the matches"
                " before any candidate was formed.",
                warning=True,
            )
    yield from _search(pairs)


def _search(pairs: Mapping[str, Scope]) -> Iterator[Block]:
    names = ("compared", "survived", "considered", "candidate_pairs")
    if not all(name in scope for scope in pairs.values() for name in names):
        return
    yield DataTable(
        "How the candidates were found",
        ("Pair", "Encodings compared", "Close enough", "Distinct pairs", "Kept", "Missed"),
        [
            (
                _pair_name(key),
                *(_number(scope[name]) for name in names),
                percent(scope.get("look_loss"), 2),
            )
            for key, scope in pairs.items()
        ],
        note="Missed: share of matches that the quick first look may have passed over, computed.",
    )


def _weights(quality: Mapping[str, Any], at: float) -> Iterator[Block]:
    pairs: Mapping[str, Scope] = quality.get("pairs") or {}
    drawn = {
        key: scope["weight_histogram"]
        for key, scope in pairs.items()
        if (scope.get("weight_histogram") or {}).get("pairs")
    }
    if not drawn:
        return
    yield Paragraph(
        "The match weight is the logarithm, to base 2, of the odds that two records are the same"
        " person. A good linkage has two hills with a valley between, and the threshold in it."
    )
    if len(drawn) > MAX_HISTOGRAMS:
        yield Paragraph(f"The first {MAX_HISTOGRAMS} of {len(drawn)} pairs of partners are drawn.")
    for key, bins in list(drawn.items())[:MAX_HISTOGRAMS]:
        inside = bins["edges"][0] <= _log_odds(at) <= bins["edges"][-1]
        yield charts.histogram(
            bins["edges"],
            bins["pairs"],
            part=bins.get("expected_matches") or (),
            part_title="of which expected matches",
            title=f"Match weights: {_pair_name(key)}",
            description="How many candidate pairs have each weight. The count axis is logarithmic."
            " The line is the weight of the threshold for a pair without competitors.",
            x_title="Match weight (log2 odds)",
            y_title="Candidate pairs",
            threshold=_log_odds(at) if inside else None,
            threshold_text="weight",
            log=True,
        )


def _files(quality: Mapping[str, Any]) -> Iterator[Block]:
    partners: Mapping[str, Scope] = quality.get("partners") or {}
    if not partners:
        return
    keys = list(
        dict.fromkeys(k for s in partners.values() for k in s.get("match_key_coverage", {}))
    )
    yield DataTable(
        "Rows, and the share of rows with an encoding for each match key",
        ("Partner", "Rows", "Each person once", *keys),
        [
            (
                name,
                _number(scope.get("rows")),
                scope.get("unique"),
                *(percent(scope.get("match_key_coverage", {}).get(key)) for key in keys),
            )
            for name, scope in partners.items()
        ],
        note="A row that lacks a field of a match key can be found only by the others.",
    )
    if audits := quality.get("audits"):
        yield _audits(audits)


def _audits(audits: Mapping[str, Scope]) -> DataTable:
    return DataTable(
        "What each partner's risk audit of its encodings found, by its own signed word",
        (
            "Partner",
            "Verdict",
            "Records attacked",
            "Keys not attacked",
            "At most, nothing known",
            "Some people known",
            "Active hub",
        ),
        [
            (
                name,
                said["verdict"],
                _number(said["rows"]),
                said["skipped"],
                *(percent(said[k] and said[k]["upper"], 2) for k in ("unknown", "known", "active")),
            )
            for name, said in audits.items()
        ],
        note="At most so many people are re-identified by the attacks that were made (95%).",
    )


def _reading(rehearsal: bool) -> Iterator[Block]:
    yield Paragraph(
        "Precision is the share of links that join records of one person. Recall is the share of"
        " matches that are linked. Both are expectations under the model, among the candidates: a"
        " match that never became a candidate is not counted in the estimated recall. The intervals"
        " hold the true share in 95 of 100 cases if the model's probabilities are right."
    )
    if rehearsal:
        yield Paragraph(
            "The true figures count every true match, candidate or not. They are known because this"
            " is a rehearsal with made-up people; a real run has only the estimates."
        )


def _pair_name(key: str) -> str:
    left, _, right = key.partition("|")
    return f"within {left}" if left == right else f"{left} – {right}"


def _number(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{round(value):,}"


def _log_odds(probability: float) -> float:
    kept = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log2(kept / (1 - kept))
