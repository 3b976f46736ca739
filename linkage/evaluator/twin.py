"""The dummy twin: made-up rows of the form of an extract, to write analysis code before access.

- Made from the manifest alone: its tables, types and public lists of codes. No row, count or file
  of a partner is read, so the twin may be given to anybody who may see the manifest.
- Values are drawn evenly and independently: nothing in a twin means anything.
- The same manifest gives the same twin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from linkage.agreement import ContentField, ContentTable, Manifest, Transform
from linkage.release.assemble import Assembled, allowed_fields, table_names
from linkage.release.coarsen import output_type
from linkage.release.deidentify import STUDY_ID, sort_rows
from linkage.release.pseudonyms import ID_BYTES

PEOPLE = 100
ROWS = 150
MISSING = 0.05
_BANDS = [*(f"{low}-{low + 4}" for low in range(0, 90, 5)), "90+"]


def make_twin(manifest: Manifest, recipient: str | None = None) -> Assembled:
    """A twin of the extract of a recipient; of one with every field for None."""
    rng = np.random.default_rng(int(manifest.fingerprint[:16], 16))
    ids = np.sort(np.frombuffer(rng.bytes(PEOPLE * ID_BYTES), f"S{ID_BYTES}"))
    # Begins with zeros, as no drawn id is likely to: a twin is known by its ids.
    people = [f"{'0' * 8}{one.ljust(ID_BYTES, bytes(1)).hex()[8:]}" for one in ids]
    seen = {name: rng.random(PEOPLE) < 0.6 for name in manifest.partner_names}
    first = manifest.partner_names[0]
    seen[first] |= ~np.logical_or.reduce(list(seen.values()))
    columns: dict[str, Any] = {STUDY_ID: sorted(people)}
    columns |= {f"in_{name}": flags for name, flags in seen.items()}
    columns["n_partners"] = np.sum(list(seen.values()), axis=0).astype(np.int16)
    names = table_names(manifest)
    tables = {}
    for partner in manifest.partners:
        for table in partner.content:
            fields = allowed_fields(table, recipient)
            if fields:
                here = np.flatnonzero(seen[partner.name])
                made = _table(table, fields, np.array(sorted(people))[here], rng)
                tables[names[partner.name, table.name]] = made
    return Assembled(pa.table(columns), dict(sorted(tables.items())))


def _table(
    table: ContentTable, fields: list[str], people: Any, rng: np.random.Generator
) -> pa.Table:
    columns: dict[str, Any] = {}
    count = len(people) if table.kind == "person" else ROWS
    if table.is_personal:
        who = people if table.kind == "person" else rng.choice(people, ROWS)
        columns[STUDY_ID] = pa.array(who.tolist(), pa.string())
    for field in table.fields:
        if field.name in fields:
            values = _values(field, count, rng)
            values[rng.random(count) < MISSING] = None
            columns[field.name] = pa.array(values.tolist(), output_type(field))
    return sort_rows(pa.table(columns)).combine_chunks()


def _values(field: ContentField, count: int, rng: np.random.Generator) -> Any:
    kind = output_type(field)
    chosen: Any
    if field.transform is Transform.YEAR:
        chosen = rng.integers(2020, 2026, count)
    elif field.transform is Transform.MONTH:
        pairs = zip(rng.integers(2020, 2026, count), rng.integers(1, 13, count), strict=True)
        return np.array([f"{year}-{month:02d}" for year, month in pairs], object)
    elif field.transform is Transform.AGE_BAND:
        chosen = rng.choice(_BANDS, count)
    elif field.transform is Transform.ZIP3:
        chosen = rng.choice(["606", "617", "618", "000"], count)
    elif field.values:
        chosen = rng.choice(np.array(field.values, object), count)
    elif pa.types.is_floating(kind):
        chosen = rng.integers(0, 10_000, count) / 10
    elif pa.types.is_integer(kind):
        chosen = rng.integers(0, 1000, count)
    else:
        chosen = rng.choice([f"CODE{number}" for number in range(1, 7)], count)
    return np.array(chosen.tolist(), object)
