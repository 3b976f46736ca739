"""A run's quality report: what the scores say, and how they were come by.

Beside the figures of `matching.quality` it holds, per partner pair, how the pair was compared and
why so; what the audits of the encodings found; how often reviewers and model agree; and what has
changed since the run before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from linkage.hub.basis import Basis, audit_of
from linkage.hub.comparisons import Comparisons, time_text
from linkage.hub.earlier import EarlierRuns
from linkage.hub.labels import labels_of, review_figures
from linkage.hub.results import PartnerPair, Results
from linkage.hub.reviews import newest_decisions
from linkage.matching import Candidates, ScoredPairs, quality_report
from linkage.matching.recall import candidate_recall
from linkage.matching.strata import by_stratum
from linkage.reports.since import compared_with
from linkage.store.sql import Database


class RunReports:
    """Makes the reports of runs whose pairs are scored."""

    def __init__(
        self, database: Database, results: Results, comparisons: Comparisons, earlier: EarlierRuns
    ) -> None:
        self._database = database
        self._results = results
        self._comparisons = comparisons
        self._earlier = earlier

    def make(self, basis: Basis) -> dict[str, Any]:
        """The report, as JSON has it."""
        run, manifest = basis.run["id"], basis.project.manifest
        names = [(left.partner, right.partner) for left, right in basis.pairs]
        found: Mapping[PartnerPair, Any] = {p: self._results.candidates(run, p) for p in names}
        scored = {pair: self._results.scored(run, pair) for pair in names}
        floor, aim = manifest.matching.threshold, manifest.matching.precision
        made = quality_report(basis.sources, found, scored, floor=floor, precision=aim)
        for pair in names:
            made["pairs"]["|".join(pair)] |= self._how_compared(basis, pair, found[pair]) | {
                "candidate_recall": candidate_recall(
                    self._asked(run, pair, found[pair]), scored[pair]
                )
            }
        threshold = made["recommended"]["threshold"]
        if manifest.strata:
            made["strata"] = by_stratum(basis.sources, scored, manifest.strata, threshold)
        made["audits"] = {
            name: audit_of(row).model_dump(mode="json") for name, row in basis.uploads.items()
        }
        made["reviews"] = self._reviews(basis, scored, threshold)
        if last := self._earlier.last(basis.run):
            before = self._earlier.report(last)
            made["since"] = {"run": last["id"], **compared_with(before, made)}
        return made

    def _how_compared(self, basis: Basis, pair: PartnerPair, found: Candidates) -> dict[str, Any]:
        """What the report says about how a partner pair was compared, and why so."""
        run = basis.run["id"]
        lists = self._comparisons.of(run)
        sides = [lists[side] for side in dict.fromkeys((pair, pair[::-1])) if side in lists]
        late = [row["partner"] for row in sides if row["answered_at"] is None]
        if sides and not late:
            entries = self._results.entries(run, pair)
            known = len(self._results.known(run, pair).index)
            asked = {
                "candidates": len(entries.candidates),
                "known": known,
                "displaced": len(found.pairs) - known - len(entries.candidates),
                "decoys": len(entries.decoys),
            }
            return {"comparison": "pair_keyed", "comparison_reason": "", "asked": asked}
        if twin := self._earlier.twin(basis.run):
            before = self._earlier.report(twin)["pairs"]["|".join(pair)]
            return {
                **{key: before[key] for key in ("comparison", "asked")},
                "comparison_reason": (
                    f"the uploads are those of run {twin['id']}, whose answers count"
                ),
            }
        matching = basis.project.manifest.matching
        why = "the manifest has no pair-keyed comparison"
        if matching.pair_keyed:
            why = (
                f"agents have answered {matching.answer_runs} run(s) of this epoch, as many as the"
                " manifest allows"
            )
        if late:
            until = time_text(sides[0]["deadline"])
            why = f"{' and '.join(late)} had not answered by {until}"
        return {"comparison": "match_keys", "comparison_reason": why}

    def _asked(self, run: str, pair: PartnerPair, found: Candidates) -> Candidates:
        """The candidates that were scored: all, or those that found room in the lists."""
        compared = self._results.compared(run, pair)
        return found if compared is None else replace(found, pairs=found.pairs.take(compared.index))

    def _reviews(
        self, basis: Basis, scored: Mapping[PartnerPair, ScoredPairs], threshold: float
    ) -> dict[str, int]:
        """How many pairs are labelled by reviewers, and how often the model agrees."""
        with self._database.transaction() as connection:
            decided = newest_decisions(connection, basis.project.name)
        total = Counter[str]()
        for left, right in basis.pairs:
            one = scored[left.partner, right.partner]
            labels = labels_of(decided, left, right, one.left, one.right)
            total.update(review_figures(labels, one.probability, threshold))
        return dict(total)
