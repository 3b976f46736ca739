"""Turn how alike two rows are into levels, the only thing the model sees of a pair.

- One column per thing compared, one small whole number per pair and column: 0 is "unlike",
  higher is more alike, `MISSING_LEVEL` says nothing.
- The model asks nothing about where levels come from. Here they come from the match keys'
  distances; `fieldwise` makes them of fields compared under a pair key.
- Match keys share fields, so their columns form one group whose weights are tempered together;
  the candidates' score is a second group, the pair seen as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.agreement.manifest import Clk, Scheme
from linkage.matching.sources import MISSING, Floats, Null, Pairs

MISSING_LEVEL = 255

# Lower ends of the levels, on the correlation of two rows' single hashes.
_SAUL_CUTS = (0.40, 0.48, 0.56, 0.64, 0.72)
_DICE_CUTS = (0.60, 0.70, 0.78, 0.85, 0.92)
_SCORE_CUTS = (1, 2, 3, 4, 5, 6, 7, 8.5, 10, 12, 14, 17, 20, 24, 28, 33, 40, 50, 62, 80, 100)
_NOISE_Z = 3.0
_TEXTBOOK = (-4.0, 10.0)
_EXPECTED_RISE = 2.745  # so that both kinds' shares add up to 1 under these weights


@dataclass(frozen=True)
class Dimension:
    """One thing that is compared, and what is expected of it before anything is known.

    Attributes:
        name: what reports call it.
        m, u: (levels,) how often matches and non-matches are expected at each level; sum to 1.
        alike_from: the level from which on two records can be called alike; None where nothing
            follows from the dimension alone.
    """

    name: str
    m: Floats
    u: Floats
    alike_from: int | None = None


@dataclass(frozen=True)
class ComparisonVectors:
    """Levels of likeness of many pairs.

    Attributes:
        levels: (pairs, dimensions) uint8; `MISSING_LEVEL` where nothing can be said.
        dimensions: what the columns are.
        groups: dimensions that depend on each other, weighed together; every dimension stands
            in exactly one group. A group of one has its full weight.
    """

    levels: npt.NDArray[np.uint8]
    dimensions: tuple[Dimension, ...]
    groups: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.levels)


def compare(
    pairs: Pairs, null: Null, scheme: Scheme, match_keys: tuple[str, ...]
) -> ComparisonVectors:
    """Comparison vectors from the match keys' distances.

    For `saul-v1` the distance is first taken back through the XOR of its hashes, so that a
    level means the same whatever `hashes` is. A distance that unrelated rows often reach
    (z below 3) counts as "unlike" in either scheme.
    """
    keys = len(match_keys)
    levels = np.empty((len(pairs), keys + 1), np.uint8)
    unlike = ~(null.standardise(pairs.distances) >= _NOISE_Z)
    for key in range(keys):
        distance = pairs.distances[:, key].astype(np.float64) / scheme.bits
        if not isinstance(scheme, Clk):
            likeness = np.clip(1 - 2 * distance, 0, 1) ** (1 / scheme.hashes)
            level = np.searchsorted(_SAUL_CUTS, likeness, side="right")
        else:
            level = np.searchsorted(_DICE_CUTS, 1 - distance, side="right")
        level[unlike[:, key]] = 0
        level[pairs.distances[:, key] == 0] = len(_SAUL_CUTS) + 1
        level[pairs.distances[:, key] == MISSING] = MISSING_LEVEL
        levels[:, key] = level
    levels[:, keys] = np.searchsorted(_SCORE_CUTS, pairs.score, side="right")
    levels[(pairs.distances == MISSING).all(axis=1), keys] = MISSING_LEVEL
    count = len(_SAUL_CUTS) + 2
    dimensions = [_dimension(name, count, np.linspace(*_TEXTBOOK, count)) for name in match_keys]
    count = len(_SCORE_CUTS) + 1
    dimensions.append(_dimension("score", count, np.zeros(count)))
    return ComparisonVectors(levels, tuple(dimensions), (tuple(range(keys)), (keys,)))


def _dimension(name: str, count: int, textbook: Floats) -> Dimension:
    """What is expected of matches, and of non-matches so that these weights follow."""
    m = np.exp2(np.linspace(0, _EXPECTED_RISE, count))
    u = m / np.exp2(textbook)
    return Dimension(name, m / m.sum(), u / u.sum())
