"""How good a linkage is for whom: estimates by the strata that the manifest permits.

- A link counts for the code that either of its rows gives; where both give one and differ, for
  both. A row without a code counts as "not given".
- Cells with 1 to 10 rows or links are suppressed, and where a single cell of a stratum is, the
  next smallest goes with it, so that no total gives it away.
- Precision and recall are expectations under the model's probabilities, as in `quality`.

    report["strata"][stratum][code]    rows {partner: count}, links, precision, recall;
                                       None where suppressed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.agreement.manifest import Stratum
from linkage.matching.assignment import assign
from linkage.matching.clusters import PartnerPair
from linkage.matching.model import ScoredPairs
from linkage.matching.sources import Source

SMALLEST_CELL = 11
NOT_GIVEN = "not given"


def by_stratum(
    sources: Sequence[Source],
    scored: Mapping[PartnerPair, ScoredPairs],
    strata: Sequence[Stratum],
    threshold: float,
) -> dict[str, dict[str, dict[str, Any] | None]]:
    """Estimates per stratum and code, at a threshold.

    Args:
        strata: the manifest's, in the order of the uploads' codes.
        threshold: match probability of the weakest link.
    """
    by_name = {source.partner: source for source in sources}
    linked = {
        pair: _links(one, by_name[pair[0]], by_name[pair[1]]) & (one.probability >= threshold)
        for pair, one in scored.items()
    }
    return {
        stratum.name: _suppressed(
            {
                label: _cell(sources, by_name, scored, linked, number, code)
                for code, label in enumerate((NOT_GIVEN, *stratum.values))
            }
        )
        for number, stratum in enumerate(strata)
    }


def _links(scored: ScoredPairs, left: Source, right: Source) -> npt.NDArray[np.bool_]:
    other = left.partner != right.partner
    return assign(scored, unique_left=left.unique and other, unique_right=right.unique and other)


def _cell(
    sources: Sequence[Source],
    by_name: Mapping[str, Source],
    scored: Mapping[PartnerPair, ScoredPairs],
    linked: Mapping[PartnerPair, npt.NDArray[np.bool_]],
    stratum: int,
    code: int,
) -> dict[str, Any]:
    rows = {
        source.partner: int((source.matrix.strata[:, stratum] == code).sum()) for source in sources
    }
    links, true, matches = 0, 0.0, 0.0
    for pair, one in scored.items():
        left, right = (by_name[name].matrix.strata[:, stratum] for name in pair)
        a, b = left[one.left], right[one.right]
        # A code that one side alone gives is the pair's.
        here = ((a == code) | (b == code)) if code else ((a == 0) & (b == 0))
        chosen = here & linked[pair]
        links += int(chosen.sum())
        true += float(one.probability[chosen].sum())
        matches += float(one.probability[here].sum())
    return {
        "rows": rows,
        "links": links,
        "precision": round(true / links, 4) if links else None,
        "recall": round(min(true / matches, 1.0), 4) if matches else None,
    }


def _suppressed(cells: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any] | None]:
    def smallest(cell: dict[str, Any]) -> int:
        counts = [*cell["rows"].values(), cell["links"]]
        return min((int(count) for count in counts if count), default=0)

    small = {label for label, cell in cells.items() if 0 < smallest(cell) < SMALLEST_CELL}
    if len(small) == 1:
        others = [label for label, cell in cells.items() if label not in small and smallest(cell)]
        small |= set(sorted(others, key=lambda label: smallest(cells[label]))[:1])
    return {label: None if label in small else cell for label, cell in cells.items()}
