"""Bad input and broken circumstances, through real processes.

Every case: an exit code that is not 0, a message that says what to do, nothing at the hub, nothing
half-written in the agent's home, and in whatever any process printed no cell, key or token.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linkage.agreement import parse_manifest
from linkage.trust.keyring import Keyring
from tests.e2e.house import House, manifest_of, records
from tests.e2e.searching import leaks

PROJECT = "bad-days"
MARKER = "Zqmarkersurname17"
HEADER = "id,given,surname,dob"
ROW = f"R1,Ann,{MARKER},1980-01-31"


@pytest.fixture(scope="module")
def manifest(house: House) -> Path:
    return house.agree(manifest_of(PROJECT))


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "missing-column": (
        f"id,given,surnam,dob\n{ROW}\n".encode(),
        "field 'surname': the column is missing; the closest is 'surnam'",
    ),
    "unparseable-date": (
        f"{HEADER}\n{ROW}\nR2,Bo,{MARKER},31.12.{MARKER}\n".encode(),
        "row 2, field 'dob': not a date",
    ),
    "empty": (b"", "the file is empty"),
    "header-only": (f"{HEADER}\n".encode(), "the file has a header but no rows"),
    "duplicate-header": (
        f"{HEADER},dob\n{ROW},1980-01-31\n".encode(),
        "field 'dob': the header names this column twice",
    ),
    "latin-1": (
        f"{HEADER}\n{ROW}é\n".encode("latin-1"),
        "row 1, field 'dob': the cell is not UTF-8",
    ),
    "utf-16": (f"{HEADER}\n{ROW}\n".encode("utf-16"), "the file is not UTF-8"),
    "million-character-cell": (
        f"{HEADER}\nR1,Ann,{MARKER * 60_000},1980-01-31\n".encode(),
        "row 1, field 'surname': the cell is longer than 10000 characters",
    ),
    "ragged": (f"{HEADER}\n{ROW}\nR2,{MARKER}\n".encode(), "row 2: the row does not have 4 cells"),
    "missing-quote": (
        f'{HEADER}\nR1,Ann,"{MARKER},1980-01-31\nR2,Bo,{MARKER},1980-01-31\n'.encode(),
        "row 1",
    ),
    "no-header": (f"{ROW}\n{ROW}\n".encode(), "field 'surname': the column is missing"),
    "repeated-record-id": (f"{HEADER}\n{ROW}\n{ROW}\n".encode(), "row 2, field 'id'"),
    "no-match-key": (f"{HEADER}\nR1,Ann,,\n".encode(), "no record has all fields"),
    "damaged-parquet": (b"PAR1" + MARKER.encode() * 9, "the Parquet file is damaged"),
}


def test_bad_files(house: House, manifest: Path) -> None:
    for name, (data, message) in BAD_FILES.items():
        path = house.path / f"{name}.data"
        path.write_bytes(data)
        words = ("agent", "submit", str(path), "--project", PROJECT)
        done = house.run(*words, home=house.home("north"))
        assert done.code == 2, (name, done)
        assert done.error["reason"] == "INVALID_SOURCE", name
        assert message in done.error["message"], (name, done.error)
        assert path.name in done.error["message"]
        assert done.error["remedy"], name
        assert done.error["message"].splitlines()[0] in done.err
    missing = house.run(
        "agent", "submit", "nowhere.csv", "--project", PROJECT, home=house.home("north")
    )
    assert (missing.code, missing.error["reason"]) == (2, "INVALID_SOURCE")
    _require_nothing_sent(house)


def test_a_file_that_changes_while_it_is_read(house: House, manifest: Path) -> None:
    path = records(house.path / "changing.csv", 0, 100_000)
    done = threading.Event()

    def append() -> None:
        while not done.wait(0.005):
            with path.open("a") as file:
                file.write(f"{ROW}\n")

    writer = threading.Thread(target=append)
    writer.start()
    try:
        words = ("agent", "submit", str(path), "--project", PROJECT)
        failed = house.run(*words, home=house.home("north"))
    finally:
        done.set()
        writer.join()
    assert failed.code == 2
    assert "changing.csv: the file changed while it was read" in failed.error["message"]
    _require_nothing_sent(house)


def _edited(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    document = manifest_of("edited")
    change(document)
    return document


def _set(place: list[Any], value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        at: Any = document
        for step in place[:-1]:
            at = at[step]
        at[place[-1]] = value

    return change


BAD_MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "unknown-type": (_set(["fields", 0, "type"], "name"), "fields.0.type"),
    "missing-field": (_set(["match_keys", 0, "fields"], ["sex"]), "'sex' is not a declared field"),
    "two-of-a-name": (_set(["partners", 1, "name"], "north"), "'north' stands more than once"),
    "unknown-setting": (_set(["retention"], 9), "unknown setting; did you mean 'retention_days'"),
}


def test_bad_manifests(house: House) -> None:
    for name, (change, message) in BAD_MANIFESTS.items():
        path = house.path / f"{name}.json"
        path.write_text(json.dumps(_edited(change)))
        done = house.run("hub", "propose", str(path), home=house.home("hub"))
        assert (done.code, done.error["reason"]) == (2, "INVALID_MANIFEST"), done
        assert message in done.error["message"]
        assert path.name in done.error["message"]
    shown = house.good("hub", "status", home=house.home("hub"))
    assert "edited" not in [project["project"] for project in shown["projects"]]


def test_a_manifest_that_differs_from_the_hubs(house: House, manifest: Path) -> None:
    other = house.path / "other.json"
    other.write_text(json.dumps(manifest_of(PROJECT, purpose="Another")))
    done = house.run("agent", "sign", str(other), "--yes", home=house.home("north"))
    assert (done.code, done.error["reason"]) == (3, "MANIFEST_FINGERPRINT_MISMATCH")
    home = house.copy("north", "north-other")
    kept = home / "projects" / PROJECT / "manifest.json"
    kept.write_bytes(parse_manifest(other.read_bytes()).canonical)
    good = records(house.path / "fine.csv", 0, 50)
    done = house.run("agent", "submit", str(good), "--project", PROJECT, home=home)
    assert (done.code, done.error["reason"]) == (3, "MANIFEST_FINGERPRINT_MISMATCH")
    _require_nothing_sent(house)


def test_a_hub_that_is_away(house: House) -> None:
    done = house.run(
        "agent", "status", "--patience", "0.5", home=house.home("north"),
        environment={"LINKAGE_HUB": "127.0.0.1:1"},
    )  # fmt: skip
    assert (done.code, done.error["reason"]) == (7, "HUB_UNAVAILABLE")
    assert done.err.count("trying again in") >= 2
    assert "127.0.0.1:1" in done.error["message"]


def test_certificates_of_another_authority(house: House) -> None:
    foreign = house.home("foreign-hub")
    house.good("hub", "init", "--name", "county", "--no-passphrase", home=foreign)
    # Their authority, our hub: the agent must not take it for theirs.
    home = house.copy("north", "north-deceived")
    shutil.copy(foreign / "authority.pem", home / "authority.pem")
    done = house.run("agent", "status", home=home)
    assert (done.code, done.error["reason"]) == (4, "UNAUTHENTICATED"), done
    assert "does not hold a certificate of the hub you enrolled with" in done.error["message"]
    # Their certificate, our hub: the hub must not take it for one of its own.
    home = house.copy("north", "north-stranger")
    for name in ("tls.key", "tls.pem"):
        shutil.copy(foreign / "steward" / name, home / name)
    done = house.run("agent", "status", "--patience", "1", home=home)
    assert (done.code, done.error["reason"]) == (4, "UNAUTHENTICATED"), done
    # An invitation of theirs.
    house.good("hub", "invite", "west", "--out", str(house.path), home=foreign)
    west = house.home("west")
    house.good("agent", "init", home=west)
    done = house.run("agent", "enrol", str(house.path / "west.invite"), home=west)
    assert done.code == 4, done
    assert not (west / "party.json").exists()


def test_wrong_invitations(house: House) -> None:
    home = house.home("late")
    house.good("agent", "init", home=home)
    used = house.path / "north.invite"
    done = house.run("agent", "enrol", str(used), home=home)
    assert (done.code, done.error["reason"]) == (4, "ENROLMENT_REFUSED")
    assert not (home / "party.json").exists()
    broken = house.path / "broken.invite"
    broken.write_bytes(used.read_bytes()[:-40])
    done = house.run("agent", "enrol", str(broken), home=home)
    assert (done.code, done.error["reason"]) == (2, "INVALID_INPUT")
    assert "not an invitation" in done.error["message"]


def test_damaged_keys(house: House, manifest: Path) -> None:
    home = house.copy("north", "north-damaged")
    key = home / "keys" / "signing.key"
    key.write_bytes(key.read_bytes()[:-1])
    good = records(house.path / "fine.csv", 0, 50)
    done = house.run("agent", "sign", str(manifest), "--yes", home=home)
    assert (done.code, done.error["reason"]) == (4, "TRUST"), done
    assert "signing.key is damaged" in done.error["message"]
    key.chmod(0o644)
    done = house.run("agent", "submit", str(good), "--project", PROJECT, home=home)
    assert (done.code, done.error["reason"]) == (4, "TRUST"), done
    assert "chmod 600" in done.error["remedy"]
    _require_nothing_sent(house)


def test_files_that_cannot_be_written(house: House) -> None:
    nowhere = house.path / "nowhere"
    done = house.run("hub", "invite", "east", "--out", str(nowhere), home=house.home("hub"))
    assert (done.code, done.error["reason"]) == (2, "INVALID_INPUT"), done
    assert "No such file or directory" in done.error["message"]


def test_a_wrong_project_secret_stops_the_run(house: House) -> None:
    project = "two-secrets"
    path = house.agree(manifest_of(project))
    agreed = parse_manifest(path.read_bytes())
    ring = Keyring(house.home("south") / "keys")
    ring.save_secret(project, agreed.fingerprint, 0, b"\x5a" * 32, replace=True)
    for name in ("north", "south"):
        file = records(house.path / f"{name}-two.csv", 0, 50)
        house.good("agent", "submit", str(file), "--project", project, home=house.home(name))
    done = house.run("hub", "run", project, home=house.home("hub"))
    assert (done.code, done.error["reason"]) == (4, "KEY_CHECK_MISMATCH")
    assert "north / south" in done.error["message"]


def test_after_all_that_a_good_file_goes_through(house: House, manifest: Path) -> None:
    file = records(house.path / "good.csv", 0, 50)
    words = ("agent", "submit", str(file), "--project", PROJECT)
    sent = house.good(*words, home=house.home("north"))
    assert sent["rows"] == 50
    again = house.good(*words, home=house.home("north"))
    assert (again["upload"], again["resumed"]) == (sent["upload"], True)
    # Another file cannot take its place, and must not spoil what is kept here.
    rows = house.home("north") / "projects" / PROJECT / "epoch-0" / "rows.parquet"
    before = rows.read_bytes()
    other = records(house.path / "other.csv", 7, 50)
    done = house.run("agent", "submit", str(other), "--project", PROJECT, home=house.home("north"))
    assert (done.code, done.error["reason"]) == (5, "ALREADY_EXISTS")
    assert rows.read_bytes() == before


def test_no_process_printed_a_cell_a_key_or_a_token(house: House, tmp_path: Path) -> None:
    printed = tmp_path / "printed"
    printed.write_text("\n".join(house.printed))
    assert len(house.printed) > 40
    secrets = [b"\x5a" * 32]
    for home in ("north", "south", "bureau", "late"):
        ring = Keyring(house.home(home) / "keys")
        secrets += [ring.signing_key.private_bytes_raw(), ring.sealing_key.raw]
        for made in ("secret-*", "contribution-*"):
            secrets += [file.read_bytes() for file in (house.home(home) / "keys").glob(made)]
    for key in house.path.glob("*/tls.key"):
        secrets.append(key.read_bytes().splitlines()[1])
    for invitation in house.path.glob("*.invite"):
        token = re.search(rb'"token":"([0-9a-f]{64})"', invitation.read_bytes())
        if token:
            secrets += [token[1], bytes.fromhex(token[1].decode())]
    assert len(secrets) > 15
    person = (house.path / "good.csv").read_bytes().splitlines()[17].split(b",")
    people = [person[2], b",".join(person)]
    logs = [printed, house.path / "hub.log", house.path / "worker.log"]
    assert leaks([MARKER.encode(), *secrets, *people], logs) == []
    assert leaks([b"INVALID_SOURCE"], logs), "the search finds nothing at all"


def _require_nothing_sent(house: House) -> None:
    """No upload at the hub, and in the agent's home nothing of one."""
    status = house.good("hub", "status", home=house.home("hub"))
    shown = {project["project"]: project for project in status["projects"]}
    assert shown[PROJECT]["uploaded"] == []
    assert not list((house.home("hub") / "staging").iterdir())
    epochs = list((house.home("north") / "projects" / PROJECT).glob("epoch-*"))
    assert epochs == []
