"""What leaves bears ids of its own: for every recipient, every partner, every project."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from linkage.errors import AgreementError, DisclosureError, InputError, StateError
from linkage.evaluator.assembler import Assembler
from linkage.evaluator.entries import Entry
from linkage.evaluator.extract import verify_extract
from linkage.evaluator.ledger import Ledger
from linkage.evaluator.signoff import SignOff, sign_off
from linkage.release.assemble import Assembled, assemble
from linkage.trust.keyring import Keyring
from linkage.v1 import release_pb2
from linkage.v1.release_pb2_grpc import ReleaseServiceStub
from tests.unit.docs.test_extract_page import names

from .conftest import Linked, make_manifest, share_all, wait_for_end

CONTACTS = {
    "name": "contacts",
    "kind": "event",
    "fields": [
        {"name": "day", "column": "seen", "transform": "day", "means": "day"},
        {
            "name": "tract",
            "column": "sex",
            "transform": "tract",
            "lookup": {"name": "beats", "unmatched": 0.9},
        },
    ],
}
BEATS = b"code,tract\nf,17031010202\n"
CHECKERS = ("ada", "ben", "eve")


@pytest.fixture(scope="module")
def keyrings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Keyring]:
    place = tmp_path_factory.mktemp("checkers")
    return {name: Keyring.create(place / name) for name in CHECKERS}


@pytest.fixture(scope="module")
def beats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lookups") / "beats.csv"
    path.write_bytes(BEATS)
    return path


@pytest.fixture(scope="module")
def checked(steward, linked, members, keyrings) -> Linked:
    """Another project about the same persons, whose extracts two checkers sign off."""
    digest = hashlib.sha256(BEATS).hexdigest()
    lookup = {"name": "beats", "kind": "places", "by": ["code"], "source": "T", "digest": digest}
    own = {"content": [CONTACTS], "lookups": [lookup]}
    keys = [{"name": n, "key": k.signing_public.hex()} for n, k in keyrings.items()]
    manifest = make_manifest(
        matching={"threshold": 0.6, "pair_keyed": False},
        partners=[{"name": name, **own} for name in ("sheriff", "health")],
        recipients=[
            {"name": "county", "role": "assembler"},
            {"name": "university", "role": "evaluator"},
        ],
        disclosure={"two_checkers": True, "checkers": keys},
    )
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    for name in manifest.partner_names:
        agent, connection = members[name].agent(), members[name].connection
        agent.submit(connection, manifest.project, linked.files[name])
    run = wait_for_end(steward, steward.start_run(manifest.project).run).run
    return Linked(manifest, linked.files, run)


def deliver(steward, members, project: Linked, lookups: dict[str, Path]) -> str:
    """Release a run and contribute to it."""
    release = steward.release(project.run, None).release
    for name in project.manifest.partner_names:
        agent, connection = members[name].agent(), members[name].connection
        agent.approve(connection, project.manifest.project, release)
    for name in project.manifest.partner_names:
        agent, connection = members[name].agent(), members[name].connection
        sent = agent.contribute(
            connection, project.manifest.project, project.files[name], {}, release, lookups
        )
        again = agent.contribute(
            connection, project.manifest.project, project.files[name], {}, release, lookups
        )
        assert again.lookups == sent.lookups
        assert bool(sent.lookups) == bool(lookups)
    return release


@pytest.fixture(scope="module")
def releases(steward, linked, checked, members, beats) -> dict[str, str]:
    return {
        "linked": deliver(steward, members, linked, {}),
        "checked": deliver(steward, members, checked, {"beats": beats}),
    }


def assembler(members) -> Assembler:
    return Assembler(members["county"].home, members["county"].connection)


def everything(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def study_ids(extract: Path) -> set[str]:
    return set(pd.read_parquet(extract / "tables" / "people.parquet")["study_id"])


def test_the_same_inputs_give_the_same_bytes(linked, releases, members, tmp_path) -> None:
    project, release = linked.manifest.project, releases["linked"]
    for place in ("one", "two"):
        assembler(members).assemble(project, tmp_path / place, release=release, stata=True)
    one, two = everything(tmp_path / "one"), everything(tmp_path / "two")
    assert one == two
    assert "tables/people.dta" in one
    said = json.loads(one["provenance.json"])
    assert (said["release"], said["manifest"]) == (release, linked.manifest.fingerprint)
    assert said["log_checkpoint"].startswith("prairie")
    entries = Ledger(members["county"].home, project).entries()
    assert [e.release for e in entries].count(release) == 1


def test_an_extract_waits_for_two_checkers(
    linked, checked, releases, members, keyrings, tmp_path
) -> None:
    project, release = checked.manifest.project, releases["checked"]
    out = tmp_path / "out"

    def make(*given: SignOff) -> None:
        assembler(members).assemble(
            project, out, release=release, recipient="university", sign_offs=given
        )

    with pytest.raises(StateError, match=r"waits in .* for two checkers"):
        make()
    waiting = members["county"].home / "releases" / release / "unchecked-university"
    verify_extract(waiting)
    signed = {
        name: SignOff.model_validate_json(sign_off(waiting, name, keyring.signing_key))
        for name, keyring in keyrings.items()
    }
    other = signed["ben"].model_copy(update={"extract": "0" * 64})
    for given in ([signed["ada"]], [signed["ada"]] * 2, [signed["ada"], other]):
        with pytest.raises(AgreementError, match="asks for two checkers"):
            make(*given)
    forged = signed["ben"].model_copy(update={"signature": signed["eve"].signature})
    with pytest.raises(Exception, match="'ben' on the extract does not hold"):
        make(signed["ada"], forged)
    assert not out.exists()
    assert not Ledger(members["county"].home, project).entries()
    make(signed["ada"], signed["eve"])
    assert everything(out) == everything(waiting)
    said = json.loads((out / "provenance.json").read_bytes())
    assert set(said) == names("Provenance"), "see docs/reference/extract.md"
    looked_up = said["lookups"]
    for said in looked_up:
        tracts = pd.read_csv(linked.files[said["partner"]])["sex"] == "f"
        assert (said["table"], said["field"]) == ("contacts", "tract")
        assert said["lookup"]["digest"] == hashlib.sha256(BEATS).hexdigest()
        assert (said["rows"], said["unmatched"]) == (len(tracts), int((~tracts).sum()))
    assert [said["partner"] for said in looked_up] == ["sheriff", "health"]
    with pytest.raises(AgreementError, match="names no checker 'ada' with this key"):
        sign_off(waiting, "ada", keyrings["ben"].signing_key)


def test_a_person_has_no_id_in_common_between_recipients_partners_and_projects(
    hub, linked, checked, releases, members, keyrings, tmp_path
) -> None:
    """Handles, index ids, study ids, linkage ids, and ids in extracts: of the same 120 persons in
    two projects, and looked for byte by byte in all that the other project left anywhere.
    """
    found: dict[str, dict[str, set[bytes]]] = {}
    for name, project in (("linked", linked), ("checked", checked)):
        release, ids = releases[name], found.setdefault(name, {})
        for partner in project.manifest.partner_names:
            stub = members[partner].stub(ReleaseServiceStub)
            request = release_pb2.DownloadIndexIdsRequest(release=release)
            for answer in members[partner].connection.receive(stub.DownloadIndexIds, request):
                ids.setdefault(f"index {partner}", set()).update(split(answer.index_ids))
                ids.setdefault(f"handles {partner}", set()).update(split(answer.handles))
        recipients = ["county", "university"] if name == "checked" else ["county"]
        for recipient in recipients:
            out = tmp_path / f"{name}-{recipient}"
            make = assembler(members)
            place = members["county"].home / "releases" / release / f"unchecked-{recipient}"
            if name == "checked":
                with pytest.raises(StateError):
                    make.assemble(
                        project.manifest.project, out, release=release, recipient=recipient
                    )
                out = place
            else:
                make.assemble(project.manifest.project, out, release=release)
            ids[f"study {recipient}"] = {bytes.fromhex(one) for one in study_ids(out)}
        hidden = pd.read_parquet(
            members["county"].home / "releases" / release / "study-map.parquet"
        )
        ids["study map"] = set(hidden["study_id"])
    flat = [ids for kinds in found.values() for ids in kinds.values()]
    assert min(map(len, flat)) >= 100
    assert sum(map(len, flat)) == len(set().union(*flat)), "an id stands in two places"
    # Index ids of the two partners meet in the map alone, and the hub has it no longer.
    assert not list((hub.home.path / "blobs" / "releases" / releases["linked"] / "study").glob("*"))
    for one, other in (("linked", "checked"), ("checked", "linked")):
        mine = set().union(*found[one].values())
        places = [hub.home.path / "blobs" / "releases" / releases[other]]
        places.append(members["county"].home / "releases" / releases[other])
        for path in (p for place in places for p in place.rglob("*") if p.is_file()):
            data = path.read_bytes()
            assert not any(i in data or i.hex().encode() in data for i in mine), path.name


def split(raw: bytes) -> list[bytes]:
    return [raw[start : start + 16] for start in range(0, len(raw), 16)]


def test_an_extract_for_nobody_that_the_manifest_names(linked, releases, members, tmp_path) -> None:
    with pytest.raises(InputError, match="names no recipient 'press'"):
        assembler(members).assemble(
            linked.manifest.project,
            tmp_path / "out",
            release=releases["linked"],
            recipient="press",
        )


def test_an_extract_made_again_with_other_rows_is_refused(
    linked, releases, members, tmp_path, monkeypatch
) -> None:
    project, release = linked.manifest.project, releases["linked"]
    assembler(members).assemble(project, tmp_path / "first", release=release)
    entries = Ledger(members["county"].home, project).entries()

    def with_one_less(*given: Any, **more: Any) -> Assembled:
        whole = assemble(*given, **more)
        return dataclasses.replace(whole, people=whole.people.slice(1))

    monkeypatch.setattr("linkage.evaluator.assembler.assemble", with_one_less)
    with pytest.raises(DisclosureError, match="was made before with other rows"):
        assembler(members).assemble(project, tmp_path / "out", release=release)
    assert [one.name for one in tmp_path.iterdir()] == ["first"]
    assert Ledger(members["county"].home, project).entries() == entries


def test_a_refusal_leaves_nothing(steward, linked, members, tmp_path) -> None:
    """The ledger refuses when all is written: another extract leaves meanwhile."""
    project, release = linked.manifest.project, deliver(steward, members, linked, {})
    home = members["county"].home

    def meanwhile(step: str, done: int, _: int) -> None:
        if (step, done) == ("check disclosure", 1):
            other = Entry("0" * 32, "press", "f" * 64, "e" * 64, 0, {})
            Ledger(home, project).add(other, np.zeros(0, np.uint64))

    first = Assembler(home, members["county"].connection, progress=meanwhile)
    with pytest.raises(StateError, match="another extract of the project was made"):
        first.assemble(project, tmp_path / "out", release=release)
    assert list(tmp_path.iterdir()) == []
    assembler(members).assemble(project, tmp_path / "out", release=release)
    verify_extract(tmp_path / "out")
