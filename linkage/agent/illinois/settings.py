"""What an agency's own columns and codes mean for the monthly file.

- Written once by the agency, read each month. It holds codes, no data.
- A local code that it does not know stops the report: nothing is guessed, nothing is dropped.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from linkage.agent.illinois.layout import Code, Layout
from linkage.agreement.fields import Strict
from linkage.agreement.lookups import Column
from linkage.errors import Problem
from linkage.release.crosswalk.documents import Agency, Document, Local, Standard, Words, faulty

MAX_LOCAL = 2000


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not a time zone such as America/Chicago") from None
    return name


def _format(declared: str) -> str:
    probe = datetime(2023, 12, 31, 23, 58, 59, tzinfo=UTC)
    try:
        read = datetime.strptime(probe.strftime(declared), declared)
    except ValueError:
        read = datetime.min
    told = (read.year, read.month, read.day, read.hour, read.minute)
    if told != (2023, 12, 31, 23, 58):
        raise ValueError("is not a strptime format that tells year, month, day, hour and minute")
    return declared


class Columns(Strict):
    """The agency's columns.

    Attributes:
        incident: number of the incident; rows that share it are one.
        dispatched: when an officer was dispatched, with the time of day; empty where nobody was.
        reason: why, as the dispatcher knew it; never a type that was changed afterwards.
        level: who responded.
        outcome: how it ended; empty while it is open.
        updated: when the outcome was written, where outcomes are revised.
        source: how it came to the officer, where that is kept.
    """

    incident: Column
    dispatched: Column
    reason: Column
    level: Column
    outcome: Column
    updated: Column | None = None
    source: Column | None = None


class Settings(Document):
    """An agency's settings.

    Attributes:
        ori: the agency's originating agency identifier.
        date_format: strptime format of the columns of times; with %z they are taken into
            `time_zone`, without it they are local times already.
        crisis: codes of `reason` that mean a mental health crisis.
        crisis_standard: instead, standard codes of a crosswalk.
        crosswalk_agency: the agency's name in that crosswalk.
        levels: local code of `level` → levels of the file.
        level_separator: where one cell holds several local codes, what stands between them.
        outcomes: local code of `outcome` → outcome of the file.
        not_dispatched: values of `source` that are no dispatch: seen by the officer, broadcast.
        missing: cells that mean "not known", compared without case.
    """

    linkage: Literal["crisis-report/1"]
    agency: Words
    ori: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{7,9}$")]
    time_zone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone)] = (
        "America/Chicago"
    )
    columns: Columns
    date_format: Annotated[str, StringConstraints(max_length=40), AfterValidator(_format)] = (
        "%Y-%m-%d %H:%M:%S"
    )
    crisis: Annotated[tuple[Local, ...], Field(max_length=MAX_LOCAL, strict=False)] = ()
    crisis_standard: Annotated[tuple[Standard, ...], Field(max_length=200, strict=False)] = ()
    crosswalk_agency: Agency | None = None
    levels: Annotated[
        dict[Local, Annotated[tuple[Code, ...], Field(min_length=1, strict=False)]],
        Field(min_length=1, max_length=MAX_LOCAL),
    ]
    level_separator: Annotated[str, StringConstraints(max_length=1)] = ""
    outcomes: Annotated[dict[Local, Code], Field(min_length=1, max_length=MAX_LOCAL)]
    not_dispatched: Annotated[tuple[Local, ...], Field(max_length=MAX_LOCAL, strict=False)] = ()
    missing: Annotated[tuple[Words, ...], Field(max_length=50, strict=False)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if bool(self.crisis) == bool(self.crisis_standard):
            raise ValueError("give either crisis or crisis_standard")
        if bool(self.crisis_standard) != bool(self.crosswalk_agency):
            raise ValueError("crisis_standard and crosswalk_agency go together")
        if self.not_dispatched and self.columns.source is None:
            raise ValueError("not_dispatched needs columns.source")
        return self

    def require_fit(self, layout: Layout, source: str) -> None:
        """Raises SourceError naming levels and outcomes that the layout does not have."""
        levels = {one.code for one in layout.levels}
        outcomes = {one.code for one in layout.outcomes}
        problems = [
            Problem(0, f"levels.{local}", f"{code!r} is no level of {layout.name}")
            for local, codes in self.levels.items()
            for code in codes
            if code not in levels
        ]
        problems += [
            Problem(0, f"outcomes.{local}", f"{code!r} is no outcome of {layout.name}")
            for local, code in self.outcomes.items()
            if code not in outcomes
        ]
        if problems:
            raise faulty(source, problems)
