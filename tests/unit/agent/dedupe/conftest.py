"""Small files of people, and the tables that describe them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from linkage.agent.dedupe.recordset import RecordSet, read_records
from linkage.agent.source import SourceFile
from linkage.agent.table import Table
from linkage.agreement import IdentifierField, Partner

FIELDS = {
    "given": "given_name",
    "surname": "surname",
    "dob": "date_of_birth",
    "ssn": "national_id",
    "phone": "phone",
    "address": "address",
    "postcode": "postcode",
}
Row = Sequence[str]
MakeTable = Callable[..., Table]
MakeRecords = Callable[..., RecordSet]


def silent(_step: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def make_table(tmp_path: Path) -> MakeTable:
    """A table of rows in the order of `kinds`: columns named as the fields."""

    def make(rows: Sequence[Row], kinds: dict[str, str] | None = None) -> Table:
        kinds = FIELDS if kinds is None else kinds
        path = tmp_path / "people.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(kinds)
            writer.writerows([*row, *[""] * (len(kinds) - len(row))] for row in rows)
        fields = [IdentifierField(name=name, type=kind) for name, kind in kinds.items()]
        return Table(fields, Partner(name="north"), SourceFile(path))

    return make


@pytest.fixture
def make_records(make_table: MakeTable) -> MakeRecords:
    def make(rows: Sequence[Row], kinds: dict[str, str] | None = None) -> RecordSet:
        return read_records(make_table(rows, kinds), silent)

    return make
