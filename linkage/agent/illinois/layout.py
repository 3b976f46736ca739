"""What the monthly file looks like, as a declared table with name and version.

- The bundled layout is a draft: `checked` is null until an agency holds it against the form that
  the Illinois State Police publishes. Changing it is a change of a file, not of this software.
- `basis` says what of it is from where; whoever uses a layout is told.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from linkage.agreement.fields import Name, Strict
from linkage.release.crosswalk.documents import Document, Note, Version, Words, parse

OUTCOME_PENDING = "pending"
OUTCOME_NOT_LOCATED = "not_located"

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9 _./()-]{0,79}$")]
Holds = Literal[
    "ori",
    "agency",
    "year",
    "month",
    "incident",
    "date",
    "time",
    "level",
    "levels",
    "outcome",
    "status",
]


class Coded(Strict):
    """A category of the file.

    Attributes:
        written: how the file writes it; by default its code.
    """

    code: Code
    title: Words
    written: Note = ""

    @property
    def text(self) -> str:
        return self.written or self.code


class LayoutColumn(Strict):
    """One column of the file.

    Attributes:
        holds: what stands in it. `level` is yes or no for the level `code`; `levels` are all of
            them in one cell, with semicolons between.
    """

    name: ColumnName
    holds: Holds
    code: Code | None = None


class Layout(Document):
    """A version of the monthly file.

    Attributes:
        rule: the rule it is for.
        basis: what of it is from where.
        checked: when and by whom it was held against the state's own form; None for a draft.
        due_day: day of the following month by which it is to be sent.
    """

    linkage: Literal["crisis-layout/1"]
    name: Name
    version: Version
    rule: Note
    basis: Note
    checked: Note | None
    due_day: Annotated[int, Field(ge=1, le=28)]
    columns: Annotated[tuple[LayoutColumn, ...], Field(min_length=1, max_length=200, strict=False)]
    levels: Annotated[tuple[Coded, ...], Field(min_length=1, max_length=100, strict=False)]
    outcomes: Annotated[tuple[Coded, ...], Field(min_length=1, max_length=100, strict=False)]

    @model_validator(mode="after")
    def _consistent(self) -> Layout:
        names = [column.name for column in self.columns]
        held: list[str] = [column.holds for column in self.columns if column.holds != "level"]
        levels = [level.code for level in self.levels]
        outcomes = [outcome.code for outcome in self.outcomes]
        for values, what in (
            (names, "columns"),
            (held, "columns"),
            (levels, "levels"),
            (outcomes, "outcomes"),
        ):
            if twice := sorted({v for v in values if values.count(v) > 1}):
                raise ValueError(f"{what}: {twice[0]!r} stands twice")
        for column in self.columns:
            if (column.holds == "level") != (column.code is not None):
                raise ValueError(f"column {column.name!r}: a level, and only a level, has a code")
            if column.code is not None and column.code not in levels:
                raise ValueError(f"column {column.name!r}: {column.code!r} is no level")
        for needed in (OUTCOME_PENDING, OUTCOME_NOT_LOCATED):
            if needed not in outcomes:
                raise ValueError(f"outcomes: {needed!r} is missing; every dispatch has its place")
        return self

    def has(self, holds: Holds) -> bool:
        return any(column.holds == holds for column in self.columns)

    def due(self, month: Month) -> dt.date:
        """The last day on which the month's file may be sent."""
        return month.next.first.replace(day=self.due_day)

    def outcome_text(self, code: str) -> str:
        return next(one.text for one in self.outcomes if one.code == code)


class Month(Strict):
    """A calendar month."""

    year: Annotated[int, Field(ge=1900, le=9998)]
    month: Annotated[int, Field(ge=1, le=12)]

    @property
    def first(self) -> dt.date:
        return dt.date(self.year, self.month, 1)

    @property
    def next(self) -> Month:
        if self.month == 12:
            return Month(year=self.year + 1, month=1)
        return Month(year=self.year, month=self.month + 1)

    @property
    def last(self) -> dt.date:
        return self.next.first - dt.timedelta(days=1)

    def holds(self, moment: dt.datetime) -> bool:
        """Whether a local time lies in the month: from its first midnight up to the next one's."""
        return (moment.year, moment.month) == (self.year, self.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


@cache
def bundled_layout() -> Layout:
    """The layout that comes with this software; a draft."""
    file = resources.files("linkage.agent.illinois").joinpath("layout.json")
    return parse(Layout, file.read_bytes(), "layout")
