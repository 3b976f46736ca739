"""A partner's content in plain language: each field, how it leaves, and what it is looked up in."""

from __future__ import annotations

from collections.abc import Iterator

from linkage.agreement import ContentField, ContentTable, Partner, Transform
from linkage.agreement.content_profiles import profile_of
from linkage.agreement.lookups import CodeList, Lookup, PlaceList
from linkage.agreement.transforms import SHORT
from linkage.reports.html import DataTable


def content_tables(partner: Partner) -> Iterator[DataTable]:
    """Its tables, in the manifest's order, and then the files of its own that they need."""
    for table in partner.content:
        yield DataTable(
            f"Content of {partner.name}: {table.name} ({table.kind}{_profile(partner, table)})",
            ("Field", "What leaves", "Allowed values", "For whom", "Meaning"),
            [_field(field) for field in table.fields],
        )
    if partner.lookups:
        yield DataTable(
            f"Files in which {partner.name} looks cells up, on its own machine",
            ("File", "What it is", "Where it is from", "Digest"),
            [_lookup(lookup) for lookup in partner.lookups],
            note="A file without a digest is the partner's own: nobody else can tell whether it is"
            " right.",
        )


def _profile(partner: Partner, table: ContentTable) -> str:
    profile = profile_of(partner, table)
    return f", {profile}" if profile else ""


def _field(field: ContentField) -> tuple[str, ...]:
    how = SHORT[field.transform]
    if field.reference is not None:
        how += f" at {field.reference}"
    if field.edges is not None:
        how += f", beginning at {', '.join(map(str, field.edges))}"
    if field.top is not None:
        how += f", from {field.top} on"
    if field.mapping is not None:
        how += f", one of {', '.join(dict.fromkeys(field.mapping.values()))}"
    if field.lookup is not None:
        how += f", looked up in {field.lookup.name}"
    if field.within is not None:
        how += f", of {', '.join(field.within)} only"
    if field.values is None:
        open_codes = field.transform in (Transform.KEEP, Transform.CROSSWALK)
        allowed = "any short code; no free text" if open_codes else ""
    elif len(field.values) > 12:
        allowed = f"{len(field.values):,} codes: {', '.join(field.values[:8])}, …"
    else:
        allowed = ", ".join(field.values)
    receive = "all recipients" if field.recipients is None else ", ".join(field.recipients)
    return field.name, how, allowed, receive or "nobody", field.description


def _lookup(lookup: Lookup) -> tuple[str, str, str, str]:
    if isinstance(lookup, PlaceList):
        what = f"places by {', '.join(lookup.by)}"
        return lookup.name, what, lookup.source, lookup.digest or "none"
    if isinstance(lookup, CodeList):
        return lookup.name, "crosswalk of codes", f"version {lookup.version}", lookup.digest
    what = f"people in each three-digit ZIP area, {lookup.dated}"
    return lookup.name, what, lookup.source, lookup.digest
