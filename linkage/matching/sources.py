"""The values that pass between the steps of matching: uploads and pairs of their rows.

- Struct of arrays throughout, so that each step's result can be written to disk as it is.
- Pairs name rows by number in their upload, never by handle. Where several rows are one person,
  that person is known by its first row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from linkage.agreement.manifest import Scheme
from linkage.encodings import EncodingMatrix
from linkage.errors import FingerprintMismatchError, InvalidRequestError

Rows = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

MISSING = -1


@dataclass(frozen=True)
class Source:
    """One partner's upload.

    Attributes:
        unique: each person stands once in the file, but for the rows of one group.
    """

    partner: str
    matrix: EncodingMatrix
    unique: bool

    @property
    def rows(self) -> int:
        return self.matrix.layout.rows

    @cached_property
    def persons(self) -> Rows:
        """(rows,) the first row of the person that each row belongs to."""
        return self.matrix.persons()

    @cached_property
    def people(self) -> int:
        """How many persons the file holds, as far as the partner knows."""
        return int((self.persons == np.arange(self.rows)).sum())


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows with how far apart their encodings are.

    Attributes:
        left, right: (n,) row numbers in each upload.
        distances: (n, match keys) int16, `MISSING` where either row lacks the key. For
            `saul-v1` the Hamming distance; for `clk-v1` (1 - Dice) * bits, rounded.
        score: (n,) float32, how promising; see `candidates`.
    """

    left: Rows
    right: Rows
    distances: npt.NDArray[np.int16]
    score: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.left)

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Pairs:
        """The pairs chosen by an index or mask."""
        return Pairs(self.left[index], self.right[index], self.distances[index], self.score[index])


@dataclass(frozen=True)
class Null:
    """Distance of unrelated rows, per match key, in the unit of `Pairs.distances`.

    Attributes:
        mean, deviation: (match keys,).
    """

    mean: Floats
    deviation: Floats

    def standardise(self, distances: npt.NDArray[np.int16]) -> Floats:
        """Deviations closer than unrelated rows are; NaN where missing."""
        z = (self.mean - distances.astype(np.float64)) / self.deviation
        return np.where(distances == MISSING, np.nan, z)


def persons_of(pairs: Pairs, left: Rows, right: Rows, *, triangle: bool) -> tuple[Rows, Rows]:
    """The persons of each pair, by their first rows.

    Args:
        left, right: `Source.persons` of either side.
        triangle: the pairs are within one file; the smaller number comes first.
    """
    one, other = left[pairs.left], right[pairs.right]
    if triangle:
        return np.minimum(one, other), np.maximum(one, other)
    return one, other


def check_comparable(left: Source, right: Source, scheme: Scheme) -> None:
    """Refuse two uploads that were not encoded under one manifest.

    Raises:
        FingerprintMismatchError: the uploads carry different manifests.
        InvalidRequestError: their layouts differ, or are not the scheme's.
    """
    one, other = left.matrix.layout, right.matrix.layout
    if one.fingerprint != other.fingerprint:
        raise FingerprintMismatchError(
            f"the uploads of {left.partner!r} and {right.partner!r} were encoded under"
            " different manifests"
        )
    for source in (left, right):
        layout = source.matrix.layout
        if (layout.scheme, layout.bits) != (scheme.name, scheme.bits):
            raise InvalidRequestError(
                f"the upload of {source.partner!r} holds {layout.bits} bits of"
                f" {layout.scheme!r} where the manifest says {scheme.bits} of {scheme.name!r}"
            )
    if one.match_keys != other.match_keys:
        raise InvalidRequestError(
            f"the uploads of {left.partner!r} and {right.partner!r} hold different match keys"
        )
