"""Commit, reveal, derive: what is revealed is what was promised, and all of it makes the secret."""

from __future__ import annotations

import pytest

from linkage.errors import ContributionError, TrustError
from linkage.trust.contributions import (
    commit,
    derive,
    list_digest,
    new_contribution,
    require_committed,
)
from linkage.trust.statements import SecretPlace

PLACE = SecretPlace(project="prairie", fingerprint="ab" * 32, epoch=3)
PARTS = {"sheriff": b"s" * 32, "health": b"h" * 32, "social": b"o" * 32}
PROMISES = [commit(PLACE, name, part) for name, part in PARTS.items()]


def test_what_was_promised_is_taken() -> None:
    for one in PROMISES:
        require_committed(one, PARTS[one.partner])


@pytest.mark.parametrize("revealed", [b"x" * 32, b"", b"s" * 31, b"s" * 33])
def test_anything_else_is_refused_by_name(revealed: bytes) -> None:
    with pytest.raises(ContributionError, match="'sheriff' revealed another contribution") as error:
        require_committed(PROMISES[0], revealed)
    assert "linkage hub rotate prairie" in str(error.value)


def test_a_commitment_is_for_one_project_manifest_epoch_and_partner() -> None:
    part = PARTS["sheriff"]
    places = [
        PLACE,
        PLACE.model_copy(update={"project": "prairia"}),
        PLACE.model_copy(update={"fingerprint": "cd" * 32}),
        PLACE.model_copy(update={"epoch": 4}),
    ]
    made = {commit(place, "sheriff", part).commitment for place in places}
    made.add(commit(PLACE, "health", part).commitment)
    assert len(made) == 5


def test_every_contribution_counts() -> None:
    secret = derive(PROMISES, PARTS)
    assert len(secret) == 32
    for name in PARTS:
        parts = {**PARTS, name: new_contribution()}
        promises = [commit(PLACE, one, part) for one, part in parts.items()]
        assert derive(promises, parts) != secret


def test_the_order_is_the_manifests() -> None:
    assert derive(PROMISES[::-1], PARTS) != derive(PROMISES, PARTS)
    assert list_digest(PROMISES[::-1]) != list_digest(PROMISES)


def test_a_contribution_that_was_not_promised_makes_no_secret() -> None:
    with pytest.raises(ContributionError, match="'health'"):
        derive(PROMISES, {**PARTS, "health": b"x" * 32})


@pytest.mark.parametrize(
    "promises",
    [
        [],
        PROMISES[:2],
        [*PROMISES, PROMISES[0]],
        [*PROMISES[:2], commit(PLACE.model_copy(update={"epoch": 4}), "social", b"o" * 32)],
        [*PROMISES, commit(PLACE, "stranger", b"x" * 32)],
    ],
    ids=["none", "one-less", "twice", "two-epochs", "one-more"],
)
def test_it_takes_one_of_every_partner(promises: list) -> None:
    with pytest.raises(TrustError, match="one contribution of every partner"):
        derive(promises, PARTS)


def test_a_commitment_needs_32_bytes() -> None:
    with pytest.raises(TrustError, match="32 bytes"):
        commit(PLACE, "sheriff", b"short")


def test_contributions_differ() -> None:
    assert len({new_contribution() for _ in range(100)}) == 100
