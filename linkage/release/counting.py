"""The tables of counts that the manifest asks for, protected beside all that left before.

- A cell that counts what it counted before is known to readers, and so is a table all of whose
  cells do: what it hid then stays hidden.
- A cell that was hidden is not shown by a later release either, whatever it counts by then: what
  it was hidden to protect may count what it did.
- A table of which a cell differs by few from what was published is refused: the difference is a
  count, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from linkage.agreement.disclosure import CountTable, Disclosure
from linkage.errors import DisclosureError
from linkage.release.assemble import Assembled
from linkage.release.deidentify import STUDY_ID
from linkage.release.disclosure import (
    ProtectedTable,
    Table,
    Told,
    protect_tables,
    record_names,
    table_of_rows,
)
from linkage.release.disclosure.tables import Key


def count_tables(
    rules: Disclosure,
    passed: Assembled,
    published: Mapping[Key, int],
    hidden: Collection[Key],
    persons: Collection[str],
) -> dict[str, ProtectedTable]:
    """The protected tables, by name.

    Args:
        passed: rows that may leave.
        published, hidden: what earlier releases told and suppressed.
        persons: the tables whose rows are persons; of `people` they are.

    Raises:
        DisclosureError: they cannot be protected beside what was published.
    """
    # A recipient whose extract lacks a column does not get counts by it either.
    made = [t for one in rules.tables if (t := _counted(one, passed, persons)) is not None]
    if not made:
        return {}
    protected = protect_tables(
        made,
        k=rules.min_cell,
        rounding=rules.rounding,
        most=rules.most_suppressed,
        published=_as_now(made, published),
        before=list(_earlier(rules, passed, made, published, hidden, persons)),
        hidden=hidden,
    )
    for each in protected:
        _require_apart(each, published, rules.min_cell)
    return {one.table.name: one for one in protected}


def _counted(one: CountTable, passed: Assembled, persons: Collection[str]) -> Table | None:
    source = passed.named.get(one.of, passed.counted_only.get(one.of))
    if source is None or not set(one.by) <= set(source.column_names):
        return None
    personal, people = STUDY_ID in source.column_names, one.count == "people"
    frame = source.select([*one.by, *([STUDY_ID] if personal else [])]).to_pandas()
    # As readers of the rows name them: see `Extract.records`.
    person = STUDY_ID if one.of in persons else None
    frame["row"] = frame[STUDY_ID] if people else record_names(frame, one.of, person)
    return table_of_rows(
        frame,
        one.by,
        name=one.name,
        counted=f"{one.count} of {one.of}",
        person=STUDY_ID if personal else None,
        people=people,
        record="row",
    )


def _as_now(tables: Sequence[Table], published: Mapping[Key, int]) -> dict[Key, int]:
    """The published cells that count now what they counted then: readers know them."""
    now: dict[Key, int] = {}
    if published:
        for table in tables:
            now.update(zip(table.keys(), table.all_values.ravel().tolist(), strict=True))
    return {key: count for key, count in published.items() if now.get(key) == count}


def _earlier(
    rules: Disclosure,
    passed: Assembled,
    tables: Sequence[Table],
    published: Mapping[Key, int],
    hidden: Collection[Key],
    persons: Collection[str],
) -> Iterator[Told]:
    """Tables that left before, if they would be the same now."""
    now = {(table.counted, frozenset(d.name for d in table.dimensions)) for table in tables}
    hidden = set(hidden)
    for counted, by in _shapes([*published, *hidden]) - now:
        count, _, of = counted.partition(" of ")
        asked = CountTable.model_construct(
            name=counted,
            of=of,
            by=tuple(sorted(by)),
            count="people" if count == "people" else "rows",
        )
        table = _counted(asked, passed, persons)
        if table is None:
            continue
        keys, values = table.keys(), table.all_values.ravel().tolist()
        told = [published.get(key) for key in keys]
        if all(
            key in hidden if was is None else was == count
            for key, was, count in zip(keys, told, values, strict=True)
        ):
            suppressed = np.array([was is None for was in told]).reshape(table.shape)
            yield Told(table, suppressed, rules.min_cell)


def _shapes(keys: Collection[Key]) -> set[tuple[str, frozenset[str]]]:
    """What was counted, and by which columns together: the tables of which these are cells."""
    found = {(counted, frozenset(name for name, _ in nodes)) for counted, nodes in keys}
    return {
        (counted, by)
        for counted, by in found
        if by and not any(counted == other and by < more for other, more in found)
    }


def _require_apart(one: ProtectedTable, published: Mapping[Key, int], k: int) -> None:
    few = [
        key
        for key, count in one.published.items()
        if 0 < abs(count - published.get(key, count)) < k
    ]
    if few:
        where = " and ".join(f"{name} {node!r}" for name, node in few[0][1]) or "its total"
        raise DisclosureError(
            f"table {one.table.name!r}: {len(few)} cells, such as {where}, differ by fewer than {k}"
            " from what an earlier release published; the difference would tell of those few",
            remedy="Wait until more has changed, leave the table out, or break it down by less",
        )
