"""Which fields tell of each other, such as a city and its postcode; judged on a random sample."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from linkage.agent.tally import Hashes, mixed

SAMPLE_ROWS = 1 << 17
_FEWEST_ROWS = 100
_FEWEST_AGREEING = 100
_TOLD_FROM = 0.3


class Sample:
    """Records drawn at random, as hashes of their fields."""

    def __init__(self, fields: int) -> None:
        self._rng = np.random.default_rng()
        self._draws = np.empty(0)
        self._hashes = np.empty((0, fields), np.uint64)
        self._present = np.empty((0, fields), np.bool_)

    def add(self, hashes: Hashes, present: npt.NDArray[np.bool_]) -> None:
        """Draw from one batch.

        Args:
            hashes, present: (records, fields) each field's hash, and whether the record has it.
        """
        # Every record draws a number; those with the smallest ones stay.
        draws = np.concatenate([self._draws, self._rng.random(len(hashes))])
        kept = np.arange(len(draws))
        if len(draws) > SAMPLE_ROWS:
            kept = np.argpartition(draws, SAMPLE_ROWS)[:SAMPLE_ROWS]
        self._draws = draws[kept]
        self._hashes = np.concatenate([self._hashes, hashes])[kept]
        self._present = np.concatenate([self._present, present])[kept]

    def dependence(
        self, names: Sequence[str], person: Sequence[str]
    ) -> dict[tuple[str, str], float]:
        """Pairs of fields that agree together more often than by chance, and the share of bits
        that one tells of the other.

        Repeated records of one person agree in everything and say nothing about fields: pairs of
        records that agree in all of `person` are taken off.
        """
        found = {}
        same = [names.index(name) for name in person]
        for a, b in combinations(range(len(names)), 2):
            rows = self._hashes[self._present[:, [a, b, *same]].all(axis=1)]
            count = len(rows)
            if count < _FEWEST_ROWS:
                continue
            repeated = _agreeing(mixed([rows[:, c] for c in same])) if same else 0
            alone = [max(_agreeing(rows[:, c]) - repeated, 0) for c in (a, b)]
            together = max(_agreeing(mixed([rows[:, a], rows[:, b]])) - repeated, 0)
            pairs = count * (count - 1) / 2
            # Too few agreeing pairs, as with two identifiers, show nothing.
            if together < _FEWEST_AGREEING or min(alone) == 0:
                continue
            shared = np.log2(together * pairs / (alone[0] * alone[1]))
            least = min(np.log2(pairs / agreeing) for agreeing in alone)
            if least > 0 and shared / least >= _TOLD_FROM:
                found[names[a], names[b]] = float(min(shared / least, 1.0))
        return found


def _agreeing(hashes: Hashes) -> int:
    """How many pairs have the same hash."""
    ordered = np.sort(hashes)
    edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    counts = np.diff(edges) if len(hashes) else np.zeros(0, np.int64)
    return int((counts * (counts - 1) // 2).sum())
