"""Partners make a secret through a hub that relays, forgets, delays, mixes up and lies."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.agent.exchange import Exchange
from linkage.errors import (
    AlreadyExistsError,
    ContributionError,
    NotReadyError,
    SealError,
    SignatureError,
    UntrustedKeyError,
)
from linkage.trust.contributions import commit, new_contribution
from linkage.trust.keyring import Keyring, key_check
from linkage.trust.sealing import binding, seal
from linkage.trust.signing import sign
from linkage.trust.statements import EnvelopeAddress, SecretPlace
from linkage.v1 import enrolment_pb2, project_pb2, secret_pb2

NAMES = ("north", "south", "east", "west")
PRINT = "ab" * 32
EPOCHS = itertools.count()


@dataclass
class Manifest:
    """As much of one as the exchange reads."""

    partner_names: tuple[str, ...]
    project: str = "prairie"
    fingerprint: str = PRINT


@dataclass
class FakeHub:
    """Stands for connection, channel and hub at once; a test puts lies into `commitments`."""

    rings: dict[str, Keyring]
    manifest: Manifest
    epoch: int = field(default_factory=lambda: next(EPOCHS))
    commitments: dict[str, secret_pb2.Commitment] = field(default_factory=dict)
    envelopes: dict[tuple[str, str], secret_pb2.Envelope] = field(default_factory=dict)
    caller: str = ""

    @property
    def channel(self) -> FakeHub:
        return self

    def unary_unary(self, path: str, **_: Any) -> str:
        return re.sub(r"(?<!^)([A-Z])", r"_\1", path.rpartition("/")[2]).lower()

    def call(self, method: str, request: Any) -> Any:
        return getattr(self, method)(request)

    def put_commitment(self, request: secret_pb2.PutCommitmentRequest) -> None:
        self.commitments.setdefault(self.caller, request.commitment)

    def list_commitments(self, _: Any) -> secret_pb2.ListCommitmentsResponse:
        return secret_pb2.ListCommitmentsResponse(commitments=self.commitments.values())

    def put_envelope(self, request: secret_pb2.PutEnvelopeRequest) -> None:
        assert set(self.commitments) >= set(self.manifest.partner_names), "revealed too early"
        key = (self.caller, request.envelope.recipient)
        if key in self.envelopes:
            raise AlreadyExistsError("there already")
        self.envelopes[key] = request.envelope

    def list_envelopes(self, _: Any) -> secret_pb2.ListEnvelopesResponse:
        found = [e for (_, to), e in self.envelopes.items() if to == self.caller]
        return secret_pb2.ListEnvelopesResponse(envelopes=found)

    def visit(self, name: str) -> Exchange:
        self.caller = name
        shown = project_pb2.Project(
            epoch=self.epoch,
            parties=[
                enrolment_pb2.Party(
                    name=one, signing_key=ring.signing_public, sealing_key=ring.sealing_key.public
                )
                for one, ring in self.rings.items()
            ],
        )
        manifest: Any = self.manifest
        connection: Any = self
        return Exchange(connection, self.rings[name], manifest, shown, name)

    def secret(self, name: str) -> bytes | None:
        return self.rings[name].secret("prairie", PRINT, self.epoch)

    def contribution(self, name: str) -> bytes:
        return self.rings[name].contribution("prairie", PRINT, self.epoch)

    def commitment(self, name: str, contribution: bytes) -> secret_pb2.Commitment:
        """A commitment as that partner would sign it, to whatever bytes."""
        place = SecretPlace(project="prairie", fingerprint=PRINT, epoch=self.epoch)
        made = commit(place, name, contribution)
        signature = sign(self.rings[name].signing_key, made.statement)
        return secret_pb2.Commitment(**made.model_dump(), signature=signature)

    def envelope(self, sender: str, recipient: str, contribution: bytes) -> secret_pb2.Envelope:
        """An envelope as that partner would sign it, with whatever bytes."""
        address = EnvelopeAddress(
            project="prairie",
            fingerprint=PRINT,
            epoch=self.epoch,
            sender=sender,
            recipient=recipient,
        )
        info = binding("contribution", **address.model_dump())
        sealed = seal(self.rings[recipient].sealing_key.public, contribution, info)
        signature = sign(self.rings[sender].signing_key, address.statement(sealed))
        return secret_pb2.Envelope(**address.model_dump(), sealed=sealed, signature=signature)


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Keyring]]:
    made = {name: Keyring.create(tmp_path_factory.mktemp(name) / "keys") for name in NAMES}
    for one, ring in made.items():
        for other in NAMES:
            if other != one:
                ring.trust(other, made[other].fingerprint)
    yield made


def _hub(rings: dict[str, Keyring], partners: int = 3) -> FakeHub:
    return FakeHub(rings, Manifest(NAMES[:partners]))


@settings(max_examples=60, deadline=None)
@given(partners=st.integers(2, 4), visits=st.lists(st.integers(0, 3), max_size=12))
def test_in_whatever_order_they_come_they_end_with_one_secret(
    rings: dict[str, Keyring], partners: int, visits: list[int]
) -> None:
    """The fake hub fails the test if an envelope comes before the last commitment."""
    hub = _hub(rings, partners)
    for visit in visits:
        hub.visit(NAMES[visit % partners]).take_part()
    for _ in range(3):
        standings = [hub.visit(name).take_part() for name in NAMES[:partners]]
    assert all(one.complete for one in standings)
    assert len({hub.secret(name) for name in NAMES[:partners]}) == 1
    assert len({one.commitments for one in standings}) == 1
    assert hub.secret("north") is not None


def test_who_is_awaited_is_said(rings: dict[str, Keyring]) -> None:
    hub = _hub(rings)
    with pytest.raises(NotReadyError, match="waits for south, east, who has not committed"):
        hub.visit("north").secret()
    hub.visit("south").take_part()
    hub.visit("east").take_part()
    with pytest.raises(NotReadyError, match="waits for north, south, who has not revealed"):
        hub.visit("east").secret()


@settings(max_examples=40, deadline=None)
@given(
    target=st.sampled_from(["commitment", "envelope"]),
    field_name=st.sampled_from(["signature", "content"]),
    at=st.integers(0, 10_000),
    bit=st.integers(0, 7),
)
def test_one_altered_bit_is_refused_and_the_partner_named(
    rings: dict[str, Keyring], target: str, field_name: str, at: int, bit: int
) -> None:
    hub = _hub(rings, 2)
    hub.visit("north").take_part()
    hub.visit("south").take_part()
    if target == "commitment":
        message: Any = hub.commitments["south"]
    else:
        message = hub.envelopes["south", "north"]
    if field_name == "signature":
        message.signature = _flipped(message.signature, at, bit)
    elif target == "commitment":
        raw = bytes.fromhex(message.commitment)
        message.commitment = _flipped(raw, at, bit).hex()
    else:
        message.sealed = _flipped(message.sealed, at, bit)
    with pytest.raises(SignatureError, match="'south'"):
        hub.visit("north").take_part()
    assert hub.secret("north") is None


def _flipped(data: bytes, at: int, bit: int) -> bytes:
    changed = bytearray(data)
    changed[at % len(data)] ^= 1 << bit
    return bytes(changed)


def test_a_partner_that_reveals_something_else_is_named(rings: dict[str, Keyring]) -> None:
    hub = _hub(rings)
    for name in ("north", "south"):
        hub.visit(name).commit()
    hub.commitments["east"] = hub.commitment("east", b"promised".ljust(32, b"!"))
    hub.envelopes["east", "north"] = hub.envelope("east", "north", b"revealed".ljust(32, b"!"))
    with pytest.raises(ContributionError, match="'east' revealed another contribution"):
        hub.visit("north").take_part()
    assert hub.secret("north") is None


def test_a_partner_that_commits_twice_is_found_before_a_run(rings: dict[str, Keyring]) -> None:
    """East and the hub together show north and south different commitments, and open each well."""
    hub = _hub(rings)
    for name in ("north", "south"):
        hub.visit(name).commit()
    parts = {"north": new_contribution(), "south": new_contribution()}
    for name, part in parts.items():
        hub.commitments["east"] = hub.commitment("east", part)
        hub.visit(name).take_part()
        hub.envelopes["east", name] = hub.envelope("east", name, part)
    standings = [hub.visit(name).take_part() for name in parts]
    assert all(one.complete for one in standings)
    # Nobody is deceived: what they compare, and what the hub compares before a run, differs.
    assert len({one.commitments for one in standings}) == 2
    secrets = [hub.secret(name) for name in parts]
    checks = {key_check(s, "prairie", PRINT, hub.epoch) for s in secrets if s is not None}
    assert len(checks) == 2


def test_what_was_relied_upon_stays(rings: dict[str, Keyring]) -> None:
    """A hub that shows another commitment after this agent revealed its part changes nothing."""
    hub = _hub(rings, 2)
    hub.visit("south").commit()
    hub.visit("north").take_part()
    other = new_contribution()
    hub.commitments["south"] = hub.commitment("south", other)
    hub.envelopes["south", "north"] = hub.envelope("south", "north", other)
    with pytest.raises(ContributionError, match="'south'"):
        hub.visit("north").take_part()


def test_an_envelope_of_another_epoch_is_refused(rings: dict[str, Keyring]) -> None:
    before, hub = _hub(rings, 2), _hub(rings, 2)
    for one in (before, hub):
        for name in ("north", "south", "north"):
            one.visit(name).take_part()
    hub = _hub(rings, 2)
    hub.visit("north").take_part()
    hub.visit("south").take_part()
    hub.envelopes["south", "north"] = before.envelopes["south", "north"]
    with pytest.raises(SignatureError, match="'south'"):
        hub.visit("north").take_part()


def test_envelopes_of_two_senders_are_not_mixed_up(rings: dict[str, Keyring]) -> None:
    hub = _hub(rings)
    for name in (*NAMES[:3], "north", "south"):
        hub.visit(name).take_part()
    mixed = secret_pb2.Envelope()
    mixed.CopyFrom(hub.envelopes["south", "east"])
    mixed.sender = "north"
    hub.envelopes["north", "east"] = mixed
    with pytest.raises(SignatureError, match="'north'"):
        hub.visit("east").take_part()


def test_an_envelope_sealed_to_another_is_not_opened(rings: dict[str, Keyring]) -> None:
    """Signed as if for north, but sealed so that only east could open it."""
    hub = _hub(rings, 2)
    hub.visit("north").take_part()
    hub.visit("south").take_part()
    honest = hub.envelope("south", "north", hub.contribution("south"))
    address = EnvelopeAddress(
        project="prairie", fingerprint=PRINT, epoch=hub.epoch, sender="south", recipient="north"
    )
    info = binding("contribution", **address.model_dump())
    honest.sealed = seal(rings["east"].sealing_key.public, hub.contribution("south"), info)
    honest.signature = sign(rings["south"].signing_key, address.statement(honest.sealed))
    hub.envelopes["south", "north"] = honest
    with pytest.raises(SealError):
        hub.visit("north").take_part()


def test_a_hub_that_withholds_is_waited_for_by_name(rings: dict[str, Keyring]) -> None:
    hub = _hub(rings)
    for name in (*NAMES[:3], *NAMES[:3]):
        hub.visit(name).take_part()
    fresh = _hub(rings)
    for name in NAMES[:3]:
        fresh.visit(name).take_part()
    fresh.visit("north").take_part()
    fresh.visit("south").take_part()
    del fresh.envelopes["south", "east"]
    with pytest.raises(NotReadyError, match="waits for south, who has not revealed"):
        fresh.visit("east").secret()


def test_a_commitment_of_ours_that_we_did_not_make_is_refused(rings: dict[str, Keyring]) -> None:
    """As after a home was restored without the contribution it had committed to."""
    hub = _hub(rings, 2)
    hub.commitments["north"] = hub.commitment("north", new_contribution())
    hub.visit("south").commit()
    with pytest.raises(ContributionError, match="this agent did not make"):
        hub.visit("north").take_part()


def test_nothing_is_revealed_to_keys_that_nobody_compared(
    rings: dict[str, Keyring], tmp_path_factory: pytest.TempPathFactory
) -> None:
    swapped = dict(rings)
    hub = FakeHub(swapped, Manifest(NAMES[:2]))
    hub.visit("north").commit()
    hub.visit("south").commit()
    real = rings["south"]
    swapped["south"] = Keyring.create(tmp_path_factory.mktemp("hub-made") / "keys")
    hub.commitments["south"] = hub.commitment("south", new_contribution())
    with pytest.raises(UntrustedKeyError, match="'south'"):
        hub.visit("north").take_part()
    assert not hub.envelopes
    swapped["south"] = real


def test_a_stranger_in_the_list_is_passed_over(rings: dict[str, Keyring]) -> None:
    hub = _hub(rings, 2)
    hub.visit("north").take_part()
    hub.commitments["east"] = hub.commitment("east", new_contribution())
    assert hub.visit("south").take_part().to_reveal == ("north",)


def test_a_killed_agent_goes_on_with_the_same_bytes(rings: dict[str, Keyring]) -> None:
    """Whatever of its state files is there, an agent never promises two things."""
    hub = _hub(rings, 2)
    before = hub.contribution("north")  # killed before it could commit
    hub.visit("north").commit()
    hub.visit("north").commit()
    hub.visit("south").take_part()
    assert hub.contribution("north") == before
    hub.visit("north").take_part()
    assert hub.visit("south").take_part().complete
    assert hub.visit("north").take_part().complete
    assert hub.secret("north") == hub.secret("south")


def test_old_epochs_are_destroyed(rings: dict[str, Keyring], tmp_path_factory: Any) -> None:
    ring = Keyring.create(tmp_path_factory.mktemp("rotated") / "keys")
    for epoch in range(3):
        ring.contribution("prairie", PRINT, epoch)
        ring.save_secret("prairie", PRINT, epoch, bytes([epoch]) * 32)
        ring.save_secret("prairie-x", PRINT, epoch, bytes([epoch]) * 32)
    assert ring.forget_epochs("prairie", before=2) == 2
    assert [ring.secret("prairie", PRINT, epoch) for epoch in range(3)] == [None, None, b"\2" * 32]
    assert all(ring.secret("prairie-x", PRINT, epoch) is not None for epoch in range(3))
    assert ring.forget_epochs("prairie", before=2) == 0
