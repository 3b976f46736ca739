"""How the partners come to hold one project secret that the hub never sees.

- The originator (the manifest's first partner) makes it and seals it to each other partner,
  HPKE, signed; `info` binds project, manifest fingerprint, epoch, sender and recipient.
- Keys that the hub shows are used only when a person compared their fingerprint.
"""

from __future__ import annotations

from linkage.agreement import Manifest
from linkage.errors import AlreadyExistsError, NotReadyError
from linkage.rpc.channel import Connection
from linkage.rpc.member import trusted_party
from linkage.trust.keyring import Keyring, new_secret
from linkage.trust.sealing import binding, seal
from linkage.trust.signing import sign, verify
from linkage.trust.statements import EnvelopeAddress
from linkage.v1 import enrolment_pb2, project_pb2, secret_pb2
from linkage.v1.secret_pb2_grpc import SecretServiceStub


def project_secret(
    connection: Connection,
    keyring: Keyring,
    manifest: Manifest,
    project: project_pb2.Project,
    name: str,
    *,
    renew: bool = False,
) -> bytes:
    """The project secret, made and shared, or fetched, or already held.

    Args:
        renew: believe the originator's envelope rather than what is held.

    Raises:
        NotReadyError: the originator has not shared it yet.
        UntrustedKeyError: a partner's keys were never compared, or changed.
        SignatureError, SealError: the envelope is not the originator's, or not for us.
    """
    key = (manifest.project, manifest.fingerprint, project.epoch)
    secret = keyring.secret(*key)
    if name == manifest.originator:
        # Everybody's keys are checked before a secret is made, so that none half-travels.
        parties = {
            other: trusted_party(keyring, project, other)
            for other in manifest.partner_names
            if other != name
        }
        secret = secret or new_secret()
        keyring.save_secret(*key, secret)
        for party in parties.values():
            _share(connection, keyring, manifest, project.epoch, name, party, secret)
    elif secret is None or renew:
        secret = _fetch(connection, keyring, manifest, project, name)
        keyring.save_secret(*key, secret, replace=renew)
    return secret


def _share(
    connection: Connection,
    keyring: Keyring,
    manifest: Manifest,
    epoch: int,
    name: str,
    party: enrolment_pb2.Party,
    secret: bytes,
) -> None:
    address = _address(manifest, epoch, name, party.name)
    sealed = seal(party.sealing_key, secret, _info(address))
    envelope = secret_pb2.Envelope(
        **address.model_dump(),
        sealed=sealed,
        signature=sign(keyring.signing_key, address.statement(sealed)),
    )
    stub = SecretServiceStub(connection.channel)
    try:
        connection.call(stub.PutEnvelope, secret_pb2.PutEnvelopeRequest(envelope=envelope))
    except AlreadyExistsError:
        # Shared before; the secret is the same one, only sealed anew.
        return


def _fetch(
    connection: Connection,
    keyring: Keyring,
    manifest: Manifest,
    project: project_pb2.Project,
    name: str,
) -> bytes:
    stub = SecretServiceStub(connection.channel)
    request = secret_pb2.ListEnvelopesRequest(project=manifest.project, epoch=project.epoch)
    for envelope in connection.call(stub.ListEnvelopes, request).envelopes:
        if envelope.sender == manifest.originator:
            sender = trusted_party(keyring, project, envelope.sender)
            address = _address(manifest, project.epoch, sender.name, name)
            verify(
                sender.signing_key,
                envelope.signature,
                address.statement(envelope.sealed),
                what="the envelope",
                by=sender.name,
            )
            return keyring.sealing_key.open(envelope.sealed, _info(address))
    raise NotReadyError(
        f"{manifest.originator!r} has not shared the project secret yet",
        remedy=f"{manifest.originator!r} must run submit first; or wait with --wait",
    )


def _address(manifest: Manifest, epoch: int, sender: str, recipient: str) -> EnvelopeAddress:
    return EnvelopeAddress(
        project=manifest.project,
        fingerprint=manifest.fingerprint,
        epoch=epoch,
        sender=sender,
        recipient=recipient,
    )


def _info(address: EnvelopeAddress) -> bytes:
    return binding("project secret", **address.model_dump())
