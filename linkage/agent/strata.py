"""The coarse codes by which a quality report may be broken down, one byte each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from linkage.agreement import Partner
from linkage.agreement.parties import Stratum
from linkage.encoding.folding import plain


class Strata:
    """A partner's columns of strata, in the manifest's order of strata."""

    def __init__(self, strata: Sequence[Stratum], partner: Partner) -> None:
        self.names = tuple(stratum.name for stratum in strata)
        self._missing = partner.missing
        self._read = [
            (place, partner.strata[s.name], {v.strip(): code for code, v in enumerate(s.values, 1)})
            for place, s in enumerate(strata)
            if s.name in partner.strata
        ]
        self.columns = [column for _, column, _ in self._read]

    def codes(
        self, cells: Mapping[str, Sequence[str | None]], rows: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """The place of each cell among its stratum's values.

        Blanks around a cell do not count; case does.

        Returns:
            (rows, strata) places from 1, 0 where the cell is empty or not listed or there is no
            column; (strata,) how many cells are filled and not listed.
        """
        codes = np.zeros((rows, len(self.names)), np.uint8)
        unlisted = np.zeros(len(self.names), np.int64)
        for place, column, listed in self._read:
            texts = filled(cells[column], self._missing)
            codes[:, place] = [0 if text is None else listed.get(text, 0) for text in texts]
            given = int(np.count_nonzero(codes[:, place]))
            unlisted[place] = rows - texts.count(None) - given
        return codes, unlisted


def filled(cells: Sequence[str | None], missing: Collection[str]) -> list[str | None]:
    """Cells without blanks around; None where empty or declared as "not known"."""
    unknown = {plain(text).strip().casefold() for text in missing} | {""}
    index: dict[str | None, str | None] = {}
    for cell in cells:
        if cell not in index:
            text = (cell or "").strip()
            index[cell] = None if plain(text).casefold() in unknown else text
    return [index[cell] for cell in cells]
