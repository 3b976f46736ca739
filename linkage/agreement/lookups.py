"""Files on a partner's own machine in which cells are looked up before they leave.

- `places`: an address, a ZIP code or an own code → the tract, municipality or county it is in.
- `crosswalk`: an agency's own code → the standard code that it means.
- `zip3`: a three-digit ZIP area → how many people live there.
- The digest fixes the file for all who sign, so that nobody can change what a code means. A list of
  addresses may go without one: it tells where an agency's clients live, and changes with them. Then
  its partner answers for it, and others check the form of what comes out of it alone.
- The file never leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from linkage.agreement.fields import Name, Strict
from linkage.agreement.transforms import Transform

if TYPE_CHECKING:
    from linkage.agreement.content import ContentField

Column = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z_-]{0,30}$")]


class KeyKind(StrEnum):
    """What a key column of a list of places holds, and so how it is normalised.

    `address`, `city` and `postcode` are normalised as identifiers of that type are; `zip4` is a ZIP
    code of nine digits; `code` any other code, compared without case.
    """

    ADDRESS = "address"
    CITY = "city"
    POSTCODE = "postcode"
    ZIP4 = "zip4"
    CODE = "code"


PRIVATE = frozenset((KeyKind.ADDRESS, KeyKind.ZIP4))
"""Kinds of which a list may be of people's homes."""


class PlaceList(Strict):
    """A list of places, and the tract, municipality or county that each is in.

    CSV or Parquet. Its key columns are called as their kinds are, and its other ones `tract`,
    `municipality` and `county`, as far as fields need them; a county is also read from `tract`.

    Attributes:
        name: what fields call it, and `--lookup`.
        kind: that it is one.
        by: its key columns, all of which together name a place.
        digest: SHA-256 of the file; needed unless the key holds an address or a ZIP+4.
        source: where it is from and of when, for people.
    """

    name: Name
    kind: Literal["places"]
    by: Annotated[
        tuple[Annotated[KeyKind, Field(strict=False)], ...],
        Field(min_length=1, max_length=5, strict=False),
    ]
    digest: Digest | None = None
    source: Line

    @model_validator(mode="after")
    def _fixed_unless_private(self) -> PlaceList:
        if len(set(self.by)) != len(self.by):
            raise ValueError("by: a kind stands more than once")
        if self.digest is None and not PRIVATE & set(self.by):
            raise ValueError("digest: only a list by address or zip4 may go without one")
        return self


class CodeList(Strict):
    """A version of a [crosswalk](../how-to/crosswalk.md).

    Attributes:
        name: what fields call it, and `--lookup`.
        kind: that it is one.
        version: its number.
        digest: its digest, as `linkage crosswalk show` prints it.
    """

    name: Name
    kind: Literal["crosswalk"]
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    digest: Digest


class PopulationTable(Strict):
    """How many people live in each three-digit ZIP area: a CSV or Parquet file with the columns
    `zip3` and `population`.

    Attributes:
        name: what fields call it, and `--lookup`.
        kind: that it is one.
        digest: SHA-256 of the file.
        dated: of when the figures are.
        source: where they are from, for people.
    """

    name: Name
    kind: Literal["zip3"]
    digest: Digest
    dated: Annotated[date, Field(strict=False)]
    source: Line


Lookup = Annotated[PlaceList | CodeList | PopulationTable, Field(discriminator="kind")]

FITTING: Mapping[Transform, str] = {
    Transform.TRACT: "places",
    Transform.MUNICIPALITY: "places",
    Transform.COUNTY: "places",
    Transform.CROSSWALK: "crosswalk",
    Transform.ZIP3: "zip3",
}
"""The kind of lookup that a transform may use."""
NEEDING = frozenset((Transform.MUNICIPALITY, Transform.CROSSWALK))
"""Transforms that cannot do without."""


class FieldLookup(Strict):
    """How the cells of a field are looked up.

    Attributes:
        name: in which of the partner's lookups.
        also: for places, the columns with the other parts of the key, in the order of `by`.
        unmatched: for places, the largest share of the filled cells that may have no entry; these
            leave as missing.
        agency: for a crosswalk, whose codes they are.
        agency_column: or else the column that says so row by row.
        unmapped: for a crosswalk, what a code without a standard code leaves as.
    """

    name: Name
    also: Annotated[tuple[Column, ...], Field(max_length=4, strict=False)] = ()
    unmatched: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    agency: Column | None = None
    agency_column: Column | None = None
    unmapped: Word = "unmapped"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table's file that it needs beside the field's own."""
        return self.also if self.agency_column is None else (*self.also, self.agency_column)

    def fault(self, transform: Transform) -> str | None:
        """What of this does not fit the transform, in words; or None."""
        kind = FITTING.get(transform)
        if kind is None:
            fitting = ", ".join(FITTING)
            return f"lookup: is for the transforms {fitting} only"
        if kind != "places" and (self.also or self.unmatched):
            return "lookup: also and unmatched are for places only"
        if kind != "crosswalk" and (self.agency or self.agency_column):
            return "lookup: agency and agency_column are for a crosswalk only"
        if kind == "crosswalk" and bool(self.agency) == bool(self.agency_column):
            return "lookup: give either the agency whose codes they are, or agency_column"
        return None


def require_fitting(lookups: Sequence[Lookup], field: ContentField) -> None:
    """Raises ValueError if a field's lookup is none of the partner's, or of another kind."""
    if field.lookup is None:
        return
    known = {one.name: one for one in lookups}
    found = known.get(field.lookup.name)
    if found is None:
        raise ValueError(
            f"lookup {field.lookup.name!r} is none of the partner's"
            f" (declared: {', '.join(sorted(known)) or 'none'})"
        )
    if found.kind != FITTING[field.transform]:
        raise ValueError(
            f"the transform {field.transform} needs a lookup of kind {FITTING[field.transform]},"
            f" and {found.name!r} is of kind {found.kind}"
        )
    if isinstance(found, PlaceList) and len(found.by) != 1 + len(field.lookup.also):
        raise ValueError(
            f"lookup {found.name!r} has {len(found.by)} key columns ({', '.join(found.by)}): name"
            f" {len(found.by) - 1} under also, beside the field's own"
        )
