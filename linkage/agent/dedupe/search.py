"""Find the rows of a file that are one person: blocks, comparison, model, groups.

found = find_duplicates(read_records(table, progress), DEFAULT_THRESHOLD, progress)
found.group        # per row the number of its group, -1 where it is alone
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.agent.dedupe.blocks import Block, find_candidates
from linkage.agent.dedupe.comparison import Comparer
from linkage.agent.dedupe.groups import Groups, make_groups
from linkage.agent.dedupe.model import Floats, fit, judge
from linkage.agent.dedupe.recordset import Progress, RecordSet, Rows

DEFAULT_THRESHOLD = 0.8
CLEARLY = 0.5
"""Two records that contradict each other are clearly two persons below this probability."""

EDGES = (0.01, 0.1, 0.5, 0.8, 0.9, 0.99)


@dataclass(frozen=True)
class Figures:
    """What a search found, without any value.

    Attributes:
        records: rows that differ in at least one field.
        pairs: pairs of records compared.
        links: pairs linked.
        blocks: where the pairs are from.
        method, why: how probabilities were found, see `model`.
        spread: how many pairs have a probability below each of `EDGES`, and from the last one on.
        precision: expected share of links that are right; None without links.
        recall: expected share of the compared pairs of one person that are linked; None where no
            such pair is expected.
    """

    records: int
    pairs: int
    links: int
    blocks: tuple[Block, ...]
    method: str
    why: str
    spread: tuple[int, ...]
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class Found:
    """The duplicates of a file.

    Attributes:
        group: (rows,) number of the row's group, from 0 in the order of their first rows; -1
            where the row is alone.
        weakest: (groups,) probability of the weakest of the links that hold the group together.
        strongest: (rows,) probability of the row's strongest link; 0 where the row is alone.
        apart: per group that a link leads to but that was kept apart, the numbers of the groups
            it was kept apart from; -1 stands for a row of its own.
        figures: for the summary.
    """

    group: Rows
    weakest: Floats
    strongest: Floats
    apart: dict[int, tuple[int, ...]]
    figures: Figures


def find_duplicates(records: RecordSet, threshold: float, progress: Progress) -> Found:
    """Group the rows of one person.

    Args:
        threshold: pairs from this match probability on are linked.
    """
    candidates = find_candidates(records, progress)
    comparer = Comparer(records)
    compared = comparer(candidates.left, candidates.right, progress)
    progress("learn", 0, 1)
    model = fit(comparer, compared, records.records)
    progress("learn", 1, 1)
    probability = judge(model, compared)
    linked = probability >= threshold

    def apart(left: Rows, right: Rows) -> npt.NDArray[np.bool_]:
        pairs = comparer(left, right)
        return pairs.contradicting & (model.probabilities(pairs.levels) < CLEARLY)

    left, right = compared.left[linked], compared.right[linked]
    groups = make_groups(records.records, left, right, probability[linked], apart)
    everyone = np.arange(records.records)
    alike = judge(model, comparer(everyone, everyone))
    strongest = np.zeros(records.records)
    inside = groups.group[left] == groups.group[right]
    for ends in (left[inside], right[inside]):
        np.maximum.at(strongest, ends, probability[linked][inside])
    figures = Figures(
        records=records.records,
        pairs=len(probability),
        links=int(linked.sum()),
        blocks=candidates.blocks,
        method=model.method,
        why=model.why,
        spread=tuple(
            np.bincount(np.digitize(probability, EDGES), minlength=len(EDGES) + 1).tolist()
        ),
        precision=float(probability[linked].mean()) if linked.any() else None,
        recall=float(probability[linked].sum() / total)
        if (total := float(probability.sum())) > 0
        else None,
    )
    return _by_row(records, groups, alike, strongest, threshold, figures)


def _by_row(
    records: RecordSet,
    groups: Groups,
    alike: Floats,
    strongest: Floats,
    threshold: float,
    figures: Figures,
) -> Found:
    """What was found about records, told about rows.

    Args:
        alike: per record, the probability that two rows that read like it are one person.
    """
    times = np.bincount(records.record, minlength=records.records)
    several = np.bincount(groups.group, minlength=records.records) > 1
    # Rows that read the same are one person if they say enough, or if another record says so.
    grouped = several[groups.group] | ((times > 1) & (alike >= threshold))
    of_row = np.where(grouped[records.record], groups.group[records.record], -1)
    there = np.flatnonzero(of_row >= 0)
    names, first, place = np.unique(of_row[there], return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))
    group = np.full(records.rows, -1, np.int64)
    group[there] = number[place]
    weakest = np.empty(len(names))
    weakest[number] = [groups.weakest.get(int(name), alike[name]) for name in names]
    strongest = np.where(times > 1, np.maximum(strongest, alike), strongest)
    shown = {int(name): int(number[at]) for at, name in enumerate(names)}
    apart = {
        shown[one]: tuple(sorted({shown.get(other, -1) for other in others}))
        for one, others in groups.apart.items()
        if one in shown
    }
    return Found(
        group, weakest, np.where(group >= 0, strongest[records.record], 0.0), apart, figures
    )
