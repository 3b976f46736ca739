"""What a partner contributes after a release: tables, fields, and how each is coarsened first."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from linkage.agreement.checks import distinct
from linkage.agreement.content_profiles import ContentProfile
from linkage.agreement.fields import Name, Strict
from linkage.agreement.lookups import NEEDING, Column, FieldLookup
from linkage.agreement.models import IMPERSONAL, MODELS, Kind
from linkage.agreement.policies import Policies
from linkage.agreement.transforms import Transform

__all__ = ["ContentField", "ContentTable", "Transform"]

Geoid = Annotated[str, StringConstraints(pattern=r"^([0-9]{2}|[0-9]{5})$")]

MAX_MAPPED = 20_000
RESERVED = frozenset({"index_id", "study_id"})
_NEEDED: dict[Transform, tuple[str, ...]] = {
    Transform.YEAR: ("year",),
    Transform.MONTH: ("year", "month"),
    Transform.AGE_BAND: ("year", "month", "day"),
    Transform.DAY: ("year", "month", "day"),
}
_LISTED = (Transform.KEEP, Transform.MUNICIPALITY, Transform.CROSSWALK)
_GEOIDS = (Transform.TRACT, Transform.MUNICIPALITY, Transform.COUNTY)
# Days from a first event: an age at it, were the day one of birth.
_KINDS_WITH_DAYS = ("event", "service")
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
        values: the only codes allowed with `keep`, `municipality` and `crosswalk`; None allows any
            short code, and refuses free text.
        reference: for `age_band`, the date (YYYY-MM-DD) at which age is counted.
        mapping: for `generalise`, every cell there may be and the coarser code it leaves as.
        edges: for `band`, where bands begin, ascending; 0, 18, 65 give <0, 0-17, 18-64, 65+.
        top: for `top_code`, the whole number from which on numbers leave as "90+".
        within: for places, the states (two digits) or counties (five) whose GEOIDs may leave.
        lookup: in which file of the partner's own cells are looked up first.
        means: the term of the [minimal model](content.md) of the table's kind that the field is;
            reports find their columns by it.
        recipients: whose extracts hold the field; those of every recipient where not given.
    """

    name: Name
    column: Column | None = None
    transform: Annotated[Transform, Field(strict=False)] = Transform.KEEP
    values: Annotated[tuple[Column, ...], Field(max_length=5000, strict=False)] | None = None
    date_format: Annotated[str, StringConstraints(max_length=40)] = "%Y-%m-%d"
    reference: Annotated[date, Field(strict=False)] | None = None
    description: Annotated[str, StringConstraints(max_length=1000)] = ""
    mapping: dict[Column, Column] | None = None
    edges: (
        Annotated[
            tuple[Annotated[int, Field(ge=0, le=1_000_000_000)], ...],
            Field(min_length=1, max_length=100, strict=False),
        ]
        | None
    ) = None
    top: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    within: (
        Annotated[tuple[Geoid, ...], Field(min_length=1, max_length=200, strict=False)] | None
    ) = None
    lookup: FieldLookup | None = None
    means: Name | None = None
    recipients: Annotated[tuple[Name, ...], Field(max_length=16, strict=False)] | None = None

    @model_validator(mode="after")
    def _reference_given(self) -> ContentField:
        if self.transform is Transform.AGE_BAND and self.reference is None:
            raise ValueError("age_band needs a reference date")
        return self

    @model_validator(mode="after")
    def _settings_fit_the_transform(self) -> ContentField:
        for transform, setting in (
            (Transform.GENERALISE, "mapping"),
            (Transform.BAND, "edges"),
            (Transform.TOP_CODE, "top"),
        ):
            given = getattr(self, setting) is not None
            if given and self.transform is not transform:
                raise ValueError(f"{setting}: is for the transform {transform} only")
            if not given and self.transform is transform:
                raise ValueError(f"{setting}: the transform {transform} needs it")
        if self.mapping is not None and not 0 < len(self.mapping) <= MAX_MAPPED:
            raise ValueError(f"mapping: must have 1 to {MAX_MAPPED} cells")
        if self.edges is not None and list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges: must ascend")
        if self.values is not None and self.transform not in _LISTED:
            raise ValueError(f"values: is for the transforms {', '.join(_LISTED)} only")
        return self

    @model_validator(mode="after")
    def _lookup_fits_the_transform(self) -> ContentField:
        if self.lookup is None:
            if self.transform in NEEDING:
                raise ValueError(f"lookup: the transform {self.transform} needs it")
        elif fault := self.lookup.fault(self.transform):
            raise ValueError(fault)
        elif self.lookup.unmapped in (self.values or ()):
            raise ValueError("lookup: unmapped: is one of the values")
        return self

    @model_validator(mode="after")
    def _within_fits_the_transform(self) -> ContentField:
        if self.within is None:
            return self
        if self.transform not in _GEOIDS or self.values is not None:
            raise ValueError(f"within: is for GEOIDs, of the transforms {', '.join(_GEOIDS)}, only")
        if self.transform is Transform.MUNICIPALITY and any(len(one) > 2 for one in self.within):
            raise ValueError("within: the GEOID of a municipality tells its state only: two digits")
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
        kind: which of the minimal models the rows follow. Rows of `site` and `measure` are about
            no person: they join to nothing and bear no id.
        record_id: column that joins the rows to the partner's identifier file; it never
            leaves the agent. None means that the table is the identifier file itself, or is about
            no person.
        policies: laws and rules that it is under beside the partner's, or on another ground.
        profile: what its rows have to be; the partner's where not given.
    """

    name: Name
    kind: Kind
    record_id: Column | None = None
    fields: Annotated[tuple[ContentField, ...], Field(min_length=1, max_length=200, strict=False)]
    policies: Policies = ()
    profile: Annotated[ContentProfile, Field(strict=False)] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the partner's file that are read, each once."""
        read = [f.column or f.name for f in self.fields]
        more = [column for f in self.fields if f.lookup for column in f.lookup.columns]
        own = () if self.record_id is None else (self.record_id,)
        return tuple(dict.fromkeys((*read, *more, *own)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What those who sign may not expect of the fields together."""
        of = {t: [f.name for f in self.fields if f.transform is t] for t in Transform}
        table, found = f"table {self.name!r}", []
        if of[Transform.DAY] and of[Transform.MONTH]:
            days, months = (", ".join(of[t]) for t in (Transform.DAY, Transform.MONTH))
            text = f"relative days ({days}) beside months ({months}) narrow the dates of a person"
            found.append(f"{table}: {text} with many events")
        bare = [
            f.name
            for f in self.fields
            if f.transform in _GEOIDS and f.within is None and f.lookup is None
        ]
        if bare and self.is_personal:
            text = f"GEOIDs ({', '.join(bare)}) of any state: say under within which may leave, or"
            found.append(f"{table}: {text} another long number in their column leaves as one")
        return tuple(found)

    @property
    def is_personal(self) -> bool:
        """Whether its rows are about persons and come under ids."""
        return self.kind not in IMPERSONAL

    @model_validator(mode="after")
    def _joins_as_its_kind_does(self) -> ContentTable:
        if not self.is_personal and self.record_id is not None:
            raise ValueError(f"record_id: a table of kind {self.kind!r} is about no person")
        return self

    @model_validator(mode="after")
    def _means_what_its_kind_can(self) -> ContentTable:
        terms = MODELS[self.kind]
        for field in self.fields:
            where = f"field {field.name!r}"
            if field.means is not None and field.means not in terms:
                raise ValueError(
                    f"{where}: means: {field.means!r} is no term of a table of kind {self.kind!r}"
                    f" (its terms: {', '.join(terms)})"
                )
            if field.means is not None:
                fitting = terms[field.means].transforms
                if field.transform not in fitting:
                    raise ValueError(
                        f"{where}: means: {field.means!r} comes of the transform"
                        f" {' or '.join(fitting)}, not of {field.transform}"
                    )
            if field.transform is Transform.NUMBER and self.is_personal:
                raise ValueError(
                    f"{where}: transform: numbers as they stand are for tables of kind"
                    f" {' and '.join(sorted(IMPERSONAL))} only"
                )
            if field.transform is Transform.DAY and self.kind not in _KINDS_WITH_DAYS:
                raise ValueError(
                    f"{where}: transform: days are for tables of kind"
                    f" {' and '.join(_KINDS_WITH_DAYS)} only, where they are of events of a person"
                )
        distinct("means", [field.means for field in self.fields if field.means is not None])
        return self
