"""The coarser forms that columns of persons may take, and what they do to codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from linkage.agreement import ContentTable, Transform
from linkage.agreement.disclosure import Coarser
from linkage.errors import DisclosureError
from linkage.release.coarsen import TOP_AGE


def coarser_column(
    table: pa.Table, column: str, form: Coarser, top: int | None = None
) -> tuple[pa.Table, float]:
    """A table with a column in a coarser form, and how much of a value is left in it."""
    if not pa.types.is_string(table.schema.field(column).type):
        raise DisclosureError(f"column {column!r} holds no codes, and takes no coarser form")
    fine = table[column].to_pandas()
    known = fine.dropna().unique()
    to = {value: coarser_code(value, form, top) for value in known}
    coarse = fine.map(to).astype(object)
    made = pa.array(coarse.where(coarse.notna(), None), table.schema.field(column).type)
    place = table.column_names.index(column)
    apart = pd.Series(to).dropna()
    together = apart.map(apart.value_counts())
    penalty = (together - 1) / max(len(known) - 1, 1)
    weight = fine.map(penalty).mean()
    left = 1.0 if pd.isna(weight) else 1.0 - float(weight)
    return table.set_column(place, table.field(place), made), left


def coarser_code(value: str, form: Coarser, top: int | None = None) -> str | None:
    """A code in a coarser form; None where that has none for it.

    Args:
        top: of ages, where the last band begins ("90+"), which stays: a wider band before it
            ends there. A band that lies in no wider one stays, too.
    """
    if form.mapping is not None:
        return form.mapping.get(value)
    if form.digits is not None:
        return value[: form.digits]
    low, dash, high = value.partition("-")
    high = high if dash else low
    if not (form.years and low.isdecimal() and high.isdecimal()):
        return value
    first = int(low) - int(low) % form.years
    last = first + form.years - 1
    if top is not None:
        last = min(last, top - 1)
    return f"{first}-{last}" if int(high) <= last else value


def open_from(content: ContentTable, column: str) -> int | None:
    """Where the last band of a column of ages begins; None where it has no open one."""
    [field] = [one for one in content.fields if one.name == column]
    if field.transform is Transform.AGE_BAND:
        return TOP_AGE
    return field.edges[-1] if field.edges else field.top or _open_code(field.values or ())


def _open_code(codes: Iterable[str]) -> int | None:
    found = (code.removesuffix("+") for code in codes if code.endswith("+"))
    return min((int(low) for low in found if low.isdecimal()), default=None)


def describe_forms(
    described: Mapping[str, Any], forms: Mapping[tuple[str, str], Coarser]
) -> dict[str, Any]:
    """A data dictionary whose columns are in the forms that they took."""
    columns = [dict(entry) for entry in described["columns"]]
    for entry in columns:
        form = forms.get((entry["table"], entry["column"]))
        if form is None:
            continue
        entry["coarser"] = form.name
        if form.years is None:
            entry["means"] = form.becomes
        elif "band_years" in entry:
            entry["band_years"] = form.years
        if "values" in entry:
            top = _open_code(entry["values"])
            codes = (coarser_code(code, form, top) for code in entry["values"])
            entry["values"] = list(dict.fromkeys(code for code in codes if code is not None))
    return {**described, "columns": columns}
