"""Later rounds: changed files, what stays known of them, and linkage ids that go on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from linkage.encodings import EncodingMatrix
from linkage.errors import AlreadyExistsError, StateError
from linkage.hub.results import Results

from .answering import agreed, matrix_of
from .conftest import make_manifest, raw, wait_for_end
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
