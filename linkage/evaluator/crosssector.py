"""The picture across sectors, from an extract: who is seen where, when, and what follows what.

- Works on any extract: what a column means is read from its data dictionary.
- Counts of 1 to 10 people are not shown, in text, table or drawing (see `smallcells`).
- Shares have 95% Wilson intervals. They carry sampling error only; linkage error is told beside
  them, not hidden in them.

    write_reports(Path("extract"), Path("reports"))
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.evaluator.extract import verify_extract
from linkage.evaluator.smallcells import HIDDEN, Cell, hidden_rows, is_small, total, wilson
from linkage.reports import charts
from linkage.reports.html import (
    Block,
    DataTable,
    Figure,
    KeyFigures,
    Paragraph,
    Section,
    page,
    percent,
)
from linkage.reports.quality import quality_page

UNKNOWN = "not known"
MAX_COMBINATIONS = 24
MAX_CATEGORIES = 12
MAX_PAIRS = 12


@dataclass(frozen=True)
class Extract:
    """An extract as read back.

    Attributes:
        people: `study_id`, `in_<partner>` ..., `n_partners`.
        tables: content tables by name.
        columns: the data dictionary's entries of each table, in order.
    """

    people: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    columns: dict[str, list[dict[str, Any]]]
    manifest: dict[str, Any]
    quality: dict[str, Any]

    @property
    def partners(self) -> list[str]:
        return [str(partner["name"]) for partner in self.manifest["partners"]]

    def month_column(self, table: str) -> str | None:
        """The first column of a table that holds months."""
        return next((c["column"] for c in self.columns[table] if c["transform"] == "month"), None)

    def kind(self, table: str) -> str:
        return str(self.columns[table][-1]["kind"])

    def partner(self, table: str) -> str:
        return str(self.columns[table][-1]["partner"])


def read_extract(directory: Path) -> Extract:
    """Read an extract after checking it.

    Raises:
        NotFoundError: there is none.
        DigestMismatchError: it is not what was written.
    """
    verify_extract(directory)
    columns: dict[str, list[dict[str, Any]]] = {}
    for entry in json.loads((directory / "data_dictionary.json").read_bytes())["columns"]:
        columns.setdefault(entry["table"], []).append(entry)
    tables = {name: pd.read_parquet(directory / "tables" / f"{name}.parquet") for name in columns}
    return Extract(
        people=tables.pop("people"),
        tables=tables,
        columns=columns,
        manifest=json.loads((directory / "manifest.json").read_bytes()),
        quality=json.loads((directory / "quality_report.json").read_bytes()),
    )


def write_reports(
    extract_dir: Path, out_dir: Path, *, truth: dict[str, Any] | None = None, within: int = 1
) -> list[Path]:
    """Make the pages for an extract, whatever its tables.

    Args:
        truth: true figures of a rehearsal, shown beside the estimated ones.
        within: months after an event in which a service counts as following it.

    Raises:
        NotFoundError: there is no extract.
        DigestMismatchError: it is not what was written.
    """
    extract = read_extract(extract_dir)
    pages = {"cross_sector.html": cross_sector_page(extract, within=within)}
    if extract.quality:
        pages["quality.html"] = quality_page(extract.quality, truth)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in sorted(pages.items()):
        path = out_dir / name
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def cross_sector_page(extract: Extract, *, within: int = 1) -> str:
    """The cross-sector picture as a page."""
    sections = [
        Section("Who is seen by whom", list(_seen(extract))),
        Section("Activity by month", list(_activity(extract))),
        Section("What follows what", list(_follows(extract, within))),
        Section("How to read this", list(_reading(extract))),
    ]
    title = f"Across sectors: {extract.manifest['title']}"
    project = f"Project {extract.manifest['project']}, version {extract.manifest['version']}"
    return page(title, sections, subtitle=project)


# -- who is seen by whom ---------------------------------------------------------------------


@dataclass(frozen=True)
class Combination:
    """People seen by exactly these partners."""

    members: tuple[str, ...]
    people: Cell


def combinations(people: pd.DataFrame, partners: Sequence[str]) -> list[Combination]:
    """How many people each combination of partners has seen; most first, small cells last."""
    flags = [f"in_{name}" for name in partners]
    found = []
    for seen, size in people.groupby(flags, sort=False).size().items():
        inside = seen if isinstance(seen, tuple) else (seen,)
        members = tuple(n for n, here in zip(partners, inside, strict=True) if here)
        found.append(Combination(members, Cell.of(int(size))))
    return sorted(found, key=lambda c: (-(c.people.value or 0), len(c.members), c.members))


def _seen(extract: Extract) -> Iterator[Block]:
    found = combinations(extract.people, extract.partners)
    several = total(c.people for c in found if len(c.members) > 1)
    yield KeyFigures(
        [
            Figure("People", total(c.people for c in found).label, "as far as linkage can tell"),
            Figure("Seen by two or more partners", several.label),
            Figure("Partners", str(len(extract.partners))),
        ]
    )
    if not found:
        yield Paragraph("The extract holds no people.")
        return
    shown = found[:MAX_COMBINATIONS]
    left_out = len(found) - len(shown)
    yield charts.combinations(
        [
            {"members": c.members, "value": c.people.value, "label": c.people.label}
            for c in shown
        ],
        extract.partners,
        title="People by the partners that have seen them",
        description="Each bar counts the people seen by exactly the partners marked below it."
        + (f" {left_out} rarer combinations are left out." if left_out else ""),
        y_title="People",
    )  # fmt: skip
    sizes = sorted({len(c.members) for c in found})
    yield DataTable(
        "People by number of partners",
        ("Partners", "People"),
        [(str(n), total(c.people for c in found if len(c.members) == n).label) for n in sizes],
    )
    yield DataTable(
        "People by partner",
        ("Partner", "People", "of whom seen elsewhere too"),
        [
            (
                name,
                total(c.people for c in found if name in c.members).label,
                total(c.people for c in found if name in c.members and len(c.members) > 1).label,
            )
            for name in extract.partners
        ],
        note="A total that contains a small cell is a range, so that it does not give it away.",
    )


# -- activity by month -----------------------------------------------------------------------


def _activity(extract: Extract) -> Iterator[Block]:
    rows: list[dict[str, Any]] = []
    for name, table in extract.tables.items():
        column = extract.month_column(name)
        if column is None or table.empty:
            continue
        by_month = table.groupby(column)["study_id"].agg(["size", "nunique"])
        for month, (size, persons) in zip(by_month.index, by_month.to_numpy(), strict=True):
            cell = Cell.of(int(size))
            if cell.value is not None and is_small(int(persons)):
                rows.append({"month": month, "series": name, "value": None, "label": HIDDEN})
            else:
                rows.append(
                    {"month": month, "series": name, "value": cell.value, "label": cell.label}
                )
    if not rows:
        yield Paragraph("No table of this extract has a column of months.")
        return
    yield charts.months(
        rows,
        title="Rows by month",
        description="How many rows each table holds for each month; a gap is a month with few"
        " rows or few people.",
        y_title="Rows",
    )


# -- what follows what -----------------------------------------------------------------------


@dataclass(frozen=True)
class Followed:
    """People with a first event, and those of them for whom a second one followed.

    Attributes:
        category: value of the category column; None for everybody.
    """

    category: str | None
    people: int
    followed: int


def followed_by(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    first_month: str,
    second_month: str,
    by: str | None = None,
    within: int = 1,
) -> list[Followed]:
    """How many people have a row of `second` in the month of a row of `first` or soon after.

    Only months count whose whole follow-up lies inside the months that `second` covers, so
    that the end of the data does not look like the end of a service. A person counts once; in
    every category where the person has a row. With months alone, a row of the same month may
    have come before.

    Args:
        first, second: with `study_id` and a column of months ("2024-05").
        by: category column of `first`; None for everybody as one row.
        within: months after the first in which the second counts.
    """
    first = first.dropna(subset=[first_month])
    second = second.dropna(subset=[second_month])
    if first.empty or second.empty:
        return []
    later = _months(second[second_month])
    at = _months(first[first_month])
    covered = (at >= later.min()) & (at + within <= later.max())
    first, at = first[covered], at[covered]
    width = int(later.max()) + within + 1
    codes, _ = pd.factorize(pd.concat([first["study_id"], second["study_id"]]).to_numpy())
    person, other = np.split(codes.astype(np.int64), [len(first)])
    there = np.unique(other * width + later)
    follows = np.zeros(len(first), np.bool_)
    for lag in range(within + 1):
        follows |= np.isin(person * width + at + lag, there)
    group = first[by].fillna(UNKNOWN).astype(str) if by else pd.Series("", index=first.index)
    frame = pd.DataFrame(
        {"group": group.to_numpy(), "person": first["study_id"].to_numpy(), "follows": follows}
    )
    per_person = frame.groupby(["group", "person"], sort=False)["follows"].any()
    counts = per_person.groupby(level="group").agg(["size", "sum"])
    return [
        Followed(str(name) if by else None, int(size), int(part))
        for name, (size, part) in zip(counts.index, counts.to_numpy(), strict=True)
    ]


def _months(column: pd.Series[Any]) -> npt.NDArray[np.int64]:
    year = column.str.slice(0, 4).astype(np.int64).to_numpy()
    month = column.str.slice(5, 7).astype(np.int64).to_numpy()
    result: npt.NDArray[np.int64] = year * 12 + month
    return result


def sequences(extract: Extract) -> list[tuple[str, str]]:
    """Pairs of tables of different partners worth following: an event, then a service.

    Where the extract has no such pair, every ordered pair of tables with months.
    """
    dated = [name for name in extract.tables if extract.month_column(name)]
    pairs = [
        (a, b)
        for a, b in itertools.permutations(dated, 2)
        if extract.partner(a) != extract.partner(b)
    ]
    typical = [p for p in pairs if [extract.kind(name) for name in p] == ["event", "service"]]
    return typical or pairs


def _follows(extract: Extract, within: int) -> Iterator[Block]:
    pairs = sequences(extract)
    if not pairs:
        yield Paragraph("No two partners of this extract hold tables with months.")
        return
    window = "the same month" if not within else f"the same month or the {_next(within)}"
    yield Paragraph(
        f"Of the people with a row in the first table, those with a row in the second in {window}."
        " Months whose follow-up reaches beyond the second table are left out. In a month, which"
        " came first is not known."
    )
    if len(pairs) > MAX_PAIRS:
        yield Paragraph(f"The first {MAX_PAIRS} of {len(pairs)} pairs of tables are shown.")
        pairs = pairs[:MAX_PAIRS]
    overall = {pair: _follow(extract, pair, None, None, within) for pair in pairs}
    rows = [(a, b, *_share_cells(found[0])) for (a, b), found in overall.items() if found]
    flows = [
        {"source": f"{a} ", "target": b, "value": _exact(overall[a, b][0]), "label": cells[1]}
        for a, b, *cells in rows
    ]
    if any(row["value"] for row in flows):
        yield charts.flows(
            flows,
            title="From one sector to the next",
            description="A ribbon is as wide as the number of people for whom the table on the"
            " right follows the one on the left. A person may be in several.",
            y_title="People",
        )
    columns = ("First", "Second", "People", "Followed", "Share (95%)")
    yield DataTable("Followed, by pair of tables", columns, rows)
    for pair, found in overall.items():
        if found:
            yield from _by_category(extract, pair, found[0], within)


def _by_category(
    extract: Extract, pair: tuple[str, str], everybody: Followed, within: int
) -> Iterator[Block]:
    first, second = pair
    for source, column in _categories(extract, first):
        found = _follow(extract, pair, source, column, within)
        if len(found) < 2:
            continue
        hidden = hidden_rows([(row.people, row.followed) for row in found])
        shown = [_share_cells(everybody), *map(_share_cells, found, hidden)]
        names = ["everybody", *(str(row.category) for row in found)]
        drawing = charts.intervals(
            [
                _interval(name, row, hide)
                for name, row, hide in zip(
                    names, [everybody, *found], [_few(everybody), *hidden], strict=True
                )
            ],
            title=f"{first}, then {second}, by {column}",
            description=f"Share of people followed, with 95% interval, by {column} of {source}.",
            x_title="Share followed",
        )
        table = DataTable(
            drawing.title,
            (column, "People", "Followed", "Share (95%)"),
            [(name, *cells) for name, cells in zip(names, shown, strict=True)],
        )
        yield replace(drawing, data=table)


def _interval(name: str, row: Followed, hide: bool) -> dict[str, Any]:
    if hide:
        return {"category": name, "share": None, "low": None, "high": None, "label": HIDDEN}
    low, high = wilson(row.followed, row.people)
    share = row.followed / row.people
    return {"category": name, "share": share, "low": low, "high": high, "label": percent(share)}


def _categories(extract: Extract, table: str) -> list[tuple[str, str]]:
    """(table, column) of the categories to break down by: the table's own, and its person's."""
    same = extract.partner(table)
    persons = [n for n in extract.tables if extract.kind(n) == "person"]
    sources = [table, *(n for n in persons if extract.partner(n) == same and n != table)]
    found = []
    for source in sources:
        for entry in extract.columns[source]:
            if entry["transform"] in ("keep", "age_band"):
                distinct = extract.tables[source][entry["column"]].nunique(dropna=False)
                if 2 <= distinct <= MAX_CATEGORIES:
                    found.append((source, entry["column"]))
    return found


def _follow(
    extract: Extract, pair: tuple[str, str], source: str | None, column: str | None, within: int
) -> list[Followed]:
    first, second = pair
    months = extract.month_column(first), extract.month_column(second)
    table = extract.tables[first]
    if source is not None and source != first:
        person = extract.tables[source].drop_duplicates("study_id").set_index("study_id")[column]
        table = table.assign(**{str(column): table["study_id"].map(person)})
    return followed_by(
        table,
        extract.tables[second],
        first_month=str(months[0]),
        second_month=str(months[1]),
        by=column,
        within=within,
    )


def _few(row: Followed) -> bool:
    counts = (row.people, row.followed, row.people - row.followed)
    return row.people == 0 or any(is_small(count) for count in counts)


def _exact(row: Followed) -> int | None:
    return None if _few(row) else row.followed


def _share_cells(row: Followed, hide: bool | None = None) -> tuple[str, str, str]:
    """People, followed and share for reading.

    Args:
        hide: whether to hide the whole row; None for a row that no total stands beside, of
            which as much is shown as gives no small count away.
    """
    if hide or (hide is None and _few(row)):
        followed = Cell.of(row.followed).label if is_small(row.followed) else HIDDEN
        people = HIDDEN if hide and not is_small(row.people) else Cell.of(row.people).label
        return people, followed, HIDDEN
    low, high = wilson(row.followed, row.people)
    share = f"{percent(row.followed / row.people)} ({percent(low)} to {percent(high)})"
    return f"{row.people:,}", f"{row.followed:,}", share


def _next(within: int) -> str:
    return "next" if within == 1 else f"next {within}"


# -- how to read this ------------------------------------------------------------------------


def _reading(extract: Extract) -> Iterator[Block]:
    yield Paragraph(
        "Counts of 1 to 10 people are not shown, nor what would give them away. Intervals are 95%"
        " Wilson intervals and carry sampling error only."
    )
    measured = extract.quality.get("recommended")
    yield Paragraph(
        "People are people as far as linkage can tell. A missed link lowers every number of people"
        " seen by several partners and every share that is followed; a false link raises them."
        + (
            f" At the recommended threshold the links have an estimated precision of"
            f" {percent(measured['precision'])} and an estimated recall of"
            f" {percent(measured['recall'])}."
            if measured
            else ""
        )
    )
