"""The monthly crisis-call file: golden files, written by hand, and what is refused."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from linkage.agent.illinois.files import filing
from linkage.agent.illinois.layout import Layout, Month, bundled_layout
from linkage.agent.illinois.report import MonthReport, month_report
from linkage.agent.illinois.settings import Settings
from linkage.agent.source import SourceFile
from linkage.cli.main import app
from linkage.errors import AlreadyExistsError, InputError, NotReadyError, SourceError
from linkage.release.crosswalk.documents import CodeMapping, Crosswalk, parse
from linkage.release.crosswalk.lists import bundled_list

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = parse(Settings, (GOLDEN / "settings.json").read_bytes(), "settings")
LAYOUT = bundled_layout()
HEADER, *ROWS = list(csv.reader((GOLDEN / "dispatches.csv").open(newline="")))


def month(text: str) -> Month:
    return Month(year=int(text[:4]), month=int(text[5:]))


def report(
    rows: list[list[str]], of: str = "2024-02", settings: Settings = SETTINGS, **more: Any
) -> MonthReport:
    columns = dict(zip(HEADER, zip(*rows, strict=True), strict=True))
    return month_report(
        [columns], settings=settings, layout=LAYOUT, month=month(of), file="d.csv", **more
    )


def row(**cells: str) -> list[str]:
    filled = {
        "incident_no": "24-1",
        "dispatched_at": "2024-02-05 10:00:00",
        "call_type": "7M",
        "how": "911",
        "units": "P",
        "disposition": "REL",
        "disposition_at": "2024-02-05 11:00:00",
    }
    return [(filled | cells).get(name, "") for name in HEADER]


def call(*words: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["agent", *(str(word) for word in words), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def run(out: Path, of: str, *more: object, file: Path = GOLDEN / "dispatches.csv") -> Any:
    settings = GOLDEN / "settings.json"
    return call("crisis-report", file, "--settings", settings, "--month", of, "--out", out, *more)


@pytest.mark.parametrize(
    "of", ["2023-12", "2024-01", "2024-02", "2024-03", "2024-04", "2024-12", "2025-01"]
)
def test_files_are_the_golden_ones_byte_for_byte(of: str, tmp_path: Path) -> None:
    run(tmp_path, of)
    for path in tmp_path.iterdir():
        expected = GOLDEN / path.name
        if expected.exists():
            assert path.read_bytes() == expected.read_bytes()
        assert path.stat().st_mode & 0o77 == 0
        assert b"Zqmarker" not in path.read_bytes()
    assert (GOLDEN / f"crisis-calls-IL9990600-{of}.csv").exists()
    assert len(list(tmp_path.iterdir())) == 3
    [page] = tmp_path.glob("*.html")
    html = page.read_text("utf-8")
    assert html.count("<svg ") == 2
    assert "Subject not located" in html
    assert not re.search(r"<(script|link|img|iframe)\b|\bsrc\s*=|href=\"[^#]|@import", html)


def test_every_row_is_in_one_account_and_every_incident_in_one_month() -> None:
    seen: dict[str, str] = {}
    for of in ("2023-12", "2024-01", "2024-02", "2024-03", "2024-12", "2025-01"):
        found = report(ROWS, of)
        assert found.accounts.total == found.rows == len(ROWS) == 22
        for incident in found.incidents:
            assert seen.setdefault(incident.number, of) == of
    told = vars(report(ROWS).accounts)
    assert told == {
        "reported": 10,
        "other_month": 7,
        "other_reason": 1,
        "unknown_reason": 0,
        "without_reason": 1,
        "nobody_dispatched": 1,
        "otherwise": 2,
    }
    assert len(seen) == 14


def test_what_is_said_of_a_month(tmp_path: Path) -> None:
    told = run(tmp_path, "2024-02")
    assert (told["incidents"], told["due"]) == (8, "2024-03-15")
    assert told["outcomes"]["not_located"] == 2
    assert [text[:22] for text in told["warnings"]] == [
        "the layout il-1244 1 i",
        "2 incidents are still ",
    ]
    with pytest.raises(AlreadyExistsError):
        run(tmp_path, "2024-02")
    assert run(tmp_path, "2023-12", "--overwrite")["due"] == "2024-01-15"
    late = run(tmp_path, "2025-02")
    assert "last dispatch is 2025-01-01" in late["warnings"][1]


def test_a_month_that_is_not_over_is_a_draft(tmp_path: Path) -> None:
    later = dt.datetime.now().astimezone().date() + dt.timedelta(days=40)
    with pytest.raises(NotReadyError, match="is not over"):
        run(tmp_path, f"{later:%Y-%m}")
    assert run(tmp_path, f"{later:%Y-%m}", "--draft")["incidents"] == 0
    for text in ("2024-13", "2024-2", "0000-01", "now"):
        with pytest.raises(InputError, match="YYYY-MM"):
            run(tmp_path, text)


@pytest.mark.parametrize(
    ("moment", "of"),
    [
        # 05:59 UTC is one minute to midnight in Illinois in winter, 04:59 in summer.
        ("2024-03-01 05:59:00+0000", "2024-02"),
        ("2024-03-01 06:00:00+0000", "2024-03"),
        ("2024-07-01 04:59:59+0000", "2024-06"),
        ("2024-07-01 05:00:00+0000", "2024-07"),
        ("2024-01-01 00:30:00-0500", "2023-12"),
        # The hour that comes twice when summer time ends.
        ("2024-11-03 06:30:00+0000", "2024-11"),
        ("2024-11-03 07:30:00+0000", "2024-11"),
    ],
)
def test_times_of_other_zones_are_taken_to_local_time(moment: str, of: str) -> None:
    settings = SETTINGS.model_copy(update={"date_format": "%Y-%m-%d %H:%M:%S%z"})
    rows = [row(dispatched_at=moment, disposition_at="")]
    assert len(report(rows, of, settings).incidents) == 1


def test_the_last_outcome_counts_and_of_two_without_a_time_none() -> None:
    revised = [
        row(disposition="ARR", disposition_at="2024-02-09 00:00:00"),
        row(disposition="HOSP-V", disposition_at="2024-02-08 23:59:59"),
        row(disposition="REL", disposition_at=""),
        row(disposition="", disposition_at="2024-02-20 00:00:00"),
    ]
    assert report(revised).incidents[0].outcome == "arrested"
    assert report(revised[::-1]).incidents[0].outcome == "arrested"
    doubtful = [row(disposition="ARR", disposition_at=""), row(disposition_at="")]
    with pytest.raises(SourceError, match=r"row 2, field 'disposition': the incident has another"):
        report(doubtful)
    # The same outcome by two local codes is one.
    same = [row(disposition="GOA", disposition_at=""), row(disposition="UTL", disposition_at="")]
    assert report(same).incidents[0].outcome == "not_located"


def test_all_that_is_wrong_is_named_by_row_and_column_never_by_cell() -> None:
    wrong = [
        row(),
        row(incident_no=""),
        row(incident_no="=1+1"),
        row(incident_no="24-2", units="ZQ"),
        row(incident_no="24-3", units=""),
        row(incident_no="24-4", disposition="ZQ"),
        row(incident_no="24-5", dispatched_at="02/29/2023"),
        row(incident_no="24-6", dispatched_at="2024-02-29 24:00:00"),
        row(incident_no="24-7", disposition_at="ZQ"),
        row(incident_no="24-8", dispatched_at="ZQ", call_type="THEFT"),
        row(incident_no="24-1", dispatched_at="2024-02-20 10:00:00"),
    ]
    with pytest.raises(SourceError) as caught:
        report(wrong)
    assert [(p.row, p.field) for p in caught.value.problems] == [
        (2, "incident_no"),
        (3, "incident_no"),
        (4, "units"),
        (5, "units"),
        (6, "disposition"),
        (7, "dispatched_at"),
        (8, "dispatched_at"),
        (9, "disposition_at"),
        (11, "incident_no"),
    ]
    assert "ZQ" not in str(caught.value)
    assert "put the year before them" in str(caught.value)


def test_reasons_may_be_standard_codes_of_a_crosswalk() -> None:
    codes = bundled_list("crisis")
    entry = {"agency": "WCPD", "confidence": "high", "author": "R", "date": dt.date(2026, 3, 1)}
    used = Crosswalk(
        linkage="crosswalk/1",
        name="calls",
        version=1,
        codes=codes.reference,
        agencies=("WCPD",),
        mappings=(
            CodeMapping(local="7M", standard="mental_health", **entry),
            CodeMapping(local="THEFT", standard="not_crisis", **entry),
        ),
    )
    settings = SETTINGS.model_copy(
        update={
            "crisis": (),
            "crisis_standard": ("mental_health", "suicide"),
            "crosswalk_agency": "WCPD",
        }
    )
    found = report(ROWS, settings=settings, crosswalk=used)
    assert found.accounts.unknown_reason == sum(line[3] == "7S" for line in ROWS)
    assert found.accounts.other_reason == 1
    assert len(found.incidents) == 6
    for missing in (None, used.model_copy(update={"agencies": ("XX",)})):
        with pytest.raises(InputError, match="a crosswalk with the agency 'WCPD' is needed"):
            report(ROWS, settings=settings, crosswalk=missing)


def test_amendments_say_what_is_new_revised_or_withdrawn(tmp_path: Path) -> None:
    run(tmp_path / "first", "2024-02")
    sent = tmp_path / "first" / "crisis-calls-IL9990600-2024-02.csv"
    later = [
        # Closed since; a time corrected into another month; one found later; one a mistake.
        [*line[:6], "REL", "2024-03-02 08:00:00"] if line[0] == "24-00212" else line
        for line in ROWS
        if line[0] != "24-00200"
    ]
    later = [
        [line[0], line[1], "2024-01-10 12:00:00", *line[3:]] if line[0] == "24-00201" else line
        for line in later
    ]
    later.append(row(incident_no="24-00299"))
    made = filing(
        report(later), settings=SETTINGS, layout=LAYOUT, before=sent.read_bytes(), source="sent"
    )
    assert made.statuses == {"new": 1, "revised": 1, "unchanged": 5, "withdrawn": 2}
    text = made.files[sent.name].decode()
    status = {line["incident_number"]: line["status"] for line in csv.DictReader(text.splitlines())}
    assert {n for n, s in status.items() if s == "withdrawn"} == {"24-00200", "24-00201"}
    assert (status["24-00212"], status["24-00299"]) == ("revised", "new")
    # What was withdrawn once is not known any more.
    again = filing(report(later), settings=SETTINGS, layout=LAYOUT, before=text.encode())
    assert again.statuses == {"new": 0, "revised": 0, "unchanged": 7, "withdrawn": 0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("IL9990600", "IL0000000"), "row 1, field 'ori': is another agency's"),
        ((",2024,02,", ",2024,01,"), "row 1, field 'month': is another agency's"),
        (("24-00210", "24-00101"), "row 2, field 'incident_number': is empty, or stands twice"),
        (("incident_number", "number"), "lacks the column 'incident_number'"),
    ],
)
def test_another_file_is_not_amended(change: tuple[str, str], said: str) -> None:
    text = (GOLDEN / "crisis-calls-IL9990600-2024-02.csv").read_text().replace(*change)
    with pytest.raises(InputError) as caught:
        filing(report(ROWS), settings=SETTINGS, layout=LAYOUT, before=text.encode(), source="sent")
    assert said in str(caught.value)


def test_a_layout_of_the_states_own_changes_columns_and_words(tmp_path: Path) -> None:
    call("crisis-layout", "--out", tmp_path / "layout.json")
    shape = json.loads((tmp_path / "layout.json").read_text())
    assert parse(Layout, (tmp_path / "layout.json").read_bytes(), "x") == LAYOUT
    shape["columns"] = [
        {"name": "Agency ORI", "holds": "ori"},
        {"name": "Response", "holds": "levels"},
        {"name": "Outcome", "holds": "outcome"},
    ]
    shape["outcomes"][5]["written"] = "Unable to locate"
    shape["checked"] = "2026-03-01, R. Moss"
    (tmp_path / "layout.json").write_text(json.dumps(shape))
    told = run(tmp_path / "out", "2024-01", "--layout", tmp_path / "layout.json")
    lines = Path(told["files"][0]).read_text().splitlines()
    assert lines[:2] == [
        "Agency ORI,Response,Outcome",
        "IL9990600,cit_officer,admitted_voluntarily",
    ]
    assert told["warnings"] == []
    told = run(tmp_path / "out", "2024-02", "--layout", tmp_path / "layout.json")
    assert "IL9990600,sworn_officer,Unable to locate" in Path(told["files"][0]).read_text()
    with pytest.raises(InputError, match="amendments need a layout with columns"):
        run(
            tmp_path / "out", "2024-02", "--layout", tmp_path / "layout.json",
            "--sent", told["files"][0], "--overwrite",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ori": "il1"}, "field 'ori'"),
        ({"time_zone": "Mars/Base"}, "is not a time zone"),
        ({"time_zone": "../../etc/passwd"}, "is not a time zone"),
        ({"date_format": "%Y-%m-%d"}, "tells year, month, day, hour and minute"),
        ({"date_format": "%y-%m-%d %H:%M"}, None),
        ({"crisis": []}, "give either crisis or crisis_standard"),
        ({"crisis_standard": ["suicide"]}, "give either crisis or crisis_standard"),
        ({"levels": {"P": []}}, "at least 1 item"),
        ({"levels": {"P": ["horse"]}}, "'horse' is no level of il-1244"),
        ({"outcomes": {"REL": "gone"}}, "'gone' is no outcome of il-1244"),
        ({"columns": {"incident": "a"}}, "columns.dispatched"),
        ({"surprise": 1}, "field 'surprise'"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, Any], said: str | None, tmp_path: Path) -> None:
    document = json.loads((GOLDEN / "settings.json").read_text()) | change
    (tmp_path / "s.json").write_text(json.dumps(document))
    words = ("crisis-report", GOLDEN / "dispatches.csv", "--settings", tmp_path / "s.json",
             "--month", "2024-02", "--out", tmp_path / "out")  # fmt: skip
    if said is None:
        # Two digits of a year are a form like others; these dates have four.
        with pytest.raises(SourceError, match="not a time of the form"):
            call(*words)
    else:
        with pytest.raises(InputError) as caught:
            call(*words)
        assert said in str(caught.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_only_the_named_columns_are_read() -> None:
    source = SourceFile(GOLDEN / "dispatches.csv")
    wanted = [column for column in SETTINGS.columns.model_dump().values() if column]
    assert "name" not in wanted
    assert {name for batch in source.batches(wanted) for name in batch} == set(wanted)
