"""A hub that forks, truncates, reorders or rewrites its log, or shows each partner one of its own.

The agent finds it at its next contact, says so in words, keeps the evidence, and does not go on.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from linkage.errors import LogInconsistentError
from linkage.rpc.channel import connect
from linkage.rpc.party import Party
from linkage.rpc.witness import Witness
from tests.integration.hub.test_log import (
    ALTER_LAST,
    REORDER,
    TRUNCATE,
    House,
    evidence,
    fork,
    relay,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built")
    House.build(place)
    return place


@pytest.fixture
def house(built: Path, tmp_path: Path) -> Iterator[House]:
    shutil.copytree(built, tmp_path / "house")
    made = House(tmp_path / "house")
    yield made
    made.close()


def _refuses_for_good(house: House, name: str, before: object) -> None:
    for _ in range(2):
        with pytest.raises(LogInconsistentError):
            house.connect(name)
    witness = Witness(house.homes[name])
    assert witness.last == before, "the agent took over what it refused"
    assert evidence(house.homes[name])


@pytest.mark.parametrize(
    "how", [TRUNCATE, REORDER, (ALTER_LAST,)], ids=["truncates", "reorders", "rewrites"]
)
def test_a_log_that_the_hub_changes(house: House, how: tuple[str, ...]) -> None:
    house.connect("sheriff").__exit__()
    before = Witness(house.homes["sheriff"]).last
    house.tamper(*how)
    _refuses_for_good(house, "sheriff", before)
    # The hub itself goes on: it is the parties who do not.
    identity = Party.load(house.hub.home.path / "steward").identity
    with connect(replace(identity, address=house.hub.address), patience=10):
        pass


def test_a_log_that_the_hub_forks(house: House) -> None:
    """One partner is kept on a copy, and then brought back."""
    copy = fork(house)
    try:
        house.connect("health", copy).__exit__()
        house.act()
        before = Witness(house.homes["health"]).last
        _refuses_for_good(house, "health", before)
    finally:
        copy.kill()


def test_a_split_view(house: House) -> None:
    """Each partner is kept on a copy for good; the heads that partners exchange give it away."""
    copy = fork(house)
    try:
        house.act()
        house.connect("sheriff", house.hub).__exit__()
        house.connect("health", copy).__exit__()
        relay(house.hub, copy, "sheriff")
        with pytest.raises(LogInconsistentError, match="'sheriff'"):
            house.connect("health", copy)
    finally:
        copy.kill()
