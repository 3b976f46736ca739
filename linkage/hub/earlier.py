"""What the runs before one have found, which it need not find again.

Only runs of the same project, manifest and epoch that have succeeded count: others were made with
other keys, or under other rules.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from linkage.encodings import EncodingMatrix
from linkage.hub.basis import uploads_of
from linkage.hub.results import PartnerPair, Results
from linkage.hub.states import SUCCEEDED
from linkage.matching import Candidates, Former, Known, Source, former_rows, known_levels
from linkage.store import tables
from linkage.store.sql import Database, Row, find_all


class EarlierRuns:
    """The runs before a run; each is asked by the run's row."""

    def __init__(self, database: Database, results: Results) -> None:
        self._database = database
        self._results = results

    def all(self, run: Row) -> Sequence[Row]:
        """Those that count, the newest first."""
        with self._database.transaction() as connection:
            rows = find_all(
                connection,
                tables.run,
                order="ended_at",
                project=run["project"],
                fingerprint=run["fingerprint"],
                epoch=run["epoch"],
                state=SUCCEEDED,
            )
        return [row for row in reversed(rows) if row["id"] != run["id"]]

    def last(self, run: Row) -> Row | None:
        """The newest of them."""
        return next(iter(self.all(run)), None)

    def report(self, run: Row) -> dict[str, Any]:
        """The quality report of a run that has succeeded."""
        found: dict[str, Any] = json.loads(self._results.report(run["id"]))
        return found

    def twin(self, run: Row) -> Row | None:
        """The last run, where it stood on the same uploads and all was compared field by field:
        asking again would tell nothing.
        """
        last = self.last(run)
        if last is None or json.loads(last["uploads"]) != json.loads(run["uploads"]):
            return None
        pairs = self.report(last)["pairs"].values()
        return last if all(pair["comparison"] == "pair_keyed" for pair in pairs) else None

    def former(self, run: Row, left: Source, right: Source) -> Former | None:
        """What the last run found between two partners, where it is still known."""
        last, pair = self.last(run), (left.partner, right.partner)
        if last is None or not self._results.has_candidates(last["id"], pair):
            return None
        one, other = self._matrices(last, pair)
        return Former(
            self._results.candidates(last["id"], pair),
            former_rows(one, left.matrix),
            former_rows(other, right.matrix),
        )

    def known(self, run: Row, left: Source, right: Source, found: Candidates) -> Known:
        """Which candidates the last run has compared under pair keys, and what it found."""
        nothing = Known(np.empty(0, np.int64), np.empty((0, 0), np.uint8))
        last, pair = self.last(run), (left.partner, right.partner)
        former = self.former(run, left, right)
        if last is None or former is None:
            return nothing
        if self.report(last)["pairs"]["|".join(pair)]["comparison"] != "pair_keyed":
            return nothing
        scored = self._results.scored(last["id"], pair)
        return known_levels(left, right, found.pairs, former, scored, self._matrices(last, pair))

    def _matrices(self, run: Row, pair: PartnerPair) -> tuple[EncodingMatrix, EncodingMatrix]:
        with self._database.transaction() as connection:
            uploads = uploads_of(connection, run)
        return self._results.matrix(uploads[pair[0]]), self._results.matrix(uploads[pair[1]])
