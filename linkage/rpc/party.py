"""A party's home directory as far as talking to the hub needs it: invitation, identity, renewal.

Holds `party.json`, `authority.pem`, `log.vkey`, `tls.key` and `tls.pem`. Signing and sealing keys
are the keyring's affair and are never read here.

- The TLS key is on disk before the hub hears of it, so that a crash in between can be resumed
  with the same invitation.
- A certificate is renewed by itself once half of its life is over.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import Field, StringConstraints, ValidationError

from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Name, Strict
from linkage.errors import (
    AlreadyExistsError,
    InputError,
    LinkageError,
    NotFoundError,
    UnauthenticatedError,
)
from linkage.files import private_directory, write_atomic
from linkage.rpc.channel import ClientIdentity, Connection, connect
from linkage.rpc.witness import LOG_KEY, Witness
from linkage.trust.checkpoint import LogVerifier
from linkage.trust.identity import Role, expires, make_request, new_private_key, private_key_pem
from linkage.trust.statements import enrolment_statement
from linkage.trust.vault import Vault
from linkage.v1 import enrolment_pb2 as pb
from linkage.v1.enrolment_pb2_grpc import EnrolmentServiceStub

PATIENCE = 30.0

ROLES = {
    Role.PARTNER: pb.ROLE_PARTNER,
    Role.ASSEMBLER: pb.ROLE_ASSEMBLER,
    Role.EVALUATOR: pb.ROLE_EVALUATOR,
    Role.STEWARD: pb.ROLE_STEWARD,
}


class Invitation(Strict):
    """What a steward hands a new party, out of band, as a file.

    Attributes:
        token: 32 bytes as hex; works once.
        log: the public key of the hub's transparency log.
        key, certificate: PEM of a short-lived identity that admits to enrolment only.
    """

    linkage: str
    address: str
    name: Name
    role: str
    authority: str
    log: str
    key: str
    certificate: str
    token: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Saved(Strict):
    """What `party.json` holds.

    Attributes:
        invitation: SHA-256 of the one that was used, hex; None in older homes.
    """

    address: str
    name: Name
    role: Annotated[Role, Field(strict=False)]
    invitation: str | None = None

    @classmethod
    def read(cls, home: Path) -> _Saved | None:
        """What the home holds, or None where nobody has enrolled from it.

        Raises:
            InputError: the file is damaged.
        """
        path = home / "party.json"
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            raise InputError(
                f"{path} is damaged",
                remedy="Put it back from a backup, or enrol again with the same keys",
            ) from None


@dataclass(frozen=True)
class Party:
    """An enrolled party's home.

    Attributes:
        home: the directory.
        name, role, address: as enrolled; address is `host:port` of the hub.
    """

    home: Path
    name: str
    role: Role
    address: str

    @classmethod
    def load(cls, home: Path) -> Party:
        """Raises NotFoundError when nobody has enrolled from that home."""
        saved = _Saved.read(home)
        if saved is None:
            raise NotFoundError(
                f"{home} is not enrolled with a hub",
                remedy="Ask the steward for an invitation, then run enrol with its file",
            )
        address = os.environ.get("LINKAGE_HUB", saved.address)
        return cls(home, saved.name, saved.role, address)

    @classmethod
    def save(
        cls,
        home: Path,
        *,
        name: str,
        role: Role,
        address: str,
        authority: bytes,
        log: str,
        chain: bytes,
        invitation: str = "",
    ) -> Party:
        """Record an identity whose `tls.key` is in place; `party.json` comes last.

        Args:
            invitation: hash of the one that was used, so that another is known to be another.
        """
        write_atomic(home / "authority.pem", authority)
        write_atomic(home / LOG_KEY, LogVerifier.parse(log).line.encode())
        write_atomic(home / "tls.pem", chain)
        fields = {"address": address, "invitation": invitation, "name": name, "role": role.value}
        write_atomic(home / "party.json", canonical(fields))
        return cls.load(home)

    @property
    def identity(self) -> ClientIdentity:
        return ClientIdentity(
            self.address,
            (self.home / "authority.pem").read_bytes(),
            Vault(self.home).read("tls.key"),
            self._chain,
        )

    @property
    def _chain(self) -> bytes:
        return (self.home / "tls.pem").read_bytes()

    def connect(
        self,
        *,
        patience: float = PATIENCE,
        waiting: Callable[[float], None] = lambda seconds: None,
    ) -> Connection:
        """Open a connection, and see that the hub's log goes on from what was seen of it before.

        The certificate is renewed first when half of its life is over.

        Raises:
            LogInconsistentError: the log forked, shrank, or is not signed.
            UnauthenticatedError: the certificate has expired, or is refused.
            HubUnavailableError: the hub does not answer within `patience`.
        """
        _require_valid(self._chain)
        connection = connect(self.identity, patience=patience, waiting=waiting)
        try:
            if self.needs_renewal:
                self._renew(connection)
            Witness(self.home).check(connection)
        except BaseException:
            connection.__exit__()
            raise
        return connection

    @property
    def expired(self) -> bool:
        """Whether the certificate has run out."""
        return datetime.now(UTC) > expires(self._chain)

    @property
    def needs_renewal(self) -> bool:
        """Whether half of the certificate's life is over."""
        leaf = x509.load_pem_x509_certificate(self._chain)
        life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
        return datetime.now(UTC) > leaf.not_valid_before_utc + life / 2

    def _renew(self, connection: Connection) -> None:
        key = tls_key(self.home)
        answer = connection.call(
            EnrolmentServiceStub(connection.channel).Renew,
            pb.RenewRequest(certificate_request=make_request(key, self.name)),
        )
        write_atomic(self.home / "tls.pem", answer.certificate_chain)


def read_invitation(data: bytes) -> Invitation:
    """Raises InputError when `data` is not an invitation."""
    try:
        return Invitation.model_validate_json(data)
    except ValidationError:
        raise InputError(
            "the file is not an invitation", remedy="Use the .invite file the steward gave you"
        ) from None


def tls_key(home: Path) -> ec.EllipticCurvePrivateKey:
    """The home's TLS key, made on first use."""
    vault = Vault(private_directory(home))
    if not vault.exists("tls.key"):
        vault.write("tls.key", private_key_pem(new_private_key()))
    key = serialization.load_pem_private_key(vault.read("tls.key"), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise LinkageError(f"{home / 'tls.key'} is not an elliptic-curve key")
    return key


def enrol(
    home: Path,
    invitation: Invitation,
    *,
    signing_key: bytes,
    sealing_key: bytes,
    sign: Callable[[bytes], bytes],
    patience: float = PATIENCE,
) -> Party:
    """Exchange an invitation for a certificate; safe to repeat after a crash.

    A home whose certificate has expired or was revoked enrols again by a new invitation, with the
    keys it has.

    Args:
        signing_key, sealing_key: the party's public keys.
        sign: makes an Ed25519 signature with the private signing key.

    Raises:
        AlreadyExistsError: this home is enrolled.
        EnrolmentError: the hub refuses the invitation.
    """
    used = hashlib.sha256(invitation.token.encode()).hexdigest()
    _require_another(home, invitation.name, used)
    request = make_request(tls_key(home), invitation.name)
    token = bytes.fromhex(invitation.token)
    bootstrap = ClientIdentity(
        os.environ.get("LINKAGE_HUB", invitation.address),
        invitation.authority.encode(),
        invitation.key.encode(),
        invitation.certificate.encode(),
    )
    with connect(bootstrap, patience=patience) as connection:
        answer = connection.call(
            EnrolmentServiceStub(connection.channel).Enrol,
            pb.EnrolRequest(
                token=token,
                certificate_request=request,
                signing_key=signing_key,
                sealing_key=sealing_key,
                proof=sign(enrolment_statement(token, request, signing_key, sealing_key)),
            ),
        )
    return Party.save(
        home,
        name=answer.party.name,
        role=next(role for role, number in ROLES.items() if number == answer.party.role),
        address=invitation.address,
        authority=invitation.authority.encode(),
        log=invitation.log,
        chain=answer.certificate_chain,
        invitation=used,
    )


def _require_another(home: Path, name: str, used: str) -> None:
    """Raises AlreadyExistsError where this invitation was used before, or is for somebody else."""
    saved = _Saved.read(home)
    if saved is None:
        return
    if saved.name != name:
        raise AlreadyExistsError(
            f"{home} is enrolled already, as {saved.name!r}", remedy="Use another home"
        )
    # A home that enrolled before this was kept has none.
    if saved.invitation in {None, used} and datetime.now(UTC) <= expires(
        (home / "tls.pem").read_bytes()
    ):
        raise AlreadyExistsError(f"{home} is enrolled already")


def _require_valid(certificate_pem: bytes) -> None:
    end = expires(certificate_pem)
    if datetime.now(UTC) > end:
        raise UnauthenticatedError(
            f"this party's certificate expired on {end.date()}",
            remedy="Ask the steward for a new invitation and enrol with it again; keys stay",
        )
