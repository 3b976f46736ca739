"""Months ("2024-05"), quarters ("2024-Q2") and years as nodes of one tree."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

Period = Literal["month", "quarter", "year"]
PERIODS: tuple[Period, ...] = ("month", "quarter", "year")


def coarser(months: pd.Series[Any], period: Period) -> pd.Series[Any]:
    """Months as periods of another length."""
    if period == "month":
        return months
    year = months.str.slice(0, 4)
    if period == "year":
        return year
    quarter = (pd.to_numeric(months.str.slice(5, 7)) + 2) // 3
    return year + "-Q" + quarter.astype("Int64").astype("string").astype(object)


def levels(nodes: pd.Series[Any]) -> dict[str, str]:
    """Month → quarter → year, for what there is."""
    found: dict[str, str] = {}
    for node in nodes.dropna().unique():
        text = str(node)
        if len(text) == 7 and text[5] != "Q":
            quarter = f"{text[:4]}-Q{(int(text[5:7]) + 2) // 3}"
            found[text] = quarter
            found[quarter] = text[:4]
        elif len(text) == 7:
            found[text] = text[:4]
    return found


def all_periods(nodes: pd.Series[Any], period: Period) -> list[str]:
    """Every period from the first to the last, so that one without contacts is there as 0."""
    known = sorted(nodes.dropna().unique())
    if not known or period == "year":
        return [str(node) for node in known]
    per = {"month": 12, "quarter": 4}[period]

    def number(text: str) -> int:
        return int(text[:4]) * per + int(text[5:].lstrip("Q")) - 1

    form = "{}-{:02d}" if period == "month" else "{}-Q{}"
    span = range(number(str(known[0])), number(str(known[-1])) + 1)
    return [form.format(n // per, n % per + 1) for n in span]
