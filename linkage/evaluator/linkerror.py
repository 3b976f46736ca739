"""Shares of people corrected for wrong and missing links, with intervals that say so.

Of a group of people with an event, `share` are seen to be followed by a service of another
partner. With recall r and precision p of the links between the two, `linked` the share of the
group that is linked to the other partner at all, and `background` the chance b that a person of
the other partner picked at random has such a service in the same window:

    E[share] = r * true + (1 - p) * linked * b
    true     = (share - (1 - p) * linked * b) / r

- It is the estimator of Rogan and Gladen (1978) for a test that misses and errs, with the two
  error rates put in terms of links. It holds where links are missed as often among those whom
  the service followed as among the others, and where a wrong link points to somebody whose
  service has nothing to do with the event.
- Intervals are 95%. Sampling (Wilson, over persons), the recall's uncertainty and the
  precision's are joined by the method of variance estimates recovery (Zou and Donner 2008), so
  that a bound near 0 or 1 keeps its own width.
- The report's intervals of precision and recall tell of chance alone. `MEASURED` is how far the
  model's estimates were seen to be off beside that; see docs/explanation/linkage-error.md.

    error = LinkError.between(quality, "sheriff", "health")
    correct(Counted(people=961, followed=289, linked=402), error, background=0.06).true
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from linkage.errors import InputError

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Range:
    """An estimate and its 95% interval."""

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Range:
        return cls(value, value, value)

    def widened(self, below: float, above: float) -> Range:
        """With another, independent source of error on either side, inside 0 and 1."""
        down = math.hypot(self.value - self.low, below)
        up = math.hypot(self.high - self.value, above)
        return Range(self.value, max(0.0, self.value - down), min(1.0, self.value + up))


@dataclass(frozen=True)
class ModelError:
    """How far the true precision and recall may lie below and above the model's estimates."""

    precision: tuple[float, float]
    recall: tuple[float, float]

    @classmethod
    def of(cls, size: float) -> ModelError:
        """The same everywhere."""
        return cls((size, size), (size, size))


# The model believes a little too much of its links, and leaves much of its doubt with pairs that
# are none, so that its recall is too low.
MEASURED = ModelError(precision=(0.04, 0.01), recall=(0.03, 0.16))


@dataclass(frozen=True)
class LinkError:
    """How far links between two partners can be trusted.

    Attributes:
        source: where the figures come from, for readers.
    """

    precision: Range
    recall: Range
    source: str

    @classmethod
    def none(cls) -> LinkError:
        """Of rows of one and the same partner's file, one per person."""
        one = Range.exactly(1.0)
        return cls(one, one, "both tables are of one partner: no link is involved")

    @classmethod
    def given(cls, precision: float, recall: float) -> LinkError:
        """Measured by other means: a clerical review, or a truth.

        Raises:
            InputError: not shares above 0.
        """
        for name, value in (("precision", precision), ("recall", recall)):
            if not 0 < value <= 1:
                raise InputError(f"a {name} is above 0 and at most 1, not {value:g}")
        p, r = Range.exactly(precision), Range.exactly(recall)
        return cls(p, r, "given by whoever made this report")

    @classmethod
    def between(
        cls,
        quality: Mapping[str, Any],
        one: str,
        other: str,
        *,
        model_error: ModelError = MEASURED,
    ) -> LinkError | None:
        """What the quality report estimates for a pair of partners; None where it says nothing.

        Links that were never candidates are in the report's `candidate_recall` alone; both
        losses count here. How many of the pairs below the threshold are matches is the model's
        weakest estimate: recall is taken to be up to what it would be if none were.
        """
        pairs = quality.get("pairs", {})
        pair = pairs.get(f"{one}|{other}") or pairs.get(f"{other}|{one}") or {}
        found = pair.get("at_recommended") or quality.get("recommended")
        if not found or not found.get("recall"):
            return None
        source = f"the quality report's estimate for {one} and {other}"
        if "at_recommended" not in pair:
            source = "the quality report's estimate for all partners together"
        reached = 1.0 if pair.get("candidate_recall") is None else float(pair["candidate_recall"])
        below, above = model_error.recall
        recall = _scaled(_range(found, "recall"), reached).widened(below, above)
        # At most all that became candidates: none of the pairs left in doubt is then a match.
        most = Range.exactly(reached).widened(below, below).high
        return cls(
            _range(found, "precision").widened(*model_error.precision),
            Range(recall.value, recall.low, max(recall.high, most)),
            source,
        )

    def for_stratum(self, found: Mapping[str, Any] | None, name: str) -> LinkError:
        """The same, with a stratum's own precision and recall where the report shows them.

        The interval keeps its width: the report gives none by stratum.
        """
        if not found or not found.get("precision") or not found.get("recall"):
            return self
        precision = _moved(self.precision, float(found["precision"]))
        recall = _moved(self.recall, float(found["recall"]))
        return LinkError(precision, recall, f"{self.source}, stratum {name}")


@dataclass(frozen=True)
class Counted:
    """What was counted of a group.

    Attributes:
        people: with an event.
        followed: events (or people, where each counts once) that a service followed.
        events: how many there are; None where each person counts once.
        linked: people who are linked to the partner of the service.
        sampled: how many independent observations the share is worth; None for `people`.
    """

    people: int
    followed: int
    linked: int
    events: int | None = None
    sampled: float | None = None

    @property
    def of(self) -> int:
        return self.people if self.events is None else self.events


@dataclass(frozen=True)
class Corrected:
    """A share as it was seen, and as it is likely to be.

    Attributes:
        raw: with its Wilson interval: sampling alone, as if every link were right.
        true: corrected, with everything.
        sampling, missed, wrong: half-width that each source of error gives by itself.
    """

    raw: Range
    true: Range
    sampling: float
    missed: float
    wrong: float


def correct(counted: Counted, error: LinkError, *, background: float) -> Corrected:
    """The share of a group that a service followed; see the module's text.

    Args:
        background: the chance that somebody of the other partner, picked at random, has a
            service in the window.
    """
    if not counted.of:
        nothing = Range(0.0, 0.0, 1.0)
        return Corrected(nothing, nothing, 0.5, 0.0, 0.0)
    share = counted.followed / counted.of
    size = counted.people if counted.sampled is None else counted.sampled
    raw = Range(share, *wilson(share * size, size))
    r, p = error.recall, error.precision
    linked = counted.linked / counted.people if counted.people else 0.0
    chance = linked * background
    # What wrong links alone can have given is at most what was seen.
    by_chance = min((1 - p.value) * chance, share)
    value = min((share - by_chance) / r.value, 1.0)
    sampling = ((raw.value - raw.low) / r.value, (raw.high - raw.value) / r.value)
    wrong = (chance * (p.value - p.low) / r.value, chance * (p.high - p.value) / r.value)
    missed = (value * (1 - r.value / r.high), value * (r.value / max(r.low, 1e-9) - 1))
    below = math.sqrt(sampling[0] ** 2 + wrong[0] ** 2 + missed[0] ** 2)
    above = math.sqrt(sampling[1] ** 2 + wrong[1] ** 2 + missed[1] ** 2)
    return Corrected(
        raw,
        Range(value, max(0.0, value - below), min(1.0, value + above)),
        *(sum(sides) / 2 for sides in (sampling, missed, wrong)),
    )


def observations(share: float, variance: float, most: float) -> float:
    """How many independent observations would give a share this variance; at most `most`."""
    if variance <= 0 or not 0 < share < 1:
        return most
    return min(most, max(1.0, share * (1 - share) / variance))


def _range(found: Mapping[str, Any], name: str) -> Range:
    value = float(found[name])
    low, high = found.get(f"{name}_interval") or (value, value)
    return Range(value, float(low), float(high))


def _scaled(range_: Range, by: float) -> Range:
    return Range(range_.value * by, range_.low * by, range_.high * by)


def _moved(range_: Range, to: float) -> Range:
    shift = to - range_.value
    return Range(to, max(0.0, range_.low + shift), min(1.0, range_.high + shift))


def wilson(part: float, people: float) -> tuple[float, float]:
    """The 95% interval of a share after Wilson; (0, 1) for no people."""
    if people <= 0:
        return 0.0, 1.0
    share = part / people
    scale = 1 + Z95**2 / people
    centre = (share + Z95**2 / (2 * people)) / scale
    spread = Z95 / scale * math.sqrt(share * (1 - share) / people + Z95**2 / (4 * people**2))
    return max(0.0, centre - spread), min(1.0, centre + spread)


__all__ = [
    "MEASURED",
    "Corrected",
    "Counted",
    "LinkError",
    "ModelError",
    "Range",
    "correct",
    "observations",
    "wilson",
]
