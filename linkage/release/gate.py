"""The disclosure gate on an assembled extract: rows first, then the tables of counts made of them.

- Persons are hidden among at least `k` who are alike in all quasi-identifiers, taken over all
  person tables at once: what one table withholds, another does not tell. The same holds among the
  persons of every single table.
- In tables of events and services, a place is shown only where it and the other quasi-identifiers
  of the row stand for at least `k` persons.
- Counts are made of the rows that passed, so that the two together tell nothing more; and of tables
  of which no row may leave, as they are.
- What was suppressed is in the log; it names columns and numbers, never a person or a value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from linkage.agreement import ContentTable, Manifest
from linkage.agreement.disclosure import Coarser, Disclosure
from linkage.errors import DisclosureError
from linkage.release.assemble import PEOPLE, Assembled, table_names
from linkage.release.counting import count_tables
from linkage.release.deidentify import STUDY_ID, sort_rows
from linkage.release.disclosure.gate import ProtectedTable
from linkage.release.disclosure.rows import (
    MISSING,
    class_numbers,
    l_diversity,
    smallest_class,
    t_closeness,
)
from linkage.release.disclosure.tables import Key
from linkage.release.hiding import (
    hide_persons,
    numbers_of,
    quasi_columns,
    sensitive_columns,
    take_away,
    valid_cells,
)

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Gated:
    """What passed.

    Attributes:
        counts: the protected tables of counts, by name.
        log: what was suppressed, for people and programs; plain JSON values.
        coarser: the form that a column took, by (table, column), where it is not the finest.
    """

    assembled: Assembled
    counts: dict[str, ProtectedTable]
    log: dict[str, Any]
    coarser: dict[tuple[str, str], Coarser] = field(default_factory=dict)


def gate(
    manifest: Manifest,
    assembled: Assembled,
    *,
    published: Mapping[Key, int] | None = None,
    hidden: Collection[Key] = (),
) -> Gated:
    """Suppress what would tell of a few people.

    Args:
        published: cells that earlier releases of the project told.
        hidden: cells that they suppressed.

    Raises:
        DisclosureError: what is agreed cannot be reached; says why, and what would pass.
    """
    rules = manifest.disclosure
    described = _described(manifest, assembled)
    tables = dict(assembled.tables)
    suppressed: dict[str, dict[str, int]] = {}
    coarser: dict[tuple[str, str], Coarser] = {}
    people = assembled.people[STUDY_ID]
    if rules.k > 1:
        persons = hide_persons(rules, described, tables, people)
        tables = persons.tables
        places = {
            name: _hide_places(rules, name, content, tables)
            for name, content in described.items()
            if content.kind != "person"
        }
        coarser = persons.coarser
        suppressed = {
            **persons.suppressed,
            **{name: found for name, found in places.items() if found},
        }
    _require_little(rules, assembled, suppressed)
    changed = {name: sort_rows(t) if name in suppressed else t for name, t in tables.items()}
    passed = Assembled(assembled.people, changed, assembled.counted_only)
    counts = count_tables(rules, passed, published or {}, hidden, _of_persons(manifest))
    log = {
        "linkage": "suppression/1",
        "k": rules.k,
        "l": rules.l,
        "min_cell": rules.min_cell,
        "rows": [
            _rows_log(rules, name, content, assembled, passed, suppressed.get(name, {}))
            | {"coarser": {c: form.name for (of, c), form in coarser.items() if of == name}}
            for name, content in described.items()
        ],
        "counts": [dict(one.log) for one in counts.values()],
    }
    return Gated(passed, counts, log, coarser)


def _described(manifest: Manifest, assembled: Assembled) -> dict[str, ContentTable]:
    """The content tables about persons that are there, by their name in the extract."""
    return {
        name: table
        for (owner, of), name in table_names(manifest).items()
        for table in manifest.partner(owner).content
        if table.name == of and table.is_personal and name in assembled.tables
    }


def _of_persons(manifest: Manifest) -> set[str]:
    """The extract's tables whose rows are persons, whether or not rows may leave."""
    kinds = {(p.name, t.name): t.kind for p in manifest.partners for t in p.content}
    names = table_names(manifest)
    return {PEOPLE, *(name for at, name in names.items() if kinds[at] == "person")}


def _hide_places(
    rules: Disclosure, name: str, content: ContentTable, tables: dict[str, pa.Table]
) -> dict[str, int]:
    """Suppress, in a table of events or services, what stands for few persons: the least important
    value first, then the next.
    """
    columns = [column for _, column in quasi_columns(rules, content, tables[name])]
    if not columns:
        return {}
    person = numbers_of(tables[name][STUDY_ID])
    codes = np.column_stack([numbers_of(tables[name][column]) for column in columns])
    hidden = np.zeros(codes.shape, np.bool_)
    for first in range(len(columns) - 1, -1, -1):
        few = _few(np.where(hidden, MISSING, codes), person, rules.k)
        # Where nothing is left there is nothing to know a person by.
        hidden[few, first:] = True
    return {
        column: take_away(tables, name, column, hidden[:, place])
        for place, column in enumerate(columns)
    }


def _few(codes: Codes, person: Codes, k: int) -> npt.NDArray[np.bool_]:
    """Rows whose values stand for fewer than `k` persons."""
    keys = class_numbers(codes)
    pairs = pd.DataFrame({"key": keys, "person": person}).drop_duplicates()
    few: npt.NDArray[np.bool_] = (np.bincount(pairs["key"].to_numpy()) < k)[keys]
    return few


def _require_little(
    rules: Disclosure, assembled: Assembled, suppressed: Mapping[str, Mapping[str, int]]
) -> None:
    for name, columns in suppressed.items():
        table = assembled.tables[name]
        for column, lost in columns.items():
            there = valid_cells(table[column])
            if lost > rules.most_suppressed * there:
                raise DisclosureError(
                    f"table {name!r}: {lost} of the {there} values of {column!r} would have to be"
                    " suppressed, more than the manifest allows",
                    remedy="It would pass with that column left out or made coarser, or with"
                    f" most_suppressed at {lost / there:.2f}",
                )


def _rows_log(
    rules: Disclosure,
    name: str,
    content: ContentTable,
    before: Assembled,
    after: Assembled,
    suppressed: Mapping[str, int],
) -> dict[str, Any]:
    table = after.tables[name]
    columns = [column for _, column in quasi_columns(rules, content, table)]
    found: dict[str, Any] = {
        "table": name,
        "rows": table.num_rows,
        "quasi_identifiers": columns,
        "suppressed": {
            column: {
                "values": valid_cells(before.tables[name][column]),
                "suppressed": int(suppressed.get(column, 0)),
            }
            for column in columns
        },
    }
    if columns and rules.k > 1 and table.num_rows:
        frame = table.select([STUDY_ID, *columns]).to_pandas()
        found["smallest_class"] = smallest_class(frame, columns, STUDY_ID)
    for column in sensitive_columns(rules, name):
        if columns and content.kind == "person":
            frame = table.select([*columns, column]).to_pandas()
            found.setdefault("sensitive", {})[column] = {
                "l": l_diversity(frame, columns, column),
                "t": round(t_closeness(frame, columns, column), 4),
            }
    return found
