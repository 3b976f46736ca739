"""A ready-made output: tables as CSV, and one web page that needs nothing else.

- What may not be shown is empty in the CSV, never 0.
- The same extract and choices give the same bytes.
- A text that a spreadsheet could take for a formula has an apostrophe before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from linkage.files import write_atomic

DIGITS = 6
_FORMULA = re.compile(r"[=+\-@\t\r]")


@dataclass(frozen=True)
class Output:
    """What a report consists of.

    Attributes:
        name: of its files: `<name>.html`, and one `<table>.csv` for each table.
        figures: the few numbers worth printing, as plain JSON values.
    """

    name: str
    page: str
    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[str, Any] = field(default_factory=dict)

    def write(self, directory: Path) -> list[Path]:
        """Write page and tables, replacing what is there under these names; in order of name."""
        directory.mkdir(parents=True, exist_ok=True)
        contents = {f"{self.name}.html": self.page.encode()}
        contents |= {f"{name}.csv": csv_bytes(table) for name, table in self.tables.items()}
        for name, data in contents.items():
            write_atomic(directory / name, data, mode=0o644)
        return [directory / name for name in sorted(contents)]


def csv_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV: UTF-8, lines ending in LF, missing cells empty."""
    shown = table.copy()
    for column in shown:
        if shown[column].dtype == object:
            shown[column] = shown[column].map(_plain)
        elif shown[column].dtype.kind == "f":
            shown[column] = shown[column].round(DIGITS)
    return shown.to_csv(index=False, lineterminator="\n").encode()


def _plain(cell: Any) -> Any:
    if isinstance(cell, float):
        return round(cell, DIGITS)
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
