"""Values that may stand for "not known": such as read like it, and such as are far too common.

A `Suspect` names a place and a count. Only who reads the file again can tell the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from linkage.agent.tally import Hashes, Objects, Spread
from linkage.agreement import FieldType
from linkage.agreement.profile import SMALLEST_COUNT

MAX_SUSPECTS = 1000
SHOWN_SUSPECTS = 5
_TOO_COMMON = 0.002
_SPREAD_THIN = frozenset(
    {FieldType.DATE_OF_BIRTH, FieldType.PHONE, FieldType.NATIONAL_ID, FieldType.EMAIL}
)
_PLACEHOLDER_DATES = pa.array(
    ["1899-12-30", "1899-12-31", "1900-01-01", "1901-01-01", "1911-11-11", "1970-01-01"]
)
# fmt: off
_PLACEHOLDER_WORDS = pa.array(
    [
        "unknown", "unk", "unkn", "unknwn", "none", "null", "nil", "na", "n a", "nan",
        "not available", "missing", "not known", "not given", "not provided", "refused",
        "declined", "anonymous", "test", "testing", "dummy", "sample", "tbd", "tba", "blank",
        "empty", "nmn", "nmi", "nfn", "nln", "no name", "noname", "no first name",
        "no last name", "transient", "homeless", "no fixed address", "nfa", "unsheltered",
        "baby", "infant", "baby boy", "baby girl", "babyboy", "babygirl", "newborn", "doe",
        "john doe", "jane doe", "123456789", "1234567890", "0123456789",
    ]
)
# fmt: on
_REPEATED = "|".join(
    [f"{digit}{{4,}}" for digit in "123456789"] + ["0{3,}"] + [f"{mark}{{2,}}" for mark in "xz"]
)


@dataclass(frozen=True)
class Suspect:
    """A value that may stand for "not known".

    Attributes:
        hash: tells the value within this profile only.
        share: of the records that have the field.
        why: what makes it suspect, without naming it.
    """

    hash: int
    count: int
    share: float
    why: str


class Placeholders:
    """Looks for them among the values of one field, batch by batch."""

    def __init__(self, kind: FieldType) -> None:
        self._kind = kind
        self._looks: dict[int, int] = {}

    def add(self, distinct: Objects, hashes: Hashes, counts: npt.NDArray[np.int64]) -> None:
        """Look at one batch: its different values, their hashes, and how often each stands."""
        for place in np.flatnonzero(reads_like_placeholder(self._kind, distinct)):
            name = int(hashes[place])
            if name in self._looks or len(self._looks) < MAX_SUSPECTS:
                self._looks[name] = self._looks.get(name, 0) + int(counts[place])

    def suspects(self, spread: Spread, commonest: Sequence[tuple[int, int]]) -> tuple[Suspect, ...]:
        """The worst of them, the most frequent first.

        Args:
            commonest: hashes of the field's commonest values, with their counts.
        """
        # People are born on such days too: as often as on others.
        usual = spread.rows / max(spread.distinct, 1)
        least = 3 * usual if self._kind is FieldType.DATE_OF_BIRTH else 1
        found = {
            name: (count, "reads like a placeholder")
            for name, count in self._looks.items()
            if count >= least
        }
        if self._kind in _SPREAD_THIN:
            for name, count in commonest:
                if count >= max(SMALLEST_COUNT, spread.rows * _TOO_COMMON):
                    found.setdefault(name, (count, "far commoner than such values are"))
        ranked = sorted(found.items(), key=lambda item: (-item[1][0], item[0]))[:SHOWN_SUSPECTS]
        return tuple(
            Suspect(name, count, count / spread.rows, why) for name, (count, why) in ranked
        )


def reads_like_placeholder(kind: FieldType, distinct: Objects) -> npt.NDArray[np.bool_]:
    """Which normalised values of a field of this type read as if they stood for "not known"."""
    if not len(distinct):
        return np.zeros(0, np.bool_)
    texts = pa.array(distinct, pa.string())
    if kind is FieldType.DATE_OF_BIRTH:
        found = pc.is_in(texts, _PLACEHOLDER_DATES)
    elif kind is FieldType.SEX:
        return np.zeros(len(distinct), np.bool_)
    else:
        found = pc.or_(
            pc.is_in(texts, _PLACEHOLDER_WORDS),
            pc.match_substring_regex(texts, f"^(?:{_REPEATED})$"),
        )
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)
