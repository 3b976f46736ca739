"""The central log: counts equal a slow count, nothing small is shown, local codes are mapped."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from linkage.agreement import Manifest
from linkage.cli.main import app
from linkage.errors import InputError, NotFoundError
from linkage.evaluator.centrallog import (
    CentralLog,
    central_log,
    intervals,
    repeats,
    shown,
)
from linkage.evaluator.centrallog_report import central_log_report
from linkage.evaluator.contacts import Contacts, contacts
from linkage.evaluator.extract import write_extract
from linkage.evaluator.reading import Extract, read_extract
from linkage.evaluator.shown import Shown
from linkage.release.assemble import assemble
from linkage.release.crosswalk.documents import CodeMapping, Crosswalk
from linkage.release.crosswalk.lists import bundled_list
from linkage.release.deidentify import attach_index_ids
from linkage.release.disclosure import TOTAL, audit

TOWNS = ("Elm", "Oak", "<b>Ash")
LOCAL = {"PD": ("96", "59", "77"), "SO": ("MH", "WC", "XX")}
STANDARD = ("mental_health", "welfare_check")


def field(name: str, means: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "means": means, **more}


def manifest(partner: str, **more: Any) -> dict[str, Any]:
    return {
        "name": partner,
        "record_id": "rid",
        "unique": False,
        "content": [
            {
                "name": "calls",
                "kind": "event",
                "record_id": "r",
                "fields": [
                    field("m", "month", transform="month"),
                    field("town", "municipality", values=list(TOWNS)),
                    field("dept", "agency"),
                    field("code", "local_code"),
                    field("lvl", "response_level"),
                    field("end", "outcome"),
                ],
            }
        ],
    } | more


MANIFEST = Manifest.model_validate(
    {
        "linkage": "manifest/1",
        "project": "county",
        "title": "County <i>",
        "purpose": "p",
        "legal_basis": "l",
        "expires": "2030-01-01",
        "partners": [manifest("police"), {"name": "clinic"}],
        "recipients": [{"name": "bureau", "role": "assembler"}],
        "fields": [{"name": "given", "type": "given_name"}],
        "match_keys": [{"name": "k", "fields": ["given"]}],
        "scheme": {"name": "saul-v1"},
    }
)


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chance = random.Random(11)
    count = 1500
    ids = [n.to_bytes(16, "big") for n in range(1, 1001)]
    studies = [(n + 5000).to_bytes(16, "big") for n in range(1, 1001)]
    who = [min(int(chance.expovariate(0.004)), 999) for _ in range(count)]
    dept = [chance.choice(("PD", "PD", "SO")) for _ in who]
    rows = pa.table(
        {
            "m": [
                None if n % 500 == 499 else f"2024-{chance.randrange(1, 7):02d}"
                for n in range(count)
            ],
            "town": [chance.choice((*TOWNS[:2] * 8, TOWNS[2], None)) for _ in who],
            "dept": dept,
            "code": [chance.choices(LOCAL[d], (60, 35, 3))[0] for d in dept],
            "lvl": [chance.choice(("1", "2")) for _ in who],
            "end": [chance.choices(("ED", "JAIL", "GONE"), (50, 45, 1))[0] for _ in who],
        }
    )
    index = {"police": dict(zip(ids, studies, strict=True)), "clinic": {}}
    raw = memoryview(b"".join(ids[n] for n in who))
    import numpy as np

    table = attach_index_ids(rows, np.frombuffer(raw, np.uint8).reshape(-1, 16))
    assembled = assemble(MANIFEST, {("police", "calls"): table}, index)
    place = tmp_path_factory.mktemp("log") / "extract"
    quality = {"recommended": {"precision": 0.98, "recall": 0.9}}
    write_extract(place, assembled, manifest=MANIFEST, quality=quality)
    return place


@pytest.fixture(scope="module")
def whole(extract: Path) -> Extract:
    return read_extract(extract)


@pytest.fixture
def read(whole: Extract) -> Extract:
    """Of which nothing was shown yet."""
    return replace(whole, shown=Shown())


def crosswalk() -> Crosswalk:
    entries = [
        CodeMapping(
            agency=agency,
            local=local,
            standard=standard,
            confidence="high",
            author="R",
            date=dt.date(2026, 3, 1),
        )
        for agency, codes in LOCAL.items()
        for local, standard in zip(codes, STANDARD, strict=False)
    ]
    return Crosswalk(
        linkage="crosswalk/1",
        name="calls",
        version=1,
        codes=bundled_list("crisis").reference,
        agencies=("PD", "SO"),
        mappings=tuple(entries),
    )


@pytest.fixture(scope="module")
def log(whole: Extract) -> CentralLog:
    return central_log(whole, contacts(whole, crosswalk=crosswalk()))


def rows_of(read: Extract) -> list[dict[str, Any]]:
    """The rows as they are, with the types looked up by hand."""
    means = {(a, c): s for a, codes in LOCAL.items() for c, s in zip(codes, STANDARD, strict=False)}
    found = []
    for row in read.tables["police_calls"].to_dict("records"):
        kind = means.get((row["dept"], row["code"]), "unmapped")
        found.append({**row, "type": kind, "town": row["town"] or "not known"})
    return found


def test_shown_counts_equal_a_slow_count_and_nothing_small_is_shown(
    read: Extract, log: CentralLog
) -> None:
    rows = rows_of(read)
    assert log.periods == {"by_type": "month", "by_municipality": "month", "contacts": "quarter"}
    checked = hidden = 0
    for cell in shown(log.tables["contacts"]):
        own = [
            row
            for row in rows
            if cell["type"] in (TOTAL, row["type"])
            and cell["municipality"] in (TOTAL, row["town"])
            and within(row["m"], cell["period"])
        ]
        people = len({row["study_id"] for row in own})
        if cell["count"] is None:
            hidden += 1
            continue
        checked += 1
        assert cell["count"] == len(own)
        assert len(own) == 0 or (len(own) >= 11 and people >= 11)
    assert checked > 30
    assert hidden > 5
    assert audit(list(log.tables.values())) == 0
    accounts = log.contacts.accounts
    assert accounts is not None
    assert accounts.rows == len(rows)
    assert sum(row["type"] == "unmapped" for row in rows) == accounts.unmapped.total() > 0


def within(month: str | None, node: str) -> bool:
    if node == TOTAL:
        return True
    if month is None:
        return node == "not known"
    if "Q" in node:
        return month[:4] == node[:4] and (int(month[5:]) + 2) // 3 == int(node[-1])
    return month.startswith(node)


def test_repeats_and_intervals_equal_a_slow_count(read: Extract) -> None:
    found = contacts(read, crosswalk=crosswalk())
    by_person: dict[str, list[tuple[int, str]]] = {}
    people: dict[str, list[str]] = {}
    for row in rows_of(read):
        people.setdefault(row["study_id"], []).append(row["dept"])
        if row["m"] is not None:
            number = int(row["m"][:4]) * 12 + int(row["m"][5:])
            by_person.setdefault(row["study_id"], []).append((number, row["dept"]))
    counts: dict[tuple[str, str], int] = {}
    for agencies in people.values():
        size = len(agencies)
        band = next(
            name
            for top, name in ((1, "1"), (2, "2"), (3, "3"), (5, "4 to 5"), (10, "6 to 10"),
                              (10**9, "11 and more"))
            if size <= top
        )  # fmt: skip
        key = band, str(len(set(agencies)))
        counts[key] = counts.get(key, 0) + 1
    table = repeats(found.rows)
    at = [d.codes for d in table.dimensions]
    assert {
        (a, b): int(table.values[i, j])
        for i, a in enumerate(at[0])
        for j, b in enumerate(at[1])
        if table.values[i, j]
    } == counts
    gaps: dict[tuple[str, str], int] = {}
    for own in by_person.values():
        own.sort()
        for (one, a), (other, b) in itertools.pairwise(own):
            band = next(
                name
                for top, name in ((0, "same month"), (1, "next month"), (3, "2 to 3 months"),
                                  (6, "4 to 6 months"), (12, "7 to 12 months"), (999, "later"))
                if other - one <= top
            )  # fmt: skip
            key = band, "the same" if a == b else "another"
            gaps[key] = gaps.get(key, 0) + 1
    made = intervals(found)
    assert made is not None
    nodes = [d.codes for d in made.dimensions]
    assert {
        (a, b): int(made.values[i, j])
        for i, a in enumerate(nodes[0])
        for j, b in enumerate(nodes[1])
        if made.values[i, j]
    } == gaps


def test_days_are_used_where_every_table_has_them() -> None:
    rows = pd.DataFrame(
        {
            "record": list("123456"),
            "study_id": ["a", "a", "a", "b", "b", "c"],
            "agency": ["P", "P", "S", "P", "P", "P"],
            "period": ["2024-01"] * 6,
            "day": [0, 0, 31, 5, 400, 2],
        }
    )
    made = intervals(Contacts(rows, None, "none", True))
    assert made is not None
    names = [d.codes for d in made.dimensions]
    found = {
        (a, b): int(made.values[i, j])
        for i, a in enumerate(names[0])
        for j, b in enumerate(names[1])
        if made.values[i, j]
    }
    assert found == {
        ("same day", "the same"): 1,
        ("31 to 90 days", "another"): 1,
        ("later", "the same"): 1,
    }
    assert intervals(Contacts(rows.iloc[[5]], None, "none", True)) is None


def test_without_a_crosswalk_local_codes_stay_their_agencys_own(read: Extract) -> None:
    found = contacts(read)
    assert found.by == "local"
    assert set(found.rows["type"]) == {f"{c} ({a})" for a, codes in LOCAL.items() for c in codes}
    assert found.accounts is None


def test_page_and_files_show_what_the_cells_show(extract: Path, read: Extract) -> None:
    made = central_log_report(read, crosswalk=crosswalk(), period="year")
    assert "<b>Ash" not in made.page
    assert "&lt;b&gt;Ash" in made.page
    body = made.page.split("</style>")[1]
    assert "<script" not in body
    assert "http" not in body
    assert "77 of PD, XX of SO" in made.page
    assert "beside what other reports of this extract showed" in made.page
    assert set(made.tables) == {
        "central_log_by_type",
        "central_log_by_municipality",
        "central_log_contacts",
        "central_log_responses",
        "central_log_repeats",
        "central_log_intervals",
        "central_log_suppression",
    }
    assert made.figures["contacts"] == 1500
    assert made.figures["unmapped_codes"] == 2
    again = central_log_report(read_extract(extract), crosswalk=crosswalk(), period="year")
    assert again.page == made.page


def test_command_writes_files(extract: Path, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(crosswalk().canonical)
    words = ["evaluator", "central-log", str(extract), "--crosswalk", str(tmp_path / "c.json")]
    done = CliRunner().invoke(
        app, [*words, "--out", str(tmp_path / "out"), "--json", "--period", "year"]
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    calls = pd.read_parquet(extract / "tables" / "police_calls.parquet")
    assert (told["contacts"], told["people"]) == (len(calls), calls["study_id"].nunique())
    table = pd.read_csv(tmp_path / "out" / "central_log_by_type.csv")
    assert list(table.columns) == ["period", "type", "count", "suppressed"]
    assert table["count"].isna().equals(table["suppressed"])
    assert (tmp_path / "out" / "central_log.html").exists()


def test_what_cannot_be_made_is_refused(read: Extract) -> None:
    with pytest.raises(InputError, match="below 11 be shown nowhere"):
        central_log_report(read, k=5)
    with pytest.raises(NotFoundError, match="is called 'nothing'"):
        contacts(read, tables=["nothing"])
    bare = Extract(read.people, {}, {}, read.manifest, {})
    with pytest.raises(NotFoundError, match="no event table with months"):
        central_log_report(bare)
    wide = contacts(read)
    many = wide.rows.assign(municipality=[f"T{n % 150}" for n in range(len(wide.rows))])
    with pytest.raises(InputError, match=r"has .* cells, more than 1,500"):
        central_log(read, Contacts(many, None, "local", False), period="month")


def test_many_types_are_put_together(read: Extract) -> None:
    table = read.tables["police_calls"].assign(
        code=[f"c{n % 40}" for n in range(len(read.tables["police_calls"]))]
    )
    wide = Extract(read.people, {"police_calls": table}, read.columns, read.manifest, read.quality)
    found = contacts(wide)
    assert found.rows["type"].nunique() <= 31
    assert "other types" in set(found.rows["type"])
    assert len(found.rows) == len(table)
