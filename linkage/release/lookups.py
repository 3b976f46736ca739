"""How many cells of a table were looked up, and how many had no entry: from agent to extract.

- The counts travel inside the sealed parts of a parcel, in the schema of each table; the hub sees
  none of them.
- In an extract a count of a few rows is not shown, nor one from which it follows.

    table = with_counts(table, {"tract": LookupCount(rows=900, unmatched=40)})
    counts_of(table)["tract"].unmatched
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from linkage.agreement import Manifest
from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Name, Strict
from linkage.errors import InvalidRequestError
from linkage.release.assemble import allowed_fields

KEY = b"linkage.lookups"
MAX_BYTES = 1 << 16

Count = Annotated[int, Field(ge=0, le=1 << 40)]


class LookupCount(Strict):
    """What became of a field's cells.

    Attributes:
        rows: with a cell to look up.
        unmatched: of these, without an entry; see the field's transform for what leaves of them.
    """

    rows: Count
    unmatched: Count

    @model_validator(mode="after")
    def _parts_fit(self) -> LookupCount:
        if self.unmatched > self.rows:
            raise ValueError("more cells without an entry than cells")
        return self


_COUNTS = TypeAdapter(dict[Name, LookupCount])


def with_counts(table: pa.Table, counts: Mapping[str, LookupCount]) -> pa.Table:
    """The table with the counts in its schema."""
    if not counts:
        return table
    told = canonical({name: count.model_dump() for name, count in counts.items()})
    return table.replace_schema_metadata({KEY: told})


def counts_of(table: pa.Table, *, source: str) -> dict[str, LookupCount]:
    """The counts in a table's schema; none where there are none.

    Raises:
        InvalidRequestError: they are no counts, or of more rows than there are.
    """
    told = (table.schema.metadata or {}).get(KEY, b"{}")
    try:
        if len(told) > MAX_BYTES:
            raise ValueError
        counts = _COUNTS.validate_python(json.loads(told))
    except (ValidationError, ValueError, RecursionError):
        raise InvalidRequestError(f"{source}: its counts of lookups cannot be read") from None
    if any(count.rows > table.num_rows for count in counts.values()):
        raise InvalidRequestError(f"{source}: it counts lookups of more rows than it has")
    return counts


def lookup_provenance(
    manifest: Manifest,
    tables: Mapping[tuple[str, str], pa.Table],
    recipient: str | None = None,
) -> list[dict[str, Any]]:
    """What the fields of an extract were looked up in, and how many cells had no entry there.

    Args:
        tables: by (partner, content table), as parcels hold them.
        recipient: whose extract; None names every field.

    Raises:
        InvalidRequestError: a parcel lacks the count of a field, or its counts are none.
    """
    few = manifest.disclosure.min_cell
    found = []
    for partner in manifest.partners:
        files = {one.name: one for one in partner.lookups}
        for content in partner.content:
            source = f"table {content.name!r} of {partner.name!r}"
            counts = counts_of(tables[partner.name, content.name], source=source)
            allowed = allowed_fields(content, recipient)
            for field in content.fields:
                if field.lookup is None or field.name not in allowed:
                    continue
                if field.name not in counts:
                    raise InvalidRequestError(f"{source}: field {field.name!r}: was not looked up")
                count, file = counts[field.name], files[field.lookup.name]
                matched = _shown(count.rows - count.unmatched, few)
                found.append(
                    {
                        "partner": partner.name,
                        "table": content.name,
                        "field": field.name,
                        "lookup": file.model_dump(mode="json"),
                        "rows": _shown(count.rows, few),
                        "unmatched": None if matched is None else _shown(count.unmatched, few),
                    }
                )
    return found


def _shown(count: int, few: int) -> int | None:
    return None if 0 < count < few else count
