"""Each of the 18 identifiers of 45 CFR 164.514(b)(2)(i), in ten disguises: none leaves."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from linkage.agent.planted import OwnIdentifiers
from linkage.agent.source import SourceFile
from linkage.agreement import (
    ContentField,
    ContentTable,
    IdentifierField,
    Partner,
    Transform,
    parse_manifest,
)
from linkage.errors import InvalidRequestError, SourceError
from linkage.release.coarsen import converter
from linkage.release.codes import code_fault
from linkage.release.days import draw_shifts
from linkage.release.deidentify import attach_index_ids, check_deidentified, deidentify_table
from linkage.synthetic import County, demo_manifest, write_county

FIELDS = {
    "given": "given_name",
    "surname": "surname",
    "dob": "date_of_birth",
    "ssn": "national_id",
    "phone": "phone",
    "street": "address",
    "city": "city",
    "zip": "postcode",
    "mail": "email",
}
RECORDS = [
    "mrn,given,surname,dob,ssn,phone,street,city,zip,mail",
    (
        "MR48213,Wilhelmina,Lopez,1987-03-14,078-05-1120,312-555-0147,1420 Oak Street,Elmville,"
        "60614,wlopez@example.org"
    ),
    *(f"MR1000{n},Ezra,Quigley,1950-01-02,,,1 Elm Rd,Elmville,60601," for n in range(6)),
]

# As a partner's file holds them: of the record itself where they have no form of their own.
IDENTIFIERS = {
    "A names": ["Wilhelmina", "Lopez", "Wilhelmina Lopez", "Jennifer Smith"],
    "B geographic subdivisions": ["1420 Oak Street", "60614-2231", "41.87811, -87.62980"],
    "C dates": ["1987-03-14", "03/14/1987", "14 Mar 1987"],
    "D telephone numbers": ["312-555-0147", "(773) 555-0199"],
    "E fax numbers": ["fax 773-555-0100"],
    "F e-mail addresses": ["wlopez@example.org", "someone.else@agency.us"],
    "G social security numbers": ["078-05-1120", "219-09-9999"],
    "H medical record numbers": ["MR48213", "MRN 0048213"],
    "I health plan numbers": ["1EG4-TE5-MK73", "Medicaid 0123456"],
    "J account numbers": ["4111 1111 1111 1111", "acct 99812"],
    "K certificate and licence numbers": ["D400-7836-0001", "lic 5512345"],
    "L vehicle identifiers": ["1HGCM82633A004352", "plate KLM 4821"],
    "M device identifiers": ["SN-88421906-X", "490154203237518"],
    "N web addresses": ["https://example.org/~wlopez", "www.example.org"],
    "O network addresses": ["192.168.10.24", "2001:db8:85a3:0:0:8a2e:370:7334"],
    "P biometric identifiers": ["thumb_left.wsq", "data:audio/wav;base64,UklGRg"],
    "Q photographs": ["face_0001.jpg", "IMG/lopez.png"],
    "R any other unique number": ["9031-7745-2218", "booking 2024-11873"],
}

FULL_WIDTH = {n: n + 0xFEE0 for n in range(0x21, 0x7F)}
ARABIC = {ord("0") + n: 0x0660 + n for n in range(10)}

DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "other case": str.swapcase,
    "full width": lambda text: text.translate(FULL_WIDTH),
    "digits of another script": lambda text: text.translate(ARABIC),
    "zero-width characters": "\u200b".join,
    "other dashes and spaces": lambda text: text.replace("-", "\u2011").replace(" ", "\u00a0"),
    "base64": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "hexadecimal": lambda text: text.encode().hex(),
    "backwards": lambda text: text[::-1],
    "inside a code": lambda text: f"X9-{text}-A",
    "after letters": lambda text: f"ID_{text}",
    "percent-encoded": lambda text: "".join(f"%{b:02X}" for b in text.encode()),
    "a space between": " ".join,
    "a dot between": ".".join,
}

OPEN = ContentTable.model_validate(
    {"name": "visits", "kind": "event", "record_id": "mrn", "fields": [{"name": "code"}]}
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> OwnIdentifiers:
    path = tmp_path_factory.mktemp("planted") / "people.csv"
    path.write_text("\n".join(RECORDS) + "\n")
    fields = [IdentifierField.model_validate({"name": n, "type": t}) for n, t in FIELDS.items()]
    partner = Partner.model_validate({"name": "north", "record_id": "mrn"})
    ids = [line.partition(",")[0] for line in RECORDS[1:]]
    return OwnIdentifiers(SourceFile(path), partner, fields, np.arange(len(ids)), list(ids))


def faults(own: OwnIdentifiers, cells: list[str], places: list[int]) -> list[int]:
    """Rows from 1 that are refused; 0 is the column as a whole."""
    frame = pd.DataFrame({"code": cells}, dtype=object)
    look = own.look_at(np.array(places))
    try:
        deidentify_table(OPEN, frame, file="visits.csv", look=look)
    except SourceError as error:
        assert not any(cell in str(error) for cell in cells if len(cell) > 2)
        return [problem.row for problem in error.problems]
    return []


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("kind", IDENTIFIERS)
def test_no_identifier_leaves(own: OwnIdentifiers, kind: str, disguise: str) -> None:
    for identifier in IDENTIFIERS[kind]:
        planted = DISGUISES[disguise](identifier)
        found = faults(own, ["ER", planted, "IN"], [1, 0, 2])
        assert found == [2], (kind, identifier, disguise)


OTHERS: list[dict[str, Any]] = [
    {"values": ["ER", "IN"]},
    {"transform": "generalise", "mapping": {"ER": "A", "IN": "B"}},
    {"transform": "band", "edges": [18, 65]},
    {"transform": "top_code", "top": 90},
    {"transform": "top_code", "top": 1_000_000},
    {"transform": "year"},
    {"transform": "month"},
    {"transform": "age_band", "reference": "2026-01-01"},
    {"transform": "zip3"},
    {"transform": "tract", "within": ["17"]},
    {"transform": "county", "within": ["17"]},
    {"transform": "municipality", "values": ["Elmville"], "lookup": {"name": "homes"}},
    {"transform": "municipality", "within": ["17"], "lookup": {"name": "homes"}},
    {"transform": "crosswalk", "values": ["ER"], "lookup": {"name": "calls", "agency": "PD"}},
    {"transform": "day"},
    {"transform": "number"},
]


def test_every_transform_is_tried() -> None:
    assert {one.get("transform", "keep") for one in OTHERS} == {str(one) for one in Transform}


@pytest.mark.parametrize("declared", OTHERS, ids=lambda one: one.get("transform", "keep"))
def test_no_other_transform_lets_an_identifier_through(declared: dict[str, Any]) -> None:
    """A cell is refused, or what leaves of it holds no more than the transform says."""
    field = ContentField.model_validate({"name": "code", **declared})
    convert = converter(field)
    removed = 0
    for identifier in itertools.chain.from_iterable(IDENTIFIERS.values()):
        for disguise in DISGUISES.values():
            value, fault = convert(disguise(identifier).strip())
            assert fault is not None or value is not None
            if fault is not None:
                assert identifier not in fault
                continue
            removed += 1
            assert (field.transform, str(value)) in LET_OUT, identifier
    assert bool(removed) == (field.transform in {transform for transform, _ in LET_OUT})


# Of 1987-03-14 and of 60614-2231; a day is hidden before it leaves, and a number is of no person.
LET_OUT = {
    (Transform.YEAR, "1987"),
    (Transform.MONTH, "1987-03"),
    (Transform.AGE_BAND, "30-39"),
    (Transform.ZIP3, "606"),
    (Transform.DAY, "1987-03-14"),
    (Transform.NUMBER, "490154203237518.0"),
    (Transform.NUMBER, "815732302451094.0"),
}


def test_a_day_leaves_under_its_rows_shift_alone() -> None:
    visits = {"name": "visits", "kind": "event", "record_id": "mrn"}
    table = ContentTable.model_validate(
        {**visits, "fields": [{"name": "day", "transform": "day", "means": "day"}]}
    )
    frame = pd.DataFrame({"day": ["1987-03-14"] * 20}, dtype=object)
    clean = deidentify_table(table, frame, file="f")
    ids = np.zeros((20, 16), np.uint8)
    with pytest.raises(InvalidRequestError, match="its days have no shift"):
        attach_index_ids(clean, ids)
    parcel = attach_index_ids(clean, ids, draw_shifts(20))
    check_deidentified(table, parcel, source="f")
    # Twenty times the same day, of which nothing is to be seen.
    assert len(set(parcel["day"].to_pylist())) >= 19
    assert (date(1987, 3, 14) - date(1970, 1, 1)).days not in parcel["day"].to_pylist()


@pytest.mark.parametrize("kind", ["event", "service", "person"])
def test_a_number_as_it_stands_is_none_of_persons(kind: str) -> None:
    with pytest.raises(ValidationError, match="number"):
        ContentTable.model_validate(
            {**OPEN.model_dump(exclude_none=True, mode="json"), "kind": kind,
             "fields": [{"name": "n", "transform": "number"}]}
        )  # fmt: skip


CODES = [
    "F32.1", "Z59.0", "S72.001A", "99213", "H0038 HE", "T1015", "ER", "shelter_night", "CASH",
    "18-24", "2024-05", "65+", "<18", "Level 3 (acute)", "MH-HOLD", "5150", "911 HANG UP", "10-56",
    "Black/African", "CRISIS_STAB", "NO_REFERRAL", "Mental Health", "MAY 12", "0.5", "-12.25",
    "Oak Park", "DETOX", "OUTPATIENT", "deadbeef", "Carol Stream",
]  # fmt: skip


def test_codes_pass(own: OwnIdentifiers) -> None:
    cells = [code for code in CODES for _ in range(4)]
    assert faults(own, cells, [n % 4 + 1 for n in range(len(cells))]) == []


def test_a_code_that_others_share_is_none_of_a_person_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("surname\nCash\n" + "Quigley\n" * 5)
    fields = [IdentifierField.model_validate({"name": "surname", "type": "surname"})]
    partner = Partner.model_validate({"name": "north"})
    records: list[Any] = [None] * 6
    found = OwnIdentifiers(SourceFile(path), partner, fields, np.arange(6), records)
    assert faults(found, ["CASH"] * 6, list(range(6))) == []
    assert faults(found, ["CASH", "FOOD", "FOOD"], [0, 1, 2]) == [1]


def test_a_column_of_names_is_refused_as_a_whole(own: OwnIdentifiers) -> None:
    names = ["Smith", "Johnson", "Williams", "Brown", "Jones", "Garcia", "Miller", "Davis",
             "Rodriguez", "Martinez", "Hernandez", "Wilson", "ER", "IN"]  # fmt: skip
    cells = names * 3
    assert faults(own, cells, [n % 6 + 1 for n in range(len(cells))]) == [0]


@pytest.mark.parametrize("piece", ["1.", "1 ", "a_", "%2", "ab:", "1-", "A1b2", "=", "&#6", "0."])
def test_no_cell_takes_long_to_look_at(piece: str) -> None:
    started = time.process_time()
    code_fault((piece * 64)[:64])
    assert time.process_time() - started < 1


def test_nothing_of_a_whole_county_is_held_for_an_identifier(tmp_path: Path) -> None:
    """Its content with nearly every list of codes taken out of the agreement: no refusal."""
    county = write_county(County.make(people=1500, seed=7), tmp_path)
    document = demo_manifest()
    opened = 0
    for partner in document["partners"]:
        for field in (field for table in partner["content"] for field in table["fields"]):
            if "values" in field and field["name"] not in ("race_ethnicity", "tract"):
                del field["values"]
                opened += 1
    assert opened >= 10
    manifest = parse_manifest(json.dumps(document).encode())
    for partner in manifest.partners:
        source = SourceFile(county.identifiers[partner.name])
        ids = list(read(source, [str(partner.record_id)])[str(partner.record_id)])
        found = OwnIdentifiers(source, partner, manifest.fields, np.arange(len(ids)), ids)
        place = {record: number for number, record in enumerate(ids)}
        for table in partner.content:
            if not table.is_personal:
                continue
            joined = table.record_id is not None
            file = SourceFile(county.content[partner.name][table.name]) if joined else source
            record = str(table.record_id or partner.record_id)
            columns = dict.fromkeys([record, *(f.column or f.name for f in table.fields)])
            rows = read(file, list(columns))
            look = found.look_at(np.array([place[one] for one in rows[record]]))
            clean = deidentify_table(table, rows, file="f", missing=partner.missing, look=look)
            assert clean.num_rows == len(rows) > 200


def read(source: SourceFile, columns: list[str]) -> pd.DataFrame:
    parts = [pd.DataFrame(batch, dtype=object) for batch in source.batches(columns)]
    return pd.concat(parts, ignore_index=True)
