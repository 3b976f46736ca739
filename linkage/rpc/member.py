"""What partners and recipients do alike: enrol with their keys, and trust each other's.

The hub does not import this module: it leads to the keyring.
"""

from __future__ import annotations

from pathlib import Path

from linkage.errors import NotReadyError
from linkage.rpc.party import PATIENCE, Party, enrol, read_invitation
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign
from linkage.v1 import enrolment_pb2, project_pb2


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


def trusted_party(keyring: Keyring, project: project_pb2.Project, name: str) -> enrolment_pb2.Party:
    """A party's public keys, checked against the pinned fingerprint.

    Raises:
        NotReadyError: it has not enrolled.
        UntrustedKeyError: never pinned, or not the pinned ones.
    """
    for party in project.parties:
        if party.name == name:
            keyring.require_trusted(name, party.signing_key, party.sealing_key)
            return party
    raise NotReadyError(f"{name!r} has not enrolled with the hub yet")
