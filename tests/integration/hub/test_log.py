"""The log of a running hub: what agents verify, what the hub shows to whom, and what is found when
its database is tampered with, or a copy of it goes on differently.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from linkage.agreement import parse_manifest
from linkage.cli.main import app
from linkage.errors import InputError, LinkageError, LogInconsistentError
from linkage.hub.home import HubHome, initialise
from linkage.hub.steward import Steward
from linkage.rpc.channel import Connection
from linkage.rpc.gossip import CONSISTENT, OTHER_KEYS, WITHHELD, exchange_heads, heads_seen
from linkage.rpc.logfile import fetch, verified, write_export
from linkage.rpc.member import connect_member, enrol_member
from linkage.rpc.party import Party
from linkage.rpc.witness import Witness
from linkage.trust.checkpoint import LogKey
from linkage.trust.identity import Role
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign
from linkage.trust.statements import HeadStatement
from linkage.v1 import log_pb2, project_pb2
from linkage.v1.log_pb2_grpc import LogServiceStub
from linkage.v1.project_pb2_grpc import ProjectServiceStub

from .conftest import Hub, Linked, Member, make_manifest

VERIFIER = Path(__file__).parents[2] / "vectors" / "log_verifier.py"


def independent() -> Any:
    spec = importlib.util.spec_from_file_location("log_verifier", VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class House:
    """A hub of its own, two partners with homes, and a project that both have signed.

    Args:
        place: a copy of what `build` left.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.hub = Hub(HubHome.load(place / "hub"), place / "hub.log")
        self.homes = {name: place / name for name in ("sheriff", "health")}
        self.manifest = parse_manifest((place / "manifest.json").read_bytes())
        self.hub.start()

    @staticmethod
    def build(place: Path) -> None:
        home = initialise(place / "hub", name="prairie", address="127.0.0.1:0", hosts=["127.0.0.1"])
        manifest = make_manifest()
        (place / "manifest.json").write_bytes(manifest.canonical)
        names = ("sheriff", "health")
        keyrings = {name: Keyring.create(place / name / "keys") for name in names}
        for one, other in (names, names[::-1]):
            keyrings[one].trust(other, keyrings[other].fingerprint)
        hub = Hub(home, place / "hub.log")
        hub.start()
        for name in names:
            enrol_member(place / name, hub.invite(name, Role.PARTNER), patience=60)
        hub.kill()
        made = House(place)
        with made.steward() as connection:
            Steward(connection).propose(manifest)
        for name, at_home in made.homes.items():
            with made.connect(name) as connection:
                Member(name, at_home, connection).agent().sign(connection, manifest)
        made.close()

    def steward(self, hub: Hub | None = None) -> Connection:
        party = Party.load((hub or self.hub).home.path / "steward")
        return at(party, hub or self.hub).connect(patience=60)

    def connect(self, name: str, hub: Hub | None = None) -> Connection:
        """As every command does."""
        point(self.homes[name], hub or self.hub)
        return connect_member(self.homes[name], patience=60)

    def act(self, count: int = 5) -> None:
        """Something for the log."""
        with self.steward() as connection:
            for _ in range(count):
                Steward(connection).propose(make_manifest())

    def tamper(self, *statements: str) -> None:
        """Change the hub's database behind its back; the hub starts anew."""
        self.hub.kill()
        with sqlite3.connect(self.hub.home.path / "hub.db") as database:
            for statement in statements:
                database.execute(statement)
        database.close()
        self.hub.start()

    def close(self) -> None:
        self.hub.kill()


def point(home: Path, hub: Hub) -> None:
    """Where this party finds the hub; an operator of two hubs decides it by DNS."""
    fields = json.loads((home / "party.json").read_bytes())
    (home / "party.json").write_text(json.dumps({**fields, "address": hub.address}))


def at(party: Party, hub: Hub) -> Party:
    return Party(party.home, party.name, party.role, hub.address)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built")
    House.build(place)
    return place


@pytest.fixture
def house(built: Path, tmp_path: Path) -> Iterator[House]:
    """For tests that change the hub."""
    shutil.copytree(built, tmp_path / "house")
    made = House(tmp_path / "house")
    yield made
    made.close()


@pytest.fixture(scope="module")
def quiet(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """For tests of an honest hub."""
    place = tmp_path_factory.mktemp("quiet") / "house"
    shutil.copytree(built, place)
    made = House(place)
    yield made
    made.close()


def evidence(home: Path) -> list[dict[str, Any]]:
    return [json.loads(one.read_bytes()) for one in (home / "log" / "evidence").glob("*.json")]


def audit(connection: Connection, witness: Witness) -> int:
    """All leaves, as `linkage log verify` takes them."""
    last = witness.last
    assert last is not None
    return sum(1 for _ in verified(fetch(connection, last.size), last))


# What an honest hub shows.


def test_an_agent_remembers_what_it_verified_and_sees_the_log_grow(quiet: House) -> None:
    witness = Witness(quiet.homes["sheriff"])
    before = witness.last
    quiet.act()
    with quiet.connect("sheriff") as connection:
        after = witness.last
        assert before is not None
        assert after is not None
        assert after.size >= before.size + 5
        assert audit(connection, witness) == after.size
    assert evidence(quiet.homes["sheriff"]) == []


def test_heads_of_partners_are_compared(quiet: House) -> None:
    for name in ("sheriff", "health", "sheriff"):
        quiet.connect(name).__exit__()
    seen = heads_seen(Witness(quiet.homes["sheriff"]))
    assert {one.state for one in seen.values()} == {CONSISTENT}
    assert set(seen) == {"health"}
    assert seen["health"].size > 0


def test_a_signature_has_a_receipt_that_others_can_verify(quiet: House) -> None:
    (path,) = (quiet.homes["health"] / "log" / "receipts").glob("manifest-*.json")
    witness = Witness(quiet.homes["health"])
    (entry,) = independent().check(witness.verifier.line, path)
    assert (entry["kind"], entry["party"]) == ("manifest.signed", "partner/health")
    assert entry["subject"] == quiet.manifest.fingerprint
    fields = json.loads(path.read_bytes())
    for name in ("leaf", "salt", "entry"):
        forged = quiet.place / f"forged-{name}.json"
        changed = {**fields, name: base64.b64encode(b"\x00" * 32).decode()}
        forged.write_text(json.dumps(changed))
        with pytest.raises(AssertionError):
            independent().check(witness.verifier.line, forged)


def test_receipts_of_uploads_approvals_and_answers_are_kept(
    linked: Linked, members: dict[str, Member], steward: Steward
) -> None:
    member = members["sheriff"]
    steward.release(linked.run, 0.9)
    member.agent().approve(member.connection, linked.manifest.project)
    verifier = Witness(member.home).verifier
    found = {}
    for path in (member.home / "log" / "receipts").glob("*.json"):
        (entry,) = independent().check(verifier.line, path)
        # Lists to answer are the hub's act; other tests of the session may have brought some.
        assert entry["party"] == ("hub" if entry["kind"] == "list.issued" else "partner/sheriff")
        found.setdefault(entry["kind"], []).append(entry)
    assert {"manifest.signed", "upload.finished", "release.approved"} <= set(found)


def test_an_export_is_verified_by_who_shares_no_code(quiet: House) -> None:
    quiet.act(300)
    out = quiet.place / "export.jsonl"
    with quiet.connect("health") as connection:
        witness = Witness(quiet.homes["health"])
        assert witness.last is not None
        write_export(out, witness.verifier, witness.last, fetch(connection, witness.last.size))
    command = [sys.executable, str(VERIFIER), witness.verifier.line, str(out)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"{witness.last.size} entries hold" in shown
    assert "manifest.signed" in shown
    lines = out.read_text().splitlines()
    for wrong in (
        [lines[0], *lines[2:]],
        [lines[0], lines[2], lines[1], *lines[3:]],
        [*lines, lines[-1]],
        lines[:-1],
    ):
        out.write_text("\n".join(wrong) + "\n")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0


def test_openings_are_for_those_entitled(
    hub: Hub, linked: Linked, members: dict[str, Member], steward_connection: Connection
) -> None:
    def kinds(connection: Connection, size: int) -> tuple[int, dict[str, int]]:
        opened: dict[str, int] = {}
        total = 0
        for leaf in fetch(connection, size):
            total += 1
            if leaf.entry is not None:
                key = f"{leaf.entry.project}|{leaf.entry.party}"
                opened[key] = opened.get(key, 0) + 1
        return total, opened

    stub = LogServiceStub(steward_connection.channel)
    note = steward_connection.call(stub.GetCheckpoint, log_pb2.GetCheckpointRequest()).checkpoint
    size = Witness(members["sheriff"].home).verifier.open(note).size
    total, all_opened = kinds(steward_connection, size)
    assert sum(all_opened.values()) == total == size
    _, of_partner = kinds(members["health"].connection, size)
    name = linked.manifest.project
    assert any(key.startswith(f"{name}|") for key in of_partner)
    assert all(key.partition("|")[0] or key.endswith("|partner/health") for key in of_partner), (
        "what has no project is shown to who did it"
    )
    _, of_outsider = kinds(members["outsider"].connection, size)
    assert {key.partition("|")[2] for key in of_outsider} == {"partner/outsider"}


def test_heads_are_relayed_between_companions_only(
    linked: Linked, members: dict[str, Member]
) -> None:
    for name in ("health", "outsider"):
        member = members[name]
        Witness(member.home).check(member.connection)
        exchange_heads(member.connection, Witness(member.home), member.keyring, name)
    sheriff = members["sheriff"]
    stub = LogServiceStub(sheriff.connection.channel)
    heads = sheriff.connection.call(stub.ListHeads, log_pb2.ListHeadsRequest()).heads
    names = {head.party for head in heads}
    assert "health" in names
    assert "outsider" not in names


@pytest.mark.parametrize("size", [1 << 40, 1 << 60])
def test_proofs_of_what_is_not_there_are_refused(members: dict[str, Member], size: int) -> None:
    connection = members["sheriff"].connection
    stub = LogServiceStub(connection.channel)
    with pytest.raises(LinkageError):
        connection.call(
            stub.GetInclusionProof, log_pb2.GetInclusionProofRequest(index=0, size=size)
        )
    with pytest.raises(LinkageError):
        connection.call(
            stub.GetConsistencyProof, log_pb2.GetConsistencyProofRequest(first=1, second=size)
        )
    page = connection.call(stub.ListEntries, log_pb2.ListEntriesRequest(start=1 << 40))
    assert not page.entries


@pytest.mark.parametrize("what", ["party", "signature", "checkpoint", "form"])
def test_a_head_that_is_not_the_callers_is_refused(members: dict[str, Member], what: str) -> None:
    member = members["sheriff"]
    last = Witness(member.home).last
    assert last is not None
    fields = {"party": "sheriff", "time": 1, "checkpoint": last.note.decode()}
    if what == "party":
        fields["party"] = "health"
    if what == "checkpoint":
        fields["checkpoint"] = last.note.decode().replace("\n", "\n1", 1)
    raw = HeadStatement.model_validate(fields).canonical
    raw = raw + b" " if what == "form" else raw
    signature = bytes(64) if what == "signature" else member.signature(raw)
    with pytest.raises(LinkageError) as caught:
        member.connection.call(
            member.stub(LogServiceStub).PutHead,
            log_pb2.PutHeadRequest(statement=raw, signature=signature),
        )
    assert caught.value.reason in {"INVALID_REQUEST", "BAD_SIGNATURE"}


# The commands.


def command(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["log", *words, "--json"])
    if done.exception is not None:
        raise done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_any_partys_home_verifies_shows_and_exports(quiet: House) -> None:
    quiet.connect("sheriff").__exit__()
    point(quiet.hub.home.path / "steward", quiet.hub)
    point(quiet.homes["health"], quiet.hub)
    for home in (quiet.homes["health"], quiet.hub.home.path):
        found = command("verify", "--home", str(home))
        assert found["size"] >= found["opened"] > 0
        assert command("verify", "--quick", "--home", str(home))["size"] >= found["size"]
        shown = command("show", "--kind", "manifest.*", "--limit", "5", "--home", str(home))
        kinds = {one["kind"] for one in shown["entries"]}
        assert "manifest.signed" in kinds
        assert all(kind.startswith("manifest.") for kind in kinds)
        assert shown["root"]
        out = quiet.place / f"{home.name}.jsonl"
        written = command("export", str(out), "--home", str(home))
        checked = command("verify", str(out), "--home", str(home))
        assert (checked["size"], checked["root"]) == (written["size"], written["root"])
        assert checked["pinned"]
        assert not command("verify", str(out), "--home", str(quiet.place))["pinned"]
        with pytest.raises(InputError, match="is there already"):
            command("export", str(out), "--home", str(home))
    assert [
        one["party"] for one in command("show", "--home", str(quiet.homes["health"]))["heads"]
    ] == ["sheriff"]
    receipt = next((quiet.homes["health"] / "log" / "receipts").glob("manifest-*.json"))
    assert (
        command("verify", str(receipt), "--home", str(quiet.homes["health"]))["kind"]
        == "manifest.signed"
    )


def test_a_file_of_another_log_is_refused(quiet: House) -> None:
    receipt = next((quiet.homes["sheriff"] / "log" / "receipts").glob("manifest-*.json"))
    other = LogKey("prairie/log", Ed25519PrivateKey.generate()).verifier.line
    with pytest.raises(LogInconsistentError, match="another log"):
        command("verify", str(receipt), "--key", other)
    (quiet.place / "empty").write_text("{}\n")
    with pytest.raises(InputError, match="not an export"):
        command("verify", str(quiet.place / "empty"))


# What a hub that was tampered with shows.


def test_a_killed_hub_has_lost_no_entry(house: House) -> None:
    with house.connect("sheriff") as connection:
        stub = ProjectServiceStub(connection.channel)
        with pytest.raises(LinkageError):
            connection.call(stub.GetProject, project_pb2.GetProjectRequest(project="nothing"))
    house.hub.kill()
    house.hub.start()
    with house.steward() as connection:
        last = Witness(house.hub.home.path / "steward").last
        assert last is not None
        shown = [leaf.entry for leaf in fetch(connection, last.size)]
    mine = [one for one in shown if one is not None and one.party == "partner/sheriff"]
    assert [one.kind for one in mine][-1] == "call.refused"
    assert [one.kind for one in shown if one is not None].count("hub.started") == 4


TRUNCATE = (
    "DELETE FROM log_entry WHERE sequence >= (SELECT size - 3 FROM log_size)",
    "UPDATE log_size SET size = size - 3",
)
ALTER_LAST = "UPDATE log_entry SET leaf = zeroblob(32) WHERE sequence = 3"
REORDER = (
    "UPDATE log_entry SET sequence = -1 WHERE sequence = 3",
    "UPDATE log_entry SET sequence = 3 WHERE sequence = 4",
    "UPDATE log_entry SET sequence = 4 WHERE sequence = -1",
)


@pytest.mark.parametrize("how", [TRUNCATE, (ALTER_LAST,), REORDER], ids=["cut", "alter", "reorder"])
def test_a_log_that_was_changed_is_refused_and_the_evidence_kept(
    house: House, how: tuple[str, ...]
) -> None:
    house.connect("sheriff").__exit__()
    home = house.homes["sheriff"]
    before = Witness(home).last
    house.tamper(*how)
    if how is TRUNCATE:
        # Or else the new start of the hub makes up for one entry of three.
        assert before is not None
    with pytest.raises(LogInconsistentError) as caught:
        house.connect("sheriff")
    assert caught.value.reason == "LOG_INCONSISTENT"
    (found,) = evidence(home)
    assert Witness(home).verifier.open(found["one"].encode()) == before
    assert Witness(home).verifier.open(found["other"].encode()).origin == "prairie/log"
    # From then on it is refused, and what was seen stays.
    with pytest.raises(LogInconsistentError):
        house.connect("sheriff")
    assert Witness(home).last == before


def test_a_leaf_altered_deep_in_the_log_is_found_by_taking_all_of_it(house: House) -> None:
    """Behind stored subtrees the hub's own root does not change; the leaves do not make it."""
    house.act(300)
    house.connect("sheriff").__exit__()
    # Not even another's older head stands in the way.
    house.tamper(ALTER_LAST, "DELETE FROM log_head")
    with house.connect("sheriff") as connection:
        witness = Witness(house.homes["sheriff"])
        with pytest.raises(LogInconsistentError):
            audit(connection, witness)


def test_an_entry_told_otherwise_is_found(house: House) -> None:
    house.connect("sheriff").__exit__()
    house.tamper(
        "UPDATE log_entry SET entry = CAST(replace(CAST(entry AS TEXT), 'manifest.signed',"
        " 'manifest.ignored') AS BLOB)"
    )
    with house.connect("sheriff") as connection:
        witness = Witness(house.homes["sheriff"])
        with pytest.raises(LogInconsistentError, match="not what its leaf says"):
            audit(connection, witness)


def test_an_act_that_is_not_in_the_log_has_no_receipt(house: House) -> None:
    """The hub recorded the signature, and lost its entry."""
    manifest = make_manifest()
    with house.steward() as connection:
        Steward(connection).propose(manifest)
    with house.connect("sheriff") as connection:
        member = Member("sheriff", house.homes["sheriff"], connection)
        member.sign_manifest(manifest)
        with sqlite3.connect(house.hub.home.path / "hub.db") as database:
            database.execute(
                "UPDATE log_entry SET subject = ? WHERE subject = ?",
                ("0" * 64, manifest.fingerprint),
            )
        database.close()
        with pytest.raises(LinkageError):
            member.agent().sign(connection, manifest)


def fork(house: House) -> Hub:
    """A copy of the hub that goes on by itself, on another port."""
    house.hub.kill()
    copy = house.place / "fork"
    shutil.copytree(house.hub.home.path, copy)
    house.hub.start()
    made = Hub(HubHome.load(copy), house.place / "fork.log")
    made.start()
    return made


def test_a_hub_that_forks_for_one_partner_is_found_by_that_partner(house: House) -> None:
    second = fork(house)
    try:
        house.connect("health", second).__exit__()
        house.act()
        with pytest.raises(LogInconsistentError):
            house.connect("health", house.hub)
        assert len(evidence(house.homes["health"])) == 1
    finally:
        second.kill()


def test_a_split_view_is_found_and_named_through_heads(house: House) -> None:
    """The operator keeps each partner on a hub of its own, and must relay their heads."""
    second = fork(house)
    try:
        house.act()
        house.connect("sheriff", house.hub).__exit__()
        house.connect("health", second).__exit__()
        relay(house.hub, second, "sheriff")
        with pytest.raises(LogInconsistentError, match="'sheriff'") as caught:
            house.connect("health", second)
        assert "shown two logs" in caught.value.message
        (found,) = evidence(house.homes["health"])
        verifier = Witness(house.homes["health"]).verifier
        assert verifier.open(found["one"].encode()).origin == "prairie/log"
        assert verifier.open(found["other"].encode()).origin == "prairie/log"
    finally:
        second.kill()


def test_a_head_of_the_past_is_called_so(quiet: House) -> None:
    quiet.connect("health").__exit__()
    old = head_of(quiet.hub, "health")
    quiet.act()
    quiet.connect("health").__exit__()
    quiet.connect("sheriff").__exit__()
    put_head(quiet.hub, "health", old)
    warnings: list[str] = []
    connect_member(quiet.homes["sheriff"], patience=60, warn=warnings.append).__exit__()
    time_before = json.loads(old[1])["time"]
    seen = heads_seen(Witness(quiet.homes["sheriff"]))["health"]
    if seen.time != time_before:
        assert any(WITHHELD in text for text in warnings)


def test_a_head_under_other_keys_is_called_so(house: House) -> None:
    house.connect("health").__exit__()
    _, head, _ = head_of(house.hub, "health")
    key = Ed25519PrivateKey.generate()
    with sqlite3.connect(house.hub.home.path / "hub.db") as database:
        public = key.public_key().public_bytes_raw()
        database.execute("UPDATE party SET signing_key = ? WHERE name = 'health'", (public,))
        forged = (sign(key, head),)
        database.execute("UPDATE log_head SET signature = ? WHERE party = 'health'", forged)
    database.close()
    warnings: list[str] = []
    point(house.homes["sheriff"], house.hub)
    connect_member(house.homes["sheriff"], patience=60, warn=warnings.append).__exit__()
    assert any(OTHER_KEYS in text for text in warnings)


def head_of(hub: Hub, party: str) -> tuple[int, bytes, bytes]:
    with sqlite3.connect(hub.home.path / "hub.db") as database:
        query = "SELECT size, head, signature FROM log_head WHERE party = ?"
        found: tuple[int, bytes, bytes] = database.execute(query, (party,)).fetchone()
    database.close()
    return found


def put_head(hub: Hub, party: str, values: tuple[int, bytes, bytes]) -> None:
    with sqlite3.connect(hub.home.path / "hub.db") as database:
        database.execute(
            "UPDATE log_head SET size = ?, head = ?, signature = ? WHERE party = ?",
            (*values, party),
        )
    database.close()


def relay(source: Hub, target: Hub, party: str) -> None:
    with sqlite3.connect(target.home.path / "hub.db") as database:
        database.execute("DELETE FROM log_head WHERE party = ?", (party,))
        database.execute(
            "INSERT INTO log_head VALUES (?, ?, ?, ?)", (party, *head_of(source, party))
        )
    database.close()


def test_a_checkpoint_by_another_key_is_refused(house: House) -> None:
    house.connect("sheriff").__exit__()
    house.hub.kill()
    house.hub.home.vault.write("log.key", Ed25519PrivateKey.generate().private_bytes_raw())
    house.hub.start()
    with pytest.raises(LogInconsistentError, match="not one that the log"):
        house.connect("sheriff")
    assert evidence(house.homes["sheriff"])[0]["met"] == "the hub"


def test_a_home_without_the_logs_key_is_not_supported(house: House) -> None:
    (house.homes["sheriff"] / "log.vkey").unlink()
    with pytest.raises(LinkageError, match="does not know the key of the hub's log"):
        house.connect("sheriff")
