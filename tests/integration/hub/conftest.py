"""A real hub in a process of its own, over mutual TLS on loopback, and parties enrolled with it.

The tests stand on both sides: they speak to the hub as its parties do, and, where they play a
hub that is broken or broken into, change its database behind its back.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization

from linkage.agent.agent import Agent
from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.audits import AuditSummary, Verdict
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.hub.home import HubHome, initialise
from linkage.hub.keys import Enrolment
from linkage.hub.membership import note_certificate
from linkage.hub.steward import Steward
from linkage.rpc.channel import ClientIdentity, Connection, connect
from linkage.rpc.member import enrol_member
from linkage.rpc.party import Party
from linkage.store import tables
from linkage.store.sql import Database, find
from linkage.trust.contributions import commit
from linkage.trust.headers import EncodingsHeader, expiry, new_nonce
from linkage.trust.identity import (
    Authority,
    PartyId,
    Role,
    issue_party,
    make_request,
    new_private_key,
    private_key_pem,
)
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign
from linkage.trust.statements import SecretPlace, manifest_statement
from linkage.v1 import project_pb2, run_pb2, secret_pb2, upload_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.secret_pb2_grpc import SecretServiceStub
from linkage.v1.upload_pb2_grpc import UploadServiceStub
from tests.integration.hub.forking import serve

NUMBERS = itertools.count()
HOUR = timedelta(hours=1)
START_SECONDS = 240


@dataclass
class Hub:
    """A hub that can be started, killed and started again on the same port."""

    home: HubHome
    log: Path
    port: int = 0
    process: BaseProcess | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        ready = self.home.path.parent / f"ready-{next(NUMBERS)}"
        words = ["--ready", str(ready), "--home", str(self.home.path), "--address", self.address]
        self.process = serve(*words, log=self.log)
        give_up = time.monotonic() + START_SECONDS
        while not ready.exists():
            assert self.process.is_alive(), self.log.read_text()
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.02)
        self.port = int(ready.read_text().rpartition(":")[2])

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.join()

    def database(self) -> Database:
        return self.home.database()

    def enrolment(self) -> Enrolment:
        home = self.home
        return Enrolment(home.settings.name, home.authority, home.log_line, self.database())

    def invite(self, name: str, role: Role = Role.PARTNER) -> bytes:
        invitation = self.enrolment().invite(name, role, self.address)
        return invitation.model_dump_json().encode()

    def identity(
        self,
        party: PartyId,
        *,
        authority: Authority | None = None,
        lifetime: timedelta = HOUR,
        noted: bool = True,
    ) -> ClientIdentity:
        """A certificate for anybody, of this hub's authority or another's.

        Args:
            noted: whether the hub wrote it down, as it does with every one it issues.
        """
        key = new_private_key()
        leaf = issue_party(
            authority or self.home.authority,
            make_request(key, party.name),
            party,
            lifetime=lifetime,
        )
        if authority is None and noted:
            with self.database().transaction() as connection:
                row = find(connection, tables.party, name=party.name)
                generation = (row["generation"] if row else 0) or 1
                note_certificate(connection, party.name, leaf, generation)
        return ClientIdentity(
            self.address,
            self.home.authority.certificate_pem,
            private_key_pem(key),
            leaf.public_bytes(serialization.Encoding.PEM),
        )


@dataclass
class Member:
    """An enrolled party with an open connection."""

    name: str
    home: Path
    connection: Connection
    keyring: Keyring = field(init=False)

    def __post_init__(self) -> None:
        self.keyring = Keyring(self.home / "keys")

    def stub(self, cls: Callable[..., Any]) -> Any:
        return cls(self.connection.channel)

    def agent(self) -> Agent:
        return Agent(self.home, threads=1)

    def signature(self, data: bytes) -> bytes:
        return sign(self.keyring.signing_key, data)

    def sign_manifest(self, manifest: Manifest) -> None:
        said = manifest_statement(manifest.project, manifest.fingerprint, self.name)
        request = project_pb2.SignManifestRequest(
            project=manifest.project,
            fingerprint=manifest.fingerprint,
            signature=self.signature(said),
        )
        self.connection.call(self.stub(ProjectServiceStub).SignManifest, request)

    def commit(self, manifest: Manifest, *, epoch: int = 0, **changes: Any) -> None:
        """Leave this partner's commitment, or a message that differs from it."""
        about = (manifest.project, manifest.fingerprint, epoch)
        place = SecretPlace(project=about[0], fingerprint=about[1], epoch=about[2])
        own = commit(place, self.name, self.keyring.contribution(*about))
        fields = {**own.model_dump(), "signature": self.signature(own.statement), **changes}
        request = secret_pb2.PutCommitmentRequest(commitment=secret_pb2.Commitment(**fields))
        self.connection.call(self.stub(SecretServiceStub).PutCommitment, request)

    def header(self, manifest: Manifest, data: bytes, **changes: Any) -> EncodingsHeader:
        layout = small_layout(manifest)
        fields: dict[str, Any] = {
            "project": manifest.project,
            "fingerprint": manifest.fingerprint,
            "epoch": 0,
            "partner": self.name,
            "digest": hashlib.sha256(data).hexdigest(),
            "size": len(data),
            "nonce": new_nonce(),
            "expires": expiry(),
            "scheme": layout.scheme,
            "bits": layout.bits,
            "match_keys": layout.match_keys,
            "rows": layout.rows,
            "audit": AuditSummary(
                tool="test", verdict=Verdict.TOO_FEW, rows=0, whole=True, skipped=1
            ),
            "key_check": "0" * 32,
        }
        return EncodingsHeader(**{**fields, **changes})

    def create(self, header: EncodingsHeader | bytes, signature: bytes | None = None) -> Any:
        raw = header if isinstance(header, bytes) else header.canonical
        request = upload_pb2.CreateUploadRequest(
            header=raw, signature=self.signature(raw) if signature is None else signature
        )
        return self.connection.call(self.stub(UploadServiceStub).CreateUpload, request).upload

    def write(self, upload: str, offset: int, chunks: Iterable[bytes]) -> int:
        def messages() -> Iterator[upload_pb2.WriteUploadRequest]:
            first = True
            for chunk in chunks:
                yield upload_pb2.WriteUploadRequest(
                    upload=upload if first else "", write_offset=offset if first else 0, data=chunk
                )
                first = False

        method = self.stub(UploadServiceStub).WriteUpload
        return int(self.connection.send(method, messages()).committed_size)

    def status(self, upload: str) -> Any:
        request = upload_pb2.GetUploadRequest(upload=upload)
        return self.connection.call(self.stub(UploadServiceStub).GetUpload, request).upload

    def finish(self, upload: str) -> Any:
        request = upload_pb2.FinishUploadRequest(upload=upload)
        return self.connection.call(self.stub(UploadServiceStub).FinishUpload, request).receipt

    def upload(self, manifest: Manifest, data: bytes, **changes: Any) -> Any:
        """All of it in one go."""
        status = self.create(self.header(manifest, data, **changes))
        self.write(status.upload, 0, [data])
        return self.finish(status.upload)


def share_all(members: dict[str, Member], manifest: Manifest) -> None:
    """Every partner commits and reveals; the last one to come has the project secret then."""
    for name in manifest.partner_names:
        members[name].agent().share(members[name].connection, manifest.project)


SMALL_ROWS = 40


def small_layout(manifest: Manifest) -> EncodingLayout:
    keys = tuple(key.name for key in manifest.match_keys)
    return EncodingLayout(
        manifest.scheme.name, manifest.scheme.bits, keys, SMALL_ROWS, manifest.fingerprint
    )


def small_matrix(manifest: Manifest, seed: int = 0) -> EncodingMatrix:
    """Made-up encodings, well formed."""
    layout = small_layout(manifest)
    draw = np.random.default_rng(seed)
    shape = (len(layout.match_keys), layout.rows)
    handles = draw.integers(0, 256, (layout.rows, 16), dtype=np.uint8)
    return EncodingMatrix(
        layout,
        handles,
        handles,
        np.empty((layout.rows, 0), np.uint8),
        np.ones(shape, dtype=np.bool_),
        draw.integers(1, 1 << 63, (*shape, layout.words_per_row), dtype=np.uint64),
    )


def raw(matrix: EncodingMatrix) -> bytes:
    return b"".join(matrix.sections())


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    place = tmp_path_factory.mktemp("hub")
    home = initialise(place / "home", name="prairie", address="127.0.0.1:0", hosts=["127.0.0.1"])
    made = Hub(home, place / "hub.log")
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="session")
def members(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Member]]:
    """Three partners, an assembler, an evaluator, and two who are in no project."""
    roles = {
        "sheriff": Role.PARTNER,
        "health": Role.PARTNER,
        "social": Role.PARTNER,
        "county": Role.ASSEMBLER,
        "reader": Role.EVALUATOR,
        "outsider": Role.PARTNER,
        "stranger": Role.ASSEMBLER,
    }
    found: dict[str, Member] = {}
    for name, role in roles.items():
        home = tmp_path_factory.mktemp(name)
        Keyring.create(home / "keys")
        party = enrol_member(home, hub.invite(name, role), patience=10)
        found[name] = Member(name, home, party.connect(patience=10))
    for one in found.values():
        for other in found.values():
            if one is not other:
                one.keyring.trust(other.name, other.keyring.fingerprint)
    yield found
    for member in found.values():
        member.connection.__exit__()


@pytest.fixture(scope="session")
def steward_connection(hub: Hub) -> Iterator[Connection]:
    identity = Party.load(hub.home.path / "steward").identity
    here = ClientIdentity(hub.address, identity.authority, identity.key, identity.certificate)
    with connect(here, patience=10) as connection:
        yield connection


@pytest.fixture(scope="session")
def steward(steward_connection: Connection) -> Steward:
    return Steward(steward_connection)


PERSON = {
    "name": "people",
    "kind": "person",
    "fields": [{"name": "sex", "values": ["f", "m"]}],
}


def make_manifest(**changes: Any) -> Manifest:
    document = {
        "linkage": "manifest/1",
        "project": f"project-{next(NUMBERS)}",
        "title": "Hub tests",
        "purpose": "Testing",
        "legal_basis": "None needed",
        "governance": {"legal": "L", "ethical": "E", "good_idea": "G", "decision": "D"},
        "expires": "2099-01-01",
        "partners": [{"name": "sheriff", "content": [PERSON]}, {"name": "health"}],
        "recipients": [{"name": "county", "role": "assembler"}],
        "fields": [
            {"name": "given_name", "type": "given_name"},
            {"name": "surname", "type": "surname"},
            {"name": "dob", "type": "date_of_birth"},
        ],
        "match_keys": [
            {"name": "all", "fields": ["given_name", "surname", "dob"]},
            {"name": "surname_dob", "fields": ["surname", "dob"]},
        ],
        "scheme": {"name": "saul-v1", "bits": 1024},
        "matching": {"pair_keyed": False},
        "min_rows": 1,
        "safeguards": {"min_change": 0, "min_overlap": 0, "min_apart": 0},
        **changes,
    }
    return parse_manifest(json.dumps(document).encode())


@pytest.fixture
def proposed(steward: Steward, members: dict[str, Member]) -> Manifest:
    """A project of two partners that nobody has signed."""
    manifest = make_manifest()
    steward.propose(manifest)
    return manifest


@pytest.fixture
def active(proposed: Manifest, members: dict[str, Member]) -> Manifest:
    """A project of two partners that both have signed."""
    for name in proposed.partner_names:
        members[name].sign_manifest(proposed)
    return proposed


def write_people(path: Path, *, seed: int, rows: int = 120) -> Path:
    """Most people of every such file are the same; some are its own."""
    common, own = random.Random(1), random.Random(1000 + seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["given_name", "surname", "dob", "sex", "seen"])
        for number in range(rows):
            draw = own if number >= rows * 2 // 3 else common
            given, surname = ("".join(draw.choices("abdeilmnorst", k=7)) for _ in range(2))
            day = f"{draw.randint(1930, 2010)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
            writer.writerow([given, surname, day, draw.choice("fm"), seen(seed, number)])
    return path


def seen(seed: int, number: int) -> date:
    """The day on which an agency saw the person of that row."""
    return date(2024, 1, 1) + timedelta(days=(number * 37 + seed * 101) % 700)


def wait_for_end(steward: Steward, run: str) -> run_pb2.Run:
    return steward.watch(run, lambda _: None)


@dataclass
class Linked:
    """A project whose partners' real files have been submitted and matched."""

    manifest: Manifest
    files: dict[str, Path]
    run: str


@pytest.fixture(scope="session")
def linked(
    steward: Steward, members: dict[str, Member], tmp_path_factory: pytest.TempPathFactory
) -> Linked:
    day = {"name": "day", "column": "seen", "transform": "day", "means": "day"}
    contacts = {"name": "contacts", "kind": "event", "fields": [day]}
    partners = [
        {"name": "sheriff", "content": [PERSON, contacts]},
        {"name": "health", "content": [contacts]},
    ]
    manifest = make_manifest(matching={"threshold": 0.6, "pair_keyed": False}, partners=partners)
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    place = tmp_path_factory.mktemp("files")
    files = {}
    for seed, name in enumerate(manifest.partner_names, 10):
        files[name] = write_people(place / f"{name}.csv", seed=seed)
        members[name].agent().submit(members[name].connection, manifest.project, files[name])
    run = steward.start_run(manifest.project)
    return Linked(manifest, files, wait_for_end(steward, run.run).run)
