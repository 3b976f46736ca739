"""The dummy twin: made-up rows of the form of an extract, to write analysis code before access.

- Made from the manifest alone: its tables, types and public lists of codes; that of an extract also
  from the forms that its columns took. No row, count or file of a partner is read, so the twin may
  be given to anybody who may see the manifest.
- A cell is such as may stand there: a code that is listed, a band, a tract of an agreed county.
- Values are drawn evenly and independently: nothing in a twin means anything.
- The same manifest gives the same twin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from linkage.agreement import ContentField, ContentTable, Manifest, Transform
from linkage.agreement.disclosure import Coarser
from linkage.release.assemble import Assembled, allowed_fields, table_names
from linkage.release.coarsen import BAND_YEARS, TOP_AGE, band_labels, output_type
from linkage.release.deidentify import STUDY_ID, sort_rows
from linkage.release.forms import coarser_code, open_from
from linkage.release.pseudonyms import ID_BYTES

PEOPLE = 100
ROWS = 150
MISSING = 0.05
_AGES = [f"{low}-{low + BAND_YEARS - 1}" for low in range(0, TOP_AGE, BAND_YEARS)]
_FEW, _COUNTY = 6, 5

Forms = Mapping[tuple[str, str], Coarser]


def make_twin(
    manifest: Manifest, recipient: str | None = None, coarser: Forms = MappingProxyType({})
) -> Assembled:
    """A twin of the extract of a recipient; of one with every field for None.

    Args:
        coarser: forms that columns took at the gate, by (table, column).
    """
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
                name = names[partner.name, table.name]
                forms = {column: form for (of, column), form in coarser.items() if of == name}
                tables[name] = _table(table, fields, np.array(sorted(people))[here], rng, forms)
    return Assembled(pa.table(columns), dict(sorted(tables.items())))


def _table(
    table: ContentTable,
    fields: list[str],
    people: Any,
    rng: np.random.Generator,
    forms: Mapping[str, Coarser],
) -> pa.Table:
    columns: dict[str, Any] = {}
    count = len(people) if table.kind == "person" else ROWS
    if table.is_personal:
        who = people if table.kind == "person" else rng.choice(people, ROWS)
        columns[STUDY_ID] = pa.array(who.tolist(), pa.string())
    for field in table.fields:
        if field.name in fields:
            values = _values(table, field, count, rng, forms.get(field.name))
            values[rng.random(count) < MISSING] = None
            columns[field.name] = pa.array(values.tolist(), output_type(field))
    return sort_rows(pa.table(columns)).combine_chunks()


def _values(
    table: ContentTable,
    field: ContentField,
    count: int,
    rng: np.random.Generator,
    form: Coarser | None,
) -> Any:
    kind = output_type(field)
    chosen: Any
    if field.transform is Transform.YEAR:
        chosen = rng.integers(2020, 2026, count)
    elif field.transform is Transform.MONTH:
        pairs = zip(rng.integers(2020, 2026, count), rng.integers(1, 13, count), strict=True)
        return np.array([f"{year}-{month:02d}" for year, month in pairs], object)
    elif pa.types.is_floating(kind):
        chosen = rng.integers(0, 10_000, count) / 10
    elif pa.types.is_integer(kind):
        chosen = rng.integers(0, 1000, count)
    else:
        levels = list(_levels(field))
        if form is not None:
            top = open_from(table, field.name)
            coarse = dict.fromkeys(coarser_code(level, form, top) for level in levels)
            levels = [code for code in coarse if code is not None]
            # Of an open list the manifest tells the coarser codes alone.
            levels = levels or sorted(set((form.mapping or {}).values()))
        chosen = rng.choice(np.array(levels, object), count)
    return np.array(chosen.tolist(), object)


def _levels(field: ContentField) -> Iterable[str]:
    """What may stand in a column of codes; of what has no list, some."""
    return field.values or _LEVELS.get(field.transform, _any_codes)(field)


def _any_codes(field: ContentField) -> list[str]:
    return [f"CODE{number}" for number in range(1, _FEW + 1)]


def _counties(field: ContentField) -> list[str]:
    # No state has the number 00.
    return [one if len(one) == _COUNTY else f"{one}001" for one in field.within or ("00",)]


def _tracts(field: ContentField) -> list[str]:
    return [f"{county}{n:04}00" for county in _counties(field) for n in range(1, _FEW)]


def _municipalities(field: ContentField) -> list[str]:
    return [f"{state}{n:05}" for state in field.within or ("00",) for n in range(1, _FEW)]


def _topped(field: ContentField) -> list[str]:
    top = field.top or 0
    return [*map(str, range(0, top, max(top // 100, 1))), f"{top}+"]


_LEVELS: dict[Transform, Callable[[ContentField], Iterable[str]]] = {
    Transform.AGE_BAND: lambda _: [*_AGES, f"{TOP_AGE}+"],
    Transform.ZIP3: lambda _: ["606", "617", "618", "000"],
    Transform.GENERALISE: lambda field: sorted(set((field.mapping or {}).values())),
    Transform.BAND: lambda field: band_labels(field.edges or ()),
    Transform.TOP_CODE: _topped,
    Transform.TRACT: _tracts,
    Transform.COUNTY: _counties,
    Transform.MUNICIPALITY: _municipalities,
}
