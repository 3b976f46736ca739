"""What may happen to a content field before it leaves the agent."""

from __future__ import annotations

from enum import StrEnum


class Transform(StrEnum):
    """What happens to a content field before it leaves the agent."""

    KEEP = "keep"
    YEAR = "year"
    MONTH = "month"
    AGE_BAND = "age_band"
    ZIP3 = "zip3"
    NUMBER = "number"
    DAY = "day"
