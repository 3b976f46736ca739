"""Put a column of standard codes into a copy of an agency's file.

- Every row and every other cell stays as it is; unmapped rows get an empty standard code.
- The copy appears whole or not at all, and never in place of the file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from linkage.agent.copying import Progress, require_column, with_column
from linkage.agent.source import SourceFile
from linkage.errors import AlreadyExistsError, InputError
from linkage.files import write_pieces
from linkage.release.crosswalk.applying import Accounts, Mapper
from linkage.release.crosswalk.documents import Crosswalk

INTO = "standard_code"


def map_file(
    path: Path,
    out: Path,
    crosswalk: Crosswalk,
    *,
    column: str,
    agency: str = "",
    agency_column: str = "",
    into: str = INTO,
    missing: Collection[str] = (),
    progress: Progress = lambda *_: None,
) -> Accounts:
    """Write the file with its standard codes, and say what became of each row.

    Args:
        path: CSV or Parquet; the copy is of the same form.
        agency: whose codes they are; or else `agency_column`, which says so row by row.
        into: the new column.
        missing: cells that mean "no code", compared without case.

    Raises:
        InputError: the column is there already, or not clear whose codes they are.
        SourceError: the file cannot be read; names rows and columns, never a cell.
        AlreadyExistsError: the copy would replace the file.
    """
    source = SourceFile(path)
    require_column(source, into, replace=False)
    if out.exists() and out.samefile(path):
        raise AlreadyExistsError("the copy would replace the file", remedy="Name another --out")
    if bool(agency) == bool(agency_column):
        raise InputError("give either the agency or the column that names it")
    mapper, accounts = Mapper(crosswalk, missing=missing), Accounts()
    cells: list[str] = []
    for batch in source.batches([column, *([agency_column] if agency_column else [])]):
        of: str | Sequence[str | None] = agency or batch[agency_column]
        cells += (code or "" for code in mapper.standard_codes(of, batch[column], accounts))
        progress("look up", len(cells), 0)
    accounts.require_whole()
    write_pieces(out, with_column(source, into, cells, progress))
    return accounts


def codes_of(
    path: Path, column: str, description: str = ""
) -> Iterator[tuple[list[str | None], list[str | None] | None]]:
    """The codes of a file and their descriptions, batch by batch; see `count_codes`.

    Raises:
        SourceError: the file cannot be read; names rows and columns, never a cell.
    """
    for batch in SourceFile(path).batches([column, *([description] if description else [])]):
        yield batch[column], batch[description] if description else None
