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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from linkage.agreement import Manifest
from linkage.errors import DigestMismatchError, NotFoundError
from linkage.evaluator.extract import digest_of, verify_extract
from linkage.evaluator.shown import Shown
from linkage.release.disclosure import K, Told, record_names, table_of_rows

STUDY_ID = "study_id"


@dataclass(frozen=True)
class Extract:
    """An extract as read back.

    Attributes:
        people: `study_id`, `in_<partner>` ..., `n_partners`.
        tables: content tables by name.
        columns: the data dictionary's entries of each table, in order.
        quality: the quality report; empty where the extract has none.
        shown: what its reports showed.
    """

    people: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    columns: dict[str, list[dict[str, Any]]]
    manifest: dict[str, Any]
    quality: dict[str, Any]
    shown: Shown = field(default_factory=Shown)

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

    def records(self, table: str) -> pd.Series[str]:
        """A name for each row of a table; see `record_names`."""
        rows = self.tables[table]
        personal = self.kind(table) == "person" and STUDY_ID in rows
        return record_names(rows, table, STUDY_ID if personal else None)

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


def project_of(directory: Path) -> str:
    """The project of an extract, before it is read.

    Raises:
        NotFoundError: there is none.
    """
    path = directory / "manifest.json"
    if not path.is_file():
        raise NotFoundError(f"{directory} holds no extract")
    try:
        return Manifest.model_validate_json(path.read_bytes()).project
    except ValueError:
        raise DigestMismatchError(f"{path} is no manifest") from None


def read_extract(directory: Path, *, ledger: Path | None = None) -> Extract:
    """Read an extract after checking it.

    Args:
        ledger: the file that says what reports of the project showed; None starts with nothing,
            and keeps nothing.

    Raises:
        NotFoundError: there is none.
        DigestMismatchError: it, or the ledger, is not what was written.
    """
    verify_extract(directory)
    columns: dict[str, list[dict[str, Any]]] = {}
    for entry in json.loads((directory / "data_dictionary.json").read_bytes())["columns"]:
        columns.setdefault(entry["table"], []).append(entry)
    tables = {name: pd.read_parquet(directory / "tables" / f"{name}.parquet") for name in columns}
    found = Extract(
        people=tables.pop("people"),
        tables=tables,
        columns=columns,
        manifest=json.loads((directory / "manifest.json").read_bytes()),
        quality=json.loads((directory / "quality_report.json").read_bytes()),
    )
    told = list(_counts(directory, found))
    return replace(found, shown=Shown(ledger, digest_of(directory), told))


def _counts(directory: Path, extract: Extract) -> Iterator[Told]:
    """The extract's own tables of counts: readers may have them.

    Those of tables of which no row is there have nothing in common with reports.
    """
    rules = extract.manifest.get("disclosure") or {}
    for asked in rules.get("tables") or ():
        path = directory / "counts" / f"{asked['name']}.parquet"
        rows = extract.people if asked["of"] == "people" else extract.tables.get(asked["of"])
        if rows is None or not path.is_file() or not set(asked["by"]) <= set(rows):
            continue
        people = asked["count"] == "people"
        name = rows[STUDY_ID] if people or rows is extract.people else extract.records(asked["of"])
        table = table_of_rows(
            rows.assign(row=name),
            asked["by"],
            name=asked["name"],
            counted=f"{asked['count']} of {asked['of']}",
            person=STUDY_ID if STUDY_ID in rows else None,
            people=people,
            record="row",
        )
        hidden = pd.read_parquet(path, columns=["suppressed"])["suppressed"].to_numpy(np.bool_)
        suppressed = np.zeros(table.shape, np.bool_)
        suppressed[table.shown] = hidden
        yield Told(table, suppressed, int(rules.get("min_cell") or K))
