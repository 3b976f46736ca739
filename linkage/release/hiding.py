"""Persons are hidden among others who are alike: by coarser columns, then by taking values away.

- A column of persons takes a coarser form only as a whole, and only one that the manifest names.
- Of all combinations of forms in which no column loses more than may be taken away, the one is
  taken that loses least: what is taken away loses all, a coarser value as much of its column as it
  puts together (normalised certainty penalty; J. Xu et al., "Utility-based anonymization using
  local recoding", KDD 2006).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from linkage.agreement import ContentTable
from linkage.agreement.disclosure import Coarser, Disclosure
from linkage.errors import DisclosureError
from linkage.release.deidentify import STUDY_ID
from linkage.release.disclosure.rows import Group, suppress_locally
from linkage.release.forms import coarser_column, open_from

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Hidden:
    """What was done to hide persons.

    Attributes:
        tables: those that were there, with the person tables changed.
        suppressed: values taken away, by person table and column.
        coarser: the form that a column took, by (table, column).
        loss: the share of what the columns told that is lost.
    """

    tables: dict[str, pa.Table]
    suppressed: dict[str, dict[str, int]]
    coarser: dict[tuple[str, str], Coarser]
    loss: float


def hide_persons(
    rules: Disclosure,
    described: Mapping[str, ContentTable],
    tables: Mapping[str, pa.Table],
    people: pa.ChunkedArray,
) -> Hidden:
    """Hide the persons of all person tables together.

    Raises:
        DisclosureError: it cannot be done, in whatever form.
    """
    best: Hidden | None = None
    least, refused = (True, np.inf), None
    place = {name: _places(tables[name], people) for name in described}
    for forms in _combinations(rules):
        found, chosen = dict(tables), {}
        kept: dict[tuple[str, str], float] = {}
        for name, content in described.items():
            for term, column in quasi_columns(rules, content, tables[name]):
                if content.kind != "person":
                    continue
                kept[name, column] = 1.0
                if term in forms:
                    top = open_from(content, column)
                    found[name], kept[name, column] = coarser_column(
                        found[name], column, forms[term], top
                    )
                    chosen[name, column] = forms[term]
        try:
            _suppress(rules, described, found, place, len(people))
        except DisclosureError as error:
            refused = refused or error
            continue
        lost = {
            (name, column): _lost(tables[name][column], found[name][column])
            for name, column in kept
        }
        # Where every form loses too much, the caller says so of the one that loses least.
        much = any(
            count > rules.most_suppressed * valid_cells(tables[name][column])
            for (name, column), count in lost.items()
        )
        loss = _loss(tables, kept, lost)
        if best is None or (much, loss + 1e-9) < least:
            suppressed: dict[str, dict[str, int]] = {}
            for (name, column), count in lost.items():
                suppressed.setdefault(name, {})[column] = count
            best, least = Hidden(found, suppressed, chosen, loss), (much, loss)
    if best is None:
        assert refused is not None  # noqa: S101 - the first combination is the columns as they are
        raise refused
    return best


def _combinations(rules: Disclosure) -> Iterator[dict[str, Coarser]]:
    """The form of each term that has one other than its finest; all as they are first."""
    terms = dict.fromkeys(one.means for one in rules.coarser)
    each = [[None, *(one for one in rules.coarser if one.means == term)] for term in terms]
    for forms in itertools.product(*each):
        yield {t: one for t, one in zip(terms, forms, strict=True) if one is not None}


def _lost(before: pa.ChunkedArray, after: pa.ChunkedArray) -> int:
    return valid_cells(before) - valid_cells(after)


def _loss(
    tables: Mapping[str, pa.Table],
    kept: Mapping[tuple[str, str], float],
    lost: Mapping[tuple[str, str], int],
) -> float:
    every = {at: valid_cells(tables[at[0]][at[1]]) for at in kept}
    left = sum((every[at] - lost[at]) * kept[at] for at in kept)
    return 1 - left / max(sum(every.values()), 1)


def _suppress(
    rules: Disclosure,
    described: Mapping[str, ContentTable],
    tables: dict[str, pa.Table],
    place: Mapping[str, Codes],
    people: int,
) -> None:
    """Take values away in all person tables together.

    Args:
        place: of each row of a table, among the people.
        people: how many there are.
    """
    quasi = {
        name: quasi_columns(rules, content, tables[name])
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
        return
    of = {
        (name, term): (place[name], tables[name][column])
        for name, columns in quasi.items()
        for term, column in columns
    }

    watched = [name for name in described if name in quasi or sensitive_columns(rules, name)]
    everybody = np.unique(np.concatenate([place[name] for name in watched]))
    number = np.zeros(people, np.int64)
    number[everybody] = np.arange(len(everybody))
    all_known = np.column_stack(
        [_joint([of[n, term] for n in quasi if (n, term) in of], people) for term in terms]
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
        values = [
            (rows, numbers_of(tables[name][column])) for column in sensitive_columns(rules, name)
        ]
        groups.append(Group(f"table {name!r}", number[place[name]], told, values))
    hidden = np.zeros((people, len(terms)), np.bool_)
    hidden[everybody] = suppress_locally(len(everybody), groups, k=rules.k, l=rules.l)
    for name, columns in quasi.items():
        for term, column in columns:
            take_away(tables, name, column, hidden[place[name], terms.index(term)])


def quasi_columns(
    rules: Disclosure, content: ContentTable, table: pa.Table
) -> list[tuple[str, str]]:
    """(term, column) of a table's quasi-identifiers, the most important first."""
    of = {field.means: field.name for field in content.fields if field.name in table.column_names}
    return [(term, of[term]) for term in rules.quasi_identifiers if term in of]


def sensitive_columns(rules: Disclosure, table: str) -> list[str]:
    """The columns of a table that are to be diverse."""
    return [one.partition(".")[2] for one in rules.sensitive if one.partition(".")[0] == table]


def valid_cells(column: pa.ChunkedArray) -> int:
    """Cells that are not missing."""
    return len(column) - int(column.null_count)


def _places(table: pa.Table, people: pa.ChunkedArray) -> Codes:
    """Each row's place among the people."""
    found = pc.index_in(table[STUDY_ID], value_set=people.combine_chunks())
    places: Codes = np.asarray(found.to_numpy(), np.int64)
    return places


def numbers_of(column: pa.ChunkedArray) -> Codes:
    """A number for each value, in the order of values; 0 for a missing one."""
    numbers, _ = pd.factorize(column.to_pandas(), sort=True)
    found: Codes = numbers.astype(np.int64) + 1
    return found


def _told(table: pa.Table, columns: Mapping[str, str], terms: Sequence[str]) -> Codes:
    """What each row of a table tells, rows x terms."""
    nothing = np.zeros(table.num_rows, np.int64)
    return np.column_stack(
        [numbers_of(table[columns[t]]) if t in columns else nothing for t in terms]
    )


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


def take_away(
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
