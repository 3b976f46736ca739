"""Plant markers in every cell and known bytes in every secret, run everything, look for them.

The hub's directory, database and logs, every message it got or gave, and its memory when all is
done must hold none of them, in no shape; the agents' own input must, or the search would prove
nothing.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from linkage.agreement import Manifest, parse_manifest
from linkage.cli.rehearsal import Rehearsal
from linkage.evaluator.extract import verify_extract
from linkage.synthetic import County, write_county
from linkage.trust.keyring import Keyring
from tests.e2e.memory import Seeker, found_in_memory
from tests.e2e.searching import leaks, shapes

PEOPLE = 800
PARTNERS = ("sheriff", "social")
"""One that holds some people more than once, and one with a person table of its own."""
HUB = Path(__file__).with_name("capturing_hub.py")

WORDS = {
    "given_name": "zqgiven",
    "middle_name": "zqmiddle",
    "surname": "zqmarkersurname",
    "address": "Zqstreet",
    "city": "zqcity",
    "postcode": "ZQPOST",
    "ssn4": "ZQSSN",
}
"""By identifier field: what is put into each of its cells."""
ALWAYS = [b"ZQRECORD", b"ZQCODE", b"Zqfreetext", b"ZQTRUTH", b"zq.mail@", b"zqother"]
PHONE = "7439182"
CONTROLS = [b"prairie-crisis", b"county_data_office", b"minhash-v1", b"INSERT INTO log_entry"]
"""What the hub's memory must hold, or it was not looked at: of the manifest, and of its work."""


@dataclass(frozen=True)
class Planted:
    """A finished rehearsal over planted files.

    Attributes:
        anywhere: markers that the hub must never have held.
        secrets: keys and secrets that no log may hold either.
        in_memory: which of `anywhere` the hub's memory held at the end, by number, and which of
            `CONTROLS`, numbered from 0 downwards.
        looked_at: bytes of the hub's memory.
    """

    directory: Path
    inputs: Path
    result: dict[str, Any]
    anywhere: list[bytes]
    secrets: list[bytes]
    in_memory: set[int]
    looked_at: int


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    inputs = tmp_path_factory.mktemp("inputs")
    files = write_county(County.make(people=PEOPLE, seed=5), inputs)
    document = json.loads(files.manifest.read_bytes())
    document["partners"] = [p for p in document["partners"] if p["name"] in PARTNERS]
    _plant_manifest(document)
    dates: set[str] = set()
    for partner in document["partners"]:
        dates |= _plant_identifiers(files.identifiers[partner["name"]], partner)
        for table in partner["content"]:
            if table.get("record_id"):
                _plant_content(files.content[partner["name"]][table["name"]], partner, table)
    manifest = parse_manifest(json.dumps(document).encode())
    content = {(p, t): f for p in PARTNERS for t, f in files.content[p].items()}
    directory = tmp_path_factory.mktemp("work")
    with Rehearsal(
        manifest,
        {partner: files.identifiers[partner] for partner in PARTNERS},
        directory,
        content=content,
        truth="truth",
        hub_command=[sys.executable, str(HUB)],
        environment={"LINKAGE_LOG": "debug"},
    ) as rehearsal:
        rehearsal.start_hub()
        rehearsal.enrol()
        rings = {
            p: Keyring(directory / "parties" / p / "keys")
            for p in (*manifest.partner_names, manifest.assembler)
        }
        rehearsal.agree()
        rehearsal.submit()
        run = rehearsal.match()
        rehearsal.release(run["run"])
        rehearsal.assemble(run)
        held = _secrets(rings, manifest, directory)
        everything = [*_markers(dates), *held]
        [(_, hub, _)] = rehearsal.processes._servers
        sought = [
            (number, shape)
            for number, text in enumerate(everything)
            if not text.isdigit()  # So few digits stand somewhere by chance.
            for shape in shapes(text)
        ]
        sought += [(-1 - number, text) for number, text in enumerate(CONTROLS)]
        in_memory, looked_at = found_in_memory(hub.pid, sought)
        rehearsal.processes.stop()
        # The pages are drawn in the other rehearsal of this suite; drawing takes longest.
        result = rehearsal.report(run, pages=False)
    return Planted(directory, inputs, result, everything, held, in_memory, looked_at)


def _markers(dates: set[str]) -> list[bytes]:
    words = [word.encode() for word in WORDS.values()]
    phones = [PHONE.encode(), b"743-918-2", b"(743) 918-2"]
    return [*words, *ALWAYS, *phones, *(date.encode() for date in sorted(dates)[:12])]


def _secrets(rings: Mapping[str, Keyring], manifest: Manifest, directory: Path) -> list[bytes]:
    about = (manifest.project, manifest.fingerprint, 0)
    shared = {rings[name].secret(*about) for name in manifest.partner_names}
    assert len(shared) == 1, "the partners do not hold one secret"
    held = [secret for secret in shared if secret is not None]
    held += [rings[name].contribution(*about) for name in manifest.partner_names]
    for ring in rings.values():
        held.append(ring.signing_key.private_bytes_raw())
        held += [ring.sealing_key.raw[:64], ring.sealing_key.raw[64:]]
    for key in (directory / "parties").glob("*/tls.key"):
        held.append(key.read_bytes().splitlines()[1])
    return held


def test_the_protocol_ran_as_ever(planted: Planted) -> None:
    assert planted.result["scheme"] == "minhash-v1"
    # Every cell begins with its marker, so all names are alike: a threshold is hard to recommend.
    assert planted.result["best"]["f1"] > 0.85
    quality = json.loads((planted.directory / "extract/quality_report.json").read_bytes())
    how = {pair["comparison"] for pair in quality["pairs"].values()}
    assert how == {"pair_keyed"}, "no field was compared, so nothing was tested"
    assert set(planted.result["pairs"]) >= {"sheriff|social"}
    assert verify_extract(planted.directory / "extract")
    calls = (planted.directory / "extract/tables/sheriff_crisis_calls.csv").read_text()
    assert "ZQCODE" in calls, "the markers in content did not travel, so nothing was tested"


def test_the_hub_never_held_a_marker(planted: Planted) -> None:
    places = [planted.directory / "hub", planted.directory / "capture.bin"]
    found = [p.name for p in places[0].rglob("*")]
    assert "hub.db" in found
    assert any(place.is_file() for place in (places[0] / "blobs").rglob("*"))
    assert leaks(planted.anywhere, places) == []


def test_the_hubs_memory_holds_no_marker(planted: Planted) -> None:
    """What a core dump of the hub would show after all is done."""
    assert planted.looked_at > 50 << 20
    missing = [CONTROLS[n] for n in range(len(CONTROLS)) if -1 - n not in planted.in_memory]
    assert missing == [], "the hub's own work is not in its memory, so nothing was looked at"
    assert [number for number in planted.in_memory if number >= 0] == []


def test_memory_is_searched_in_every_shape() -> None:
    """Of this process: what is planted in any shape is found, and what is not is not."""
    marker = b"Zq" + secrets.token_hex(8).encode()
    planted = {shape: bytes(bytearray(shape)) for shape in shapes(marker)}
    sought = list(enumerate(planted))
    found, size = found_in_memory(os.getpid(), sought)
    assert found == set(range(len(sought)))
    assert size > 10 << 20
    absent = Seeker([(0, marker)])
    assert absent.in_piece(b"nothing" * 1000 + marker[:-1]) == set()
    for start in range(9):
        assert absent.in_piece(bytes(start) + marker) == {0}


def test_no_log_holds_a_marker(planted: Planted) -> None:
    logs = planted.directory / "logs"
    assert sum(log.stat().st_size for log in logs.iterdir()) > 1000
    tokens = [
        json.loads(invitation.read_bytes())["token"].encode()
        for invitation in planted.directory.glob("*.invite")
    ]
    assert len(tokens) == 3
    raw = [bytes.fromhex(token.decode()) for token in tokens]
    assert leaks([*planted.anywhere, *tokens, *raw], [logs]) == []
    assert leaks([*tokens, *raw], [planted.directory / "hub"]) == []


def test_the_truth_column_is_nowhere(planted: Planted) -> None:
    parts = ("hub", "parties", "logs", "extract", "links.parquet", "manifest.json")
    assert leaks([b"ZQTRUTH"], [planted.directory / part for part in parts]) == []


def test_the_search_finds_what_is_there(planted: Planted) -> None:
    words = [text for text in planted.anywhere if text not in planted.secrets]
    for number, text in enumerate(words):
        if text not in (b"743-918-2", b"(743) 918-2", PHONE.encode()):
            assert leaks([text], [planted.inputs]), f"marker {number} was never planted"
    own = planted.directory / "parties"
    for number, secret in enumerate(planted.secrets):
        assert leaks([secret], [own]), f"secret {number} is not in its own home"
    capture = planted.directory / "capture.bin"
    data = capture.read_bytes()
    assert b"prairie-crisis" in data
    assert b"/linkage.v1.UploadService/WriteUpload" in data
    assert b"/linkage.v1.ComparisonService/DownloadRequests" in data
    assert leaks([b"county_data_office"], [capture])


def _plant_manifest(document: dict[str, Any]) -> None:
    """No lists of codes: the hub sees the manifest, so its codes would be no secret."""
    for partner in document["partners"]:
        for table in partner["content"]:
            for field in table["fields"]:
                field.pop("values", None)


def _plant_identifiers(path: Path, partner: dict[str, Any]) -> set[str]:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    unknown = {"", *partner["missing"]}
    columns = partner.get("columns", {})
    for field, word in WORDS.items():
        column = columns.get(field, field)
        glue = " " if field == "address" else ""
        table[column] = [c if c in unknown else f"{word}{glue}{c}" for c in table[column]]
    phone = columns.get("phone", "phone")
    table[phone] = [c if c in unknown else _phone(c) for c in table[phone]]
    table[partner["record_id"]] = "ZQRECORD-" + table[partner["record_id"]]
    table["truth"] = "ZQTRUTH" + table["truth"]
    table["email"] = [f"zq.mail@example{n}.org" for n in range(len(table))]
    table["remark"] = [f"Zqfreetext about zqother number {n}" for n in range(len(table))]
    for content in partner["content"]:
        if not content.get("record_id") and content["kind"] == "person":
            _plant_codes(table, content, unknown, taken=set(columns.values()) | set(WORDS))
    table.to_csv(path, index=False, lineterminator="\n")
    born = table[columns.get("date_of_birth", "date_of_birth")]
    return {date for date in born if len(date) >= 8} - unknown


def _plant_content(path: Path, partner: dict[str, Any], content: dict[str, Any]) -> None:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table[content["record_id"]] = "ZQRECORD-" + table[content["record_id"]]
    _plant_codes(table, content, {"", *partner["missing"]}, taken=set())
    if "narrative" in table:
        table["narrative"] = "Zqfreetext " + table["narrative"]
    table.to_csv(path, index=False, lineterminator="\n")


_LETTERS = str.maketrans("0123456789", "qwrtpsdfgh")


def _plant_codes(
    table: pd.DataFrame, content: dict[str, Any], unknown: set[str], taken: set[str]
) -> None:
    for field in content["fields"]:
        column = field.get("column", field["name"])
        if field.get("transform", "keep") == "keep" and column not in taken:
            # Digits would look like the number of a person, and not leave.
            plain = [
                re.sub(r"[^A-Za-z0-9]", "", cell)[-6:].translate(_LETTERS) for cell in table[column]
            ]
            table[column] = [
                cell if cell in unknown else f"ZQCODE-{code}"
                for cell, code in zip(table[column], plain, strict=True)
            ]


def _phone(cell: str) -> str:
    """Another number written alike: the last three digits stay."""
    digits = iter(PHONE)
    count = sum(letter.isdigit() for letter in cell)
    place, out = 0, ""
    for letter in cell:
        if letter.isdigit():
            place += 1
            out += letter if place > count - 3 or place <= count - 10 else next(digits)
        else:
            out += letter
    return out
