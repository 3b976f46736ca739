"""De-identification profiles: what a table of content may hold, and by which rule it may not.

- A profile is declared for a partner or for one of its tables, is signed, and is checked before
  anybody signs: a field that violates it makes the manifest invalid, and the message says the rule.
- What a field holds is told by its transform, by the term that it means, and by the identifier
  whose column it is. A column that says none of these is held against the partners' declarations
  only: no check of a manifest sees cells. Those are searched when content leaves
  (`linkage.release.planted`).
- Direct identifiers leave under no profile, and under none at all.

The rules are those of 45 CFR 164.514(b)(2)(i) and 164.514(e)(2). Holding to them is necessary for
what the law calls de-identified or a limited data set; that it suffices is for counsel to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from linkage.agreement.fields import FieldType
from linkage.agreement.models import OF_NO_PERSON
from linkage.agreement.transforms import Transform

if TYPE_CHECKING:
    from linkage.agreement.content import ContentField, ContentTable
    from linkage.agreement.parties import Partner


class ContentProfile(StrEnum):
    """What the rows of a table have to be before they leave."""

    SAFE_HARBOR = "safe-harbor"
    LIMITED_DATASET = "limited-dataset"
    AGGREGATE_ONLY = "aggregate-only"


OLDEST_SHOWN = 90
"""Ages over 89 are one category, 90 or more."""

_DIRECT = frozenset(
    (
        FieldType.GIVEN_NAME,
        FieldType.MIDDLE_NAME,
        FieldType.SURNAME,
        FieldType.FULL_NAME,
        FieldType.PHONE,
        FieldType.EMAIL,
        FieldType.NATIONAL_ID,
    )
)
_PLACE_TYPES = frozenset((FieldType.ADDRESS, FieldType.CITY, FieldType.POSTCODE))
_PLACE_TERMS = frozenset(("municipality", "county", "tract"))
_PLACE_TRANSFORMS = frozenset((Transform.TRACT, Transform.MUNICIPALITY, Transform.COUNTY))
_COARSE_PLACES = _PLACE_TRANSFORMS | {Transform.GENERALISE, Transform.ZIP3}

_B = (
    "45 CFR 164.514(b)(2)(i)(B): a place smaller than a state leaves only as the first three digits"
    " of a ZIP code (transform zip3)"
)
_C = "45 CFR 164.514(b)(2)(i)(C): of a date only the year leaves (transform year)"
_C_AGE = (
    "45 CFR 164.514(b)(2)(i)(C): ages over 89, and years that tell them, leave as 90 or more"
    " (transform age_band, or bands and top codes that end at 90)"
)
_C_DAYS = (
    "45 CFR 164.514(b)(2)(i)(C): relative days leave only where no table of the manifest has a year"
    " or a month beside days; with one, they tell dates"
)
_R = (
    "45 CFR 164.514(b)(2)(i)(R): a code that may be a person's own leaves only if the manifest"
    " lists the allowed ones (values)"
)
_NUMBER = "its column, or that of its key, is a number of the record or of the person"
_AGGREGATE = (
    "no row leaves the assembler under aggregate-only; say so with recipients: [] at the field"
)


def profile_of(partner: Partner, table: ContentTable) -> ContentProfile | None:
    """The table's own profile, else its partner's."""
    return table.profile or partner.profile


def profile_faults(
    partners: Iterable[Partner], identifiers: Mapping[str, FieldType]
) -> Iterator[str]:
    """What violates a profile, or lets an identifier leave as it is, in words.

    Args:
        identifiers: the types of the manifest's identifier fields.
    """
    known = list(partners)
    dated = any(_dates_days(table) for partner in known for table in partner.content)
    for partner in known:
        columns = {partner.column_of(name): kind for name, kind in identifiers.items()}
        for table in partner.content:
            if not table.is_personal:
                continue
            profile = profile_of(partner, table)
            for field in table.fields:
                where = f"partner {partner.name!r}: table {table.name!r}: field {field.name!r}"
                named = f" under the profile {profile}" if profile else ""
                read = (field.column or field.name, *(field.lookup.columns if field.lookup else ()))
                kind, *key = (columns.get(column) for column in read)
                rules = [*_always(field, kind, key), *_rules(profile, field, kind, dated=dated)]
                if {partner.record_id, table.record_id, partner.group} & set(read):
                    rules.append(_NUMBER)
                for rule in rules:
                    yield f"{where}: may not leave by {field.transform}{named}: {rule}"


def _dates_days(table: ContentTable) -> bool:
    """Whether the table tells when a relative day was."""
    used = {field.transform for field in table.fields}
    return Transform.DAY in used and bool(used & {Transform.YEAR, Transform.MONTH})


def _always(
    field: ContentField, kind: FieldType | None, key: Sequence[FieldType | None]
) -> Iterator[str]:
    if kind in _DIRECT:
        yield f"its column is the identifier {kind}, which leaves encoded only"
    elif direct := next((one for one in key if one in _DIRECT), None):
        yield f"it is looked up by the identifier {direct}, which leaves encoded only"
    elif kind is FieldType.ADDRESS and field.transform not in _COARSE_PLACES:
        yield "its column is the identifier address, which leaves as a larger area only"


def _rules(
    profile: ContentProfile | None, field: ContentField, kind: FieldType | None, *, dated: bool
) -> Iterator[str]:
    if profile is ContentProfile.SAFE_HARBOR:
        yield from _safe_harbor(field, kind, dated=dated)
    if profile is ContentProfile.AGGREGATE_ONLY and field.recipients != ():
        yield _AGGREGATE


def _safe_harbor(field: ContentField, kind: FieldType | None, *, dated: bool) -> Iterator[str]:
    place = field.means in _PLACE_TERMS or kind in _PLACE_TYPES
    if (place and field.transform is not Transform.ZIP3) or field.transform in _PLACE_TRANSFORMS:
        yield _B
    if field.transform is Transform.MONTH:
        yield _C
    if field.transform is Transform.DAY and dated:
        yield _C_DAYS
    born = kind is FieldType.DATE_OF_BIRTH and field.transform is not Transform.AGE_BAND
    if born or (field.means == "age_band" and not _ends_at_ninety(field)):
        yield _C_AGE
    coded = field.transform in (Transform.KEEP, Transform.CROSSWALK)
    open_codes = coded and field.values is None
    if open_codes and field.means not in OF_NO_PERSON:
        yield _R


def _ends_at_ninety(field: ContentField) -> bool:
    if field.transform is Transform.AGE_BAND:
        return True
    if field.edges is not None:
        return field.edges[-1] <= OLDEST_SHOWN
    if field.top is not None:
        return field.top <= OLDEST_SHOWN
    codes = field.values if field.mapping is None else tuple(field.mapping.values())
    numbers = [int(number) for code in codes or () for number in re.findall(r"\d+", code)]
    return codes is not None and all(number <= OLDEST_SHOWN for number in numbers)
