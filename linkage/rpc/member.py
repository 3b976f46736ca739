"""What partners and recipients do alike: enrol with their keys, and trust each other's.

The hub does not import this module: it leads to the keyring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from linkage.errors import NotReadyError
from linkage.files import write_atomic
from linkage.rpc.channel import Connection
from linkage.rpc.gossip import CONSISTENT, NOT_COMPARED, exchange_heads
from linkage.rpc.party import PATIENCE, Party, enrol, read_invitation
from linkage.rpc.witness import Witness
from linkage.trust.identity import (
    load_private_key,
    make_request,
    new_private_key,
    private_key_pem,
)
from linkage.trust.keyring import Keyring
from linkage.trust.rotation import Rotation, RotationStatement
from linkage.trust.signing import key_fingerprint, sign
from linkage.trust.vault import Vault
from linkage.v1 import enrolment_pb2, project_pb2
from linkage.v1.enrolment_pb2_grpc import EnrolmentServiceStub


def enrol_member(home: Path, invitation: bytes, *, patience: float = PATIENCE) -> Party:
    """Exchange the steward's invitation for a certificate, with the keys in `home/keys`.

    Raises:
        NotFoundError: there are no keys yet.
        EnrolmentError: the hub refuses the invitation.
    """
    keyring = Keyring(home / "keys")
    key = keyring.signing_key
    return enrol(
        home,
        read_invitation(invitation),
        signing_key=keyring.signing_public,
        sealing_key=keyring.sealing_key.public,
        sign=lambda data: sign(key, data),
        patience=patience,
    )


@dataclass(frozen=True)
class Rotated:
    """A change of keys that is done: fingerprints before and after."""

    former: str
    fingerprint: str


def rotate_keys(home: Path, *, patience: float = PATIENCE) -> Rotated:
    """Change all keys of an enrolled home; safe to repeat after a crash.

    The new keys are on disk before the hub hears of them, and in place once it has agreed.

    Raises:
        NotFoundError: the home is not enrolled.
    """
    keyring, vault = Keyring(home / "keys"), Vault(home)
    pending = home / "keys" / "next" / "tls.pem"
    former = keyring.fingerprint
    party = Party.load(home)
    signing, sealing = keyring.prepare_rotation()
    public = signing.public_key().public_bytes_raw()
    new = key_fingerprint(public, sealing.public)
    if not pending.exists():
        if not vault.exists("keys/next/tls.key"):
            vault.write("keys/next/tls.key", private_key_pem(new_private_key()))
        tls = load_private_key(vault.read("keys/next/tls.key"))
        said = RotationStatement(party=party.name, former=former, fingerprint=new).canonical
        with party.connect(patience=patience) as connection:
            answer = connection.call(
                EnrolmentServiceStub(connection.channel).Rotate,
                enrolment_pb2.RotateRequest(
                    certificate_request=make_request(tls, party.name),
                    signing_key=public,
                    sealing_key=sealing.public,
                    statement=said,
                    signature=sign(keyring.signing_key, said),
                    proof=sign(signing, said),
                ),
            )
        write_atomic(pending, answer.certificate_chain)
    vault.write("tls.key", vault.read("keys/next/tls.key"))
    write_atomic(home / "tls.pem", pending.read_bytes())
    keyring.rotate()
    return Rotated(former, new)


def connect_member(
    home: Path,
    *,
    patience: float = PATIENCE,
    waiting: Callable[[float], None] = lambda seconds: None,
    warn: Callable[[str], None] = lambda text: None,
) -> Connection:
    """Open a connection, see that the log goes on, and compare it with what others were shown.

    Args:
        warn: told of heads that could not be believed, but are no proof of a second log.

    Raises:
        LogInconsistentError: the hub's log is not the one seen before, or not the one of others.
    """
    party = Party.load(home)
    connection = party.connect(patience=patience, waiting=waiting)
    try:
        seen = exchange_heads(connection, Witness(home), Keyring(home / "keys"), party.name)
    except BaseException:
        connection.__exit__()
        raise
    for one in seen:
        if one.state not in {CONSISTENT, NOT_COMPARED}:
            warn(f"the hub shows a head of {one.party!r} that is {one.state}")
    return connection


def trusted_party(keyring: Keyring, project: project_pb2.Project, name: str) -> enrolment_pb2.Party:
    """A party's public keys, checked against the pinned fingerprint.

    Raises:
        NotReadyError: it has not enrolled.
        UntrustedKeyError: never pinned, or not the pinned ones.
    """
    for party in project.parties:
        if party.name == name:
            told = [
                Rotation(r.statement, r.signing_key, r.sealing_key, r.signature, r.proof)
                for r in party.rotations
            ]
            keyring.require_trusted(name, party.signing_key, party.sealing_key, told)
            return party
    raise NotReadyError(f"{name!r} has not enrolled with the hub yet")
