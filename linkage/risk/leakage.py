"""What encodings give away as they lie, without any attack.

- Repeats are counted over all records, as equal values have equal encodings.
- How bits lie is looked at where equal values are taken once: repeats would drown it.
- Counts and shares only: no encoding and no row is named.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.risk.view import Words, signs

_SAMPLE = 2048
_NEAR = 0.25


@dataclass(frozen=True)
class Repeats:
    """How often encodings of one match key repeat.

    Attributes:
        rows: records with an encoding.
        values: distinct encodings.
        most: records that bear the most frequent encoding.
        counted: records whose encoding repeats so often that no other repeats as often: what an
            attacker with exact frequencies could name at once.
    """

    rows: int
    values: int
    most: int
    counted: int

    @property
    def distinct(self) -> float:
        """Distinct encodings per record."""
        return self.values / self.rows

    @property
    def commonest(self) -> float:
        """Share of records that bear the most frequent encoding."""
        return self.most / self.rows

    @property
    def frequency_bound(self) -> float:
        """Share of records that exact frequencies name at once."""
        return self.counted / self.rows


@dataclass(frozen=True)
class Leakage:
    """How the bits of one match key's distinct encodings lie.

    Attributes:
        rows: distinct encodings.
        fill, fill_deviation: share of bits set, and how that varies between rows, beside what fair
            coins would give (1 is as much as coins).
        bit_skew: how far bits' frequencies are from one half: root of the mean square, beside
            coins.
        co_occurrence: root of the mean square of the correlation between two bits, beside coins.
        near: share of rows with another, not equal, within a quarter of its bits, in a sample.
    """

    rows: int
    fill: float
    fill_deviation: float
    bit_skew: float
    co_occurrence: float
    near: float

    def as_json(self) -> dict[str, Any]:
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}


def repeats(words: Words) -> Repeats:
    """How often encodings repeat, of at least one record, every record present."""
    whole = np.ascontiguousarray(words).view(f"V{8 * words.shape[1]}").ravel()
    _, counts = np.unique(whole, return_counts=True)
    sizes, times = np.unique(counts, return_counts=True)
    alone = sizes[(times == 1) & (sizes > 1)]
    return Repeats(len(words), len(counts), int(counts.max()), int(alone.sum()))


def leakage(words: Words, rng: np.random.Generator) -> Leakage:
    """How the bits of distinct encodings lie, at least two rows, every row present."""
    rows, bits = len(words), 64 * words.shape[1]
    fill = np.bitwise_count(words).sum(axis=1, dtype=np.int64) / bits
    sample = words[np.sort(rng.choice(rows, min(rows, _SAMPLE), replace=False))]
    raw = np.ascontiguousarray(sample).view(np.uint8)
    frequency = np.unpackbits(raw, axis=1, bitorder="little").mean(axis=0)
    return Leakage(
        rows=rows,
        fill=float(fill.mean()),
        fill_deviation=float(fill.std() * 2 * np.sqrt(bits)),
        bit_skew=float(np.sqrt(((frequency - 0.5) ** 2).mean()) * 2 * np.sqrt(len(sample))),
        co_occurrence=_co_occurrence(sample),
        near=_near(sample),
    )


def signature(presence: npt.NDArray[np.bool_], words: Words) -> dict[str, float]:
    """How far a row's encodings join into a signature, over (match keys, rows).

    Returns:
        `presence`: share of rows whose set of present match keys no other row has; `shared`: mean
        number of match keys in which a row's encoding is also another row's; `alone`: share of
        rows of which no encoding is another row's.
    """
    _, which, times = np.unique(presence.T, axis=0, return_inverse=True, return_counts=True)
    shared = np.zeros(presence.shape[1], np.int64)
    for there, encodings in zip(presence, words, strict=True):
        rows = np.flatnonzero(there)
        whole = np.ascontiguousarray(encodings[rows]).view(f"V{8 * encodings.shape[1]}").ravel()
        _, same, counts = np.unique(whole, return_inverse=True, return_counts=True)
        shared[rows] += counts[same] > 1
    return {
        "presence": round(float((times[which] == 1).mean()), 6),
        "shared": round(float(shared.mean()), 6),
        "alone": round(float((shared == 0).mean()), 6),
    }


def _co_occurrence(sample: Words) -> float:
    bits = signs(sample)
    deviation = bits.std(axis=0)
    bits = bits[:, deviation > 0] / deviation[deviation > 0]
    if bits.shape[1] < 2:
        return 0.0
    bits = bits[:, :512]
    together = bits.T @ bits / len(bits)
    np.fill_diagonal(together, 0)
    pairs = together.shape[0] * (together.shape[0] - 1)
    return float(np.sqrt((together**2).sum() / pairs * len(bits)))


def _near(sample: Words) -> float:
    bits = 64 * sample.shape[1]
    found = 0
    for row in sample:
        distance = np.bitwise_count(sample ^ row).sum(axis=1, dtype=np.int64)
        found += bool(((distance > 0) & (distance <= _NEAR * bits)).any())
    return found / len(sample)
