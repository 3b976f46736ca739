"""Clerical review: pairs by their comparison vectors alone, and what the steward decided.

- A pair is shown without any value: handles, levels and weights.
- Decisions are only ever added. The newest about two records counts; all stay on record.
- A decision overrides nothing by itself: it teaches the model of later runs as a labelled pair, and
  the quality report says how many there are and how often model and reviewer agree.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from linkage.errors import InvalidRequestError, NotFoundError, StateError
from linkage.hub.log import record
from linkage.hub.projects import Projects
from linkage.hub.results import PartnerPair, Results
from linkage.hub.runs import Runs
from linkage.matching import ScoredPairs, Source, pairs_to_compare
from linkage.matching.comparison import MISSING_LEVEL
from linkage.matching.explain import Part, competition, explain
from linkage.store import tables
from linkage.store.sql import Database, Row, find, find_all, insert, now, page
from linkage.trust.identity import PartyId

MATCH, DIFFERENT, UNSURE = "match", "different", "unsure"
VERDICTS = (MATCH, DIFFERENT, UNSURE)
MAX_NOTE = 500
MAX_LISTED = 500

Handles = tuple[bytes, bytes]


@dataclass(frozen=True)
class ReviewPair:
    """A scored pair as a reviewer sees it.

    Attributes:
        name: `left.right.number` inside its run.
        levels: (name, level, highest) per dimension; level -1 where nothing can be said.
        decision: the one that counts, if any.
    """

    name: str
    partners: tuple[str, str]
    handles: Handles
    probability: float
    weight: float
    levels: tuple[tuple[str, int, int], ...]
    decision: Row | None


class Reviews:
    """The use cases around clerical review; for stewards."""

    def __init__(
        self, database: Database, projects: Projects, runs: Runs, results: Results
    ) -> None:
        self._database = database
        self._projects = projects
        self._runs = runs
        self._results = results

    def list(
        self,
        caller: PartyId,
        run: str,
        *,
        low: float,
        high: float,
        undecided_only: bool,
        limit: int,
    ) -> tuple[list[ReviewPair], int]:
        """Pairs of a run between two probabilities, the most uncertain first, and how many.

        Raises:
            InvalidRequestError: the bounds are no probabilities.
            NotReadyError: the run has not succeeded.
        """
        if not 0 <= low <= high <= 1:
            raise InvalidRequestError("probabilities go from 0 to 1, the smaller bound first")
        view = self._view(caller, run)
        found: list[tuple[float, PartnerPair, int]] = []
        for pair in view.pairs:
            probability = view.scored(pair).probability
            for n in np.flatnonzero((probability >= low) & (probability <= high)):
                if not (undecided_only and view.handles(pair, int(n)) in view.decided):
                    found.append((abs(float(probability[n]) - 0.5), pair, int(n)))
        found.sort()
        chosen = found[: min(limit or MAX_LISTED, MAX_LISTED)]
        return [view.pair(pair, n) for _, pair, n in chosen], len(found)

    def explain(
        self, caller: PartyId, run: str, name: str
    ) -> tuple[ReviewPair, Sequence[Part], float]:
        """A pair, what its weight is made of, and what other candidates take from it."""
        view = self._view(caller, run)
        pair, number = view.parse(name)
        shown, scored = view.pair(pair, number), view.scored(pair)
        parts = explain(scored.levels[number], scored.summary, shown.weight)
        return shown, parts, competition(shown.weight, shown.probability)

    def decide(
        self, caller: PartyId, run: str, name: str, verdict: str, note: str, request_id: str
    ) -> Row:
        """Record a decision about a pair's two records; repeating a request changes nothing."""
        if verdict not in VERDICTS:
            raise InvalidRequestError(f"a verdict is one of {', '.join(VERDICTS)}")
        if len(note) > MAX_NOTE or not note.isprintable():
            raise InvalidRequestError(f"a note has at most {MAX_NOTE} printable characters")
        view = self._view(caller, run)
        pair, number = view.parse(name)
        left, right = view.handles(pair, number)
        values = {
            "run": run,
            "left_partner": pair[0],
            "right_partner": pair[1],
            "left_handle": left,
            "right_handle": right,
            "verdict": verdict,
            "note": note,
        }
        with self._database.transaction() as connection:
            known = find(connection, tables.decision, request_id=request_id)
            if known is None:
                known = {
                    # Ordered by time, so that the newest of a pair is the last.
                    "id": f"{time.time_ns():016x}{secrets.token_hex(8)}",
                    "project": view.project,
                    **values,
                    "probability": float(view.scored(pair).probability[number]),
                    "decided_by": caller.name,
                    "decided_at": now(),
                    "request_id": request_id,
                }
                insert(connection, tables.decision, **known)
                # Not which pair, nor the verdict: partners may read the entries of their projects.
                record(
                    connection,
                    "pair.decided",
                    project=view.project,
                    party=caller,
                    subject=known["id"],
                    run=run,
                )
            elif any(known[key] != value for key, value in values.items()):
                raise StateError("this request id was used for another decision")
        return known

    def decisions(self, caller: PartyId, project: str, *, after: str, size: int) -> Sequence[Row]:
        """Every decision of a project, oldest first."""
        with self._database.transaction() as connection:
            self._projects.require(connection, project, caller)
            return page(connection, tables.decision, after=after, size=size, project=project)

    def _view(self, caller: PartyId, run: str) -> _View:
        project = self._runs.succeeded(caller, run)["project"]
        with self._database.transaction() as connection:
            decided = newest_decisions(connection, project)
        return _View(run, project, self._runs.sources(caller, run), self._results, decided)


class _View:
    """One run's scored pairs, read as they are needed."""

    def __init__(
        self,
        run: str,
        project: str,
        sources: Sequence[Source],
        results: Results,
        decided: dict[Handles, Row],
    ) -> None:
        self.project = project
        self.decided = decided
        self.pairs = [(one.partner, two.partner) for one, two in pairs_to_compare(sources)]
        self._run = run
        self._results = results
        self._sources = {source.partner: source for source in sources}
        self._scored: dict[PartnerPair, ScoredPairs] = {}

    def scored(self, pair: PartnerPair) -> ScoredPairs:
        if pair not in self._scored:
            self._scored[pair] = self._results.scored(self._run, pair)
        return self._scored[pair]

    def handles(self, pair: PartnerPair, number: int) -> Handles:
        scored = self.scored(pair)
        left, right = (self._sources[name].matrix.handles for name in pair)
        return left[scored.left[number]].tobytes(), right[scored.right[number]].tobytes()

    def pair(self, pair: PartnerPair, number: int) -> ReviewPair:
        scored, handles = self.scored(pair), self.handles(pair, number)
        return ReviewPair(
            f"{pair[0]}.{pair[1]}.{number}",
            pair,
            handles,
            float(scored.probability[number]),
            float(scored.weight[number]),
            _levels(scored, number),
            self.decided.get(handles),
        )

    def parse(self, name: str) -> tuple[PartnerPair, int]:
        """Raises NotFoundError unless the run has a pair of that name."""
        left, _, rest = name.partition(".")
        right, _, number = rest.partition(".")
        pair = (left, right)
        known = pair in self.pairs and number.isascii() and number.isdecimal()
        if not known or int(number[:12]) >= len(self.scored(pair).left):
            raise NotFoundError(
                "the run has no such pair",
                remedy="Pairs are named LEFT.RIGHT.NUMBER; linkage hub review lists them",
            )
        return pair, int(number)


def _levels(scored: ScoredPairs, number: int) -> tuple[tuple[str, int, int], ...]:
    tables = scored.summary["level_weights"]
    return tuple(
        (name, -1 if level == MISSING_LEVEL else level, len(table) - 1)
        for (name, table), level in zip(tables.items(), scored.levels[number].tolist(), strict=True)
    )


def newest_decisions(connection: sa.Connection, project: str) -> dict[Handles, Row]:
    """The decision that counts about each two records, by their handles."""
    rows = find_all(connection, tables.decision, order="id", project=project)
    return {(row["left_handle"], row["right_handle"]): row for row in rows}
