"""Stewards at machines of their own, by the commands that they type; and the agreement's end."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from linkage.cli.main import app
from linkage.errors import NotAgreedError
from linkage.hub import project as hub_project
from linkage.hub.handover import Handover
from linkage.hub.projects import Projects
from linkage.hub.releases import Releases
from linkage.hub.results import Results
from linkage.hub.runs import Runs
from linkage.store import tables
from linkage.store.sql import find_all
from linkage.trust.identity import PartyId, Role

from .conftest import make_manifest, share_all, wait_for_end, write_people

NAMES = ("dana", "erin")


def typed(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def homes(hub, tmp_path_factory) -> dict[str, Path]:
    """Two further stewards, enrolled by invitation, each with a home."""
    found = {}
    for name in NAMES:
        place = tmp_path_factory.mktemp(name)
        (place / "invitation").write_bytes(hub.invite(name, Role.STEWARD))
        typed("hub", "enrol", str(place / "invitation"), "--home", str(place / "home"))
        found[name] = place / "home"
    return found


@pytest.fixture(scope="module")
def keys(homes) -> list[dict[str, str]]:
    return [typed("hub", "steward-key", "--home", str(home)) for home in homes.values()]


def test_a_stewards_key_is_made_once_and_stays(homes, keys) -> None:
    assert [one["name"] for one in keys] == list(NAMES)
    assert len({one["key"] for one in keys}) == 2
    for home, key in zip(homes.values(), keys, strict=True):
        assert typed("hub", "steward-key", "--home", str(home)) == key
        private = home / "steward" / "keys"
        assert all(not path.stat().st_mode & 0o077 for path in private.rglob("*"))


@pytest.fixture(scope="module")
def released(hub, homes, keys, steward, members, tmp_path_factory):
    """A release that one steward proposed and another confirmed, contributed to by everybody."""
    manifest = make_manifest(stewards=keys, two_stewards=True)
    steward.propose(manifest)
    place, files = tmp_path_factory.mktemp("files"), {}
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    for seed, name in enumerate(manifest.partner_names):
        files[name] = write_people(place / f"{name}.csv", seed=seed)
        members[name].agent().submit(members[name].connection, manifest.project, files[name])
    run = wait_for_end(steward, steward.start_run(manifest.project).run).run
    proposed = typed("hub", "release", run, "--home", str(homes["dana"]))
    again = typed("hub", "confirm", proposed["release"], "--home", str(homes["dana"]))
    confirmed = typed("hub", "confirm", proposed["release"], "--home", str(homes["erin"]))
    for name in manifest.partner_names:
        member = members[name]
        member.agent().approve(member.connection, manifest.project, proposed["release"])
    for name in manifest.partner_names:
        member = members[name]
        member.agent().contribute(
            member.connection, manifest.project, files[name], {}, proposed["release"]
        )
    return proposed, again, confirmed


def test_one_proposes_and_another_confirms(released) -> None:
    proposed, again, confirmed = released
    assert (proposed["confirmed_by"], proposed["confirmed"]) == (["dana"], False)
    assert (again["confirmed_by"], again["confirmed"]) == (["dana"], False)
    assert (confirmed["confirmed_by"], confirmed["confirmed"]) == (["dana", "erin"], True)


def test_confirming_what_is_not_there_says_so(homes) -> None:
    words = ["hub", "confirm", "0" * 32, "--home", str(homes["erin"])]
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 0


def test_nothing_is_handed_out_after_the_agreement_ended(
    hub, released, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's own use cases on the hub's own database and blobs, a day after the last."""
    release = released[0]["release"]
    database = hub.database()
    projects, results = Projects(database), Results(hub.home.blobs())

    def no_jobs(*_: Any) -> None:
        raise AssertionError("nothing is to be run")

    runs = Runs(database, projects, results, no_jobs)
    releases = Releases(database, hub.home.blobs(), projects, runs, results)
    handover = Handover(database, hub.home.blobs(), releases, results)
    with database.transaction() as connection:
        parcel = find_all(connection, tables.upload, kind="parcel", release=release)[0]["id"]
    sheriff = PartyId("prairie", Role.PARTNER, "sheriff")
    county = PartyId("prairie", Role.ASSEMBLER, "county")
    downloads = {
        "index ids": lambda: next(iter(handover.index_ids(sheriff, release))),
        "list of parcels": lambda: handover.parcels(county, release),
        "parcel": lambda: handover.parcel(county, parcel, 0),
        "study map": lambda: next(iter(handover.study_map(county, release))),
    }
    for fetch in downloads.values():
        assert fetch()
    monkeypatch.setattr(hub_project, "today", lambda: date(2099, 1, 2))
    for fetch in downloads.values():
        with pytest.raises(NotAgreedError, match="expired on 2099-01-01"):
            fetch()
    database.close()
