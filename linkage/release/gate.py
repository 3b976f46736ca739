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

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from linkage.agreement import ContentTable, Manifest
from linkage.agreement.disclosure import Disclosure
from linkage.errors import DisclosureError
from linkage.release.assemble import Assembled, table_names
from linkage.release.counting import count_tables
from linkage.release.deidentify import STUDY_ID, sort_rows
from linkage.release.disclosure.gate import ProtectedTable
from linkage.release.disclosure.rows import (
    MISSING,
    Group,
    class_numbers,
    l_diversity,
    smallest_class,
    suppress_locally,
    t_closeness,
)
from linkage.release.disclosure.tables import Key

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Gated:
    """What passed.

    Attributes:
        counts: the protected tables of counts, by name.
        log: what was suppressed, for people and programs; plain JSON values.
    """

    assembled: Assembled
    counts: dict[str, ProtectedTable]
    log: dict[str, Any]


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
    people = assembled.people[STUDY_ID]
    if rules.k > 1:
        persons = _hide_persons(rules, described, tables, people)
        places = {
            name: _hide_places(rules, name, content, tables)
            for name, content in described.items()
            if content.kind != "person"
        }
        suppressed = {**persons, **{name: found for name, found in places.items() if found}}
    _require_little(rules, assembled, suppressed)
    changed = {name: sort_rows(t) if name in suppressed else t for name, t in tables.items()}
    passed = Assembled(assembled.people, changed, assembled.counted_only)
    counts = count_tables(rules, passed, published or {}, hidden)
    log = {
        "linkage": "suppression/1",
        "k": rules.k,
        "l": rules.l,
        "min_cell": rules.min_cell,
        "rows": [
            _rows_log(rules, name, content, assembled, passed, suppressed.get(name, {}))
            for name, content in described.items()
        ],
        "counts": [dict(one.log) for one in counts.values()],
    }
    return Gated(passed, counts, log)


def _described(manifest: Manifest, assembled: Assembled) -> dict[str, ContentTable]:
    """The content tables about persons that are there, by their name in the extract."""
    return {
        name: table
        for (owner, of), name in table_names(manifest).items()
        for table in manifest.partner(owner).content
        if table.name == of and table.is_personal and name in assembled.tables
    }


def _quasi(rules: Disclosure, content: ContentTable, table: pa.Table) -> list[tuple[str, str]]:
    """(term, column) of a table's quasi-identifiers, the most important first."""
    of = {field.means: field.name for field in content.fields if field.name in table.column_names}
    return [(term, of[term]) for term in rules.quasi_identifiers if term in of]


def _hide_persons(
    rules: Disclosure,
    described: Mapping[str, ContentTable],
    tables: dict[str, pa.Table],
    people: pa.ChunkedArray,
) -> dict[str, dict[str, int]]:
    """Suppress in all person tables together; values suppressed by table and column."""
    quasi = {
        name: _quasi(rules, content, tables[name])
        for name, content in described.items()
        if content.kind == "person"
    }
    quasi = {name: columns for name, columns in quasi.items() if columns}
    terms = [
        t
        for t in rules.quasi_identifiers
        if any(t == term for c in quasi.values() for term, _ in c)
    ]
    if not terms:
        return {}
    place = {name: _places(tables[name], people) for name in described}
    of = {
        (name, term): (place[name], tables[name][column])
        for name, columns in quasi.items()
        for term, column in columns
    }

    watched = [name for name in described if name in quasi or _sensitive(rules, name)]
    everybody = np.unique(np.concatenate([place[name] for name in watched]))
    number = np.zeros(len(people), np.int64)
    number[everybody] = np.arange(len(everybody))
    all_known = np.column_stack(
        [_joint([of[n, term] for n in quasi if (n, term) in of], len(people)) for term in terms]
    )
    groups = [Group("the release", number[everybody], all_known[everybody])]
    for name in watched:
        # A table without quasi-identifiers of its own is joined to those that have some.
        told = (
            _told(tables[name], dict(quasi[name]), terms)
            if name in quasi
            else all_known[place[name]]
        )
        rows = np.arange(tables[name].num_rows)
        values = [(rows, _factor(tables[name][column])) for column in _sensitive(rules, name)]
        groups.append(Group(f"table {name!r}", number[place[name]], told, values))
    hidden = np.zeros((len(people), len(terms)), np.bool_)
    hidden[everybody] = suppress_locally(len(everybody), groups, k=rules.k, l=rules.l)
    found: dict[str, dict[str, int]] = {}
    for name, columns in quasi.items():
        found[name] = {
            column: _blank(tables, name, column, hidden[place[name], terms.index(term)])
            for term, column in columns
        }
    return found


def _hide_places(
    rules: Disclosure, name: str, content: ContentTable, tables: dict[str, pa.Table]
) -> dict[str, int]:
    """Suppress, in a table of events or services, what stands for few persons: the least important
    value first, then the next.
    """
    columns = [column for _, column in _quasi(rules, content, tables[name])]
    if not columns:
        return {}
    person = _factor(tables[name][STUDY_ID])
    codes = np.column_stack([_factor(tables[name][column]) for column in columns])
    hidden = np.zeros(codes.shape, np.bool_)
    for first in range(len(columns) - 1, -1, -1):
        few = _few(np.where(hidden, MISSING, codes), person, rules.k)
        # Where nothing is left there is nothing to know a person by.
        hidden[few, first:] = True
    return {
        column: _blank(tables, name, column, hidden[:, place])
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
            there = _valid(table[column])
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
    columns = [column for _, column in _quasi(rules, content, table)]
    found: dict[str, Any] = {
        "table": name,
        "rows": table.num_rows,
        "quasi_identifiers": columns,
        "suppressed": {
            column: {
                "values": _valid(before.tables[name][column]),
                "suppressed": int(suppressed.get(column, 0)),
            }
            for column in columns
        },
    }
    if columns and rules.k > 1 and table.num_rows:
        frame = table.select([STUDY_ID, *columns]).to_pandas()
        found["smallest_class"] = smallest_class(frame, columns, STUDY_ID)
    for column in _sensitive(rules, name):
        if columns and content.kind == "person":
            frame = table.select([*columns, column]).to_pandas()
            found.setdefault("sensitive", {})[column] = {
                "l": l_diversity(frame, columns, column),
                "t": round(t_closeness(frame, columns, column), 4),
            }
    return found


def _sensitive(rules: Disclosure, table: str) -> list[str]:
    return [one.partition(".")[2] for one in rules.sensitive if one.partition(".")[0] == table]


def _valid(column: pa.ChunkedArray) -> int:
    return len(column) - int(column.null_count)


def _places(table: pa.Table, people: pa.ChunkedArray) -> Codes:
    """Each row's place among the people."""
    found = pc.index_in(table[STUDY_ID], value_set=people.combine_chunks())
    places: Codes = np.asarray(found.to_numpy(), np.int64)
    return places


def _factor(column: pa.ChunkedArray) -> Codes:
    """A number for each value, in the order of values; 0 for a missing one."""
    numbers, _ = pd.factorize(column.to_pandas(), sort=True)
    found: Codes = numbers.astype(np.int64) + 1
    return found


def _told(table: pa.Table, columns: Mapping[str, str], terms: Sequence[str]) -> Codes:
    """What each row of a table tells, rows x terms."""
    nothing = np.zeros(table.num_rows, np.int64)
    return np.column_stack([_factor(table[columns[t]]) if t in columns else nothing for t in terms])


def _joint(sources: Sequence[tuple[Codes, pa.ChunkedArray]], people: int) -> Codes:
    """A number for all the values that a person has, in whichever tables; 0 for none."""
    found = np.zeros(people, np.int64)
    if not sources:
        return found
    person = np.concatenate([place for place, _ in sources])
    values = np.concatenate([column.to_pandas().astype(object) for _, column in sources])
    numbers = pd.factorize(values)[0].astype(np.int64) + 1
    pairs = pd.DataFrame({"person": person, "value": numbers})
    pairs = pairs[pairs["value"] > 0].drop_duplicates().sort_values(["person", "value"])
    if pairs.empty:
        return found
    several = pairs["person"].duplicated(keep=False)
    alone = pairs[~several]
    found[alone["person"]] = alone["value"]
    if several.any():
        sets = pairs[several].astype(str).groupby("person")["value"].agg("|".join)
        found[sets.index.astype(np.int64)] = (
            pd.factorize(sets.to_numpy())[0] + int(numbers.max()) + 1
        )
    return found


def _blank(
    tables: dict[str, pa.Table], name: str, column: str, hidden: npt.NDArray[np.bool_]
) -> int:
    """Take values out of a column; gives how many there were."""
    table = tables[name]
    there = pc.is_valid(table[column]).to_numpy()
    lost = hidden & there
    if lost.any():
        kept = pc.if_else(pa.array(~lost), table[column], pa.scalar(None, table[column].type))
        place = table.column_names.index(column)
        tables[name] = table.set_column(place, table.field(place), kept)
    return int(lost.sum())
