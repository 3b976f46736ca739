"""One real hub for this suite, in a process of its own; every case plays an attacker against it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkage.agreement import Manifest
from linkage.hub.steward import Steward

# The same fixtures as the hub's own tests, for a hub of this directory's own.
from tests.integration.hub.conftest import (  # noqa: F401
    Hub,
    Member,
    active,
    hub,
    linked,
    make_manifest,
    members,
    proposed,
    steward,
    steward_connection,
)

from .attack import Attack


@pytest.fixture(scope="session")
def judge(hub: Hub, steward: Steward) -> Iterator[Attack]:  # noqa: F811
    made = Attack(hub, steward)
    yield made
    if out := os.environ.get("LINKAGE_MEASURE"):
        Path(out).write_text(json.dumps(dict(sorted(made.growth.items())), indent=1) + "\n")


@pytest.fixture
def attack(judge: Attack, request: pytest.FixtureRequest) -> Attack:
    judge.name = request.node.name
    return judge


@pytest.fixture
def sheriff(members: dict[str, Member]) -> Member:  # noqa: F811
    return members["sheriff"]


@pytest.fixture(scope="module")
def agreed(steward: Steward, members: dict[str, Member]) -> Manifest:  # noqa: F811
    """A project of the module's own, signed by both partners."""
    manifest = make_manifest()
    steward.propose(manifest)
    for name in manifest.partner_names:
        members[name].sign_manifest(manifest)
    return manifest
