"""The review: groups on a sheet for the agency's own staff, and what they decided.

- One line per row that is in a group, doubtful groups first. Only `keep` is to be changed: `no`
  takes the row out of its group.
- Each line says which file it is about (SHA-256), which line of how many it is, and has a check
  sum over that, the group and the row: a sheet of another file, with lines missing, twice, or
  changed in any other way is refused.
- Cells that a spreadsheet would take for a formula begin with an apostrophe here.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence

import numpy as np

from linkage.agent.dedupe.recordset import Rows
from linkage.agent.dedupe.search import Found
from linkage.agent.table import Table
from linkage.errors import Problem, SourceError

HEAD = ("group", "row", "keep", "group_probability", "row_probability", "note")
TAIL = ("review_line", "review_check", "review_file")
MAX_PROBLEMS = 1000
_KEEP = {"yes": True, "y": True, "no": False, "n": False}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_BOM = "\ufeff"

Cells = Mapping[int, Sequence[str | None]]
"""By 0-based row of the file: its record id, if there is one, and its identifiers."""


def label(group: int) -> str:
    """What a group is called in the new column."""
    return f"g{group + 1:06d}"


def labels(group: Rows) -> list[str]:
    """The new column: (rows,) labels, "" for rows alone."""
    return [label(number) if number >= 0 else "" for number in group.tolist()]


def sizes(group: Rows) -> list[int]:
    """How many rows each group has."""
    found = np.bincount(group[group >= 0])
    return [size for size in found.tolist() if size]


def read_cells(table: Table, rows: Sequence[int]) -> tuple[list[str], dict[int, list[str | None]]]:
    """The record id, if there is one, and the identifiers of some rows, as they stand.

    Returns:
        The columns, and by row their cells.
    """
    ids = [table.partner.record_id] if table.partner.record_id is not None else []
    columns = list(dict.fromkeys([*ids, *map(table.partner.column_of, _names(table))]))
    wanted = np.sort(np.array(rows, np.int64))
    found: dict[int, list[str | None]] = {}
    for part in table.source.read(columns):
        first, last = np.searchsorted(wanted, [part.first, part.first + part.count])
        for row in wanted[first:last].tolist():
            found[row] = [part.cells[column][row - part.first] for column in columns]
    return columns, found


def _names(table: Table) -> list[str]:
    return [field.name for field in table.fields]


def order_of(found: Found) -> Rows:
    """The rows that are in a group, as the review lists them: doubtful groups first."""
    rows = np.flatnonzero(found.group >= 0)
    group = found.group[rows]
    return rows[np.lexsort([rows, group, found.weakest[group]])]


def write_review(found: Found, columns: Sequence[str], cells: Cells, digest: str) -> bytes:
    """The sheet: CSV in UTF-8 with a byte order mark, which spreadsheets want.

    Args:
        columns: names of the cells.
        digest: SHA-256 of the file, hex.
    """
    text = io.StringIO(newline="")
    text.write(_BOM)
    writer = csv.writer(text, lineterminator="\r\n")
    own = {*HEAD, *TAIL}
    writer.writerow([*HEAD, *(f"{c}_" if c in own else c for c in columns), *TAIL])
    rows = order_of(found)
    for line, row in enumerate(rows.tolist(), 1):
        group = int(found.group[row])
        place = f"{line} of {len(rows)}"
        writer.writerow(
            [
                label(group),
                row + 1,
                "yes",
                f"{found.weakest[group]:.4f}",
                f"{found.strongest[row]:.4f}",
                _note(found.apart.get(group, ())),
                *map(_harmless, cells[row]),
                place,
                _check(digest, place, label(group), str(row + 1)),
                f"sha256:{digest}",
            ]
        )
    return text.getvalue().encode()


def read_review(data: bytes, name: str, digest: str, rows: int) -> Rows:
    """What the staff decided: (rows,) group numbers, -1 for rows alone.

    Args:
        name: the review's file name, for messages.
        digest: SHA-256 of the file that is to be grouped.
        rows: how many it has.

    Raises:
        SourceError: it is no review, or one of another file, or damaged; names every line.
    """
    sheet = _Sheet(name, digest, rows)
    # Only columns of ASCII are read; whatever a spreadsheet made of names does not matter.
    text = data.decode("utf-8-sig", errors="replace")
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            sheet.add(cells)
    except csv.Error:
        sheet.fail("the file cannot be read from here on; a quote may be missing")
    return sheet.decisions()


class _Sheet:
    """Takes a review line by line."""

    def __init__(self, name: str, digest: str, rows: int) -> None:
        self._name = name
        self._digest = digest
        self._rows = rows
        self._place: dict[str, int] | None = None
        self._width = 0
        self._read = 0
        self._lines: set[int] = set()
        self._total: int | None = None
        self._kept: dict[int, list[int]] = {}
        self._problems: list[Problem] = []
        self._wrong = 0
        self._foreign = 0

    def add(self, cells: list[str]) -> None:
        if self._place is None:
            self._read_header(cells)
        elif any(cells):
            self._read += 1
            self._read_line(cells, self._place)

    def fail(self, message: str, column: str = "") -> None:
        self._wrong += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(self._read, column, message))

    def decisions(self) -> Rows:
        if self._place is None:
            raise SourceError(self._name, [Problem(0, "", "the file is empty")])
        if self._foreign and self._foreign == self._read:
            message = "the review is of another file, or the file has changed since"
            raise SourceError(self._name, [Problem(0, "", message)], remedy="Write a new review")
        lost = (self._total or 0) - len(self._lines)
        if not self._wrong and (lost or not self._lines):
            self._read = 0
            self.fail(f"{lost} lines are missing" if lost else "no line is left")
        if self._wrong:
            raise SourceError(
                self._name,
                self._problems,
                total=self._wrong,
                remedy="Change nothing but keep, to yes or no; write the review anew with --review",
            )
        group = np.full(self._rows, -1, np.int64)
        for number, rows in self._kept.items():
            if len(rows) > 1:
                group[rows] = number
        return group

    def _read_header(self, cells: list[str]) -> None:
        wanted = (*HEAD[:3], *TAIL)
        missing = [column for column in wanted if column not in cells]
        if missing:
            raise SourceError(
                self._name,
                [Problem(0, column, "the column is missing") for column in missing],
                remedy="Give the file that --review wrote",
            )
        self._place = {column: cells.index(column) for column in wanted}
        self._width = len(cells)

    def _read_line(self, cells: list[str], place: Mapping[str, int]) -> None:
        if len(cells) != self._width:
            return self.fail(f"the line does not have {self._width} cells as the header has")
        cell = {column: cells[at].strip() for column, at in place.items()}
        line, group, row = cell["review_line"], cell["group"], cell["row"]
        if cell["review_file"] != f"sha256:{self._digest}":
            self._foreign += 1
            return self.fail("the line is of another file's review")
        if cell["review_check"] != _check(self._digest, line, group, row):
            return self.fail("the line is damaged: its group, row or number was changed")
        number, _, total = line.partition(" of ")
        if int(number) in self._lines:
            return self.fail("the line stands twice")
        self._lines.add(int(number))
        self._total = int(total)
        keep = _KEEP.get(cell["keep"].casefold())
        if keep is None:
            return self.fail("write yes or no", "keep")
        if keep:
            self._kept.setdefault(int(group[1:]) - 1, []).append(int(row) - 1)
        return None


def _check(digest: str, line: str, group: str, row: str) -> str:
    """A check sum against accidents; the letter before it keeps it from reading as a number."""
    said = "|".join((digest, line, group, row))
    return "c" + hashlib.sha256(said.encode()).hexdigest()[:12]


def _harmless(cell: str | None) -> str:
    return f"'{cell}" if cell and cell.startswith(_FORMULA) else cell or ""


def _note(apart: Sequence[int]) -> str:
    if not apart:
        return ""
    names = ["a row of its own" if other < 0 else label(other) for other in apart]
    return f"kept apart from {', '.join(names)}: records contradict each other"
