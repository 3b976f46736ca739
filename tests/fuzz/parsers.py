"""Everything that reads bytes from outside: what to start from, how to make it wrong.

A parser may refuse with an error of the tree in `linkage.errors`, and with nothing else.

    target = PARSERS["manifest"]
    target.read(target.mutate(target.seeds[0], random))
"""

from __future__ import annotations

import atexit
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from linkage.agent.checking import Checked
from linkage.agent.clks import ClkFile
from linkage.agent.findings import Reason
from linkage.agent.illinois.files import filing
from linkage.agent.illinois.layout import Layout, Month, bundled_layout
from linkage.agent.illinois.report import MonthReport, RowAccounts, month_report
from linkage.agent.illinois.settings import Settings as CrisisSettings
from linkage.agent.lookups import Lookups
from linkage.agent.matrixfile import MatrixFile
from linkage.agent.plan import Plan, draw
from linkage.agent.records import Records
from linkage.agent.rounds import Ledger
from linkage.agent.rowmap import ROWS, SentRows, read_row_map, write_row_map
from linkage.agent.source import SourceFile
from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.audits import AuditSummary, Bounds, Verdict
from linkage.agreement.linkage_schema import parse_linkage_schema
from linkage.agreement.profile import parse_description, parse_profile
from linkage.answers import Answers, Requests, answer_bytes, verify_quota
from linkage.encoding.clk_files import clks_from_binary, clks_from_json, clks_to_json
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.evaluator import entries
from linkage.evaluator.chain import Chain
from linkage.evaluator.extract import verify_extract
from linkage.evaluator.shown import Shown
from linkage.hub.home import HubHome, Settings
from linkage.release.crosswalk.checking import parse_crosswalk, parse_inventory, parse_list
from linkage.release.crosswalk.documents import CodeMapping, Crosswalk, parse
from linkage.release.crosswalk.editing import from_csv, to_csv
from linkage.release.crosswalk.inventory import count_codes, make_inventory
from linkage.release.crosswalk.lists import bundled_list, list_from_csv
from linkage.release.crosswalk.suggesting import accepted, suggest, suggestions_csv
from linkage.release.disclosure import table_of_counts
from linkage.release.lookups import KEY as COUNTS_KEY
from linkage.release.lookups import counts_of
from linkage.release.parcels import ParcelAddress, check_sealed, pack, unpack
from linkage.rpc.logfile import Leaf, read_export, verified, write_export
from linkage.rpc.party import Invitation, Party, read_invitation
from linkage.trust import fingerprints
from linkage.trust.backup import back_up, make_recovery_key, read_public, restore
from linkage.trust.checkpoint import LogKey, LogVerifier
from linkage.trust.headers import AnswersHeader, EncodingsHeader, ParcelHeader, parse_header
from linkage.trust.identity import (
    PartyId,
    Role,
    issue_party,
    load_authority,
    make_authority,
    make_request,
    new_private_key,
    party_of,
    private_key_pem,
)
from linkage.trust.keyring import Keyring
from linkage.trust.opening import SealingKey
from linkage.trust.rotation import RotationStatement
from linkage.trust.sealing import check_public_key, seal
from linkage.trust.signing import verify
from linkage.trust.statements import ReleaseStatement
from linkage.trust.transparency import Entry, Opening, leaf_hash, subtrees_of, tree_root
from linkage.trust.vault import Vault
from tests.clk_projects import SCHEMA, manifest_of

from .mutations import Mutate, flipped, json_mutated, table_mutated

FINGERPRINT = "ab" * 32
CLK = manifest_of()


@dataclass(frozen=True)
class Parser:
    """One reader of foreign bytes.

    Attributes:
        read: raises nothing but errors of the tree.
        weight: how many of all cases are its.
        reads_seeds: whether the seeds are taken; some are of the right shape only.
    """

    read: Callable[[bytes], object]
    seeds: list[bytes]
    mutate: Mutate
    weight: float = 1.0
    reads_seeds: bool = True


@cache
def _place() -> Path:
    """A directory in memory where there is one: a file is written for every case."""
    shm = Path("/dev/shm")  # noqa: S108 - made with mkdtemp, removed at exit
    made = Path(tempfile.mkdtemp(dir=shm if shm.is_dir() else None))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _file(data: bytes, name: str) -> Path:
    path = _place() / name
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_bytes(data)
    return path


def _document(**changes: Any) -> dict[str, Any]:
    person = {
        "name": "people",
        "kind": "person",
        "fields": [
            {"name": "sex", "values": ["f", "m"]},
            {"name": "year", "transform": "year"},
            {
                "name": "tract",
                "column": "home",
                "transform": "tract",
                "within": ["17"],
                "lookup": {"name": "homes", "also": ["zip"], "unmatched": 0.5},
            },
            {"name": "area", "column": "zip", "transform": "zip3", "lookup": {"name": "areas"}},
        ],
    }
    homes = {"name": "homes", "kind": "places", "by": ["address", "postcode"], "source": "S"}
    areas = {"name": "areas", "kind": "zip3", "dated": "2020-04-01", "source": "S"}
    return {
        "linkage": "manifest/1",
        "project": "fuzz",
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [
            {
                "name": "sheriff",
                "record_id": "id",
                "columns": {"dob": "born"},
                "aliases": {"surname": ["maiden"]},
                "group": "person",
                "strata": {"race": "race"},
                "missing": ["UNK"],
                "content": [person],
                "lookups": [homes, {**areas, "digest": "0" * 64}],
            },
            {"name": "health", "unique": False},
        ],
        "recipients": [{"name": "county", "role": "assembler"}],
        "strata": [{"name": "race", "values": ["a", "b"]}],
        "fields": [
            {"name": "given", "type": "given_name"},
            {"name": "surname", "type": "surname"},
            {"name": "dob", "type": "date_of_birth"},
        ],
        "match_keys": [
            {"name": "all", "fields": ["given", "surname", "dob"]},
            {"name": "surname_dob", "fields": ["surname", "dob"]},
        ],
        "scheme": {"name": "saul-v1", "bits": 1024},
        "matching": {"pair_keyed": True, "threshold": 0.9},
        **changes,
    }


def _json(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@cache
def manifest() -> Manifest:
    return parse_manifest(_json(_document()))


def _whole_manifest(data: bytes) -> None:
    read = parse_manifest(data)
    assert parse_manifest(read.canonical).fingerprint == read.fingerprint


CSV = (
    "id,given,surname,maiden,born,person,race,sex\n"
    "1,Zoë,O'Neil,,1980-02-03,p1,a,f\n"
    "2,Adam,van der Berg,Smith,1979-12-31,p1,b,m\n"
    '3,"Li, Wei",Wang,,UNK,,,f\n'
    "4,,,,1900-01-01,p2,a,m\n"
).encode()
ALIASES = b"id,given,surname\n1,Zoe,Oneil\n2,Adi,\n"


def _read_source(data: bytes) -> None:
    records = Records(manifest(), manifest().partners[0], SourceFile(_file(data, "source")))
    records.check(lambda *_: None, skip_invalid=len(data) % 2 == 0)


@cache
def _whole_source() -> Path:
    return _file(CSV, "whole.csv")


def _read_aliases(data: bytes) -> None:
    source = SourceFile(_whole_source())
    records = Records(
        manifest(), manifest().partners[0], source, SourceFile(_file(data, "aliases"))
    )
    records.check(lambda *_: None, skip_invalid=False)


_HOMES = (
    b"address,postcode,tract\n7 N 3rd St,60614,17031010202\n"
    b'"1 Elm St, Apt 4",60601,170310102021\n9 Nowhere Ln,60601,\n'
)
_AREAS = b"zip3,population\n606,2700000\n036,15000\n"
_CELLS = pd.DataFrame(
    {"sex": "f", "year": "", "home": ["7 North Third St", "1 Elm St #4"], "zip": ["60614", "036"]},
    dtype=object,
)


def _look_up(homes: bytes, areas: bytes) -> None:
    """As the agent does, with the table of populations that the manifest fixes."""
    partner = manifest().partners[0]
    fixed = partner.lookups[1].model_copy(update={"digest": hashlib.sha256(areas).hexdigest()})
    partner = partner.model_copy(update={"lookups": (partner.lookups[0], fixed)})
    files = {"homes": _file(homes, "homes"), "areas": _file(areas, "areas")}
    Lookups(partner, files).find(partner.content[0], _CELLS)


_COUNTED = pa.table({"tract": ["17031010202", None]})


def _read_counts(data: bytes) -> None:
    counts_of(_COUNTED.replace_schema_metadata({COUNTS_KEY: data}), source="it")


def _parquets() -> list[bytes]:
    rows = [line.split(",") for line in CSV.decode().replace("Li, Wei", "Li").splitlines()]
    table = pa.table({name: [row[i] for row in rows[1:]] for i, name in enumerate(rows[0])})
    dates = pa.array([datetime(1980, 1, 2, tzinfo=UTC).date()] * 4)
    typed = table.set_column(0, "id", pa.array([1, 2, 3, 4])).set_column(4, "born", dates)
    made = []
    for one, more in (
        (table, {"compression": "none"}),
        (typed, {"compression": "zstd"}),
        (typed, {"compression": "snappy", "use_dictionary": False, "row_group_size": 2}),
    ):
        sink = io.BytesIO()
        pq.write_table(one, sink, **more)
        made.append(sink.getvalue())
    return made


def _header(cls: type[Any], **more: Any) -> bytes:
    fields = {
        "project": "fuzz",
        "fingerprint": FINGERPRINT,
        "epoch": 0,
        "partner": "sheriff",
        "digest": "cd" * 32,
        "size": 1000,
        "nonce": "0" * 32,
        "expires": datetime(2030, 1, 2, tzinfo=UTC),
    }
    raw: bytes = cls(**{**fields, **more}).canonical
    return raw


def _headers() -> list[bytes]:
    layout = {"scheme": "saul-v1", "bits": 1024, "match_keys": ("all",), "rows": 40}
    asked = {"run": "1" * 32, "other": "health", "requests": "ef" * 32, "entries": 4, "fields": 3}
    audit = AuditSummary(
        tool="0.1.0",
        verdict=Verdict.NOT_SHOWN,
        rows=40,
        whole=True,
        skipped=0,
        control=1.0,
        attacks=("law", "round, curious hub"),
        unknown=Bounds(lower=0.0, upper=0.01),
        known=Bounds(lower=0.001, upper=0.05),
    )
    return [
        _header(EncodingsHeader, **layout, strata=("race",), audit=audit, key_check="0" * 32),
        _header(AnswersHeader, **asked, size=4 * answer_bytes(3)),
        _header(ParcelHeader, release="2" * 32, recipient="county"),
    ]


_STATEMENT = ReleaseStatement(
    release="1" * 32,
    project="fuzz",
    run="2" * 32,
    fingerprint=FINGERPRINT,
    epoch=0,
    threshold=0.9,
    report="cd" * 32,
    summary="ef" * 32,
    uploads={"health": "3" * 64, "sheriff": "4" * 64},
).canonical


def _requests() -> bytes:
    draw = np.random.default_rng(1)
    ids = np.sort(draw.integers(0, 1 << 62, (20, 2)).astype(">u8"), axis=0)
    return b"".join(
        bytes(i.tobytes()) + int(row).to_bytes(4, "little")
        for i, row in zip(ids, np.repeat(np.arange(10), 2), strict=True)
    )


def _read_requests(data: bytes) -> None:
    verify_quota(Requests.from_bytes(data), 10, quota=2, within=len(data) % 2 == 0)


def _answers() -> bytes:
    draw = np.random.default_rng(2)
    words = draw.integers(0, 1 << 63, (6, 3, 4), dtype=np.uint64)
    present = np.ones((6, 3), np.bool_)
    return Answers(words, present, ~present, np.zeros((6, 3), np.uint8)).to_bytes()


LAYOUT = EncodingLayout("saul-v1", 256, ("all", "dob"), 13, FINGERPRINT, ("race",))


def _matrix() -> bytes:
    draw = np.random.default_rng(3)
    handles = draw.integers(0, 256, (13, 16), np.uint8)
    words = draw.integers(1, 1 << 63, (2, 13, 4), dtype=np.uint64)
    strata = draw.integers(0, 3, (13, 1), np.uint8)
    present = np.ones((2, 13), np.bool_)
    return b"".join(EncodingMatrix(LAYOUT, handles, handles, strata, present, words).sections())


def _read_matrix(data: bytes) -> None:
    matrix = EncodingMatrix.from_buffer(np.frombuffer(data, np.uint8), LAYOUT)
    matrix.validate(chunk_rows=5)
    matrix.persons()


def _in_place(data: bytes, random: Random) -> bytes:
    """Bytes of a fixed size, altered where they stand."""
    if not data or random.random() < 0.1:
        return flipped(data, random)
    raw = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        start = random.randrange(len(raw))
        size = min(random.choice((1, 1, 4, 16, 64)), len(raw) - start)
        raw[start : start + size] = random.choice(
            (bytes(size), b"\xff" * size, random.randbytes(size))
        )
    return bytes(raw)


ADDRESS = ParcelAddress("fuzz", FINGERPRINT, "1" * 32, "sheriff", "county")


def _plain_parcel() -> bytes:
    table = pa.table({"id": [1, 2, 3], "sex": ["f", "m", None]})
    return pack({"people": table, "visits": table}, ADDRESS, lambda raw, info: raw)


def _read_parcel(data: bytes) -> None:
    """As the assembler does, once the seals are open; and as the hub does, with its own eyes."""
    for read in (
        lambda: unpack(data, ADDRESS, lambda raw, info: raw),
        lambda: check_sealed(io.BytesIO(data)),
    ):
        try:
            read()
        except Exception as error:
            if not is_refusal(error):
                raise


KEY = SealingKey(bytes(range(96)))


def _clks(form: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        path = _file(data, "clks")
        ClkFile.read(path, CLK, scratch=_place(), form=form)  # type: ignore[arg-type]
        (clks_from_json if form == "json" else clks_from_binary)(data, 1024)

    return read


def _filters() -> Any:
    return np.random.default_rng(4).integers(0, 1 << 63, (5, 16), dtype=np.uint64)


def _read_party(data: bytes) -> None:
    home = _file(data, "party.json").parent
    Party.load(home)


def _read_trusted(data: bytes) -> None:
    _file(data, "trusted.json")
    Keyring(_place()).require_trusted("health", bytes(32), bytes(1216))


def _read_extract(data: bytes) -> None:
    home = _place() / "extract"
    home.mkdir(exist_ok=True)
    (home / "a.csv").write_bytes(b"a,b\n")
    (home / "SHA256SUMS").write_bytes(data)
    verify_extract(home)


@cache
def _authority() -> Any:
    return make_authority("prairie")


def _leaf() -> bytes:
    from cryptography.hazmat.primitives import serialization

    party = PartyId("prairie", Role.PARTNER, "sheriff")
    request = make_request(new_private_key(), "sheriff")
    made = issue_party(_authority(), request, party, lifetime=timedelta(days=1))
    return made.public_bytes(serialization.Encoding.PEM)


def _read_request(data: bytes) -> None:
    party = PartyId("prairie", Role.PARTNER, "sheriff")
    issue_party(_authority(), data, party, lifetime=timedelta(days=1))


def _read_authority(data: bytes) -> None:
    certificate, _, key = data.partition(b"-----END CERTIFICATE-----\n")
    load_authority(certificate + b"-----END CERTIFICATE-----\n", key)


def _read_signature(data: bytes) -> None:
    verify(data[:32], data[32:], b"{}", what="it", by="sheriff")


_LOG = LogKey.load("prairie/log", bytes(range(32)))


def _read_log_key(data: bytes) -> None:
    LogVerifier.parse(data.decode("utf-8", errors="replace"))


def _invitation() -> bytes:
    return (
        Invitation(
            linkage="invitation/1",
            address="127.0.0.1:1",
            name="sheriff",
            role="partner",
            authority="-",
            key="-",
            certificate="-",
            log=_LOG.verifier.line,
            token="0" * 64,
        )
        .model_dump_json()
        .encode()
    )


_FIELDS = [
    {"name": "given", "type": "given_name"},
    {"name": "dob", "type": "date_of_birth"},
]
_DESCRIPTION = {
    "linkage": "fields/1",
    "partner": "sheriff",
    "record_id": "id",
    "fields": [{**_FIELDS[0], "column": "first"}, {**_FIELDS[1], "date_formats": ["%Y-%m-%d"]}],
}
_PROFILE = {
    "linkage": "profile/1",
    "partner": {"name": "sheriff", "record_id": "id"},
    "rows": 1200,
    "fields": [
        {**_FIELDS[0], "missing": 0.1, "bits": 8.5},
        {**_FIELDS[1], "missing": 0.0, "bits": 12.1},
    ],
    "dependent": [{"fields": ["given", "dob"], "shared": 0.1}],
}
_SUMS = f"{hashlib.sha256(b'a,b' + bytes([10])).hexdigest()}  a.csv\n".encode()

_DIGEST = "ab" * 32
_ROTATION = RotationStatement(party="sheriff", former=_DIGEST, fingerprint="cd" * 32).canonical


def _entry(data: bytes) -> None:
    shown = Opening(bytes(32), data)
    shown.require(shown.leaf)


def _lock() -> bytes:
    return _json({"linkage": "lock/1", "n": 16384, "salt": "0" * 32, "wrapped": "0" * 120})


def _read_lock(data: bytes) -> None:
    _file(data, "lock.json")
    try:
        Vault(_place())._read_lock()
    finally:
        (_place() / "lock.json").unlink()


@cache
def _recovery() -> tuple[Path, bytes]:
    """A recovery key, and a backup of a home made for it."""
    home = _place() / "to-back-up"
    Keyring.create(home / "keys")
    private, public = _place() / "recovery.private", _place() / "recovery.public"
    make_recovery_key(private, public)
    out = _place() / "backup"
    back_up(home, read_public(public)[0], out)
    return private, out.read_bytes()


def _read_backup(data: bytes) -> None:
    private, _ = _recovery()
    restore(_file(data, "altered"), private, _place() / "nowhere", dry_run=True)


def _read_ledger(data: bytes) -> None:
    Ledger(_file(data, "agreed.json")).enter("1" * 32, {"health": _DIGEST}, most_runs=100)


_FIRST = {"previous": "0" * 64, "number": 0}


def _released() -> bytes:
    entry = entries.Entry("r1", "bureau", _DIGEST, _DIGEST, 9, {("rows of calls", ()): 90}, ())
    return _json({**_FIRST, **entries.plain(entry), "persons": _DIGEST, "salt": _DIGEST})


def _read_releases(data: bytes) -> None:
    Chain(_file(data + b"\n", "county.jsonl"), "it", "").read(entries.line_of)


def _reported() -> bytes:
    path = _place() / "made.jsonl"
    ledger = Shown(path)
    frame = pd.DataFrame({"town": ["A", "A", "B"], "count": [20, 30, 5]})
    ledger.protect([table_of_counts(frame, ["town"])], k=11)
    ledger.keep()
    return path.read_bytes().rstrip()


def _read_shown(data: bytes) -> None:
    Shown(_file(data + b"\n", "county.shown.jsonl"))


@cache
def _work() -> Path:
    """What a killed process leaves: its plan, and how far its matrix is."""
    work = _place() / "work"
    work.mkdir()
    counts: dict[str, Any] = {"missing": {"dob": 1}, "covered": {"all": 3}, "sentinels": {}}
    checked = Checked(
        **counts,
        reasons=(Reason("dob", "not a date", 1),),
        variants=np.array([1, 0, 2, 1], np.uint8),
        groups=None,
        grouped=0,
        unlisted={},
    )
    plan, handles, groups = draw(checked)
    plan.save(work, {"source": _DIGEST})
    MatrixFile(work / "matrix", work, _WORK_LAYOUT).begin(handles, groups)
    return work


_WORK_LAYOUT = EncodingLayout("saul-v1", 256, ("all",), 4, FINGERPRINT, ())


def _read_work(name: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        work = _work()
        whole = (work / name).read_bytes()
        try:
            (work / name).write_bytes(data)
            Plan.load(work, {"source": _DIGEST})
            MatrixFile(work / "matrix", work, _WORK_LAYOUT).resume()
        finally:
            (work / name).write_bytes(whole)

    return read


@cache
def _rows_sent() -> Path:
    place = _place() / "sent"
    place.mkdir()
    variants, places = np.array([1, 0, 2], np.uint8), np.array([2, 0], np.uint32)
    handles = np.arange(48, dtype=np.uint8).reshape(3, 16)
    write_row_map(place, iter([["a", "b", "c"]]), variants, places, handles, {"source": _DIGEST})
    return place


def _read_row_map(data: bytes) -> None:
    place = _rows_sent()
    whole = (place / ROWS).read_bytes()
    try:
        (place / ROWS).write_bytes(data)
        sent = SentRows(place)
        sent.made_from()
        sent.before(3)
        read_row_map(place)
    finally:
        (place / ROWS).write_bytes(whole)


def _export() -> bytes:
    """A log of three leaves, one of them open."""
    entry = Entry(kind="k", time=1, party="hub", project="", subject="", details={})
    opening = Opening(bytes(32), entry.canonical)
    leaves = [Leaf(0, opening.leaf, opening), Leaf(1, bytes(32), None), Leaf(2, bytes(32), None)]
    path = _place() / "export"
    root = tree_root(3, subtrees_of([leaf_hash(leaf.leaf) for leaf in leaves]))
    write_export(path, _LOG.verifier, _LOG.sign(3, root), iter(leaves))
    return path.read_bytes()


def _read_export(data: bytes) -> None:
    _, checkpoint, leaves = read_export(_file(data, "export"))
    list(verified(leaves, checkpoint))


_CRISIS = bundled_list("crisis")
_INVENTORY = make_inventory(
    count_codes([(["96"] * 30 + ["=7"] * 20 + ["59"] * 3, ["MENTAL SUBJECT"] * 30 + [""] * 23)]),
    agency="PD",
    name_rare=True,
)
_CROSSWALK = Crosswalk.model_validate(
    {
        "linkage": "crosswalk/1",
        "name": "calls",
        "version": 2,
        "codes": _CRISIS.reference,
        "agencies": ("PD", "SO"),
        "mappings": tuple(
            CodeMapping(
                agency="PD",
                local=local,
                standard=standard,
                merged_into=merged,
                confidence="high",
                author="R. Moss",
                date=datetime(2026, 3, 1, tzinfo=UTC).date(),
            )
            for local, standard, merged in (("59", "suicide", None), ("=7", None, "59"))
        ),
    }
)


def _read_crosswalk(data: bytes) -> None:
    read = parse_crosswalk(data, codes=_CRISIS)
    assert tuple(from_csv(to_csv(read))) == read.mappings


_CRISIS_SETTINGS = _json(
    {
        "linkage": "crisis-report/1",
        "agency": "P. D.",
        "ori": "IL9990600",
        "columns": {
            "incident": "n",
            "dispatched": "t",
            "reason": "r",
            "level": "l",
            "outcome": "o",
        },
        "crisis": ["7M"],
        "levels": {"P": ["sworn_officer"]},
        "outcomes": {"REL": "released_own"},
    }
)
_DISPATCHES = (
    b"n,t,r,l,o\n24-1,2024-02-01 00:00:00,7M,P,REL\n24-2,2024-02-29 23:59:59,7M,P,\n"
    b"24-3,2024-03-01 00:00:00,7M,P,REL\n24-4,,THEFT,,\n"
)
_FEBRUARY = Month(year=2024, month=2)


def _report_of(settings: bytes, dispatches: bytes) -> MonthReport:
    used = parse(CrisisSettings, settings, "settings")
    used.require_fit(bundled_layout(), "settings")
    source = SourceFile(_file(dispatches, "dispatches"))
    return month_report(
        source.batches([name for name in used.columns.model_dump().values() if name]),
        settings=used,
        layout=bundled_layout(),
        month=_FEBRUARY,
        file="dispatches",
    )


def _amend(data: bytes) -> None:
    none = MonthReport(_FEBRUARY, (), 0, RowAccounts(), None)
    used = parse(CrisisSettings, _CRISIS_SETTINGS, "settings")
    filing(none, settings=used, layout=bundled_layout(), before=data)


def _sent() -> bytes:
    used = parse(CrisisSettings, _CRISIS_SETTINGS, "settings")
    found = _report_of(_CRISIS_SETTINGS, _DISPATCHES)
    return next(iter(filing(found, settings=used, layout=bundled_layout()).files.values()))


PARSERS: dict[str, Parser] = {
    "crisis-settings": Parser(
        lambda data: _report_of(data, _DISPATCHES), [_CRISIS_SETTINGS], json_mutated, 2
    ),
    "crisis-layout": Parser(
        lambda data: parse(Layout, data, "layout"), [bundled_layout().canonical], json_mutated, 2
    ),
    "dispatches": Parser(
        lambda data: _report_of(_CRISIS_SETTINGS, data), [_DISPATCHES], table_mutated, 1
    ),
    "crisis-file": Parser(_amend, [_sent()], table_mutated, 2),
    "inventory": Parser(parse_inventory, [_INVENTORY.canonical], json_mutated, 3),
    "crosswalk": Parser(_read_crosswalk, [_CROSSWALK.canonical], json_mutated, 3),
    "crosswalk-table": Parser(from_csv, [to_csv(_CROSSWALK)], table_mutated, 3),
    "suggestions": Parser(
        lambda data: accepted(
            data, _CROSSWALK, author="R", date=datetime(2026, 3, 1, tzinfo=UTC).date()
        ),
        [
            suggestions_csv(suggest({"pd": _INVENTORY}, _CROSSWALK, _CRISIS)).replace(
                b"\n,", b"\nyes,", 1
            )
        ],
        table_mutated,
        3,
    ),
    "code-list": Parser(parse_list, [_CRISIS.canonical], json_mutated, 2),
    "code-list-table": Parser(
        lambda data: list_from_csv(data, name="apco", version="1"),
        [b"Code,Definition,merged_into\nM,Mental health,\nOLD,old,M\n"],
        table_mutated,
        3,
    ),
    "manifest": Parser(_whole_manifest, [_json(_document()), CLK.canonical], json_mutated, 1),
    "linkage-schema": Parser(parse_linkage_schema, [_json(SCHEMA)], json_mutated, 1),
    "profile": Parser(parse_profile, [_json(_PROFILE)], json_mutated, 2),
    "description": Parser(parse_description, [_json(_DESCRIPTION)], json_mutated, 2),
    "header": Parser(parse_header, _headers(), json_mutated, 6),
    "release-statement": Parser(ReleaseStatement.parse, [_STATEMENT], json_mutated, 4),
    "invitation": Parser(read_invitation, [_invitation()], json_mutated, 4),
    "hub-settings": Parser(
        lambda data: HubHome.load(_file(data, "hub.json").parent),
        [Settings(name="prairie", address="h:1", hosts=("h",)).model_dump_json().encode()],
        json_mutated,
        3,
    ),
    "party": Parser(
        _read_party,
        [_json({"address": "h:1", "name": "sheriff", "role": "partner"})],
        json_mutated,
        6,
    ),
    "trusted-keys": Parser(
        _read_trusted, [_json({"health": "ab" * 32})], json_mutated, 6, reads_seeds=False
    ),
    "rotation": Parser(RotationStatement.parse, [_ROTATION], json_mutated, 4),
    "fingerprint": Parser(
        lambda data: fingerprints.parse(data.decode("utf-8", errors="replace")),
        [_DIGEST.encode(), " ".join(fingerprints.words(_DIGEST)).encode()],
        flipped,
        1,
    ),
    "lock": Parser(_read_lock, [_lock()], json_mutated, 2),
    "backup": Parser(_read_backup, [_recovery()[1]], flipped, 1),
    "recovery-key": Parser(
        lambda data: read_public(_file(data, "public")),
        [(_place() / "recovery.public").read_bytes()],
        json_mutated,
        2,
    ),
    "log-entry": Parser(
        _entry,
        [
            _json(
                {
                    "kind": "k",
                    "time": 1,
                    "party": "hub",
                    "project": "",
                    "subject": "",
                    "details": {},
                }
            )
        ],
        json_mutated,
        3,
    ),
    "checkpoint": Parser(_LOG.verifier.open, [_LOG.sign(9, bytes(32)).note], flipped, 4),
    "log-key": Parser(_read_log_key, [_LOG.verifier.line.encode()], flipped, 3),
    "log-export": Parser(_read_export, [_export()], flipped, 1),
    "release-ledger": Parser(_read_releases, [_released()], json_mutated, 2),
    "shown-ledger": Parser(_read_shown, [_reported()], json_mutated, 2),
    "agreed-lists": Parser(_read_ledger, [_json({"1" * 32: {"health": _DIGEST}})], json_mutated, 2),
    "plan": Parser(
        _read_work("plan.json"), [(_work() / "plan.json").read_bytes()], json_mutated, 1
    ),
    "places": Parser(_read_work("places"), [(_work() / "places").read_bytes()], flipped, 1),
    "matrix-note": Parser(
        _read_work("state.json"), [(_work() / "state.json").read_bytes()], json_mutated, 1
    ),
    "row-map": Parser(_read_row_map, [(_rows_sent() / ROWS).read_bytes()], flipped, 1),
    "requests": Parser(_read_requests, [_requests()], _in_place, 15),
    "answers": Parser(lambda data: Answers.from_bytes(data, fields=3), [_answers()], _in_place, 15),
    "matrix": Parser(_read_matrix, [_matrix()], _in_place, 8),
    "parcel": Parser(_read_parcel, [_plain_parcel()], flipped, 1.5),
    "seal": Parser(
        lambda data: KEY.open(data, b"info"), [seal(KEY.public, b"x" * 32, b"info")], flipped, 2
    ),
    "sealing-key": Parser(check_public_key, [KEY.public], _in_place, 2),
    "signature": Parser(_read_signature, [bytes(96)], flipped, 8, reads_seeds=False),
    "source-csv": Parser(_read_source, [CSV], table_mutated, 0.5),
    "source-parquet": Parser(_read_source, _parquets(), flipped, 0.5),
    "place-list": Parser(lambda data: _look_up(data, _AREAS), [_HOMES], table_mutated, 0.3),
    "population-table": Parser(lambda data: _look_up(_HOMES, data), [_AREAS], table_mutated, 0.3),
    "lookup-counts": Parser(
        _read_counts, [_json({"tract": {"rows": 2, "unmatched": 1}})], json_mutated, 2
    ),
    "alias-table": Parser(_read_aliases, [ALIASES], table_mutated, 0.3),
    "filters-json": Parser(_clks("json"), [clks_to_json(_filters(), 1024)], flipped, 2),
    "filters-binary": Parser(_clks("binary"), [_filters().tobytes()], flipped, 2),
    "extract": Parser(_read_extract, [_SUMS], flipped, 3),
    "certificate": Parser(lambda data: party_of(data, "prairie"), [_leaf()], flipped, 10),
    "certificate-request": Parser(
        _read_request, [make_request(new_private_key(), "sheriff")], flipped, 4
    ),
    "authority": Parser(
        _read_authority,
        [_authority().certificate_pem + private_key_pem(_authority().key)],
        flipped,
        6,
    ),
}


def is_refusal(error: BaseException) -> bool:
    """Whether an error is one that a parser may end in."""
    from linkage.errors import InternalError, LinkageError

    return isinstance(error, LinkageError) and not isinstance(error, InternalError)
