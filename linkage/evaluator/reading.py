"""An extract as read back, and which of its columns means what.

- Read only after its checksums hold.
- A column is found by what it means (`means`, a term of the minimal model of its table's kind),
  never by its name. Extracts made before columns said what they mean are read by what tells:
  a month is the column that was made one.
- A table of kind `site` or `measure` is about no person and has no `study_id`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from linkage.errors import NotFoundError
from linkage.evaluator.extract import verify_extract

STUDY_ID = "study_id"


@dataclass(frozen=True)
class Extract:
    """An extract as read back.

    Attributes:
        people: `study_id`, `in_<partner>` ..., `n_partners`.
        tables: content tables by name.
        columns: the data dictionary's entries of each table, in order.
        quality: the quality report; empty where the extract has none.
    """

    people: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    columns: dict[str, list[dict[str, Any]]]
    manifest: dict[str, Any]
    quality: dict[str, Any]

    @property
    def partners(self) -> list[str]:
        return [str(partner["name"]) for partner in self.manifest["partners"]]

    @property
    def subtitle(self) -> str:
        return f"Project {self.manifest['project']}, version {self.manifest['version']}"

    @property
    def personal(self) -> list[str]:
        """The tables whose rows are about people."""
        return [name for name, table in self.tables.items() if STUDY_ID in table]

    def month_column(self, table: str) -> str | None:
        """The first column of a table that holds months ("2024-05")."""
        return self.find(table, "month") or next(
            (c["column"] for c in self.columns[table] if c["transform"] == "month"), None
        )

    def find(self, table: str, means: str) -> str | None:
        """The column of a table that means a term, if one does."""
        return next((c["column"] for c in self.columns[table] if c.get("means") == means), None)

    def need(self, table: str, means: str) -> str:
        """Likewise.

        Raises:
            NotFoundError: no column of the table means that.
        """
        found = self.find(table, means)
        if found is None:
            raise NotFoundError(
                f"no column of table {table!r} means {means!r}",
                remedy="The data dictionary says what each column means; the manifest's content"
                " fields say it with `means`",
            )
        return found

    def of_kind(self, *kinds: str) -> Iterator[str]:
        """The names of the tables of a kind."""
        return (name for name in self.tables if self.kind(name) in kinds)

    def kind(self, table: str) -> str:
        return str(self.columns[table][-1]["kind"])

    def partner(self, table: str) -> str:
        return str(self.columns[table][-1]["partner"])

    def table(self, name: str, *kinds: str) -> str:
        """The full name of a table given in full or without its partner.

        Raises:
            NotFoundError: there is none, or several, or it is of another kind.
        """
        fits = [n for n in self.tables if name in (n, n.removeprefix(f"{self.partner(n)}_"))]
        fits = [n for n in fits if not kinds or self.kind(n) in kinds]
        if len(fits) != 1:
            kind = f" of kind {' or '.join(kinds)}" if kinds else ""
            raise NotFoundError(
                f"{'no table' if not fits else 'more than one table'}{kind} is called {name!r}",
                remedy=f"The tables are {', '.join(self.tables) or 'none'}",
            )
        return fits[0]


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
