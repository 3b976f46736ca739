"""Later rounds: changed files, what stays known of them, and linkage ids that go on."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from linkage.agent.rowmap import read_row_map
from linkage.encodings import EncodingMatrix
from linkage.errors import AlreadyExistsError, InputError, StateError
from linkage.hub.results import Results

from .answering import agreed, matrix_of
from .conftest import make_manifest, raw, share_all, wait_for_end, write_people
from .test_runs import _approve

PEOPLE = list(range(60))


def file_of(manifest, partner: str, people: list[int], changed: set[int] = frozenset()):
    """A person's handle at a partner is always the same; a changed one is encoded otherwise."""
    shown = [person + 1000 if person in changed else person for person in people]
    matrix = matrix_of(manifest, shown)
    seed = manifest.partner_names.index(partner)
    handles = np.stack(
        [np.random.default_rng([seed, p]).integers(0, 256, 16, dtype=np.uint8) for p in people]
    )
    return replace(matrix, handles=handles, groups=handles)


def send(member, manifest, matrix: EncodingMatrix, **changes) -> None:
    member.upload(manifest, raw(matrix), rows=matrix.layout.rows, **changes)


def run(steward, manifest) -> tuple[str, dict]:
    done = wait_for_end(steward, steward.start_run(manifest.project).run)
    return done.run, steward.report(done.run)


def linkage_ids(hub, release: str, partner: str) -> dict[bytes, bytes]:
    arrays = Results(hub.home.blobs()).load(f"releases/{release}/linkage/{partner}.npz")
    return {
        handle.tobytes(): linkage_id.tobytes()
        for handle, linkage_id in zip(arrays["handles"], arrays["linkage_ids"], strict=True)
    }


def test_a_later_round(hub, steward, members) -> None:
    manifest = agreed(steward, members, make_manifest(matching={"pair_keyed": False}))
    sheriff, health = (members[name] for name in manifest.partner_names)
    send(sheriff, manifest, file_of(manifest, "sheriff", PEOPLE[:50]))
    with pytest.raises(StateError, match="those of round 0, not 1"):
        send(sheriff, manifest, file_of(manifest, "sheriff", PEOPLE[:40]), round=1)
    send(health, manifest, file_of(manifest, "health", PEOPLE[10:]))
    first, before = run(steward, manifest)
    old = steward.release(first, 0.5)
    assert not old.HasField("continuity")
    for member in (sheriff, health):
        _approve(member, old)

    # The same round cannot be sent again now; in the next, 5 are withdrawn, 10 are new, one is
    # encoded otherwise so that nobody knows it any more.
    with pytest.raises(AlreadyExistsError, match="--update"):
        send(sheriff, manifest, file_of(manifest, "sheriff", PEOPLE[:40]))
    with pytest.raises(StateError, match="those of round 1, not 2"):
        send(sheriff, manifest, file_of(manifest, "sheriff", PEOPLE[:40]), round=2)
    send(sheriff, manifest, file_of(manifest, "sheriff", PEOPLE[5:], {30}), round=1)
    second, after = run(steward, manifest)
    pair = "sheriff|health"
    keys = len(manifest.match_keys)
    assert before["pairs"][pair]["compared"] == 50 * 50 * keys
    assert after["pairs"][pair]["compared"] == 11 * 50 * keys
    assert before["recommended"]["links"] == 40
    assert after["recommended"]["links"] == 49

    new = steward.release(second, 0.5)
    since = new.continuity
    assert since.former == old.release
    # Nobody of the 60 clusters is lost but the five withdrawn ones whom health does not know; the
    # ten new rows join health's people, and the changed one stands alone under a new id.
    assert (since.kept, since.started, since.merged, since.split, since.ended) == (55, 1, 0, 1, 5)
    for partner in manifest.partner_names:
        was, now = (linkage_ids(hub, one.release, partner) for one in (old, new))
        both = was.keys() & now.keys()
        moved = [handle for handle in both if was[handle] != now[handle]]
        assert len(both) >= 45
        assert len(moved) <= 1
    # A steward may still ask for the first run's links: it stands on its own uploads.
    assert sum(len(batch.probability) for batch in steward.links(first, 0.5)) == 40


def test_a_run_again_over_the_same_uploads_compares_nothing(steward, members) -> None:
    manifest = agreed(steward, members, make_manifest(matching={"pair_keyed": False}))
    for name in manifest.partner_names:
        send(members[name], manifest, file_of(manifest, name, PEOPLE))
    _, one = run(steward, manifest)
    _, two = run(steward, manifest)
    pair = "sheriff|health"
    assert one["pairs"][pair]["compared"] > 0
    assert two["pairs"][pair]["compared"] == 0
    assert two["recommended"] == one["recommended"]
    # The third finds what the second took over.
    _, three = run(steward, manifest)
    assert three["pairs"][pair]["compared"] == 0
    assert three["recommended"] == one["recommended"]


def write(path, rows: list[list[str]]):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "given_name", "surname", "dob", "sex", "seen"], *rows])
    return path


def rows_of(path) -> list[list[str]]:
    with path.open() as file:
        return [[str(number), *row] for number, row in enumerate(list(csv.reader(file))[1:])]


def test_an_agent_sends_a_changed_file(hub, steward, members, tmp_path) -> None:
    partners = [{"name": "sheriff", "record_id": "id"}, {"name": "health"}]
    manifest = make_manifest(partners=partners)
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].agent().sign(members[name].connection, manifest)
    share_all(members, manifest)
    people = {
        name: write_people(tmp_path / f"{name}.csv", seed=n) for n, name in enumerate(members)
    }
    rows = rows_of(people["sheriff"])
    sheriff, health = members["sheriff"], members["health"]
    file = write(tmp_path / "first.csv", rows[:110])
    sent = sheriff.agent().submit(sheriff.connection, manifest.project, file)
    health.agent().submit(health.connection, manifest.project, people["health"])
    later = write(tmp_path / "later.csv", rows[119:0:-1])
    with pytest.raises(AlreadyExistsError, match="--update"):
        sheriff.agent().submit(sheriff.connection, manifest.project, later)
    with pytest.raises(StateError, match="round 0, not 1"):
        sheriff.agent().submit(sheriff.connection, manifest.project, later, update=True)
    run(steward, manifest)
    with pytest.raises(InputError, match="record ids"):
        health.agent().submit(health.connection, manifest.project, later, update=True)

    directory = sheriff.home / "projects" / manifest.project / "epoch-0"
    before = handles_by_id(directory)
    done = sheriff.agent().submit(sheriff.connection, manifest.project, later, update=True)
    assert done.upload != sent.upload
    after = handles_by_id(directory)
    assert len(after) == 119
    assert all(after[name] == handle for name, handle in before.items() if name != "0")
    assert len(set(after.values())) == 119
    again = sheriff.agent().submit(sheriff.connection, manifest.project, later, update=True)
    assert again.repeated
    _, report = run(steward, manifest)
    # Ten rows are new; all others are known.
    assert report["pairs"]["sheriff|health"]["compared"] == 10 * 120 * len(manifest.match_keys)


def handles_by_id(directory) -> dict[str, bytes]:
    found = read_row_map(directory)
    return dict(zip(found.record_ids, (h.tobytes() for h in found.handles), strict=True))
