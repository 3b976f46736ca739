"""What is wrong with a partner's file: the first problems kept, all counted, their rows marked.

Memory is bounded by the problems kept and one byte per row, however many rows are wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.errors import Problem

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, order=True)
class Reason:
    """One kind of problem, and how often it stands in a file.

    Attributes:
        file: where it is not the identifier file.
    """

    field: str
    message: str
    count: int
    file: str = ""


class Findings:
    """The problems of one file.

    Args:
        most: so many are kept, the first ones.
        file: the file's name where it is not the identifier file.
    """

    def __init__(self, most: int, file: str = "") -> None:
        self.rows = 0
        self._most = most
        self._file = file
        self._kept: list[Problem] = []
        self._batch: list[tuple[str, Rows, str]] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._bad: list[npt.NDArray[np.bool_]] = []
        self._later: list[Rows] = []

    def add(self, column: str, rows: Rows, message: str) -> None:
        """Rows of the batch, 0-based and ascending, with the same problem."""
        if len(rows):
            self._batch.append((column, rows, message))

    def next_batch(self, count: int) -> None:
        """A batch of so many rows is at its end."""
        room = self._most - len(self._kept)
        found: list[Problem] = []
        bad = np.zeros(count, np.bool_)
        for column, rows, message in self._batch:
            self._counts[column, message] += len(rows)
            bad[rows] = True
            found += [
                Problem(self.rows + int(row) + 1, column, message, self._file)
                for row in rows[:room]
            ]
        self._kept += sorted(found)[:room]
        self._batch.clear()
        self._bad.append(bad)
        self.rows += count

    def add_later(self, column: str, rows: Rows, message: str, others: Rows | None = None) -> None:
        """Rows of the whole file with a problem that only its end shows.

        Args:
            message: with `{}` where the other row is named.
            others: for each of them the row it collides with, which is as unfit.
        """
        if not len(rows):
            return
        self._counts[column, message.format("another row")] += len(rows)
        self._later.append(rows)
        texts = [message] * min(len(rows), self._most)
        if others is not None:
            self._later.append(others)
            texts = [message.format(f"row {int(other) + 1}") for other in others[: self._most]]
        found = [
            Problem(int(row) + 1, column, text, self._file)
            for row, text in zip(rows[: self._most], texts, strict=True)
        ]
        self._kept = sorted(self._kept + found)[: self._most]

    @property
    def total(self) -> int:
        return self._counts.total()

    @property
    def problems(self) -> list[Problem]:
        """The first ones, in the order of the file."""
        return list(self._kept)

    @property
    def reasons(self) -> list[Reason]:
        """What is wrong, and how often."""
        return sorted(Reason(*what, count, self._file) for what, count in self._counts.items())

    def bad(self) -> npt.NDArray[np.bool_]:
        """(rows,) whether a row has a problem."""
        bad = np.concatenate([np.zeros(0, np.bool_), *self._bad])
        for rows in self._later:
            bad[rows] = True
        return bad
