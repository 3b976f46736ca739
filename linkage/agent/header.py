"""The names of a file's columns: whether they can be used, and what a missing one may be called."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from linkage.errors import Problem, SourceError

MAX_COLUMNS = 2_000
QUOTE_REMEDY = "Look for a missing quote or a separator that is not a comma"


def is_text(name: str) -> bool:
    """Whether a name was read from UTF-8, its other bytes having been escaped as surrogates.

    NULs are what UTF-16 without its mark looks like.
    """
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in name)


def require_header(file: str, columns: Sequence[str]) -> None:
    """Raises SourceError unless the columns of a file can be told apart and named."""
    if len(columns) > MAX_COLUMNS:
        message = f"the file has more than {MAX_COLUMNS} columns"
        raise _error(file, message, "Export only the columns that the manifest names")
    if not columns:
        raise _error(file, "the first line is empty", "The first line must name the columns")
    for place, column in enumerate(columns, 1):
        if not column.strip():
            message = f"the header has no name for column {place}"
            raise _error(file, message, "Give every column a name of its own")
        if "\n" in column or "\r" in column:
            message = f"the header's name of column {place} holds a line break"
            raise _error(file, message, QUOTE_REMEDY)


def require_columns(file: str, columns: Sequence[str], wanted: Sequence[str]) -> None:
    """Raises SourceError naming every column that is not there, with the closest one.

    Where none of several is there, the first line may be a record instead of a header: then nothing
    of it is repeated but what reads like a column asked for.
    """
    missing = [column for column in wanted if column not in columns]
    is_header = len(missing) < max(len(wanted), 2)
    if missing:
        problems = [
            Problem(0, column, f"the column is missing{_closest(column, columns, is_header)}")
            for column in missing
        ]
        raise SourceError(file, problems, remedy=_remedy(columns, is_header))
    twice = sorted({c for c in columns if columns.count(c) > 1})
    if twice:
        raise SourceError(
            file,
            [Problem(0, column, "the header names this column twice") for column in twice],
            remedy="Give every column a name of its own",
        )


def _closest(column: str, columns: Sequence[str], is_header: bool) -> str:
    by_fold = {_folded(name): name for name in columns}
    close = difflib.get_close_matches(
        _folded(column), by_fold, n=1, cutoff=0.6 if is_header else 1.0
    )
    return f"; the closest is {by_fold[close[0]]!r}" if close else ""


def _remedy(columns: Sequence[str], is_header: bool) -> str:
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|"):
        return "The header has no comma: save the file with commas between the columns"
    if is_header:
        return "Rename the column, or map it in the manifest under the partner's columns"
    return (
        "The first line must name the columns; rename them, or map them in the manifest under"
        " the partner's columns"
    )


def _folded(name: str) -> str:
    """A column's name without case, blanks and punctuation."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _error(file: str, message: str, remedy: str) -> SourceError:
    return SourceError(file, [Problem(0, "", message)], remedy=remedy)
