"""What a partner contributes after a release: tables, fields, and how each is coarsened first."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from linkage.agreement.fields import Name, Strict
from linkage.agreement.policies import Policies

Column = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Transform(StrEnum):
    """What happens to a content field before it leaves the agent."""

    KEEP = "keep"
    YEAR = "year"
    MONTH = "month"
    AGE_BAND = "age_band"
    ZIP3 = "zip3"


RESERVED = frozenset({"index_id", "study_id"})
_NEEDED: dict[Transform, tuple[str, ...]] = {
    Transform.YEAR: ("year",),
    Transform.MONTH: ("year", "month"),
    Transform.AGE_BAND: ("year", "month", "day"),
}
_PROBES = (datetime(1987, 11, 23, tzinfo=UTC), datetime(2001, 2, 3, tzinfo=UTC))


def _tells(declared: str, parts: tuple[str, ...]) -> bool:
    """Whether dates written in a format give these parts back."""
    try:
        found = [datetime.strptime(probe.strftime(declared), declared) for probe in _PROBES]
    except (ValueError, re.error):
        return False
    return all(
        getattr(read, part) == getattr(probe, part)
        for read, probe in zip(found, _PROBES, strict=True)
        for part in parts
    )


class ContentField(Strict):
    """One content field a partner may send, and how it is coarsened first.

    Attributes:
        column: the partner's column; the field's own name where not given.
        values: the only codes allowed with `keep`; None allows any short code, and refuses
            free text.
        reference: for `age_band`, the date (YYYY-MM-DD) at which age is counted.
    """

    name: Name
    column: Column | None = None
    transform: Annotated[Transform, Field(strict=False)] = Transform.KEEP
    values: Annotated[tuple[Column, ...], Field(max_length=5000, strict=False)] | None = None
    date_format: Annotated[str, StringConstraints(max_length=40)] = "%Y-%m-%d"
    reference: Annotated[date, Field(strict=False)] | None = None
    description: Annotated[str, StringConstraints(max_length=1000)] = ""

    @model_validator(mode="after")
    def _reference_given(self) -> ContentField:
        if self.transform is Transform.AGE_BAND and self.reference is None:
            raise ValueError("age_band needs a reference date")
        return self

    @model_validator(mode="after")
    def _name_is_free(self) -> ContentField:
        if self.name in RESERVED:
            raise ValueError(f"{self.name!r} is a column that the release makes itself")
        return self

    @model_validator(mode="after")
    def _format_tells_enough(self) -> ContentField:
        parts = _NEEDED.get(self.transform, ())
        if parts and not _tells(self.date_format, parts):
            raise ValueError(
                f"date_format {self.date_format!r} is not a strptime format that tells"
                f" {', '.join(parts)}, which the transform {self.transform} needs"
            )
        return self


class ContentTable(Strict):
    """One table of content.

    Attributes:
        kind: which of the minimal models the rows follow.
        record_id: column that joins the rows to the partner's identifier file; it never
            leaves the agent. None means that the table is the identifier file itself.
        policies: laws and rules that it is under beside the partner's, or on another ground.
    """

    name: Name
    kind: Literal["person", "event", "service", "site", "measure"]
    record_id: Column | None = None
    fields: Annotated[tuple[ContentField, ...], Field(min_length=1, max_length=200, strict=False)]
    policies: Policies = ()
